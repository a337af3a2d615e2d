//! [`Limiter`]: the rate limit of a stand-in, over all its sliding windows at once.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// At most `requests` in any `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many requests.
    pub requests: usize,
    /// In how long.
    pub per: Duration,
}

impl Window {
    /// So many requests in so many seconds.
    pub const fn per_seconds(requests: usize, seconds: u64) -> Self {
        Self { requests, per: Duration::from_secs(seconds) }
    }
}

/// Remembers when requests arrived. A request counts from its arrival, and only if it is let in.
#[derive(Debug)]
pub struct Limiter {
    windows: Vec<Window>,
    arrivals: VecDeque<Instant>,
    kept: usize,
}

impl Limiter {
    /// A limiter of these windows; without windows everything is let in.
    pub fn new(windows: Vec<Window>) -> Self {
        let kept = windows.iter().map(|window| window.requests).max().unwrap_or(0);
        Self { windows, arrivals: VecDeque::with_capacity(kept), kept }
    }

    /// Lets a request in that arrives at `now`.
    ///
    /// # Errors
    /// The time after which a request would be let in, if this one is one too many for some window. It is not
    /// counted then.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let waits = self.windows.iter().filter_map(|window| self.wait(window, now));
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        if self.kept > 0 {
            if self.arrivals.len() == self.kept {
                self.arrivals.pop_front();
            }
            self.arrivals.push_back(now);
        }
        Ok(())
    }

    /// How long until this window has room; `None` if it has.
    fn wait(&self, window: &Window, now: Instant) -> Option<Duration> {
        let back = self.arrivals.len().checked_sub(window.requests)?;
        // A window of no requests at all never has room.
        let Some(oldest) = self.arrivals.get(back) else { return Some(window.per) };
        let free_at = *oldest + window.per;
        (free_at > now).then(|| free_at - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_windows_hold_at_once_and_slide() {
        let mut limiter = Limiter::new(vec![Window::per_seconds(2, 1), Window::per_seconds(3, 10)]);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(limiter.admit(at(0)), Ok(()));
        assert_eq!(limiter.admit(at(900)), Ok(()));
        assert_eq!(limiter.admit(at(950)), Err(Duration::from_millis(50)), "two in the last second");
        assert_eq!(limiter.admit(at(1_000)), Ok(()), "the first is a second ago");
        assert_eq!(limiter.admit(at(2_000)), Err(Duration::from_secs(8)), "three in the last ten seconds");
        assert_eq!(limiter.admit(at(9_999)), Err(Duration::from_millis(1)));
        assert_eq!(limiter.admit(at(10_000)), Ok(()));
    }

    #[test]
    fn a_refused_request_does_not_count() {
        let mut limiter = Limiter::new(vec![Window::per_seconds(1, 1)]);
        let start = Instant::now();
        assert_eq!(limiter.admit(start), Ok(()));
        for millis in 1..1_000 {
            assert!(limiter.admit(start + Duration::from_millis(millis)).is_err());
        }
        assert_eq!(limiter.admit(start + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn without_windows_everything_is_let_in() {
        let mut limiter = Limiter::new(Vec::new());
        let now = Instant::now();
        assert!((0..10_000).all(|_| limiter.admit(now).is_ok()));
    }
}
