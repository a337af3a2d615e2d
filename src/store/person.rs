//! Several proxies of one person as one wallet.

use std::collections::BTreeMap;

use super::positions::{DataQuality, Holdings, OddSide, Unmapped};
use crate::ids::{TokenId, Wallet};
use crate::pnl::{Charged, Position, Repeated};

impl Holdings {
    /// What a person's proxies hold together, under the name of one of them.
    pub fn of_person(proxies: impl Iterator<Item = Self>, wallet: Wallet) -> Self {
        let mut proxies = proxies;
        let mut all = proxies.next().unwrap_or_else(|| Self::empty(wallet));
        for other in proxies {
            all.join(other);
        }
        all
    }

    fn join(&mut self, other: Self) {
        let mut positions: BTreeMap<TokenId, Position> =
            std::mem::take(&mut self.positions).into_iter().map(|it| (it.token_id, it)).collect();
        for position in other.positions {
            match positions.get_mut(&position.token_id) {
                Some(of) => add(of, position),
                None => {
                    positions.insert(position.token_id, Position { wallet: self.wallet, ..position });
                }
            }
        }
        self.positions = positions.into_values().collect();
        for unmapped in other.unmapped {
            match self.unmapped.iter_mut().find(|it| it.token_id == unmapped.token_id) {
                Some(of) => {
                    let Unmapped { fills, net_shares, cashflow, .. } = unmapped;
                    of.fills += fills;
                    of.net_shares = of.net_shares.plus(&net_shares);
                    of.cashflow = of.cashflow.plus(&cashflow);
                }
                None => self.unmapped.push(unmapped),
            }
        }
        for odd in other.odd_sides {
            match self.odd_sides.iter_mut().find(|it| it.side == odd.side) {
                Some(of) => {
                    let OddSide { fills, worth, .. } = odd;
                    of.fills += fills;
                    of.worth = std::mem::take(&mut of.worth) + worth;
                }
                None => self.odd_sides.push(odd),
            }
        }
        self.data_quality.add(&other.data_quality);
        self.fees |= other.fees;
        self.estimated_fees = std::mem::take(&mut self.estimated_fees) + other.estimated_fees;
    }
}

/// Adds what another proxy holds of the same token.
fn add(of: &mut Position, other: Position) {
    let Charged { shares, cash } = other.charged;
    let Repeated { fills, net_shares, cashflow } = other.repeated;
    of.fills += other.fills;
    of.net_shares = of.net_shares.plus(&other.net_shares);
    of.cashflow = of.cashflow.plus(&other.cashflow);
    of.charged = Charged { shares: of.charged.shares.plus(&shares), cash: of.charged.cash.plus(&cash) };
    of.repeated = Repeated {
        fills: of.repeated.fills + fills,
        net_shares: of.repeated.net_shares.plus(&net_shares),
        cashflow: of.repeated.cashflow.plus(&cashflow),
    };
    of.trades.extend(other.trades);
    // Within a second purchases come before sales, as in the fills of one wallet.
    of.trades.sort_by_key(|trade| (trade.time, !trade.is_purchase()));
}

impl DataQuality {
    fn add(&mut self, other: &Self) {
        self.duplicates += other.duplicates;
        self.changed += other.changed;
        self.nameless += other.nameless;
        self.odd_side += other.odd_side;
        self.odd_price += other.odd_price;
        self.odd_size += other.odd_size;
        self.inexact += other.inexact;
        self.contradicting += other.contradicting;
        self.self_contradicting += other.self_contradicting;
        self.zero_denominator += other.zero_denominator;
        self.tables_disagree += other.tables_disagree;
        self.undecidable += other.undecidable;
        self.misplaced_labels += other.misplaced_labels;
        self.from_catalogue += other.from_catalogue;
        self.undecided_combos += other.undecided_combos;
    }
}
