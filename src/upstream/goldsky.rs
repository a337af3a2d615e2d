//! Goldsky's positions subgraph: condition and outcome index by token, without labels.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::graphql;
use super::probe::Probed;
use super::record::{Cost, Field, List, OddRecord, read};
use super::{
    Answer, ApiInfo, Claim, Freshness, Http, KeyInfo, OpenFn, PublicService, RequestLimits, SettingInfo,
    SourceInfo, SourceSettings, Upstream, UpstreamError,
};
use crate::ids::TokenId;
use crate::source::Source;

/// What is known of it.
pub(super) static INFO: SourceInfo = SourceInfo {
    source: Source::Goldsky,
    title: "Goldsky",
    service: "Goldsky",
    phase: "PHASE 2",
    api: Some(ApiInfo {
        url: SettingInfo {
            name: "GOLDSKY_URL",
            // Polymarket's public positions subgraph.
            default: "https://api.goldsky.com/api/public/project_cl6mb8i9h0003e201j6li0diw/subgraphs/\
                      positions-subgraph/0.0.7/gn",
            help: "A positions subgraph",
        },
        rate_limit: SettingInfo {
            name: "GOLDSKY_RATE_LIMIT",
            default: "50/10s",
            help: "Requests that Goldsky allows",
        },
        key: Some(KeyInfo {
            name: "GOLDSKY_API_KEY",
            help: "The key of a private subgraph endpoint",
            required: false,
        }),
        mode: None,
        public: PublicService {
            freshness: Freshness::Incomplete,
            date: "2026-04-28",
            told: "by its own notice it returns incomplete data, and it knows no token of the second generation; let other tracks take a share (--tracks auto)",
        },
        about: "Phase 2: ask the Goldsky subgraph for its share of the tokens",
        details: "",
        examples: "Examples:\n  backfill goldsky                    in a terminal beside `backfill dome`\n  \
                   backfill goldsky --progress plain > goldsky.txt",
        open: OpenFn::Lookup(|settings, timeout| Ok(Box::new(Goldsky::new(settings, timeout)?))),
    }),
};

/// Rows in one answer. It must be asked for: left out, `first` is 100 and the rest is dropped in silence.
const FIRST: usize = 1_000;

const QUERY: &str = "query Tokens($ids: [String!]!, $first: Int!) { \
    tokenIdConditions(first: $first, where: {id_in: $ids}) { id condition { id } complement outcomeIndex } }";

/// A positions subgraph, public or private.
#[derive(Debug, Clone)]
pub struct Goldsky {
    http: Http,
}

impl Goldsky {
    /// The subgraph at `settings.url`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(settings: &SourceSettings, timeout: Duration) -> Result<Self, UpstreamError> {
        let http = Http::new(
            settings.url.clone(),
            settings.api_key.clone(),
            "GOLDSKY_URL (and GOLDSKY_API_KEY, where the endpoint is private)",
            timeout,
        )?;
        Ok(Self { http })
    }

    async fn conditions(&self, tokens: &[TokenId]) -> Result<Answer, UpstreamError> {
        let body = json!({"query": QUERY, "variables": {"ids": tokens, "first": FIRST}});
        let body = self.http.send(self.http.post(&body)).await?;
        answer(&String::from_utf8_lossy(&body), &|text| self.http.without_key(text))
    }
}

/// Reads a reply; keys are taken out of its errors by `without_key`.
pub(super) fn answer(text: &str, without_key: &dyn Fn(String) -> String) -> Result<Answer, UpstreamError> {
    let rows: Rows<'_> = graphql::data(text, without_key)?;
    Ok(rows.answer())
}

impl Upstream for Goldsky {
    fn source(&self) -> Source {
        Source::Goldsky
    }

    fn request_limits(&self) -> RequestLimits {
        RequestLimits { tokens: FIRST, bytes: usize::MAX, overhead: 0 }
    }

    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        _page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        // No token has two rows, so an answer to at most `first` tokens is never cut.
        Box::pin(self.conditions(tokens))
    }

    fn probe(&self) -> BoxFuture<'_, Probed> {
        // With no id in it: what counts is that the subgraph has these fields.
        let body = json!({"query": QUERY, "variables": {"ids": Vec::<String>::new(), "first": 1}});
        let understood = |body: &[u8]| {
            answer(&String::from_utf8_lossy(body), &|text| self.http.without_key(text))
                .map(|_| "a positions subgraph answers".to_owned())
        };
        Box::pin(self.http.probe(self.http.post(&body), understood))
    }
}

#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(rename = "tokenIdConditions", borrow)]
    token_id_conditions: List<&'a RawValue>,
}

#[derive(Deserialize)]
struct TokenIdCondition<'a> {
    #[serde(borrow, default)]
    id: Field<'a>,
    #[serde(borrow, default)]
    condition: Field<'a>,
    #[serde(borrow, default)]
    complement: Field<'a>,
    #[serde(rename = "outcomeIndex", borrow, default)]
    outcome_index: Field<'a>,
}

#[derive(Deserialize)]
struct Condition<'a> {
    #[serde(borrow, default)]
    id: Field<'a>,
}

impl Rows<'_> {
    fn answer(&self) -> Answer {
        let mut answer = Answer::default();
        for record in &self.token_id_conditions.0 {
            match read::<TokenIdCondition<'_>>(record) {
                Ok(row) => row.claims(record, &mut answer),
                Err(odd) => answer.odd.push(odd),
            }
        }
        answer
    }
}

impl TokenIdCondition<'_> {
    /// The token, and its complement: the other token of the same condition. The index may be null, and is but a hint.
    fn claims(&self, record: &RawValue, answer: &mut Answer) {
        let index = self.outcome_index.integer();
        let Some(token) = self.id.token() else {
            answer.odd.push(OddRecord::new(record, Cost::Unnamed, "id is no token id"));
            return;
        };
        let nested: Option<Condition<'_>> = self.condition.object();
        let Some(condition) = nested.map_or(self.condition, |condition| condition.id).text() else {
            let reason = "condition is null or names no id";
            answer.odd.push(OddRecord::new(record, Cost::Tokens(vec![token]), reason));
            return;
        };
        let claim = |token, outcome_index| Claim {
            token,
            condition: condition.clone(),
            outcome_index,
            label: String::new(),
        };
        let other = index.filter(|index| matches!(index, 0 | 1)).map(|index| 1 - index);
        let complement = self.complement.token().map(|token| claim(token, other));
        answer.markets.push([claim(token, index)].into_iter().chain(complement).collect());
    }
}
