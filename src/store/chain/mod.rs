//! What was read of the chain: conditions, payouts, markets, combos, and which blocks they were read from.
//!
//! Rows are keyed by where they stand on the chain, so that a range may be read any number of times, by anybody, in any
//! order. A condition may thus have several rows where providers contradict each other; what is read here takes only
//! what all of them agree on.

mod import;
mod look;
mod payouts;
mod ranges;
mod rows;

pub use import::{FileInsert, FileRows, FileShape};
pub use look::{ChainCounts, KnownPlace, UnknownToken, UnknownTokens};
pub use payouts::MergedPayouts;
pub use ranges::{RangeLedger, RangeRow};
pub use rows::{ComboRow, ConditionRow, MarketRow, RejectedLogRow, ResolutionRow};

use super::{Store, StoreError, Table, quoted};

/// A table of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainTable {
    /// Conditions of both generations.
    Conditions,
    /// What they pay.
    Resolutions,
    /// The legs of combos.
    Combos,
    /// Negative-risk markets and their questions.
    Markets,
    /// Which blocks were read.
    Ranges,
    /// Logs that are not believed.
    Rejected,
}

impl ChainTable {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Conditions, Self::Resolutions, Self::Combos, Self::Markets, Self::Ranges, Self::Rejected];

    /// Its name in the staging database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conditions => "chain_conditions",
            Self::Resolutions => "chain_resolutions",
            Self::Combos => "combos",
            Self::Markets => "neg_risk_markets",
            Self::Ranges => "chain_ranges",
            Self::Rejected => "chain_rejected",
        }
    }

    const fn columns(self) -> &'static str {
        match self {
            Self::Conditions => {
                "condition_id_norm String, generation UInt8, oracle String, question_id String, \
                 legacy_condition String, block UInt64, log_index UInt32, tx_hash String, \
                 source LowCardinality(String), fetched_at DateTime"
            }
            Self::Resolutions => {
                "condition_id_norm String, payout_numerators Array(UInt256), block UInt64, log_index UInt32, \
                 tx_hash String, source LowCardinality(String), fetched_at DateTime"
            }
            Self::Combos => {
                "condition_id_norm String, legs Array(String), source LowCardinality(String), fetched_at DateTime"
            }
            // A row with an empty question is the market itself, with its fee; the others are its questions.
            Self::Markets => {
                "market String, fee_bips UInt32, question_index UInt16, question_id String, block UInt64, \
                 log_index UInt32, source LowCardinality(String), fetched_at DateTime"
            }
            // Of rows with the same beginning the newest counts; one that ends before it begins covers nothing.
            Self::Ranges => {
                "filter_hash String, from_block UInt64, to_block UInt64, provider LowCardinality(String), \
                 logs UInt64, fetched_at DateTime64(6)"
            }
            Self::Rejected => {
                "block UInt64, log_index UInt32, reason LowCardinality(String), raw String, \
                 source LowCardinality(String), fetched_at DateTime"
            }
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Conditions | Self::Resolutions => "(condition_id_norm, block, log_index)",
            Self::Combos => "condition_id_norm",
            Self::Markets => "(market, question_index, question_id)",
            Self::Ranges => "(filter_hash, from_block)",
            Self::Rejected => "(block, log_index, reason)",
        }
    }
}

impl Store {
    /// One of the chain's tables.
    pub fn chain_table(&self, table: ChainTable) -> Table {
        self.staging_table(table.name())
    }

    /// Creates the staging database and the chain's tables where they are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_chain_tables(&self) -> Result<(), StoreError> {
        let doing = "creating the chain's tables";
        let database = quoted(&self.names().staging);
        self.run(doing, self.query(&format!("CREATE DATABASE IF NOT EXISTS {database}"))).await?;
        for table in ChainTable::ALL {
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {} ({}) ENGINE = ReplacingMergeTree(fetched_at) ORDER BY {} \
                 SETTINGS non_replicated_deduplication_window = 1000",
                self.chain_table(table),
                table.columns(),
                table.key()
            );
            self.run(doing, self.query(&sql)).await?;
        }
        Ok(())
    }

    /// Whether the chain was read, or a part of it imported: whether any condition of it is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_chain(&self) -> Result<bool, StoreError> {
        let table = self.chain_table(ChainTable::Conditions);
        if self.columns(&table).await?.is_none() {
            return Ok(false);
        }
        let sql = format!("SELECT toUInt8(count() > 0) FROM (SELECT 1 FROM {table} LIMIT 1)");
        let any: u8 = self.one("looking whether the chain was read", self.query(&sql)).await?;
        Ok(any == 1)
    }
}
