//! [`Ledger`]: what shares cost on average, exactly; [`FloorLedger`]: the same in the integers of Polymarket's subgraph.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::history::{CASH_DECIMALS, SHARE_DECIMALS, ten_to};
use super::money::{bounded, is_long};

/// A fraction that is brought to its lowest terms only where its denominator has grown too long: a common divisor costs
/// more than everything else of a booking, and a wallet may have a hundred thousand of those.
#[derive(Debug, Clone)]
struct Fraction {
    numer: BigInt,
    denom: BigInt,
}

impl Fraction {
    fn zero() -> Self {
        Self { numer: BigInt::zero(), denom: BigInt::one() }
    }

    fn add(&mut self, other: &BigRational) {
        if other.is_integer() {
            self.numer += other.numer() * &self.denom;
        } else {
            self.numer = &self.numer * other.denom() + other.numer() * &self.denom;
            self.denom *= other.denom();
            self.settle();
        }
    }

    /// Keeps `part` of every `whole`.
    fn keep(&mut self, part: &BigInt, whole: &BigInt) {
        self.numer *= part;
        self.denom *= whole;
        self.settle();
    }

    fn settle(&mut self) {
        if is_long(&self.denom) {
            (self.numer, self.denom) = bounded(self.reduced()).into_raw();
        }
    }

    fn reduced(&self) -> BigRational {
        BigRational::new(self.numer.clone(), self.denom.clone())
    }
}

/// Shares of one token and what they cost on average.
///
/// A sale is booked against the average cost of a share. So what is booked is always the cash that went through less
/// the cost of the shares that are left, and only that cost has to be kept. Sales of more than is held are booked for
/// what is held; the rest of them is kept beside.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    /// Micro-shares in parts of 10⁻¹², never below zero.
    held: BigInt,
    /// What was held when `cost` was last written down: sales in a row change one factor, not the cost.
    written: BigInt,
    /// What `written` cost, in parts of 10⁻⁴² micro-USD.
    cost: Fraction,
    /// Received less paid, in the same parts, without the sales of what was not held.
    cash: Fraction,
    /// Shares that were sold beyond what was held, and what they brought in.
    beyond: (BigInt, Fraction),
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            held: BigInt::zero(),
            written: BigInt::zero(),
            cost: Fraction::zero(),
            cash: Fraction::zero(),
            beyond: (BigInt::zero(), Fraction::zero()),
        }
    }
}

impl Ledger {
    /// Shares come for `cost`.
    pub(super) fn acquire(&mut self, shares: &BigInt, cost: &BigRational) {
        if self.held != self.written {
            self.cost.keep(&self.held, &self.written);
        }
        self.cost.add(cost);
        self.cash.add(&-cost);
        self.held += shares;
        self.written = self.held.clone();
    }

    /// Shares go for `proceeds`.
    pub(super) fn dispose(&mut self, shares: &BigInt, proceeds: &BigRational) {
        if *shares <= self.held {
            self.cash.add(proceeds);
            self.held -= shares;
        } else {
            let counted = proceeds * BigRational::new(self.held.clone(), shares.clone());
            self.beyond.0 += shares - &self.held;
            self.beyond.1.add(&(proceeds - &counted));
            self.cash.add(&counted);
            self.held = BigInt::zero();
        }
        if self.held.is_zero() {
            (self.cost, self.written) = (Fraction::zero(), BigInt::zero());
        }
    }

    /// Shares leave at what they cost, which the answer is: nothing is booked.
    pub(super) fn take_out(&mut self, shares: &BigInt) -> BigRational {
        let taken = shares.min(&self.held);
        let cost = self.average() * BigRational::from_integer(taken.clone());
        self.dispose(&taken.clone(), &cost);
        cost
    }

    /// What a share costs on average, in the parts of cash for one part of shares; nothing where none is held.
    pub(super) fn average(&self) -> BigRational {
        match self.held.is_zero() {
            true => BigRational::zero(),
            false => bounded(self.cost.reduced() / BigRational::from_integer(self.written.clone())),
        }
    }

    /// What is held, in micro-shares.
    pub(super) fn held(&self) -> BigRational {
        BigRational::new(self.held.clone(), ten_to(SHARE_DECIMALS))
    }

    /// What is held, in parts of 10⁻¹² micro-shares.
    pub(super) fn held_parts(&self) -> &BigInt {
        &self.held
    }

    /// What the shares that are left cost.
    fn cost_left(&self) -> BigRational {
        match self.held == self.written {
            true => self.cost.reduced(),
            false => bounded(self.cost.reduced() * BigRational::new(self.held.clone(), self.written.clone())),
        }
    }

    /// What was made by all sales, in micro-USD.
    pub(super) fn booked(&self) -> BigRational {
        (self.cash.reduced() + self.cost_left()) / BigRational::from_integer(ten_to(CASH_DECIMALS))
    }

    /// What the shares that are left cost, in micro-USD.
    pub(super) fn cost(&self) -> BigRational {
        self.cost_left() / BigRational::from_integer(ten_to(CASH_DECIMALS))
    }

    /// Shares that were sold beyond what was held, in micro-shares, and what they brought in, in micro-USD.
    pub(super) fn beyond(&self) -> (BigRational, BigRational) {
        let (shares, proceeds) = &self.beyond;
        let shares = BigRational::new(shares.clone(), ten_to(SHARE_DECIMALS));
        (shares, proceeds.reduced() / BigRational::from_integer(ten_to(CASH_DECIMALS)))
    }
}

/// The same in whole micro-units, every division cut, as the subgraph's handlers do.
#[derive(Debug, Clone, Default)]
pub(super) struct FloorLedger {
    held: BigInt,
    /// Millionths of a USD a share.
    average: BigInt,
    booked: BigInt,
}

impl FloorLedger {
    /// Micro-shares come for so many micro-USD.
    pub(super) fn acquire(&mut self, shares: &BigInt, cost: &BigInt) {
        if shares.is_positive() {
            let price = cost * million() / shares;
            self.acquire_at(shares, &price);
        }
    }

    /// Micro-shares come at so many millionths of a USD each.
    pub(super) fn acquire_at(&mut self, shares: &BigInt, price: &BigInt) {
        if shares.is_positive() {
            let held = &self.held + shares;
            self.average = (&self.average * &self.held + price * shares) / &held;
            self.held = held;
        }
    }

    /// Micro-shares go for so many micro-USD; what is not held does not count.
    pub(super) fn dispose(&mut self, shares: &BigInt, proceeds: &BigInt) {
        if shares.is_positive() {
            let price = proceeds * million() / shares;
            self.dispose_at(shares, &price);
        }
    }

    /// Micro-shares go at so many millionths of a USD each.
    pub(super) fn dispose_at(&mut self, shares: &BigInt, price: &BigInt) {
        let counted = shares.min(&self.held).clone();
        self.booked += &counted * (price - &self.average) / million();
        self.held -= counted;
    }

    /// What is held, in micro-shares.
    pub(super) fn held(&self) -> &BigInt {
        &self.held
    }

    /// Millionths of a USD that a share costs.
    pub(super) fn average(&self) -> &BigInt {
        &self.average
    }

    /// What was made by all sales, in micro-USD.
    pub(super) fn booked(&self) -> &BigInt {
        &self.booked
    }
}

/// Micro-units in a unit.
pub(super) fn million() -> BigInt {
    BigInt::one() * 1_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micro(number: i64) -> BigRational {
        BigRational::from_integer(BigInt::from(number) * ten_to(CASH_DECIMALS))
    }

    fn shares(number: i64) -> BigInt {
        BigInt::from(number) * ten_to(SHARE_DECIMALS)
    }

    fn whole(number: i64) -> BigRational {
        BigRational::from_integer(number.into())
    }

    #[test]
    fn a_sale_is_booked_against_the_average_cost() {
        let mut ledger = Ledger::default();
        ledger.acquire(&shares(100), &micro(40));
        ledger.acquire(&shares(200), &micro(110));
        ledger.dispose(&shares(60), &micro(42));
        assert_eq!(ledger.booked(), whole(12), "60 of the 300 that cost 150 cost 30");
        assert_eq!((ledger.cost(), ledger.held()), (whole(120), whole(240)));
        ledger.dispose(&shares(300), &micro(300));
        assert_eq!(ledger.booked(), whole(12 + 240 - 120));
        assert_eq!(ledger.beyond(), (whole(60), whole(60)));
    }

    #[test]
    fn many_turns_stay_close_to_exact_and_quick() {
        let mut ledger = Ledger::default();
        for turn in 1..3_000_i64 {
            ledger.acquire(&shares(1_000_003 + turn), &micro(400_000 + turn * 7));
            ledger.dispose(&shares(900_001 - turn), &micro(500_000 + turn));
        }
        assert!(ledger.booked().denom().bits() < 3_000);
    }

    proptest! {
        #[test]
        fn once_all_is_sold_what_is_booked_is_the_cash(
            turns in prop::collection::vec((1_i64..1_000_000, 0_i64..1_000_000, 1_i64..100, 0_i64..1_000_000), 1..20),
        ) {
            let mut ledger = Ledger::default();
            let (mut held, mut cash) = (0, 0);
            for (bought, paid, percent, received) in turns {
                ledger.acquire(&shares(bought), &micro(paid));
                let sold = (held + bought) * percent / 100;
                ledger.dispose(&shares(sold), &micro(received));
                (held, cash) = (held + bought - sold, cash + received - paid);
            }
            ledger.dispose(&shares(held), &micro(7));
            if held > 0 {
                prop_assert_eq!(ledger.booked(), whole(cash + 7));
                prop_assert!(ledger.cost().is_zero() && ledger.held().is_zero());
            }
        }

        #[test]
        fn the_subgraphs_cuts_are_small(
            trades in prop::collection::vec((1_i64..1_000_000_000, 0_i64..1_000_000, any::<bool>()), 1..40),
        ) {
            let (mut exact, mut cut) = (Ledger::default(), FloorLedger::default());
            for (amount, price, buy) in &trades {
                let cash = amount * price / 1_000_000;
                if *buy {
                    exact.acquire(&shares(*amount), &micro(cash));
                    cut.acquire(&(*amount).into(), &cash.into());
                } else {
                    exact.dispose(&shares(*amount), &micro(cash));
                    cut.dispose(&(*amount).into(), &cash.into());
                }
            }
            prop_assert_eq!(exact.held(), BigRational::from_integer(cut.held().clone()));
            let apart = exact.booked() - BigRational::from_integer(cut.booked().clone());
            // Each cut of an average or a price is below a millionth of a USD a share, of at most a billion micro-shares.
            let most = 1_000 * 40 * 40 + 40;
            prop_assert!(apart.abs() < whole(most), "{}", apart);
        }
    }
}
