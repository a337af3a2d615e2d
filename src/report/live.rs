//! [`Live`]: what is under way at this moment, for whoever shows it: the bars of a terminal, the metrics.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::run;
use crate::outcome::Outcome;
use crate::phases::steps::{Decision, End, Plan, Planned, Step, StepEnd};
use crate::source::Source;
use crate::track::{Gauges, UnderWay, read};

/// What a rate on the screen looks back on.
const WINDOW: Duration = Duration::from_secs(10);

/// The rate of the last ten seconds, from looks at a counter.
#[derive(Debug)]
pub struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// A counter that stands at `count`.
    pub fn new(now: Instant, count: u64) -> Self {
        Self([(now, count)].into())
    }

    /// Looks at the counter again.
    pub fn look(&mut self, now: Instant, count: u64) {
        self.0.push_back((now, count));
        while self.0.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
    }

    /// When it was looked at last.
    fn last(&self) -> Option<Instant> {
        self.0.back().map(|(at, _)| *at)
    }

    /// Per second; 0 as long as there is nothing to compare.
    pub fn per_second(&self) -> f64 {
        let (Some((since, before)), Some((now, count))) = (self.0.front(), self.0.back()) else { return 0.0 };
        let span = now.saturating_duration_since(*since).as_secs_f64();
        if span < 0.1 { 0.0 } else { count.saturating_sub(*before) as f64 / span }
    }
}

/// A track that runs, or has run, in this process.
#[derive(Debug)]
pub struct LiveTrack {
    /// Its counters.
    pub gauges: Arc<Gauges>,
    /// Tokens processed.
    pub tokens: Rate,
    /// Requests sent.
    pub requests: Rate,
    /// Whether it is at its end.
    pub ended: bool,
}

impl LiveTrack {
    /// Requests of this run by all that the limit could have let through in its time: never above 1 while it is kept.
    pub fn quota_use(&self) -> f64 {
        let gauges = &self.gauges;
        let until = if self.ended { self.requests.last() } else { Some(Instant::now()) };
        let time = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(gauges.began));
        let allowed = gauges.allowed_per_second * (time + gauges.longest_window).as_secs_f64();
        read(&gauges.requests) as f64 / allowed
    }
}

/// A track as it stands at one moment.
#[derive(Debug, Clone)]
pub struct TrackSnapshot {
    /// The track.
    pub source: Source,
    /// Tokens in its workload.
    pub total: u64,
    /// Of them, with an answer or given up.
    pub processed: u64,
    /// Tokens of the workload that are resolved.
    pub resolved: u64,
    /// Tokens staged.
    pub inserted: u64,
    /// Tokens a second over the last ten.
    pub rate: f64,
    /// Workers in its pool.
    pub workers: u64,
    /// Of them, with a request under way.
    pub active: u64,
    /// How long it is until the limit lets the next request go, where that is waited for.
    pub opens_in: Option<Duration>,
    /// Requests refused for being too fast.
    pub throttled: u64,
    /// Batches asked again.
    pub retries: u64,
    /// The worker that has been at its batch for the longest.
    pub slowest: Option<(usize, UnderWay)>,
}

/// How far a phase of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseState {
    /// Its turn has not come.
    Waiting,
    /// It runs since.
    Running(Instant),
    /// It did what it is for.
    Done,
    /// It was left out.
    LeftOut,
    /// It ended otherwise.
    NotWell,
}

/// A phase of a run as it stands.
#[derive(Debug, Clone)]
pub struct PhaseSnapshot {
    /// The phase.
    pub step: Step,
    /// How far it is.
    pub state: PhaseState,
    /// How long it took, at its end.
    pub seconds: f64,
    /// The numbers that matter, or why it was left out.
    pub note: String,
}

/// What is under way.
#[derive(Debug, Default)]
pub struct Live {
    tracks: Mutex<Vec<LiveTrack>>,
    phases: Mutex<Vec<PhaseSnapshot>>,
}

impl Live {
    /// A track has begun. One of the same source that ran before in this process is forgotten.
    pub fn track_began(&self, gauges: Arc<Gauges>) {
        let now = Instant::now();
        let (tokens, requests) =
            (Rate::new(now, read(&gauges.processed)), Rate::new(now, read(&gauges.requests)));
        let mut tracks = lock(&self.tracks);
        tracks.retain(|track| track.gauges.source != gauges.source);
        tracks.push(LiveTrack { gauges, tokens, requests, ended: false });
        // Tracks that begin together tell so in any order.
        tracks.sort_by_key(|track| track.gauges.source);
    }

    /// A track has ended; its last values stay.
    pub fn track_ended(&self, source: Source) {
        for track in lock(&self.tracks).iter_mut().filter(|track| track.gauges.source == source) {
            track.requests.look(Instant::now(), read(&track.gauges.requests));
            track.ended = true;
        }
    }

    /// Looks at the counters that rates are made of.
    pub fn sample(&self) {
        let now = Instant::now();
        for track in lock(&self.tracks).iter_mut().filter(|track| !track.ended) {
            track.tokens.look(now, read(&track.gauges.processed));
            track.requests.look(now, read(&track.gauges.requests));
        }
    }

    /// Hands every track to `with`, also those that have ended.
    pub fn each_track(&self, with: impl FnMut(&LiveTrack)) {
        lock(&self.tracks).iter().for_each(with);
    }

    /// The tracks that run.
    pub fn tracks(&self) -> Vec<TrackSnapshot> {
        let look = |track: &LiveTrack| {
            let gauges = &track.gauges;
            TrackSnapshot {
                source: gauges.source,
                total: gauges.total,
                processed: read(&gauges.processed),
                resolved: read(&gauges.resolved),
                inserted: read(&gauges.inserted),
                rate: track.tokens.per_second(),
                workers: read(&gauges.workers),
                active: read(&gauges.active),
                opens_in: gauges.opens_in(),
                throttled: read(&gauges.throttled),
                retries: read(&gauges.retries),
                slowest: gauges.slowest(),
            }
        };
        lock(&self.tracks).iter().filter(|track| !track.ended).map(look).collect()
    }

    /// A run begins.
    pub fn planned(&self, plan: &Plan) {
        let look = |planned: &Planned| {
            let (state, note) = match &planned.decision {
                Decision::Run(_) => (PhaseState::Waiting, String::new()),
                Decision::Leave(skip) => (PhaseState::LeftOut, run::skip(skip)),
            };
            PhaseSnapshot { step: planned.step, state, seconds: 0.0, note }
        };
        *lock(&self.phases) = plan.0.iter().map(look).collect();
    }

    /// A phase of the run begins.
    pub fn phase_began(&self, step: Step) {
        for phase in lock(&self.phases).iter_mut().filter(|phase| phase.step == step) {
            phase.state = PhaseState::Running(Instant::now());
        }
    }

    /// A phase of the run has ended.
    pub fn phase_ended(&self, end: &StepEnd) {
        for phase in lock(&self.phases).iter_mut().filter(|phase| phase.step == end.step) {
            phase.state = match end.end {
                End::Ended(Outcome::Done) => PhaseState::Done,
                End::LeftOut(_) => PhaseState::LeftOut,
                _ => PhaseState::NotWell,
            };
            phase.seconds = end.seconds;
            phase.note = run::note(end);
        }
    }

    /// The phases of the run, none where there is no run.
    pub fn phases(&self) -> Vec<PhaseSnapshot> {
        lock(&self.phases).clone()
    }
}

/// No holder can panic between two changes that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_a_quota_is_at_most_one_when_all_of_it_was_sent_at_once() {
        let gauges = Arc::new(Gauges::new(Source::Dome, 9, 1, &"100/10s,10/1s".parse().unwrap()));
        gauges.requests.fetch_add(100, std::sync::atomic::Ordering::Relaxed);
        let live = Live::default();
        live.track_began(gauges.clone());
        live.track_ended(Source::Dome);
        let mut used = Vec::new();
        live.each_track(|track| used.push(track.quota_use()));
        assert!(matches!(used.as_slice(), [used] if (0.5..=1.0).contains(used)), "{used:?}");
    }

    #[test]
    fn a_rate_looks_back_ten_seconds() {
        let start = Instant::now();
        let mut rate = Rate::new(start, 1_000);
        assert_eq!(rate.per_second(), 0.0);
        for second in 1..=20u64 {
            rate.look(start + Duration::from_secs(second), 1_000 + second * 100);
        }
        assert!((rate.per_second() - 100.0).abs() < 1e-9);
        for second in 21..=40u64 {
            rate.look(start + Duration::from_secs(second), 3_000);
        }
        assert_eq!(rate.per_second(), 0.0, "what was before the window is forgotten");
        assert!(rate.0.len() < 13);
    }
}
