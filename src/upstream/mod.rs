//! What the engine needs of an API: [`Upstream`]. A further source of mappings costs one file that implements it and
//! exports its [`SourceInfo`], and one line in the `registry`. Rate limits, batch sizes, retries, proof, checkpoints and
//! writing belong to the engine.

mod body;
pub mod catalogue;
pub mod chain;
pub(crate) mod clob;
mod derived;
pub mod dome;
pub(crate) mod error;
mod facts;
pub(crate) mod gamma;
pub(crate) mod goldsky;
mod graphql;
mod http;
mod info;
pub(crate) mod probe;
mod record;
mod registry;
pub(crate) mod settings;
pub(crate) mod tokens;

use std::time::Instant;

use futures_util::future::BoxFuture;

pub use body::Body;
pub use error::{ErrorClass, UpstreamError};
pub use facts::TokenFacts;
pub use http::Http;
pub use info::{
    ApiInfo, Freshness, KeyInfo, ModeInfo, OpenFn, Opened, PublicService, SettingInfo, SourceInfo,
    SourceSettings,
};

pub use record::{Cost, OddRecord};

use crate::ids::TokenId;
use crate::source::Source;

/// How much one request of an API takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Tokens at the most, since an answer holds so many rows.
    pub tokens: usize,
    /// Bytes for all tokens together, where they stand in the request line.
    pub bytes: usize,
    /// Bytes that a token costs beside its digits.
    pub overhead: usize,
}

/// What an API says of one token, unproven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The token.
    pub token: TokenId,
    /// The condition, as the answer spells it.
    pub condition: String,
    /// The outcome index, where the answer gives one: a hint that the proof overrules.
    pub outcome_index: Option<i64>,
    /// The outcome's label, empty where the answer has none.
    pub label: String,
}

/// One page of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The claims, in groups of tokens that share a market: both sides of one stand together.
    pub markets: Vec<Vec<Claim>>,
    /// Records of which something could not be read.
    pub odd: Vec<OddRecord>,
    /// What it tells of tokens beside their mappings.
    pub facts: Vec<TokenFacts>,
    /// Where the answer says that it has more: what to ask with for the rest.
    pub more: Option<String>,
    /// Whether the tokens that are missing from it may be known all the same: they are to be asked again, with others.
    pub again: bool,
}

impl RequestLimits {
    /// Tokens of a full request, where their ids have as many digits as there can be.
    pub fn full(self) -> usize {
        /// Digits of the longest id.
        const LONGEST: usize = 78;
        let fit = if self.bytes == usize::MAX { usize::MAX } else { self.bytes / (LONGEST + self.overhead) };
        self.tokens.min(fit).max(1)
    }
}

/// No market has it, and every API takes it for a token.
pub const PROBE_TOKEN: TokenId = TokenId::from_be_bytes([1; 32]);

/// An API that is asked for tokens and answers with mappings.
pub trait Upstream: Send + Sync {
    /// Which source this is.
    fn source(&self) -> Source;

    /// What one request takes.
    fn request_limits(&self) -> RequestLimits;

    /// Asks for these tokens, or, with `page`, for the rest of an answer about them.
    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>>;

    /// Sends one cheap request that shows whether the source can be used: for a token that nobody has, where the API
    /// knows nothing cheaper.
    fn probe(&self) -> BoxFuture<'_, probe::Probed> {
        Box::pin(async move {
            let began = Instant::now();
            let answer = self.ask(&[PROBE_TOKEN], None).await.map(|_| "answers".to_owned());
            probe::Probed::new(answer, None, began, &|text| text)
        })
    }
}

#[cfg(test)]
mod tests;
