//! What a tick of `watch` came to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;

/// One tick.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Watch {
    /// `watch`.
    pub phase: String,
    /// Its number, from 1; a watch that is started again goes on counting.
    pub tick: u64,
    /// Whether all fills were read.
    pub full: bool,
    /// Tokens that a pass over all fills found and that earlier ticks should have noticed.
    pub missed: u64,
    /// Fills newer than the newest of the tick before.
    pub new_fills: u64,
    /// Unmapped tokens that were noticed for the first time.
    pub new_tokens: u64,
    /// Noticed tokens that got their mapping.
    pub mapped: u64,
    /// Noticed tokens that have none afterwards.
    pub unmapped: u64,
    /// From a fill's arrival to its token's mapping, in seconds: half of the mapped tokens took no longer.
    pub lag_seconds_p50: u64,
    /// 99 of 100 mapped tokens took no longer.
    pub lag_seconds_p99: u64,
    /// The mapped tokens by what the map names as their source.
    pub by_source: BTreeMap<String, u64>,
    /// How long the tick took.
    pub elapsed_seconds: Seconds,
}
