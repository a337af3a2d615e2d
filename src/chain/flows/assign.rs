//! [`flows_of`]: what a transaction did to one wallet, so that its transfers are accounted for to the last share.

use std::collections::BTreeMap;

use super::event::{ChainFill, Change, FlowEvent};
use super::filters::holds_shares;
use crate::chain::contracts::neg_risk_adapter;
use crate::chain::{Log, Word, keccak256};
use crate::ctf::{Collateral, token_id};
use crate::ids::{Address, ConditionId, TokenId, Wallet};
use crate::pnl::FlowKind;

/// A row of the flows: the shares of one token in one flow of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// The block.
    pub block: u64,
    /// The log that says so; of a transfer the first log that moved the token.
    pub log_index: u32,
    /// Which part of the flow, from 0; its cash stands in part 0.
    pub part: u16,
    /// The wallet.
    pub wallet: Wallet,
    /// What it was.
    pub kind: FlowKind,
    /// The condition, where it is about one.
    pub condition: Option<ConditionId>,
    /// The negative-risk market or event, where it is about one.
    pub market: Option<Word>,
    /// The token.
    pub token: TokenId,
    /// Micro-shares that came, below zero where they went.
    pub shares: i128,
    /// Micro-USD that came, below zero where they went.
    pub cash: i128,
    /// Micro-units that were kept as a fee.
    pub fee: i128,
    /// The transaction.
    pub tx_hash: Word,
    /// When its block was made, in seconds since 1970; 0 where no log of it says so.
    pub time: u32,
}

/// What a transaction's logs do not say.
#[derive(Debug, Clone, Copy)]
pub struct FlowRules<'a> {
    /// The collaterals that tokens are hashed over.
    pub collaterals: &'a [Collateral],
    /// What a conversion costs in each negative-risk market, in hundredths of a percent.
    pub fee_bips: &'a BTreeMap<Word, u32>,
}

/// Questions that a market can have.
const QUESTIONS: usize = 256;

/// What is left to account for: micro-shares by token, and the first log that moved each.
type Left = BTreeMap<TokenId, (i128, u32)>;

/// The flows of `wallet` in one transaction, from its logs in any order.
///
/// Fills are taken off first, then changes that name the wallet, then those that name an adapter or the router, each for
/// as many shares as moved; the rest are transfers. Of a market's questions those count whose tokens moved, which is how
/// many it had in that block.
pub fn flows_of(wallet: Wallet, logs: &[(&Log, FlowEvent)], rules: &FlowRules<'_>) -> Vec<FlowRow> {
    let mut logs: Vec<&(&Log, FlowEvent)> = logs.iter().collect();
    logs.sort_by_key(|(log, _)| log.log_index);
    logs.dedup_by_key(|(log, _)| log.log_index);
    let own = Address::from_bytes(*wallet.as_bytes());
    let mut work = Work { wallet, own, left: Left::new(), rows: Vec::new(), rules };
    for (log, event) in &logs {
        if let FlowEvent::Transfer { from, to, amounts } = event {
            work.moved(log, from, to, amounts);
        }
    }
    for (log, event) in &logs {
        if let FlowEvent::Fill(fill) = event {
            work.fill(log, fill);
        }
    }
    for named in [true, false] {
        for (log, event) in &logs {
            match event {
                FlowEvent::Change(change) if (change.holder == Some(own)) == named => {
                    work.change(log, change);
                }
                _ => {}
            }
        }
    }
    if let Some((log, _)) = logs.first() {
        work.transfers(log);
    }
    work.rows.sort_by_key(|row| (row.log_index, row.part));
    work.rows
}

struct Work<'a> {
    wallet: Wallet,
    own: Address,
    left: Left,
    rows: Vec<FlowRow>,
    rules: &'a FlowRules<'a>,
}

impl Work<'_> {
    fn moved(&mut self, log: &Log, from: &Address, to: &Address, amounts: &[(TokenId, i128)]) {
        if !holds_shares(&log.address) {
            return;
        }
        for (token, amount) in amounts {
            for (side, signed) in [(from, -amount), (to, *amount)] {
                if *side == self.own {
                    self.left.entry(*token).or_insert((0, log.log_index)).0 += signed;
                }
            }
        }
    }

    fn fill(&mut self, log: &Log, fill: &ChainFill) {
        if fill.maker != self.own {
            return;
        }
        let shares = if fill.buys { fill.shares - fill.fee_shares } else { -fill.shares };
        if let Some((left, _)) = self.left.get_mut(&fill.token) {
            *left -= shares;
        }
        if fill.fee_shares > 0 || fill.fee_cash > 0 {
            let row = self.row(log, FlowKind::Fee, (fill.token, -fill.fee_shares));
            let fee = fill.fee_shares + fill.fee_cash;
            self.rows.push(FlowRow { cash: -fill.fee_cash, fee, ..row });
        }
    }

    fn row(&self, log: &Log, kind: FlowKind, (token, shares): (TokenId, i128)) -> FlowRow {
        FlowRow {
            block: log.block,
            log_index: log.log_index,
            part: 0,
            wallet: self.wallet,
            kind,
            condition: None,
            market: None,
            token,
            shares,
            cash: 0,
            fee: 0,
            tx_hash: log.tx_hash,
            time: log.time,
        }
    }

    fn left(&self, token: &TokenId) -> i128 {
        self.left.get(token).map_or(0, |(left, _)| *left)
    }

    /// As many shares of each as all of them moved in the direction that is asked for.
    fn moved_by_all(&self, tokens: &[TokenId], came: bool, most: Option<i128>) -> i128 {
        let of = |token| if came { self.left(token) } else { -self.left(token) };
        let least = tokens.iter().map(of).min().unwrap_or_default().max(0);
        most.map_or(least, |most| least.min(most))
    }

    fn change(&mut self, log: &Log, change: &Change) {
        match change.kind {
            FlowKind::Split => {
                let amount = self.moved_by_all(&change.came, true, change.amount);
                self.taken(log, change, legs(&change.came, amount), -amount, 0);
            }
            FlowKind::Merge => {
                let amount = self.moved_by_all(&change.gone, false, change.amount);
                self.taken(log, change, legs(&change.gone, -amount), amount, 0);
            }
            FlowKind::Redemption => self.redemption(log, change),
            FlowKind::Migration => self.migration(log, change),
            FlowKind::Conversion => self.conversion(log, change),
            FlowKind::Transfer | FlowKind::Fee => {}
        }
    }

    /// Writes a flow down and takes its shares off what is left.
    fn taken(&mut self, log: &Log, change: &Change, legs: Vec<(TokenId, i128)>, cash: i128, fee: i128) {
        let legs = legs.into_iter().filter(|(_, shares)| *shares != 0);
        for (part, leg) in (0_u16..).zip(legs) {
            let row = self.row(log, change.kind, leg);
            if let Some((left, _)) = self.left.get_mut(&leg.0) {
                *left -= leg.1;
            }
            self.rows.push(FlowRow {
                part,
                condition: change.condition,
                market: change.market,
                cash: if part == 0 { cash } else { 0 },
                fee: if part == 0 { fee } else { 0 },
                ..row
            });
        }
    }

    fn redemption(&mut self, log: &Log, change: &Change) {
        let legs: Vec<(TokenId, i128)> =
            change.gone.iter().map(|token| (*token, self.left(token).min(0))).collect();
        let all: i128 = legs.iter().map(|(_, shares)| -shares).sum();
        if all > 0 {
            self.taken(log, change, legs, change.payout, 0);
        }
    }

    /// The legacy token is the one of which exactly as much went.
    fn migration(&mut self, log: &Log, change: &Change) {
        let (Some(amount), Some(mirror)) = (change.amount, change.came.first()) else { return };
        let went = |(token, (left, _)): (&TokenId, &(i128, u32))| {
            (*left == -amount && token.structural().is_none()).then_some(*token)
        };
        let legacy = self.left.iter().find_map(went);
        if let (Some(legacy), true) = (legacy, self.left(mirror) >= amount) {
            self.taken(log, change, vec![(legacy, -amount), (*mirror, amount)], 0, 0);
        }
    }

    /// Every NO loses the same, every YES gains that less the fee, and the cash of all NO but one gains it too.
    fn conversion(&mut self, log: &Log, change: &Change) {
        let native = !change.gone.is_empty();
        let (gone, came) =
            if native { (change.gone.clone(), change.came.clone()) } else { self.of_market(change) };
        let gone: Vec<(TokenId, i128)> = (gone.iter().map(|it| (*it, self.left(it))))
            .filter(|(_, left)| *left < 0)
            .map(|(token, left)| (token, change.amount.map_or(left, |amount| left.max(-amount))))
            .collect();
        let Some(amount) = gone.iter().map(|(_, shares)| -shares).max() else { return };
        let came: Vec<(TokenId, i128)> =
            came.iter().map(|it| (*it, self.left(it))).filter(|(_, left)| *left > 0).collect();
        let least = came.iter().map(|(_, shares)| *shares).min();
        let bips = change.market.and_then(|market| self.rules.fee_bips.get(&market));
        // Without a known fee it is what the YES show; where no YES came there is none to be seen.
        let out = match bips.filter(|_| !native) {
            Some(bips) => amount - amount * i128::from(*bips) / 10_000,
            None => least.unwrap_or(amount).min(amount),
        };
        let came = came.into_iter().map(|(token, left)| (token, left.min(out)));
        let questions: u32 = change.questions.iter().map(|limb| limb.count_ones()).sum();
        let cash = i128::from(questions.max(1) - 1) * out;
        self.taken(log, change, gone.into_iter().chain(came).collect(), cash, amount - out);
    }

    /// The NO of the questions that a conversion names, and the YES of all others, of as many as can be.
    fn of_market(&self, change: &Change) -> (Vec<TokenId>, Vec<TokenId>) {
        let (mut gone, mut came) = (Vec::new(), Vec::new());
        let wrapped = self.rules.collaterals.iter().find(|it| it.name == "neg_risk");
        let (Some(market), Some(collateral)) = (change.market, wrapped) else { return (gone, came) };
        let last_named = (0..QUESTIONS).rev().find(|question| names(change, *question));
        // Which questions a market has no log says. Once every token that came has been found there are no others of use.
        let mut unknown = self.left.values().filter(|(left, _)| *left > 0).count();
        for question in 0..QUESTIONS {
            let condition = market_condition(&market, question as u8);
            if names(change, question) {
                gone.push(token_id(&condition, 1, &collateral.address));
            } else if unknown > 0 {
                let yes = token_id(&condition, 0, &collateral.address);
                unknown -= usize::from(self.left(&yes) > 0);
                came.push(yes);
            } else if last_named < Some(question) {
                break;
            }
        }
        (gone, came)
    }

    /// What no flow accounts for came from another wallet or went to one.
    fn transfers(&mut self, of: &Log) {
        let left = std::mem::take(&mut self.left);
        for (token, (shares, log_index)) in left.into_iter().filter(|(_, (shares, _))| *shares != 0) {
            let row = self.row(of, FlowKind::Transfer, (token, shares));
            // Several tokens of one batch stand at one log.
            let part = self.rows.iter().filter(|it| it.log_index == log_index).count();
            let part = u16::try_from(part).unwrap_or(u16::MAX);
            let condition = token.structural().map(|it| it.condition.condition_id());
            self.rows.push(FlowRow { log_index, part, condition, ..row });
        }
    }
}

/// Whether a conversion takes the NO of this question.
fn names(change: &Change, question: usize) -> bool {
    change.questions[question / 64] >> (question % 64) & 1 == 1
}

fn legs(tokens: &[TokenId], shares: i128) -> Vec<(TokenId, i128)> {
    tokens.iter().map(|token| (*token, shares)).collect()
}

/// The condition of a market's question: its question id is the market's with the number in the last byte.
fn market_condition(market: &Word, question: u8) -> ConditionId {
    let mut question_id = *market;
    question_id[31] = question;
    let slots = crate::chain::abi::word(2);
    ConditionId::from_bytes(keccak256(&[neg_risk_adapter().as_bytes(), &question_id, &slots]))
}
