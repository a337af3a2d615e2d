//! What `chain` came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::outcome::Outcome;

/// One provider as it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChainProvider {
    /// Its host.
    pub name: String,
    /// `portal` or `node`.
    pub kind: String,
    /// Its last final block.
    pub head: u64,
    /// Requests sent to it.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
}

/// What a check by a second provider found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChainCheck {
    /// Ranges that were compared.
    pub ranges: u64,
    /// Of them, those about which the providers differ: they are read again.
    pub differing: u64,
    /// Rows that the first provider had left out.
    pub missing: u64,
    /// Rows that the second provider does not have.
    pub unconfirmed: u64,
}

/// A file of conditions or payouts that was taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImportedFile {
    /// Its path; of a URL the file's name and the host.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Of them, conditions that check.
    pub conditions: u64,
    /// Of them, payouts whose condition checks.
    pub resolutions: u64,
    /// Of them, those that do not check or cannot be read: kept with their reason, never used.
    pub rejected: u64,
    /// Of them, conditions with other than two outcomes: strangers'.
    pub strangers: u64,
}

/// What reading the chain came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Chain {
    /// `chain`.
    pub phase: String,
    /// How it ended: `done`, `work_left` or `interrupted`.
    pub outcome: Outcome,
    /// The first block that is wanted.
    pub from_block: u64,
    /// The last block up to which every wanted block was read; one below the first where none was.
    pub to_block: u64,
    /// The last final block.
    pub finalized: u64,
    /// Ranges that this run read.
    pub ranges: u64,
    /// Requests of this run.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// Logs that this run read.
    pub logs: u64,
    /// Distinct conditions in the table.
    pub conditions: u64,
    /// Distinct conditions with a payout in the table.
    pub resolutions: u64,
    /// Distinct combos in the table.
    pub combos: u64,
    /// Distinct negative-risk markets in the table.
    pub markets: u64,
    /// Logs of this run that do not check: kept with their reason, never used.
    pub rejected: u64,
    /// Conditions of this run with other than two outcomes: strangers'.
    pub strangers: u64,
    /// Logs of this run that the chain had taken back.
    pub removed: u64,
    /// Conditions that are said to have two different payouts; neither is used.
    pub contradicting: u64,
    /// Ranges between the first and the final block that are still not read.
    pub holes: u64,
    /// The providers.
    pub providers: Vec<ChainProvider>,
    /// The files that were taken in; where there are any, no provider was asked.
    pub files: Vec<ImportedFile>,
    /// What a second provider said, where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<ChainCheck>,
    /// From the first request to the last rows acknowledged.
    pub work_seconds: Seconds,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}
