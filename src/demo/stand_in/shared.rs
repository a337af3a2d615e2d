//! [`Shared`]: what all requests of a stand-in share, and what is decided when one arrives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, sleep};

use super::counters::Tally;
use super::faults::{Fault, FaultDice};
use super::gate::Gate;
use super::limiter::Limiter;
use super::listener::Switch;
use super::options::{RetryAfterStyle, StandInOptions};
use super::reply::{self, RetryAfter};
use crate::demo::universe::{Market, Universe};

/// Request lines over this are refused, as by the gateways in front of such APIs.
const MAX_REQUEST_LINE: usize = 8 * 1024;
/// Latencies differ by up to this share.
pub(super) const JITTER: f64 = 0.2;

/// What all requests of a server share.
pub(super) struct Shared {
    pub(super) universe: Arc<Universe>,
    pub(super) options: StandInOptions,
    pub(super) limiter: Mutex<Limiter>,
    pub(super) fault_dice: Mutex<FaultDice>,
    pub(super) latency_dice: Mutex<ChaCha8Rng>,
    pub(super) tally: Tally,
    pub(super) switch: Switch,
    pub(super) gate: Gate,
    pub(super) gone: AtomicBool,
}

impl Shared {
    /// Whether this server has a market.
    pub(super) fn has(&self, market: &Market<'_>) -> bool {
        const STEPS: u64 = 1 << 32;
        market.known_to(self.options.api)
            && (self.options.knows >= 1.0
                || (market.dice(0x6b6e_6f77 ^ (self.options.api as u64) << 32, STEPS) as f64)
                    < self.options.knows * STEPS as f64)
    }

    /// The two halves of the latency of one request.
    pub(super) fn latency(&self) -> Duration {
        if self.options.latency.is_zero() {
            return Duration::ZERO;
        }
        let dice = self.latency_dice.lock().unwrap_or_else(PoisonError::into_inner).next_u32();
        let jitter = 1.0 - JITTER + 2.0 * JITTER * f64::from(dice) / f64::from(u32::MAX);
        self.options.latency.mul_f64(jitter / 2.0)
    }

    pub(super) fn authorized(&self, parts: &Parts) -> bool {
        let Some(key) = &self.options.api_key else { return true };
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|value| value.strip_prefix("Bearer ")) == Some(key)
    }

    /// Lets a request in, or says when it would be.
    pub(super) fn too_fast(&self) -> Option<Duration> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now()).err()
    }

    /// Keeps a request waiting for its turn, where the service does so.
    pub(super) async fn delay(&self) {
        if self.options.retry_after != RetryAfterStyle::Delayed {
            return;
        }
        let mut first = true;
        while let Some(turn) = self.too_fast() {
            self.tally.count(|counters| counters.throttled += u64::from(first));
            first = false;
            wait(turn).await;
        }
    }

    /// Everything that is decided when the request arrives: `Err` is the refusal.
    pub(super) fn admit(&self, parts: &Parts) -> Result<Option<Fault>, Box<Response>> {
        let api = self.options.api;
        if self.gone.load(Ordering::Relaxed) {
            return Err(Box::new(reply::error(api, StatusCode::GONE, "This service has been shut down.")));
        }
        if request_line(parts) > MAX_REQUEST_LINE {
            self.tally.count(|counters| counters.bad_requests += 1);
            return Err(Box::new(reply::html(StatusCode::URI_TOO_LONG)));
        }
        // Who is delayed has waited before.
        let refuses = self.options.retry_after != RetryAfterStyle::Delayed;
        if let Some(wait) = refuses.then(|| self.too_fast()).flatten() {
            self.tally.count(|counters| counters.throttled += 1);
            let retry_after = match self.options.retry_after {
                RetryAfterStyle::Absent | RetryAfterStyle::Delayed => RetryAfter::Absent,
                RetryAfterStyle::Seconds => RetryAfter::Seconds(wait),
                RetryAfterStyle::HttpDate => RetryAfter::Date(wait),
            };
            return Err(Box::new(reply::throttled(api, retry_after)));
        }
        if !self.authorized(parts) {
            self.tally.count(|counters| counters.unauthorized += 1);
            return Err(Box::new(reply::error(api, StatusCode::UNAUTHORIZED, "Invalid or missing API key.")));
        }
        let fault = self.fault_dice.lock().unwrap_or_else(PoisonError::into_inner).draw(&self.options.faults);
        if fault.is_some() {
            self.tally.count(|counters| counters.faults += 1);
        }
        Ok(fault)
    }
}

/// The length of the request line, its end included.
fn request_line(parts: &Parts) -> usize {
    let path = parts.uri.path_and_query().map_or(1, |path| path.as_str().len());
    parts.method.as_str().len() + " ".len() + path + " HTTP/1.1\r\n".len()
}

/// Sleeps, unless there is nothing to sleep for.
pub(super) async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
