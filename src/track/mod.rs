//! What every track shares: the worker pool ([`engine`]), who asks for what ([`desk`]), when ([`quota`]), what an
//! answer is worth ([`judge`]), how it is written ([`writer`]) and where the track stands ([`checkpoint`]).

pub mod checkpoint;
pub mod desk;
pub mod engine;
pub mod fingerprints;
pub mod judge;
pub mod quota;
pub mod traded;
pub mod writer;

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::upstream::Source;

/// What a running track shows of itself. Counters only go up; each stands for itself, so they are read without a lock.
#[derive(Debug)]
pub struct Gauges {
    /// The track.
    pub source: Source,
    /// Tokens in its workload.
    pub total: u64,
    /// Workers in its pool.
    pub workers: u64,
    /// Tokens of the workload that have an answer, or are given up for this run.
    pub processed: AtomicU64,
    /// Tokens of the workload that are resolved.
    pub resolved: AtomicU64,
    /// Tokens staged, siblings included.
    pub inserted: AtomicU64,
    /// Tokens that the API does not know.
    pub not_found: AtomicU64,
    /// Tokens whose claims have no proof.
    pub rejected: AtomicU64,
    /// Tokens without a usable answer after all retries.
    pub failed: AtomicU64,
    /// Requests sent.
    pub requests: AtomicU64,
    /// Requests refused for being too fast.
    pub throttled: AtomicU64,
    /// Batches that had to be asked again.
    pub retries: AtomicU64,
    /// Workers with a request under way.
    pub active: AtomicU64,
}

impl Gauges {
    fn new(source: Source, total: u64, workers: usize) -> Self {
        let zero = AtomicU64::default;
        Self {
            source,
            total,
            workers: workers as u64,
            processed: zero(),
            resolved: zero(),
            inserted: zero(),
            not_found: zero(),
            rejected: zero(),
            failed: zero(),
            requests: zero(),
            throttled: zero(),
            retries: zero(),
            active: zero(),
        }
    }
}

/// Adds to a gauge.
fn add(gauge: &AtomicU64, amount: u64) {
    gauge.fetch_add(amount, Ordering::Relaxed);
}

/// Reads a gauge.
pub fn read(gauge: &AtomicU64) -> u64 {
    gauge.load(Ordering::Relaxed)
}

/// How a track ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every token of the workload is resolved, not found or rejected.
    Complete,
    /// Batches failed, or an outage outlasted its limit: run it again.
    WorkLeft,
    /// A signal: saved.
    Interrupted,
}

/// What a track did, counted by the tables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackResult {
    /// The track's name.
    pub phase: &'static str,
    /// Tokens in the workload.
    pub total: u64,
    /// Resolved, not found, rejected or failed.
    pub processed: u64,
    /// Distinct tokens staged by this track, siblings included.
    pub inserted: u64,
    /// The API does not know them.
    pub not_found: u64,
    /// No claim about them has a proof.
    pub rejected: u64,
    /// No usable answer; asked again by the next run.
    pub failed: u64,
    /// Resolved, in percent of the total, rounded down.
    pub coverage_pct: f64,
    /// Requests sent by this run.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// Batches of this run that had to be asked again.
    pub retries: u64,
    /// Tokens that earlier runs had processed already.
    pub resumed: u64,
    /// Tokens that this run processed, by its time.
    pub tokens_per_second: f64,
    /// From the process's start to the last acknowledged write.
    pub elapsed_seconds: f64,
    /// From the first request sent to the last acknowledged write.
    pub work_seconds: f64,
    /// Tokens of the workload that are resolved.
    #[serde(skip)]
    pub resolved: u64,
    /// The source.
    #[serde(skip)]
    pub source: Source,
    /// How it ended.
    #[serde(skip)]
    pub ending: Ending,
}

/// `part` of `total` in percent, rounded down to two decimals. Of nothing at all nothing is missing: 100.
pub fn floored_percent(part: u64, total: u64) -> f64 {
    if total == 0 {
        return 100.0;
    }
    (u128::from(part) * 10_000 / u128::from(total)) as f64 / 100.0
}
