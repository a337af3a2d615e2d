//! Phase 3: staging into production.

use super::Context;
use super::events::Activity;
use super::exclusive::MERGE;
use crate::failure::Failure;
use crate::source::Source;
use crate::store::chain::MergedPayouts;
use crate::store::coverage::Coverage;
use crate::store::labels::LabelCounts;
use crate::store::merge::{ProofCounts, Staged};
use crate::store::metadata::MetadataCounts;
use crate::store::repair::MapProof;
use crate::store::{Needs, Table};
use crate::values::Percent;

/// How phase 3 is run.
#[derive(Debug, Clone, Default)]
pub struct MergeOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Replace the rows of the map that the hash proves wrong.
    pub repair: bool,
    /// Fill and correct labels of the map from the catalogue that `clob` has read.
    pub labels: bool,
    /// Fill empty questions and slugs of the map from what sources have told.
    pub metadata: bool,
    /// Write the chain's payouts into the resolutions, for the conditions that those lack.
    pub resolutions: bool,
    /// Prove the rows that the map had before, too, as a repair does.
    pub check: bool,
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
    /// What the candidates came to.
    pub candidates: ProofCounts,
    /// How the rows that the map had before stand to the hash; `None` where that was not asked for.
    pub map: Option<MapProof>,
    /// Tokens whose wrong rows were replaced, or would be; 0 where that was not asked for.
    pub repaired: u64,
    /// Labels of the map that were filled or corrected, or would be; `None` where that was not asked for.
    pub labels: Option<LabelCounts>,
    /// Questions and slugs that were filled, or would be; `None` where that was not asked for.
    pub metadata: Option<MetadataCounts>,
    /// Payouts of the chain that the resolutions lacked; `None` where that was not asked for.
    pub resolutions: Option<MergedPayouts>,
    /// Tokens that were added, or would be.
    pub added: u64,
    /// Tokens whose copies were removed, or would be; `None` where no repair was asked for.
    pub copies_removed: Option<u64>,
    /// Tokens with two usable rows before.
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
    /// Traded tokens whose rows contradicted each other before, and do so no longer.
    pub const fn disambiguated(&self) -> u64 {
        self.before.ambiguous.saturating_sub(self.after.ambiguous)
    }

    /// Of the added tokens, those that were traded: what is mapped more, but for the ended contradictions.
    pub const fn added_traded(&self) -> u64 {
        self.after.mapped.saturating_sub(self.before.mapped).saturating_sub(self.disambiguated())
    }

    /// Whether the coverage reaches its target.
    pub fn reaches_target(&self) -> bool {
        self.target.reached_by(self.after.mapped, self.after.total)
    }
}

/// Runs phase 3. Running it again adds nothing.
///
/// # Errors
/// A table is missing, another process merges, or ClickHouse fails: what is in the map by then is right, and the same
/// command adds the rest.
pub async fn run(context: &Context, options: &MergeOptions) -> Result<MergeResult, Failure> {
    context.store.check_tables(Needs::Merge).await?;
    if options.resolutions && !context.store.has_chain().await? {
        return Err(Failure::Unusable(
            "merge --resolutions writes what the chain paid, and the chain was not read: run `backfill chain` first".to_owned(),
        ));
    }
    if options.repair || options.labels || options.metadata {
        context.store.check_mutable().await?;
    }
    // What two merges put together for themselves, in a dry run too, stands in the same tables.
    context.exclusively(&[MERGE], &[], merge(context, options)).await
}

async fn merge(context: &Context, options: &MergeOptions) -> Result<MergeResult, Failure> {
    let (store, settings) = (&context.store, &context.settings);
    store.complete_staging(&[]).await?;
    context.begins(Activity::ComparingStaging);
    let staged = store.staged().await?;
    context.begins(Activity::MeasuringCoverage);
    let traded = context.traded_sums().await?;
    let before = store.coverage_of(&traded).await?;
    let duplicates_before = store.duplicated_tokens().await?;
    context.begins(Activity::Proving);
    let policy = super::proof_policy(context).await?;
    // Rows of the map were proven when they came; all of them again is asked for.
    let map = match options.repair || options.check {
        true => Some(store.prove_map(&policy).await?),
        false => None,
    };
    let repaired = map.filter(|_| options.repair).map_or(0, |map| map.repairable_tokens());
    let candidates = store.prove_candidates(&policy, None).await?;
    let added = store.candidate_count().await?;
    // Whatever could not be written is found before anything is.
    store.check_candidates().await?;
    if repaired > 0 {
        store.check_versions(&[store.repaired_tokens()]).await?;
    }
    if repaired > 0 && !options.dry_run {
        context.begins(Activity::ReplacingWrongRows);
        store.repair().await?;
    }
    store.drop_repairs().await?;
    if !options.dry_run {
        context.begins(Activity::Merging);
        store.reassert_outranked().await?;
        store.merge_candidates(None).await?;
        store.check_merged(None).await?;
    }
    store.drop_candidates().await?;
    let copies_removed = if options.repair {
        context.begins(Activity::RemovingCopies);
        Some(store.remove_copies(options.dry_run).await?)
    } else {
        None
    };
    let labels = if options.labels { Some(write_labels(context, options.dry_run).await?) } else { None };
    let metadata = if options.metadata {
        context.begins(Activity::WritingMetadata);
        Some(store.fill_metadata(options.dry_run).await?)
    } else {
        None
    };
    let resolutions = if options.resolutions {
        context.begins(Activity::WritingPayouts);
        Some(store.merge_payouts(options.dry_run).await?)
    } else {
        None
    };
    let after = if options.dry_run {
        before
    } else {
        context.begins(Activity::CheckingMap);
        store.check_promise().await?;
        store.coverage_of(&traded).await?
    };
    let duplicates = store.duplicated_tokens().await?;
    Ok(MergeResult {
        staged,
        before,
        after,
        candidates,
        map,
        repaired,
        labels,
        metadata,
        resolutions,
        added,
        copies_removed,
        duplicates_before,
        duplicates,
        dry_run: options.dry_run,
        target: settings.thresholds.coverage_target,
        elapsed_seconds: context.elapsed(),
    })
}

/// Merges what is staged of the tokens of a table of ours, and says how many were added: the same proof and the same
/// statements, at a cost that depends on these tokens alone. What is true of the whole map is for [`run`] to check.
///
/// # Errors
/// As [`run`].
pub(super) async fn some(context: &Context, tokens: &Table) -> Result<u64, Failure> {
    let work = async {
        let store = &context.store;
        let policy = super::proof_policy(context).await?;
        store.prove_candidates(&policy, Some(tokens)).await?;
        let added = store.candidate_count().await?;
        if added > 0 {
            store.check_candidates().await?;
            store.merge_candidates(Some(tokens)).await?;
            store.check_merged(Some(tokens)).await?;
        }
        store.drop_candidates().await?;
        Ok(added)
    };
    context.exclusively(&[MERGE], &[], work).await
}

/// Fills and corrects the labels that the catalogue knows, after the merge, so that new rows of sources without labels
/// have theirs too; counts them, in a dry run those of the map as it is.
async fn write_labels(context: &Context, dry_run: bool) -> Result<LabelCounts, Failure> {
    context.begins(Activity::WritingLabels);
    let store = &context.store;
    let found = store.find_labels(Source::Clob).await?;
    if !dry_run {
        if found.filled + found.corrected > 0 {
            store.check_versions(&[store.labelled_tokens()]).await?;
        }
        store.write_labels().await?;
    }
    store.drop_labels().await?;
    Ok(found)
}
