//! [`Explanation`]: what could be missing from a total or wrong in it, and how many dollars hang on it.

use crate::ctf::{self, Collateral};
use crate::parallel::on_all_cores;
use crate::pnl::{Position, Usd};
use crate::store::positions::{OddSide, Unmapped};

/// Something that may explain a variance, in USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it is.
    pub cause: &'static str,
    /// How many there are, of what the cause says.
    pub count: u64,
    /// What it could be worth.
    pub worth: Usd,
}

/// What could be missing from a total or wrong in it, the largest first. A fill or a position counts in one cause.
pub(super) fn explain(
    positions: &[Position],
    realized: &[Option<Usd>],
    proofs: &[Proven],
    unmapped: &[Unmapped],
    odd_sides: &[OddSide],
) -> Vec<Explanation> {
    let mut causes: Vec<Explanation> = Vec::new();
    let mut add = |cause, count: u64, worth: Usd| match causes.iter_mut().find(|it| it.cause == cause) {
        Some(known) => {
            known.count += count;
            known.worth = known.worth.clone() + worth;
        }
        None => causes.push(Explanation { cause, count, worth }),
    };
    for it in unmapped {
        let cause = match (it.well_formed, it.ambiguous) {
            (false, _) => "fills of malformed asset ids",
            (true, true) => "fills of tokens that the map contradicts itself about",
            (true, false) => "fills of unmapped tokens",
        };
        add(cause, it.fills, it.cashflow.units().abs());
    }
    for side in odd_sides {
        add("fills that are neither BUY nor SELL", side.fills, side.worth.clone());
    }
    for (place, (position, realized)) in positions.iter().zip(realized).enumerate() {
        if let Some((cause, worth)) = doubt(position, realized.as_ref(), proofs.get(place)) {
            add(cause, 1, worth);
        }
    }
    let repeats = positions.iter().filter(|position| position.repeated.fills > 0);
    let count = repeats.clone().map(|position| position.repeated.fills).sum();
    let worth: Usd = repeats.filter_map(Position::realized_by_repeats).sum();
    if count > 0 {
        add("second deliveries of fills, had they been counted", count, worth.abs());
    }
    causes.sort_by(|a, b| b.worth.cmp(&a.worth));
    causes
}

/// What the hash says of a position's mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proven {
    /// The token is this outcome of the condition.
    Outcome(u8),
    /// The token is no outcome of the condition with a listed collateral.
    Nothing,
}

pub(super) fn prove(positions: &[Position], collaterals: &[Collateral]) -> Vec<Proven> {
    on_all_cores(positions, |position| {
        let (token, condition) = (&position.token_id, &position.condition_id);
        ctf::prove_claim(token, condition, position.outcome_index, collaterals)
            .map_or(Proven::Nothing, |proof| Proven::Outcome(proof.outcome_index))
    })
}

/// What makes a position's P&L doubtful, and how many USD hang on it.
fn doubt(
    position: &Position,
    realized: Option<&Usd>,
    proven: Option<&Proven>,
) -> Option<(&'static str, Usd)> {
    let decision = &position.decision;
    let cost = position.cashflow.units().abs();
    let Some(realized) = realized else {
        let cause = match (decision.undecidable, decision.listed) {
            (true, _) => "positions whose winner is named by neither of the two labels",
            (_, true) => "positions whose resolution decides nothing",
            (_, false) => "positions in conditions without a resolution",
        };
        return Some((cause, cost));
    };
    match proven {
        Some(Proven::Outcome(index)) if *index != position.outcome_index => {
            let otherwise = position.realized_otherwise();
            let worth = otherwise.map_or(cost, |right| (right - realized.clone()).abs());
            Some(("positions mapped to the wrong outcome, as their token proves", worth))
        }
        _ if decision.rows_disagree => {
            Some(("positions whose resolutions contradict each other", realized.abs()))
        }
        _ if decision.contradicts_itself => {
            Some(("positions whose resolution contradicts itself", realized.abs()))
        }
        _ if decision.tables_disagree => {
            Some(("positions whose two tables name different winners", realized.abs()))
        }
        Some(Proven::Nothing) => Some(("positions whose mapping has no proof", realized.abs())),
        Some(Proven::Outcome(_)) | None => None,
    }
}
