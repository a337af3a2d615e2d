//! Phase 5: realized P&L against what was expected.

use std::path::{Path, PathBuf};

use super::Context;
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::pnl::{Position, Usd, Variance};
use crate::settings::Percent;
use crate::store::positions::{Holdings, Oddities};

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
    /// What could explain a variance, the largest first.
    pub explanations: Vec<Explanation>,
    /// What is odd about the fills.
    pub oddities: Oddities,
}

impl WalletResult {
    /// The resolved positions with their P&L, from the largest gain to the largest loss.
    pub fn resolved(&self) -> impl DoubleEndedIterator<Item = (&Position, Usd)> {
        self.positions.iter().filter_map(|position| Some((position, position.realized()?)))
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
    context.progress.step("Adding up the positions");
    let wallets: Vec<Wallet> = options.baselines.iter().map(|baseline| baseline.wallet).collect();
    let holdings = context.store.holdings(&wallets).await?;
    let wallets: Vec<WalletResult> = (options.baselines.iter().zip(holdings))
        .map(|(baseline, holdings)| assess(baseline, holdings, limit))
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

fn assess(baseline: &Baseline, holdings: Holdings, limit: Percent) -> WalletResult {
    let Holdings { mut positions, unmapped, oddities, .. } = holdings;
    // The largest gain first, unresolved ones last; of equals always in the order of their tokens.
    positions.sort_by(|a, b| b.realized().cmp(&a.realized()).then_with(|| a.token_id.cmp(&b.token_id)));
    let total: Usd = positions.iter().filter_map(Position::realized).sum();
    let variance = Variance::of(&total, &baseline.expected);
    let status = match &variance {
        None => Status::Skipped,
        Some(variance) if variance.is_below(limit) => Status::Pass,
        Some(_) => Status::Fail,
    };
    let mut explanations = Vec::new();
    let mut explain = |cause, count: u64, worth: Usd| {
        if count > 0 {
            explanations.push(Explanation { cause, count, worth });
        }
    };
    let worth = |ambiguous: bool, well_formed: bool| -> (u64, Usd) {
        let of = |it: &&crate::store::positions::Unmapped| {
            (it.ambiguous, it.well_formed) == (ambiguous, well_formed)
        };
        let fills = unmapped.iter().filter(of);
        (fills.clone().map(|it| it.fills).sum(), fills.map(|it| it.cashflow.units().abs()).sum())
    };
    let (count, usd) = worth(false, true);
    explain("fills of unmapped tokens", count, usd);
    let (count, usd) = worth(true, true);
    explain("fills of tokens that the map contradicts itself about", count, usd);
    let (count, usd) = worth(false, false);
    explain("fills of malformed asset ids", count, usd);
    let unresolved: Vec<&Position> = positions.iter().filter(|it| it.decision.payout.is_none()).collect();
    let cost = unresolved.iter().map(|it| it.cashflow.units().abs()).sum();
    explain("positions without a resolution", unresolved.len() as u64, cost);
    let doubtful = positions.iter().filter(|it| it.decision.contradicts_itself);
    let at_stake = doubtful.clone().filter_map(Position::realized).map(|it| it.abs()).sum();
    explain("positions whose resolution contradicts itself", doubtful.count() as u64, at_stake);
    explanations.sort_by(|a, b| b.worth.cmp(&a.worth));
    WalletResult { baseline: baseline.clone(), total, variance, status, positions, explanations, oddities }
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
            "realized_pnl",
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
                position.realized().map(|usd| usd.exact()).unwrap_or_default(),
            ])?;
        }
        file.flush()?;
        Ok(())
    };
    write().map_err(|error| Failure::File(format!("cannot write {}: {error}", path.display())))
}
