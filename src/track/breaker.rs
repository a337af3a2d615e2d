//! [`Breaker`]: whether a host answers at all. While it does not, one request at a time finds out, not one a worker.
//! Pure: it is told the time.

use std::time::Duration;

use super::quota::TrackTime;

/// Failures in a row, with no answer between them, after which the host is taken to be down.
const DOWN_AFTER: u32 = 8;

/// The same for a host that has never answered: whether it is the host or what was asked of it is to be found out.
const DOWN_AFTER_AT_START: u32 = 3;

/// Whether the host answers at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// It does.
    Up,
    /// Not since this moment; it is probed again at `next_probe`.
    Down {
        /// When the failures in a row began.
        since: TrackTime,
        /// When the next request may be sent to it.
        next_probe: TrackTime,
    },
}

/// Whether a request may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Like any other.
    Free,
    /// As the one that finds out whether the host is there.
    Probe,
    /// Not before this moment.
    Until(TrackTime),
    /// Not while another one finds out.
    Wait,
}

/// What is known of a host.
#[derive(Debug, Clone, Copy)]
pub struct Breaker {
    host: Host,
    probing: bool,
    failures_in_a_row: u32,
    unanswered_in_a_row: u32,
    failing_since: TrackTime,
    failed_probes: u32,
    ever_answered: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            host: Host::Up,
            probing: false,
            failures_in_a_row: 0,
            unanswered_in_a_row: 0,
            failing_since: Duration::ZERO,
            failed_probes: 0,
            ever_answered: false,
        }
    }
}

impl Breaker {
    /// Whether a request may be sent at `now`.
    pub fn permit(&self, now: TrackTime) -> Permit {
        match self.host {
            Host::Up => Permit::Free,
            Host::Down { .. } if self.probing => Permit::Wait,
            Host::Down { next_probe, .. } if now < next_probe => Permit::Until(next_probe),
            Host::Down { .. } => Permit::Probe,
        }
    }

    /// A probe goes out.
    pub fn probe_sent(&mut self) {
        self.probing = true;
    }

    /// A probe is over, whatever it brought.
    pub fn probe_over(&mut self) {
        self.probing = false;
    }

    /// A job was answered; `true` where the host had been down.
    pub fn answered(&mut self) -> bool {
        let recovered = self.ever_answered && self.is_down();
        *self = Self { ever_answered: true, ..Self::default() };
        recovered
    }

    /// A probe was answered; `true` where the host had been down. That no job is answered is still remembered.
    pub fn probe_answered(&mut self) -> bool {
        let unanswered_in_a_row = self.unanswered_in_a_row;
        let recovered = self.answered();
        self.unanswered_in_a_row = unanswered_in_a_row;
        recovered
    }

    /// Counts a failure that may be the host's; `true` where that takes the host to be down.
    pub fn failed(&mut self, now: TrackTime, pause: Duration, probe: bool) -> bool {
        if self.failures_in_a_row == 0 {
            self.failing_since = now;
        }
        self.failures_in_a_row += 1;
        self.failed_probes += u32::from(probe);
        let limit = if self.ever_answered { DOWN_AFTER } else { DOWN_AFTER_AT_START };
        if self.is_down() || self.failures_in_a_row >= limit {
            let went_down = !self.is_down();
            self.host = Host::Down { since: self.failing_since, next_probe: now + pause };
            return went_down;
        }
        self.unanswered_in_a_row += 1;
        false
    }

    /// Counts a job that was refused for what it says. Where nothing was ever answered, a probe is to find out whether
    /// anything is.
    pub fn refused(&mut self, now: TrackTime) {
        self.unanswered_in_a_row += 1;
        if !self.ever_answered && !self.is_down() {
            self.failing_since = now;
            self.host = Host::Down { since: now, next_probe: now };
        }
    }

    /// Jobs in a row that the host, which was there, did not answer.
    pub fn unanswered_in_a_row(&self) -> u32 {
        self.unanswered_in_a_row
    }

    /// Whether the host answers.
    pub fn host(&self) -> Host {
        self.host
    }

    /// Whether the host is taken to be down.
    pub fn is_down(&self) -> bool {
        matches!(self.host, Host::Down { .. })
    }

    /// Probes in a row that failed.
    pub fn failed_probes(&self) -> u32 {
        self.failed_probes
    }

    /// Whether any request was ever answered.
    pub fn ever_answered(&self) -> bool {
        self.ever_answered
    }

    /// How often in a row the host has failed, for the length of the next pause.
    pub fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_host_that_is_down_is_probed_by_one_request_at_a_time_until_it_answers() {
        let mut breaker = Breaker::default();
        breaker.answered();
        let went_down: Vec<bool> = (0..10).map(|_| breaker.failed(Duration::ZERO, SECOND, false)).collect();
        assert_eq!(went_down.iter().position(|it| *it), Some(DOWN_AFTER as usize - 1));
        assert_eq!(went_down.iter().filter(|it| **it).count(), 1, "it goes down once");
        assert_eq!(breaker.permit(Duration::ZERO), Permit::Until(SECOND));
        for round in 1..1_000 {
            let now = SECOND * round;
            assert_eq!(breaker.permit(now), Permit::Probe);
            breaker.probe_sent();
            assert_eq!(breaker.permit(now), Permit::Wait, "one probe at a time");
            breaker.probe_over();
            assert!(!breaker.failed(now, SECOND, true));
        }
        assert_eq!(breaker.failed_probes(), 999);
        assert!(breaker.probe_answered(), "it had been down");
        assert_eq!((breaker.permit(SECOND), breaker.failures_in_a_row()), (Permit::Free, 0));
        assert_eq!(breaker.unanswered_in_a_row(), DOWN_AFTER - 1, "a probe is no answer to a job");
    }

    #[test]
    fn a_first_refusal_is_followed_by_a_probe_and_a_later_one_is_not() {
        let mut breaker = Breaker::default();
        breaker.refused(SECOND);
        assert_eq!(breaker.permit(SECOND), Permit::Probe);
        breaker.probe_sent();
        breaker.probe_over();
        assert!(!breaker.probe_answered(), "it was never known to be up");
        breaker.refused(SECOND);
        assert_eq!((breaker.permit(SECOND), breaker.unanswered_in_a_row()), (Permit::Free, 2));
    }
}
