//! [`NoticeLimiter`]: notices that say the same again and again are told a few times a minute, with how many were left out.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// So often a notice of one kind is told before it is limited.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");

/// After that, one a time of this length.
const THEN_EVERY: Duration = Duration::from_secs(20);

/// Lets the first notices of a kind pass, and then one now and again. A kind is a text without its numbers.
pub struct NoticeLimiter<C: Clock = DefaultClock> {
    limiter:
        RateLimiter<String, HashMapStateStore<String>, C, governor::middleware::NoOpMiddleware<C::Instant>>,
    left_out: Mutex<HashMap<String, u64>>,
}

impl Default for NoticeLimiter {
    fn default() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl<C: Clock> NoticeLimiter<C> {
    fn with_clock(clock: C) -> Self {
        // A period of nothing would be none; this one is not.
        let quota = Quota::with_period(THEN_EVERY).unwrap_or_else(|| Quota::per_minute(AT_ONCE));
        let limiter = RateLimiter::hashmap_with_clock(quota.allow_burst(AT_ONCE), clock);
        Self { limiter, left_out: Mutex::default() }
    }

    /// The notice as it is to be told, `None` where it is not.
    pub fn pass(&self, text: &str) -> Option<String> {
        let kind: String = text.chars().filter(|c| !c.is_ascii_digit()).take(200).collect();
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        if self.limiter.check_key(&kind).is_err() {
            *left_out.entry(kind).or_default() += 1;
            return None;
        }
        Some(match left_out.remove(&kind) {
            None => text.to_owned(),
            Some(count) => format!("{text} (and {count} more like this)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    #[test]
    fn the_same_again_is_told_now_and_again_with_how_many_there_were() {
        let clock = FakeRelativeClock::default();
        let limiter = NoticeLimiter::with_clock(clock.clone());
        let told: Vec<_> =
            (0..100).filter_map(|n| limiter.pass(&format!("Dome: {n} token(s) failed"))).collect();
        assert_eq!(told.len(), 3);
        assert_eq!(limiter.pass("Goldsky: 1 token(s) failed").as_deref(), Some("Goldsky: 1 token(s) failed"));
        clock.advance(THEN_EVERY);
        let told = limiter.pass("Dome: 7 token(s) failed");
        assert_eq!(told.as_deref(), Some("Dome: 7 token(s) failed (and 97 more like this)"));
        assert_eq!(limiter.pass("Dome: 8 token(s) failed"), None);
        clock.advance(THEN_EVERY);
        let told = limiter.pass("Dome: 9 token(s) failed");
        assert_eq!(told.as_deref(), Some("Dome: 9 token(s) failed (and 1 more like this)"));
    }
}
