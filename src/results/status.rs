//! What `status` tells.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Percentage, Seconds};
use crate::outcome::Outcome;

/// Where everything stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Status {
    /// `status`.
    pub phase: String,
    /// The phases, in their order; one that never ran and need not is left out.
    pub phases: Vec<PhaseStatus>,
    /// The tracks that have a checkpoint, a process, or a run.
    pub tracks: Vec<TrackStatus>,
    /// What ClickHouse says now; null where it was not asked or is away.
    pub coverage: Option<Known>,
    /// Why ClickHouse says nothing; null where it does.
    pub clickhouse_away: Option<String>,
    /// What a phase found last.
    pub last_known: Option<Known>,
    /// What the first `setup` found.
    pub baseline: Option<Known>,
    /// Lines of the journal that could not be read.
    pub unreadable_lines: u64,
    /// When this was looked at, in UTC.
    #[schemars(with = "String")]
    pub now: Timestamp,
}

impl Status {
    /// Whole seconds from `at` to when this was looked at.
    pub fn seconds_since(&self, at: Timestamp) -> i64 {
        self.now.duration_since(at).as_secs()
    }
}

/// How much is mapped, as somebody found it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Known {
    /// Traded tokens.
    pub total: u64,
    /// Of them, mapped.
    pub mapped: u64,
    /// The same in percent.
    pub coverage_pct: Percentage,
    /// When, in UTC.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// How long ago that was.
    pub age_seconds: i64,
}

/// How a phase stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PhaseStatus {
    /// The phase.
    pub phase: String,
    /// How it stands.
    pub state: State,
    /// When it began or, at its end, when that was, in UTC.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// How long it took, at its end.
    pub seconds: Option<Seconds>,
    /// Why it failed, where it did.
    pub error: Option<String>,
}

/// How a track stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TrackStatus {
    /// The track.
    pub track: String,
    /// The process that is at it.
    pub pid: Option<i32>,
    /// Tokens a second over the last seconds, while it runs.
    pub tokens_per_second: Option<f64>,
    /// How far it is.
    pub progress: Option<TrackProgress>,
    /// What its checkpoint says; null where it has none or none that can be read.
    pub saved: Option<Saved>,
    /// Its checkpoint as it stands on disk, null where it has none, `{"error": …}` where it cannot be read.
    pub checkpoint: Value,
}

/// How a phase stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// No run of it is in the journal.
    #[default]
    #[serde(rename = "never run")]
    NeverRun,
    /// A process is at it.
    #[serde(rename = "running")]
    Running,
    /// Its process is gone without a word: it was killed, or its machine went down.
    #[serde(rename = "killed")]
    Killed,
    /// Done.
    #[serde(rename = "done")]
    Done,
    /// Done, below a threshold.
    #[serde(rename = "below threshold")]
    BelowThreshold,
    /// Stopped with work left.
    #[serde(rename = "work left")]
    WorkLeft,
    /// Interrupted by a signal.
    #[serde(rename = "interrupted")]
    Interrupted,
    /// It could not do its work.
    #[serde(rename = "failed")]
    Failed,
}

impl State {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverRun => "never run",
            Self::Running => "running",
            Self::Killed => "killed",
            Self::Done => "done",
            Self::BelowThreshold => "below threshold",
            Self::WorkLeft => "work left",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done | Outcome::NotWritten => Self::Done,
            Outcome::BelowThreshold => Self::BelowThreshold,
            Outcome::WorkLeft => Self::WorkLeft,
            Outcome::Interrupted => Self::Interrupted,
            Outcome::Failed | Outcome::Usage => Self::Failed,
        }
    }
}

/// What a checkpoint says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Saved {
    /// When it was saved, in UTC.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Tokens that the API does not know.
    pub not_found: u64,
    /// Tokens whose claims have no proof.
    pub rejected: u64,
    /// Batches without a usable answer.
    pub batches_failed: u64,
    /// Batches that were under way.
    pub batches_open: u64,
}

/// How far a track is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TrackProgress {
    /// When it was, in UTC.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Tokens of its workload.
    pub total: u64,
    /// Of them, with an answer or given up.
    pub processed: u64,
    /// Tokens staged.
    pub inserted: u64,
    /// Tokens without a usable answer.
    pub failed: u64,
}
