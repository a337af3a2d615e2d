//! What `verify` came to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChainKnowledge, Percentage, Seconds};
use crate::pnl::Usd;

/// What phase 4 found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Verify {
    /// `verify`.
    pub phase: String,
    /// Whether every check passes.
    pub passed: bool,
    /// The coverage that is wanted, of all tokens and of each wallet.
    pub target_pct: Percentage,
    /// All traded tokens.
    pub global: Global,
    /// The wallets, in the order asked for.
    pub wallets: Vec<WalletCoverage>,
    /// Positions that P&L can be computed of.
    pub positions: Positions,
    /// Tokens with more than one usable row in the map, as a reader sees it.
    pub duplicates: u64,
    /// Every check of the guide, each with what came out and what was wanted.
    pub checks: Vec<NumberCheck>,
    /// What is mapped and what is not, by tokens, fills and volume.
    pub gap: Gap,
    /// The traded tokens by generation: `1` for hashes, `2` for ids that carry their condition, `combos`.
    pub generations: BTreeMap<String, Generation>,
    /// Months with trades, in order.
    pub months: Vec<Month>,
    /// Tokens with fills dated before 2019 or after 2029-07.
    pub tokens_with_odd_dates: u64,
    /// The unmapped tokens with the most volume, the busiest first.
    pub top_unmapped: Vec<Unmapped>,
    /// The same, their ids alone.
    pub unmapped_sample: Vec<String>,
    /// What the chain says of the traded tokens; null where it was not read.
    pub chain: Option<ChainKnowledge>,
    /// Where every unmapped token was written; null where that was not asked for.
    pub gaps_file: Option<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}

/// How the traded tokens stand. `total = mapped + unmapped`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Global {
    /// Distinct well-formed token ids in the fills.
    pub total: u64,
    /// Of them, mapped.
    pub mapped: u64,
    /// Of them, not mapped.
    pub unmapped: u64,
    /// Of the unmapped: two usable rows of the map contradict each other.
    pub ambiguous: u64,
    /// Distinct values in the fills that are no token id, outside of the total.
    pub malformed: u64,
    /// Rows of the fills with such a value.
    pub malformed_fills: u64,
    /// Mapped, in percent of the total.
    pub coverage_pct: Percentage,
    /// The same less what is wanted, in percent points.
    pub margin_pct: Percentage,
    /// Tokens mapped beyond those that are wanted; negative where some are missing.
    pub margin: i64,
    /// Whether it is what is wanted; decided by the exact ratio.
    pub passed: bool,
}

/// How a wallet's fills stand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WalletCoverage {
    /// The wallet.
    pub wallet: String,
    /// Its distinct fills in well-formed tokens.
    pub fills: u64,
    /// Of them, in mapped tokens.
    pub mapped_fills: u64,
    /// Its distinct fills whose asset id is no token id, outside of both.
    pub malformed_fills: u64,
    /// Copies of fills that were delivered before.
    pub duplicate_fills: u64,
    /// Its positions that have a payout.
    pub resolved_positions: u64,
    /// Mapped fills, in percent of the fills.
    pub coverage_pct: Percentage,
    /// The same less what is wanted, in percent points.
    pub margin_pct: Percentage,
    /// Fills mapped beyond those that are wanted; negative where some are missing.
    pub margin: i64,
    /// Whether it is what is wanted. A wallet without fills has shown nothing.
    pub passed: bool,
}

/// A check of a number against its limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NumberCheck {
    /// `coverage`, `coverage of WALLET`, `positions` or `duplicates`.
    pub name: String,
    /// What came out: percent, or a count.
    pub value: f64,
    /// What was wanted: at least so much, of duplicates at most.
    pub limit: f64,
    /// How far the value is on the right side of the limit; negative where it is missed.
    pub margin: f64,
    /// Whether it holds; decided by the exact ratio.
    pub passed: bool,
}

/// Positions that P&L can be computed of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Positions {
    /// Resolved positions of all wallets together.
    pub resolved: u64,
    /// How many are wanted.
    pub wanted: u64,
    /// Whether there are as many.
    pub passed: bool,
}

/// How much hangs on some tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Weight {
    /// Distinct tokens.
    pub tokens: u64,
    /// Rows of the fills, a fill that was delivered twice included twice.
    pub fills: u64,
    /// The sum of price times size.
    pub volume: Usd,
}

/// How the traded tokens of a generation stand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Generation {
    /// Distinct tokens.
    pub tokens: u64,
    /// Of them, mapped.
    pub mapped: u64,
    /// The sum of price times size.
    pub volume: Usd,
    /// The same in percent of the volume of all.
    pub volume_pct: Percentage,
}

/// What is mapped and what is not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gap {
    /// All well-formed traded tokens.
    pub total: Weight,
    /// The mapped ones.
    pub mapped: Weight,
    /// The unmapped ones, by why they are; a token that several causes hold of counts under the first.
    pub causes: BTreeMap<String, Weight>,
    /// Fills of mapped tokens, in percent of all.
    pub coverage_by_fills_pct: Percentage,
    /// Volume of mapped tokens, in percent of all.
    pub coverage_by_volume_pct: Percentage,
    /// Fills whose price or size is no amount, and that have no volume.
    pub fills_without_volume: u64,
}

/// A calendar month in UTC.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Month {
    /// As `2025-11`.
    pub month: String,
    /// Distinct tokens traded in it.
    pub total: u64,
    /// Of them, mapped.
    pub mapped: u64,
    /// The same in percent.
    pub coverage_pct: Percentage,
}

/// An unmapped token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Unmapped {
    /// The token.
    pub token_id: String,
    /// Why it is unmapped, as in `gap.causes`.
    pub cause: String,
    /// Rows of the fills.
    pub fills: u64,
    /// Their volume.
    pub volume: Usd,
}
