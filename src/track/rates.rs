//! Durations and rates as results have them.

use std::time::Duration;

/// To milliseconds.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// `amount` a second, to a tenth.
pub fn rate(amount: u64, duration: Duration) -> f64 {
    (amount as f64 / duration.as_secs_f64().max(0.001) * 10.0).round() / 10.0
}
