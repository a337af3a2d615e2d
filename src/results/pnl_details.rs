//! What stands beside a wallet's total: its P&L by all definitions, its fees, its signs and its waterfall.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pnl::{Micro, Usd};

/// What stands beside a wallet's total.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PnlDetails {
    /// The definition that is compared: `resolved`, `certain` or `average-cost`.
    pub method: String,
    /// The total by each definition.
    pub definitions: DefinitionTotals,
    /// What stands between `resolved` and each of the others.
    pub differences: Differences,
    /// What exchanges took.
    pub fees: FeeTotals,
    /// Flows of each kind that are known.
    pub flows: BTreeMap<String, u64>,
    /// Parts of flows in tokens that are in no position.
    pub flows_without_position: u64,
    /// Signs that something is missing.
    pub signs: SignCounts,
    /// What an audit of the fills against the chain found; null where none was made.
    pub audit: Option<AuditTotals>,
    /// From the expected to the computed total; the amounts add up to their difference exactly.
    pub waterfall: Vec<WaterfallStep>,
}

/// What an audit of a wallet's fills found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuditTotals {
    /// The wallet's fills on the chain.
    pub chain_fills: u64,
    /// Its fills in the table, each once.
    pub table_fills: u64,
    /// Where they differ, by kind.
    pub findings: Vec<AuditDefect>,
}

/// Fills of one kind of defect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuditDefect {
    /// `missing_fills`, `doubled_fills`, `fills_with_another_price_or_size`, `fills_for_the_wrong_side` or
    /// `fills_unknown_to_the_chain`.
    pub cause: String,
    /// How many.
    pub fills: u64,
    /// What they add to the computed total at what their conditions pay; those of open ones nothing.
    pub amount: Usd,
    /// The first ten, in words.
    pub first: Vec<String>,
}

/// A wallet's P&L by each definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DefinitionTotals {
    /// Every position of a resolved condition.
    pub resolved: Usd,
    /// Those, and what no payout can change in open markets.
    pub certain: Usd,
    /// Sales and redemptions against the average cost.
    pub average_cost: Usd,
    /// The same in the integers of Polymarket's subgraph.
    pub average_cost_subgraph: Usd,
}

/// What stands between the definitions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Differences {
    /// From `resolved` to `certain`.
    pub certain: Vec<DefinitionGap>,
    /// From `resolved` to `average-cost`.
    pub average_cost: Vec<DefinitionGap>,
}

/// What one cause adds on the way to another definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DefinitionGap {
    /// The cause.
    pub cause: String,
    /// What it adds.
    pub amount: Usd,
    /// In how many positions.
    pub positions: u64,
}

/// A wallet's fees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FeeTotals {
    /// What was taken.
    pub total: Usd,
    /// `fills`, `chain`, `estimate` or `unknown`.
    pub source: String,
}

/// Signs that flows or fills are missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SignCounts {
    /// Positions of which more was sold than bought.
    pub below_zero: u64,
    /// The shares missing there.
    pub missing_shares_micro: Micro,
    /// What those pay.
    pub missing_worth: Usd,
    /// Conditions of which more of both outcomes was sold than bought.
    pub both_sold: u64,
    /// When the wallet's fills stop, in Unix seconds.
    pub last_fill: Option<u32>,
    /// Positions of open conditions that held shares then.
    pub held_at_the_end: u64,
}

/// One step from the expected to the computed total.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WaterfallStep {
    /// Why; the last one is `unexplained`.
    pub cause: String,
    /// What it adds.
    pub amount: Usd,
    /// How many positions, fills or flows it is made of.
    pub rows: u64,
    /// Where those stand, or are missing from.
    pub evidence: StepEvidence,
}

/// Where a step's rows stand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StepEvidence {
    /// The table; empty where it is none.
    pub table: String,
    /// Some token ids of it.
    pub tokens: Vec<String>,
}
