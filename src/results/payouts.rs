//! Where a wallet's payouts come from, and what of the tables the chain contradicts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pnl::Usd;

/// Where a wallet's payouts come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PayoutOrigins {
    /// Positions with a payout, by the source that decided it.
    pub payouts_from: BTreeMap<String, u64>,
    /// Positions for which a table pays otherwise than the chain, whose payout counts.
    pub chain_contradictions: ChainContradictions,
}

/// Positions for which a table contradicts the chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChainContradictions {
    /// How many.
    pub count: u64,
    /// What the chain's payouts add to the realized P&L of all of them, compared with the tables'.
    pub amount: Usd,
    /// Those with the largest amounts, the largest first.
    pub positions: Vec<ChainContradiction>,
}

/// A position for which a table contradicts the chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChainContradiction {
    /// The condition.
    pub condition_id: String,
    /// The outcome index of the position's token.
    pub outcome_index: u8,
    /// The table that contradicts: `resolutions` or `winners`.
    pub table: String,
    /// What a share pays in USD by the chain, exact.
    pub chain_pays: String,
    /// The same by the table.
    pub table_pays: String,
    /// What the chain's payout adds to the realized P&L, compared with the table's.
    pub amount: Usd,
}
