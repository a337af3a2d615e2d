//! [`Signs`]: what a wallet's fills alone say of flows or fills that are missing.

use std::collections::HashMap;

use crate::ids::ConditionId;
use crate::pnl::{Micro, Position, Usd};

/// Signs that something of a wallet is missing from the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// Positions of which more was sold than bought.
    pub below_zero: u64,
    /// The micro-shares that are missing there.
    pub missing_shares: Micro,
    /// What those shares pay, where their condition is resolved.
    pub missing_worth: Usd,
    /// Conditions of which more of both outcomes was sold than bought: a split is missing.
    pub both_sold: u64,
    /// When the wallet's fills stop, in Unix seconds; `None` where no time is known.
    pub last_fill: Option<u32>,
    /// Positions of conditions without a payout that held shares when they stopped.
    pub held_at_the_end: u64,
}

/// Reads the signs from a wallet's positions, flows included where they are known.
pub(super) fn signs(positions: &[Position]) -> Signs {
    let mut signs = Signs::default();
    let mut short: HashMap<ConditionId, [bool; 2]> = HashMap::new();
    for position in positions {
        let last = position.trades.iter().map(|trade| trade.time).max().filter(|time| *time > 0);
        signs.last_fill = signs.last_fill.max(last);
        let open = position.decision.payout.is_none();
        signs.held_at_the_end += u64::from(open && !position.net_shares.is_zero());
        if !position.net_shares.is_negative() {
            continue;
        }
        signs.below_zero += 1;
        let missing = position.net_shares.abs();
        let worth = position.paid_out().map(|paid| paid.abs()).unwrap_or_default();
        signs.missing_worth = std::mem::take(&mut signs.missing_worth) + worth;
        signs.missing_shares = signs.missing_shares.plus(&missing);
        let sides = short.entry(position.condition_id).or_default();
        if let Some(side) = sides.get_mut(usize::from(position.outcome_index)) {
            *side = true;
        }
    }
    signs.both_sold = short.values().filter(|sides| **sides == [true, true]).count() as u64;
    signs
}
