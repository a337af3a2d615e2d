//! What a track came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Percentage, Seconds};
use crate::outcome::Outcome;

/// What a track did, counted by the tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Track {
    /// The track's name.
    pub phase: String,
    /// How it ended: `done`, `work_left` or `interrupted`.
    pub outcome: Outcome,
    /// Tokens in the workload.
    pub total: u64,
    /// Resolved, not found, rejected or failed.
    pub processed: u64,
    /// Tokens of the workload that are resolved.
    pub resolved: u64,
    /// Of the resolved ones, those that this track has no row of: others staged them.
    pub resolved_by_others: u64,
    /// Distinct tokens staged by this track in all of its runs, siblings included.
    pub inserted: u64,
    /// Of them, those in its workload. The others are siblings and tokens that other tracks had left.
    pub inserted_of_own: u64,
    /// Of them, those that earlier runs had staged.
    pub inserted_before: u64,
    /// The API does not know them.
    pub not_found: u64,
    /// No claim about them has a proof.
    pub rejected: u64,
    /// No usable answer; asked again by the next run.
    pub failed: u64,
    /// Resolved, in percent of the total.
    pub coverage_pct: Percentage,
    /// Requests sent by this run.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// Batches of this run that had to be asked again.
    pub retries: u64,
    /// The longest time that a worker of this run was at one batch.
    pub longest_wait_seconds: Seconds,
    /// Tokens that earlier runs had processed already.
    pub resumed: u64,
    /// Records of answers of which something could not be read; each costs nothing but itself.
    #[serde(default)]
    pub odd_records: u64,
    /// Tokens that this run of the track processed, by the time that it took.
    pub tokens_per_second: f64,
    /// From the process's start to the last acknowledged write.
    pub elapsed_seconds: Seconds,
    /// From the first request sent to the last acknowledged write.
    pub work_seconds: Seconds,
    /// From the track's own beginning to the last acknowledged write.
    pub track_seconds: Seconds,
    /// Requests under way at once, at the most: as set, or as many as the limit and the measured latency needed.
    pub workers: u64,
    /// Why it could not go on, where the tracks beside it took over what it had left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
    /// What it was answered about tokens that other tracks had left, where it took up any: they are none of the counts
    /// above, but that what it staged of them is inserted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<RoundCounts>,
}

/// The share of a workload that a track is to process, in percent.
pub const ENOUGH_PROCESSED: u64 = 90;

/// From this time on a worker has stalled, in seconds.
pub const STALLED_SECONDS: f64 = 300.0;

impl Track {
    /// Whether enough of the workload is processed.
    pub fn processed_enough(&self) -> bool {
        u128::from(self.processed) * 100 >= u128::from(self.total) * u128::from(ENOUGH_PROCESSED)
    }

    /// Whether no worker stalled.
    pub fn never_stalled(&self) -> bool {
        self.longest_wait_seconds.0 < STALLED_SECONDS
    }
}

/// What a track was answered about the tokens of other tracks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoundCounts {
    /// Tokens that it took up.
    pub tokens: u64,
    /// Of them, resolved.
    pub resolved: u64,
    /// Of them, unknown to the API.
    pub not_found: u64,
    /// Of them, without a proof for any claim.
    pub rejected: u64,
    /// Of them, without a usable answer.
    pub failed: u64,
}

/// What a catalogue's track did: the fields of every track, whose workload is all unmapped traded tokens, and its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Catalogue {
    /// As for every track.
    #[serde(flatten)]
    pub track: Track,
    /// Pages that list markets, those of the runs that this one has gone on from included.
    pub pages: u64,
    /// Markets on them.
    pub markets: u64,
    /// Of the pages, those that earlier runs had.
    pub pages_resumed: u64,
    /// Pages without a usable answer; asked for again by the next run.
    pub pages_failed: u64,
    /// Tokens that this run saw listed under a market that the hash proves.
    pub proven: u64,
    /// Tokens that this run saw listed under a market that the hash does not prove.
    pub unproven: u64,
}
