//! [`Transactions`]: the logs that name wallets, by the transaction that wrote them, and what each did to whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::chain::flows::{Change, FlowEvent, FlowRow, FlowRules, decode_flow, flows_of, topic_of};
use crate::chain::{BlockRange, Log, Word};
use crate::ctf::Collateral;
use crate::ids::Wallet;
use crate::pnl::FlowKind;

/// Blocks between two that are read whole, up to which those between are read along: one request less is worth more than
/// their logs.
const NEAR: u64 = 50;

/// A transaction: its block and its hash.
type Place = (u64, Word);

/// Transactions that have to do with wallets.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    logs: BTreeMap<Place, Vec<(Log, FlowEvent)>>,
    pairs: BTreeSet<(Place, Wallet)>,
}

impl Transactions {
    /// Sorts the logs that name one of `wallets`.
    pub(super) fn of(logs: Vec<Log>, wallets: &[Wallet], collaterals: &[Collateral]) -> Self {
        let topics: HashMap<Word, Wallet> = wallets.iter().map(|it| (topic_of(it), *it)).collect();
        let mut sorted = Self::default();
        for log in logs {
            let place = (log.block, log.tx_hash);
            let named = log.topics.iter().skip(1).filter_map(|topic| topics.get(topic));
            sorted.pairs.extend(named.map(|wallet| (place, *wallet)));
            if let Some(event) = decode_flow(&log, collaterals) {
                sorted.logs.entry(place).or_default().push((log, event));
            }
        }
        sorted
    }

    /// Adds logs of whole blocks, as far as they are of these transactions.
    pub(super) fn add(&mut self, logs: Vec<Log>, collaterals: &[Collateral]) {
        for log in logs {
            if let Some(of) = self.logs.get_mut(&(log.block, log.tx_hash))
                && let Some(event) = decode_flow(&log, collaterals)
            {
                of.push((log, event));
            }
        }
    }

    /// Every flow of every wallet.
    pub(super) fn rows(&self, rules: &FlowRules<'_>) -> Vec<FlowRow> {
        let rows_of = |(place, wallet): &(Place, Wallet)| {
            let logs: Vec<(&Log, FlowEvent)> =
                self.logs.get(place).into_iter().flatten().map(|(log, event)| (log, event.clone())).collect();
            flows_of(*wallet, &logs, rules)
        };
        self.pairs.iter().flat_map(rows_of).collect()
    }

    /// The markets of conversions, whose fee has to be known.
    pub(super) fn markets(&self) -> Vec<Word> {
        let market = |event: &FlowEvent| match event {
            FlowEvent::Change(Change { kind: FlowKind::Conversion, market, gone, .. }) if gone.is_empty() => {
                *market
            }
            _ => None,
        };
        let markets: BTreeSet<Word> =
            self.logs.values().flatten().filter_map(|(_, event)| market(event)).collect();
        markets.into_iter().collect()
    }
}

/// The blocks in which something moved that no log of the wallets accounts for, near ones as one range.
pub(super) fn open_blocks(rows: &[FlowRow]) -> Vec<BlockRange> {
    let transfers = rows.iter().filter(|row| row.kind == FlowKind::Transfer);
    let blocks: BTreeSet<u64> = transfers.map(|row| row.block).collect();
    let mut ranges: Vec<BlockRange> = Vec::new();
    for block in blocks {
        match ranges.last_mut() {
            Some(range) if block - range.to <= NEAR => range.to = block,
            _ => ranges.push(BlockRange { from: block, to: block }),
        }
    }
    ranges
}
