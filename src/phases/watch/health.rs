//! [`WatchHealth`]: how a watch stands, for whoever asks while it runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::results::Watch;

/// How a watch stands. Shared between the watch and who asks.
#[derive(Debug)]
pub struct WatchHealth(Mutex<HealthState>);

#[derive(Debug)]
struct HealthState {
    ended: Instant,
    ticks: u64,
    failed: u64,
    mapped: u64,
    unmapped: u64,
    lag_p99: u64,
    by_source: BTreeMap<String, u64>,
}

/// The figures of a watch since its process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchCounts {
    /// Ticks that came to their end.
    pub ticks: u64,
    /// Ticks that failed.
    pub failed: u64,
    /// Tokens that were mapped.
    pub mapped: u64,
    /// Noticed tokens without a mapping now.
    pub unmapped: u64,
    /// The lag of the last tick that mapped any, in seconds; 99 of 100 tokens took no longer.
    pub lag_p99: u64,
    /// Tokens that were mapped, by source.
    pub by_source: BTreeMap<String, u64>,
    /// How long ago a tick came to its end, or the watch began.
    pub behind: Duration,
}

impl Default for WatchHealth {
    fn default() -> Self {
        let by_source = BTreeMap::new();
        let ended = Instant::now();
        Self(Mutex::new(HealthState {
            ended,
            ticks: 0,
            failed: 0,
            mapped: 0,
            unmapped: 0,
            lag_p99: 0,
            by_source,
        }))
    }
}

impl WatchHealth {
    /// A tick came to its end.
    pub(super) fn ended(&self, watch: &Watch) {
        let mut standing = self.0.lock();
        standing.ended = Instant::now();
        standing.ticks += 1;
        standing.mapped += watch.mapped;
        standing.unmapped = watch.unmapped;
        if watch.mapped > 0 {
            standing.lag_p99 = watch.lag_seconds_p99;
        }
        for (source, tokens) in &watch.by_source {
            *standing.by_source.entry(source.clone()).or_default() += tokens;
        }
    }

    /// A tick failed.
    pub(super) fn failed(&self) {
        self.0.lock().failed += 1;
    }

    /// The figures now.
    pub fn counts(&self) -> WatchCounts {
        let standing = self.0.lock();
        WatchCounts {
            ticks: standing.ticks,
            failed: standing.failed,
            mapped: standing.mapped,
            unmapped: standing.unmapped,
            lag_p99: standing.lag_p99,
            by_source: standing.by_source.clone(),
            behind: standing.ended.elapsed(),
        }
    }
}
