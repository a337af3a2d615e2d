//! [`ChainWriter`]: rows of many ranges become few large inserts; the ranges are noted as read once ClickHouse has
//! acknowledged the rows, never before.

use std::time::{Duration, Instant};

use clickhouse::{RowOwned, RowWrite};
use serde::Serialize;
use tokio::sync::mpsc;

use super::events::{ChainEvent, ChainListener};
use super::rows::{Rows, Told};
use crate::chain::BlockRange;
use crate::store::chain::{ChainTable, RangeLedger, RangeRow};
use crate::store::{Store, StoreError, Table};
use crate::track::backoff::pause;
use crate::track::blocks::RangeRead;

/// What the inserts are called, so that those of a killed process can be found.
pub const WRITER: &str = "chain";

/// Rows that are collected before an insert is worth its trip.
pub(super) const LARGE: usize = 60_000;

/// How long rows wait for company.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Ranges that were noted as read.
    pub ranges: u64,
    /// Blocks in them.
    pub blocks: u64,
    /// Logs that were read.
    pub logs: u64,
    /// Logs that do not check.
    pub rejected: u64,
    /// Strangers' conditions.
    pub strangers: u64,
    /// Logs that were taken back.
    pub removed: u64,
}

/// Writes what is read.
pub struct ChainWriter {
    store: Store,
    give_up_after: Duration,
    listener: ChainListener,
    /// Which blocks were read.
    pub ledger: RangeLedger,
    /// What this run has written so far.
    pub written: Written,
    last_acknowledged: Option<Instant>,
}

/// Ranges whose rows are collected.
#[derive(Default)]
struct Batch {
    rows: Rows,
    ranges: Vec<(BlockRange, std::sync::Arc<str>, u64)>,
    removed: u64,
    doubted: Vec<BlockRange>,
}

impl ChainWriter {
    /// A writer that goes on with a ledger.
    pub fn new(store: Store, ledger: RangeLedger, give_up_after: Duration, listener: ChainListener) -> Self {
        Self { store, give_up_after, listener, ledger, written: Written::default(), last_acknowledged: None }
    }

    /// When rows were acknowledged last.
    pub const fn last_acknowledged(&self) -> Option<Instant> {
        self.last_acknowledged
    }

    /// Writes what comes until nobody reads any more; after each insert `told` may say how far it is.
    ///
    /// # Errors
    /// ClickHouse failed for longer than an outage may last.
    pub async fn run(
        &mut self,
        mut read: mpsc::Receiver<RangeRead>,
        mut told: impl FnMut(&Written),
    ) -> Result<(), StoreError> {
        let mut open = true;
        while open {
            let mut batch = Batch::default();
            let mut since: Option<tokio::time::Instant> = None;
            while batch.rows.count() < LARGE {
                let next = match since {
                    None => Ok(read.recv().await),
                    Some(since) => {
                        tokio::time::timeout(PATIENCE.saturating_sub(since.elapsed()), read.recv()).await
                    }
                };
                match next {
                    Ok(Some(range)) => {
                        since.get_or_insert_with(tokio::time::Instant::now);
                        self.add(&mut batch, &range);
                    }
                    Ok(None) => {
                        open = false;
                        break;
                    }
                    Err(_) => break,
                }
            }
            if !batch.ranges.is_empty() {
                self.write(batch).await?;
                told(&self.written);
            }
        }
        Ok(())
    }

    fn add(&self, batch: &mut Batch, read: &RangeRead) {
        let at = u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX);
        batch.rows.add_all(&read.logs, Told { by: &read.provider, at });
        let logs = read.logs.logs.len() as u64;
        batch.removed += read.logs.removed;
        batch.doubted.extend(&read.doubted);
        batch.ranges.push((read.range, read.provider.clone(), logs));
        let count = (read.logs.false_logs.len() + read.logs.unreadable.len()) as u64;
        if count > 0 {
            let provider = read.provider.to_string();
            (self.listener)(ChainEvent::FalseLogs { provider, range: read.range, count });
        }
    }

    async fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        let rows = batch.rows;
        self.insert_rows(&rows).await?;
        let now = jiff::Timestamp::now().as_microsecond();
        let mut ranges = batch.ranges;
        // What is doubted goes first: it may come again in this very batch.
        let mut written: Vec<RangeRow> =
            batch.doubted.iter().flat_map(|range| self.ledger.uncover(*range, now)).collect();
        // In their order neighbours become one row.
        ranges.sort_unstable_by_key(|(range, ..)| range.from);
        let covered =
            ranges.iter().map(|(range, provider, logs)| self.ledger.cover(*range, provider, *logs, now));
        written.extend(covered);
        self.insert_ranges(written).await?;
        let so_far = &mut self.written;
        so_far.ranges += ranges.len() as u64;
        so_far.blocks += ranges.iter().map(|(range, ..)| range.blocks()).sum::<u64>();
        so_far.logs += rows.logs;
        so_far.rejected += rows.rejected.len() as u64;
        so_far.strangers += rows.strangers;
        so_far.removed += batch.removed;
        self.last_acknowledged = Some(Instant::now());
        Ok(())
    }

    /// Writes rows that belong to no range.
    ///
    /// # Errors
    /// As [`ChainWriter::run`].
    pub async fn insert_rows(&self, rows: &Rows) -> Result<(), StoreError> {
        self.insert(ChainTable::Conditions, &rows.conditions).await?;
        self.insert(ChainTable::Resolutions, &rows.resolutions).await?;
        self.insert(ChainTable::Combos, &rows.combos).await?;
        self.insert(ChainTable::Markets, &rows.markets).await?;
        self.insert(ChainTable::Rejected, &rows.rejected).await
    }

    /// Writes which blocks were read, or are not to be believed any more. Of rows with the same beginning the last one
    /// counts, and the others are not written.
    ///
    /// # Errors
    /// As [`ChainWriter::run`].
    pub async fn insert_ranges(&self, rows: Vec<RangeRow>) -> Result<(), StoreError> {
        let mut last: std::collections::BTreeMap<u64, RangeRow> = std::collections::BTreeMap::new();
        for row in rows {
            last.insert(row.from_block, row);
        }
        let rows: Vec<RangeRow> = last.into_values().collect();
        self.insert(ChainTable::Ranges, &rows).await
    }

    /// Takes blocks out of those that were read.
    ///
    /// # Errors
    /// As [`ChainWriter::run`].
    pub async fn uncover(&mut self, ranges: &[BlockRange]) -> Result<(), StoreError> {
        let now = jiff::Timestamp::now().as_microsecond();
        let rows = ranges.iter().flat_map(|range| self.ledger.uncover(*range, now)).collect();
        self.insert_ranges(rows).await
    }

    async fn insert<T>(&self, table: ChainTable, rows: &[T]) -> Result<(), StoreError>
    where
        T: RowOwned + RowWrite + Serialize,
    {
        let table = self.store.chain_table(table);
        insert(&self.store, &table, WRITER, rows, self.give_up_after, &self.listener).await
    }
}

/// Repeats an insert until ClickHouse has acknowledged it, for as long as an outage may last. Repeated rows leave no
/// second copy.
///
/// # Errors
/// ClickHouse failed for longer than that.
pub(in crate::phases) async fn insert<T>(
    store: &Store,
    table: &Table,
    writer: &str,
    rows: &[T],
    give_up_after: Duration,
    listener: &ChainListener,
) -> Result<(), StoreError>
where
    T: RowOwned + RowWrite + Serialize,
{
    if rows.is_empty() {
        return Ok(());
    }
    let mut failures = 0;
    let mut failing: Option<Instant> = None;
    loop {
        match store.insert(table, writer, rows).await {
            Ok(()) => {
                if failing.is_some() {
                    listener(ChainEvent::StoreBack);
                }
                return Ok(());
            }
            Err(error) => {
                let since = *failing.get_or_insert_with(|| {
                    listener(ChainEvent::StoreDown(error.to_string()));
                    Instant::now()
                });
                failures += 1;
                let pause = pause(failures);
                if !error.may_pass() || since.elapsed() + pause > give_up_after {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
            }
        }
    }
}
