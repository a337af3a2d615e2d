//! [`Oracle`]: what a universe's people made by each of the three definitions, in integers alone and by the documented
//! rules; nothing of the program's own arithmetic is used.

use std::collections::BTreeMap;

use backfill::demo::Universe;
use backfill::demo::universe::people::{Deed, People, Side, Trade, What};
use backfill::ids::{ConditionId, Wallet};
use num_bigint::BigInt;

/// A fraction that is never brought to its lowest terms; the lower number is above zero.
#[derive(Debug, Clone)]
struct Ratio(BigInt, BigInt);

impl Ratio {
    fn of(above: impl Into<BigInt>, below: impl Into<BigInt>) -> Self {
        Self(above.into(), below.into())
    }

    fn whole(number: impl Into<BigInt>) -> Self {
        Self::of(number, 1)
    }

    fn plus(&self, other: &Self) -> Self {
        if self.1 == other.1 {
            return Self(&self.0 + &other.0, self.1.clone());
        }
        Self(&self.0 * &other.1 + &other.0 * &self.1, &self.1 * &other.1)
    }

    fn minus(&self, other: &Self) -> Self {
        self.plus(&Self(-&other.0, other.1.clone()))
    }

    fn times(&self, above: impl Into<BigInt>, below: impl Into<BigInt>) -> Self {
        Self(&self.0 * above.into(), &self.1 * below.into())
    }

    /// Rounded half away from zero.
    fn rounded(&self) -> BigInt {
        let (zero, two) = (BigInt::from(0), BigInt::from(2));
        let away = if self.0 < zero { -&self.1 } else { self.1.clone() };
        (&self.0 * &two + away) / (&self.1 * two)
    }
}

/// What is known of a wallet's shares of one token.
struct Shares {
    /// Micro-shares, and micro-USD received less paid.
    net: BigInt,
    cash: Ratio,
    /// By average cost: micro-shares, what they cost, and what was booked.
    held: BigInt,
    cost: Ratio,
    booked: Ratio,
}

impl Default for Shares {
    fn default() -> Self {
        let zero = || Ratio::whole(0);
        Self { net: 0.into(), cash: zero(), held: 0.into(), cost: zero(), booked: zero() }
    }
}

impl Shares {
    fn count(&mut self, shares: impl Into<BigInt>, cash: &Ratio) {
        self.net += shares.into();
        self.cash = self.cash.plus(cash);
    }

    fn acquire(&mut self, shares: u64, cost: &Ratio) {
        self.held += shares;
        self.cost = self.cost.plus(cost);
    }

    /// What so many of the shares that are held cost, those beyond left out.
    fn cost_of(&self, shares: u64) -> (BigInt, Ratio) {
        let counted = self.held.clone().min(shares.into());
        match counted == BigInt::from(0) {
            true => (counted, Ratio::whole(0)),
            false => (counted.clone(), self.cost.times(counted, self.held.clone())),
        }
    }

    /// Sales beyond what is held are not booked.
    fn dispose(&mut self, shares: u64, proceeds: &Ratio) {
        let (counted, cost) = self.cost_of(shares);
        if shares > 0 {
            self.booked = self.booked.plus(&proceeds.times(counted.clone(), shares)).minus(&cost);
        }
        self.leave(&counted, &cost);
    }

    fn leave(&mut self, shares: &BigInt, cost: &Ratio) {
        self.held -= shares;
        self.cost = self.cost.minus(cost);
    }

    /// Shares leave at what they cost, which the answer is.
    fn take_out(&mut self, shares: u64) -> Ratio {
        let (counted, cost) = self.cost_of(shares);
        self.leave(&counted, &cost);
        cost
    }
}

/// What people made, in micro-USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Every position of a resolved market.
    pub resolved: BigInt,
    /// Those, and what no payout can change.
    pub certain: BigInt,
    /// Sales and redemptions against the average cost.
    pub average_cost: BigInt,
}

impl Made {
    /// The three in the order above, as texts with six decimals.
    pub fn six(&self) -> [String; 3] {
        [&self.resolved, &self.certain, &self.average_cost].map(|micro| {
            let sign = if *micro < BigInt::from(0) { "-" } else { "" };
            let digits = format!("{:0>7}", micro.magnitude().to_string());
            let (whole, decimals) = digits.split_at(digits.len() - 6);
            format!("{sign}{whole}.{decimals}")
        })
    }
}

/// The books of some wallets that are one person.
pub struct Oracle<'a> {
    universe: &'a Universe,
    wallets: &'a [Wallet],
    tokens: BTreeMap<Side, Shares>,
}

impl<'a> Oracle<'a> {
    /// What these wallets made together; shares that go from one to another of them stay.
    pub fn made(universe: &'a Universe, people: &People, wallets: &'a [Wallet]) -> Made {
        let mut oracle = Self { universe, wallets, tokens: BTreeMap::new() };
        let mut deeds: Vec<&Deed> = people.deeds.iter().collect();
        // Within a second no order is known: what is bought comes before what is sold.
        deeds.sort_by_key(|deed| {
            (deed.block / 2, matches!(&deed.what, What::Trade(it) if !it.buys), deed.block)
        });
        for deed in deeds {
            oracle.book(deed);
        }
        oracle.totals()
    }

    fn of(&mut self, side: Side) -> &mut Shares {
        self.tokens.entry(side).or_default()
    }

    fn book(&mut self, deed: &Deed) {
        let own = self.wallets.contains(&deed.wallet);
        match &deed.what {
            What::Transfer { side, shares, from, to } => {
                let (gives, gets) = (self.wallets.contains(from), self.wallets.contains(to));
                let sign = i128::from(gets) - i128::from(gives);
                if sign != 0 {
                    self.of(*side).count(sign * i128::from(*shares), &Ratio::whole(0));
                }
            }
            _ if !own => {}
            What::Trade(trade) => self.trade(trade),
            What::Form { market, splits, amount, .. } => {
                self.form(&[(*market, 0), (*market, 1)], *splits, *amount);
            }
            What::Horizontal { event, splits, amount } => {
                let all: Vec<Side> = event.iter().map(|market| (*market, 0)).collect();
                self.form(&all, *splits, *amount);
            }
            What::Conversion { event, gone, amount, out } => self.convert(event, gone, *amount, *out),
            What::Redemption { market, shares } => self.redeem(*market, *shares),
            What::Migration { from, to, index, shares } => {
                let nothing = Ratio::whole(0);
                self.of((*from, *index)).count(-i128::from(*shares), &nothing);
                self.of((*to, *index)).count(*shares, &nothing);
                let cost = self.of((*from, *index)).take_out(*shares);
                self.of((*to, *index)).acquire(*shares, &cost);
            }
        }
    }

    fn trade(&mut self, trade: &Trade) {
        let Trade { side, buys, shares, price_e4, fee, .. } = *trade;
        let worth = Ratio::of(BigInt::from(shares) * price_e4, 10_000);
        let (shares_fee, cash_fee) = if trade.pays_in_shares() { (fee, 0) } else { (0, fee) };
        let of = self.of(side);
        if buys {
            of.count(
                i128::from(shares) - i128::from(shares_fee),
                &Ratio::whole(-i128::from(cash_fee)).minus(&worth),
            );
            of.acquire(shares, &worth);
        } else {
            of.count(-i128::from(shares), &worth.minus(&Ratio::whole(cash_fee)));
            of.dispose(shares, &worth);
        }
    }

    /// Cash against as many shares of each of these, in equal parts.
    fn form(&mut self, sides: &[Side], splits: bool, amount: u64) {
        let each = Ratio::of(amount, sides.len() as u64);
        for side in sides {
            let of = self.of(*side);
            if splits {
                of.count(amount, &Ratio::whole(0).minus(&each));
                of.acquire(amount, &each);
            } else {
                of.count(-i128::from(amount), &each);
                of.dispose(amount, &each);
            }
        }
    }

    /// Cash flow: a YES of n that exclude each other pays 1/n of what is handed out, and the NO bring in the rest in equal
    /// parts. Average cost: the NO go at what they cost, the YES come at (their price × k − (k − 1)) ÷ (n − k).
    fn convert(&mut self, event: &[usize], gone: &[usize], amount: u64, out: u64) {
        let (all, count) = (event.len() as u64, gone.len() as u64);
        let came: Vec<usize> = event.iter().copied().filter(|market| !gone.contains(market)).collect();
        let handed_out = Ratio::whole(BigInt::from(count - 1) * out);
        let yes = Ratio::of(out, all);
        let no = handed_out.plus(&yes.times(came.len(), 1)).times(1, count);
        let mut price = Ratio::whole(0).minus(&Ratio::whole(count - 1));
        for market in gone {
            let of = self.of((*market, 1));
            of.count(-i128::from(amount), &no);
            if came.is_empty() {
                of.dispose(amount, &no);
                continue;
            }
            if of.held != BigInt::from(0) {
                price = price.plus(&of.cost.times(1, of.held.clone()));
            }
            of.take_out(amount);
        }
        for market in &came {
            let of = self.of((*market, 0));
            of.count(out, &Ratio::whole(0).minus(&yes));
            of.acquire(out, &price.times(out, came.len()));
        }
    }

    /// It changes when something is paid, not how much; average cost books all that it knows of.
    fn redeem(&mut self, market: usize, shares: [u64; 2]) {
        for index in (0..2_u8).filter(|index| shares[usize::from(*index)] > 0) {
            let halves = self.halves((market, index)).expect("only what is resolved is redeemed");
            let of = self.of((market, index));
            let held = u64::try_from(&of.held).unwrap();
            let paid = Ratio::of(BigInt::from(held) * halves, 2);
            of.dispose(held, &paid);
        }
    }

    fn halves(&self, side: Side) -> Option<u8> {
        self.universe.market(side.0).unwrap().payout().doubled(side.1)
    }

    fn totals(&self) -> Made {
        let (mut resolved, mut booked) = (Ratio::whole(0), Ratio::whole(0));
        let mut open: BTreeMap<ConditionId, [(BigInt, Ratio); 2]> = BTreeMap::new();
        for (side, shares) in &self.tokens {
            booked = booked.plus(&shares.booked);
            match self.halves(*side) {
                Some(halves) => {
                    resolved = resolved.plus(&shares.cash).plus(&Ratio::of(&shares.net * halves, 2));
                }
                None => {
                    let condition = self.universe.market(side.0).unwrap().condition();
                    let nothing = || (BigInt::from(0), Ratio::whole(0));
                    let sides = open.entry(condition).or_insert_with(|| [nothing(), nothing()]);
                    let (net, cash) = &mut sides[usize::from(side.1)];
                    *net += &shares.net;
                    *cash = cash.plus(&shares.cash);
                }
            }
        }
        let mut certain = resolved.clone();
        for [(yes, yes_cash), (no, no_cash)] in open.values() {
            if yes == no {
                certain = certain.plus(yes_cash).plus(no_cash).plus(&Ratio::whole(yes.clone()));
            } else if *yes == BigInt::from(0) {
                certain = certain.plus(yes_cash);
            } else if *no == BigInt::from(0) {
                certain = certain.plus(no_cash);
            }
        }
        Made { resolved: resolved.rounded(), certain: certain.rounded(), average_cost: booked.rounded() }
    }
}
