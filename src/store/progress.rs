//! What the tables say of the work that is left: read before a run decides what it can leave out.

use std::collections::HashSet;

use super::sql::usable_map;
use super::staging::WorkloadCounts;
use super::{Store, StoreError};
use crate::source::Source;

/// How a track's workload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackProgress {
    /// The track.
    pub source: Source,
    /// The counts.
    pub counts: WorkloadCounts,
    /// Tokens that it was answered for without a mapping, and that one of the tracks beside it was not asked for.
    pub untried: u64,
}

impl TrackProgress {
    /// Tokens of the workload without an answer.
    pub const fn open(&self) -> u64 {
        let WorkloadCounts { total, resolved, not_found, rejected, .. } = self.counts;
        total.saturating_sub(resolved + not_found + rejected)
    }
}

/// How the staging tables stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagingProgress {
    /// The tracks.
    pub tracks: Vec<TrackProgress>,
    /// Distinct tokens that are staged.
    pub staged: u64,
    /// Of them, without a usable row in the map.
    pub unmerged: u64,
    /// Tokens of the map whose good row a broken one would replace, which a merge prevents.
    pub outranked: u64,
}

impl Store {
    /// How the staging tables stand for these tracks; `None` where `setup` has not made all of them yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn staging_progress(&self, sources: &[Source]) -> Result<Option<StagingProgress>, StoreError> {
        let doing = "reading what is staged";
        let query = self
            .query("SELECT name FROM system.tables WHERE database = {database:String}")
            .param("database", &self.names().staging);
        let tables: HashSet<String> = self.rows(doing, query).await?.into_iter().collect();
        let own = Source::ALL.iter().map(|source| source.staging_table());
        let workloads = sources.iter().map(|source| source.workload_table());
        let answers = ["not_found", "rejected_mappings"].map(str::to_owned);
        if own.chain(workloads).chain(answers).any(|table| !tables.contains(&table)) {
            return Ok(None);
        }
        let mut tracks = Vec::new();
        for source in sources {
            let (counts, untried) =
                (self.workload_counts(*source).await?, self.untried(*source, sources).await?);
            tracks.push(TrackProgress { source: *source, counts, untried });
        }
        let inputs = self.inputs().await?;
        let (all, map) = (self.all_staged(), usable_map(inputs.map()?));
        let sql = format!(
            "SELECT uniqExact(token_id), \
                    uniqExactIf(token_id, token_id GLOBAL NOT IN (SELECT token_id FROM {map})) FROM ({all})"
        );
        let (staged, unmerged) = self.one::<(u64, u64)>(doing, self.query(&sql)).await?;
        let outranked = self.outranked_tokens().await?;
        Ok(Some(StagingProgress { tracks, staged, unmerged, outranked }))
    }
}
