//! How long whoever failed waits before the next try: the one policy for APIs and for ClickHouse.

use std::time::Duration;

use rand::RngExt;

/// The pause before the first repetition, before jitter.
const FIRST: Duration = Duration::from_millis(400);

/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(10);

/// The pause after so many failures in a row: twice as long with each, and not the same for all.
pub fn pause(failures: u32) -> Duration {
    let longest = FIRST * 2u32.pow(failures.clamp(1, 6) - 1);
    longest.min(LONGEST).mul_f64(rand::rng().random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_ten_seconds_and_no_further() {
        for failures in 0..40 {
            let longest = FIRST * 2u32.pow(failures.clamp(1, 6) - 1);
            let pause = pause(failures);
            assert!(pause >= longest.min(LONGEST) / 2 && pause <= LONGEST, "{failures}: {pause:?}");
        }
    }
}
