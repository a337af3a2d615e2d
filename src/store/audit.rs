//! The fills of wallets one by one, to be compared with the chain's.

use clickhouse::Row;
use serde::Deserialize;

use super::wallets::{among, long};
use super::{Store, StoreError};
use crate::ids::Wallet;

/// A fill as the table has it, its newest delivery.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct TableFill {
    /// The wallet, in lower case.
    pub wallet: String,
    /// Its id.
    pub fill_id: String,
    /// The token, or what stands in its place.
    pub asset_id: String,
    /// Whether shares were bought.
    pub buys: bool,
    /// The price, as a text.
    pub price: String,
    /// Micro-shares.
    pub size: String,
    /// Micro-USD before fees, exact: price times size.
    pub worth: String,
    /// Micro-shares, rounded to whole ones.
    pub whole_size: i128,
    /// Micro-USD, rounded to whole ones.
    pub whole_worth: i128,
    /// Unix seconds; 0 where the table has none.
    pub second: u32,
}

impl Store {
    /// Every fill of the wallets that counts, each once.
    ///
    /// # Errors
    /// A table or column is missing, or ClickHouse fails.
    pub async fn fills_of(&self, wallets: &[Wallet]) -> Result<Vec<TableFill>, StoreError> {
        let inputs = self.inputs().await?;
        let input = inputs.fills()?;
        let second = if input.has("timestamp") { "toUInt32(timestamp)" } else { "toUInt32(0)" };
        let sql = format!(
            "WITH read AS (SELECT lower(proxy_wallet) AS owner, trimBoth(toString(fill_id)) AS fill, asset_id AS asset, \
                 upper(trimBoth(toString(side))) AS way, if(fill = '', generateUUIDv4(), toUUIDOrZero('')) AS alone, \
                 {price} AS price_text, {size} AS size_text, ingested_at, {second} AS at_second \
               FROM {from} WHERE {among} AND price >= 0 AND price <= 1 AND size >= 0 AND size <= 1e18), \
             once AS (SELECT owner, fill, asset, way, \
                 argMax((price_text, size_text, at_second), (ingested_at, price_text, size_text)) AS newest, \
                 ifNull(toDecimal256OrNull(newest.2, 12), 0) AS exact_size, \
                 ifNull(toDecimal256OrNull(newest.1, 30), 0) * exact_size AS exact_worth \
               FROM read WHERE way IN ('BUY', 'SELL') GROUP BY owner, fill, alone, asset, way) \
             SELECT owner AS wallet, toValidUTF8(fill) AS fill_id, toValidUTF8(asset) AS asset_id, way = 'BUY' AS buys, \
                    newest.1 AS price, newest.2 AS size, toString(exact_worth) AS worth, \
                    toInt128(round(exact_size, 0)) AS whole_size, toInt128(round(exact_worth, 0)) AS whole_worth, \
                    newest.3 AS second FROM once",
            price = input.exact("price"),
            size = input.exact("size"),
            from = input.from(),
            among = among(wallets),
        );
        self.rows("reading the fills one by one", long(self.query(&sql))).await
    }
}
