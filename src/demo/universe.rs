//! [`Universe`]: a seeded world of conditions, token pairs, fills, map rows, resolutions and baseline wallets.
//!
//! Token ids are real position ids (hashes of their condition, index and collateral), so that everything that is
//! proven about real tokens is proven about these. Markets are kept (112 bytes each), every row is made when it is
//! asked for: a universe of three million tokens and forty million fills costs no more than its markets.

mod baseline;
mod dice;
mod expected;
mod fills;
mod generate;
mod index;
mod market;
pub mod neg_risk;
mod options;
pub mod people;
mod rows;
mod second;
mod text;

pub use baseline::{BASELINE_WALLET, Baseline, BaselinePosition, PNL_FORMULA};
pub use expected::Expected;
pub use fills::{FillRow, Fills};
pub(in crate::demo) use market::mix;
pub use market::{Api, Kind, Listing, Market, Payout};
pub use options::{UniverseError, UniverseOptions};
pub use rows::{MapRow, ResolutionRow, WinnerRow};

use crate::ids::{ConditionId, TokenId};
use index::HashIndex;
use market::MarketCore;

/// A generated world. Markets stand in memory, rows are made on the way.
#[derive(Debug)]
pub struct Universe {
    options: UniverseOptions,
    markets: Vec<MarketCore>,
    /// Markets with both tokens traded come first, then those with one, then those never traded.
    paired: usize,
    traded_markets: usize,
    by_token: HashIndex,
    by_condition: HashIndex,
    baselines: Vec<Baseline>,
    baseline_fills: Vec<baseline::PlannedFill>,
}

/// A token's place in the universe.
#[derive(Clone, Copy)]
pub struct Outcome<'a> {
    /// Its market.
    pub market: Market<'a>,
    /// Its outcome index there: 0 or 1.
    pub index: u8,
}

impl Outcome<'_> {
    /// The token id.
    pub fn token(&self) -> TokenId {
        self.market.tokens()[usize::from(self.index)]
    }

    /// The other token of the market.
    pub fn sibling(&self) -> TokenId {
        self.market.tokens()[usize::from(1 - self.index)]
    }

    /// The outcome's label.
    pub fn label(&self) -> &'static str {
        self.market.labels()[usize::from(self.index)]
    }

    /// Whether a usable map row stands in the map from the start.
    pub fn mapped(&self) -> bool {
        self.market.mapped(self.index)
    }
}

impl Universe {
    /// The options that it was made with.
    pub fn options(&self) -> &UniverseOptions {
        &self.options
    }

    /// How many markets there are, the never traded ones included.
    pub fn market_count(&self) -> usize {
        self.markets.len()
    }

    /// The market of this number, below [`market_count`](Self::market_count).
    pub fn market(&self, number: usize) -> Option<Market<'_>> {
        self.markets.get(number).map(|core| Market { core, number })
    }

    /// All markets, in the order of their numbers.
    pub fn markets(&self) -> impl Iterator<Item = Market<'_>> {
        self.markets.iter().enumerate().map(|(number, core)| Market { core, number })
    }

    /// Where a token belongs; `None` for a token that does not exist.
    pub fn find(&self, token: &TokenId) -> Option<Outcome<'_>> {
        let slot =
            self.by_token.find(token.fingerprint() as u64, |slot| self.token_at(slot) == Some(*token))?;
        let market = self.market((slot / 2) as usize)?;
        Some(Outcome { market, index: (slot % 2) as u8 })
    }

    /// The market of a condition; `None` for a condition that does not exist.
    pub fn find_condition(&self, condition: &ConditionId) -> Option<Market<'_>> {
        let is_it =
            |slot: u32| self.markets.get(slot as usize).is_some_and(|core| core.condition == *condition);
        self.market(self.by_condition.find(index::condition_key(condition), is_it)? as usize)
    }

    /// Whether an API has the market of this token. No API knows a token that does not exist.
    pub fn known_to(&self, api: Api, token: &TokenId) -> bool {
        self.find(token).is_some_and(|outcome| outcome.market.known_to(api))
    }

    /// Every traded token, each once.
    pub fn traded_tokens(&self) -> impl Iterator<Item = Outcome<'_>> {
        self.markets().take(self.traded_markets).flat_map(|market| {
            [0, 1]
                .into_iter()
                .filter(move |&index| market.traded(index))
                .map(move |index| Outcome { market, index })
        })
    }

    /// The wallets whose P&L is known, [`BASELINE_WALLET`] first.
    pub fn baselines(&self) -> &[Baseline] {
        &self.baselines
    }

    fn token_at(&self, slot: u32) -> Option<TokenId> {
        self.markets.get((slot / 2) as usize).map(|core| core.tokens[(slot % 2) as usize])
    }

    /// The traded token of this ordinal, below `traded_tokens`.
    fn traded_at(&self, ordinal: usize) -> Option<Outcome<'_>> {
        if ordinal < 2 * self.paired {
            return Some(Outcome { market: self.market(ordinal / 2)?, index: (ordinal % 2) as u8 });
        }
        let market = self.market(ordinal - self.paired)?;
        Some(Outcome { market, index: u8::from(!market.traded(0)) })
    }
}

#[cfg(test)]
mod tests;
