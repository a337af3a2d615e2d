//! [`UniverseOptions`]: what kind of world to make, and which ones cannot be.

use super::baseline::{RESERVED_MARKETS, rows_of};
use super::second;
use super::text::MALFORMED;

/// One row of the fills in so many is a second delivery.
pub(super) const ROWS_PER_COPY: u64 = 200;

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
    /// Wallets whose P&L the generator knows; the first is [`BASELINE_WALLET`](super::BASELINE_WALLET). 0 for a universe without.
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
        let once = self.traded_tokens + rows_of(self.baseline_wallets) + MALFORMED.len();
        let once = once as u64;
        once + once / (ROWS_PER_COPY - 1) + 1
    }

    /// Whether there is such a world.
    ///
    /// # Errors
    /// What there is none for.
    pub(super) fn check(&self) -> Result<(), UniverseError> {
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
