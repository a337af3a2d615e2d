//! The users' tables, for installations that begin with none.

use super::{Store, StoreError};

impl Store {
    /// Creates the fills and the map where they are missing, empty; says which it created.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_missing_tables(&self) -> Result<Vec<String>, StoreError> {
        let names = self.names();
        let mut created = Vec::new();
        for (table, columns) in [(&names.fills, FILLS), (&names.token_map, TOKEN_MAP)] {
            if self.columns(table).await?.is_some() {
                continue;
            }
            let sql = format!("CREATE TABLE IF NOT EXISTS {table} {columns}");
            self.run("creating an empty table", self.query(&sql)).await?;
            *self.inputs.lock().await = None;
            created.push(table.plain());
        }
        Ok(created)
    }
}

const FILLS: &str = "(fill_id String, proxy_wallet String, user_eoa String, market_slug String, \
    condition_id String, asset_id String, outcome LowCardinality(String), side LowCardinality(String), \
    price Float64, size Float64, fee_rate_bps UInt32, timestamp DateTime, order_hash String, tx_hash String, \
    bucket_index UInt32, ingested_at DateTime) ENGINE = MergeTree ORDER BY (proxy_wallet, timestamp, fill_id)";

const TOKEN_MAP: &str = "(token_id String, condition_id_norm String, outcome_index UInt8, \
    outcome_label String, source String, fetched_at DateTime DEFAULT now()) \
    ENGINE = ReplacingMergeTree(fetched_at) ORDER BY token_id";
