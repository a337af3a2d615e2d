//! What the chain says of the traded tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the chain, as far as it was read, says of the traded tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChainKnowledge {
    /// The last block that was read; 0 where all of it came from files.
    pub read_up_to: u64,
    /// Ranges below it that were not read.
    pub holes: u64,
    /// Traded tokens whose condition the chain is not known to have: a hole, or no token at all. Those of the second
    /// generation that carry their condition are not among them.
    pub unknown: u64,
    /// Those with the most fills, the busiest first.
    pub tokens: Vec<UnknownToken>,
}

/// A traded token whose condition the chain is not known to have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UnknownToken {
    /// The token.
    pub token_id: String,
    /// The condition that the map has for it; null where it has none.
    pub condition_id: Option<String>,
    /// Rows of the fills.
    pub fills: u64,
}
