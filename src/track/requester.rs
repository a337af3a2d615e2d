//! [`Requester`]: what every track needs to ask its source, whatever it asks for: its turn in the quota, whether the
//! host is there, what a failure means, and when the track is over.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::backoff::pause;
use super::breaker::{Breaker, Host, Permit};
use super::events::{GiveUpCause, TrackEvent, TrackEventKind, TrackListener};
use super::gauges::{Gauges, add, read};
use super::quota::{Quota, QuotaSlot, Refusal, TrackTime};
use super::request_log::RequestLog;
use super::retry_queue::{FailureKind, Missed, NextJob};
use crate::store::StoreError;
use crate::upstream::UpstreamError;
use crate::values::{RateLimit, Window};

/// Connections refused in a row, at the start, after which nobody is there.
const UNREACHABLE_AT_START: u32 = 3;

/// Failures in a row of any other kind, at the start, after which the source cannot be used, probes among them.
const BROKEN_AT_START: u32 = 10;

/// How many of those have to be probes: else what is asked for may be to blame.
const PROBES_AT_START: u32 = 2;

/// Jobs in a row that a source which is there does not answer, after which it is not what they say.
const UNANSWERED_IN_A_ROW: u32 = 100;

/// No pool that sizes itself has more workers.
pub const MOST_WORKERS: usize = 256;

/// Workers for each that is busy on the average.
const SPARE_WORKERS: f64 = 1.25;

/// Why a track ends before its work does.
#[derive(Debug)]
pub enum StopReason {
    /// The source does not let us in, or is not there.
    Unusable(UpstreamError),
    /// ClickHouse failed for longer than an outage may last.
    Store(StoreError),
    /// The source stayed down.
    Outage,
    /// A worker panicked.
    Defect,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(reason) => reason.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Outage => f.write_str("its API stayed down"),
            Self::Defect => f.write_str("one of its workers broke, which is a defect of this program"),
        }
    }
}

/// A request that may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    slot: QuotaSlot,
    /// Whether it is to find out whether the host is there.
    is_probe: bool,
}

/// What a worker does next.
#[derive(Debug)]
pub enum Dispatch<J> {
    /// It asks for this.
    Ask(J, Ticket),
    /// It finds out whether the host is there.
    Probe(Ticket),
}

/// What a look at the quota, the host and the work shows.
enum Look<J> {
    Dispatch(Dispatch<J>),
    Until(TrackTime),
    Wait,
    Over,
}

/// What the requester makes of a failure; the queues are told of it.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Why there was no answer.
    pub kind: FailureKind,
    /// Whether the host is taken to be down.
    pub host_down: bool,
    /// When.
    pub now: TrackTime,
    /// How long the job should rest before it is tried again.
    pub pause: Duration,
}

impl Failure {
    /// The failure as a queue is told of it, with what the source says.
    pub fn missed<'a>(&self, why: &'a str) -> Missed<'a> {
        Missed { kind: self.kind, why, host_down: self.host_down, now: self.now, pause: self.pause }
    }
}

/// The host's side: what may be sent to it, and whether it is there.
struct HostState {
    quota: Quota,
    /// The quota's clock is so far ahead of the track's, for requests that were sent before the track began.
    ahead: Duration,
    /// Where requests are noted before they are sent.
    log: Option<RequestLog>,
    /// How long the source takes for an answer, the last ones counting most.
    latency: Option<Duration>,
    breaker: Breaker,
    /// Since when nothing but refusals for being too fast has come.
    throttled_since: Option<TrackTime>,
}

impl HostState {
    /// The earliest moment from `now` on at which the quota lets one more request be sent.
    fn opens(&self, now: TrackTime) -> TrackTime {
        self.quota.next(now + self.ahead).saturating_sub(self.ahead)
    }

    /// Takes a place in the quota for a request that is sent now, and notes it.
    fn take(&mut self, now: TrackTime) -> QuotaSlot {
        if let Some(log) = &mut self.log
            && let Err(error) = log.note(jiff::Timestamp::now())
        {
            // A full disk: it is tried again with the next request.
            tracing::debug!("a request is not noted: {error}");
        }
        self.quota.take(now + self.ahead)
    }

    /// Learns from an answer. One that hung says little of the others.
    fn timed(&mut self, took: Duration) {
        let latency = self.latency.unwrap_or(took);
        self.latency = Some(latency.mul_f64(0.9) + took.min(latency * 4).mul_f64(0.1));
    }
}

/// When the first request was sent, and when the last rows were acknowledged.
#[derive(Default)]
struct Times {
    first_sent: Option<TrackTime>,
    last_acknowledged: TrackTime,
}

/// One source as a track asks it.
pub struct Requester {
    gauges: Arc<Gauges>,
    listener: Arc<dyn TrackListener>,
    stop: CancellationToken,
    rate_limit: RateLimit,
    give_up_after: Duration,
    host: Mutex<HostState>,
    stopped: Mutex<Option<StopReason>>,
    times: Mutex<Times>,
    /// Work came, went or ended: whoever waits looks again.
    changed: Notify,
}

impl Requester {
    /// A requester that has sent nothing yet; an outage may last `give_up_after`.
    pub fn new(
        gauges: Arc<Gauges>,
        listener: Arc<dyn TrackListener>,
        stop: CancellationToken,
        rate_limit: &RateLimit,
        give_up_after: Duration,
    ) -> Self {
        let workers = usize::try_from(read(&gauges.workers)).unwrap_or(usize::MAX);
        let host = HostState {
            quota: Quota::new(rate_limit, workers),
            ahead: Quota::horizon(rate_limit),
            log: None,
            latency: None,
            breaker: Breaker::default(),
            throttled_since: None,
        };
        Self {
            host: Mutex::new(host),
            rate_limit: rate_limit.clone(),
            gauges,
            listener,
            stop,
            give_up_after,
            stopped: Mutex::default(),
            times: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Notes requests at `path` before they are sent, and counts those that an earlier process has noted there. Where
    /// the file cannot be had, requests are not noted: the track is none the worse until it is killed.
    pub fn note_requests_at(&self, path: PathBuf) {
        let now = self.now();
        let kept_at_most = self.rate_limit.0.iter().map(|window| window.requests).max().unwrap_or_default();
        let mut host = self.host.lock();
        match RequestLog::open(path, jiff::Timestamp::now(), host.ahead, kept_at_most) {
            Ok((log, ages)) => {
                let ahead = host.ahead;
                ages.iter().for_each(|age| host.quota.sent_before((now + ahead).saturating_sub(*age)));
                host.log = Some(log);
            }
            Err(error) => tracing::warn!("requests are not noted: {error}"),
        }
    }

    fn tell(&self, kind: TrackEventKind<'_>) {
        self.listener.on_track_event(&TrackEvent { source: self.gauges.source, kind });
    }

    /// The track's own clock, which all of its times are told by: from its beginning.
    pub fn now(&self) -> TrackTime {
        self.gauges.began.elapsed()
    }

    /// Whether the track takes up nothing new.
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.is_stopped()
    }

    /// Whether the track has ended before its work.
    pub fn is_stopped(&self) -> bool {
        self.stopped.lock().is_some()
    }

    /// Ends the track; the first reason counts.
    pub fn stop(&self, reason: StopReason) {
        self.stopped.lock().get_or_insert(reason);
        self.changed();
    }

    /// Why the track ended before its work did. It stays ended.
    pub fn take_stop_reason(&self) -> Option<StopReason> {
        let mut stopped = self.stopped.lock();
        if stopped.is_some() { stopped.replace(StopReason::Outage) } else { None }
    }

    /// Why the track ended before its work did, in words.
    pub fn stop_reason(&self) -> Option<String> {
        self.stopped.lock().as_ref().map(ToString::to_string)
    }

    /// Whether the source has ever answered anything.
    pub fn ever_answered(&self) -> bool {
        self.host.lock().breaker.ever_answered()
    }

    /// The source was asked once before this requester was made, which its limit may still count.
    pub fn was_probed(&self) {
        let now = self.now();
        self.host.lock().take(now);
    }

    /// As many workers as the limit and the measured latency need, 0 before the first answer.
    fn wanted_workers(&self) -> usize {
        let latency = self.host.lock().latency;
        latency.map_or(0, |latency| workers_for(&self.rate_limit, latency))
    }

    /// Until more workers are needed than there are; answers how many.
    pub async fn more_workers(&self) -> usize {
        let wanted = || self.wanted_workers() as u64 > read(&self.gauges.workers);
        self.wait_until(wanted).await;
        self.wanted_workers()
    }

    /// Something came, went or ended.
    pub fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// Until something comes, goes or ends, looked at by `ready` without missing a change.
    pub async fn wait_until(&self, ready: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if ready() {
                return;
            }
            changed.await;
        }
    }

    /// What a worker does next, `None` when there is nothing left to do here.
    pub async fn next<J>(
        &self,
        next_job: impl Fn(TrackTime) -> NextJob<J>,
        is_done: impl Fn() -> bool,
    ) -> Option<Dispatch<J>> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed, also one that happens before it is waited for.
            changed.as_mut().enable();
            if self.is_over() {
                return None;
            }
            let wait = match self.look(&next_job, &is_done) {
                Look::Dispatch(dispatch) => {
                    // More of the work may have room in memory now.
                    self.changed();
                    return Some(dispatch);
                }
                Look::Over => return None,
                Look::Until(moment) => {
                    let opens = u64::try_from(moment.as_millis()).unwrap_or(u64::MAX);
                    self.gauges.opens_at.store(opens, Ordering::Relaxed);
                    Some(moment.saturating_sub(self.now()))
                }
                Look::Wait => None,
            };
            tokio::select! {
                () = changed => {}
                () = self.stop.cancelled() => {}
                () = sleep_or_forever(wait) => {}
            }
        }
    }

    /// One look at the host and then at the work. The quota comes first, so that no job is held while its turn is
    /// awaited: until then an answer may make it smaller. Who has nothing left to ask does not wait for a turn.
    fn look<J>(&self, next_job: impl Fn(TrackTime) -> NextJob<J>, is_done: impl Fn() -> bool) -> Look<J> {
        let now = self.now();
        let mut host = self.host.lock();
        let opens = host.opens(now);
        let permit = if opens > now { Permit::Until(opens) } else { host.breaker.permit(now) };
        if permit != Permit::Free && is_done() {
            return Look::Over;
        }
        match permit {
            Permit::Until(moment) => Look::Until(moment),
            Permit::Wait => Look::Wait,
            Permit::Probe => {
                host.breaker.probe_sent();
                Look::Dispatch(Dispatch::Probe(Ticket { slot: host.take(now), is_probe: true }))
            }
            Permit::Free => match next_job(now) {
                NextJob::Ask(job) => {
                    let ticket = Ticket { slot: host.take(now), is_probe: false };
                    Look::Dispatch(Dispatch::Ask(job, ticket))
                }
                NextJob::WaitUntil(moment) => Look::Until(moment),
                NextJob::Wait => Look::Wait,
                NextJob::Done => Look::Over,
            },
        }
    }

    /// A further request, for the rest of an answer or for a question without a queue.
    pub async fn another_ticket(&self) -> Ticket {
        loop {
            let now = self.now();
            let next = {
                let mut host = self.host.lock();
                match host.opens(now) {
                    next if next <= now => return Ticket { slot: host.take(now), is_probe: false },
                    next => next,
                }
            };
            tokio::time::sleep(next - now).await;
        }
    }

    /// Waits for the answer to one request, which counts and is timed.
    ///
    /// # Errors
    /// What the source says, with the request's ticket.
    pub async fn ask<T>(
        &self,
        ticket: Ticket,
        answer: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, (Ticket, UpstreamError)> {
        add(&self.gauges.requests, 1);
        self.times.lock().first_sent.get_or_insert(self.now());
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
                self.answered(ticket, now, asked.elapsed());
                Ok(answer)
            }
            Err(error) => {
                let mut host = self.host.lock();
                let at = now + host.ahead;
                host.quota.broke(ticket.slot, at);
                Err((ticket, error))
            }
        }
    }

    fn answered(&self, ticket: Ticket, now: TrackTime, took: Duration) {
        let recovered = {
            let mut host = self.host.lock();
            let at = now + host.ahead;
            host.quota.answered(ticket.slot, at);
            host.timed(took);
            host.throttled_since = None;
            if ticket.is_probe { host.breaker.probe_answered() } else { host.breaker.answered() }
        };
        if recovered {
            self.tell(TrackEventKind::HostBack);
        }
        self.changed();
    }

    /// Weighs a failure of a request for a job that was asked `attempts` times before and may or may not be made smaller,
    /// and ends the track where it cannot go on.
    pub fn failed(&self, ticket: Ticket, error: &UpstreamError, attempts: u32, shrinks: bool) -> Failure {
        add(&self.gauges.retries, 1);
        add(&self.gauges.retries_by[error.reason()], 1);
        let now = self.now();
        let (failure, breaker, refusal, at_start, went_down) = {
            let mut host = self.host.lock();
            if ticket.is_probe {
                host.breaker.probe_over();
            }
            let at_start = !host.breaker.ever_answered();
            let kind = kind_of(error, attempts, shrinks, host.breaker.host());
            let pause = pause(host.breaker.failed_probes().max(attempts) + 1);
            let (mut refusal, mut went_down) = (None, false);
            match kind {
                FailureKind::Throttled => {
                    let wait = retry_after(error);
                    let at = now + host.ahead;
                    refusal = Some(host.quota.refused(ticket.slot, at, wait));
                    host.throttled_since.get_or_insert(now);
                }
                FailureKind::Passing => went_down = host.breaker.failed(now, pause, ticket.is_probe),
                FailureKind::Refused => host.breaker.refused(now),
                FailureKind::TooLarge => {}
            }
            let failure = Failure { kind, host_down: host.breaker.is_down(), now, pause };
            (failure, host.breaker, refusal, at_start, went_down)
        };
        if let Some(refusal) = refusal {
            self.throttled(refusal, retry_after(error));
        }
        if went_down && !at_start {
            self.tell(TrackEventKind::HostDown(error));
        }
        self.give_up_or_go_on(ticket, error, at_start, &breaker);
        self.changed();
        failure
    }

    /// Gives up on a source that has answered nothing but refusals for too long, or says that it will not: a daily
    /// quota that is used up.
    fn throttled(&self, refusal: Refusal, retry_after: Option<Duration>) {
        add(&self.gauges.throttled, 1);
        if let Refusal::SlowedDown(pause) = refusal {
            self.tell(TrackEventKind::Throttled { limit: &self.rate_limit, pause });
        }
        let now = self.now();
        let since = self.host.lock().throttled_since.unwrap_or(now);
        let until = now + retry_after.unwrap_or_default();
        if until.saturating_sub(since) > self.give_up_after && !self.is_over() {
            self.tell(TrackEventKind::GivingUp(GiveUpCause::RefusesAll(self.give_up_after)));
            self.stop(StopReason::Outage);
        }
    }

    /// Decides whether the track goes on after a failure that the breaker has counted. Until the source has answered
    /// once (`at_start`) a few of them are enough.
    fn give_up_or_go_on(&self, ticket: Ticket, error: &UpstreamError, at_start: bool, breaker: &Breaker) {
        let failures = breaker.failures_in_a_row();
        let unusable = matches!(error, UpstreamError::Permanent(_))
            || breaker.unanswered_in_a_row() >= UNANSWERED_IN_A_ROW
            || at_start
                && match error {
                    UpstreamError::Unreachable(_) => failures >= UNREACHABLE_AT_START,
                    UpstreamError::BadRequest(_) => ticket.is_probe,
                    _ => failures >= BROKEN_AT_START && breaker.failed_probes() >= PROBES_AT_START,
                };
        if unusable {
            if !at_start && !self.is_over() {
                self.tell(TrackEventKind::EndsEarly(error));
            }
            self.stop(StopReason::Unusable(error.clone()));
        } else if let Host::Down { since, .. } = breaker.host()
            && !at_start
            && self.now().saturating_sub(since) > self.give_up_after
            && !self.is_over()
        {
            self.tell(TrackEventKind::GivingUp(GiveUpCause::StayedDown));
            self.stop(StopReason::Outage);
        }
    }

    /// Rows were acknowledged.
    pub fn acknowledged(&self) {
        self.times.lock().last_acknowledged = self.now();
    }

    /// A checkpoint was saved, at this time.
    pub fn saved(&self, at: jiff::Timestamp) {
        self.gauges.saved_at.store(at.as_millisecond().unsigned_abs(), Ordering::Relaxed);
    }

    /// When the last rows were acknowledged, zero where none were.
    pub fn last_acknowledged(&self) -> TrackTime {
        self.times.lock().last_acknowledged
    }

    /// From the first request sent to the last rows acknowledged.
    pub fn work(&self) -> Duration {
        let times = self.times.lock();
        times.last_acknowledged.saturating_sub(times.first_sent.unwrap_or_default())
    }
}

/// As many workers as a limit needs at a latency, by Little's law: those that are busy at once while a window that has
/// opened is used up within a second, and some for answers that take longer than most.
pub fn workers_for(limit: &RateLimit, latency: Duration) -> usize {
    let pace = |window: &Window| window.requests as f64 / window.window.as_secs_f64().min(1.0);
    let pace = limit.0.iter().map(pace).fold(f64::INFINITY, f64::min);
    ((pace * latency.as_secs_f64() * SPARE_WORKERS).ceil() + 1.0).min(MOST_WORKERS as f64) as usize
}

/// What a failure says of the job. While the host is down its silence says nothing of the size, and an answer too large to
/// what asks for as little as it can is the host's failure: it might answer everything so.
fn kind_of(error: &UpstreamError, attempts: u32, shrinks: bool, host: Host) -> FailureKind {
    match error {
        UpstreamError::Throttled { .. } => FailureKind::Throttled,
        UpstreamError::TooLarge(_) if shrinks => FailureKind::TooLarge,
        UpstreamError::Timeout(_) if shrinks && attempts >= 2 && host == Host::Up => FailureKind::TooLarge,
        UpstreamError::BadRequest(_) => FailureKind::Refused,
        UpstreamError::TooLarge(_)
        | UpstreamError::Timeout(_)
        | UpstreamError::Unreachable(_)
        | UpstreamError::Transient(_)
        | UpstreamError::Permanent(_) => FailureKind::Passing,
    }
}

fn retry_after(error: &UpstreamError) -> Option<Duration> {
    match error {
        UpstreamError::Throttled { retry_after } => *retry_after,
        _ => None,
    }
}

async fn sleep_or_forever(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
