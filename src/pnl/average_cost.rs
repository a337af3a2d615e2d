//! What sales and redemptions made against the average cost, as Polymarket's subgraph and Dome keep it.

use std::collections::HashMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};

use super::history::{CASH_DECIMALS, SHARE_DECIMALS, Trade, ten_to};
use super::ledger::{FloorLedger, Ledger, million};
use super::{Flow, FlowKind, Leg, Micro, Position, TransferRule, Usd};
use crate::ids::TokenId;

/// Whether a wallet's redemptions are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redemptions {
    /// They stand among its flows; what is not there has not been redeemed.
    Known,
    /// They are not known: what pays anything counts as redeemed, what pays nothing as never redeemed.
    Assumed,
}

/// What the average cost says of one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AverageCost {
    /// What its sales and redemptions made.
    pub booked: Usd,
    /// The same in the integers of Polymarket's subgraph, which cuts at every step.
    pub booked_by_subgraph: Usd,
    /// Micro-shares that are left.
    pub held: Micro,
    /// What those cost.
    pub cost: Usd,
    /// Micro-shares sold beyond what was held; they are not booked.
    pub beyond: Micro,
    /// What those brought in.
    pub beyond_proceeds: Usd,
}

/// One token's shares in both ways of counting.
#[derive(Default)]
struct Books {
    exact: Ledger,
    floor: FloorLedger,
}

/// Something that happened, in the order in which it is booked.
enum Event<'a> {
    Trade(usize, &'a Trade),
    Flow(&'a Flow),
}

impl Event<'_> {
    /// Its place in time. Within one second no order is known between fills and flows: shares come before they go.
    fn order(&self) -> (u32, u8, (u64, u32)) {
        match self {
            Event::Trade(_, trade) => (trade.time, if trade.is_purchase() { 1 } else { 4 }, (0, 0)),
            Event::Flow(flow) => {
                let class = match flow.kind {
                    FlowKind::Split => 0,
                    FlowKind::Conversion | FlowKind::Transfer | FlowKind::Fee => 2,
                    FlowKind::Migration => 3,
                    FlowKind::Merge => 5,
                    FlowKind::Redemption => 6,
                };
                (flow.time, class, flow.place)
            }
        }
    }
}

/// Books all trades and flows of a wallet in the order of their time; one answer for each position.
///
/// Neither fees nor transfers are known to this definition.
pub(super) fn book(positions: &[Position], flows: &[Flow], redemptions: Redemptions) -> Vec<AverageCost> {
    let places: HashMap<TokenId, usize> =
        positions.iter().enumerate().map(|(place, position)| (position.token_id, place)).collect();
    let trades = |(place, position): (usize, &'_ Position)| -> Vec<(usize, usize)> {
        (0..position.trades.len()).map(|number| (place, number)).collect()
    };
    let mut events: Vec<Event<'_>> = (positions.iter().enumerate().flat_map(trades))
        .map(|(place, number)| Event::Trade(place, &positions[place].trades[number]))
        .chain(flows.iter().map(Event::Flow))
        .collect();
    events.sort_by_key(Event::order);
    let mut replay =
        Replay { positions, places, books: positions.iter().map(|_| Books::default()).collect() };
    for event in events {
        match event {
            Event::Trade(place, trade) => replay.books[place].trade(trade),
            Event::Flow(flow) => replay.flow(flow),
        }
    }
    for (place, position) in positions.iter().enumerate() {
        if redemptions == Redemptions::Assumed
            && position.decision.payout.as_ref().is_some_and(super::Payout::pays)
        {
            replay.redeem(place);
        }
    }
    replay.books.iter().map(Books::told).collect()
}

struct Replay<'a> {
    positions: &'a [Position],
    places: HashMap<TokenId, usize>,
    books: Vec<Books>,
}

impl Replay<'_> {
    fn flow(&mut self, flow: &Flow) {
        match flow.kind {
            FlowKind::Transfer | FlowKind::Fee => {}
            FlowKind::Split | FlowKind::Merge => self.exchange(flow),
            FlowKind::Migration => self.migrate(flow),
            FlowKind::Conversion => self.convert(flow),
            FlowKind::Redemption => self.redemption(flow),
        }
    }

    /// The books of a leg's token; `None` where the token is in no position.
    fn of(&mut self, leg: &Leg) -> Option<&mut Books> {
        let place = self.places.get(&leg.token)?;
        self.books.get_mut(*place)
    }

    /// Shares against cash: each leg at its part of it.
    fn exchange(&mut self, flow: &Flow) {
        for (leg, cash) in flow.legs.iter().zip(flow.cash_of_legs(TransferRule::Free)) {
            let shares = leg.shares.0.clone();
            if let Some(books) = self.of(leg) {
                match shares.is_positive() {
                    true => books.acquire(&shares, &-cash),
                    false => books.dispose(&-shares, &cash),
                }
            }
        }
    }

    fn migrate(&mut self, flow: &Flow) {
        let mut cost = BigRational::zero();
        for leg in flow.legs.iter().filter(|leg| leg.shares.0.is_negative()) {
            let shares = -&leg.shares.0;
            if let Some(books) = self.of(leg) {
                cost += books.take_out(&shares);
            }
        }
        let arrivals = flow.legs.iter().filter(|leg| leg.shares.0.is_positive());
        let count = BigRational::from_integer(arrivals.clone().count().max(1).into());
        for leg in arrivals {
            if let Some(books) = self.of(leg) {
                books.acquire(&leg.shares.0, &(&cost / &count));
            }
        }
    }

    /// Sells the NO at their own averages and buys the YES of the others at
    /// (average of the NO × k − (k − 1)) ÷ (questions − k), as the subgraph does.
    fn convert(&mut self, flow: &Flow) {
        let (gone, came): (Vec<&Leg>, Vec<&Leg>) =
            flow.legs.iter().partition(|leg| leg.shares.0.is_negative());
        if came.is_empty() {
            return self.exchange(flow);
        }
        let (mut exact, mut floor) = (BigRational::zero(), BigInt::zero());
        for leg in &gone {
            let shares = -&leg.shares.0;
            if let Some(books) = self.of(leg) {
                exact += books.price();
                floor += books.floor.average();
                books.take_out(&shares);
            }
        }
        let others = BigInt::from(came.len());
        let above = BigInt::from(gone.len().saturating_sub(1));
        let price =
            (exact - BigRational::from_integer(above.clone())) / BigRational::from_integer(others.clone());
        let cut = match gone.len() {
            0 => BigInt::zero(),
            count => (&floor / count * count - above * million()) / others,
        };
        for leg in came {
            if let Some(books) = self.of(leg) {
                books.exact.acquire(&parts(&leg.shares.0), &in_parts(&(&leg.shares.0 * &price)));
                books.floor.acquire_at(&leg.shares.0.to_integer(), &cut);
            }
        }
    }

    /// All that is held is paid; of a condition whose payout is not known, at what the redemption paid.
    fn redemption(&mut self, flow: &Flow) {
        for (leg, cash) in flow.legs.iter().zip(flow.cash_of_legs(TransferRule::Free)) {
            let Some(place) = self.places.get(&leg.token).copied() else { continue };
            match self.positions[place].decision.payout {
                Some(_) => self.redeem(place),
                None => self.books[place].dispose(&leg.shares.0.abs(), &cash),
            }
        }
    }

    fn redeem(&mut self, place: usize) {
        let Some(payout) = &self.positions[place].decision.payout else { return };
        let books = &mut self.books[place];
        let held = books.exact.held();
        books.exact.dispose(&parts(&held), &in_parts(&(held * &payout.0)));
        let price = (&payout.0 * BigRational::from_integer(million())).to_integer();
        let held = books.floor.held().clone();
        books.floor.dispose_at(&held, &price);
    }
}

impl Books {
    fn trade(&mut self, trade: &Trade) {
        let (shares, cash) = (trade.shares.abs(), trade.cash.abs());
        let (whole_shares, whole_cash) = (&shares / ten_to(SHARE_DECIMALS), &cash / ten_to(CASH_DECIMALS));
        if trade.is_purchase() {
            self.exact.acquire(&shares, &BigRational::from_integer(cash));
            self.floor.acquire(&whole_shares, &whole_cash);
        } else if trade.shares.is_negative() {
            self.exact.dispose(&shares, &BigRational::from_integer(cash));
            self.floor.dispose(&whole_shares, &whole_cash);
        }
    }

    /// Micro-shares come for so many micro-USD.
    fn acquire(&mut self, shares: &BigRational, cost: &BigRational) {
        self.exact.acquire(&parts(shares), &in_parts(cost));
        self.floor.acquire(&shares.to_integer(), &cost.to_integer());
    }

    /// Micro-shares go for so many micro-USD.
    fn dispose(&mut self, shares: &BigRational, proceeds: &BigRational) {
        if shares.is_positive() {
            self.exact.dispose(&parts(shares), &in_parts(proceeds));
            self.floor.dispose(&shares.to_integer(), &proceeds.to_integer());
        }
    }

    /// Micro-shares go for what they cost, in micro-USD, which the answer is.
    fn take_out(&mut self, shares: &BigRational) -> BigRational {
        let price = self.floor.average().clone();
        self.floor.dispose_at(&shares.to_integer(), &price);
        self.exact.take_out(&parts(shares)) / BigRational::from_integer(ten_to(CASH_DECIMALS))
    }

    /// What a share costs on average, in USD.
    fn price(&self) -> BigRational {
        let scale = BigRational::new(ten_to(SHARE_DECIMALS), ten_to(CASH_DECIMALS));
        self.exact.average() * scale
    }

    fn told(&self) -> AverageCost {
        let (beyond, beyond_proceeds) = self.exact.beyond();
        AverageCost {
            booked: Micro(self.exact.booked()).units(),
            booked_by_subgraph: Micro(BigRational::from_integer(self.floor.booked().clone())).units(),
            held: Micro(BigRational::new(self.exact.held_parts().clone(), ten_to(SHARE_DECIMALS))),
            cost: Micro(self.exact.cost()).units(),
            beyond: Micro(beyond),
            beyond_proceeds: Micro(beyond_proceeds).units(),
        }
    }
}

/// Micro-shares in the parts that a ledger counts in.
fn parts(shares: &BigRational) -> BigInt {
    (shares * BigRational::from_integer(ten_to(SHARE_DECIMALS))).to_integer()
}

/// Micro-USD in the parts that a ledger counts in.
fn in_parts(cash: &BigRational) -> BigRational {
    cash * BigRational::from_integer(ten_to(CASH_DECIMALS))
}
