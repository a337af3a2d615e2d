//! What `setup` and `derive` came to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Percentage, Seconds};

/// What phase 0 found and did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Setup {
    /// `setup`.
    pub phase: String,
    /// Distinct well-formed token ids in the fills.
    pub total_asset_ids: u64,
    /// Of them, mapped before anything else was done.
    pub mapped: u64,
    /// Mapped, in percent of the total.
    pub coverage_pct: Percentage,
    /// Of the total, not mapped.
    pub unmapped: u64,
    /// Distinct values in the fills that are no token id, outside of the total.
    pub malformed: u64,
    /// Of the unmapped: two usable rows of the map contradict each other.
    pub ambiguous: u64,
    /// Of the unmapped: derived, now or before, and so asked of nobody; null where none are.
    pub derived: Option<u64>,
    /// Condition ids that this setup derived from; null where it was not asked to.
    pub derived_from: Option<u64>,
    /// Unmapped tokens that are listed: what is neither derived nor mapped.
    pub listed: u64,
    /// Tokens in the workload of each track in use.
    pub tracks: BTreeMap<String, u64>,
    /// The same with each track's share.
    pub workloads: Vec<Workload>,
    /// The staging database.
    pub staging_database: String,
    /// Distinct tokens that are staged already, by the name of the source.
    pub staged: BTreeMap<String, u64>,
    /// Users' tables that were missing and are created, empty.
    pub created: Vec<String>,
    /// Whether everything staged before was forgotten.
    pub reset: bool,
    /// Checkpoints of workloads that are no more, by their new names.
    pub put_aside: Vec<PathBuf>,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}

/// One track's part of the unmapped tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Workload {
    /// The track.
    pub track: String,
    /// Its share in percent.
    pub share_pct: Percentage,
    /// Tokens.
    pub total: u64,
    /// Whether it is the workload of the `setup` before, whose progress is kept.
    pub kept: bool,
}

/// What the offline track found and did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Derive {
    /// `derive`.
    pub phase: String,
    /// Conditions that were read; one that a file repeats counts again.
    pub conditions: u64,
    /// Token ids that were computed from them.
    pub candidates: u64,
    /// Traded tokens that were unmapped and not yet derived.
    pub unmapped: u64,
    /// Of those, found and staged.
    pub inserted: u64,
    /// Of those, mirrors of a known condition.
    pub mirrors: u64,
    /// Of those, the ones that stand under the condition in their own bits.
    pub structural: u64,
    /// Mirrors of which several known conditions can be the legacy one: not staged.
    pub ambiguous: u64,
    /// Some of them.
    pub ambiguous_sample: Vec<String>,
    /// Distinct values that are no condition id, and such lines of files.
    pub malformed: u64,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}
