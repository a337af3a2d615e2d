//! [`WalletList`]: the wallets that a question is about, bound to its statement where they are few, in a table of ours
//! where they are many.

use std::collections::HashSet;

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

    /// What stands before the comparison: where in the primary key the wallets can be. See [`index_hint`].
    pub(super) fn index_hint(&self) -> String {
        index_hint(&self.texts)
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

/// At most so many ranges are given to the index.
const MOST_RANGES: usize = 600;

/// Tells the primary key where the wallets can stand. To compare in lower case gives it up, but every spelling of a
/// wallet begins with its first digits in one case or the other. Where the key does not begin with the wallet the hint
/// costs nothing, and nowhere does it decide anything. The digits are hex by their type and need no binding.
fn index_hint(wallets: &[String]) -> String {
    let fitting = (1..=4).rev().map(|digits| beginnings(wallets, digits)).find(|it| it.len() <= MOST_RANGES);
    let Some(beginnings) = fitting.filter(|it| !it.is_empty()) else { return String::new() };
    let ranges: Vec<String> =
        beginnings.iter().map(|text| format!("startsWith(proxy_wallet, '{text}')")).collect();
    format!("indexHint({}) AND ", ranges.join(" OR "))
}

/// Every spelling of the first digits of each wallet, each once.
fn beginnings(wallets: &[String], digits: usize) -> Vec<String> {
    let short: HashSet<String> =
        wallets.iter().map(|wallet| wallet.chars().skip(2).take(digits).collect()).collect();
    let mut all = Vec::new();
    for digits in short {
        let mut spellings = vec!["0x".to_owned(), "0X".to_owned()];
        for digit in digits.chars() {
            let upper = Some(digit.to_ascii_uppercase()).filter(|upper| *upper != digit);
            spellings = (spellings.iter())
                .flat_map(|text| {
                    [Some(digit), upper].into_iter().flatten().map(move |it| format!("{text}{it}"))
                })
                .collect();
        }
        all.extend(spellings);
    }
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_told_every_spelling_and_never_too_many() {
        let wallet = "0xcc12b7c71f21e358b8e5e797e586cbc03160d58b".to_owned();
        let all = ["0XCC1", "0XCc1", "0XcC1", "0Xcc1", "0xCC1", "0xCc1", "0xcC1", "0xcc1"];
        assert_eq!(beginnings(&[wallet.clone(), wallet], 3), all);
        let many: Vec<String> = (0..20_000_u32)
            .map(|number| {
                let mut bytes = [0xab; 20];
                bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
                Wallet::from_bytes(bytes).to_string()
            })
            .collect();
        let hint = index_hint(&many);
        assert!(!hint.is_empty() && hint.matches("startsWith").count() <= MOST_RANGES);
        assert_eq!(index_hint(&[]), "");
    }
}
