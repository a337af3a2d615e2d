//! [`Quota`]: when the next request may be sent, so that no window of an API's limit is ever exceeded and none is
//! left idle. Pure: it is told the time, and so can be simulated.
//!
//! The server counts a request when it *arrives*, over sliding windows. We know when a request was sent and when its
//! answer came; what it took on the way there lies in between. Two requests that leave 10 s apart arrive less than
//! 10 s apart if the first was held up, so a slot is given back not at `sent + window` but at
//! `sent + delay + window`, where `delay` is what this request took beyond the fastest one seen: the most that it can
//! have been held up. The first requests also open their connections, so they say nothing of the way: until a warm one
//! was timed, theirs count as arrived only when they were answered. Of few answers the fastest may be a slow one, so it
//! is trusted the more the more there are; what is learned mends what was thought of all the requests before.

use std::collections::VecDeque;
use std::time::Duration;

use crate::values::{RateLimit, Window};

/// A moment of the track's own clock: the time since it started.
pub type TrackTime = Duration;

/// The distance kept beyond the estimate of arrivals, for clocks and schedulers that are a little late.
const GUARD: Duration = Duration::from_millis(8);

/// A request is not believed to have been on its way for longer: an answer that hangs was mostly counted at once.
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// After a refusal: the share of the limit that is used at least, however often it is refused.
const SLOWEST: f64 = 0.25;

/// The pause after a refusal that asks for none; twice as long with each further one before anything is answered.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A request that holds a place in every window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaSlot {
    number: u64,
    sent: TrackTime,
}

/// What a refusal changes: worth telling once, not with every request that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The first since full speed: nothing is sent for this long, then less than before.
    SlowedDown(Duration),
    /// One more of a burst that was already answered to, or one while requests are held back anyway.
    KnownAlready,
}

/// A request as the server will have counted it.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// When it arrived at the latest; when it was sent, while it is under way.
    at: TrackTime,
    slot: QuotaSlot,
    answered: Option<TrackTime>,
}

impl Arrival {
    fn order(&self) -> (TrackTime, u64) {
        (self.at, self.slot.number)
    }

    /// `way` is the time that no request can have been below, there and back.
    fn estimate(&mut self, way: Duration) {
        if let Some(answered) = self.answered {
            let held_up = (answered - self.slot.sent).saturating_sub(way);
            self.at = self.slot.sent + held_up.min(LONGEST_DELAY);
        }
    }
}

/// The state of all windows at once.
#[derive(Debug)]
pub struct Quota {
    windows: Vec<Window>,
    /// Oldest first, for as long as the longest window looks back.
    arrivals: VecDeque<Arrival>,
    sent: u64,
    /// How many of the first requests open a connection.
    cold: u64,
    fastest: Option<Duration>,
    /// How many warm requests were timed.
    timed: u32,
    /// What is trusted of the fastest.
    way: Duration,
    /// The share of each window that is used, 1 but after a refusal.
    share: f64,
    paused_until: TrackTime,
    refused_at: Option<TrackTime>,
    refusals_in_a_row: u32,
}

impl Quota {
    /// `cold` requests at the most open a connection before the first is used again: the worker count.
    pub fn new(limit: &RateLimit, cold: usize) -> Self {
        Self {
            windows: limit.0.clone(),
            arrivals: VecDeque::new(),
            sent: 0,
            cold: cold as u64,
            fastest: None,
            timed: 0,
            way: Duration::ZERO,
            share: 1.0,
            paused_until: Duration::ZERO,
            refused_at: None,
            refusals_in_a_row: 0,
        }
    }

    /// The earliest moment from `now` on at which one more request may be sent.
    pub fn next(&self, now: TrackTime) -> TrackTime {
        let opens = |window: &Window| {
            // At least one request always fits; the product is below the count, which is a usize.
            let allowed = ((window.requests as f64 * self.share) as usize).max(1);
            let arrival = self.arrivals.get(self.arrivals.len().checked_sub(allowed)?)?;
            Some(arrival.at + window.window + GUARD)
        };
        let opened = self.windows.iter().filter_map(opens).max().unwrap_or_default();
        opened.max(self.paused_until).max(now)
    }

    /// Takes a place in every window for a request that is sent `now`.
    pub fn take(&mut self, now: TrackTime) -> QuotaSlot {
        self.forget(now);
        self.climb(now);
        self.sent += 1;
        let slot = QuotaSlot { number: self.sent, sent: now };
        self.insert(Arrival { at: now, slot, answered: None });
        slot
    }

    /// Counts a request that an earlier process sent at this moment. Whether it was on its way when that process died is
    /// not known: it may have arrived as late as any.
    pub fn sent_before(&mut self, at: TrackTime) {
        self.sent += 1;
        let slot = QuotaSlot { number: self.sent, sent: at };
        self.insert(Arrival { at: at + LONGEST_DELAY, slot, answered: None });
        // It opened no connection of ours.
        self.cold += 1;
    }

    /// How long the longest window looks back, the distance to it included.
    pub fn horizon(limit: &RateLimit) -> Duration {
        let longest = limit.0.iter().map(|window| window.window).max().unwrap_or_default();
        longest + GUARD + LONGEST_DELAY
    }

    /// Gives back the place of a request that was not sent after all.
    pub fn release(&mut self, slot: QuotaSlot) {
        self.remove(slot);
    }

    /// Arrivals are nearly in order as they come, so the place is found and made near the end.
    fn insert(&mut self, arrival: Arrival) {
        let place = self.arrivals.partition_point(|other| other.order() < arrival.order());
        self.arrivals.insert(place, arrival);
    }

    /// Takes out a request that is under way, which stands where it was sent.
    fn remove(&mut self, slot: QuotaSlot) -> Option<Arrival> {
        let place = self.arrivals.binary_search_by_key(&(slot.sent, slot.number), Arrival::order).ok()?;
        self.arrivals.remove(place)
    }

    /// The request was answered: from the time it took follows when it can have arrived at the latest. The next refusal
    /// is a first one again, and its pause a short one.
    pub fn answered(&mut self, slot: QuotaSlot, now: TrackTime) {
        self.refusals_in_a_row = 0;
        let took = now.saturating_sub(slot.sent);
        if slot.number > self.cold {
            self.timed = self.timed.saturating_add(1);
            let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
            self.fastest = Some(fastest);
            // Half of it after four answers, nine tenths after forty.
            let way = fastest.mul_f64(1.0 - 1.0 / (1.0 + f64::from(self.timed) / 4.0));
            if way.abs_diff(self.way) >= Duration::from_millis(1) {
                self.way = way;
                self.arrivals.iter_mut().for_each(|arrival| arrival.estimate(way));
                self.arrivals.make_contiguous().sort_unstable_by_key(Arrival::order);
            }
        }
        self.settle(slot, now);
    }

    /// The request came to no answer. That may be quick, and says nothing of how fast an answer is.
    pub fn broke(&mut self, slot: QuotaSlot, now: TrackTime) {
        self.settle(slot, now);
    }

    fn settle(&mut self, slot: QuotaSlot, now: TrackTime) {
        if let Some(mut arrival) = self.remove(slot) {
            arrival.answered = Some(now.max(slot.sent));
            arrival.estimate(self.way);
            self.insert(arrival);
        }
    }

    /// The server refused the request in `slot` for asking too fast, though we did not: someone else uses the key.
    pub fn refused(&mut self, slot: QuotaSlot, now: TrackTime, retry_after: Option<Duration>) -> Refusal {
        let resting = now.saturating_add(retry_after.unwrap_or_default());
        if self.refused_at.is_some_and(|refused| slot.sent <= refused) {
            if retry_after.is_some() {
                self.paused_until = self.paused_until.max(resting);
            }
            return Refusal::KnownAlready;
        }
        let at_full_speed = self.share >= 1.0;
        self.refusals_in_a_row += 1;
        let doubled = FIRST_PAUSE * 2u32.pow(self.refusals_in_a_row.min(6) - 1);
        let pause = retry_after.unwrap_or(doubled);
        self.paused_until = self.paused_until.max(now + pause);
        self.share = (self.share / 2.0).max(SLOWEST);
        self.refused_at = Some(now);
        if at_full_speed { Refusal::SlowedDown(pause) } else { Refusal::KnownAlready }
    }

    /// Whether requests are being held below the limit because of a refusal.
    pub fn is_slowed(&self) -> bool {
        self.share < 1.0
    }

    /// The share of the limit in use, from 0.25 to 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Back up, by a half every second in which requests went out unrefused.
    fn climb(&mut self, now: TrackTime) {
        let Some(since) = self.refused_at else { return };
        if now.saturating_sub(since.max(self.paused_until)) < Duration::from_secs(1) {
            return;
        }
        self.share = (self.share * 1.5).min(1.0);
        self.paused_until = now;
        if self.share >= 1.0 {
            self.refused_at = None;
        }
    }

    fn forget(&mut self, now: TrackTime) {
        let longest = self.windows.iter().map(|window| window.window).max().unwrap_or_default();
        let horizon = now.saturating_sub(longest + GUARD + LONGEST_DELAY);
        while self.arrivals.front().is_some_and(|arrival| arrival.at < horizon) {
            self.arrivals.pop_front();
        }
    }
}

/// The earliest moment at which all windows together let the last of `requests` be sent: what no client can beat.
pub fn ceiling(limit: &RateLimit, requests: usize) -> TrackTime {
    let mut sent: Vec<TrackTime> = Vec::with_capacity(requests);
    for number in 0..requests {
        let opens = |window: &Window| Some(*sent.get(number.checked_sub(window.requests)?)? + window.window);
        sent.push(limit.0.iter().filter_map(opens).max().unwrap_or_default());
    }
    sent.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::cmp::Reverse;
    use std::collections::{BinaryHeap, VecDeque};

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// How a server counts: each answers whether a request that arrives now is let in.
    trait Server {
        fn admits(&mut self, now: TrackTime) -> bool;
    }

    struct Sliding(Vec<(Window, VecDeque<TrackTime>)>);

    impl Server for Sliding {
        fn admits(&mut self, now: TrackTime) -> bool {
            for (window, seen) in &mut self.0 {
                while seen.front().is_some_and(|at| *at + window.window <= now) {
                    seen.pop_front();
                }
            }
            let room = self.0.iter().all(|(window, seen)| seen.len() < window.requests);
            self.0.iter_mut().for_each(|(_, seen)| seen.push_back(now));
            room
        }
    }

    struct Fixed(Vec<(Window, u128, usize)>);

    impl Server for Fixed {
        fn admits(&mut self, now: TrackTime) -> bool {
            let mut room = true;
            for (window, current, count) in &mut self.0 {
                let index = now.as_nanos() / window.window.as_nanos();
                if index != *current {
                    (*current, *count) = (index, 0);
                }
                *count += 1;
                room &= *count <= window.requests;
            }
            room
        }
    }

    struct Bucket(Vec<(Window, f64, TrackTime)>);

    impl Server for Bucket {
        fn admits(&mut self, now: TrackTime) -> bool {
            let mut room = true;
            for (window, tokens, filled) in &mut self.0 {
                let rate = window.requests as f64 / window.window.as_secs_f64();
                *tokens = (*tokens + (now - *filled).as_secs_f64() * rate).min(window.requests as f64);
                *filled = now;
                room &= *tokens >= 1.0 - 1e-9;
                *tokens -= 1.0;
            }
            room
        }
    }

    fn servers(limit: &RateLimit) -> Vec<(&'static str, Box<dyn Server>)> {
        let windows = || limit.0.iter().copied();
        vec![
            ("sliding", Box::new(Sliding(windows().map(|w| (w, VecDeque::new())).collect()))),
            ("fixed", Box::new(Fixed(windows().map(|w| (w, 0, 0)).collect()))),
            ("bucket", Box::new(Bucket(windows().map(|w| (w, w.requests as f64, Duration::ZERO)).collect()))),
        ]
    }

    struct Outcome {
        refused: usize,
        last_sent: TrackTime,
    }

    /// Sends `requests` through a quota by `workers`, each answer after `latency` give or take a fifth, half of it on
    /// the way there; the first request of each worker takes a connection's set-up of twice the latency more.
    fn simulate(
        limit: &RateLimit,
        server: &mut dyn Server,
        requests: usize,
        workers: usize,
        latency: Duration,
    ) -> Outcome {
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum What {
            Arrives(usize, TrackTime),
            Answered(usize),
        }
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut quota = Quota::new(limit, workers);
        let mut events = BinaryHeap::new();
        let mut slots = Vec::new();
        let (mut free, mut now, mut refused, mut last_sent) = (workers, Duration::ZERO, 0, Duration::ZERO);
        loop {
            while free > 0 && slots.len() < requests && quota.next(now) <= now {
                let cold = if slots.len() < workers { latency * 2 } else { Duration::ZERO };
                let there = latency.mul_f64(rng.random_range(0.4..0.6)) + cold;
                let back = latency.mul_f64(rng.random_range(0.4..0.6));
                events.push(Reverse((now + there, What::Arrives(slots.len(), there + back))));
                slots.push(quota.take(now));
                (free, last_sent) = (free - 1, now);
            }
            let waits = free > 0 && slots.len() < requests;
            let opens = waits.then(|| quota.next(now));
            let event = events.peek().map(|Reverse((at, _))| *at);
            now = match (opens, event) {
                (None, None) => return Outcome { refused, last_sent },
                (Some(at), None) | (None, Some(at)) => at,
                (Some(opens), Some(event)) => opens.min(event),
            };
            while events.peek().is_some_and(|Reverse((at, _))| *at <= now) {
                match events.pop() {
                    Some(Reverse((at, What::Arrives(number, took)))) => {
                        refused += usize::from(!server.admits(at));
                        let answered = slots[number].sent + took;
                        events.push(Reverse((answered.max(at), What::Answered(number))));
                    }
                    Some(Reverse((at, What::Answered(number)))) => {
                        quota.answered(slots[number], at);
                        free += 1;
                    }
                    None => {}
                }
            }
        }
    }

    #[test]
    fn over_hours_no_server_ever_refuses_and_the_windows_are_used_to_a_twentieth() {
        for (limit, requests, workers) in [
            ("100/10s,10/1s", 36_000, 16),
            ("500/10s,100/1s", 100_000, 16),
            ("3000/10s,300/1s", 60_000, 64),
            ("50/10s", 18_000, 32),
        ] {
            let limit: RateLimit = limit.parse().unwrap();
            for latency in [ms(50), ms(150)] {
                for (name, mut server) in servers(&limit) {
                    let outcome = simulate(&limit, server.as_mut(), requests, workers, latency);
                    assert_eq!(outcome.refused, 0, "{name} {limit} at {latency:?}");
                    let ratio = ceiling(&limit, requests).as_secs_f64() / outcome.last_sent.as_secs_f64();
                    assert!(ratio >= 0.95, "{name} {limit} at {latency:?}: only {ratio:.3} of the ceiling");
                }
            }
        }
    }

    #[test]
    fn a_refusal_halts_and_halves_and_is_told_once() {
        let limit: RateLimit = "10/1s".parse().unwrap();
        let mut quota = Quota::new(&limit, 0);
        let slots: Vec<QuotaSlot> = (0..4).map(|i| quota.take(ms(i))).collect();
        assert_eq!(quota.refused(slots[0], ms(10), Some(ms(3_000))), Refusal::SlowedDown(ms(3_000)));
        assert_eq!(quota.refused(slots[1], ms(11), None), Refusal::KnownAlready);
        assert_eq!(quota.next(ms(12)), ms(3_010));
        let sent_in = |quota: &mut Quota, from: u64, to: u64| {
            (from..to).filter(|at| quota.next(ms(*at)) <= ms(*at) && quota.take(ms(*at)).number > 0).count()
        };
        assert_eq!(sent_in(&mut quota, 3_010, 4_010), 5);
        sent_in(&mut quota, 4_010, 20_000);
        assert_eq!(sent_in(&mut quota, 20_000, 21_000), 10, "it climbs back to the full limit");
        assert!(!quota.is_slowed());
    }

    #[test]
    fn a_place_that_was_not_used_is_free_again() {
        let mut quota = Quota::new(&"1/10s".parse().unwrap(), 0);
        let slot = quota.take(ms(0));
        assert!(quota.next(ms(1)) > ms(1));
        quota.release(slot);
        assert_eq!(quota.next(ms(1)), ms(1));
    }
}
