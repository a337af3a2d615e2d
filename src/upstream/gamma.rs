//! Polymarket's own Gamma API: markets by token, with labels and without a key, closed and open ones apart.
//!
//! One request lists closed markets or open ones, never both. Most of what was ever traded is closed, so a token is
//! asked for among the closed first; what is not there is remembered and asked for among the open, later and together
//! with others, so that both kinds of requests are full.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{
    Answer, ApiInfo, Claim, Http, OpenFn, Room, SettingInfo, SourceInfo, SourceSettings, Upstream,
    UpstreamError,
};
use crate::ids::TokenId;
use crate::source::Source;

/// What is known of it.
pub(super) static INFO: SourceInfo = SourceInfo {
    source: Source::Gamma,
    title: "Gamma",
    service: "Gamma API",
    phase: "PHASE 2b",
    api: Some(ApiInfo {
        url: SettingInfo {
            name: "GAMMA_URL",
            default: "https://gamma-api.polymarket.com",
            help: "Polymarket's Gamma API",
        },
        rate_limit: SettingInfo {
            name: "GAMMA_RATE_LIMIT",
            default: "300/10s",
            help: "Requests that Gamma allows on /markets",
        },
        key: None,
        mode: None,
        // A window opens for 300 requests at once: with 64, they are out in a second or so.
        workers: 64,
        about: "A further track: ask Polymarket's Gamma API for its share of the tokens; needs no key",
        details: "",
        examples: "Examples:\n  backfill setup --tracks dome,goldsky,gamma && backfill gamma\n  \
                   backfill setup --tracks gamma && backfill gamma     where nobody else is left",
        open: OpenFn::Lookup(|settings, timeout| Ok(Box::new(Gamma::new(settings, timeout)?))),
    }),
};

/// Gateways refuse request lines above 8 KB; what is left of them for the tokens, beside path, host and version.
const REQUEST_LINE: usize = 8_000;

/// Markets in one answer. It must be asked for: left out, there are fewer, and the rest is dropped in silence.
const LIMIT: usize = 100;

/// What is asked with for the same tokens once more, where an answer about closed markets cannot be believed.
const OPEN: &str = "open";

/// `GET /markets`, of which the base URL may carry a prefix.
#[derive(Debug)]
pub struct Gamma {
    http: Http,
    /// Tokens that are in no closed market, and still to be asked for among the open ones.
    not_closed: Mutex<HashSet<u128>>,
}

impl Gamma {
    /// The API at `settings.url`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(settings: &SourceSettings, timeout: Duration) -> Result<Self, UpstreamError> {
        let http = Http::new(settings.url.clone(), settings.api_key.clone(), "GAMMA_URL", timeout)?;
        Ok(Self { http, not_closed: Mutex::default() })
    }

    async fn look_up(&self, tokens: &[TokenId], page: Option<&str>) -> Result<Answer, UpstreamError> {
        if page == Some(OPEN) {
            return Ok(Answer { markets: self.markets(tokens, false).await?.all(), ..Answer::default() });
        }
        let fresh: Vec<TokenId> = {
            let not_closed = self.not_closed();
            tokens.iter().filter(|token| !not_closed.contains(&token.fingerprint())).copied().collect()
        };
        if fresh.is_empty() {
            let found = self.markets(tokens, false).await?;
            if found.is_believed() {
                let mut not_closed = self.not_closed();
                tokens.iter().for_each(|token| {
                    not_closed.remove(&token.fingerprint());
                });
            }
            return Ok(Answer { markets: found.all(), ..Answer::default() });
        }
        let found = self.markets(&fresh, true).await?;
        if !found.is_believed() {
            // The filter was ignored: that says nothing of the closed markets, and whoever weighs it shall see it.
            return Ok(Answer { markets: found.all(), more: Some(OPEN.to_owned()), again: false });
        }
        let named: HashSet<u128> =
            found.asked.iter().flatten().map(|claim| claim.token.fingerprint()).collect();
        let missing = fresh.iter().map(|token| token.fingerprint()).filter(|token| !named.contains(token));
        self.not_closed().extend(missing);
        Ok(Answer { markets: found.asked, more: None, again: true })
    }

    /// One request: the closed markets of these tokens, or the open ones.
    async fn markets(&self, tokens: &[TokenId], closed: bool) -> Result<Found, UpstreamError> {
        let ids: Vec<String> = tokens.iter().map(TokenId::to_string).collect();
        let limit = LIMIT.to_string();
        let mut query = vec![("closed", if closed { "true" } else { "false" }), ("limit", limit.as_str())];
        query.extend(ids.iter().map(|id| ("clob_token_ids", id.as_str())));
        let body = self.http.send(self.http.get("/markets", &query)).await?;
        let markets: Vec<Market> = serde_json::from_slice(&body).map_err(|error| not_documented(&error))?;
        let wanted: HashSet<&TokenId> = tokens.iter().collect();
        let mut found = Found::default();
        for market in markets {
            let claims = market.claims()?;
            let is_asked = claims.iter().any(|claim| wanted.contains(&claim.token));
            if is_asked { &mut found.asked } else { &mut found.foreign }.push(claims);
        }
        Ok(found)
    }

    fn not_closed(&self) -> std::sync::MutexGuard<'_, HashSet<u128>> {
        self.not_closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The markets of one answer.
#[derive(Default)]
struct Found {
    /// Those of a token that was asked for.
    asked: Vec<Vec<Claim>>,
    /// The others: what comes where the filter is ignored is the first market of the whole list.
    foreign: Vec<Vec<Claim>>,
}

impl Found {
    /// Whether the filter was heeded, as far as one can see.
    fn is_believed(&self) -> bool {
        self.foreign.is_empty() || !self.asked.is_empty()
    }

    /// What is to be weighed: of an answer to the question only what was asked for, else whatever came.
    fn all(self) -> Vec<Vec<Claim>> {
        if self.is_believed() { self.asked } else { self.foreign }
    }
}

impl Upstream for Gamma {
    fn source(&self) -> Source {
        Source::Gamma
    }

    fn room(&self) -> Room {
        let fixed =
            self.http.url().endpoint().path().len() + "GET /markets?closed=false&limit=100 HTTP/1.1".len();
        Room {
            tokens: LIMIT,
            bytes: REQUEST_LINE.saturating_sub(fixed).max(100),
            overhead: "&clob_token_ids=".len(),
        }
    }

    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        Box::pin(self.look_up(tokens, page))
    }
}

fn not_documented(error: &serde_json::Error) -> UpstreamError {
    UpstreamError::Broken(format!("an answer that is not the documented JSON ({error})"))
}

#[derive(Deserialize)]
struct Market {
    #[serde(rename = "conditionId")]
    condition_id: String,
    /// Lists as JSON inside a string; old markets, which were never in the order book, have none.
    #[serde(rename = "clobTokenIds")]
    clob_token_ids: Option<String>,
    outcomes: Option<String>,
}

impl Market {
    /// One claim a token. Their order is not that of the outcome index, so no index is claimed; the label is the one
    /// at the token's own place.
    fn claims(self) -> Result<Vec<Claim>, UpstreamError> {
        let list = |text: Option<String>| -> Result<Vec<String>, UpstreamError> {
            let text = text.filter(|text| !text.is_empty());
            text.map_or(Ok(Vec::new()), |text| {
                serde_json::from_str(&text).map_err(|error| not_documented(&error))
            })
        };
        let (ids, labels) = (list(self.clob_token_ids)?, list(self.outcomes)?);
        let claim = |(place, id): (usize, String)| {
            Some(Claim {
                token: id.parse().ok()?,
                condition: self.condition_id.clone(),
                outcome_index: None,
                label: labels.get(place).cloned().unwrap_or_default(),
            })
        };
        Ok(ids.into_iter().enumerate().filter_map(claim).collect())
    }
}
