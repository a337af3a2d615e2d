//! What `flows` came to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChainProvider, Seconds};
use crate::outcome::Outcome;

/// What reading the wallets' flows came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Flows {
    /// `flows`.
    pub phase: String,
    /// How it ended: `done`, `work_left` or `interrupted`.
    pub outcome: Outcome,
    /// The wallets, each proxy of a person counted.
    pub wallets: u64,
    /// The first block that is wanted.
    pub from_block: u64,
    /// The last block up to which everything of every wallet was read; one below the first where nothing was.
    pub to_block: u64,
    /// The last final block.
    pub finalized: u64,
    /// Requests of this run.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// Logs that this run read.
    pub logs: u64,
    /// Blocks of which this run read every change of form: the wallets went through an adapter or the router there.
    pub whole_blocks: u64,
    /// Flows of the wallets in the table, by kind.
    pub rows: BTreeMap<String, u64>,
    /// Records of this run that are no logs.
    pub unreadable: u64,
    /// Negative-risk markets of this run whose conversion fee nobody knows: it is taken from the shares that came.
    pub unknown_fees: u64,
    /// Ranges that are still not read.
    pub holes: u64,
    /// The providers.
    pub providers: Vec<ChainProvider>,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}
