//! Phase 5: realized P&L against what was expected.

pub mod baselines;
pub mod expected;
mod explain;
pub mod positions_file;

use std::path::PathBuf;

pub use baselines::Baseline;
pub use explain::Explanation;

use super::Context;
use crate::ctf::Collateral;
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::pnl::{Position, Usd, Variance};
use crate::store::positions::{Holdings, Oddities, Unmapped};
use crate::values::Percent;
use explain::{explain, prove};
use positions_file::PositionsFile;

/// How phase 5 is run.
#[derive(Debug, Clone)]
pub struct ValidateOptions {
    /// The wallets.
    pub baselines: Vec<Baseline>,
    /// Where to write every position.
    pub positions_file: Option<PositionsFile>,
    /// Print the guide's page for each wallet, however many there are.
    pub detail: bool,
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
    /// Realized P&L of all resolved positions.
    pub total: Usd,
    /// How far that is from what was expected.
    pub variance: Option<Variance>,
    /// How it ended.
    pub status: Status,
    /// The positions, the resolved ones sorted from the largest gain to the largest loss, then the others.
    pub positions: Vec<Position>,
    /// Their realized P&L, in the same order; `None` while unresolved.
    pub realized: Vec<Option<Usd>>,
    /// Its fills in tokens that are not mapped.
    pub unmapped: Vec<Unmapped>,
    /// What could explain a variance, the largest first.
    pub explanations: Vec<Explanation>,
    /// What of the difference is left when all of them are taken off; never below zero.
    pub unexplained: Usd,
    /// What is odd about the fills.
    pub oddities: Oddities,
}

impl WalletResult {
    /// The resolved positions with their P&L, from the largest gain to the largest loss.
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
    context.progress.step("Adding up the positions");
    let wallets: Vec<Wallet> = options.baselines.iter().map(|baseline| baseline.wallet).collect();
    let holdings = context.store.holdings(&wallets).await?;
    let wallets: Vec<WalletResult> = (options.baselines.iter().zip(holdings))
        .map(|(baseline, holdings)| assess_holdings(baseline, holdings, limit, &context.settings.collaterals))
        .collect();
    if let Some(file) = &options.positions_file {
        file.write(&context.store, &wallets).await?;
    }
    Ok(ValidateResult {
        wallets,
        limit,
        detail: options.detail,
        positions_file: options.positions_file.as_ref().map(|file| file.path().to_owned()),
        elapsed_seconds: context.elapsed(),
    })
}

/// Weighs what a wallet holds against what was expected of it.
pub fn assess_holdings(
    baseline: &Baseline,
    holdings: Holdings,
    limit: Percent,
    collaterals: &[Collateral],
) -> WalletResult {
    let Holdings { positions, unmapped, oddities, .. } = holdings;
    // The largest gain first, unresolved ones last; of equals always in the order of their tokens.
    let mut positions: Vec<(Option<Usd>, Position)> =
        positions.into_iter().map(|position| (position.realized(), position)).collect();
    positions.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.token_id.cmp(&b.1.token_id)));
    let (realized, positions): (Vec<Option<Usd>>, Vec<Position>) = positions.into_iter().unzip();
    let total: Usd = realized.iter().flatten().cloned().sum();
    let variance = Variance::of(&total, &baseline.expected);
    let status = match &variance {
        None => Status::Skipped,
        Some(variance) if variance.is_below(limit) => Status::Pass,
        Some(_) => Status::Fail,
    };
    // Proofs are the costly part, and asked for where something is to be explained.
    let proofs = if status == Status::Fail { prove(&positions, collaterals) } else { Vec::new() };
    let explanations = explain(&positions, &realized, &proofs, &unmapped);
    let explained: Usd = explanations.iter().map(|it| it.worth.clone()).sum();
    let unexplained = (total.clone() - baseline.expected.clone()).abs() - explained;
    WalletResult {
        baseline: baseline.clone(),
        total,
        variance,
        status,
        positions,
        realized,
        unmapped,
        explanations,
        unexplained: unexplained.max(Usd::zero()),
        oddities,
    }
}

#[cfg(test)]
mod tests;
