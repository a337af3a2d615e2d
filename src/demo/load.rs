//! [`load`]: a universe's four tables, written to ClickHouse.

use std::ops::Range;

use clickhouse::{Client, Row, RowOwned};
use serde::Serialize;

use super::universe::{FillRow, Universe};
use crate::ids::TokenId;

/// Creates the four tables as they stand in production, and one of combos' legs, `{database}` being where.
const TABLES: [&str; 5] = [
    "CREATE TABLE {database}.clob_fills (
        fill_id String, proxy_wallet String, user_eoa String, market_slug String,
        condition_id String, asset_id String, outcome LowCardinality(String), side LowCardinality(String),
        price Float64, size Float64, fee_rate_bps UInt32, timestamp DateTime, order_hash String, tx_hash String,
        bucket_index UInt32, ingested_at DateTime
    ) ENGINE = MergeTree ORDER BY (proxy_wallet, timestamp, fill_id)",
    "CREATE TABLE {database}.ctf_token_map (
        token_id String, condition_id_norm String, outcome_index UInt8, outcome_label String,
        source String, fetched_at DateTime DEFAULT now()
    ) ENGINE = ReplacingMergeTree(fetched_at) ORDER BY token_id",
    "CREATE TABLE {database}.gamma_resolved (cid String, winning_outcome String, closed UInt8, fetched_at DateTime)
        ENGINE = MergeTree ORDER BY cid",
    "CREATE TABLE {database}.market_resolutions_final (
        condition_id_norm FixedString(64), payout_numerators Array(UInt8), payout_denominator UInt8,
        outcome_count UInt8, winning_outcome LowCardinality(String), source LowCardinality(String), version UInt8,
        resolved_at Nullable(DateTime), updated_at DateTime, winning_index UInt16
    ) ENGINE = ReplacingMergeTree(updated_at) ORDER BY condition_id_norm",
    "CREATE TABLE {database}.combo_legs (legs Array(String)) ENGINE = MergeTree ORDER BY tuple()",
];

/// How to write the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Rows of one insert.
    pub rows_per_insert: u64,
    /// Inserts of fills that run at once.
    pub inserts_at_once: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { rows_per_insert: 250_000, inserts_at_once: 2 }
    }
}

/// Why a universe could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database or a table could not be created.
    #[error("could not create the demo's tables in {database}: {source}; they must not exist yet")]
    Create {
        /// Where.
        database: String,
        /// What ClickHouse said.
        source: clickhouse::error::Error,
    },
    /// An insert failed.
    #[error("could not insert the demo's rows into {table}: {source}")]
    Insert {
        /// Which table.
        table: &'static str,
        /// What ClickHouse said.
        source: clickhouse::error::Error,
    },
}

/// Creates the database and its four tables and writes the universe into them. Rows are made on the way: memory does
/// not grow with their number.
///
/// # Errors
/// A table exists already, or ClickHouse refuses.
pub async fn load(
    client: &Client,
    database: &str,
    universe: &Universe,
    options: LoadOptions,
) -> Result<(), LoadError> {
    create_tables(client, database)
        .await
        .map_err(|source| LoadError::Create { database: database.to_owned(), source })?;
    let client = client
        .clone()
        .with_database(database)
        // Acknowledged when it is written, in the blocks that are sent.
        .with_setting("async_insert", "0")
        // The replacing tables are to hold duplicates, as they do in production between two merges.
        .with_setting("optimize_on_insert", "0");
    let lanes = options.inserts_at_once.max(1);
    let share = universe.options().fills.div_ceil(lanes);
    let fills = (0..lanes).map(|lane| {
        insert_fills(&client, universe, lane * share..(lane + 1) * share, options.rows_per_insert.max(1))
    });
    futures_util::future::try_join_all(fills).await?;
    insert_all(&client, "ctf_token_map", universe.map_rows()).await?;
    insert_all(&client, "market_resolutions_final", universe.resolutions()).await?;
    insert_all(&client, "gamma_resolved", universe.winners()).await?;
    insert_all(&client, "combo_legs", universe.combos().map(|(_, legs)| ComboRow { legs })).await
}

/// A row of `combo_legs`: the legs that a user was told of.
#[derive(Debug, Clone, Serialize, Row)]
struct ComboRow {
    legs: Vec<TokenId>,
}

/// Creates the database and its four tables, empty.
///
/// # Errors
/// A table exists already, or ClickHouse refuses.
pub async fn create_tables(client: &Client, database: &str) -> clickhouse::error::Result<()> {
    let database = format!("`{}`", database.replace('\\', "\\\\").replace('`', "\\`"));
    client.query(&format!("CREATE DATABASE IF NOT EXISTS {database}")).execute().await?;
    for table in TABLES {
        client.query(&table.replace("{database}", &database)).execute().await?;
    }
    Ok(())
}

async fn insert_fills(
    client: &Client,
    universe: &Universe,
    rows: Range<u64>,
    batch: u64,
) -> Result<(), LoadError> {
    let mut start = rows.start;
    let end = rows.end.min(universe.options().fills);
    while start < end {
        let next = (start + batch).min(end);
        insert_all::<FillRow>(client, "clob_fills", universe.fills_in(start..next)).await?;
        start = next;
    }
    Ok(())
}

async fn insert_all<T>(
    client: &Client,
    table: &'static str,
    rows: impl Iterator<Item = T>,
) -> Result<(), LoadError>
where
    T: RowOwned + Serialize + for<'a> Row<Value<'a> = T>,
{
    let write = async {
        let mut insert = client.insert::<T>(table).await?;
        for row in rows {
            insert.write(&row).await?;
        }
        insert.end().await
    };
    write.await.map_err(|source| LoadError::Insert { table, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::universe::{MapRow, ResolutionRow, WinnerRow};

    /// The column names of one of the statements, in their order.
    fn columns(statement: &str) -> Vec<&str> {
        let inside = statement.split_once('(').unwrap().1.split(") ENGINE").next().unwrap();
        let inside = inside.split(")\n").next().unwrap();
        // Commas inside of a type's brackets do not occur in these tables.
        inside.split(',').filter_map(|column| column.split_whitespace().next()).collect()
    }

    #[test]
    fn the_rows_have_the_tables_columns_in_their_order() {
        let rows = [
            FillRow::COLUMN_NAMES,
            MapRow::COLUMN_NAMES,
            WinnerRow::COLUMN_NAMES,
            ResolutionRow::COLUMN_NAMES,
        ];
        for (statement, names) in TABLES.iter().zip(rows) {
            assert_eq!(columns(statement), names, "{statement}");
        }
    }
}
