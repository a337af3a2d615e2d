//! [`ValidateResult`]: what phase 5 found, wallet by wallet.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::baselines::Baseline;
use super::explain::Explanation;
use super::fees::Fees;
use super::signs::Signs;
use super::waterfall::{Step, Table};
use crate::phases::audit::finding::{AuditRun, Audited};
use crate::pnl::{Appraisal, FlowKind, Method, Position, Usd, Variance};
use crate::store::positions::{DataQuality, OddSide, Unmapped};
use crate::values::Percent;

/// The users' tables by their names, which evidence points to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvidenceTables {
    /// The fills.
    pub fills: String,
    /// The token map.
    pub token_map: String,
    /// The resolutions.
    pub resolutions: String,
    /// The flows.
    pub flows: String,
}

impl EvidenceTables {
    /// The name of a table by its role; empty for none.
    pub(super) fn name(&self, table: Table) -> &str {
        match table {
            Table::Fills => &self.fills,
            Table::TokenMap => &self.token_map,
            Table::Resolutions => &self.resolutions,
            Table::Flows => &self.flows,
            Table::None => "",
        }
    }
}

/// How a wallet's validation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The variance is strictly below the limit.
    Pass,
    /// It is not.
    Fail,
    /// A baseline of zero has no variance.
    Skipped,
}

/// One wallet's validation.
#[derive(Debug, Clone)]
pub struct WalletResult {
    /// What was expected of whom.
    pub baseline: Baseline,
    /// The definition that is compared.
    pub method: Method,
    /// Realized P&L by that definition.
    pub total: Usd,
    /// How far that is from what was expected.
    pub variance: Option<Variance>,
    /// How it ended.
    pub status: Status,
    /// The positions, those that count sorted from the largest gain to the largest loss, then the others.
    pub positions: Vec<Position>,
    /// Their realized P&L by the definition, in the same order; `None` for those that do not count.
    pub realized: Vec<Option<Usd>>,
    /// The P&L by every definition, its parts in the same order.
    pub appraisal: Appraisal,
    /// What exchanges took.
    pub fees: Fees,
    /// How many flows of each kind are known.
    pub flows: BTreeMap<FlowKind, u64>,
    /// Parts of flows in tokens that are in no position: those are not mapped.
    pub flows_without_position: u64,
    /// What the fills alone say of what is missing.
    pub signs: Signs,
    /// Its fills in tokens that are not mapped.
    pub unmapped: Vec<Unmapped>,
    /// What could explain a variance, the largest first.
    pub explanations: Vec<Explanation>,
    /// The steps from the expected to the computed total, the unexplained rest last.
    pub waterfall: Vec<Step>,
    /// What an audit against the chain found, where one was made.
    pub audited: Option<Audited>,
    /// What of the difference is left when all of them are taken off; never below zero.
    pub unexplained: Usd,
    /// What is odd about the fills.
    pub data_quality: DataQuality,
    /// The fills that are neither BUY nor SELL, by what stands there.
    pub odd_sides: Vec<OddSide>,
}

impl WalletResult {
    /// The positions that count with their P&L, from the largest gain to the largest loss.
    pub fn resolved(&self) -> impl DoubleEndedIterator<Item = (&Position, Usd)> {
        let pairs = self.positions.iter().zip(&self.realized);
        pairs.filter_map(|(position, realized)| Some((position, realized.clone()?)))
    }
}

/// What phase 5 found.
#[derive(Debug, Clone)]
pub struct ValidateResult {
    /// The wallets, in the order of the baselines.
    pub wallets: Vec<WalletResult>,
    /// The limit of the variance.
    pub limit: Percent,
    /// The names of the tables that evidence points to.
    pub tables: EvidenceTables,
    /// Whether to print the guide's page for each wallet.
    pub detail: bool,
    /// How the chain was asked, where the fills were audited.
    pub audit: Option<AuditRun>,
    /// Where every position was written.
    pub positions_file: Option<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: f64,
}

impl ValidateResult {
    /// Whether no wallet misses its limit.
    pub fn passes(&self) -> bool {
        self.wallets.iter().all(|wallet| wallet.status != Status::Fail)
    }
}
