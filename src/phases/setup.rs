//! Phase 0: measure, create the staging tables, list the unmapped tokens, split them between the tracks.

use std::path::PathBuf;

use super::Context;
use super::derive::{self, DeriveOptions, DeriveResult};
use crate::failure::Failure;
use crate::settings::Percent;
use crate::store::coverage::Coverage;
use crate::store::workload::Split;
use crate::track::checkpoint::{self, CheckpointFile};
use crate::upstream::Source;

/// How phase 0 is run.
#[derive(Debug, Clone)]
pub struct SetupOptions {
    /// The tracks to split between, the guide's two or one of them.
    pub sources: Vec<Source>,
    /// Dome's share of the unmapped tokens where both are there; Goldsky has the rest.
    pub dome_share: Percent,
    /// Forget everything that was staged or learned.
    pub reset: bool,
    /// Create the users' tables, empty, where they are missing.
    pub create_tables: bool,
    /// Derive first, and list only what is left.
    pub derive: bool,
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
    /// Dome's share.
    pub dome_share: Percent,
    /// The tracks' workloads.
    pub tracks: Vec<Split>,
    /// Distinct tokens that are staged already, by source.
    pub staged: Vec<(Source, u64)>,
    /// Whether everything was begun anew.
    pub reset: bool,
    /// Checkpoints of workloads that are no more, put aside.
    pub put_aside: Vec<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: f64,
}

/// Runs phase 0. Running it again keeps what is staged, and the progress of every track whose workload is the same.
///
/// # Errors
/// A table is missing, or a track is at work.
pub async fn run(context: &Context, options: &SetupOptions) -> Result<SetupResult, Failure> {
    let store = &context.store;
    let tracks = [Source::Dome, Source::Goldsky];
    let folder = &context.settings.work.checkpoint_dir;
    // A workload must not change under a track that is at work on it.
    let files = tracks.map(|source| CheckpointFile::lock(folder, source));
    let mut locks = Vec::new();
    for file in files {
        locks.push(file?);
    }
    let created = if options.create_tables { store.create_missing_tables().await? } else { Vec::new() };
    store.require_fills_and_map().await?;
    context.progress.step("Measuring the coverage");
    let coverage = store.coverage().await?;
    context.progress.step("Creating the staging tables");
    store.create_staging().await?;
    if options.reset {
        store.reset_staging().await?;
    }
    let derived =
        if options.derive { Some(derive::run(context, &DeriveOptions::default()).await?) } else { None };
    context.progress.step("Listing the unmapped tokens");
    let unmapped = store.list_unmapped().await?;
    context.progress.step("Splitting the workload");
    let has = |source| options.sources.contains(&source);
    let dome_share = match (has(Source::Dome), has(Source::Goldsky)) {
        (true, true) => options.dome_share,
        (true, false) => Percent::whole(100),
        _ => Percent::whole(0),
    };
    let rest = Percent::whole(100).minus(dome_share);
    let shares = [(Source::Dome, dome_share), (Source::Goldsky, rest)];
    let tracks = store.split(unmapped, &shares).await?;
    let staged = store.staged().await?.by_source;
    let mut put_aside = Vec::new();
    for split in &tracks {
        let path = checkpoint::path(folder, split.source);
        if options.reset || !split.kept {
            put_aside.extend(checkpoint::put_aside(&path)?);
        }
    }
    drop(locks);
    let (reset, elapsed_seconds) = (options.reset, context.elapsed());
    Ok(SetupResult {
        coverage,
        created,
        derived,
        unmapped,
        dome_share,
        tracks,
        staged,
        reset,
        put_aside,
        elapsed_seconds,
    })
}
