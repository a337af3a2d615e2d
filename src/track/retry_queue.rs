//! [`RetryQueue`]: the jobs of a track that were begun: under way, waiting to be tried again, or answered and not yet
//! written. Pure: it is told the time and does no I/O.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::quota::TrackTime;

/// What one worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job<T> {
    /// Its number, by which it is handed back.
    pub number: u64,
    /// What is asked for: the tokens of a batch, the stretch of a page.
    pub part: T,
    /// How often it was asked without an answer that could be used.
    pub attempts: u32,
}

/// What a worker is told when it asks for work.
#[derive(Debug, PartialEq, Eq)]
pub enum NextJob<J> {
    /// Ask for this.
    Ask(J),
    /// Nothing before this moment.
    WaitUntil(TrackTime),
    /// Nothing until something changes.
    Wait,
    /// Nothing any more.
    Done,
}

/// Why a job had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Asked too fast: the job itself is not to blame.
    Throttled,
    /// Too large.
    TooLarge,
    /// Broken in a way that may pass.
    Passing,
    /// Refused for what it says.
    Refused,
}

/// A job without an answer, as the queues are told of it.
#[derive(Debug, Clone, Copy)]
pub struct Missed<'a> {
    /// Why.
    pub kind: FailureKind,
    /// What the source says.
    pub why: &'a str,
    /// Whether the host is taken to be down: then no job is to blame, and none comes nearer to being given up.
    pub host_down: bool,
    /// When.
    pub now: TrackTime,
    /// How long the job should rest before it is tried again.
    pub pause: Duration,
}

/// What becomes of a job without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// It is tried again, or is not needed any more.
    Retried,
    /// It was cut in two: one half may be what breaks it.
    Halved,
    /// It is kept for the next run.
    Failed,
}

/// The jobs of one list of work that were begun.
#[derive(Debug)]
pub struct RetryQueue<T> {
    waiting: BTreeMap<(TrackTime, u64), Job<T>>,
    under_way: HashMap<u64, Job<T>>,
    unwritten: HashMap<u64, Job<T>>,
    numbers: u64,
}

impl<T> Default for RetryQueue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), under_way: HashMap::new(), unwritten: HashMap::new(), numbers: 0 }
    }
}

impl<T: Clone> RetryQueue<T> {
    /// A job with a number of its own.
    pub fn job(&mut self, part: T, attempts: u32) -> Job<T> {
        self.numbers += 1;
        Job { number: self.numbers, part, attempts }
    }

    /// A job goes out.
    pub fn begin(&mut self, job: Job<T>) -> Job<T> {
        self.under_way.insert(job.number, job.clone());
        job
    }

    /// The job that has waited the longest of those whose time has come.
    pub fn take_due(&mut self, now: TrackTime) -> Option<Job<T>> {
        let key = *self.waiting.first_key_value().filter(|((ready, _), _)| *ready <= now)?.0;
        self.waiting.remove(&key)
    }

    /// When the next job is to be tried again.
    pub fn next_due(&self) -> Option<TrackTime> {
        self.waiting.keys().next().map(|(ready, _)| *ready)
    }

    /// A job waits for this moment.
    pub fn wait(&mut self, job: Job<T>, ready: TrackTime) {
        self.under_way.remove(&job.number);
        self.waiting.insert((ready, job.number), job);
    }

    /// Lets a job without an answer be tried again, until it was asked `attempts` times: then it is given back.
    pub fn try_again(&mut self, job: Job<T>, missed: &Missed<'_>, attempts: u32) -> Option<Job<T>> {
        self.under_way.remove(&job.number);
        if missed.kind == FailureKind::Throttled {
            self.wait(job, missed.now);
            return None;
        }
        let job = Job { attempts: job.attempts + u32::from(!missed.host_down), ..job };
        if job.attempts < attempts {
            self.wait(job, missed.now + missed.pause);
            return None;
        }
        Some(job)
    }

    /// A job is over without rows.
    pub fn end(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    /// A job has its answer, which is still to be written.
    pub fn answered(&mut self, number: u64) {
        if let Some(job) = self.under_way.remove(&number) {
            self.unwritten.insert(number, job);
        }
    }

    /// The rows of these jobs are acknowledged.
    pub fn written(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.unwritten.remove(number);
        }
    }

    /// Whether nothing is under way and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether every answer is acknowledged.
    pub fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// The jobs under way.
    pub fn under_way(&self) -> impl Iterator<Item = &Job<T>> {
        self.under_way.values()
    }

    /// Every job that is begun and not written.
    pub fn open(&self) -> impl Iterator<Item = &Job<T>> {
        self.under_way.values().chain(self.waiting.values()).chain(self.unwritten.values())
    }

    /// Forgets waiting jobs that are needed no more.
    pub fn retain_waiting(&mut self, needed: impl Fn(&T) -> bool) {
        self.waiting.retain(|_, job| needed(&job.part));
    }
}
