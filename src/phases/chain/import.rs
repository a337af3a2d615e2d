//! A start from files: conditions and payouts of the public data set, each row checked like a log. No provider is asked.

use super::events::ChainListener;
use super::rows::{Rows, Told};
use super::write::{ChainWriter, LARGE};
use crate::chain::{BlockRange, contracts};
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::Context;
use crate::results::{Chain, ImportedFile, Seconds};
use crate::store::StoreError;
use crate::store::chain::{FileShape, RejectedLogRow};
use crate::upstream::chain::{ChainFile, FileFormat};

/// Who is said to have told what stands in a file.
const FILE: &str = "file";

/// Files of conditions and payouts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChainFiles {
    /// Conditions.
    pub preparations: Vec<ChainFile>,
    /// Payouts.
    pub resolutions: Vec<ChainFile>,
    /// Blocks that the files hold all of, by the user's word.
    pub covers: Option<BlockRange>,
}

impl ChainFiles {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.preparations.is_empty() && self.resolutions.is_empty()
    }
}

/// Takes in the files, one behind the other.
pub(super) async fn import(
    context: &Context,
    files_given: &ChainFiles,
    listener: &ChainListener,
) -> Result<Chain, Failure> {
    let began = std::time::Instant::now();
    let store = &context.store;
    let ledger = store.range_ledger(&contracts::everything().hash()).await?;
    let mut writer =
        ChainWriter::new(store.clone(), ledger, context.settings.work.give_up_after, listener.clone());
    let mut files = Vec::new();
    let ChainFiles { preparations, resolutions, covers } = files_given;
    let all =
        preparations.iter().map(|file| (file, false)).chain(resolutions.iter().map(|file| (file, true)));
    for (file, payouts) in all {
        let imported = take(context, &writer, file, payouts).await;
        // Also of a file that could not be read.
        store.drop_chain_file().await?;
        files.push(imported?);
    }
    if let Some(range) = covers {
        let now = jiff::Timestamp::now().as_microsecond();
        let logs = files.iter().map(|file| file.rows).sum();
        let row = writer.ledger.cover(*range, FILE, logs, now);
        writer.insert_ranges(vec![row]).await?;
    }
    let counts = store.chain_counts().await?;
    let from_block = context.settings.chain.from_block;
    let covered = writer.ledger.coverage();
    let missing = match BlockRange::new(from_block, covered.last().unwrap_or_default()) {
        Some(wanted) => covered.missing(wanted),
        None => Vec::new(),
    };
    let last = covered.last().unwrap_or(from_block.saturating_sub(1));
    Ok(Chain {
        phase: "chain".to_owned(),
        outcome: Outcome::Done,
        from_block,
        to_block: missing.first().map_or(last, |gap| gap.from.saturating_sub(1)),
        finalized: last,
        logs: files.iter().map(|file| file.rows).sum(),
        conditions: counts.conditions,
        resolutions: counts.resolutions,
        combos: counts.combos,
        markets: counts.markets,
        rejected: files.iter().map(|file| file.rejected).sum(),
        strangers: files.iter().map(|file| file.strangers).sum(),
        contradicting: counts.contradicting,
        holes: missing.len() as u64,
        files,
        work_seconds: Seconds((began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0),
        elapsed_seconds: Seconds(context.elapsed()),
        ..Chain::default()
    })
}

/// Takes in one file.
async fn take(
    context: &Context,
    writer: &ChainWriter,
    file: &ChainFile,
    payouts: bool,
) -> Result<ImportedFile, Failure> {
    let store = &context.store;
    let shape = shape(file.format, payouts);
    let bad = |error: StoreError| match error.is_refusal() {
        false => Failure::Store(error),
        true => Failure::File(format!("{} cannot be read as {}: {error}", file.name(), shape.format)),
    };
    let mut pieces = file.open(context.settings.work.request_timeout).await.map_err(file_failure)?;
    let mut insert = store.take_chain_file(shape).await?;
    while let Some(piece) = pieces.next().await.map_err(file_failure)? {
        insert.write(&piece).await.map_err(bad)?;
    }
    insert.end().await.map_err(bad)?;
    let rows = check_columns(context, file, shape).await?;
    check_rows(context, writer, file, shape, rows).await
}

/// How many rows a file has that lacks no column.
async fn check_columns(context: &Context, file: &ChainFile, shape: FileShape) -> Result<u64, Failure> {
    let (rows, lacks) = context.store.chain_file_columns(shape).await?;
    if rows == 0 || !lacks.is_empty() {
        let what = if rows == 0 { "has no rows".to_owned() } else { format!("lacks {}", lacks.join(", ")) };
        let payouts = if shape.payouts { " and payout_numerators" } else { "" };
        return Err(Failure::File(format!(
            "a file of the chain's events cannot be used: {} {what}; its columns are id (137_BLOCK_LOGINDEX), condition_id, oracle, question_id, outcome_slot_count{payouts}",
            file.name()
        )));
    }
    Ok(rows)
}

/// Checks every row, and writes those that hold.
async fn check_rows(
    context: &Context,
    writer: &ChainWriter,
    file: &ChainFile,
    shape: FileShape,
    rows: u64,
) -> Result<ImportedFile, Failure> {
    let mut imported = ImportedFile { name: file.name(), rows, ..ImportedFile::default() };
    let mut read = context.store.chain_file_rows(shape)?;
    let (mut batch, mut number) = (Rows::default(), 0_u32);
    let at = u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX);
    loop {
        let row = read.next().await?;
        let ended = row.is_none();
        if let Some(row) = row {
            match row.log() {
                Ok(log) => batch.add(&log, Told { by: FILE, at }),
                Err(column) => batch.rejected.push(RejectedLogRow {
                    block: 0,
                    log_index: number,
                    reason: "unreadable".to_owned(),
                    raw: crate::foreign::clean(&format!("{} {column}: {row:?}", file.name()), 1_000),
                    source: FILE.to_owned(),
                    fetched_at: at,
                }),
            }
            number = number.saturating_add(1);
        }
        if ended || batch.count() >= LARGE {
            writer.insert_rows(&batch).await?;
            imported.conditions += batch.conditions.len() as u64;
            imported.resolutions += batch.resolutions.len() as u64;
            imported.rejected += batch.rejected.len() as u64;
            imported.strangers += batch.strangers;
            batch = Rows::default();
        }
        if ended {
            return Ok(imported);
        }
    }
}

const fn shape(format: FileFormat, payouts: bool) -> FileShape {
    let (format, lists) = match format {
        FileFormat::Parquet => ("Parquet", true),
        FileFormat::Csv => ("CSVWithNames", false),
        FileFormat::Tsv => ("TSVWithNames", false),
    };
    FileShape { format, lists, payouts }
}

fn file_failure(error: crate::upstream::chain::FileError) -> Failure {
    use crate::upstream::chain::FileError;
    match error {
        FileError::Unreadable { .. } => Failure::File(error.to_string()),
        FileError::NotGiven { .. } => Failure::Unusable(error.to_string()),
    }
}
