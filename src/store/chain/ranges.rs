//! [`RangeLedger`]: which blocks were read, and the rows that say so.
//!
//! Of rows that begin at the same block the newest counts, so a row can be made longer or shorter by writing it once
//! more, and nothing is ever deleted. A row that ends before it begins covers nothing.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{ChainTable, Store, StoreError};
use crate::chain::{BlockRange, Coverage};

/// Blocks that were read from a provider.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct RangeRow {
    /// Which logs were read.
    pub filter_hash: String,
    /// The first block.
    pub from_block: u64,
    /// The last block; below the first where nothing is covered any more.
    pub to_block: u64,
    /// Who gave them.
    pub provider: String,
    /// How many logs they had.
    pub logs: u64,
    /// When the row was written, in microseconds since 1970: the newest counts.
    pub fetched_at: i64,
}

/// The rows of one filter as they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeLedger {
    filter_hash: String,
    rows: BTreeMap<u64, RangeRow>,
    newest: i64,
}

impl RangeLedger {
    /// The ledger of a filter.
    pub fn new(filter_hash: String, rows: impl IntoIterator<Item = RangeRow>) -> Self {
        let mut ledger = Self { filter_hash, ..Self::default() };
        for row in rows {
            ledger.newest = ledger.newest.max(row.fetched_at);
            let place = ledger.rows.entry(row.from_block).or_insert_with(|| row.clone());
            if row.fetched_at >= place.fetched_at {
                *place = row;
            }
        }
        ledger
    }

    /// The blocks that were read.
    pub fn coverage(&self) -> Coverage {
        self.ranges().map(|(range, _)| range).collect()
    }

    /// The rows that cover something, each with its provider.
    pub fn ranges(&self) -> impl Iterator<Item = (BlockRange, &str)> {
        self.rows
            .values()
            .filter_map(|row| Some((BlockRange::new(row.from_block, row.to_block)?, row.provider.as_str())))
    }

    /// Notes that a provider gave a range with so many logs; the row that says so. A row of the same provider that ends
    /// where this range begins is made longer, so that the table stays small however long the chain is followed.
    pub fn cover(&mut self, range: BlockRange, provider: &str, logs: u64, now: i64) -> RangeRow {
        let before = self.rows.range(..=range.from).next_back().map(|(_, row)| row);
        let (from_block, to_block, logs) = match before {
            Some(row) if row.provider == provider && row.to_block.saturating_add(1) == range.from => {
                (row.from_block, range.to, row.logs + logs)
            }
            // The same beginning: the row that reaches further stays as long as it is.
            Some(row) if row.from_block == range.from => (range.from, range.to.max(row.to_block), logs),
            _ => (range.from, range.to, logs),
        };
        self.write(from_block, to_block, provider.to_owned(), logs, now)
    }

    /// Notes that a range is not to be believed any more: the rows that say so.
    pub fn uncover(&mut self, range: BlockRange, now: i64) -> Vec<RangeRow> {
        let touched: Vec<RangeRow> = self
            .rows
            .range(..=range.to)
            .map(|(_, row)| row)
            .filter(|row| row.from_block <= row.to_block && row.to_block >= range.from)
            .cloned()
            .collect();
        let mut written = Vec::new();
        for row in touched {
            // Block 0 holds no log of these contracts, so that a row that ends before it begins can always be written.
            let left = range.from.max(row.from_block).saturating_sub(1);
            if row.to_block > range.to {
                let (logs, provider) = (row.logs, row.provider.clone());
                // What begins there already may reach as far; the one that reaches further stays.
                let after = self.rows.get(&(range.to + 1)).map_or(0, |it| it.to_block);
                let to = row.to_block.max(after);
                written.push(self.write(range.to + 1, to, provider, logs, now));
            }
            written.push(self.write(row.from_block, left, row.provider, row.logs, now));
        }
        written
    }

    fn write(&mut self, from_block: u64, to_block: u64, provider: String, logs: u64, now: i64) -> RangeRow {
        // Newer than everything before, also where a clock was put back.
        self.newest = now.max(self.newest + 1);
        let filter_hash = self.filter_hash.clone();
        let row = RangeRow { filter_hash, from_block, to_block, provider, logs, fetched_at: self.newest };
        self.rows.insert(from_block, row.clone());
        row
    }
}

impl Store {
    /// What was read of a filter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn range_ledger(&self, filter_hash: &str) -> Result<RangeLedger, StoreError> {
        let sql = format!(
            "SELECT filter_hash, from_block, to_block, provider, logs, fetched_at FROM {} FINAL \
             WHERE filter_hash = {{filter:String}} ORDER BY from_block",
            self.chain_table(ChainTable::Ranges)
        );
        let query = self.query(&sql).param("filter", filter_hash);
        let rows: Vec<RangeRow> = self.rows("reading which blocks were read", query).await?;
        Ok(RangeLedger::new(filter_hash.to_owned(), rows))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range() -> impl Strategy<Value = BlockRange> {
        (1u64..60, 0u64..15).prop_map(|(from, more)| BlockRange { from, to: from + more })
    }

    #[test]
    fn following_the_head_keeps_one_row_however_long_it_goes_on() {
        let mut ledger = RangeLedger::new("f".to_owned(), []);
        for block in (10..1_000).step_by(10) {
            ledger.cover(BlockRange { from: block, to: block + 9 }, "a", 1, block as i64);
        }
        let ranges: Vec<_> = ledger.ranges().collect();
        assert_eq!(ranges, [(BlockRange { from: 10, to: 999 }, "a")]);
    }

    proptest! {
        #[test]
        fn the_rows_of_a_table_in_any_order_say_what_was_covered_and_not_taken_back(
            steps in proptest::collection::vec((0u8..4, range(), 0u8..2), 0..40), seed: u64,
        ) {
            let mut ledger = RangeLedger::new("f".to_owned(), []);
            let (mut expected, mut table) = (Coverage::default(), Vec::new());
            for (step, range, provider) in steps {
                if step == 0 {
                    expected.remove(range);
                    // A clock that stands still, or goes back.
                    table.extend(ledger.uncover(range, 5));
                } else {
                    expected.add(range);
                    table.push(ledger.cover(range, if provider == 0 { "a" } else { "b" }, 1, 7));
                }
                prop_assert_eq!(ledger.coverage(), expected.clone());
            }
            // As a background merge may leave them, and in any order.
            let mut state = seed;
            for at in (1..table.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                table.swap(at, (state >> 33) as usize % (at + 1));
            }
            prop_assert_eq!(RangeLedger::new("f".to_owned(), table).coverage(), expected);
        }
    }
}
