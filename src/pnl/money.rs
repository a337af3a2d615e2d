//! [`Usd`] and [`Micro`]: exact amounts, on rationals; a figure is rounded once, when it is shown.

use std::iter::Sum;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};

/// An exact amount of USD.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(pub(super) BigRational);

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a decimal number of at most 40 digits, such as 87030.51 or -12.5")]
pub struct BadAmount;

/// A decimal text as an exact number: digits with an optional sign and point.
pub(super) fn decimal(text: &str) -> Option<BigRational> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let valid =
        !whole.is_empty() && !all.is_empty() && all.len() <= 160 && all.bytes().all(|b| b.is_ascii_digit());
    if !valid {
        return None;
    }
    let number: BigInt = all.parse().ok()?;
    let scale = BigInt::from(10).pow(u32::try_from(fraction.len()).ok()?);
    Some(BigRational::new(if negative { -number } else { number }, scale))
}

impl FromStr for Usd {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        if text.len() > 42 {
            return Err(BadAmount);
        }
        decimal(text.trim()).map(Self).ok_or(BadAmount)
    }
}

impl Usd {
    /// Nothing.
    pub fn zero() -> Self {
        Self(BigRational::zero())
    }

    /// Without its sign.
    pub fn abs(&self) -> Self {
        Self(self.0.abs())
    }

    /// The sum of amounts that may be fractions without a common denominator: see [`bounded`].
    pub(super) fn sum_bounded(amounts: impl Iterator<Item = Self>) -> Self {
        amounts.fold(Self::zero(), |sum, it| Self(bounded(sum.0 + it.0)))
    }

    /// Whether it is above zero.
    pub fn is_gain(&self) -> bool {
        self.0.is_positive()
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Decimals of the shortest text of it, at least two: how exactly somebody said it.
    pub fn decimals(&self) -> u32 {
        let text = self.exact();
        let told = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        u32::try_from(told).unwrap_or(u32::MAX).max(2)
    }

    /// Half of the last digit of a figure with so many decimals: what rounding can have changed.
    pub fn half_digit(decimals: u32) -> Self {
        Self(BigRational::new(1.into(), BigInt::from(10).pow(decimals.min(40)) * 2))
    }

    /// Rounded half away from zero to `decimals`, as digits without a sign, and whether it is negative.
    fn rounded(&self, decimals: usize) -> (bool, String, String) {
        let scale = BigInt::from(10).pow(decimals as u32);
        // BigRational rounds half away from zero.
        let scaled = (&self.0 * BigRational::from_integer(scale)).round().to_integer();
        let negative = scaled.is_negative();
        let digits = format!("{:0>width$}", scaled.abs().to_string(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        (negative, whole.to_owned(), fraction.to_owned())
    }

    /// `-$10,234.57`
    pub fn cents(&self) -> String {
        let (negative, whole, fraction) = self.rounded(2);
        format!("{}${}.{fraction}", if negative { "-" } else { "" }, with_commas(&whole))
    }

    /// `-697.39`, as the guide repeats a delta without its currency.
    pub fn plain_cents(&self) -> String {
        self.fixed(2)
    }

    /// Exact, as a decimal where it is one, else as a fraction.
    pub fn exact(&self) -> String {
        exact(&self.0)
    }

    /// In percent of `total`, cut to two decimals; of nothing at all nothing is missing.
    pub fn floored_percent_of(&self, total: &Self) -> f64 {
        if total.is_zero() {
            return 100.0;
        }
        let hundredths = &self.0 / &total.0 * BigRational::from_integer(10_000.into());
        hundredths.trunc().to_integer().to_f64().unwrap_or_default() / 100.0
    }

    /// `-10234.567890`, for programs.
    pub fn six(&self) -> String {
        self.fixed(6)
    }

    /// With so many decimals, at least one, rounded half away from zero.
    pub fn fixed(&self, decimals: usize) -> String {
        let (negative, whole, fraction) = self.rounded(decimals);
        format!("{}{whole}.{fraction}", if negative { "-" } else { "" })
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Usd {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Default for Usd {
    fn default() -> Self {
        Self::zero()
    }
}

impl Default for Micro {
    fn default() -> Self {
        Self::zero()
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::zero(), Self::add)
    }
}

fn with_commas(digits: &str) -> String {
    let groups: Vec<&str> = (digits.as_bytes().rchunks(3).rev())
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

/// An exact number of micro-units: micro-shares, or micro-USD.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micro(pub(super) BigRational);

impl FromStr for Micro {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        decimal(text).map(Self).ok_or(BadAmount)
    }
}

impl Micro {
    /// A whole number of micro-units.
    pub fn whole(number: i128) -> Self {
        Self(BigRational::from_integer(number.into()))
    }

    /// Nothing.
    pub fn zero() -> Self {
        Self(BigRational::zero())
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Without its sign.
    pub fn abs(&self) -> Self {
        Self(self.0.abs())
    }

    /// The sum of the two.
    pub fn plus(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }

    /// What is left of it after the other.
    pub fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// As units: a millionth of it.
    pub fn units(&self) -> Usd {
        Usd(&self.0 / BigRational::from_integer(1_000_000.into()))
    }

    /// Rounded to a whole number, with commas: `-42,345,678,901`.
    pub fn commas(&self) -> String {
        let (negative, whole, _) = Usd(self.0.clone()).rounded(0);
        format!("{}{}", if negative { "-" } else { "" }, with_commas(&whole))
    }

    /// Exact, as a decimal where it is one.
    pub fn exact(&self) -> String {
        exact(&self.0)
    }

    /// With so many decimals, at least one, rounded half away from zero.
    pub fn fixed(&self, decimals: usize) -> String {
        Usd(self.0.clone()).fixed(decimals)
    }
}

/// Bits of a denominator up to which fractions are kept as they are.
const EXACT_BITS: u64 = 1_024;
/// Decimals that are kept of a fraction beyond that.
const KEPT_DECIMALS: u32 = 60;

/// The same number, or the nearest with sixty decimals where its denominator has grown beyond a thousand bits.
///
/// Average costs divide by other numbers of shares at every turn and no common denominator is in sight: after a
/// thousand turns exact fractions would have millions of digits. What is cut there is fifty digits below all that is
/// ever shown.
pub(super) fn bounded(number: BigRational) -> BigRational {
    if !is_long(number.denom()) {
        return number;
    }
    let scale = BigInt::from(10).pow(KEPT_DECIMALS);
    BigRational::new((number * BigRational::from_integer(scale.clone())).round().to_integer(), scale)
}

/// Whether a denominator is beyond what is kept as it is.
pub(super) fn is_long(denominator: &BigInt) -> bool {
    denominator.bits() > EXACT_BITS
}

/// A rational as a decimal where that ends, else as a fraction.
pub(super) fn exact(number: &BigRational) -> String {
    if number.is_integer() {
        return number.to_integer().to_string();
    }
    for decimals in 1..=60_u32 {
        let scaled = number * BigRational::from_integer(BigInt::from(10).pow(decimals));
        if scaled.is_integer() {
            let (negative, whole, fraction) = Usd(number.clone()).rounded(decimals as usize);
            return format!("{}{whole}.{fraction}", if negative { "-" } else { "" });
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_round_half_away_from_zero() {
        assert_eq!(usd("0.005").cents(), "$0.01");
        assert_eq!(usd("-0.005").cents(), "-$0.01");
        assert_eq!(usd("-0.0049999").cents(), "$0.00");
        assert_eq!(usd("1234567.891").cents(), "$1,234,567.89");
        assert_eq!(usd("-1.5").six(), "-1.500000");
        for bad in ["", "-", ".", "1e5", "NaN", "1,000", "--1", "+1", &"9".repeat(50)] {
            assert!(bad.parse::<Usd>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_decimal_is_read_and_written_without_loss(micro in any::<i64>()) {
            let sign = if micro < 0 { "-" } else { "" };
            let digits = format!("{:07}", micro.unsigned_abs());
            let (whole, fraction) = digits.split_at(digits.len() - 6);
            let text = format!("{sign}{whole}.{fraction}");
            prop_assert_eq!(usd(&text).six(), text);
            prop_assert_eq!(Micro::whole(micro.into()).units(), usd(&format!("{sign}{whole}.{fraction}")));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Usd>();
            let _ = text.parse::<Micro>();
        }
    }
}
