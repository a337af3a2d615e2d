//! Goldsky's positions subgraph: condition and outcome index by token, without labels.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::probe::Probed;
use super::{
    Answer, ApiInfo, Claim, Http, KeyInfo, OpenFn, Room, SettingInfo, SourceInfo, SourceSettings, Upstream,
    UpstreamError,
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
        workers: 32,
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
        let rows = self.rows(&self.http.send(self.http.post(&body)).await?)?;
        Ok(Answer { markets: rows.into_iter().map(TokenIdCondition::claims).collect(), ..Answer::default() })
    }

    fn rows(&self, body: &[u8]) -> Result<Vec<TokenIdCondition>, UpstreamError> {
        let reply: Reply = serde_json::from_slice(body).map_err(|error| {
            UpstreamError::Broken(format!("an answer that is not the documented JSON ({error})"))
        })?;
        if let Some(error) = reply.errors.unwrap_or_default().into_iter().next() {
            return Err(graphql_error(&self.http.without_key(error.message.clone())));
        }
        let rows = reply.data.and_then(|data| data.token_id_conditions);
        rows.ok_or_else(|| UpstreamError::Broken("an answer with neither data nor errors".to_owned()))
    }
}

impl Upstream for Goldsky {
    fn source(&self) -> Source {
        Source::Goldsky
    }

    fn room(&self) -> Room {
        Room { tokens: FIRST, bytes: usize::MAX, overhead: 0 }
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
        let understood = |body: &[u8]| self.rows(body).map(|_| "a positions subgraph answers".to_owned());
        Box::pin(self.http.probe(self.http.post(&body), understood))
    }
}

/// Errors come as HTTP 200; what they mean stands only in their words.
fn graphql_error(message: &str) -> UpstreamError {
    let shown: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["timeout", "timed out", "too complex", "complexity", "too large"]) {
        UpstreamError::TooLarge(shown)
    } else if says(&["rate limit", "too many requests"]) {
        UpstreamError::Throttled { retry_after: None }
    } else if says(&[
        "cannot query",
        "unknown field",
        "no field",
        "type `query` has",
        "syntax",
        "parse error",
    ]) {
        UpstreamError::BadRequest(format!("{shown}; is GOLDSKY_URL a positions subgraph?"))
    } else if says(&["subgraph", "deployment"]) && says(&["not found", "does not exist", "no subgraph"]) {
        UpstreamError::Shut(format!("{shown}; check GOLDSKY_URL"))
    } else {
        UpstreamError::Broken(shown)
    }
}

#[derive(Deserialize)]
struct Reply {
    data: Option<Rows>,
    errors: Option<Vec<GraphqlError>>,
}

#[derive(Deserialize)]
struct GraphqlError {
    message: String,
}

#[derive(Deserialize)]
struct Rows {
    #[serde(rename = "tokenIdConditions")]
    token_id_conditions: Option<Vec<TokenIdCondition>>,
}

#[derive(Deserialize)]
struct TokenIdCondition {
    id: String,
    condition: Condition,
    complement: Option<String>,
    #[serde(rename = "outcomeIndex")]
    outcome_index: Option<String>,
}

#[derive(Deserialize)]
struct Condition {
    id: String,
}

impl TokenIdCondition {
    /// The token, and its complement: the other token of the same condition.
    fn claims(self) -> Vec<Claim> {
        let index: Option<i64> = self.outcome_index.and_then(|index| index.parse().ok());
        let claim = |id: &str, outcome_index| {
            let condition = self.condition.id.clone();
            Some(Claim { token: id.parse().ok()?, condition, outcome_index, label: String::new() })
        };
        let other = match index {
            Some(index @ (0 | 1)) => Some(1 - index),
            _ => None,
        };
        let complement = self.complement.as_deref().and_then(|id| claim(id, other));
        claim(&self.id, index).into_iter().chain(complement).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sure_to_stay_so_ends_a_track() {
        let kind = |message: &str| graphql_error(message).reason();
        let (broken, refused, shut) = (4, 5, 6);
        assert_eq!(UpstreamError::REASONS[broken..=shut], ["broken", "refused", "shut"]);
        for passes in ["unexpected error", "Unexpected end of file", "block 0x12 not found", "Store error: x"]
        {
            assert_eq!(kind(passes), broken, "{passes}");
        }
        for stays in
            ["Type `Query` has no field `tokenIdConditions`", "query parse error: Parse error at 1:1"]
        {
            assert_eq!(kind(stays), refused, "{stays}");
        }
        for gone in
            ["subgraph not found", "deployment `Qm` does not exist", "No subgraph found under this name"]
        {
            assert_eq!(kind(gone), shut, "{gone}");
        }
    }
}
