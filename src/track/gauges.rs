//! [`Gauges`]: what a running track shows of itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::histogram::Histogram;

use crate::ids::TokenId;
use crate::results::Track;
use crate::source::Source;
use crate::upstream::UpstreamError;
use crate::upstream::catalogue::PageCursor;
use crate::values::RateLimit;

/// Where a worker's job begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkStart {
    /// At this token.
    Token(TokenId),
    /// At this place of a catalogue.
    Page(PageCursor),
}

/// A worker's job that is under way.
#[derive(Debug, Clone)]
pub struct UnderWay {
    /// Where it begins.
    pub at: WorkStart,
    /// Since when the worker is at it.
    pub since: Instant,
    /// Whether the operator was told that it takes long.
    pub told: bool,
}

/// What a running track shows of itself. Counters only go up; each stands for itself, so they are read without a lock.
#[derive(Debug)]
pub struct Gauges {
    /// The track.
    pub source: Source,
    /// When it was opened.
    pub began: Instant,
    /// Tokens in its workload.
    pub total: u64,
    /// Workers in its pool.
    pub workers: AtomicU64,
    /// Whether the pool grows as the limit and the measured latency need.
    pub workers_are_measured: bool,
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
    /// The same by what was wrong, in the order of [`UpstreamError::REASONS`].
    pub retries_by: [AtomicU64; UpstreamError::REASONS.len()],
    /// Workers with a request under way.
    pub active: AtomicU64,
    /// What each worker is at.
    under_way: Mutex<HashMap<usize, UnderWay>>,
    /// When the limit or a pause lets the next request go, in milliseconds since `began`; 0 where none is waited for.
    pub opens_at: AtomicU64,
    /// The longest time that a worker was at one batch, in milliseconds.
    pub longest_wait: AtomicU64,
    /// Rows that ClickHouse has acknowledged in this run.
    pub written: AtomicU64,
    /// When the checkpoint was saved last, in milliseconds since 1970; 0 where this run has saved none.
    pub saved_at: AtomicU64,
    /// How long the API took for its answers, in seconds.
    pub latency: Histogram,
    /// Requests a second that all windows of the API's limit allow together in the long run.
    pub allowed_per_second: f64,
    /// The longest of those windows: all of its requests may go at once.
    pub longest_window: Duration,
}

/// From an answer at once to one that is given up.
const LATENCIES: [f64; 11] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

impl Gauges {
    /// The gauges of a track that has not begun.
    pub fn new(source: Source, total: u64, workers: usize, limit: &RateLimit) -> Self {
        let zero = AtomicU64::default;
        Self {
            source,
            began: Instant::now(),
            total,
            workers: AtomicU64::new(workers as u64),
            workers_are_measured: false,
            processed: zero(),
            resolved: zero(),
            inserted: zero(),
            not_found: zero(),
            rejected: zero(),
            failed: zero(),
            requests: zero(),
            throttled: zero(),
            retries: zero(),
            retries_by: Default::default(),
            active: zero(),
            under_way: Mutex::default(),
            opens_at: zero(),
            longest_wait: zero(),
            written: zero(),
            saved_at: zero(),
            latency: Histogram::new(LATENCIES),
            allowed_per_second: limit.per_second(),
            longest_window: limit.0.iter().map(|it| it.window).max().unwrap_or_default(),
        }
    }

    /// The counts of a track at its end, as the tables have them: whoever reads the gauges after it sees its result.
    pub fn settle(&self, result: &Track) {
        let counts = [
            (&self.processed, result.processed),
            (&self.resolved, result.resolved),
            (&self.inserted, result.inserted),
            (&self.not_found, result.not_found),
            (&self.rejected, result.rejected),
            (&self.failed, result.failed),
        ];
        for (gauge, count) in counts {
            gauge.store(count, Ordering::Relaxed);
        }
    }

    /// How long it is until the next request may go, where that is waited for.
    pub fn opens_in(&self) -> Option<Duration> {
        let wait = Duration::from_millis(read(&self.opens_at)).saturating_sub(self.began.elapsed());
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes how long a worker was at a batch that is done.
    pub fn note_wait(&self, time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.longest_wait.fetch_max(milliseconds, Ordering::Relaxed);
    }

    /// What each worker is at.
    pub fn under_way(&self) -> MutexGuard<'_, HashMap<usize, UnderWay>> {
        self.under_way.lock()
    }

    /// The worker that has been at its batch for the longest, and that batch.
    pub fn slowest(&self) -> Option<(usize, UnderWay)> {
        let under_way = self.under_way();
        under_way.iter().map(|(worker, it)| (*worker, it.clone())).min_by_key(|(_, it)| it.since)
    }
}

/// Adds to a gauge.
pub fn add(gauge: &AtomicU64, amount: u64) {
    gauge.fetch_add(amount, Ordering::Relaxed);
}

/// Reads a gauge.
pub fn read(gauge: &AtomicU64) -> u64 {
    gauge.load(Ordering::Relaxed)
}
