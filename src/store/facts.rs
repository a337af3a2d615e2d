//! `token_facts`: what sources tell of tokens beside their mappings: a label, what a resolved token pays, the market's title
//! and slug. Kept of tokens whose mapping is believed; what it says itself is unproven.

use clickhouse::Row;
use serde::Serialize;

use super::{Store, StoreError, Table};
use crate::ids::{ConditionId, TokenId};

/// The table's name.
const TOKEN_FACTS: &str = "token_facts";

/// What one source tells of one token.
#[derive(Debug, Clone, PartialEq, Row, Serialize)]
pub struct TokenFactsRow {
    /// The token.
    pub token_id: TokenId,
    /// Its condition, as the mapping has it that is believed.
    pub condition_id_norm: ConditionId,
    /// The outcome's label.
    pub outcome_label: String,
    /// What a share pays, in millionths of a dollar: 0, 500,000 or 1,000,000.
    pub payout: Option<i64>,
    /// Whether the market is resolved.
    pub resolved: bool,
    /// The market's question.
    pub title: String,
    /// The market's slug.
    pub slug: String,
    /// The source's label.
    pub source: &'static str,
    /// When it was told, in seconds since 1970.
    pub fetched_at: u32,
}

impl Store {
    /// Where what sources tell of tokens is kept.
    pub fn token_facts(&self) -> Table {
        self.staging_table(TOKEN_FACTS)
    }

    /// Creates the table where it is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn create_token_facts(&self) -> Result<(), StoreError> {
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (token_id String, condition_id_norm String, outcome_label String, \
             payout Nullable(Decimal(18, 6)), resolved UInt8, title String, slug String, \
             source LowCardinality(String), fetched_at DateTime) \
             ENGINE = ReplacingMergeTree(fetched_at) ORDER BY (token_id, source) \
             SETTINGS non_replicated_deduplication_window = 1000",
            self.token_facts()
        );
        self.run("creating the table of what sources tell of tokens", self.query(&create)).await
    }
}
