//! [`ChainWorld`]: what the contracts would have written for a universe's markets, block by block, with strangers'
//! conditions among it. The stand-ins of a portal and of a node answer from it.

use crate::chain::abi;
use crate::chain::contracts;
use crate::chain::event::{condition_id, market_id, question_id};
use crate::chain::{BlockRange, Log, Word, keccak256};
use crate::demo::universe::{Market, Payout, Universe, mix, neg_risk};
use crate::ids::{Address, ConditionId};

/// How a chain is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLayout {
    /// The first block that holds anything.
    pub first_block: u64,
    /// Blocks from the first to the last one.
    pub blocks: u64,
    /// Strangers' conditions for each hundred markets.
    pub strangers_percent: u64,
}

impl Default for ChainLayout {
    /// Two million blocks from the contracts' first one.
    fn default() -> Self {
        Self { first_block: contracts::FIRST_BLOCK, blocks: 2_000_000, strangers_percent: 3 }
    }
}

impl ChainLayout {
    /// The last block.
    pub const fn last_block(&self) -> u64 {
        self.first_block + self.blocks - 1
    }
}

/// Something that a contract wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Prepared { oracle: Address, question: Word, slots: u8 },
    Resolved { oracle: Address, question: Word, payout: Payout },
    MarketPrepared { seed: u64, number: usize },
    QuestionPrepared { question: Word },
}

/// One log, before it is spelled out.
#[derive(Debug, Clone, Copy)]
struct Entry {
    block: u64,
    log_index: u32,
    written: Written,
}

/// All logs of a chain, in order.
#[derive(Debug)]
pub struct ChainWorld {
    layout: ChainLayout,
    entries: Vec<Entry>,
    /// Logs of wallets beside those of the markets, in order.
    more: Vec<Log>,
    conditions: u64,
    resolutions: u64,
}

impl ChainWorld {
    /// The chain of a universe: each market is prepared in a block of its own, in their order, and resolved later.
    pub fn of(universe: &Universe, layout: ChainLayout) -> Self {
        let seed = universe.options().seed;
        // Those of the second generation have a condition that is no hash of theirs: other events would tell of them.
        let hashed =
            |market: &Market<'_>| condition_id(&market.oracle(), &market.question()) == market.condition();
        let markets = universe.markets().filter(hashed).map(|market| {
            (market.number(), market.oracle(), market.question(), market.payout(), market.neg_risk())
        });
        Self::build(layout, seed, universe.market_count() as u64, markets)
    }

    /// A chain of so many made-up markets, all resolved but each hundredth: for speed, without a universe.
    pub fn made_up(seed: u64, markets: u64, layout: ChainLayout) -> Self {
        let oracle = Address::from_bytes([0x65; 20]);
        let made_up = (0..markets).map(|number| {
            let question = keccak256(&[&seed.to_be_bytes(), &number.to_be_bytes()]);
            let payout = if number % 100 == 7 {
                Payout::Unresolved
            } else {
                Payout::Winner((mix(number ^ seed) & 1) as u8)
            };
            (number as usize, oracle, question, payout, false)
        });
        Self::build(layout, seed, markets, made_up)
    }

    fn build(
        layout: ChainLayout,
        seed: u64,
        count: u64,
        markets: impl Iterator<Item = (usize, Address, Word, Payout, bool)>,
    ) -> Self {
        let (mut entries, mut conditions, mut resolutions) = (Vec::new(), 0, 0);
        let mut push = |block, written| entries.push(Entry { block, log_index: 0, written });
        let mut market_before = None;
        for (number, oracle, question, payout, neg_risk) in markets {
            let dice = mix(number as u64 ^ seed);
            let offset = (u128::from(layout.blocks) * number as u128 / u128::from(count.max(1))) as u64;
            let block = layout.first_block + offset;
            if neg_risk {
                // A market is prepared once, before the first of its questions.
                let of = question_id(&question, 0);
                if market_before.replace(of) != Some(of) {
                    push(block, Written::MarketPrepared { seed, number });
                }
                push(block, Written::QuestionPrepared { question });
            }
            push(block, Written::Prepared { oracle, question, slots: 2 });
            conditions += 1;
            if payout != Payout::Unresolved {
                let later = 1 + dice % (layout.blocks - offset).max(1);
                push(
                    (block + later).min(layout.last_block()),
                    Written::Resolved { oracle, question, payout },
                );
                resolutions += 1;
            }
            if dice % 100 < layout.strangers_percent {
                let question = keccak256(&[b"stranger", &dice.to_be_bytes()]);
                push(block, Written::Prepared { oracle, question, slots: 3 });
            }
        }
        entries.sort_by_key(|entry| entry.block);
        let (mut block, mut next) = (0, 0);
        for entry in &mut entries {
            next = if entry.block == block { next + 1 } else { mix(entry.block ^ seed) as u32 % 300 };
            (block, entry.log_index) = (entry.block, next);
        }
        Self { layout, entries, more: Vec::new(), conditions, resolutions }
    }

    /// The same chain with logs of wallets on it, which stand behind the markets' own in their blocks.
    #[must_use]
    pub fn with_logs(mut self, mut logs: Vec<Log>) -> Self {
        logs.sort_unstable_by_key(|log| (log.block, log.log_index));
        self.more = logs;
        self
    }

    /// How it is laid out.
    pub const fn layout(&self) -> ChainLayout {
        self.layout
    }

    /// Conditions of two outcomes.
    pub const fn conditions(&self) -> u64 {
        self.conditions
    }

    /// Of them, the resolved ones.
    pub const fn resolutions(&self) -> u64 {
        self.resolutions
    }

    /// Logs of all kinds.
    pub fn log_count(&self) -> u64 {
        (self.entries.len() + self.more.len()) as u64
    }

    /// The logs of a range, in order.
    pub fn logs(&self, range: BlockRange) -> impl Iterator<Item = Log> + '_ {
        let from = self.more.partition_point(|log| log.block < range.from);
        let to = self.more.partition_point(|log| log.block <= range.to);
        let mut more = self.more[from..to.max(from)].iter().peekable();
        let mut own = self.own_logs(range).peekable();
        std::iter::from_fn(move || match (own.peek(), more.peek()) {
            (Some(log), Some(other)) if other.block < log.block => more.next().cloned(),
            (None, _) => more.next().cloned(),
            _ => own.next(),
        })
    }

    /// How many logs a range has.
    pub fn count(&self, range: BlockRange) -> usize {
        let more = |block| self.more.partition_point(|log| log.block < block);
        self.own_logs(range).len() + more(range.to.saturating_add(1)).saturating_sub(more(range.from))
    }

    fn own_logs(&self, range: BlockRange) -> impl ExactSizeIterator<Item = Log> + '_ {
        let from = self.entries.partition_point(|entry| entry.block < range.from);
        let to = self.entries.partition_point(|entry| entry.block <= range.to);
        self.entries[from..to.max(from)].iter().map(Entry::log)
    }
}

impl Entry {
    fn log(&self) -> Log {
        let (address, topics, data) = match self.written {
            Written::Prepared { oracle, question, slots } => {
                let slots = abi::word(slots.into());
                let condition = keccak256(&[oracle.as_bytes(), &question, &slots]);
                let topics =
                    vec![contracts::CONDITION_PREPARATION, condition, abi::address_word(&oracle), question];
                (contracts::conditional_tokens(), topics, vec![slots])
            }
            Written::Resolved { oracle, question, payout } => {
                let condition: ConditionId = condition_id(&oracle, &question);
                let topics = vec![
                    contracts::CONDITION_RESOLUTION,
                    *condition.as_bytes(),
                    abi::address_word(&oracle),
                    question,
                ];
                let paid = [0, 1].map(|index| match payout {
                    Payout::Winner(winner) => u64::from(winner == index),
                    Payout::Half | Payout::Unresolved => 1,
                });
                let data =
                    vec![abi::word(2), abi::word(64), abi::word(2), abi::word(paid[0]), abi::word(paid[1])];
                (contracts::conditional_tokens(), topics, data)
            }
            Written::MarketPrepared { seed, number } => market_prepared(seed, number),
            Written::QuestionPrepared { question } => {
                let market = question_id(&question, 0);
                let data = vec![abi::word(question[31].into()), abi::word(64), abi::word(0)];
                (contracts::neg_risk_adapter(), vec![contracts::QUESTION_PREPARED, market, question], data)
            }
        };
        Log {
            block: self.block,
            log_index: self.log_index,
            address,
            tx_hash: keccak256(&[&self.block.to_be_bytes(), &self.log_index.to_be_bytes()]),
            topics,
            data: data.concat(),
            time: time_of(self.block),
        }
    }
}

/// When a block was made, in seconds since 1970: one a second, as even seconds.
pub(super) const fn time_of(block: u64) -> u32 {
    (1_590_000_000 + 2 * (block / 2)) as u32
}

fn market_prepared(seed: u64, number: usize) -> (Address, Vec<Word>, Vec<Word>) {
    let (oracle, fee) = (neg_risk::oracle(false), neg_risk::FEE_BIPS);
    let text = neg_risk::text(seed, number);
    let market = market_id(&oracle, fee, text.as_bytes());
    let mut data = vec![abi::word(fee), abi::word(64), abi::word(text.len() as u64)];
    for part in text.as_bytes().chunks(32) {
        let mut word = [0; 32];
        word[..part.len()].copy_from_slice(part);
        data.push(word);
    }
    (
        contracts::neg_risk_adapter(),
        vec![contracts::MARKET_PREPARED, market, abi::address_word(&oracle)],
        data,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Decoded, Event, decode};
    use crate::demo::UniverseOptions;

    #[test]
    fn every_market_of_the_universe_stands_on_its_chain_and_every_log_checks() {
        let options = UniverseOptions {
            traded_tokens: 600,
            mapped_tokens: 10,
            fills: 2_000,
            v2_share: 0.0,
            ..Default::default()
        };
        let universe = Universe::generate(options).unwrap();
        let layout = ChainLayout { blocks: 5_000, ..ChainLayout::default() };
        let world = ChainWorld::of(&universe, layout);
        let whole = BlockRange { from: 0, to: layout.last_block() };
        let (mut conditions, mut paid, mut strangers, mut questions) = (0, 0, 0, 0);
        let mut before = None;
        for log in world.logs(whole) {
            assert!(before < Some((log.block, log.log_index)), "each log has a place of its own");
            before = Some((log.block, log.log_index));
            match decode(&log) {
                Decoded::Event(Event::Condition { condition, .. }) => {
                    assert!(universe.find_condition(&condition).is_some());
                    conditions += 1;
                }
                Decoded::Event(Event::Resolution { .. }) => paid += 1,
                Decoded::Event(Event::Market { .. } | Event::Question { .. }) => questions += 1,
                Decoded::Stranger => strangers += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((conditions, paid), (world.conditions(), world.resolutions()));
        assert_eq!(conditions, universe.market_count() as u64);
        assert!(strangers > 0 && questions > 0);
    }
}
