//! Phase 5: realized P&L against what was expected.

use std::path::{Path, PathBuf};

use super::Context;
use crate::cores::on_all_cores;
use crate::ctf::{self, Collateral};
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::pnl::{Position, Usd, Variance};
use crate::settings::Percent;
use crate::store::positions::{Holdings, Oddities, Unmapped};

/// A wallet whose realized P&L is known from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The wallet.
    pub wallet: Wallet,
    /// Its expected realized P&L.
    pub expected: Usd,
    /// What it is called, where it is called something.
    pub label: Option<String>,
}

/// How phase 5 is run.
#[derive(Debug, Clone)]
pub struct ValidateOptions {
    /// The wallets.
    pub baselines: Vec<Baseline>,
    /// Where to write every position.
    pub positions_file: Option<PathBuf>,
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

/// Something that may explain a variance, in USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it is.
    pub cause: &'static str,
    /// How many there are, of what the cause says.
    pub count: u64,
    /// What it could be worth.
    pub worth: Usd,
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
    let limit = context.settings.variance_limit;
    if let Some(path) = &options.positions_file {
        check_ending(path)?;
    }
    context.progress.step("Adding up the positions");
    let wallets: Vec<Wallet> = options.baselines.iter().map(|baseline| baseline.wallet).collect();
    let holdings = context.store.holdings(&wallets).await?;
    let wallets: Vec<WalletResult> = (options.baselines.iter().zip(holdings))
        .map(|(baseline, holdings)| assess_holdings(baseline, holdings, limit, &context.settings.collaterals))
        .collect();
    if let Some(path) = &options.positions_file {
        write_positions(path, &wallets)?;
    }
    Ok(ValidateResult {
        wallets,
        limit,
        detail: options.detail,
        positions_file: options.positions_file.clone(),
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
        explanations,
        unexplained: unexplained.max(Usd::zero()),
        oddities,
    }
}

/// What could be missing from a total or wrong in it, the largest first. A fill or a position counts in one cause.
fn explain(
    positions: &[Position],
    realized: &[Option<Usd>],
    proofs: &[Proven],
    unmapped: &[Unmapped],
) -> Vec<Explanation> {
    let mut causes: Vec<Explanation> = Vec::new();
    let mut add = |cause, count: u64, worth: Usd| match causes.iter_mut().find(|it| it.cause == cause) {
        Some(known) => {
            known.count += count;
            known.worth = known.worth.clone() + worth;
        }
        None => causes.push(Explanation { cause, count, worth }),
    };
    for it in unmapped {
        let cause = match (it.well_formed, it.ambiguous) {
            (false, _) => "fills of malformed asset ids",
            (true, true) => "fills of tokens that the map contradicts itself about",
            (true, false) => "fills of unmapped tokens",
        };
        add(cause, it.fills, it.cashflow.units().abs());
    }
    for (place, (position, realized)) in positions.iter().zip(realized).enumerate() {
        if let Some((cause, worth)) = doubt(position, realized.as_ref(), proofs.get(place)) {
            add(cause, 1, worth);
        }
    }
    let repeats = positions.iter().filter(|position| position.repeated.fills > 0);
    let count = repeats.clone().map(|position| position.repeated.fills).sum();
    let worth: Usd = repeats.filter_map(Position::realized_by_repeats).sum();
    if count > 0 {
        add("second deliveries of fills, had they been counted", count, worth.abs());
    }
    causes.sort_by(|a, b| b.worth.cmp(&a.worth));
    causes
}

/// What the hash says of a position's mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proven {
    /// The token is this outcome of the condition.
    Outcome(u8),
    /// The token is no outcome of the condition with a listed collateral.
    Nothing,
}

fn prove(positions: &[Position], collaterals: &[Collateral]) -> Vec<Proven> {
    on_all_cores(positions, |position| {
        // Both were well-formed when ClickHouse looked at them.
        let ids = position.token_id.parse().ok().zip(position.condition_id.parse().ok());
        ids.and_then(|(token, condition)| ctf::prove(&token, &condition, collaterals))
            .map_or(Proven::Nothing, |proof| Proven::Outcome(proof.outcome_index))
    })
}

/// What makes a position's P&L doubtful, and how many USD hang on it.
fn doubt(
    position: &Position,
    realized: Option<&Usd>,
    proven: Option<&Proven>,
) -> Option<(&'static str, Usd)> {
    let decision = &position.decision;
    let cost = position.cashflow.units().abs();
    let Some(realized) = realized else {
        let cause = match decision.listed {
            true => "positions whose resolution decides nothing",
            false => "positions in conditions without a resolution",
        };
        return Some((cause, cost));
    };
    match proven {
        Some(Proven::Outcome(index)) if *index != position.outcome_index => {
            let otherwise = position.realized_otherwise();
            let worth = otherwise.map_or(cost, |right| (right - realized.clone()).abs());
            Some(("positions mapped to the wrong outcome, as their token proves", worth))
        }
        _ if decision.contradicts_itself => {
            Some(("positions whose resolution contradicts itself", realized.abs()))
        }
        _ if decision.tables_disagree => {
            Some(("positions whose two tables name different winners", realized.abs()))
        }
        Some(Proven::Nothing) => Some(("positions whose mapping has no proof", realized.abs())),
        Some(Proven::Outcome(_)) | None => None,
    }
}

/// Reads `wallet,expected_pnl[,label]`.
///
/// # Errors
/// The file, and the line that cannot be read.
pub fn read_baselines(path: &Path) -> Result<Vec<Baseline>, Failure> {
    let failed = |what: String| Failure::File(format!("{}: {what}", path.display()));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_path(path)
        .map_err(|error| failed(error.to_string()))?;
    let headers = reader.headers().map_err(|error| failed(error.to_string()))?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim_start_matches('\u{feff}') == name);
    let (Some(wallet), Some(expected)) = (column("wallet"), column("expected_pnl")) else {
        return Err(failed("the first line must name the columns wallet and expected_pnl".to_owned()));
    };
    let label = column("label");
    let mut baselines: Vec<Baseline> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| failed(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |error: String| failed(format!("line {line}: {error}"));
        let field = |column: usize| record.get(column).unwrap_or_default();
        let wallet: Wallet = field(wallet).parse().map_err(|error| at(format!("{error}")))?;
        let expected: Usd = field(expected).parse().map_err(|error| at(format!("expected_pnl: {error}")))?;
        if baselines.iter().any(|other| other.wallet == wallet) {
            return Err(at(format!("{wallet} stands there twice")));
        }
        let label = label.map(|label| field(label).to_owned()).filter(|label| !label.is_empty());
        baselines.push(Baseline { wallet, expected, label });
    }
    if baselines.is_empty() { Err(failed("no wallet stands in it".to_owned())) } else { Ok(baselines) }
}

/// Positions are written as CSV and as nothing else.
fn check_ending(path: &Path) -> Result<(), Failure> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        None | Some("csv") => Ok(()),
        Some(_) => Err(Failure::File(format!(
            "{}: positions are written as CSV, name a file that ends in .csv",
            path.display()
        ))),
    }
}

fn write_positions(path: &Path, wallets: &[WalletResult]) -> Result<(), Failure> {
    let write = || -> Result<(), csv::Error> {
        let mut file = csv::Writer::from_path(path)?;
        file.write_record([
            "wallet",
            "token_id",
            "condition_id",
            "outcome_index",
            "label",
            "fills",
            "net_shares_micro",
            "cashflow_micro",
            "payout",
            "winner",
            "paid_out",
            "realized_pnl",
            "second_deliveries",
        ])?;
        for position in wallets.iter().flat_map(|wallet| &wallet.positions) {
            file.write_record([
                position.wallet.to_string(),
                position.token_id.clone(),
                position.condition_id.clone(),
                position.outcome_index.to_string(),
                position.label.clone(),
                position.fills.to_string(),
                position.net_shares.exact(),
                position.cashflow.exact(),
                position.decision.payout.as_ref().map(crate::pnl::Payout::exact).unwrap_or_default(),
                position.decision.winner.clone(),
                position.paid_out().map(|usd| usd.exact()).unwrap_or_default(),
                position.realized().map(|usd| usd.exact()).unwrap_or_default(),
                position.repeated.fills.to_string(),
            ])?;
        }
        file.flush()?;
        Ok(())
    };
    write().map_err(|error| Failure::File(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
