//! The logs of a universe's people.

use super::WalletLogs;
use crate::demo::universe::people::{Deed, People, Trade, What};
use crate::demo::universe::{Kind, Universe, neg_risk};
use crate::demo::wallet_logs::ExchangeFill;
use crate::ids::{ConditionId, StructuralCondition, TokenId, Wallet};

impl WalletLogs {
    /// Adds a transaction for each of their deeds.
    pub fn people(&mut self, universe: &Universe, people: &People) -> &mut Self {
        for deed in &people.deeds {
            self.at(deed.block);
            // Every market that a deed names is one of the universe's.
            let _ = self.deed(universe, deed);
        }
        self
    }

    fn deed(&mut self, universe: &Universe, deed: &Deed) -> Option<()> {
        let own = &deed.wallet;
        match &deed.what {
            What::Trade(trade) => {
                let Trade { side, buys, shares, fee, exchange, .. } = *trade;
                let token = universe.token_of(side)?;
                let fill = ExchangeFill { maker: *own, token, buys, shares, cash: trade.cash(), fee };
                self.fill(exchange, &fill);
            }
            What::Form { market, splits, amount, adapter } => {
                match forms(universe, *market)? {
                    Forms::Native(condition) => self.form_native(own, &condition, *splits, *amount),
                    Forms::Wrapped(condition) => self.form_wrapped(own, &condition, *splits, *amount),
                    Forms::Plain(condition) => self.form(own, &condition, *splits, *amount, *adapter),
                };
            }
            What::Horizontal { event, splits, amount } => {
                self.horizontal(own, &natives(universe, event)?, *splits, *amount);
            }
            What::Conversion { event, gone, amount, .. } => {
                self.conversion(universe, own, event, gone, *amount)?;
            }
            What::Redemption { market, shares } => self.redemption(universe, own, *market, *shares)?,
            What::Transfer { side, shares, from, to } => {
                self.transfer(from, to, universe.token_of(*side)?, *shares);
            }
            What::Migration { from, to, index, shares } => {
                let tokens = [universe.token_of((*from, *index))?, universe.token_of((*to, *index))?];
                self.migrate(own, tokens[0], tokens[1], *shares);
            }
        }
        Some(())
    }

    fn conversion(
        &mut self,
        universe: &Universe,
        own: &Wallet,
        event: &[usize],
        gone: &[usize],
        amount: u64,
    ) -> Option<()> {
        if let Some(all) = natives(universe, event) {
            let gone = natives(universe, gone)?;
            self.convert_native(own, &all, gone.first()?, amount);
            return Some(());
        }
        let seed = universe.options().seed;
        let (market, _) = neg_risk::market(seed, *event.first()?);
        let bits = |markets: &[usize]| -> u64 {
            markets.iter().map(|number| 1 << neg_risk::market(seed, *number).1).sum()
        };
        self.convert(own, market, bits(event), bits(gone), amount, neg_risk::FEE_BIPS);
        Some(())
    }

    fn redemption(
        &mut self,
        universe: &Universe,
        own: &Wallet,
        market: usize,
        shares: [u64; 2],
    ) -> Option<()> {
        let of = universe.market(market)?;
        let paid = |index: u8| {
            let halves = of.payout().doubled(index).unwrap_or_default();
            shares[usize::from(index)] * u64::from(halves) / 2
        };
        match forms(universe, market)? {
            Forms::Native(_) => {
                for (index, token) in (0..2).zip(of.tokens()).filter(|(index, _)| shares[*index] > 0) {
                    self.redeem_native(own, *token, shares[index], paid(index as u8));
                }
            }
            Forms::Wrapped(condition) => {
                self.redeem_wrapped(own, &condition, shares, paid(0) + paid(1));
            }
            Forms::Plain(condition) => {
                self.redeem(own, &condition, shares, paid(0) + paid(1));
            }
        }
        Some(())
    }
}

/// By which contract a market's shares change form.
enum Forms {
    Plain(ConditionId),
    Wrapped(ConditionId),
    Native(StructuralCondition),
}

fn forms(universe: &Universe, market: usize) -> Option<Forms> {
    let market = universe.market(market)?;
    Some(match market.kind() {
        Kind::Hash if market.neg_risk() => Forms::Wrapped(market.condition()),
        Kind::Hash => Forms::Plain(market.condition()),
        _ => Forms::Native(native(&market.tokens()[0])?),
    })
}

fn native(token: &TokenId) -> Option<StructuralCondition> {
    Some(token.structural()?.condition)
}

/// The conditions of markets that are all of the second generation.
fn natives(universe: &Universe, markets: &[usize]) -> Option<Vec<StructuralCondition>> {
    markets.iter().map(|number| native(&universe.token_of((*number, 0))?)).collect()
}
