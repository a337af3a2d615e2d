//! What is told while the chain is read. Whoever listens decides how it reads.

use crate::chain::BlockRange;
use crate::track::blocks::ProviderEvent;

/// Something that happened while the chain was read.
#[derive(Debug, Clone, PartialEq)]
pub enum ChainEvent {
    /// A provider answers.
    Opened {
        /// Its host.
        provider: String,
        /// `portal` or `node`.
        kind: &'static str,
        /// Its last final block.
        head: u64,
    },
    /// A provider cannot be used, and others can.
    NotOpened {
        /// Its host.
        provider: String,
        /// Why.
        reason: String,
    },
    /// A provider's head is below what was read already.
    BehindCoverage {
        /// Its host.
        provider: String,
        /// Its last final block.
        head: u64,
        /// The last block that was read.
        covered: u64,
    },
    /// These blocks are to be read.
    Planned {
        /// Ranges that are not covered.
        ranges: u64,
        /// Their blocks.
        blocks: u64,
        /// From here.
        from: u64,
        /// To here.
        to: u64,
    },
    /// So far.
    Progress {
        /// Blocks that are still to be read.
        left: u64,
        /// Blocks that were to be read.
        blocks: u64,
        /// Logs that were read.
        logs: u64,
        /// Requests that were sent.
        requests: u64,
    },
    /// Something happened to a provider.
    Provider(ProviderEvent),
    /// A provider gave logs that cannot be true.
    FalseLogs {
        /// Its host.
        provider: String,
        /// The range.
        range: BlockRange,
        /// How many.
        count: u64,
    },
    /// Two providers differ about a range, which is read again.
    Differs {
        /// The range.
        range: BlockRange,
        /// Who was asked first.
        first: String,
        /// Who was asked now.
        second: String,
        /// Rows that the first had left out.
        missing: u64,
        /// Rows that the second does not have.
        unconfirmed: u64,
    },
    /// ClickHouse fails; the rows wait.
    StoreDown(String),
    /// ClickHouse works again.
    StoreBack,
    /// No provider says what its head is, for the first time since one did.
    NoHead(String),
    /// One says it again.
    HeadBack,
    /// The head was followed up to a block.
    Followed {
        /// The last block read.
        block: u64,
        /// Logs that were new.
        logs: u64,
    },
}

/// Listens to the chain being read; must return at once.
pub type ChainListener = std::sync::Arc<dyn Fn(ChainEvent) + Send + Sync>;
