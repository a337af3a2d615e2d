//! [`Universe`]: a seeded world of conditions, token pairs, fills, map rows, resolutions and baseline wallets.
//!
//! Token ids are real position ids (hashes of their condition, index and collateral), so that everything that is
//! proven about real tokens is proven about these. Markets are kept (112 bytes each), every row is made when it is
//! asked for: a universe of three million tokens and forty million fills costs no more than its markets.

mod baseline;
mod expected;
mod fills;
mod generate;
mod index;
mod market;
pub mod neg_risk;
mod rows;
mod second;
mod text;

pub use baseline::{Baseline, BaselinePosition, PNL_FORMULA};
pub use expected::Expected;
pub use fills::{FillRow, Fills};
pub(in crate::demo) use market::mix;
pub use market::{Api, Kind, Listing, Market, Payout};
pub use rows::{MapRow, ResolutionRow, WinnerRow};

use crate::ids::{ConditionId, TokenId};
use index::HashIndex;
use market::MarketCore;

/// The guide's wallet: its 194 fills in 89 resolved positions are part of every universe that has baselines.
pub const BASELINE_WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

/// The first markets are reserved for baseline wallets: their payouts are chosen, both APIs know them.
const RESERVED_MARKETS: usize = 160;

/// What kind of world to make. Counts are exact, shares are met to within one market where nothing else is said.
#[derive(Debug, Clone, PartialEq)]
pub struct UniverseOptions {
    /// Everything follows from it.
    pub seed: u64,
    /// Distinct well-formed token ids in the fills.
    pub traded_tokens: usize,
    /// Traded tokens that have a usable map row from the start.
    pub mapped_tokens: usize,
    /// Rows of the fills table, malformed ones and second deliveries included.
    pub fills: u64,
    /// Wallets that the ordinary fills belong to.
    pub wallets: u32,
    /// Wallets whose P&L the generator knows; the first is [`BASELINE_WALLET`]. 0 for a universe without.
    pub baseline_wallets: usize,
    /// Share of the markets whose condition id stands in their fills.
    pub condition_ids_in_fills: f64,
    /// Share of the markets that have a payout.
    pub resolved: f64,
    /// Share of the markets that neither API knows.
    pub unknown_to_both: f64,
    /// Share of the markets that Goldsky knows and Dome does not.
    pub unknown_to_dome: f64,
    /// Share of the markets that Dome knows and Goldsky does not.
    pub unknown_to_goldsky: f64,
    /// Share of the markets whose tokens are of the second generation: natives, negative-risk events, mirrors and
    /// combos; at most seven eighths.
    pub v2_share: f64,
    /// Whether both tokens of most markets are traded; without, a workload has one token a condition.
    pub siblings: bool,
    /// Usable map rows of never traded tokens whose outcome index is wrong (the hash refutes them).
    pub wrong_map_rows: usize,
}

impl Default for UniverseOptions {
    /// The guide's sizes.
    fn default() -> Self {
        Self {
            seed: 1,
            traded_tokens: 118_870,
            mapped_tokens: 19_964,
            fills: 1_000_000,
            wallets: 5_000,
            baseline_wallets: 11,
            condition_ids_in_fills: 0.6,
            resolved: 0.5,
            unknown_to_both: 0.01,
            unknown_to_dome: 0.005,
            unknown_to_goldsky: 0.005,
            v2_share: 0.0,
            siblings: true,
            wrong_map_rows: 12,
        }
    }
}

impl UniverseOptions {
    /// The fewest rows that the fills table can have with these tokens and wallets: each token once, the baseline
    /// fills, the malformed rows, and the share that is delivered twice.
    pub fn min_fills(&self) -> u64 {
        let once = self.traded_tokens + baseline::rows_of(self.baseline_wallets) + text::MALFORMED.len();
        let once = once as u64;
        once + once / (fills::ROWS_PER_COPY - 1) + 1
    }

    fn check(&self) -> Result<(), UniverseError> {
        let shares = [
            self.condition_ids_in_fills,
            self.resolved,
            self.unknown_to_both,
            self.unknown_to_dome,
            self.unknown_to_goldsky,
            self.unknown_to_both + self.unknown_to_dome + self.unknown_to_goldsky,
        ];
        let v2_fits = (0.0..=second::MOST).contains(&self.v2_share);
        if !v2_fits || shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(UniverseError::Share);
        }
        let least = if self.baseline_wallets == 0 { 2 } else { 2 * RESERVED_MARKETS };
        if self.traded_tokens < least || self.traded_tokens > 400_000_000 {
            return Err(UniverseError::TooFewTokens { traded: self.traded_tokens, least });
        }
        if self.mapped_tokens > self.traded_tokens {
            return Err(UniverseError::TooManyMapped {
                mapped: self.mapped_tokens,
                traded: self.traded_tokens,
            });
        }
        if self.fills < self.min_fills() {
            return Err(UniverseError::TooFewFills { fills: self.fills, least: self.min_fills() });
        }
        Ok(())
    }
}

/// Why there is no universe with these options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UniverseError {
    /// A share is not a share, or the three unknown ones are more than all.
    #[error(
        "a share of the universe is outside of 0 to 1 (the three unknown shares together count too; of the second \
         generation there are at most 0.875)"
    )]
    Share,
    /// The tokens do not suffice for the baseline wallets.
    #[error("{traded} traded tokens cannot be: give between {least} and 400,000,000")]
    TooFewTokens {
        /// What was asked for.
        traded: usize,
        /// What it takes.
        least: usize,
    },
    /// More mapped than traded tokens.
    #[error("{mapped} mapped tokens of {traded} traded ones cannot be: give at most as many")]
    TooManyMapped {
        /// What was asked for.
        mapped: usize,
        /// What there is.
        traded: usize,
    },
    /// Not every token can have a fill.
    #[error("{fills} fills are too few for these tokens: give at least {least}")]
    TooFewFills {
        /// What was asked for.
        fills: u64,
        /// What it takes.
        least: u64,
    },
}

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
