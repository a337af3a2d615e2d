//! What `validate` came to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PayoutOrigins, Percentage, PnlDetails, Seconds};
use crate::outcome::Outcome;
use crate::pnl::{Micro, Usd};

/// What phase 5 found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Validate {
    /// `validate`.
    pub phase: String,
    /// Whether no wallet misses the limit.
    pub passed: bool,
    /// The limit: a variance passes that is strictly below it on either side.
    pub variance_limit_pct: Percentage,
    /// The wallets, in the order of the baselines.
    pub wallets: Vec<WalletValidation>,
    /// How the chain was asked for the audit; null where none was made.
    pub audit: Option<AuditRequests>,
    /// Where every position was written; null where that was not asked for.
    pub positions_file: Option<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
    /// Whether the page shows each wallet whole, however many there are.
    #[serde(skip)]
    pub detail: bool,
}

/// How the chain was asked for an audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuditRequests {
    /// Requests of all wallets together.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// The first block that was read.
    pub from_block: u64,
    /// The last one.
    pub to_block: u64,
}

impl Validate {
    /// How it ended: below the threshold too where there was nothing to compare with.
    pub fn outcome(&self) -> Outcome {
        let compared = self.wallets.iter().any(|wallet| wallet.status != WalletStatus::Skipped);
        Outcome::of_check(self.passed && (compared || self.wallets.is_empty()))
    }
}

/// How a wallet's validation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WalletStatus {
    /// The variance is strictly below the limit.
    Pass,
    /// It is not.
    Fail,
    /// A baseline of zero has no variance.
    #[default]
    Skipped,
}

/// One wallet's validation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WalletValidation {
    /// The wallet.
    pub wallet: String,
    /// What it is called; null where it is called nothing.
    pub label: Option<String>,
    /// The realized P&L that is expected.
    pub expected: Usd,
    /// The realized P&L of all resolved positions.
    pub total: Usd,
    /// The total less what is expected.
    pub delta: Usd,
    /// The same in percent of what is expected without its sign; null where nothing is expected.
    pub variance_pct: Option<Percentage>,
    /// How far the variance is from the limit, in percent points; negative where it is missed.
    pub margin_pct: Option<Percentage>,
    /// How it ended.
    pub status: WalletStatus,
    /// Resolved positions.
    pub positions: u64,
    /// Positions with a realized P&L above zero.
    pub wins: Count,
    /// All other resolved positions.
    pub losses: Count,
    /// Resolved positions of each outcome index.
    pub outcomes: Outcomes,
    /// The labels that the positions of each outcome index carry, the most frequent first.
    pub outcome_labels: BTreeMap<String, Vec<String>>,
    /// The largest gains.
    pub top_winners: Vec<Position>,
    /// The largest losses.
    pub top_losers: Vec<Position>,
    /// Realized P&L of the positions from the largest gain to the largest loss; of many only the two ends, and null where
    /// there are many wallets.
    pub pnl_by_position: Option<Vec<Usd>>,
    /// What could explain a difference, the largest first.
    pub explanations: Vec<Explanation>,
    /// What of the difference is left when all of them are taken off; never below zero.
    pub unexplained: Usd,
    /// Positions without a payout.
    pub unresolved: u64,
    /// Fills in tokens that are not mapped.
    pub unmapped_fills: u64,
    /// Second deliveries of a fill, left out.
    pub duplicates: u64,
    /// Fills whose deliveries differ; the newest counts.
    pub changed: u64,
    /// Fills without an id: each counts for itself.
    pub nameless: u64,
    /// Fills that are neither BUY nor SELL, left out.
    pub odd_side: u64,
    /// The same by what stands there, the largest first.
    pub odd_sides: Vec<OddSide>,
    /// Positions of a condition with a label that contradicts its place, which was not taken.
    pub misplaced_labels: u64,
    /// Fills with a price that is none, or not between 0 and 1, left out.
    pub odd_price: u64,
    /// Fills with an impossible size, left out.
    pub odd_size: u64,
    /// Fills with more decimals than are counted with, which are cut.
    pub inexact: u64,
    /// Positions whose resolution has rows that contradict each other; the newest counts.
    pub contradicting: u64,
    /// Positions whose resolution contradicts itself; the payout vector counts.
    pub self_contradicting: u64,
    /// Positions whose two tables name different winners; the resolutions count.
    pub tables_disagree: u64,
    /// Positions resolved with a denominator of zero: unresolved.
    pub zero_denominator: u64,
    /// Positions whose winner is named by neither of the condition's two labels: unresolved.
    pub undecidable: u64,
    /// Positions whose winner only the CLOB's catalogue names.
    pub from_catalogue: u64,
    /// Positions in combos that are undecided: a leg is open, or the legs are not known.
    pub undecided_combos: u64,
    /// Where the payouts come from.
    #[serde(flatten)]
    pub payouts: PayoutOrigins,
    /// What stands beside the total.
    #[serde(flatten)]
    pub details: PnlDetails,
}

/// Fills whose side is neither BUY nor SELL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OddSide {
    /// What stands there, in upper case.
    pub side: String,
    /// How many fills.
    pub fills: u64,
    /// The sum of price times size.
    pub worth: Usd,
}

/// Positions and their realized P&L.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub pnl: Usd,
}

/// Resolved positions of each outcome index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Outcomes {
    /// Of index 0.
    #[serde(rename = "0")]
    pub zero: u64,
    /// Of index 1.
    #[serde(rename = "1")]
    pub one: u64,
    /// Of any other.
    pub other: u64,
}

/// A resolved position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Position {
    /// The condition.
    pub condition_id: String,
    /// The outcome index of its token.
    pub outcome_index: u8,
    /// The winner's label, empty where only the payout is known.
    pub winner: String,
    /// What a share pays in USD, exact.
    pub payout_per_share: String,
    /// Bought less sold, in micro-shares.
    pub net_shares_micro: Micro,
    /// Received less paid, in micro-USD.
    pub cost_basis_micro: Micro,
    /// What the shares are paid.
    pub payout: Option<Usd>,
    /// The realized P&L.
    pub pnl: Usd,
}

/// Something that could explain a difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Explanation {
    /// What it is.
    pub cause: String,
    /// How many there are, of what the cause says.
    pub count: u64,
    /// What it could be worth.
    pub worth: Usd,
}
