//! [`Payout`]: what one share pays; [`PayoutVector`]: what a condition pays its outcomes.

use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::money::{decimal, exact};

/// What one share pays: a part of a USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout(pub(super) BigRational);

impl Payout {
    /// `numerator` of `denominator`; `None` where that is zero.
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        (denominator > 0).then(|| Self(BigRational::new(numerator.into(), denominator.into())))
    }

    /// All or nothing.
    pub fn of_winner(won: bool) -> Self {
        Self(if won { BigRational::one() } else { BigRational::zero() })
    }

    /// Whether one is all where the other is nothing. A part refutes nothing: there is no label for it.
    pub(super) fn refutes(&self, other: &Self) -> bool {
        (self.0.is_zero() && other.0.is_one()) || (self.0.is_one() && other.0.is_zero())
    }

    /// Whether two are further apart than a millionth, to which some tables round.
    pub(super) fn differs(&self, other: &Self) -> bool {
        (&self.0 - &other.0).abs() > BigRational::new(1.into(), 1_000_000.into())
    }

    /// Whether anything is paid.
    pub fn pays(&self) -> bool {
        self.0.is_positive()
    }

    /// `0`, `1`, `0.5`, or a fraction.
    pub fn exact(&self) -> String {
        exact(&self.0)
    }
}

/// What a condition pays its outcomes, as parts of a denominator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayoutVector {
    numerators: Vec<BigRational>,
    denominator: BigRational,
}

impl PayoutVector {
    /// A vector of whole numbers.
    pub fn whole(numerators: &[u64], denominator: u64) -> Self {
        let whole = |number: u64| BigRational::from_integer(number.into());
        Self { numerators: numerators.iter().copied().map(whole).collect(), denominator: whole(denominator) }
    }

    /// A vector whose numbers are decimal texts of any length. What is no number makes it an empty one, which decides
    /// nothing.
    pub fn parse<T: AsRef<str>>(numerators: &[T], denominator: &str) -> Self {
        let numerators: Option<Vec<BigRational>> =
            numerators.iter().map(|text| decimal(text.as_ref())).collect();
        Self {
            numerators: numerators.unwrap_or_default(),
            denominator: decimal(denominator).unwrap_or_else(BigRational::zero),
        }
    }

    /// What the outcome at `index` is paid; `None` where the vector decides nothing: without a denominator, without two
    /// outcomes, all zero, or beyond what a share can pay.
    pub fn payout(&self, index: u8) -> Option<Payout> {
        if !self.pays() {
            return None;
        }
        Some(Payout(self.numerators.get(usize::from(index))? / &self.denominator))
    }

    /// Whether it decides anything.
    pub fn pays(&self) -> bool {
        self.denominator.is_positive()
            && self.numerators.len() >= 2
            && self.numerators.iter().all(|it| !it.is_negative() && *it <= self.denominator)
            && self.numerators.iter().any(Signed::is_positive)
    }

    /// Whether it names any outcome's part.
    pub fn is_listed(&self) -> bool {
        !self.numerators.is_empty()
    }

    /// Whether its denominator is no number above zero.
    pub fn is_over_zero(&self) -> bool {
        !self.denominator.is_positive()
    }

    /// Whether its parts make the whole.
    pub(super) fn adds_up(&self) -> bool {
        self.numerators.iter().sum::<BigRational>() == self.denominator
    }

    /// Whether no outcome is paid more than the one at `index`.
    pub(super) fn pays_most(&self, index: u8) -> bool {
        self.numerators.get(usize::from(index)) == self.numerators.iter().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_of_any_numbers_is_exact_and_one_that_cannot_be_paid_decides_nothing() {
        let paid = |numerators: &[&str], denominator| {
            PayoutVector::parse(numerators, denominator).payout(1).map(|payout| payout.exact())
        };
        assert_eq!(paid(&["0", "1000000000000000000"], "1000000000000000000").as_deref(), Some("1"));
        assert_eq!(paid(&["0.5", "0.5"], "1").as_deref(), Some("0.5"));
        let huge = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(paid(&["0", huge], huge).as_deref(), Some("1"));
        for (numerators, denominator) in [
            (vec![], "1"),
            (vec!["1"], "1"),
            (vec!["0", "0"], "1"),
            (vec!["0", "1"], "0"),
            (vec!["0", "1"], ""),
            (vec!["-1", "2"], "1"),
            (vec!["0", "nan"], "1"),
        ] {
            assert_eq!(paid(&numerators, denominator), None, "{numerators:?} / {denominator}");
        }
    }
}
