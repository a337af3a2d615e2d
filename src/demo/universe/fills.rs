//! [`Fills`]: the rows of the fills table, each made from the seed and its number when it is asked for.
//!
//! Rows come in five parts: the baseline wallets' fills, malformed asset ids, one fill for each traded token, random
//! fills (some tokens far more often than others), and second deliveries of earlier rows.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::baseline::PlannedFill;
use super::dice::{FILL_STREAM, stream};
use super::market::{Kind, mix};
use super::options::ROWS_PER_COPY;
use super::text::{MALFORMED, Spelling, hash_text, hex};
use super::{Outcome, Universe};
use crate::ids::ConditionId;

/// One second delivery in so many differs from the first, and is the newer one.
pub(super) const COPIES_PER_CHANGE: u64 = 10;

/// 32-bit words of randomness that a row takes.
const WORDS_PER_ROW: u128 = 8;

/// A row of `clob_fills`, its fields in the table's order.
#[derive(Debug, Clone, PartialEq, Serialize, clickhouse::Row)]
#[expect(missing_docs, reason = "the columns of the users' table, described with its DDL")]
pub struct FillRow {
    pub fill_id: String,
    pub proxy_wallet: String,
    pub user_eoa: String,
    pub market_slug: String,
    pub condition_id: String,
    pub asset_id: String,
    pub outcome: String,
    pub side: String,
    pub price: f64,
    pub size: f64,
    pub fee_rate_bps: u32,
    pub timestamp: u32,
    pub order_hash: String,
    pub tx_hash: String,
    pub bucket_index: u32,
    pub ingested_at: u32,
}

/// Where each part of the rows ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    baseline: u64,
    malformed: u64,
    once_each: u64,
    random: u64,
    pub(super) all: u64,
}

impl Parts {
    pub(super) fn copies(&self) -> u64 {
        self.all - self.random
    }

    /// How many second deliveries of ordinary rows differ from the first.
    pub(super) fn changed_copies(&self) -> u64 {
        self.copies().div_ceil(COPIES_PER_CHANGE)
    }

    /// The row that the `nth` copy copies; every row is copied at most once.
    fn source(&self, nth: u64) -> u64 {
        let ordinary = self.random - self.malformed;
        self.malformed + nth * (ordinary / self.copies().max(1))
    }
}

/// An iterator over the rows of a range. Several ranges can be made at once, on as many threads.
#[derive(Debug)]
pub struct Fills<'a> {
    universe: &'a Universe,
    parts: Parts,
    rng: ChaCha8Rng,
    next: u64,
    end: u64,
}

impl Iterator for Fills<'_> {
    type Item = FillRow;

    fn next(&mut self) -> Option<FillRow> {
        if self.next >= self.end {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.row(number)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.next) as usize;
        (left, Some(left))
    }
}

impl Universe {
    /// All rows of the fills table.
    pub fn fills(&self) -> Fills<'_> {
        self.fills_in(0..self.options.fills)
    }

    /// The rows of these numbers, of all `options().fills`.
    pub fn fills_in(&self, rows: std::ops::Range<u64>) -> Fills<'_> {
        let end = rows.end.min(self.options.fills);
        let rng = stream(self.options.seed, FILL_STREAM);
        Fills { universe: self, parts: self.parts(), rng, next: rows.start.min(end), end }
    }

    pub(super) fn parts(&self) -> Parts {
        let all = self.options.fills;
        let baseline = self.baseline_fills.len() as u64;
        let malformed = baseline + MALFORMED.len() as u64;
        let once_each = malformed + self.options.traded_tokens as u64;
        Parts { baseline, malformed, once_each, random: all - all / ROWS_PER_COPY, all }
    }
}

/// The randomness of one row.
struct Dice {
    words: [u64; 4],
}

impl Fills<'_> {
    fn dice(&mut self, number: u64) -> Dice {
        let place = u128::from(number) * WORDS_PER_ROW;
        if self.rng.get_word_pos() != place {
            self.rng.set_word_pos(place);
        }
        Dice { words: std::array::from_fn(|_| self.rng.next_u64()) }
    }

    fn row(&mut self, number: u64) -> Option<FillRow> {
        let parts = self.parts;
        if number < parts.baseline {
            let planned = *self.universe.baseline_fills.get(number as usize)?;
            self.baseline_row(&planned)
        } else if number < parts.malformed {
            let text = MALFORMED.get((number - parts.baseline) as usize)?;
            let mut row = self.ordinary_row(number)?;
            row.asset_id = (*text).to_owned();
            row.condition_id.clear();
            Some(row)
        } else if number < parts.random {
            self.ordinary_row(number)
        } else {
            let nth = number - parts.random;
            let mut row = self.ordinary_row(parts.source(nth))?;
            row.ingested_at += (nth % 3) as u32 * 600;
            if nth.is_multiple_of(COPIES_PER_CHANGE) {
                row.ingested_at += 3_600;
                row.size += 1_000_000.0;
            }
            Some(row)
        }
    }

    fn ordinary_row(&mut self, number: u64) -> Option<FillRow> {
        let Dice { words: [what, whose, amount, extra] } = self.dice(number);
        let universe = self.universe;
        let tokens = universe.options.traded_tokens as u64;
        let once = number.checked_sub(self.parts.malformed).filter(|_| number < self.parts.once_each);
        // The square makes the first tokens the busiest, as on a real exchange.
        let skewed = (u128::from(what >> 32) * u128::from(what >> 32) * u128::from(tokens)) >> 64;
        let outcome = universe.traded_at(once.unwrap_or(skewed as u64) as usize)?;
        let wallet = wallet_bytes(universe.options.seed, whose % u64::from(universe.options.wallets.max(1)));
        let timestamp = outcome.market.start_time() + (amount >> 40) as u32 % 8_000_000;
        Some(FillRow {
            fill_id: format!("{:016x}-{number}", mix(number ^ universe.options.seed)),
            proxy_wallet: wallet_text(&wallet, whose >> 32),
            user_eoa: hex(&wallet, Spelling::Prefixed),
            market_slug: if extra.is_multiple_of(4) { String::new() } else { outcome.market.slug() },
            condition_id: condition_text(&outcome, what as u32, once.is_some()),
            asset_id: outcome.token().to_string(),
            outcome: label_text(&outcome, extra >> 8),
            side: side_text(extra >> 16 & 1 == 0),
            price: (1 + (amount & 0xffff) % 9_999) as f64 / 10_000.0,
            size: (10_000 + (amount >> 16) % 5_000_000_000) as f64,
            fee_rate_bps: 0,
            timestamp,
            order_hash: hash_text(mix(extra)),
            tx_hash: hash_text(extra),
            bucket_index: (extra >> 24) as u32 % 64,
            ingested_at: timestamp + 5,
        })
    }

    fn baseline_row(&self, fill: &PlannedFill) -> Option<FillRow> {
        let market = self.universe.market(fill.market)?;
        let outcome = Outcome { market, index: fill.index };
        let dice = mix(fill.id ^ self.universe.options.seed);
        let timestamp = market.start_time() + (dice >> 40) as u32 % 8_000_000;
        let lower = fill.wallet.to_string();
        // A few rows carry the wallet in upper case.
        let wallet = if dice.is_multiple_of(16) {
            format!("0x{}", lower[2..].to_ascii_uppercase())
        } else {
            lower.clone()
        };
        Some(FillRow {
            fill_id: format!("{:016x}-b{}", dice, fill.id),
            proxy_wallet: wallet,
            user_eoa: lower,
            market_slug: market.slug(),
            condition_id: condition_text(&outcome, dice as u32, false),
            asset_id: outcome.token().to_string(),
            outcome: label_text(&outcome, dice >> 8),
            side: side_text(fill.buy),
            price: fill.price_e4 as f64 / 10_000.0,
            size: fill.size as f64,
            fee_rate_bps: 0,
            timestamp,
            order_hash: hash_text(mix(dice)),
            tx_hash: hash_text(dice),
            bucket_index: (dice >> 24) as u32 % 64,
            ingested_at: timestamp + fill.delay,
        })
    }
}

/// How the ingester wrote the condition id; '' where it did not know it, but never in the row that every token has.
fn condition_text(outcome: &Outcome<'_>, dice: u32, must: bool) -> String {
    if !outcome.market.condition_in_fills() {
        return String::new();
    }
    let spelling = match dice % 100 {
        0..60 => Spelling::Prefixed,
        60..80 => Spelling::Plain,
        80..88 => Spelling::Upper,
        88..95 => Spelling::PrefixedUpper,
        _ if must => Spelling::Prefixed,
        _ => return String::new(),
    };
    let condition = outcome.market.condition();
    // The fills of some mirrors name the condition in their own bits.
    let own = outcome.market.kind() == Kind::Mirror && outcome.market.dice(21, 3) == 0;
    let mirror = condition.mirror().filter(|_| own).map(|mirror| mirror.condition_id());
    spelled(&mirror.unwrap_or(condition), spelling)
}

/// A condition id in one of its spellings: those of the second generation, as often as not, without their last zeros.
pub(super) fn spelled(condition: &ConditionId, spelling: Spelling) -> String {
    let bytes = condition.as_bytes();
    let short = condition.structural().is_some() && matches!(spelling, Spelling::Plain | Spelling::Upper);
    hex(if short { &bytes[..31] } else { bytes }, spelling)
}

fn label_text(outcome: &Outcome<'_>, dice: u64) -> String {
    if dice % 10 < 4 { outcome.label().to_owned() } else { String::new() }
}

fn side_text(buy: bool) -> String {
    if buy { "BUY" } else { "SELL" }.to_owned()
}

fn wallet_bytes(seed: u64, number: u64) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (part, salt) in bytes.chunks_mut(8).zip(0_u64..) {
        let word = mix(mix(seed) ^ mix(number << 2 | salt)).to_be_bytes();
        part.copy_from_slice(&word[..part.len()]);
    }
    bytes
}

fn wallet_text(wallet: &[u8; 20], dice: u64) -> String {
    let spelling = if dice.is_multiple_of(32) { Spelling::PrefixedUpper } else { Spelling::Prefixed };
    hex(wallet, spelling)
}
