//! What `run` and `demo` came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Seconds;
use crate::outcome::Outcome;

/// Several phases in one process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Run {
    /// Whether every phase did what it is for.
    pub passed: bool,
    /// The results of the phases, in the order in which they came.
    pub phases: Vec<Value>,
    /// What the run was to do.
    pub plan: Vec<Planned>,
    /// What became of each phase.
    pub summary: Vec<Summary>,
    /// Tracks of the run that have not come to their end.
    pub missing_tracks: Vec<String>,
    /// How it ended, as its exit code says.
    pub outcome: Outcome,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}

/// A phase of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Planned {
    /// The phase.
    pub phase: String,
    /// `run` or `skip`.
    pub action: String,
    /// Why.
    pub why: String,
    /// Tokens that it will work on, at most; null where that was not predicted, as always but in a dry run.
    pub tokens: Option<u64>,
    /// Full requests that they take.
    pub requests: Option<u64>,
    /// How long these take at the source's limits.
    pub seconds_at_limits: Option<Seconds>,
    /// The tables that it writes; empty where it writes none.
    pub writes: Vec<String>,
}

/// What became of a phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Summary {
    /// The phase.
    pub phase: String,
    /// `done`, `skipped`, `below`, `work left`, `interrupted`, `failed` or `not reached`.
    pub result: String,
    /// How long it took.
    pub seconds: Seconds,
    /// The numbers that matter, or why there are none.
    pub note: String,
}
