//! Where the coverage is short: one pass over the fills becomes a small table of all traded tokens, and every question
//! about the gap is put to that one.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;

use super::coverage::Coverage;
use super::sql::{usable_map, well_formed_token};
use super::{Store, StoreError};
use crate::ids::Wallet;
use crate::upstream::Source;

/// All traded tokens with what is known of them; lives only while `verify` runs.
const TOKENS: &str = "backfill_tmp_tokens";

/// What keeps tokens unmapped, and how much that weighs.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Cause {
    /// `ambiguous`, `not merged`, `not found`, `rejected`, `unanswered` (in a workload, but without an answer: failed,
    /// or not asked yet) or `never asked`.
    pub cause: String,
    /// Distinct tokens.
    pub tokens: u64,
    /// Rows of the fills table.
    pub fills: u64,
    /// Traded volume in micro-USD.
    pub volume_micro: i128,
}

/// An unmapped token.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Gap {
    /// The token.
    pub token_id: String,
    /// Why it is unmapped, as [`Cause::cause`].
    pub cause: String,
    /// Rows of the fills table.
    pub fills: u64,
    /// Traded volume in micro-USD.
    pub volume_micro: i128,
}

/// How much of a month's trading is mapped.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Month {
    /// `2025-11`, in UTC.
    pub month: String,
    /// Distinct tokens traded in it.
    pub traded: u64,
    /// Of them, mapped.
    pub mapped: u64,
}

/// How much of a wallet's trading is mapped; a fill that was delivered twice counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletCoverage {
    /// The wallet.
    pub wallet: Wallet,
    /// Its fills of well-formed tokens.
    pub fills: u64,
    /// Of them, of mapped tokens.
    pub mapped_fills: u64,
}

/// Whether the weights of all traded tokens are mapped too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Deserialize)]
pub struct Weights {
    /// Rows of the fills table with a well-formed token.
    pub fills: u64,
    /// Of them, of mapped tokens.
    pub mapped_fills: u64,
    /// Traded volume in micro-USD.
    pub volume_micro: i128,
    /// Of it, of mapped tokens.
    pub mapped_volume_micro: i128,
}

impl Store {
    /// Reads the fills once and keeps a row for each traded token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gather_tokens(&self, wallets: &[Wallet]) -> Result<(), StoreError> {
        let doing = "gathering the traded tokens";
        self.create_staging().await?;
        self.drop_tokens().await?;
        let tokens = self.staging_table(TOKENS);
        let create = format!(
            "CREATE TABLE {tokens} (token_id String, well_formed Bool, mapped Bool, cause LowCardinality(String), \
             fills UInt64, volume_micro Int128, wallet_fills Array(Tuple(String, String))) \
             ENGINE = MergeTree ORDER BY token_id"
        );
        self.run(doing, self.query(&create)).await?;
        let columns = self.require(&self.names().fills, "FILLS_TABLE", &["asset_id"]).await?;
        let has = |name: &str| columns.iter().any(|column| column.name == name);
        // A price or size that is none (not a number, out of any range) adds nothing to a volume.
        let volume = if has("price") && has("size") {
            "sumIf(toInt128(round(price * size)), isFinite(price * size) AND abs(price * size) < 1e18)"
        } else {
            "toInt128(0)"
        };
        let list = self.gather_wallets(wallets).await?;
        let wallet_fills = if has("proxy_wallet") && has("fill_id") {
            format!("groupUniqArrayIf((lower(proxy_wallet), fill_id), lower(proxy_wallet) {})", list.sql())
        } else {
            "CAST([], 'Array(Tuple(String, String))')".to_owned()
        };
        let (fills, map, token) =
            (&self.names().fills, usable_map(self.names()), well_formed_token("asset_id"));
        let staged = Source::ALL
            .map(|source| format!("SELECT token_id FROM {}", self.staging_table(&source.staging_table())))
            .join(" UNION ALL ");
        let (not_found, rejected) =
            (self.staging_table("not_found"), self.staging_table("rejected_mappings"));
        let workload = self.staging_table("unmapped_tokens");
        let workload = match self.columns(&workload).await? {
            Some(_) => format!("SELECT asset_id FROM {workload}"),
            None => "SELECT '' WHERE false".to_owned(),
        };
        let sql = format!(
            "INSERT INTO {tokens} SELECT asset_id, well_formed, well_formed AND usable AND NOT disagreeing AS is_mapped, \
               multiIf(NOT well_formed, 'malformed', is_mapped, '', usable, 'ambiguous', \
                 asset_id GLOBAL IN ({staged}), 'not merged', \
                 asset_id GLOBAL IN (SELECT token_id FROM {rejected}), 'rejected', \
                 asset_id GLOBAL IN (SELECT token_id FROM {not_found}), 'not found', \
                 asset_id GLOBAL IN ({workload}), 'unanswered', 'never asked'), \
               fills, volume, wallet_fills \
             FROM (SELECT asset_id, {token} AS well_formed, count() AS fills, {volume} AS volume, \
                   {wallet_fills} AS wallet_fills FROM {fills} GROUP BY asset_id) AS traded \
             GLOBAL LEFT ANY JOIN (SELECT token_id, disagreeing, true AS usable FROM {map}) AS map \
               ON traded.asset_id = map.token_id \
             SETTINGS join_use_nulls = 0"
        );
        let gathered = self.run(doing, list.bind(self.query(&sql))).await;
        self.drop_wallets(list).await?;
        gathered
    }

    /// Drops the table of traded tokens, also one that a crashed run has left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_tokens(&self) -> Result<(), StoreError> {
        let tokens = self.staging_table(TOKENS);
        self.run("clearing up", self.query(&format!("DROP TABLE IF EXISTS {tokens} SYNC"))).await
    }

    /// The coverage of the gathered tokens.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gathered_coverage(&self) -> Result<(Coverage, Weights), StoreError> {
        let tokens = self.staging_table(TOKENS);
        let doing = "counting the coverage";
        let sql = format!(
            "SELECT countIf(well_formed) AS total, countIf(is_mapped) AS mapped, \
                    countIf(well_formed AND NOT is_mapped) AS unmapped, countIf(cause = 'ambiguous') AS ambiguous, \
                    countIf(NOT well_formed) AS malformed \
             FROM (SELECT well_formed, mapped AS is_mapped, cause FROM {tokens})"
        );
        let coverage = self.one(doing, self.query(&sql)).await?;
        let sql = format!(
            "SELECT sumIf(f, well_formed) AS fills, sumIf(f, mapped) AS mapped_fills, \
                    sumIf(v, well_formed) AS volume_micro, sumIf(v, mapped) AS mapped_volume_micro \
             FROM (SELECT fills AS f, volume_micro AS v, well_formed, mapped FROM {tokens})"
        );
        Ok((coverage, self.one(doing, self.query(&sql)).await?))
    }

    /// What keeps tokens unmapped, the largest volume first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn causes(&self) -> Result<Vec<Cause>, StoreError> {
        let tokens = self.staging_table(TOKENS);
        let sql = format!(
            "SELECT toString(c) AS cause, count() AS tokens, sum(f) AS fills, sum(v) AS volume_micro \
             FROM (SELECT cause AS c, fills AS f, volume_micro AS v FROM {tokens} WHERE well_formed AND NOT mapped) \
             GROUP BY c ORDER BY volume_micro DESC, cause"
        );
        self.rows("explaining the gap", self.query(&sql)).await
    }

    /// The unmapped tokens, the largest volume first; all of them, or as many as `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gaps(&self, limit: Option<u64>) -> Result<Vec<Gap>, StoreError> {
        let tokens = self.staging_table(TOKENS);
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let sql = format!(
            "SELECT token_id, toString(c) AS cause, fills, volume_micro \
             FROM (SELECT token_id, cause AS c, fills, volume_micro FROM {tokens} WHERE well_formed AND NOT mapped) \
             ORDER BY volume_micro DESC, token_id{limit}"
        );
        self.rows("listing the unmapped tokens", self.query(&sql)).await
    }

    /// The coverage of each month, in a second pass over the fills.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn months(&self) -> Result<Vec<Month>, StoreError> {
        let (fills, tokens) = (&self.names().fills, self.staging_table(TOKENS));
        if self.columns(fills).await?.is_none_or(|columns| columns.iter().all(|it| it.name != "timestamp")) {
            return Ok(Vec::new());
        }
        // Without the zone, months would follow the server's clock.
        let sql = format!(
            "SELECT formatDateTime(start, '%Y-%m', 'UTC') AS month, count() AS traded, countIf(is_mapped) AS mapped \
             FROM (SELECT DISTINCT toStartOfMonth(timestamp, 'UTC') AS start, asset_id FROM {fills}) AS m \
             GLOBAL INNER JOIN (SELECT token_id, mapped AS is_mapped FROM {tokens} WHERE well_formed) AS t \
               ON m.asset_id = t.token_id \
             GROUP BY start ORDER BY start"
        );
        self.rows("counting the coverage by month", self.query(&sql)).await
    }

    /// The coverage of each wallet, in the order given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wallet_coverage(&self, wallets: &[Wallet]) -> Result<Vec<WalletCoverage>, StoreError> {
        let tokens = self.staging_table(TOKENS);
        let sql = format!(
            "SELECT fill.1 AS wallet, uniqExact(fill.2), uniqExactIf(fill.2, mapped) \
             FROM {tokens} ARRAY JOIN wallet_fills AS fill WHERE well_formed GROUP BY wallet"
        );
        let rows: Vec<(String, u64, u64)> =
            self.rows("counting the wallets' fills", self.query(&sql)).await?;
        let of: HashMap<String, (u64, u64)> =
            rows.into_iter().map(|(wallet, fills, mapped)| (wallet, (fills, mapped))).collect();
        let of = |wallet: &Wallet| {
            let (fills, mapped_fills) = of.get(&wallet.to_string()).copied().unwrap_or_default();
            WalletCoverage { wallet: *wallet, fills, mapped_fills }
        };
        Ok(wallets.iter().map(of).collect())
    }
}
