//! [`Expected`]: what a run over a universe must find, counted from the markets and not from the rows.

use std::collections::HashSet;

use super::text::MALFORMED;
use super::{Api, Baseline, Universe, baseline};

/// What is true of a universe. Tokens are traded tokens unless something else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Distinct well-formed token ids in the fills.
    pub traded: u64,
    /// Those with a usable map row.
    pub mapped: u64,
    /// The others.
    pub unmapped: u64,
    /// Fills whose asset id is malformed or empty.
    pub malformed_fills: u64,
    /// Distinct malformed asset ids, the empty one included.
    pub malformed_asset_ids: u64,
    /// Rows of the fills table.
    pub fills: u64,
    /// Pairs of fill id and wallet.
    pub distinct_fills: u64,
    /// Fills whose second delivery differs from the first.
    pub changed_fills: u64,
    /// Rows written to the token map (a `ReplacingMergeTree` keeps fewer).
    pub map_rows: u64,
    /// Usable map rows of never traded tokens whose index is wrong.
    pub wrong_map_rows: u64,
    /// Unmapped tokens whose condition ClickHouse holds somewhere: what `derive` can map.
    pub derivable: u64,
    /// Unmapped tokens that are neither derivable nor known to an API.
    pub unreachable: u64,
    /// Unmapped tokens that Dome knows.
    pub known_to_dome: u64,
    /// Unmapped tokens that Goldsky knows.
    pub known_to_goldsky: u64,
    /// Unmapped tokens that neither knows.
    pub unknown_to_both: u64,
    /// Conditions with a payout, in either table.
    pub resolved_conditions: u64,
}

impl Universe {
    /// What a run must find. Walks all markets: keep the answer.
    pub fn expected(&self) -> Expected {
        let parts = self.parts();
        let beside = self.beside();
        let unmapped = || self.traded_tokens().filter(|outcome| !outcome.mapped());
        let count = |tokens: usize| tokens as u64;
        let knows = |api| count(unmapped().filter(|outcome| outcome.market.known_to(api)).count());
        let traded = count(self.traded_tokens().count());
        let mapped = count(self.traded_tokens().filter(super::Outcome::mapped).count());
        let neither = |outcome: &super::Outcome<'_>| {
            !outcome.market.known_to(Api::Dome) && !outcome.market.known_to(Api::Goldsky)
        };
        let baseline_copies: usize = (0..self.baselines.len()).map(baseline::copies_of).sum();
        let baseline_changes = if self.baselines.is_empty() { 0 } else { baseline::FIRST_CHANGES };
        Expected {
            traded,
            mapped,
            unmapped: traded - mapped,
            malformed_fills: count(MALFORMED.len()),
            malformed_asset_ids: count(MALFORMED.iter().collect::<HashSet<_>>().len()),
            fills: parts.all,
            distinct_fills: parts.all - parts.copies() - count(baseline_copies),
            changed_fills: parts.changed_copies() + count(baseline_changes),
            map_rows: mapped + count(beside.repeated + beside.broken + beside.untraded),
            wrong_map_rows: count(beside.wrong),
            derivable: count(unmapped().filter(|outcome| outcome.market.derivable()).count()),
            unreachable: count(
                unmapped().filter(|outcome| !outcome.market.derivable() && neither(outcome)).count(),
            ),
            known_to_dome: knows(Api::Dome),
            known_to_goldsky: knows(Api::Goldsky),
            unknown_to_both: count(unmapped().filter(neither).count()),
            resolved_conditions: count(
                self.markets().filter(|market| market.payout() != super::Payout::Unresolved).count(),
            ),
        }
    }

    /// The baseline wallet of this address.
    pub fn baseline(&self, wallet: &crate::ids::Wallet) -> Option<&Baseline> {
        self.baselines.iter().find(|baseline| baseline.wallet == *wallet)
    }
}
