//! [`Line`]: what every track needs to ask its source, whatever it asks for: its turn in the quota, what a failure
//! means, and when the track is over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::Notify;

use super::breaker::{Breaker, Host};
use super::desk::{Fault, Order};
use super::events::{GiveUpCause, TrackEvent, TrackEventKind, TrackListener};
use super::quota::{Moment, Quota, Refusal, Slot};
use super::{Gauges, add};
use crate::store::StoreError;
use crate::upstream::UpstreamError;
use crate::values::RateLimit;
use tokio_util::sync::CancellationToken;

/// Connections refused in a row, at the start, after which nobody is there.
const UNREACHABLE_AT_START: u32 = 3;

/// Failures in a row of any kind, at the start, after which the source cannot be used.
const BROKEN_AT_START: u32 = 10;

/// Requests refused in a row for what they say, with no answer between them, after which it is not what they say.
const REFUSED_IN_A_ROW: u32 = 100;

/// Why a track ends before its work does.
#[derive(Debug)]
pub enum End {
    /// The source does not let us in, or is not there.
    Unusable(UpstreamError),
    /// ClickHouse failed for longer than an outage may last.
    Store(StoreError),
    /// The source stayed down.
    Outage,
}

/// What a look at the quota and the work shows.
#[derive(Debug)]
pub enum Look<T> {
    /// This is to be asked, in this slot.
    Job(T, Slot),
    /// Nothing before this moment.
    Until(Moment),
    /// Nothing until something changes.
    Wait,
    /// Nothing any more.
    Over,
}

/// One source as a track asks it.
pub struct Line {
    gauges: Arc<Gauges>,
    listener: Arc<dyn TrackListener>,
    stop: CancellationToken,
    rate_limit: RateLimit,
    give_up_after: Duration,
    clock: Instant,
    quota: Mutex<Quota>,
    ended: Mutex<Option<End>>,
    /// When the first request was sent, and when the last rows were acknowledged.
    first_sent: OnceLock<Moment>,
    last_acknowledged: Mutex<Moment>,
    /// Since when nothing but refusals for being too fast has come.
    throttled_since: Mutex<Option<Moment>>,
    /// Work came, went or ended: whoever waits looks again.
    changed: Arc<Notify>,
}

impl Line {
    /// A line that nothing was asked over yet. `changed` is shared by the tracks that run side by side; an outage may
    /// last `give_up_after`.
    pub fn new(
        gauges: Arc<Gauges>,
        listener: Arc<dyn TrackListener>,
        stop: CancellationToken,
        changed: Arc<Notify>,
        rate_limit: &RateLimit,
        give_up_after: Duration,
    ) -> Self {
        let workers = usize::try_from(gauges.workers).unwrap_or(usize::MAX);
        Self {
            quota: Mutex::new(Quota::new(rate_limit, workers)),
            rate_limit: rate_limit.clone(),
            gauges,
            listener,
            stop,
            give_up_after,
            clock: Instant::now(),
            ended: Mutex::default(),
            first_sent: OnceLock::new(),
            last_acknowledged: Mutex::default(),
            throttled_since: Mutex::default(),
            changed,
        }
    }

    fn tell(&self, kind: TrackEventKind<'_>) {
        self.listener.on_track_event(&TrackEvent { source: self.gauges.source, kind });
    }

    /// The track's own clock.
    pub fn now(&self) -> Moment {
        self.clock.elapsed()
    }

    /// Whether the track takes up nothing new.
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled() || lock(&self.ended).is_some()
    }

    /// Ends the track; the first reason counts.
    pub fn end(&self, end: End) {
        lock(&self.ended).get_or_insert(end);
        self.changed.notify_waiters();
    }

    /// The source was asked once before this line was made, which its limit may still count.
    pub fn was_probed(&self) {
        lock(&self.quota).take(self.now());
    }

    /// Why the track ended before its work did. Over it stays: a track beside this one that looks later must not wait
    /// for what nobody asks any more.
    pub fn why_ended(&self) -> Option<End> {
        let mut ended = lock(&self.ended);
        if ended.is_some() { ended.replace(End::Outage) } else { None }
    }

    /// Something came, went or ended.
    pub fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// The next job with its place in the quota, `None` when there is nothing left to do here.
    pub async fn next<T>(&self, look: impl Fn() -> Look<T>) -> Option<(T, Slot)> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed, also one that happens before it is waited for.
            changed.as_mut().enable();
            if self.is_over() {
                return None;
            }
            let wait = match look() {
                Look::Job(job, slot) => {
                    // More of the work may have room in memory now.
                    self.changed.notify_waiters();
                    return Some((job, slot));
                }
                Look::Over => return None,
                Look::Until(moment) => Some(moment.saturating_sub(self.now())),
                Look::Wait => None,
            };
            let asked = self.stop.cancelled();
            tokio::select! {
                () = changed => {}
                () = asked => {}
                () = sleep_or_forever(wait) => {}
            }
        }
    }

    /// One look at the quota and then at the work. The quota comes first, so that no job is held while its turn is
    /// awaited: until then an answer may make it smaller. Who has nothing left to ask does not wait for a turn.
    pub fn look<T>(
        &self,
        nothing_is_left: impl FnOnce() -> bool,
        order: impl FnOnce(Moment) -> Order<T>,
    ) -> Look<T> {
        let now = self.now();
        let mut quota = lock(&self.quota);
        let next = quota.next(now);
        if next > now {
            return if nothing_is_left() { Look::Over } else { Look::Until(next) };
        }
        match order(now) {
            Order::Ask(job) => Look::Job(job, quota.take(now)),
            Order::WaitUntil(moment) => Look::Until(moment),
            Order::Wait => Look::Wait,
            Order::Done => Look::Over,
        }
    }

    /// A further place in the quota, for the rest of an answer.
    pub async fn another_slot(&self) -> Slot {
        loop {
            let now = self.now();
            let next = {
                let mut quota = lock(&self.quota);
                match quota.next(now) {
                    next if next <= now => return quota.take(now),
                    next => next,
                }
            };
            tokio::time::sleep(next - now).await;
        }
    }

    /// Waits for the answer to one request, which counts and is timed.
    ///
    /// # Errors
    /// What the source says, with the request's slot.
    pub async fn ask<T>(
        &self,
        slot: Slot,
        answer: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, (Slot, UpstreamError)> {
        add(&self.gauges.requests, 1);
        self.first_sent.get_or_init(|| self.now());
        let asked = Instant::now();
        let answer = answer.await;
        self.gauges.latency.observe(asked.elapsed().as_secs_f64());
        tracing::debug!(
            track = self.gauges.source.name(),
            milliseconds = asked.elapsed().as_millis() as u64,
            error = answer.as_ref().err().map(tracing::field::display),
            "asked"
        );
        let now = self.now();
        match answer {
            Ok(answer) => {
                lock(&self.quota).answered(slot, now);
                *lock(&self.throttled_since) = None;
                Ok(answer)
            }
            Err(error) => {
                lock(&self.quota).broke(slot, now);
                Err((slot, error))
            }
        }
    }

    /// A source that had been down answers.
    pub fn answers_again(&self) {
        self.tell(TrackEventKind::HostBack);
    }

    /// What a failure says of the request in `slot`, which was asked `attempts` times before.
    pub fn fault(&self, slot: Slot, error: &UpstreamError, attempts: u32, breaker: &Breaker) -> Fault {
        add(&self.gauges.retries, 1);
        add(&self.gauges.retries_by[error.reason()], 1);
        match error {
            UpstreamError::Throttled { retry_after } => {
                add(&self.gauges.throttled, 1);
                let refusal = lock(&self.quota).refused(slot, self.now(), *retry_after);
                if let Refusal::SlowedDown(pause) = refusal {
                    self.tell(TrackEventKind::Throttled { limit: &self.rate_limit, pause });
                }
                self.throttled(retry_after.unwrap_or_default());
                Fault::Throttled
            }
            UpstreamError::TooLarge(_) => Fault::TooLarge,
            // While the host is down its silence says nothing of the size.
            UpstreamError::Timeout(_) if attempts >= 2 && breaker.host() == Host::Up => Fault::TooLarge,
            UpstreamError::Timeout(_) | UpstreamError::Unreachable(_) | UpstreamError::Broken(_) => {
                Fault::Broken
            }
            UpstreamError::BadRequest(_) => Fault::Refused,
            UpstreamError::Shut(_) => Fault::Broken,
        }
    }

    /// Gives up on a source that has answered nothing else for too long, or says that it will not: a daily quota that
    /// is used up.
    fn throttled(&self, pause: Duration) {
        let since = *lock(&self.throttled_since).get_or_insert(self.now());
        let until = self.now() + pause;
        if until.saturating_sub(since) > self.give_up_after && !self.is_over() {
            self.tell(TrackEventKind::GivingUp(GiveUpCause::RefusesAll(self.give_up_after)));
            self.end(End::Outage);
        }
    }

    /// Decides whether the track goes on after a failure that the breaker has counted. Until the source has answered
    /// once (`at_start`) a few of them are enough.
    pub fn failed(&self, error: UpstreamError, at_start: bool, breaker: &Breaker) {
        let failures = breaker.failures_in_a_row();
        let shut = matches!(error, UpstreamError::Shut(_))
            || breaker.refusals_in_a_row() >= REFUSED_IN_A_ROW
            || at_start
                && match &error {
                    UpstreamError::Unreachable(_) => failures >= UNREACHABLE_AT_START,
                    UpstreamError::BadRequest(_) => true,
                    _ => failures >= BROKEN_AT_START,
                };
        if shut {
            if !at_start {
                self.tell(TrackEventKind::EndsEarly(&error));
            }
            self.end(End::Unusable(error));
        } else if let Host::Down { since, .. } = breaker.host()
            && !at_start
        {
            if breaker.probes() == 1 {
                self.tell(TrackEventKind::HostDown(&error));
            }
            if self.now().saturating_sub(since) > self.give_up_after {
                self.tell(TrackEventKind::GivingUp(GiveUpCause::StayedDown));
                self.end(End::Outage);
            }
        }
        self.changed.notify_waiters();
    }

    /// Rows were acknowledged.
    pub fn acknowledged(&self) {
        *lock(&self.last_acknowledged) = self.now();
    }

    /// A checkpoint was saved, at this time.
    pub fn saved(&self, at: jiff::Timestamp) {
        self.gauges.saved_at.store(at.as_millisecond().unsigned_abs(), Ordering::Relaxed);
    }

    /// From the first request sent to the last rows acknowledged.
    pub fn work(&self) -> Duration {
        let first_sent = self.first_sent.get().copied().unwrap_or_default();
        lock(&self.last_acknowledged).saturating_sub(first_sent)
    }
}

async fn sleep_or_forever(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Twice as long with each failure, up to ten seconds, and not the same for all.
pub(super) fn pause(failures: u32) -> Duration {
    let longest = Duration::from_millis(200) * 2u32.pow(failures.min(6));
    longest.min(Duration::from_secs(10)).mul_f64(rand::rng().random_range(0.5..1.0))
}

/// No holder of these locks can panic between two changes that belong together, so a poisoned one is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
