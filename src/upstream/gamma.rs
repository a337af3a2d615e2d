//! Polymarket's own Gamma API: markets by token, with labels and without a key, closed and open ones apart.
//!
//! One request lists closed markets or open ones, never both. Most of what was ever traded is closed, so a token is
//! asked for among the closed first; what is not there is remembered and asked for among the open, later and together
//! with others, so that both kinds of requests are full.
//!
//! `/markets` is past its announced end. Where it has ended, the same is asked of `/markets/keyset`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::Body;
use super::http::Exchange;
use super::probe::Probed;
use super::record::{Cost, Field, List, OddRecord, frame, read};
use super::{
    Answer, ApiInfo, Claim, Freshness, Http, ModeInfo, OpenFn, PublicService, RequestLimits, SettingInfo,
    SourceInfo, SourceSettings, TokenFacts, Upstream, UpstreamError,
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
        mode: Some(ModeInfo {
            name: "GAMMA_MODE",
            values: &[AUTO, MARKETS, KEYSET],
            help: "Which of Gamma's lists is asked: /markets, or where that has ended /markets/keyset",
        }),
        public: PublicService {
            freshness: Freshness::Current,
            date: "2026-11-01",
            told: "/markets is past its announced end, /markets/keyset serves the same",
        },
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

/// The words of `GAMMA_MODE`.
const AUTO: &str = "auto";
const MARKETS: &str = "markets";
const KEYSET: &str = "keyset";

/// `GET /markets` or `/markets/keyset`, of which the base URL may carry a prefix.
#[derive(Debug)]
pub struct Gamma {
    http: Http,
    /// Whether `/markets/keyset` is asked. In the mode `auto` it is as soon as `/markets` has ended.
    keyset: AtomicBool,
    /// Whether the end of `/markets` leads to `/markets/keyset`.
    falls_back: bool,
    /// Tokens that are in no closed market, and still to be asked for among the open ones.
    not_closed: Mutex<HashSet<TokenId>>,
}

impl Gamma {
    /// The API at `settings.url`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(settings: &SourceSettings, timeout: Duration) -> Result<Self, UpstreamError> {
        let http = Http::new(settings.url.clone(), settings.api_key.clone(), "GAMMA_URL", timeout)?;
        let (keyset, falls_back) = match settings.mode.as_str() {
            KEYSET => (true, false),
            MARKETS => (false, false),
            _ => (false, true),
        };
        Ok(Self { http, keyset: AtomicBool::new(keyset), falls_back, not_closed: Mutex::default() })
    }

    async fn look_up(&self, tokens: &[TokenId], page: Option<&str>) -> Result<Answer, UpstreamError> {
        let not_closed = |tokens: &[TokenId]| -> Vec<TokenId> {
            let known = self.not_closed();
            tokens.iter().filter(|token| !known.contains(token)).copied().collect()
        };
        let fresh = if page == Some(OPEN) { Vec::new() } else { not_closed(tokens) };
        let closed = !fresh.is_empty();
        let asked = if closed { &fresh } else { tokens };
        let Some(found) = self.markets(asked, closed).await? else {
            // The list has ended: the same is asked of the other one, in a request that the limit knows of.
            return Ok(Answer { again: true, ..Answer::default() });
        };
        let believed = found.is_believed();
        if !closed {
            if believed && page.is_none() {
                let mut not_closed = self.not_closed();
                tokens.iter().for_each(|token| {
                    not_closed.remove(token);
                });
            }
            return Ok(found.answer());
        }
        if !believed || found.odd.iter().any(|odd| odd.cost == Cost::Unnamed) {
            // The filter was ignored, or a market that cannot be read may have any of the tokens: that says nothing of
            // those that are missing, and whoever weighs it shall see both lists together.
            return Ok(Answer { more: Some(OPEN.to_owned()), ..found.answer() });
        }
        let named = found.named();
        self.not_closed().extend(fresh.iter().filter(|token| !named.contains(token)));
        Ok(Answer { again: true, ..found.answer() })
    }

    /// One request: the closed markets of these tokens, or the open ones; `None` where the list has ended that was asked.
    async fn markets(&self, tokens: &[TokenId], closed: bool) -> Result<Option<Found>, UpstreamError> {
        let ids: Vec<String> = tokens.iter().map(TokenId::to_string).collect();
        let limit = LIMIT.to_string();
        let mut query = vec![("closed", if closed { "true" } else { "false" }), ("limit", limit.as_str())];
        query.extend(ids.iter().map(|id| ("clob_token_ids", id.as_str())));
        let keyset = self.keyset.load(Ordering::Relaxed);
        let exchange = self.http.exchange(self.http.get(path(keyset), &query)).await;
        if self.has_ended(keyset, &exchange) {
            return Ok(None);
        }
        let body = exchange.answer?;
        let text = String::from_utf8_lossy(&body);
        Found::read(records(&text, keyset)?, tokens).map(Some)
    }

    /// Whether this is the end of `/markets`; then the other list is asked from now on.
    fn has_ended(&self, keyset: bool, exchange: &Exchange) -> bool {
        let gone = match exchange.status {
            Some(300..400 | 404 | 405 | 410) => true,
            // An end that is told inside of an answer.
            _ => exchange.told().is_some_and(|text| text.to_lowercase().contains("sunset")),
        };
        let ended = gone && self.falls_back && !keyset;
        if ended {
            self.keyset.store(true, Ordering::Relaxed);
        }
        ended
    }

    fn not_closed(&self) -> std::sync::MutexGuard<'_, HashSet<TokenId>> {
        self.not_closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn path(keyset: bool) -> &'static str {
    if keyset { "/markets/keyset" } else { "/markets" }
}

/// What is to be weighed of an answer about these tokens, by whichever of the two lists.
#[cfg(test)]
pub(super) fn answer(text: &str, keyset: bool, tokens: &[TokenId]) -> Result<Answer, UpstreamError> {
    Ok(Found::read(records(text, keyset)?, tokens)?.answer())
}

/// The markets of an answer. A page of `/markets/keyset` may name the next one; a look-up has fewer tokens than a page
/// has markets, so that only an ignored filter has a second page.
fn records(text: &str, keyset: bool) -> Result<Vec<&RawValue>, UpstreamError> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        markets: List<&'a RawValue>,
    }
    match keyset {
        true => frame(text).map(|page: Page<'_>| page.markets.0),
        false => frame(text).map(|records: List<_>| records.0),
    }
}

/// The markets of one answer.
#[derive(Default)]
struct Found {
    /// Those of a token that was asked for.
    asked: Vec<Vec<Claim>>,
    /// The others: what comes where the filter is ignored is the first market of the whole list.
    foreign: Vec<Vec<Claim>>,
    odd: Vec<OddRecord>,
    facts: Vec<TokenFacts>,
}

impl Found {
    fn read(records: Vec<&RawValue>, tokens: &[TokenId]) -> Result<Self, UpstreamError> {
        let wanted: HashSet<&TokenId> = tokens.iter().collect();
        let mut found = Self::default();
        for record in records {
            let market: Market<'_> = match read(record) {
                Ok(market) => market,
                Err(odd) => {
                    found.odd.push(odd);
                    continue;
                }
            };
            let claims = market.claims(record, &mut found.odd);
            if claims.iter().any(|claim| wanted.contains(&claim.token)) {
                found.facts.extend(claims.iter().map(|claim| market.facts(claim)));
                found.asked.push(claims);
            } else if !claims.is_empty() {
                found.foreign.push(claims);
            }
        }
        Ok(found)
    }

    /// Whether the filter was heeded, as far as one can see.
    fn is_believed(&self) -> bool {
        self.foreign.is_empty() || !self.asked.is_empty()
    }

    /// Every token that it says something of, or might have.
    fn named(&self) -> HashSet<TokenId> {
        let odd = self.odd.iter().filter_map(|odd| match &odd.cost {
            Cost::Tokens(tokens) => Some(tokens),
            Cost::Detail | Cost::Unnamed => None,
        });
        let claimed = self.asked.iter().flatten().map(|claim| claim.token);
        claimed.chain(odd.flatten().copied()).collect()
    }

    /// What is to be weighed: of an answer to the question only what was asked for, else whatever came.
    fn answer(self) -> Answer {
        let markets = if self.is_believed() { self.asked } else { self.foreign };
        Answer { markets, odd: self.odd, facts: self.facts, ..Answer::default() }
    }
}

impl Upstream for Gamma {
    fn source(&self) -> Source {
        Source::Gamma
    }

    fn request_limits(&self) -> RequestLimits {
        let fixed = self.http.url().endpoint().path().len()
            + "GET /markets/keyset?closed=false&limit=100 HTTP/1.1".len();
        RequestLimits {
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

    fn probe(&self) -> BoxFuture<'_, Probed> {
        Box::pin(async {
            let keyset = self.keyset.load(Ordering::Relaxed);
            let probed = self.probe_list(keyset).await;
            if keyset == self.keyset.load(Ordering::Relaxed) { probed } else { self.probe_list(true).await }
        })
    }
}

impl Gamma {
    async fn probe_list(&self, keyset: bool) -> Probed {
        let began = std::time::Instant::now();
        let exchange = self.http.exchange(self.http.get(path(keyset), &[("limit", "1")])).await;
        self.has_ended(keyset, &exchange);
        let understood = |body: Body| {
            let text = String::from_utf8_lossy(&body);
            let shown = records(&text, keyset)?.len();
            let since = if keyset && self.falls_back { ", since /markets has ended" } else { "" };
            Ok(format!("{} answers{since}, and {shown} market was shown", path(keyset)))
        };
        let headers = exchange.headers;
        let answer = exchange.answer.and_then(understood);
        Probed::new(answer, headers.as_ref(), began, &|text| self.http.without_key(text))
    }
}

#[derive(Deserialize)]
struct Market<'a> {
    #[serde(rename = "conditionId", borrow, default)]
    condition_id: Field<'a>,
    /// `v1` or `v2`; older answers have none, and are of the first.
    #[serde(borrow, default)]
    version: Field<'a>,
    /// The tokens that a market of the first generation trades under: a list as JSON inside a text. Old markets, which
    /// were never in the order book, have none.
    #[serde(rename = "clobTokenIds", borrow, default)]
    clob_token_ids: Field<'a>,
    /// The tokens that a market of the second generation trades under, and of one of the first its mirrors.
    #[serde(rename = "positionIds", borrow, default)]
    position_ids: Field<'a>,
    #[serde(borrow, default)]
    outcomes: Field<'a>,
    #[serde(borrow, default)]
    question: Field<'a>,
    #[serde(borrow, default)]
    slug: Field<'a>,
}

impl Market<'_> {
    /// One claim a token. Their order is not that of the outcome index, so no index is claimed; the label is the one at
    /// the place of a token that the market trades under. Mirrors get none: their order is not promised to be the same.
    fn claims(&self, record: &RawValue, odd: &mut Vec<OddRecord>) -> Vec<Claim> {
        let mut note = |cost, reason: &str| odd.push(OddRecord::new(record, cost, reason));
        let outcomes = self.outcomes.texts();
        if outcomes.as_ref().is_none_or(|list| list.is_empty() || list.contains(&None)) {
            note(Cost::Detail, "outcomes is no list of texts");
        }
        let outcomes = outcomes.unwrap_or_default();
        let is_second = self.version.text().is_some_and(|version| version.eq_ignore_ascii_case("v2"));
        let mut tokens: Vec<(TokenId, String)> = Vec::new();
        let mut named = false;
        for (list, labelled) in [(self.clob_token_ids, !is_second), (self.position_ids, is_second)] {
            let Some(list) = list.texts() else {
                note(Cost::Unnamed, "its token ids are no list");
                named = true;
                continue;
            };
            named |= !list.is_empty();
            for (place, id) in list.into_iter().enumerate() {
                let Some(id) = id else {
                    note(Cost::Unnamed, "a token id is no text");
                    continue;
                };
                let label = outcomes.get(place).filter(|_| labelled).cloned().flatten();
                tokens.extend(id.parse::<TokenId>().map(|token| (token, label.unwrap_or_default())));
            }
        }
        if !named {
            note(Cost::Unnamed, "it names no token");
        }
        let Some(condition) = self.condition_id.text() else {
            let tokens = tokens.into_iter().map(|(token, _)| token).collect();
            note(Cost::Tokens(tokens), "conditionId is no text");
            return Vec::new();
        };
        let claim =
            |(token, label)| Claim { token, condition: condition.clone(), outcome_index: None, label };
        tokens.into_iter().map(claim).collect()
    }

    /// What it tells of a token beside the mapping.
    fn facts(&self, claim: &Claim) -> TokenFacts {
        TokenFacts {
            token: claim.token,
            label: claim.label.clone(),
            payout: None,
            resolved: false,
            title: self.question.text().unwrap_or_default(),
            slug: self.slug.text().unwrap_or_default(),
        }
    }
}
