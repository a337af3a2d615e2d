//! Polymarket's Data API, which has a look-up made for tokens of both generations: condition, index on chain, label, the
//! other token of the pair, and what a resolved token pays.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::facts::{PAYS_ALL, other_label, payout};
use super::record::{Cost, Field, List, OddRecord, frame, read};
use super::{
    Answer, ApiInfo, Claim, Freshness, Http, OpenFn, PublicService, RequestLimits, SettingInfo, SourceInfo,
    SourceSettings, TokenFacts, Upstream, UpstreamError,
};
use crate::ids::TokenId;
use crate::source::Source;

/// Distinct tokens in one request; more are refused.
const LIMIT: usize = 50;

/// Gateways refuse request lines above 8 KB.
const REQUEST_LINE: usize = 8_000;

/// What is known of it.
pub(super) static INFO: SourceInfo = SourceInfo {
    source: Source::Tokens,
    title: "Tokens",
    service: "Data API",
    phase: "PHASE 1b",
    api: Some(ApiInfo {
        url: SettingInfo {
            name: "TOKENS_URL",
            default: "https://data-api.polymarket.com",
            help: "Polymarket's Data API, whose token look-up is asked",
        },
        rate_limit: SettingInfo {
            name: "TOKENS_RATE_LIMIT",
            // That of the whole Data API; none of its own is named for this route.
            default: "800/10s",
            help: "Requests that the Data API allows",
        },
        key: None,
        mode: None,
        public: PublicService {
            freshness: Freshness::Current,
            date: "2026-11-01",
            told: "it knows tokens of both generations; what it tells of them lags by up to a minute",
        },
        about: "A further track: ask Polymarket's token look-up for its share of the tokens; needs no key",
        details: "Knows tokens of both generations, combos included. What it tells of payouts, titles and slugs is kept in \
                  STAGING_DATABASE.token_facts: `validate` takes payouts from it where no table has one, and \
                  `merge --metadata` fills questions and slugs.",
        examples: "Examples:\n  backfill setup --tracks tokens && backfill tokens     where no key is at hand\n  \
                   backfill run --tracks tokens,gamma",
        open: OpenFn::Lookup(|settings, timeout| Ok(Box::new(Tokens::new(settings, timeout)?))),
    }),
};

/// `GET /v2/tokens`, of which the base URL may carry a prefix.
#[derive(Debug, Clone)]
pub struct Tokens {
    http: Http,
}

impl Tokens {
    /// The API at `settings.url`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(settings: &SourceSettings, timeout: Duration) -> Result<Self, UpstreamError> {
        let http = Http::new(settings.url.clone(), settings.api_key.clone(), "TOKENS_URL", timeout)?;
        Ok(Self { http })
    }

    async fn look_up(&self, tokens: &[TokenId]) -> Result<Answer, UpstreamError> {
        let ids: Vec<String> = tokens.iter().map(TokenId::to_string).collect();
        let request = self.http.get("/v2/tokens", &[("token_id", ids.join(",").as_str())]);
        let body = self.http.send(request).await?;
        answer(&String::from_utf8_lossy(&body))
    }
}

impl Upstream for Tokens {
    fn source(&self) -> Source {
        Source::Tokens
    }

    fn request_limits(&self) -> RequestLimits {
        // A comma is three bytes of the line.
        let fixed = self.http.url().endpoint().path().len() + "GET /v2/tokens?token_id= HTTP/1.1".len();
        RequestLimits {
            tokens: LIMIT,
            bytes: REQUEST_LINE.saturating_sub(fixed).max(100),
            overhead: "%2C".len(),
        }
    }

    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        _page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        Box::pin(self.look_up(tokens))
    }
}

/// Reads an answer; its rows come in no promised order.
pub(super) fn answer(text: &str) -> Result<Answer, UpstreamError> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        data: List<&'a RawValue>,
    }
    let page: Page<'_> = frame(text)?;
    let mut answer = Answer::default();
    for record in page.data.0 {
        match read::<Row<'_>>(record) {
            Ok(row) => row.claims(record, &mut answer),
            Err(odd) => answer.odd.push(odd),
        }
    }
    Ok(answer)
}

/// A row; `clob_index`, the place in the order book, is left alone: it is not the index on chain.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, default)]
    token_id: Field<'a>,
    /// Of a mirror the legacy condition.
    #[serde(borrow, default)]
    condition_id: Field<'a>,
    #[serde(borrow, default)]
    structural_condition_id: Field<'a>,
    #[serde(borrow, default)]
    outcome_index: Field<'a>,
    #[serde(borrow, default)]
    outcome: Field<'a>,
    #[serde(borrow, default)]
    opposite_token_id: Field<'a>,
    #[serde(borrow, default)]
    resolved: Field<'a>,
    #[serde(borrow, default)]
    final_price: Field<'a>,
    #[serde(borrow, default)]
    title: Field<'a>,
    #[serde(borrow, default)]
    market_slug: Field<'a>,
}

impl Row<'_> {
    /// The token's claim, and one of the other token of its pair.
    fn claims(&self, record: &RawValue, answer: &mut Answer) {
        let Some(token) = self.token_id.token() else {
            answer.odd.push(OddRecord::new(record, Cost::Unnamed, "token_id is no token id"));
            return;
        };
        let Some(condition) = self.condition_id.text().or_else(|| self.structural_condition_id.text()) else {
            answer.odd.push(OddRecord::new(record, Cost::Tokens(vec![token]), "condition_id is no text"));
            return;
        };
        // Metadata lags: a label may be null for a minute.
        let label = self.outcome.text();
        if label.is_none() && !self.outcome.is_null() {
            answer.odd.push(OddRecord::new(record, Cost::Detail, "outcome is no text"));
        }
        let label = label.unwrap_or_default();
        let index = self.outcome_index.integer();
        let other = index.filter(|index| matches!(index, 0 | 1)).map(|index| 1 - index);
        let claim =
            |token, outcome_index, label| Claim { token, condition: condition.clone(), outcome_index, label };
        let resolved = self.resolved.is_true();
        let payout = self.final_price.text_or_number().filter(|_| resolved).and_then(|price| payout(&price));
        let facts = |token, label, payout| TokenFacts {
            token,
            label,
            payout,
            resolved,
            title: self.title.text().unwrap_or_default(),
            slug: self.market_slug.text().unwrap_or_default(),
        };
        let mut claims = vec![claim(token, index, label.clone())];
        // Where the other outcome's label is not known, its own row is worth a place in a request.
        if let (Some(opposite), Some(other_label)) = (self.opposite_token_id.token(), other_label(&label)) {
            claims.push(claim(opposite, other, other_label.to_owned()));
            let rest = payout.map(|payout| PAYS_ALL - payout);
            answer.facts.push(facts(opposite, other_label.to_owned(), rest));
        }
        answer.markets.push(claims);
        answer.facts.push(facts(token, label, payout));
    }
}
