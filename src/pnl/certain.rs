//! What is realized in a market that is still open: P&L that no payout can change.

use std::collections::HashMap;

use num_rational::BigRational;
use num_traits::Zero;

use super::{Position, Usd};
use crate::ids::ConditionId;

/// Net micro-shares of the two outcomes of a condition.
type Sides = [BigRational; 2];

/// What each position is certain to come to, in the order of the positions; `None` for those that are resolved (they
/// are counted as such), left out, or not certain.
///
/// A side of a condition without net shares is worth its cashflow whatever is paid. Two sides with equally many are
/// worth their cashflow and one USD for each pair; of that each side is given half. Shares below zero are certain as
/// well: they have been sold.
pub(super) fn certain(positions: &[Position]) -> Vec<Option<Usd>> {
    let is_open = |it: &&Position| it.decision.payout.is_none() && !it.excluded;
    let mut conditions: HashMap<ConditionId, Sides> = HashMap::new();
    for position in positions.iter().filter(is_open) {
        let sides = conditions.entry(position.condition_id).or_default();
        if let Some(side) = sides.get_mut(usize::from(position.outcome_index)) {
            *side += &position.net_shares.0;
        }
    }
    let worth = |position: &Position| {
        let sides = conditions.get(&position.condition_id).filter(|_| is_open(&position))?;
        let side = sides.get(usize::from(position.outcome_index))?;
        let paired = sides[0] == sides[1];
        let half = Usd(&position.net_shares.0 / BigRational::from_integer(2_000_000.into()));
        match (side.is_zero(), paired) {
            (true, _) => Some(position.cashflow.units()),
            (false, true) => Some(position.cashflow.units() + half),
            (false, false) => None,
        }
    };
    positions.iter().map(worth).collect()
}
