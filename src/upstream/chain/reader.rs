//! [`LogReader`]: what a portal and a node can both do, and [`ReadError`], what goes wrong there, in the kinds that are
//! treated differently.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::chain::contracts::CHAIN_ID;
use crate::chain::{BlockRange, Log, LogError, LogFilter};
use crate::foreign;

/// What kind of provider it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// An SQD portal: an answer says how far it reaches, and never says more than it knows.
    Portal,
    /// A node's JSON-RPC: an answer says nothing of what it leaves out.
    Node,
}

impl ProviderKind {
    /// The word for it in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portal => "portal",
            Self::Node => "node",
        }
    }

    /// Blocks of the first request. Public nodes take 10,000; a portal stops by itself where it has enough.
    pub const fn first_span(self) -> u64 {
        match self {
            Self::Portal => 50_000,
            Self::Node => 10_000,
        }
    }
}

/// What one answer said of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The logs of the range that the filter takes, each once, in order.
    pub logs: Vec<Log>,
    /// The last block that the answer speaks of; at most the range's last.
    pub reaches: u64,
    /// Records that were no logs, with what was wrong and the record's beginning.
    pub unreadable: Vec<(String, String)>,
    /// Logs that the chain has taken back.
    pub removed: u64,
    /// The last block that the same server knows, where it was asked together with the logs.
    pub head: Option<u64>,
    /// Logs that nobody asked for: of other blocks, contracts or events.
    pub unasked: u64,
}

impl LogPage {
    /// Leaves what was asked for, in order and each once.
    pub(super) fn settle(mut self, filter: &LogFilter, range: BlockRange) -> Self {
        let range = BlockRange { to: range.to.min(self.reaches), ..range };
        let all = self.logs.len();
        self.logs.retain(|log| range.contains(log.block) && filter.takes(log));
        self.unasked = (all - self.logs.len()) as u64;
        self.logs.sort_unstable();
        self.logs.dedup();
        self
    }

    /// Whether something in it shows that it is not what the chain has.
    pub fn is_odd(&self) -> bool {
        !self.unreadable.is_empty() || self.unasked > 0
    }
}

impl LogPage {
    /// Sorts one record in, which reads `raw`.
    pub(super) fn take(&mut self, log: Result<Log, LogError>, raw: &str) {
        match log {
            Ok(log) => self.logs.push(log),
            Err(LogError::Removed) => self.removed += 1,
            Err(LogError::Unreadable(why)) => {
                self.unreadable.push((why, foreign::clean(raw, 4_000)));
            }
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Asked too fast.
    #[error("rate limited (429)")]
    Throttled {
        /// How long the provider wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
    /// The range has more blocks or more logs than the provider gives at once.
    #[error("the range is too large: {0}")]
    TooWide(String),
    /// The provider has thrown blocks that old away.
    #[error("it has no logs of blocks that old: {0}")]
    Pruned(String),
    /// The provider does not know these blocks yet.
    #[error("it is behind: {0}")]
    Behind(String),
    /// Something broke that may work the next time.
    #[error("{0}")]
    Passing(String),
    /// Nobody is there.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// A node of another chain.
    #[error("{provider} is a node of chain {id}, and Polygon is chain {CHAIN_ID}; check CHAIN_URL")]
    OtherChain {
        /// The node.
        provider: String,
        /// Its chain.
        id: u64,
    },
    /// The provider does not let us in, or is no such provider: nothing that is asked will be answered.
    #[error("{0}")]
    Unusable(String),
}

impl ReadError {
    /// The same with other words.
    pub(super) fn map_text(self, map: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::TooWide(text) => Self::TooWide(map(text)),
            Self::Pruned(text) => Self::Pruned(map(text)),
            Self::Behind(text) => Self::Behind(map(text)),
            Self::Passing(text) => Self::Passing(map(text)),
            Self::Unreachable(text) => Self::Unreachable(map(text)),
            Self::Unusable(text) => Self::Unusable(map(text)),
            Self::Throttled { .. } | Self::OtherChain { .. } => self,
        }
    }
}

/// Who gives logs.
pub trait LogReader: Send + Sync {
    /// Its name: the host and, where it says more, the port. Nothing secret, though a URL's path may be a key.
    fn name(&self) -> &str;

    /// Which kind it is.
    fn kind(&self) -> ProviderKind;

    /// One request: the last block that can change no more.
    fn finalized(&self) -> BoxFuture<'_, Result<u64, ReadError>>;

    /// One request: the last block that it knows. Of a portal the same as [`LogReader::finalized`].
    fn latest(&self) -> BoxFuture<'_, Result<u64, ReadError>>;

    /// One request: when a block was made, in seconds since 1970. A portal's logs say it themselves.
    fn time_of(&self, block: u64) -> BoxFuture<'_, Result<u32, ReadError>>;

    /// One request: the logs of a range. A portal may reach less far than asked; a node reaches all of it or refuses.
    /// With `bound` a node is asked for its head in the same request, where it takes several calls in one.
    fn logs<'a>(
        &'a self,
        filter: &'a LogFilter,
        range: BlockRange,
        bound: bool,
    ) -> BoxFuture<'a, Result<LogPage, ReadError>>;
}
