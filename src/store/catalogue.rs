//! What a catalogue lists: a row for each token of each market. It fills labels of the map that no other source has,
//! and names winners of conditions that no table knows.

use clickhouse::Row;
use serde::Serialize;

use super::sql::mirror_spelling;
use super::{Column, Store, StoreError, Table};
use crate::ids::{ConditionId, TokenId};
#[cfg(doc)]
use crate::proof::Evidence;
use crate::source::Source;

/// One token of a market that a catalogue lists. A later listing of the same token in the same market replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct ListedRow {
    /// The token.
    pub token_id: TokenId,
    /// The condition of its market.
    pub condition_id_norm: ConditionId,
    /// Its outcome index, 0 or 1, as the hash or the bits give it; 0 where there is no evidence.
    pub outcome_index: u8,
    /// The outcome's label.
    pub outcome_label: String,
    /// Whether it has won.
    pub winner: bool,
    /// Whether its market is closed.
    pub closed: bool,
    /// The name of the collateral that the row was proven with, empty where no hash proves it.
    pub collateral: String,
    /// Why it is believed, as [`Evidence::name`], empty where it is not.
    pub evidence: &'static str,
    /// When it was listed, in seconds since 1970; kept when an insert is repeated.
    pub fetched_at: u32,
}

/// What is true of the rows of a catalogue's table that are believed. Older versions wrote no evidence.
pub(super) fn believed(columns: &[Column]) -> &'static str {
    let has = columns.iter().any(|column| column.name == "evidence");
    if has { "evidence != ''" } else { "collateral != ''" }
}

impl Store {
    /// The table of what a catalogue lists.
    pub fn catalogue(&self, source: Source) -> Table {
        self.staging_table(&source.catalogue_table())
    }

    /// Creates the table of what a catalogue lists, where it is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_catalogue(&self, source: Source) -> Result<(), StoreError> {
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (token_id String, condition_id_norm String, outcome_index UInt8, \
             outcome_label String, winner Bool, closed Bool, collateral LowCardinality(String), \
             evidence LowCardinality(String) DEFAULT if(collateral = '', '', 'proven'), fetched_at DateTime) \
             ENGINE = ReplacingMergeTree(fetched_at) ORDER BY (token_id, condition_id_norm) \
             SETTINGS non_replicated_deduplication_window = 1000",
            self.catalogue(source)
        );
        self.run("creating the catalogue's table", self.query(&sql)).await?;
        let add = format!(
            "ALTER TABLE {} ADD COLUMN IF NOT EXISTS evidence LowCardinality(String) \
             DEFAULT if(collateral = '', '', 'proven')",
            self.catalogue(source)
        );
        self.run("creating the catalogue's table", self.query(&add)).await
    }

    /// Whether anything is listed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_listed(&self, source: Source) -> Result<bool, StoreError> {
        let sql = format!("SELECT count() > 0 FROM {}", self.catalogue(source));
        Ok(self.one::<u8>("looking at the catalogue", self.query(&sql)).await? > 0)
    }

    /// A sub-query of one row a condition that a catalogue names exactly one proven winner of: `condition`, `winning`
    /// (its outcome index plus 1, since a join gives 0 where there is none) and `label`. Only conditions of `wanted`, a
    /// query of one column that spells them as their mirrors do, are looked for. `None` where no catalogue was read.
    pub(super) async fn catalogue_winners(
        &self,
        source: Source,
        wanted: &str,
    ) -> Result<Option<String>, StoreError> {
        let table = self.catalogue(source);
        let Some(columns) = self.columns(&table).await? else { return Ok(None) };
        let believed = believed(&columns);
        Ok(Some(format!(
            "SELECT condition_id_norm AS condition, toUInt16(any(outcome_index) + 1) AS winning, max(outcome_label) AS label \
             FROM {table} FINAL WHERE winner AND {believed} AND {mirrored} GLOBAL IN ({wanted}) \
             GROUP BY condition_id_norm HAVING uniqExact(outcome_index) = 1",
            mirrored = mirror_spelling("condition_id_norm")
        )))
    }
}
