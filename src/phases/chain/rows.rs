//! [`Rows`]: what logs say, as rows of the chain's tables.

use clickhouse::types::UInt256;

use crate::chain::event::{Event, Mirror};
use crate::chain::log::hex;
use crate::chain::{Decoded, Log, decode};
use crate::store::chain::{ComboRow, ConditionRow, KnownPlace, MarketRow, RejectedLogRow, ResolutionRow};
use crate::track::blocks::ReadLogs;

/// The longest log that is kept of those that are not believed, in bytes of its text.
const LONGEST_RAW: usize = 2_000;

/// Rows that are to be written, and what was left out.
#[derive(Debug, Default)]
pub struct Rows {
    /// Conditions.
    pub conditions: Vec<ConditionRow>,
    /// Payouts.
    pub resolutions: Vec<ResolutionRow>,
    /// Combos.
    pub combos: Vec<ComboRow>,
    /// Negative-risk markets and questions.
    pub markets: Vec<MarketRow>,
    /// What is not believed.
    pub rejected: Vec<RejectedLogRow>,
    /// Logs that were read.
    pub logs: u64,
    /// Of them, strangers' conditions.
    pub strangers: u64,
}

/// Who told something, and when.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// A provider, or `file`.
    pub by: &'a str,
    /// In seconds since 1970.
    pub at: u32,
}

impl Rows {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.conditions.len()
            + self.resolutions.len()
            + self.combos.len()
            + self.markets.len()
            + self.rejected.len()
    }

    /// Adds what was read of a range.
    pub fn add_all(&mut self, read: &ReadLogs, told: Told<'_>) {
        for log in read.logs.iter().chain(&read.false_logs) {
            self.add(log, told);
        }
        for (why, raw) in &read.unreadable {
            self.rejected.push(RejectedLogRow {
                block: 0,
                log_index: 0,
                reason: "unreadable".to_owned(),
                raw: format!("{why}: {raw}").chars().take(LONGEST_RAW).collect(),
                source: told.by.to_owned(),
                fetched_at: told.at,
            });
        }
    }

    /// Adds what one log says.
    pub fn add(&mut self, log: &Log, told: Told<'_>) {
        self.logs += 1;
        match decode(log) {
            Decoded::Event(event) => self.event(event, log, told),
            Decoded::Stranger => self.strangers += 1,
            Decoded::Implied | Decoded::Other => {}
            Decoded::Rejected(rejection) => self.rejected.push(RejectedLogRow {
                block: log.block,
                log_index: log.log_index,
                reason: rejection.name().to_owned(),
                raw: raw(log),
                source: told.by.to_owned(),
                fetched_at: told.at,
            }),
        }
    }

    fn event(&mut self, event: Event, log: &Log, told: Told<'_>) {
        let (block, log_index, fetched_at) = (log.block, log.log_index, told.at);
        let (tx_hash, source) = (tx_hash(log), told.by.to_owned());
        match event {
            Event::Condition { condition, oracle, question } => self.conditions.push(ConditionRow {
                condition_id_norm: condition,
                generation: 1,
                oracle: oracle.to_string(),
                question_id: hex(&question),
                legacy_condition: String::new(),
                block,
                log_index,
                tx_hash,
                source,
                fetched_at,
            }),
            Event::Resolution { condition, numerators } => self.resolutions.push(ResolutionRow {
                condition_id_norm: condition,
                payout_numerators: numerators
                    .iter()
                    .map(|it| UInt256::from_le_bytes(it.to_le_bytes()))
                    .collect(),
                block,
                log_index,
                tx_hash,
                source,
                fetched_at,
            }),
            Event::Market { market, fee_bips } => {
                self.markets.push(self::market(log, told, &market, fee_bips, None));
            }
            Event::Question { market, index, question } => {
                self.markets.push(self::market(log, told, &market, 0, Some((index, hex(&question)))));
            }
            Event::Mirrors(mirrors) => {
                self.conditions.extend(mirrors.iter().map(|mirror| second(log, told, *mirror)));
            }
            Event::Combo { condition, legs } => {
                self.combos.push(ComboRow { condition_id_norm: condition, legs, source, fetched_at });
            }
        }
    }

    /// The same as a check of a range compares it.
    pub fn places(&self) -> Vec<KnownPlace> {
        let conditions = self.conditions.iter().map(|row| KnownPlace {
            block: row.block,
            log_index: row.log_index,
            subject: row.condition_id_norm.to_string(),
            numerators: Vec::new(),
        });
        let resolutions = self.resolutions.iter().map(|row| KnownPlace {
            block: row.block,
            log_index: row.log_index,
            subject: row.condition_id_norm.to_string(),
            numerators: row.payout_numerators.clone(),
        });
        let markets = self.markets.iter().map(|row| KnownPlace {
            block: row.block,
            log_index: row.log_index,
            subject: row.question_id.clone(),
            numerators: Vec::new(),
        });
        conditions.chain(resolutions).chain(markets).collect()
    }
}

fn market(
    log: &Log,
    told: Told<'_>,
    market: &[u8; 32],
    fee_bips: u32,
    question: Option<(u8, String)>,
) -> MarketRow {
    let (index, question_id) = question.unwrap_or_default();
    MarketRow {
        market: hex(market),
        fee_bips,
        question_index: index.into(),
        question_id,
        block: log.block,
        log_index: log.log_index,
        source: told.by.to_owned(),
        fetched_at: told.at,
    }
}

fn second(log: &Log, told: Told<'_>, mirror: Mirror) -> ConditionRow {
    ConditionRow {
        condition_id_norm: mirror.condition,
        generation: 2,
        oracle: String::new(),
        question_id: String::new(),
        legacy_condition: mirror.legacy.to_string(),
        block: log.block,
        log_index: log.log_index,
        tx_hash: tx_hash(log),
        source: told.by.to_owned(),
        fetched_at: told.at,
    }
}

/// The transaction, where one is known.
fn tx_hash(log: &Log) -> String {
    if log.tx_hash == [0; 32] { String::new() } else { format!("0x{}", hex(&log.tx_hash)) }
}

/// A log for a person to look at.
fn raw(log: &Log) -> String {
    let topics: Vec<String> = log.topics.iter().map(|topic| hex(topic)).collect();
    let text = format!("{} topics {} data {}", log.address, topics.join(","), hex(&log.data));
    text.chars().take(LONGEST_RAW).collect()
}
