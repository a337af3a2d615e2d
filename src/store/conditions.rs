//! What `derive` reads: the condition ids that ClickHouse already holds, and the traded tokens with their own labels.

use clickhouse::Row;
use clickhouse::query::RowCursor;
use serde::Deserialize;

use super::sql::{condition_norm, fingerprint, structural_token, usable_map};
use super::traded::TradedSums;
use super::{Store, StoreError, Table, quoted};
use crate::ids::ConditionId;
use crate::source::Source;

/// A column that may hold condition ids, in any spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionColumn {
    /// The table.
    pub table: Table,
    /// The column's name, unquoted.
    pub column: String,
}

impl ConditionColumn {
    /// `TABLE.COLUMN` or `DATABASE.TABLE.COLUMN`, `None` where it is neither.
    pub fn parse(text: &str, default_database: &str) -> Option<Self> {
        let (table, column) = text.rsplit_once('.')?;
        let table = Table::parse(table, default_database)?;
        // A column's name is checked as a table's is.
        let column = Table::parse(column, default_database).map(|column| column.name)?;
        Some(Self { table, column })
    }
}

/// A traded token as `derive` looks for it.
#[derive(Debug, Row, Deserialize)]
pub struct TradedToken {
    /// All of its id mixed into 128 bits, [`TokenId::fingerprint`](crate::ids::TokenId::fingerprint).
    pub fingerprint: u128,
    /// The label that its fills give it most often, empty where none of them has one.
    pub label: String,
    /// Whether it is unmapped and not yet derived.
    pub open: bool,
    /// The token itself where it is one of the second generation, else empty.
    pub native: String,
}

/// A well-formed condition, or, where it is zero, how many spellings of no condition there are.
#[derive(Row, Deserialize)]
struct ConditionRow {
    condition: [u8; 32],
    malformed: u64,
}

/// Rows that arrive one by one; each may take as long as a statement.
pub struct Stream<T> {
    store: Store,
    cursor: RowCursor<T>,
    doing: &'static str,
    limit: std::time::Duration,
}

impl<T: clickhouse::RowOwned + clickhouse::RowRead> Stream<T> {
    /// The next row, `None` behind the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next(&mut self) -> Result<Option<T>, StoreError> {
        match tokio::time::timeout(self.limit, self.cursor.next()).await {
            Ok(row) => row.map_err(|source| self.store.failed(self.doing, source)),
            Err(_) => Err(StoreError::NoAnswer { doing: self.doing.to_owned(), limit: self.limit }),
        }
    }
}

/// Distinct condition ids, and how many values were none.
pub struct Conditions {
    rows: Stream<ConditionRow>,
    malformed: u64,
}

impl Conditions {
    /// Up to `size` more; none behind the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chunk(&mut self, size: usize) -> Result<Vec<ConditionId>, StoreError> {
        let mut chunk = Vec::with_capacity(size);
        while chunk.len() < size {
            let Some(row) = self.rows.next().await? else { break };
            self.malformed += row.malformed;
            let condition = ConditionId::from_bytes(row.condition);
            if !condition.is_zero() {
                chunk.push(condition);
            }
        }
        Ok(chunk)
    }

    /// Distinct values so far that are no condition id; empty ones are not counted, they claim nothing.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

impl Store {
    pub(super) fn stream<T>(&self, doing: &'static str, sql: &str) -> Result<Stream<T>, StoreError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let cursor = self.query(sql).fetch::<T>();
        let cursor = cursor.map_err(|source| self.failed(doing, source))?;
        Ok(Stream { store: self.clone(), cursor, doing, limit: self.query_limit })
    }

    /// The columns that hold condition ids: those of the users' tables that are there, and `more`, which must be.
    ///
    /// # Errors
    /// A table or column of `more` is missing, named.
    pub async fn condition_columns(
        &self,
        more: &[ConditionColumn],
    ) -> Result<Vec<ConditionColumn>, StoreError> {
        let inputs = self.inputs().await?;
        let known = [
            (&inputs.fills, "condition_id"),
            (&inputs.map, "condition_id_norm"),
            (&inputs.resolutions, "condition_id_norm"),
            (&inputs.winners, "cid"),
        ];
        let mut columns = Vec::new();
        for (input, column) in known {
            let found = input.as_ref().and_then(|input| Some((&input.table, input.column(column)?)));
            if let Some((table, used)) = found {
                columns.push(ConditionColumn { table: table.clone(), column: used.theirs.name.clone() });
            }
        }
        let (chain, column) = (self.staging_table("chain_conditions"), "condition_id_norm");
        if self.columns(&chain).await?.is_some_and(|has| has.iter().any(|it| it.name == column)) {
            columns.push(ConditionColumn { table: chain, column: column.to_owned() });
        }
        for column in more {
            self.require(&column.table, "--conditions", &[&column.column]).await?;
            columns.push(column.clone());
        }
        Ok(columns)
    }

    /// Every condition that stands in these columns, each once, whatever its spelling.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conditions(&self, columns: &[ConditionColumn]) -> Result<Conditions, StoreError> {
        self.conditions_in(&self.spelled_conditions(columns))
    }

    /// Every condition among the texts that `all` answers as `spelled`.
    pub(super) fn conditions_in(&self, all: &str) -> Result<Conditions, StoreError> {
        let doing = "reading the condition ids";
        let sql = format!(
            "SELECT toFixedString(unhex(norm), 32) AS condition, countIf(spelled != '' AND norm = '') AS malformed \
             FROM (SELECT DISTINCT spelled, {} AS norm FROM ({all})) GROUP BY norm",
            condition_norm("spelled")
        );
        Ok(Conditions { rows: self.stream(doing, &sql)?, malformed: 0 })
    }

    /// A query of every distinct text of these columns, as `spelled`.
    pub(super) fn spelled_conditions(&self, columns: &[ConditionColumn]) -> String {
        let select = |column: &ConditionColumn| {
            let (name, table) = (quoted(&column.column), &column.table);
            // An empty FixedString is 64 NULs, and any column may be nullable.
            format!(
                "SELECT DISTINCT trimRight(replaceAll(ifNull(toString({name}), ''), '\\0', '')) AS spelled FROM {table}"
            )
        };
        columns.iter().map(select).collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// Every traded token, ordered by its fingerprint, with the label that its own fills give it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn traded_tokens(&self, traded: &TradedSums) -> Result<Stream<TradedToken>, StoreError> {
        let inputs = self.inputs().await?;
        let (traded, map) = (traded.labelled(inputs.fills()?), usable_map(inputs.map()?));
        let derived = self.staging_table(&Source::Derived.staging_table());
        // A plan is made before there is a staging database.
        let not_derived = match self.columns(&derived).await? {
            Some(_) => format!("asset_id GLOBAL NOT IN (SELECT token_id FROM {derived})"),
            None => "true".to_owned(),
        };
        let sql = format!(
            "SELECT {} AS fingerprint, toValidUTF8(label) AS label, \
                    asset_id GLOBAL NOT IN (SELECT token_id FROM {map} WHERE NOT disagreeing) \
                    AND {not_derived} AS open, \
                    if({} != '', asset_id, '') AS native \
             FROM {traded} WHERE well_formed ORDER BY fingerprint",
            fingerprint("asset_id"),
            structural_token("asset_id"),
        );
        self.stream("listing the traded tokens", &sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_named_with_its_table_and_nothing_else_passes() {
        let column = ConditionColumn::parse("markets.cid", "d").unwrap();
        assert_eq!((column.table.plain(), column.column.as_str()), ("d.markets".to_owned(), "cid"));
        assert_eq!(ConditionColumn::parse("x.markets.cid", "d").unwrap().table.plain(), "x.markets");
        for text in ["", "cid", ".cid", "markets.", "a.b.c.d", "markets.c`id", "markets.c id", "m.a)--"] {
            assert!(ConditionColumn::parse(text, "d").is_none(), "{text:?}");
        }
    }
}
