//! What the chain's tables hold.

use clickhouse::Row;
use clickhouse::types::UInt256;
use serde::Deserialize;

use super::{ChainTable, Store, StoreError};
use crate::chain::BlockRange;

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
    pub condition_id_norm: String,
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
}
