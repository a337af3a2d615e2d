//! [`Appraisal`]: a wallet's P&L by three definitions side by side, and what stands between them.

use super::average_cost::{AverageCost, Redemptions, book};
use super::certain::certain;
use super::position::paid;
use super::{Flow, Position, Usd};

/// What counts as realized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Method {
    /// Every position of a resolved condition, redeemed or not.
    #[default]
    Resolved,
    /// Those, and what no payout can change in open markets: sold out, or equally many shares of both sides.
    Certain,
    /// Sales and redemptions against the average cost, as Polymarket's subgraph and Dome keep it.
    AverageCost,
}

impl Method {
    /// Its name, as it is written on the command line and in files of baselines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Certain => "certain",
            Self::AverageCost => "average-cost",
        }
    }

    /// The method of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Resolved, Self::Certain, Self::AverageCost].into_iter().find(|it| it.name() == name)
    }
}

/// One wallet's P&L by each definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    /// By [`Method::Resolved`].
    pub resolved: Usd,
    /// By [`Method::Certain`].
    pub certain: Usd,
    /// By [`Method::AverageCost`], exact.
    pub average_cost: Usd,
    /// The same in the integers of Polymarket's subgraph, which cuts at every step.
    pub subgraph: Usd,
}

impl Definitions {
    /// The total by a method.
    pub fn total(&self, method: Method) -> &Usd {
        match method {
            Method::Resolved => &self.resolved,
            Method::Certain => &self.certain,
            Method::AverageCost => &self.average_cost,
        }
    }
}

/// Why two definitions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Difference {
    /// Shares that pay nothing were never redeemed: average cost does not know the loss.
    LosersNotRedeemed,
    /// Shares that pay something were not redeemed: average cost does not know the gain.
    WinnersNotRedeemed,
    /// Sales in markets that are not resolved: average cost counts them.
    OpenSales,
    /// Sales of more than was held: average cost does not count them.
    SalesBeyondHoldings,
    /// Fees, which average cost does not know.
    Fees,
    /// Shares from and to other wallets, which average cost does not know.
    Transfers,
    /// Splits, merges and conversions at other prices than those that the cash is shared out by.
    FormChanges,
    /// What is certain in markets that are not resolved.
    CertainInOpenMarkets,
}

impl Difference {
    /// Its name in objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LosersNotRedeemed => "losers_not_redeemed",
            Self::WinnersNotRedeemed => "winners_not_redeemed",
            Self::OpenSales => "sales_in_open_markets",
            Self::SalesBeyondHoldings => "sales_beyond_holdings",
            Self::Fees => "fees",
            Self::Transfers => "transfers",
            Self::FormChanges => "splits_merges_and_conversions",
            Self::CertainInOpenMarkets => "certain_in_open_markets",
        }
    }

    /// All that can stand between `resolved` and `average-cost`.
    const TO_AVERAGE_COST: [Self; 7] = [
        Self::LosersNotRedeemed,
        Self::WinnersNotRedeemed,
        Self::OpenSales,
        Self::SalesBeyondHoldings,
        Self::Fees,
        Self::Transfers,
        Self::FormChanges,
    ];
}

/// What one cause adds to a definition's total on the way to another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The cause.
    pub difference: Difference,
    /// What it adds to the total.
    pub amount: Usd,
    /// In how many positions.
    pub positions: u64,
}

/// All that is known of a wallet's P&L.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appraisal {
    /// The three totals.
    pub definitions: Definitions,
    /// Of each position: what it is certain to come to though its condition is open.
    pub certain: Vec<Option<Usd>>,
    /// Of each position: what the average cost says.
    pub average_cost: Vec<AverageCost>,
    /// What leads from the total by resolution to the one of what is certain.
    pub to_certain: Vec<Gap>,
    /// What leads from the total by resolution to the one by average cost.
    pub to_average_cost: Vec<Gap>,
}

/// Appraises a wallet's positions, to which its flows have been added.
pub fn appraise(positions: &[Position], flows: &[Flow], redemptions: Redemptions) -> Appraisal {
    let certain = certain(positions);
    let average_cost = book(positions, flows, redemptions);
    let resolved: Usd = positions.iter().filter_map(Position::realized).sum();
    let counted = || positions.iter().zip(&average_cost).filter(|(position, _)| !position.excluded);
    let in_open: Vec<Usd> = certain.iter().flatten().cloned().collect();
    let certain_total: Usd = in_open.iter().cloned().sum();
    let mut to_average_cost: Vec<Gap> = Difference::TO_AVERAGE_COST
        .map(|difference| Gap { difference, amount: Usd::zero(), positions: 0 })
        .to_vec();
    for (position, average) in counted() {
        for (gap, amount) in to_average_cost.iter_mut().zip(differences(position, average)) {
            gap.positions += u64::from(!amount.is_zero());
            gap.amount = Usd::sum_bounded([std::mem::take(&mut gap.amount), amount].into_iter());
        }
    }
    to_average_cost.retain(|gap| gap.positions > 0);
    let to_certain = Gap {
        difference: Difference::CertainInOpenMarkets,
        amount: certain_total.clone(),
        positions: in_open.len() as u64,
    };
    let definitions = Definitions {
        certain: resolved.clone() + certain_total,
        average_cost: Usd::sum_bounded(counted().map(|(_, it)| it.booked.clone())),
        subgraph: counted().map(|(_, it)| it.booked_by_subgraph.clone()).sum(),
        resolved,
    };
    let to_certain = if to_certain.positions > 0 { vec![to_certain] } else { Vec::new() };
    Appraisal { definitions, certain, average_cost, to_certain, to_average_cost }
}

/// What average cost adds to a position's P&L by resolution, in the order of [`Difference::TO_AVERAGE_COST`]; the last
/// one is what the others leave.
fn differences(position: &Position, average: &AverageCost) -> [Usd; 7] {
    let zero = Usd::zero;
    let Some(payout) = &position.decision.payout else {
        return [zero(), zero(), average.booked.clone(), zero(), zero(), zero(), zero()];
    };
    let left = average.cost.clone() - paid(&average.held, payout);
    let (losers, winners) = if payout.pays() { (zero(), left) } else { (left, zero()) };
    let beyond = paid(&average.beyond, payout) - average.beyond_proceeds.clone();
    let fees = paid(&position.charged.shares, payout) + position.charged.cash.units();
    let moved = &position.flows;
    let transfers = -(paid(&moved.transferred, payout) + moved.transferred_cash.units());
    let all = average.booked.clone() - position.realized().unwrap_or_default();
    let known = losers.clone() + winners.clone() + beyond.clone() + fees.clone() + transfers.clone();
    [losers, winners, zero(), beyond, fees, transfers, all - known]
}
