//! How much of what was traded is mapped.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::{IN_ORDER, usable_map};
use super::traded::TradedSums;
use super::{Needs, Store, StoreError};

/// How the traded tokens stand. `total = mapped + unmapped`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Deserialize)]
pub struct Coverage {
    /// Distinct well-formed token ids in the fills.
    pub total: u64,
    /// Of them, with usable rows in the map that do not disagree.
    pub mapped: u64,
    /// Of them, all others; the ambiguous ones included.
    pub unmapped: u64,
    /// Of the unmapped: two usable rows contradict each other.
    pub ambiguous: u64,
    /// Distinct values of `asset_id` that are no token id, outside of all of the above.
    pub malformed: u64,
}

impl Store {
    /// Checks that the tables that coverage is made of are there and can be read.
    ///
    /// # Errors
    /// The table or column that is missing, named.
    pub async fn require_fills_and_map(&self) -> Result<(), StoreError> {
        self.check_tables(Needs::Coverage).await
    }

    /// Counts how the traded tokens stand, exactly, in one pass over the fills.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn coverage(&self) -> Result<Coverage, StoreError> {
        self.coverage_of(&self.kept_sums().await?).await
    }

    /// The same of the tokens that were traded when their sums were made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn coverage_of(&self, traded: &TradedSums) -> Result<Coverage, StoreError> {
        let inputs = self.inputs().await?;
        let (traded, map) = (traded.tokens(inputs.fills()?), usable_map(inputs.map()?));
        // The map's rows are joined as numbers, not looked for as NULLs: unmatched rows of a left join have none here.
        let sql = format!(
            "SELECT countIf(token) AS total, countIf(token AND usable AND NOT disagreeing) AS mapped, \
                    countIf(token AND NOT (usable AND NOT disagreeing)) AS unmapped, countIf(token AND usable AND disagreeing) AS ambiguous, \
                    countIf(NOT token) AS malformed \
             FROM (SELECT asset_id, well_formed AS token FROM {traded}) AS traded \
             GLOBAL LEFT ANY JOIN (SELECT token_id, disagreeing, true AS usable FROM {map}) AS map \
               ON traded.asset_id = map.token_id \
             SETTINGS join_use_nulls = 0, join_algorithm = '{IN_ORDER}'"
        );
        self.one("counting the coverage", self.query(&sql)).await
    }
}
