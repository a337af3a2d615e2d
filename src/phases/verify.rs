//! Phase 4: is enough of what was traded mapped?

use std::path::{Path, PathBuf};

use super::Context;
use super::events::{Activity, PhaseEvent};
use crate::atomic_file;
use crate::chain::{BlockRange, contracts};
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::source::Source;
use crate::store::StoreError;
use crate::store::chain::UnknownTokens;
use crate::store::gaps::{FailedBatch, Gaps, UnmappedToken};
use crate::store::positions::Holdings;
use crate::track::checkpoint;
use crate::values::Percent;

/// How many unmapped tokens are shown.
const SHOWN: usize = 20;

/// How phase 4 is run.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The wallets whose coverage is checked.
    pub wallets: Vec<Wallet>,
    /// Where every unmapped token is written.
    pub gaps_file: Option<PathBuf>,
}

/// How a wallet's fills stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletCoverage {
    /// The wallet.
    pub wallet: Wallet,
    /// Its distinct fills in well-formed tokens.
    pub fills: u64,
    /// Of them, in mapped tokens.
    pub mapped_fills: u64,
    /// Its distinct fills whose asset id is no token id, outside of both.
    pub malformed_fills: u64,
    /// Copies of fills that were delivered before.
    pub copies: u64,
    /// Its positions that have a payout.
    pub resolved: u64,
}

/// What the chain, as far as it was read, says of the traded tokens.
#[derive(Debug, Clone)]
pub struct ChainFound {
    /// The last block that was read; 0 where all of it came from files.
    pub read_up_to: u64,
    /// Ranges below it that were not read.
    pub holes: u64,
    /// Tokens whose condition it is not known to have.
    pub unknown: UnknownTokens,
}

/// What phase 4 found.
#[derive(Debug, Clone)]
pub struct VerifyResult {
    /// All of the fills.
    pub gap: Gaps,
    /// The wallets, in the order asked for.
    pub wallets: Vec<WalletCoverage>,
    /// The coverage that is wanted, of all tokens and of each wallet.
    pub target: Percent,
    /// Tokens with two usable rows in the map.
    pub duplicates: u64,
    /// Resolved positions of all wallets together.
    pub resolved: u64,
    /// How many of those are wanted.
    pub min_positions: u64,
    /// What the chain says of the traded tokens; `None` where it was not read.
    pub chain: Option<ChainFound>,
    /// Where every unmapped token was written.
    pub gaps_file: Option<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: f64,
}

impl VerifyResult {
    /// Whether enough of the traded tokens are mapped.
    pub fn global_passes(&self) -> bool {
        self.target.reached_by(self.gap.coverage.mapped, self.gap.coverage.total)
    }

    /// Whether enough of a wallet's fills are mapped. A wallet without fills has shown nothing.
    pub fn wallet_passes(&self, wallet: &WalletCoverage) -> bool {
        wallet.fills > 0 && self.target.reached_by(wallet.mapped_fills, wallet.fills)
    }

    /// Whether there are enough positions to validate.
    pub fn positions_pass(&self) -> bool {
        self.resolved >= self.min_positions
    }

    /// Whether every check passes.
    pub fn passes(&self) -> bool {
        self.global_passes()
            && self.wallets.iter().all(|wallet| self.wallet_passes(wallet))
            && self.positions_pass()
            && self.duplicates == 0
    }
}

/// Runs phase 4.
///
/// # Errors
/// A table is missing, ClickHouse fails, or the gaps cannot be written.
pub async fn run(context: &Context, options: &VerifyOptions) -> Result<VerifyResult, Failure> {
    let (store, settings) = (&context.store, &context.settings);
    store.require_fills_and_map().await?;
    context.begins(Activity::MeasuringCoverage);
    let most = if options.gaps_file.is_some() { 1 << 40 } else { SHOWN };
    let failed = failed_batches(context);
    // Side by side: the second reads little, and mostly waits.
    let (mut gap, holdings, chain, duplicates) = tokio::try_join!(
        store.gaps(&failed, most),
        store.holdings(&options.wallets),
        chain_found(context),
        store.duplicated_tokens()
    )?;
    if let Some(path) = &options.gaps_file {
        write_gaps(path, &gap.unmapped)?;
    }
    gap.unmapped.truncate(SHOWN);
    let wallets: Vec<WalletCoverage> = holdings.iter().map(coverage_of).collect();
    Ok(VerifyResult {
        gap,
        duplicates,
        resolved: wallets.iter().map(|wallet| wallet.resolved).sum(),
        wallets,
        target: settings.thresholds.coverage_target,
        min_positions: settings.thresholds.min_positions,
        chain,
        gaps_file: options.gaps_file.clone(),
        elapsed_seconds: context.elapsed(),
    })
}

/// What the chain says of the traded tokens, where it was read.
async fn chain_found(context: &Context) -> Result<Option<ChainFound>, StoreError> {
    let store = &context.store;
    if !store.has_chain().await? {
        return Ok(None);
    }
    let ledger = store.range_ledger(&contracts::everything().hash()).await?;
    let (covered, first) = (ledger.coverage(), context.settings.chain.from_block);
    let read_up_to = covered.last().unwrap_or_default();
    let holes = BlockRange::new(first, read_up_to).map_or(0, |wanted| covered.missing(wanted).len() as u64);
    let unknown = store.tokens_unknown_to_the_chain(SHOWN).await?;
    Ok(Some(ChainFound { read_up_to, holes, unknown }))
}

/// The batches that the tracks' checkpoints keep as failed. A checkpoint that cannot be read is the tracks' business:
/// here its tokens only count as never asked.
fn failed_batches(context: &Context) -> Vec<FailedBatch> {
    let folder = &context.settings.work.checkpoint_dir;
    let mut batches = Vec::new();
    for source in Source::tracks() {
        match checkpoint::read(&checkpoint::path(folder, source)) {
            Ok(None) => {}
            Ok(Some(checkpoint)) => batches.extend(
                (checkpoint.gaps.iter().filter(|gap| gap.failure.is_some())).map(|gap| FailedBatch {
                    source,
                    first: gap.first,
                    last: gap.last,
                }),
            ),
            Err(error) => context.progress.on_phase_event(&PhaseEvent::FailuresUnknown(&error)),
        }
    }
    batches
}

fn coverage_of(holdings: &Holdings) -> WalletCoverage {
    let unmapped = |well_formed: bool| -> u64 {
        holdings.unmapped.iter().filter(|it| it.well_formed == well_formed).map(|it| it.fills).sum()
    };
    let mapped_fills: u64 = holdings.positions.iter().map(|position| position.fills).sum();
    let resolved = holdings.positions.iter().filter(|position| position.decision.payout.is_some());
    WalletCoverage {
        wallet: holdings.wallet,
        fills: mapped_fills + unmapped(true),
        mapped_fills,
        malformed_fills: unmapped(false),
        copies: holdings.data_quality.duplicates,
        resolved: resolved.count() as u64,
    }
}

/// A CSV file of all unmapped tokens, the largest volume first.
fn write_gaps(path: &Path, tokens: &[UnmappedToken]) -> Result<(), Failure> {
    let written = atomic_file::replace(path, |file| {
        let mut file = csv::Writer::from_writer(file);
        file.write_record(["token_id", "cause", "fills", "volume_usd"])?;
        for token in tokens {
            let (id, fills) = (token.token.to_string(), token.fills.to_string());
            file.write_record([&id, token.cause.name(), &fills, &token.volume.six()])?;
        }
        file.flush()
    });
    written.map_err(|error| Failure::NotWritten { place: path.display().to_string(), error })
}
