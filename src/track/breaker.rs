//! [`Breaker`]: whether a host answers at all. While it does not, one request at a time finds out, not one a worker.
//! Pure: it is told the time.

use std::time::Duration;

use super::quota::Moment;

/// Failures in a row, with no answer between them, after which the host is taken to be down.
const DOWN_AFTER: u32 = 8;

/// Whether the host answers at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// It does.
    Up,
    /// Not since this moment; it is probed again at `next_probe`.
    Down {
        /// When the failures in a row began.
        since: Moment,
        /// When the next request may be sent to it.
        next_probe: Moment,
    },
}

/// Whether a request may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Like any other.
    Free,
    /// As the one that finds out whether the host is there.
    Probe,
    /// Not before this moment.
    Until(Moment),
    /// Not while another one finds out.
    Wait,
}

/// What is known of a host.
#[derive(Debug, Clone, Copy)]
pub struct Breaker {
    host: Host,
    probing: bool,
    failures_in_a_row: u32,
    refusals_in_a_row: u32,
    failing_since: Moment,
    probes: u32,
    ever_answered: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            host: Host::Up,
            probing: false,
            failures_in_a_row: 0,
            refusals_in_a_row: 0,
            failing_since: Duration::ZERO,
            probes: 0,
            ever_answered: false,
        }
    }
}

impl Breaker {
    /// Whether a request may be sent at `now`.
    pub fn passage(&self, now: Moment) -> Passage {
        match self.host {
            Host::Up => Passage::Free,
            Host::Down { .. } if self.probing => Passage::Wait,
            Host::Down { next_probe, .. } if now < next_probe => Passage::Until(next_probe),
            Host::Down { .. } => Passage::Probe,
        }
    }

    /// A request goes out that has had this passage; `true` where it is a probe.
    pub fn sent(&mut self, passage: Passage) -> bool {
        let probe = passage == Passage::Probe;
        self.probing |= probe;
        probe
    }

    /// A request is over, whatever it brought.
    pub fn over(&mut self, probe: bool) {
        self.probing &= !probe;
    }

    /// The host answered; `true` where it had been down.
    pub fn answered(&mut self) -> bool {
        let recovered = self.ever_answered && matches!(self.host, Host::Down { .. });
        *self = Self { ever_answered: true, ..Self::default() };
        recovered
    }

    /// Counts a failure of the host; `true` while it is taken to be down.
    pub fn failed(&mut self, now: Moment, pause: Duration) -> bool {
        if self.failures_in_a_row == 0 {
            self.failing_since = now;
        }
        self.failures_in_a_row += 1;
        let down = self.failures_in_a_row >= DOWN_AFTER || matches!(self.host, Host::Down { .. });
        if down {
            self.probes += 1;
            self.host = Host::Down { since: self.failing_since, next_probe: now + pause };
        }
        down
    }

    /// Counts a request that was refused for what it says: the host is there.
    pub fn refused(&mut self) {
        self.refusals_in_a_row += 1;
    }

    /// How many were, with no answer between them.
    pub fn refusals_in_a_row(&self) -> u32 {
        self.refusals_in_a_row
    }

    /// Whether the host answers.
    pub fn host(&self) -> Host {
        self.host
    }

    /// How many requests in a row found the host down.
    pub fn probes(&self) -> u32 {
        self.probes
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
