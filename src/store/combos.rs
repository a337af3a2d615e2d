//! Combos that a user was told of: their legs, kept beside those of the chain.

use clickhouse::Row;
use serde::Serialize;

use super::conditions::{ConditionColumn, Stream};
use super::{Store, StoreError, Table, quoted};
use crate::ids::{ConditionId, TokenId};

/// A combo and its legs.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct ComboLegs {
    /// The combo's condition, which is the hash of its legs.
    pub condition_id_norm: ConditionId,
    /// The positions that it is made of, ascending.
    pub legs: Vec<TokenId>,
    /// Who told it.
    pub source: &'static str,
    /// When, in seconds since 1970.
    pub fetched_at: u32,
}

impl Store {
    /// The table of combos.
    pub fn combos_table(&self) -> Table {
        self.staging_table("combos")
    }

    /// Creates the table of combos, and the database that it is in, where they are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_combos(&self) -> Result<(), StoreError> {
        let doing = "creating the table of combos";
        let database = quoted(&self.names().staging);
        self.run(doing, self.query(&format!("CREATE DATABASE IF NOT EXISTS {database}"))).await?;
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (condition_id_norm String, legs Array(String), \
             source LowCardinality(String), fetched_at DateTime) \
             ENGINE = ReplacingMergeTree(fetched_at) ORDER BY condition_id_norm \
             SETTINGS non_replicated_deduplication_window = 1000",
            self.combos_table()
        );
        self.run(doing, self.query(&sql)).await
    }

    /// The legs in a column, one text a combo with commas between the legs: of an array, or of a text.
    ///
    /// # Errors
    /// The table or the column is missing, named.
    pub async fn legs_in(&self, column: &ConditionColumn) -> Result<Stream<String>, StoreError> {
        let columns = self.require(&column.table, "COMBOS", &[&column.column]).await?;
        let name = quoted(&column.column);
        let is_array = columns.iter().any(|it| it.name == column.column && it.type_name.starts_with("Array"));
        let text = if is_array {
            format!("arrayStringConcat(arrayMap(leg -> toString(leg), {name}), ',')")
        } else {
            format!("ifNull(toString({name}), '')")
        };
        let sql = format!("SELECT DISTINCT toValidUTF8({text}) FROM {}", column.table);
        self.stream("reading the combos", &sql)
    }
}
