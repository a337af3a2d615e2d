//! Phase 5: realized P&L against what was expected.

mod assess;
pub mod baselines;
pub(crate) mod details;
pub mod expected;
mod explain;
mod fees;
pub mod positions_file;
mod signs;
mod waterfall;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use assess::{AssessRules, assess_holdings};
pub use baselines::Baseline;
pub use explain::Explanation;
pub use fees::{FeeSource, Fees};
pub use signs::Signs;
pub use waterfall::{Cause, Step, Table};

use super::Context;
use super::events::Activity;
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::pnl::{Appraisal, FlowKind, Method, Position, TransferRule, Usd, Variance};
use crate::store::flows::WalletFlows;
use crate::store::positions::{OddSide, Oddities, Unmapped};
use crate::values::Percent;
use details::EvidenceTables;
use positions_file::PositionsFile;

/// How phase 5 is run.
#[derive(Debug, Clone, Default)]
pub struct ValidateOptions {
    /// The wallets.
    pub baselines: Vec<Baseline>,
    /// Where to write every position.
    pub positions_file: Option<PositionsFile>,
    /// Print the guide's page for each wallet, however many there are.
    pub detail: bool,
    /// The definition of P&L that is compared, where a wallet's baseline names none; `None` for the default.
    pub method: Option<Method>,
    /// What shares from other wallets cost.
    pub transfers: TransferRule,
}

/// What an audit of a wallet's fills against the chain found, as steps of its waterfall: cause, amount, rows, examples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audited {
    /// The steps.
    pub steps: Vec<(Cause, Usd, u64, Vec<String>)>,
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
    pub oddities: Oddities,
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

/// Runs phase 5: one pass over the fills, however many wallets there are. It writes nothing but the file asked for.
///
/// # Errors
/// A table is missing, ClickHouse fails, or the file cannot be written.
pub async fn run(context: &Context, options: &ValidateOptions) -> Result<ValidateResult, Failure> {
    let limit = context.settings.thresholds.variance_limit;
    super::combos::take_in(context).await?;
    context.begins(Activity::AddingUpPositions);
    let wallets: Vec<Wallet> = options.baselines.iter().map(|baseline| baseline.wallet).collect();
    let holdings = context.store.holdings(&wallets).await?;
    let rules = AssessRules {
        limit,
        collaterals: &context.settings.collaterals,
        method: options.method,
        transfers: options.transfers,
    };
    let flows = WalletFlows::default();
    let wallets: Vec<WalletResult> = (options.baselines.iter().zip(holdings))
        .map(|(baseline, holdings)| assess_holdings(baseline, holdings, &flows, None, rules))
        .collect();
    if let Some(file) = &options.positions_file {
        file.write(&context.store, &wallets).await?;
    }
    Ok(ValidateResult {
        wallets,
        limit,
        tables: evidence_tables(context),
        detail: options.detail,
        positions_file: options.positions_file.as_ref().map(|file| file.path().to_owned()),
        elapsed_seconds: context.elapsed(),
    })
}

fn evidence_tables(context: &Context) -> EvidenceTables {
    let names = context.store.names();
    EvidenceTables {
        fills: names.fills.plain(),
        token_map: names.token_map.plain(),
        resolutions: names.resolutions.plain(),
        flows: context.store.staging_table("wallet_flows").plain(),
    }
}

#[cfg(test)]
mod tests;
