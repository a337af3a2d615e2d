//! Phase 4: coverage of all tokens and of the baseline wallets, resolved positions, and where the gap is.

use std::path::PathBuf;

use super::Context;
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::settings::Percent;
use crate::store::coverage::Coverage;
use crate::store::gaps::{Cause, Gap, Month, WalletCoverage, Weights};

/// How many unmapped tokens are shown.
const SAMPLE: u64 = 20;

/// How phase 4 is run.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The wallets whose coverage is checked.
    pub wallets: Vec<Wallet>,
    /// Where to write all unmapped tokens.
    pub gaps_file: Option<PathBuf>,
}

/// What phase 4 found.
#[derive(Debug, Clone)]
pub struct VerifyResult {
    /// The coverage of all traded tokens.
    pub coverage: Coverage,
    /// The same by fills and by volume.
    pub weights: Weights,
    /// Each wallet's coverage.
    pub wallets: Vec<WalletCoverage>,
    /// Resolved positions of the wallets.
    pub resolved_positions: u64,
    /// What keeps tokens unmapped.
    pub causes: Vec<Cause>,
    /// Coverage by month.
    pub months: Vec<Month>,
    /// The unmapped tokens with the most volume.
    pub sample: Vec<Gap>,
    /// The coverage that is wanted.
    pub target: Percent,
    /// The positions that are wanted.
    pub min_positions: u64,
    /// Where all unmapped tokens were written.
    pub gaps_file: Option<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: f64,
}

impl VerifyResult {
    /// Whether all traded tokens are covered well enough, compared exactly.
    pub fn global_passes(&self) -> bool {
        self.target.reached_by(self.coverage.mapped, self.coverage.total)
    }

    /// Whether a wallet's fills are covered well enough. A wallet without fills has shown nothing.
    pub fn wallet_passes(&self, wallet: &WalletCoverage) -> bool {
        wallet.fills > 0 && self.target.reached_by(wallet.mapped_fills, wallet.fills)
    }

    /// Whether there are enough positions to validate.
    pub fn positions_pass(&self) -> bool {
        self.resolved_positions >= self.min_positions
    }

    /// Whether everything passes.
    pub fn passes(&self) -> bool {
        self.global_passes()
            && self.wallets.iter().all(|wallet| self.wallet_passes(wallet))
            && self.positions_pass()
    }
}

/// Runs phase 4. It writes nothing but a temporary table of its own, and the file that was asked for.
///
/// # Errors
/// A table is missing, ClickHouse fails, or the file cannot be written.
pub async fn run(context: &Context, options: &VerifyOptions) -> Result<VerifyResult, Failure> {
    let (store, settings) = (&context.store, &context.settings);
    store.require_fills_and_map().await?;
    context.progress.step("Reading the fills");
    store.gather_tokens(&options.wallets).await?;
    let (coverage, weights) = store.gathered_coverage().await?;
    let wallets = store.wallet_coverage(&options.wallets).await?;
    let causes = store.causes().await?;
    let sample = store.gaps(Some(SAMPLE)).await?;
    if let Some(path) = &options.gaps_file {
        write_gaps(path, &store.gaps(None).await?)?;
    }
    context.progress.step("Counting the coverage by month");
    let months = store.months().await?;
    store.drop_tokens().await?;
    context.progress.step("Counting the resolved positions");
    let resolved_positions = store.resolved_positions(&options.wallets).await?;
    Ok(VerifyResult {
        coverage,
        weights,
        wallets,
        resolved_positions,
        causes,
        months,
        sample,
        target: settings.coverage_target,
        min_positions: settings.min_positions,
        gaps_file: options.gaps_file.clone(),
        elapsed_seconds: context.elapsed(),
    })
}

/// A CSV file of all unmapped tokens, the largest volume first.
fn write_gaps(path: &PathBuf, gaps: &[Gap]) -> Result<(), Failure> {
    let write = || -> Result<(), csv::Error> {
        let mut file = csv::Writer::from_path(path)?;
        file.write_record(["token_id", "cause", "fills", "volume_usd"])?;
        for gap in gaps {
            let volume = crate::report::text::micro_usd(gap.volume_micro);
            file.write_record([&gap.token_id, &gap.cause, &gap.fills.to_string(), &volume])?;
        }
        file.flush()?;
        Ok(())
    };
    write().map_err(|error| Failure::File(format!("cannot write {}: {error}", path.display())))
}
