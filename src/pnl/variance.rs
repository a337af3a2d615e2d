//! [`Variance`]: how far a total is from what was expected.

use std::fmt;

use num_rational::BigRational;
use num_traits::Signed;

use super::Usd;
use crate::values::Percent;

/// How far a total is from what was expected: `(total − expected) ÷ |expected|`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variance(BigRational);

impl Variance {
    /// `None` where nothing was expected: then there is no variance.
    pub fn of(total: &Usd, expected: &Usd) -> Option<Self> {
        (!expected.is_zero()).then(|| Self((&total.0 - &expected.0) / expected.0.abs()))
    }

    /// Whether it is strictly below the limit, on either side.
    pub fn is_below(&self, limit: Percent) -> bool {
        let limit = BigRational::new(limit.numerator().into(), Percent::DENOMINATOR.into());
        self.0.abs() < limit
    }

    /// How far it is from the limit, in points of a percent with two decimals, and whether that is to spare.
    pub fn margin(&self, limit: Percent) -> (String, bool) {
        let limit = BigRational::new(limit.numerator().into(), 1_000_000.into());
        let left = limit - self.0.abs() * BigRational::from_integer(100.into());
        (Usd(left.abs()).plain_cents(), left.is_positive())
    }

    /// In percent with two decimals, rounded half away from zero: `-0.80`.
    pub fn percent(&self) -> String {
        Usd(&self.0 * BigRational::from_integer(100.into())).plain_cents()
    }
}

impl fmt::Display for Variance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn a_variance_at_the_limit_is_no_pass() {
        let variance = Variance::of(&usd("102"), &usd("100")).unwrap();
        assert!(!variance.is_below(Percent::whole(2)));
        assert!(Variance::of(&usd("-101.99"), &usd("-100")).unwrap().is_below(Percent::whole(2)));
        assert_eq!(Variance::of(&usd("1"), &usd("0.00")), None);
    }
}
