//! Phase 0: measure, create the staging tables, list the unmapped tokens, split them between the tracks.

use std::path::PathBuf;

use super::Context;
use super::derive::{self, DeriveOptions, DeriveResult};
use super::events::{Activity, PhaseEvent};
use super::exclusive::SETUP;
use crate::failure::Failure;
use crate::source::Source;
use crate::store::coverage::Coverage;
use crate::store::workload::{Share, Split};
use crate::store::{Needs, StoreError};
use crate::track::checkpoint::{self, CheckpointFile};

/// How phase 0 is run.
#[derive(Debug, Clone)]
pub struct SetupOptions {
    /// The tracks to split the unmapped tokens between.
    pub shares: Vec<Share>,
    /// Forget everything that was staged or learned.
    pub reset: bool,
    /// Create the users' tables, empty, where they are missing.
    pub create_tables: bool,
    /// Derive first, and list only what is left.
    pub derive: bool,
}

impl Default for SetupOptions {
    /// The guide's two tracks, half and half, and nothing else.
    fn default() -> Self {
        let half = |source| Share { source, weight: 1 };
        let shares = vec![half(Source::Dome), half(Source::Goldsky)];
        Self { shares, reset: false, create_tables: false, derive: false }
    }
}

impl SetupOptions {
    /// The tracks.
    pub fn sources(&self) -> Vec<Source> {
        self.shares.iter().map(|share| share.source).collect()
    }
}

/// What phase 0 found and did.
#[derive(Debug, Clone)]
pub struct SetupResult {
    /// The coverage before anything else.
    pub coverage: Coverage,
    /// Tables that were created because they were missing.
    pub created: Vec<String>,
    /// What was derived before the listing, where that was asked for.
    pub derived: Option<DeriveResult>,
    /// Unmapped tokens that no source has derived.
    pub unmapped: u64,
    /// How the tokens were split.
    pub shares: Vec<Share>,
    /// The tracks' workloads.
    pub tracks: Vec<Split>,
    /// The staging database.
    pub staging_database: String,
    /// Distinct tokens that are staged already, by source.
    pub staged: Vec<(Source, u64)>,
    /// Whether everything was begun anew.
    pub reset: bool,
    /// Checkpoints of workloads that are no more, put aside.
    pub put_aside: Vec<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: f64,
}

/// Tells of the guide's two sources whose public service is meant and is not what it was.
pub fn tell_worn_out(context: &Context) {
    for source in [Source::Dome, Source::Goldsky] {
        let of = context.settings.source(source).zip(source.lookup());
        if let Some(public) = of.and_then(|(settings, api)| api.worn_out(settings)) {
            context.progress.on_phase_event(&PhaseEvent::WornOut { source, public });
        }
    }
}

/// Runs phase 0. Running it again keeps what is staged, and the progress of every track whose workload is the same.
///
/// # Errors
/// A table is missing, or a track is at work.
pub async fn run(context: &Context, options: &SetupOptions) -> Result<SetupResult, Failure> {
    let store = &context.store;
    let created = if options.create_tables { store.create_missing_tables().await? } else { Vec::new() };
    store.check_tables(Needs::Merge).await?;
    // A workload must not change under a track that is at work on it, wherever that is.
    let tracks: Vec<&str> = Source::tracks().chain([Source::Clob]).map(Source::name).collect();
    context.exclusively(&[SETUP], &tracks, set_up(context, options, created)).await
}

async fn set_up(
    context: &Context,
    options: &SetupOptions,
    created: Vec<String>,
) -> Result<SetupResult, Failure> {
    let store = &context.store;
    let folder = &context.settings.work.checkpoint_dir;
    // A workload must not change under a track that is at work on it.
    let locks: Result<Vec<_>, _> =
        Source::tracks().map(|source| CheckpointFile::lock(folder, source)).collect();
    let mut locks = locks?;
    // What a catalogue's track has staged goes with the rest.
    let catalogue = Some(Source::Clob).filter(|_| options.reset);
    if let Some(source) = catalogue {
        locks.push(CheckpointFile::lock(folder, source)?);
    }
    context.begins(Activity::CreatingStaging);
    store.create_staging().await?;
    context.begins(Activity::MeasuringCoverage);
    let traded = context.traded_sums().await?;
    let coverage = store.coverage_of(&traded).await?;
    let mut put_aside = Vec::new();
    if options.reset {
        // Before the rows go: a checkpoint that outlived them would have its track go on behind what is no more.
        for source in Source::tracks().chain(catalogue) {
            put_aside.extend(checkpoint::put_aside(&checkpoint::path(folder, source))?);
        }
        store.reset_staging().await?;
    }
    let derived =
        if options.derive { Some(derive::run(context, &DeriveOptions::default()).await?) } else { None };
    context.begins(Activity::ListingUnmapped);
    let unmapped = store.list_unmapped(&traded).await?;
    let (tracks, outdated) = divide(context, unmapped, &options.shares).await?;
    put_aside.extend(outdated);
    let staged = store.staged().await?.by_source;
    drop(locks);
    let (reset, elapsed_seconds) = (options.reset, context.elapsed());
    Ok(SetupResult {
        coverage,
        created,
        derived,
        unmapped,
        shares: options.shares.clone(),
        tracks,
        staging_database: store.names().staging.clone(),
        staged,
        reset,
        put_aside,
        elapsed_seconds,
    })
}

/// Splits the unmapped tokens that are listed between the tracks, and puts aside the checkpoints of workloads that are no
/// more.
async fn divide(
    context: &Context,
    unmapped: u64,
    shares: &[Share],
) -> Result<(Vec<Split>, Vec<PathBuf>), Failure> {
    let (store, folder) = (&context.store, &context.settings.work.checkpoint_dir);
    let mut outdated_files = Vec::new();
    context.begins(Activity::SplittingWorkload);
    let tracks = store.split(unmapped, shares).await?;
    let split: u64 = tracks.iter().map(|split| split.workload.total).sum();
    if split != unmapped {
        let what = "unmapped tokens listed, and of them in the tracks' workloads";
        return Err(StoreError::SumsDisagree { what, one: unmapped, other: split }.into());
    }
    // What a track has that is not in use any more another one has now.
    let emptied = store.empty_other_workloads(shares).await?;
    for source in Source::tracks() {
        let path = checkpoint::path(folder, source);
        let split = tracks.iter().find(|split| split.source == source);
        // By what it says, not by what has just changed: an interrupted setup has changed it before this one.
        let outdated = match (checkpoint::read(&path), split) {
            (Ok(None), _) => false,
            (Ok(Some(checkpoint)), Some(split)) => checkpoint.workload != split.workload.id,
            (Ok(Some(checkpoint)), None) => checkpoint.total > 0,
            // Not to be read, so only what became of its workload tells.
            (Err(_), split) => split.map_or_else(|| emptied.contains(&source), |split| !split.kept),
        };
        if outdated {
            outdated_files.extend(checkpoint::put_aside(&path)?);
        }
    }
    Ok((tracks, outdated_files))
}

/// Splits the tokens that a watch waits for between the tracks; says for how many of them one of the tracks has no answer
/// yet.
///
/// # Errors
/// A track is at work, or ClickHouse fails.
pub(super) async fn pending(context: &Context, shares: &[Share]) -> Result<u64, Failure> {
    let tracks: Vec<&str> = Source::tracks().map(Source::name).collect();
    let sources: Vec<Source> = shares.iter().map(|share| share.source).collect();
    let work = async {
        let folder = &context.settings.work.checkpoint_dir;
        let locks: Result<Vec<_>, _> =
            Source::tracks().map(|source| CheckpointFile::lock(folder, source)).collect();
        let locks = locks?;
        let (unmapped, open) = context.store.list_pending_work(&sources).await?;
        divide(context, unmapped, shares).await?;
        drop(locks);
        Ok(open)
    };
    context.exclusively(&[SETUP], &tracks, work).await
}
