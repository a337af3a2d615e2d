//! [`WalletList`]: the wallets that a question is about, bound to its statement where they are few, in a table of ours
//! where they are many.

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Store, StoreError, Table, quoted};
use crate::ids::Wallet;

/// Lives only while a statement about many wallets runs.
const WALLETS: &str = "backfill_tmp_wallets";

/// More than so many are not bound: they travel in the URL, and servers refuse a field above 128 KiB, proxies less.
const BOUND: usize = 200;

/// Wallets as a statement can ask about them.
#[derive(Debug)]
pub(super) struct WalletList {
    texts: Vec<String>,
    table: Option<Table>,
    id: String,
}

#[derive(Row, Serialize)]
struct WalletRow {
    list: String,
    wallet: String,
}

impl WalletList {
    /// What stands behind the wallet's column: an `IN` with the whole list.
    pub(super) fn sql(&self) -> String {
        match &self.table {
            // Another process may ask about other wallets at the same time.
            Some(table) => format!("GLOBAL IN (SELECT wallet FROM {table} WHERE list = {{list:String}})"),
            None => "IN {wallets:Array(String)}".to_owned(),
        }
    }

    /// Binds what [`WalletList::sql`] names.
    pub(super) fn bind(&self, query: Query) -> Query {
        match &self.table {
            Some(_) => query.param("list", &self.id),
            None => query.param("wallets", &self.texts),
        }
    }
}

impl Store {
    /// Makes wallets ready to be asked about; to be ended with [`Store::drop_wallets`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn gather_wallets(&self, wallets: &[Wallet]) -> Result<WalletList, StoreError> {
        let doing = "writing the list of wallets";
        let texts: Vec<String> = wallets.iter().map(Wallet::to_string).collect();
        let hash = Sha256::digest(texts.concat());
        let id = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let mut list = WalletList { texts, table: None, id };
        if wallets.len() <= BOUND {
            return Ok(list);
        }
        let (database, table) = (quoted(&self.names().staging), self.staging_table(WALLETS));
        self.run(doing, self.query(&format!("CREATE DATABASE IF NOT EXISTS {database}"))).await?;
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table} (list String, wallet String) ENGINE = MergeTree ORDER BY (list, wallet)"
        );
        self.run(doing, self.query(&create)).await?;
        let rows: Vec<_> = list
            .texts
            .iter()
            .map(|wallet| WalletRow { list: list.id.clone(), wallet: wallet.clone() })
            .collect();
        self.insert(&table, "wallets", &rows).await?;
        list.table = Some(table);
        Ok(list)
    }

    /// Drops the table of a list that has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn drop_wallets(&self, list: WalletList) -> Result<(), StoreError> {
        let Some(table) = list.table else { return Ok(()) };
        self.run("clearing up", self.query(&format!("DROP TABLE IF EXISTS {table} SYNC"))).await
    }
}
