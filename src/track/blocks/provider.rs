//! [`Provider`]: one reader with what is known of it: its quota, how much it takes at once, whether it is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::queue::Clock;
use super::span::Span;
use crate::chain::BlockRange;
use crate::track::quota::Quota;
use crate::upstream::chain::{LogReader, OPENING_REQUESTS, ProviderKind, ReadError};
use crate::values::RateLimit;

/// Failures in a row, with no answer between them, after which one request at a time finds out whether it is back.
const DOWN_AFTER: u32 = 6;

/// Blocks below the head of a node within which an answer is bound to the head that the same node says it has: behind
/// one address there may be several, and one of them behind the others.
const NEAR_HEAD: u64 = 2_048;

/// Whether a provider answers.
#[derive(Debug, Clone, Copy, Default)]
struct Health {
    failures_in_a_row: u32,
    failing_since: Option<Clock>,
    next_try: Clock,
    trying: bool,
    told: bool,
    ever_answered: bool,
}

/// What a failure changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing worth telling.
    One,
    /// It answers no longer.
    Down,
    /// It has been down for longer than it is waited for.
    GivenUp,
}

/// One provider.
pub struct Provider {
    /// Its number, for the queue.
    pub(super) number: usize,
    /// How it is asked.
    pub(super) reader: Arc<dyn LogReader>,
    quota: Mutex<Quota>,
    span: Mutex<Span>,
    health: Mutex<Health>,
    clock: Instant,
    requests: AtomicU64,
    throttled: AtomicU64,
    /// The last block that may be asked for.
    head: AtomicU64,
    gone: Mutex<Option<ReadError>>,
    cut: Mutex<Option<(BlockRange, Vec<BlockRange>)>>,
}

impl Provider {
    /// A provider that has just been opened.
    pub fn new(number: usize, reader: Arc<dyn LogReader>, limit: &RateLimit, workers: usize) -> Self {
        let mut quota = Quota::new(limit, workers);
        for _ in 0..OPENING_REQUESTS {
            quota.take(Duration::ZERO);
        }
        Self {
            number,
            span: Mutex::new(Span::new(reader.kind())),
            reader,
            quota: Mutex::new(quota),
            health: Mutex::default(),
            clock: Instant::now(),
            requests: AtomicU64::new(OPENING_REQUESTS as u64),
            throttled: AtomicU64::new(0),
            head: AtomicU64::new(0),
            gone: Mutex::default(),
            cut: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.reader.name()
    }

    /// Which kind it is.
    pub fn kind(&self) -> ProviderKind {
        self.reader.kind()
    }

    /// Asks for its head once more; where it does not answer, it keeps the head that it had.
    ///
    /// # Errors
    /// Why it did not answer, or is asked for nothing any more.
    pub async fn refresh_head(&self) -> Result<(), ReadError> {
        if let Some(why) = self.why_gone() {
            return Err(why);
        }
        let head = self.ask(self.reader.finalized()).await?;
        self.head.fetch_max(head, Ordering::Relaxed);
        Ok(())
    }

    /// When a block was made, in seconds since 1970, where its logs do not say so.
    ///
    /// # Errors
    /// [`ReadError`]; the request counts either way.
    pub async fn time_of(&self, block: u64) -> Result<u32, ReadError> {
        self.ask(self.reader.time_of(block)).await
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Of them, refused for being too fast.
    pub fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }

    /// The last block that it may be asked for: its last final one.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    /// Up to this block it may be asked.
    pub fn set_head(&self, head: u64) {
        self.head.store(head, Ordering::Relaxed);
    }

    pub(super) fn is_near_head(&self, block: u64) -> bool {
        block.saturating_add(NEAR_HEAD) > self.head()
    }

    pub(super) fn span(&self) -> MutexGuard<'_, Span> {
        lock(&self.span)
    }

    /// It had fewer logs of a range than of its halves.
    pub(super) fn cuts_in_silence(&self, range: BlockRange, doubted: Vec<BlockRange>) {
        self.span().cut_in_silence(range);
        *lock(&self.cut) = Some((range, doubted));
    }

    /// The range that it was caught at last, and those that it may have cut before; told once.
    pub(super) fn take_cut(&self) -> Option<(BlockRange, Vec<BlockRange>)> {
        lock(&self.cut).take()
    }

    pub(super) fn now(&self) -> Clock {
        self.clock.elapsed()
    }

    /// When the next request may be sent; `None` while another one finds out whether the provider is back.
    pub(super) fn next_turn(&self, now: Clock) -> Option<Clock> {
        let turn = lock(&self.quota).next(now);
        let health = lock(&self.health);
        if health.failures_in_a_row < DOWN_AFTER {
            return Some(turn);
        }
        (!health.trying).then(|| turn.max(health.next_try))
    }

    /// Waits for a turn and sends one request, which counts and is timed.
    pub(super) async fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let slot = loop {
            let now = self.now();
            let next = {
                let mut quota = lock(&self.quota);
                match quota.next(now) {
                    next if next <= now => break quota.take(now),
                    next => next,
                }
            };
            tokio::time::sleep(next - now).await;
        };
        {
            let mut health = lock(&self.health);
            health.trying = health.failures_in_a_row >= DOWN_AFTER;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let answer = answer.await;
        tracing::debug!(
            provider = self.name(),
            milliseconds = asked.elapsed().as_millis() as u64,
            error = answer.as_ref().err().map(tracing::field::display),
            "asked"
        );
        let now = self.now();
        let mut quota = lock(&self.quota);
        match &answer {
            Ok(_) => quota.answered(slot, now),
            Err(ReadError::Throttled { retry_after }) => {
                self.throttled.fetch_add(1, Ordering::Relaxed);
                quota.broke(slot, now);
                quota.refused(slot, now, *retry_after);
            }
            Err(_) => quota.broke(slot, now),
        }
        answer
    }

    /// It answered something, be it a refusal of this one range: it is there. `true` where it had been down.
    pub(super) fn is_there(&self) -> bool {
        let mut health = lock(&self.health);
        let back = health.told;
        *health = Health { ever_answered: true, ..Health::default() };
        back
    }

    /// It did not answer; the next try is after `pause`.
    pub(super) fn failed(&self, pause: Duration, give_up_after: Duration) -> Failure {
        let now = self.now();
        let mut health = lock(&self.health);
        health.failures_in_a_row += 1;
        health.trying = false;
        health.next_try = now + pause;
        let since = *health.failing_since.get_or_insert(now);
        if health.failures_in_a_row < DOWN_AFTER {
            return Failure::One;
        }
        let at_start = !health.ever_answered;
        if at_start || now.saturating_sub(since) > give_up_after {
            return Failure::GivenUp;
        }
        if std::mem::replace(&mut health.told, true) { Failure::One } else { Failure::Down }
    }

    /// How often in a row it has failed.
    pub(super) fn failures_in_a_row(&self) -> u32 {
        lock(&self.health).failures_in_a_row
    }

    /// It is asked for nothing any more.
    pub(super) fn gives_up(&self, why: ReadError) {
        lock(&self.gone).get_or_insert(why);
    }

    /// Why it is asked for nothing any more.
    pub fn why_gone(&self) -> Option<ReadError> {
        lock(&self.gone).clone()
    }
}

/// No holder of these locks can panic between two changes that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
