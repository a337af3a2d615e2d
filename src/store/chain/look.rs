//! What the chain's tables hold.

use clickhouse::Row;
use clickhouse::types::UInt256;
use serde::Deserialize;

use super::{ChainTable, Store, StoreError};
use crate::chain::BlockRange;
use crate::source::Source;
use crate::store::sql::{is_structural, structural_token, usable_map, well_formed_token};

/// What the chain's tables hold, each thing once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Deserialize)]
pub struct ChainCounts {
    /// Conditions.
    pub conditions: u64,
    /// Conditions with a payout.
    pub resolutions: u64,
    /// Combos.
    pub combos: u64,
    /// Negative-risk markets.
    pub markets: u64,
    /// Conditions with two payouts that differ: one of them is false, and neither is used.
    pub contradicting: u64,
}

/// A row that stands somewhere on the chain, as a check compares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Row, Deserialize)]
pub struct KnownPlace {
    /// The block.
    pub block: u64,
    /// The log's place in it.
    pub log_index: u32,
    /// The condition, or the question of a market; empty for a market itself.
    pub subject: String,
    /// What it pays, empty for what is no payout.
    pub numerators: Vec<UInt256>,
}

/// A traded token whose condition the chain is not known to have.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct UnknownToken {
    /// The token.
    pub token_id: String,
    /// The condition that the map has for it, empty where it has none.
    pub condition_id: String,
    /// Rows of the fills.
    pub fills: u64,
}

/// Traded tokens whose condition the chain is not known to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownTokens {
    /// How many.
    pub count: u64,
    /// Those with the most fills, the busiest first.
    pub shown: Vec<UnknownToken>,
}

#[derive(Row, Deserialize)]
struct UnknownRow {
    token_id: String,
    condition_id: String,
    fills: u64,
    all: u64,
}

impl Store {
    /// Counts what the chain's tables hold.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chain_counts(&self) -> Result<ChainCounts, StoreError> {
        let table = |table| self.chain_table(table);
        let sql = format!(
            "SELECT ifNull((SELECT uniqExact(condition_id_norm) FROM {}), 0) AS conditions, \
                    ifNull((SELECT count() FROM ({payouts})), 0) AS resolutions, \
                    ifNull((SELECT uniqExact(condition_id_norm) FROM {}), 0) AS combos, \
                    ifNull((SELECT uniqExact(market) FROM {}), 0) AS markets, \
                    ifNull((SELECT countIf(shares > 1) FROM ({payouts})), 0) AS contradicting",
            table(ChainTable::Conditions),
            table(ChainTable::Combos),
            table(ChainTable::Markets),
            payouts = self.payouts_by_condition(),
        );
        self.one("counting what was read of the chain", self.query(&sql)).await
    }

    /// A row a condition that the chain has resolved: `condition_id_norm`, `payout_numerators`, and `shares`, how many
    /// different payouts it is said to have.
    fn payouts_by_condition(&self) -> String {
        format!(
            "SELECT condition_id_norm, any(paid) AS payout_numerators, uniqExact(paid) AS shares \
             FROM (SELECT condition_id_norm, payout_numerators AS paid FROM {} FINAL) GROUP BY condition_id_norm",
            self.chain_table(ChainTable::Resolutions)
        )
    }

    /// Every row of conditions, payouts and questions that stands in a range of blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chain_places(&self, range: BlockRange) -> Result<Vec<KnownPlace>, StoreError> {
        let table = |table| self.chain_table(table);
        let within = "block BETWEEN {from:UInt64} AND {to:UInt64}";
        let none = "CAST([] AS Array(UInt256))";
        let sql = format!(
            "SELECT DISTINCT block, log_index, subject, numerators FROM ( \
                SELECT block, log_index, condition_id_norm AS subject, {none} AS numerators FROM {} WHERE {within} \
                UNION ALL \
                SELECT block, log_index, condition_id_norm, payout_numerators FROM {} WHERE {within} \
                UNION ALL \
                SELECT block, log_index, question_id, {none} FROM {} WHERE {within}) \
             ORDER BY block, log_index, subject",
            table(ChainTable::Conditions),
            table(ChainTable::Resolutions),
            table(ChainTable::Markets),
        );
        let query = self.query(&sql).param("from", range.from).param("to", range.to);
        self.rows("reading what stands in a range of blocks", query).await
    }

    /// Traded tokens, hashes by their form, whose condition is in the map and not in the chain's table, or that neither
    /// the map nor `derive` knows. Natives of the second generation carry their condition and need no event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tokens_unknown_to_the_chain(&self, shown: usize) -> Result<UnknownTokens, StoreError> {
        let inputs = self.inputs().await?;
        let derived = self.staging_table(&Source::Derived.staging_table());
        // A token that is staged and not merged is known.
        let not_staged = match self.columns(&derived).await? {
            Some(_) => format!("AND token NOT IN (SELECT token_id FROM {derived})"),
            None => String::new(),
        };
        let sql = format!(
            "SELECT token AS token_id, k.condition_id_norm AS condition_id, fills, count() OVER () AS all \
             FROM (SELECT asset_id AS token, count() AS fills FROM {fills} WHERE {well_formed} GROUP BY asset_id) AS t \
             GLOBAL LEFT ANY JOIN (SELECT token_id, condition_id_norm FROM {map}) AS k ON t.token = k.token_id \
             WHERE if(k.condition_id_norm = '', {native} = '' {not_staged}, NOT {structural} \
                   AND k.condition_id_norm GLOBAL NOT IN (SELECT condition_id_norm FROM {conditions})) \
             ORDER BY fills DESC, token LIMIT {shown} SETTINGS join_use_nulls = 0",
            fills = inputs.fills()?.from(),
            well_formed = well_formed_token("asset_id"),
            map = usable_map(inputs.map()?),
            native = structural_token("token"),
            structural = is_structural("k.condition_id_norm"),
            conditions = self.chain_table(ChainTable::Conditions),
        );
        let query = super::super::wallets::long(self.query(&sql));
        let rows: Vec<UnknownRow> =
            self.rows("looking for tokens that the chain does not know", query).await?;
        let count = rows.first().map_or(0, |row| row.all);
        let token = |row: UnknownRow| UnknownToken {
            token_id: row.token_id,
            condition_id: row.condition_id,
            fills: row.fills,
        };
        Ok(UnknownTokens { count, shown: rows.into_iter().map(token).collect() })
    }
}
