//! Phase 3: staging into production.

use super::Context;
use crate::failure::Failure;
use crate::settings::Percent;
use crate::store::coverage::Coverage;
use crate::store::merge::{Staged, Weighed};
use crate::store::repair::MapProof;

/// How phase 3 is run.
#[derive(Debug, Clone, Default)]
pub struct MergeOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Replace the rows of the map that the hash proves wrong.
    pub repair: bool,
}

/// What phase 3 found and did.
#[derive(Debug, Clone)]
pub struct MergeResult {
    /// What the sources have staged.
    pub staged: Staged,
    /// The coverage before.
    pub before: Coverage,
    /// The coverage after; the same as before in a dry run.
    pub after: Coverage,
    /// How the candidates were weighed.
    pub weighed: Weighed,
    /// How the rows that the map had before stand to the hash.
    pub map: MapProof,
    /// Tokens whose wrong rows were replaced, or would be; 0 where that was not asked for.
    pub repaired: u64,
    /// Tokens that were added, or would be.
    pub added: u64,
    /// Tokens with two usable rows, before and afterwards.
    pub duplicates_before: u64,
    /// Tokens with two usable rows afterwards, as counted.
    pub duplicates: u64,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The coverage that is wanted.
    pub target: Percent,
    /// From the process's start.
    pub elapsed_seconds: f64,
}

impl MergeResult {
    /// Whether the coverage reaches its target.
    pub fn reaches_target(&self) -> bool {
        self.target.reached_by(self.after.mapped, self.after.total)
    }
}

/// Runs phase 3. Running it again adds nothing.
///
/// # Errors
/// A table is missing, or ClickHouse fails; the map has then all of the new rows or none.
pub async fn run(context: &Context, options: &MergeOptions) -> Result<MergeResult, Failure> {
    let (store, settings) = (&context.store, &context.settings);
    store.require_fills_and_map().await?;
    store.complete_staging(&[]).await?;
    context.progress.step("Comparing the staging tables");
    let staged = store.staged().await?;
    context.progress.step("Measuring the coverage");
    let before = store.coverage().await?;
    let duplicates_before = store.duplicated_tokens().await?;
    context.progress.step("Proving the map and what is staged");
    let map = store.prove_map(&settings.collaterals).await?;
    let repaired = if options.repair { map.wrong_tokens } else { 0 };
    if repaired > 0 && !options.dry_run {
        context.progress.step("Replacing the map's wrong rows");
        store.repair().await?;
    }
    store.drop_repairs().await?;
    let weighed = store.weigh_candidates(&settings.collaterals).await?;
    let added = store.candidate_count().await?;
    if !options.dry_run {
        context.progress.step("Merging");
        store.reassert_outranked().await?;
        store.merge_candidates().await?;
    }
    store.drop_candidates().await?;
    let after = if options.dry_run { before } else { store.coverage().await? };
    let duplicates = store.duplicated_tokens().await?;
    Ok(MergeResult {
        staged,
        before,
        after,
        weighed,
        map,
        repaired,
        added,
        duplicates_before,
        duplicates,
        dry_run: options.dry_run,
        target: settings.coverage_target,
        elapsed_seconds: context.elapsed(),
    })
}
