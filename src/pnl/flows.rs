//! What a wallet's flows add to its positions: the sums that `resolved` and `certain` count with.

use std::collections::HashMap;

use super::{Flow, FlowKind, Micro, Position, TransferRule};
use crate::ids::TokenId;

/// Adds the flows to the positions of their tokens. A flow of a token that is in no position adds nothing; the answer
/// says how many such legs there were.
///
/// A redemption of a condition whose payout is known changes when something was paid, not how much, and is not added.
/// A migration takes along the part of the cashflow that belongs to the shares.
pub fn add_flows(positions: &mut [Position], flows: &[Flow], rule: TransferRule) -> u64 {
    let places: HashMap<TokenId, usize> =
        positions.iter().enumerate().map(|(place, position)| (position.token_id, place)).collect();
    let mut homeless = 0;
    for flow in flows {
        if flow.kind == FlowKind::Migration {
            homeless += migrate(positions, &places, flow);
            continue;
        }
        for (leg, cash) in flow.legs.iter().zip(flow.cash_of_legs(rule)) {
            let position = places.get(&leg.token).and_then(|place| positions.get_mut(*place));
            match position {
                Some(position) => position.add_leg(flow.kind, &leg.shares, &Micro(cash), rule),
                None => homeless += 1,
            }
        }
    }
    homeless
}

/// Moves shares and the average of what they cost from one token to its mirror. Both are one outcome of one condition,
/// so that no total depends on how much of the cost goes along.
fn migrate(positions: &mut [Position], places: &HashMap<TokenId, usize>, flow: &Flow) -> u64 {
    let place = |gone: bool| {
        let leg = flow.legs.iter().find(|leg| leg.shares.is_negative() == gone)?;
        Some((*places.get(&leg.token)?, leg.shares.clone()))
    };
    let (Some((from, gone)), Some((to, came))) = (place(true), place(false)) else { return 1 };
    let held = &positions[from].net_shares;
    // Of what is held now, the part that goes.
    let cash = match held.is_zero() {
        true => Micro::zero(),
        false => Micro(&positions[from].cashflow.0 * (-&gone.0) / &held.0),
    };
    let back = Micro(-&cash.0);
    positions[from].add_leg(FlowKind::Migration, &gone, &back, TransferRule::Free);
    positions[to].add_leg(FlowKind::Migration, &came, &cash, TransferRule::Free);
    0
}

impl Position {
    fn add_leg(&mut self, kind: FlowKind, shares: &Micro, cash: &Micro, rule: TransferRule) {
        let counted = kind != FlowKind::Redemption || self.decision.payout.is_none();
        if !counted {
            return;
        }
        self.net_shares.0 += &shares.0;
        self.cashflow.0 += &cash.0;
        if kind == FlowKind::Fee {
            self.charged.shares.0 -= &shares.0;
            self.charged.cash.0 -= &cash.0;
            return;
        }
        self.flows.count += 1;
        self.flows.net_shares.0 += &shares.0;
        self.flows.cashflow.0 += &cash.0;
        if kind == FlowKind::Transfer {
            self.flows.transferred.0 += &shares.0;
            self.flows.transferred_cash.0 += &cash.0;
            self.excluded |= rule == TransferRule::Exclude;
        }
    }
}
