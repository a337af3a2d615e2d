//! [`Audited`]: what an audit of a wallet's fills against the chain found.

use crate::phases::validate::waterfall::Cause;
use crate::pnl::Usd;

/// What an audit of a wallet's fills against the chain found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audited {
    /// The wallet's fills on the chain.
    pub chain_fills: u64,
    /// Its fills in the table, each once.
    pub table_fills: u64,
    /// Where they differ.
    pub findings: Vec<AuditFinding>,
}

/// Fills of one kind of defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFinding {
    /// Which kind.
    pub cause: Cause,
    /// How many.
    pub fills: u64,
    /// What they add to the computed total; those of open conditions nothing.
    pub amount: Usd,
    /// The first ten, in words.
    pub first: Vec<String>,
    /// Some of their tokens.
    pub tokens: Vec<String>,
}

/// How the chain was asked for an audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditRun {
    /// Requests.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// The first block that was read.
    pub from_block: u64,
    /// The last one.
    pub to_block: u64,
}
