//! A file of conditions or payouts on its way into the chain's tables: ClickHouse parses it into a table of texts, which
//! is read back and checked row by row.

use clickhouse::Row;
use clickhouse::insert_formatted::BufInsertFormatted;
use serde::Deserialize;

use crate::chain::dataset::DatasetRow;
use crate::store::conditions::Stream;
use crate::store::{Store, StoreError};

/// Lives only while a file is read.
const TABLE: &str = "backfill_tmp_chain_file";

/// Bytes that are sent at once.
const BUFFER: usize = 1 << 20;

/// What a file of conditions has, in this order; one of payouts has [`PAYOUTS`] too.
const COLUMNS: [&str; 5] = ["id", "condition_id", "oracle", "question_id", "outcome_slot_count"];

const PAYOUTS: &str = "payout_numerators";

/// How ClickHouse is to read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileShape {
    /// ClickHouse's name of the format.
    pub format: &'static str,
    /// Whether its lists are lists, not texts.
    pub lists: bool,
    /// Whether it holds payouts.
    pub payouts: bool,
}

/// A file on its way to ClickHouse.
pub struct FileInsert {
    store: Store,
    insert: BufInsertFormatted,
}

/// A row as ClickHouse has parsed it, with its number in the file's table.
#[derive(Debug, Clone, Row, Deserialize)]
struct FileRow {
    id: String,
    condition_id: String,
    oracle: String,
    question_id: String,
    slots: String,
    numerators: String,
}

const DOING: &str = "reading a file of the chain's events";

impl Store {
    /// Makes room for a file and begins to take it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_chain_file(&self, shape: FileShape) -> Result<FileInsert, StoreError> {
        self.drop_chain_file().await?;
        let table = self.staging_table(TABLE);
        let mut columns: Vec<String> =
            COLUMNS.iter().map(|column| format!("{column} Nullable(String)")).collect();
        if shape.payouts {
            let kind = if shape.lists { "Array(Nullable(String))" } else { "Nullable(String)" };
            columns.push(format!("{PAYOUTS} {kind}"));
        }
        let sql =
            format!("CREATE TABLE {table} ({}) ENGINE = MergeTree ORDER BY tuple()", columns.join(", "));
        self.run(DOING, self.query(&sql)).await?;
        let insert = self
            .client_in(&table.database)
            .insert_formatted_with(format!("INSERT INTO {table} FORMAT {}", shape.format))
            // What a file lacks is NULL, and told by its column; what it has more is of no interest.
            .with_setting("input_format_skip_unknown_fields", "1")
            .with_setting("input_format_with_names_use_header", "1")
            .with_setting("input_format_parquet_allow_missing_columns", "1")
            .with_setting("input_format_null_as_default", "1")
            .with_setting("input_format_csv_empty_as_default", "1")
            .with_setting("input_format_csv_allow_variable_number_of_columns", "1")
            .buffered_with_capacity(BUFFER);
        Ok(FileInsert { store: self.clone(), insert })
    }

    /// How many rows the file had, and the columns that it lacks: those without any value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chain_file_columns(&self, shape: FileShape) -> Result<(u64, Vec<String>), StoreError> {
        let mut has: Vec<String> = COLUMNS.iter().map(|it| format!("countIf({it} != '') > 0")).collect();
        if shape.payouts {
            has.push(match shape.lists {
                true => format!("countIf(notEmpty({PAYOUTS})) > 0"),
                false => format!("countIf({PAYOUTS} != '') > 0"),
            });
        }
        // A bit a column.
        let bits = has.iter().enumerate().map(|(place, has)| format!("toUInt64({has}) * {}", 1_u64 << place));
        let bits = bits.collect::<Vec<_>>().join(" + ");
        let sql = format!("SELECT count(), {bits} FROM {}", self.staging_table(TABLE));
        let (rows, bits): (u64, u64) = self.one(DOING, self.query(&sql)).await?;
        let names = COLUMNS.into_iter().chain([PAYOUTS]).take(has.len()).enumerate();
        let lacks = names.filter(|(place, _)| (bits >> place) & 1 == 0).map(|(_, name)| name.to_owned());
        Ok((rows, lacks.collect()))
    }

    /// The rows of the file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn chain_file_rows(&self, shape: FileShape) -> Result<FileRows, StoreError> {
        let text = |column: &str| format!("toValidUTF8(ifNull({column}, ''))");
        let numerators = match (shape.payouts, shape.lists) {
            (false, _) => "''".to_owned(),
            (true, true) => format!("toString({PAYOUTS})"),
            (true, false) => text(PAYOUTS),
        };
        let columns: Vec<String> = COLUMNS.iter().map(|column| text(column)).collect();
        let sql = format!(
            "SELECT {} AS id, {} AS condition_id, {} AS oracle, {} AS question_id, {} AS slots, {numerators} AS numerators \
             FROM {table}",
            columns[0],
            columns[1],
            columns[2],
            columns[3],
            columns[4],
            table = self.staging_table(TABLE)
        );
        Ok(FileRows { rows: self.stream(DOING, &sql)?, payouts: shape.payouts })
    }

    /// Drops what is left of a file, also of a process that was killed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_chain_file(&self) -> Result<(), StoreError> {
        let table = self.staging_table(TABLE);
        self.run(DOING, self.query(&format!("DROP TABLE IF EXISTS {table} SYNC"))).await
    }
}

impl FileInsert {
    /// Sends a piece of the file.
    ///
    /// # Errors
    /// ClickHouse cannot read it, or fails.
    pub async fn write(&mut self, mut piece: &[u8]) -> Result<(), StoreError> {
        while !piece.is_empty() {
            let written = self.insert.write(piece).await.map_err(|error| self.store.failed(DOING, error))?;
            piece = &piece[written..];
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// ClickHouse cannot read it, or fails.
    pub async fn end(mut self) -> Result<(), StoreError> {
        self.insert.end().await.map_err(|error| self.store.failed(DOING, error))
    }
}

/// The rows of a file as they arrive.
pub struct FileRows {
    rows: Stream<FileRow>,
    payouts: bool,
}

impl FileRows {
    /// The next row; `None` behind the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next(&mut self) -> Result<Option<DatasetRow>, StoreError> {
        let row = self.rows.next().await?;
        Ok(row.map(|row| DatasetRow {
            id: row.id,
            condition: row.condition_id,
            oracle: row.oracle,
            question: row.question_id,
            slots: row.slots,
            numerators: self.payouts.then_some(row.numerators),
        }))
    }
}
