//! What `doctor` saw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Doctor {
    /// `doctor`.
    pub phase: String,
    /// Whether nothing is bad.
    pub healthy: bool,
    /// The same, under the name that every result with a verdict has.
    pub passed: bool,
    /// The checks, ClickHouse's first.
    pub checks: Vec<Check>,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}

/// How something stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Health {
    /// It can be used.
    #[default]
    #[serde(rename = "ok")]
    Good,
    /// It can be used, or done without; worth knowing.
    #[serde(rename = "note")]
    Note,
    /// It cannot be used.
    #[serde(rename = "bad")]
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Check {
    /// What.
    pub subject: String,
    /// How it stands.
    pub status: Health,
    /// What was seen.
    pub detail: String,
    /// What to do; null where there is nothing to be done.
    pub advice: Option<String>,
    /// How long its answer took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// How far its clock is ahead of this machine's, in seconds.
    pub clock_ahead_seconds: Option<f64>,
}
