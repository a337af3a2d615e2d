//! How far a coverage is from what is wanted.

use crate::results::Percentage;
use crate::values::Percent;

/// What there is more than the target asks for, in percent points cut to two decimals and in what is counted; both are
/// negative where it is missed.
pub(super) fn margin(target: Percent, mapped: u64, total: u64) -> (Percentage, i64) {
    let (mapped, total) = (i128::from(mapped), i128::from(total));
    let (limit, whole) = (i128::from(target.numerator()), i128::from(Percent::DENOMINATOR));
    // The least count that passes: no percentage of no tokens is missing.
    let least = (total * limit + whole - 1) / whole;
    let hundredths = if total == 0 {
        10_000 - limit / 10_000
    } else {
        (mapped * whole - total * limit).abs() / (total * 10_000)
    };
    let count = i64::try_from(mapped - least).unwrap_or(i64::MAX);
    // Hundredths of a percent: at most five digits, which a float holds.
    let points = hundredths as f64 / 100.0;
    (Percentage(if count < 0 { -points } else { points }), count)
}

/// A target as a result carries it.
pub(super) fn target(target: Percent) -> Percentage {
    // A percentage has at most six digits; its text is a number.
    Percentage(target.to_string().parse().unwrap_or_default())
}
