//! What `prove` found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;

/// The answer for a pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Proof {
    /// `prove`.
    pub phase: String,
    /// The token.
    pub token_id: String,
    /// The condition.
    pub condition_id: String,
    /// Which outcome of the condition the token is; null where it is none.
    pub outcome_index: Option<u8>,
    /// The collateral that backs it; null where it is none.
    pub collateral: Option<String>,
    /// Why it does not belong to the condition; null where it does.
    pub reason: Option<String>,
    /// `proven` (by its hash), `mirror` (the second generation's twin), `structural` (by its own bits) or `refuted`.
    pub verdict: String,
}

/// The counts for a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Proofs {
    /// `prove`.
    pub phase: String,
    /// All rows.
    pub rows: u64,
    /// Rows that the hash proves.
    pub proven: u64,
    /// Rows of mirrors of their condition.
    pub mirror: u64,
    /// Rows that stand in their token's own bits.
    pub structural: u64,
    /// Rows that are refuted.
    pub refuted: u64,
    /// Rows whose ids are none.
    pub malformed: u64,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}
