//! The staging tables: what each source said, proven; what it did not know; and what had no proof.

use std::collections::HashSet;
use std::time::Duration;

use clickhouse::{Row, RowOwned, RowWrite};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Store, StoreError, Table, quoted};
use crate::ids::{ConditionId, TokenId};
#[cfg(doc)]
use crate::proof::Evidence;
use crate::proof::Mapping;
use crate::source::Source;

/// A mapping as it is staged.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct StagedRow {
    /// The token.
    pub token_id: TokenId,
    /// Its condition.
    pub condition_id_norm: ConditionId,
    /// Its outcome index, 0 or 1.
    pub outcome_index: u8,
    /// The label that its source gives it, empty where it gives none.
    pub outcome_label: String,
    /// The source, as [`Source::label`].
    pub source: String,
    /// When it was learned, in seconds since 1970; kept when an insert is repeated.
    pub fetched_at: u32,
    /// The name of the collateral that the row was proven with, empty for tokens of the second generation.
    pub collateral: String,
    /// Why it is believed, as [`Evidence::name`].
    pub evidence: &'static str,
}

impl StagedRow {
    /// The row of a mapping that `source` gave.
    pub fn of(mapping: Mapping, source: Source, fetched_at: u32) -> Self {
        Self {
            token_id: mapping.token,
            condition_id_norm: mapping.condition,
            outcome_index: mapping.outcome_index,
            outcome_label: mapping.label,
            source: source.label().to_owned(),
            fetched_at,
            collateral: mapping.collateral,
            evidence: mapping.evidence.name(),
        }
    }
}

/// A token that a source answered for without knowing it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct NotFoundRow {
    /// The track.
    pub track: &'static str,
    /// The token.
    pub token_id: TokenId,
    /// When, in seconds since 1970.
    pub asked_at: u32,
}

/// A claim that has no proof.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct RejectedRow {
    /// The track.
    pub track: &'static str,
    /// The token.
    pub token_id: TokenId,
    /// The condition that was claimed, as the answer spelled it.
    pub claimed_condition: String,
    /// The index that was claimed, empty where none was.
    pub claimed_index: String,
    /// The label that was claimed.
    pub claimed_label: String,
    /// Why it was not believed.
    pub reason: String,
    /// When, in seconds since 1970.
    pub rejected_at: u32,
}

/// How a track's workload stands, by the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Deserialize)]
pub struct WorkloadCounts {
    /// Tokens in the workload.
    pub total: u64,
    /// Staged by any source.
    pub resolved: u64,
    /// Answered last without being known.
    pub not_found: u64,
    /// Answered last without a proof.
    pub rejected: u64,
    /// Distinct tokens staged by this track, whether in its workload or not.
    pub inserted: u64,
    /// Of them, those in its workload.
    pub inserted_of_own: u64,
}

/// Rows of an insert, and what makes repeating it harmless: a hash of exactly these rows. The server drops a second
/// insert under the same token, which an insert whose answer was lost needs, and *different* rows must never share.
fn deduplication_token<T: Serialize>(rows: &[T]) -> Result<String, serde_json::Error> {
    let mut hash = Sha256::new();
    let mut text = Vec::new();
    for row in rows {
        text.clear();
        serde_json::to_writer(&mut text, row)?;
        hash.update(&text);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Store {
    /// Creates the staging database and every table in it that is missing, and adds what tables from an older system
    /// lack.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_staging(&self) -> Result<(), StoreError> {
        let doing = "creating the staging tables";
        let database = quoted(&self.names().staging);
        self.run(doing, self.query(&format!("CREATE DATABASE IF NOT EXISTS {database}"))).await?;
        // The window makes the server remember the last inserts, so that one whose answer was lost can be repeated.
        let remembered = "SETTINGS non_replicated_deduplication_window = 1000";
        for source in Source::ALL {
            let (table, label) = (self.staging_table(&source.staging_table()), source.label());
            let create = format!(
                "CREATE TABLE IF NOT EXISTS {table} (token_id String, condition_id_norm String, outcome_index UInt8, \
                 outcome_label String, source String DEFAULT '{label}', fetched_at DateTime DEFAULT now(), \
                 collateral LowCardinality(String) DEFAULT '', \
                 evidence LowCardinality(String) DEFAULT if(collateral = '', '', 'proven')) \
                 ENGINE = ReplacingMergeTree(fetched_at) ORDER BY token_id {remembered}"
            );
            self.run(doing, self.query(&create)).await?;
            let add = format!(
                "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS collateral LowCardinality(String) DEFAULT '', \
                 ADD COLUMN IF NOT EXISTS evidence LowCardinality(String) DEFAULT if(collateral = '', '', 'proven')"
            );
            self.run(doing, self.query(&add)).await?;
        }
        self.create_token_facts().await?;
        let not_found = self.staging_table("not_found");
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {not_found} (track LowCardinality(String), token_id String, asked_at DateTime) \
             ENGINE = ReplacingMergeTree(asked_at) ORDER BY (track, token_id) {remembered}"
        );
        self.run(doing, self.query(&create)).await?;
        let rejected = self.staging_table("rejected_mappings");
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {rejected} (track LowCardinality(String), token_id String, \
             claimed_condition String, claimed_index String, claimed_label String, reason String, \
             rejected_at DateTime) \
             ENGINE = ReplacingMergeTree(rejected_at) ORDER BY (track, token_id, claimed_condition) {remembered}"
        );
        self.run(doing, self.query(&create)).await
    }

    /// Empties everything that the tracks have staged or learned. `TRUNCATE`, never `DELETE`: after a delete the
    /// server would still remember the old inserts and drop the same rows when they come again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset_staging(&self) -> Result<(), StoreError> {
        let tables = Source::ALL.map(Source::staging_table);
        for name in tables.iter().map(String::as_str).chain(["not_found", "rejected_mappings", "token_facts"])
        {
            let table = self.staging_table(name);
            self.run("emptying the staging tables", self.query(&format!("TRUNCATE TABLE {table}"))).await?;
        }
        Ok(())
    }

    /// Inserts `rows` into a table of ours, acknowledged when it returns. Repeating it with the same rows leaves no
    /// second copy.
    ///
    /// # Errors
    /// [`StoreError`]; whether the rows were written is unknown then.
    pub async fn insert<T>(&self, table: &Table, track: &str, rows: &[T]) -> Result<(), StoreError>
    where
        T: RowOwned + RowWrite + Serialize,
    {
        let doing = format!("writing {} rows to {}", rows.len(), table.plain());
        let failed = |source| self.failed(&doing, source);
        let token = deduplication_token(rows)
            .map_err(|error| failed(clickhouse::error::Error::Custom(error.to_string())))?;
        let query_id = format!("{}-{}", self.insert_prefix(track), &token[..24]);
        let limit = self.query_limit;
        let insert = async {
            let mut insert = self
                .client_in(&table.database)
                .insert::<T>(&table.name)
                .await?
                .with_timeouts(Some(Duration::from_secs(60)), Some(limit))
                .with_setting("insert_deduplicate", "1")
                .with_setting("insert_deduplication_token", token.as_str())
                .with_setting("query_id", query_id)
                // The same id may still be at work for a copy of this insert whose answer was lost.
                .with_setting("replace_running_query", "1");
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        insert.await.map_err(failed)
    }

    fn insert_prefix(&self, track: &str) -> String {
        format!("backfill-{}-{track}", self.names().staging)
    }

    /// Ends inserts of this track that a killed process left running, so that what is read next is final.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_orphaned_inserts(&self, track: &str) -> Result<(), StoreError> {
        let query = self
            .query("KILL QUERY WHERE startsWith(query_id, {prefix:String}) SYNC")
            .param("prefix", format!("{}-", self.insert_prefix(track)));
        self.run("ending inserts of a process that is gone", query).await
    }

    /// The fingerprints ([`TokenId::fingerprint`]) of every token that a source has staged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn staged_fingerprints(&self, source: Source) -> Result<Vec<u128>, StoreError> {
        let table = self.staging_table(&source.staging_table());
        let sql = format!(
            "SELECT {} FROM {table} WHERE {}",
            super::sql::fingerprint("token_id"),
            super::sql::well_formed_token("token_id")
        );
        self.rows("reading what is staged", self.query(&sql)).await
    }

    /// The fingerprints ([`TokenId::fingerprint`]) of every token that a source has claimed without a proof since a moment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rejected_fingerprints(
        &self,
        source: Source,
        since: jiff::Timestamp,
    ) -> Result<Vec<u128>, StoreError> {
        let table = self.staging_table("rejected_mappings");
        let sql = format!(
            "SELECT DISTINCT {} FROM {table} \
             WHERE track = {{track:String}} AND rejected_at >= {{since:UInt32}}",
            super::sql::fingerprint("token_id")
        );
        let since = u32::try_from(since.as_second()).unwrap_or_default();
        let query = self.query(&sql).param("track", source.name()).param("since", since);
        self.rows("reading what had no proof", query).await
    }

    /// Makes what is missing for these tracks where `setup` has run before there was such a source: its staging table,
    /// and an empty workload.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn complete_staging(&self, sources: &[Source]) -> Result<(), StoreError> {
        let doing = "reading which staging tables there are";
        let query = self
            .query("SELECT name FROM system.tables WHERE database = {database:String}")
            .param("database", &self.names().staging);
        let tables: HashSet<String> = self.rows(doing, query).await?.into_iter().collect();
        let has = |name: String| tables.contains(&name);
        let staging = Source::ALL.iter().filter(|source| has(source.staging_table())).count();
        if staging > 0 && (staging < Source::ALL.len() || !self.staging_has_evidence().await?) {
            self.create_staging().await?;
        }
        if has("unmapped_tokens".to_owned()) {
            for source in sources.iter().filter(|source| !has(source.workload_table())) {
                self.make_workload(*source).await?;
            }
        }
        Ok(())
    }

    /// Whether every staging table has the column that says why a row is believed: older versions made none.
    async fn staging_has_evidence(&self) -> Result<bool, StoreError> {
        let names: Vec<String> =
            Source::ALL.iter().map(|source| format!("'{}'", source.staging_table())).collect();
        let sql = format!(
            "SELECT count() FROM system.columns WHERE database = {{database:String}} AND name = 'evidence' \
             AND table IN ({})",
            names.join(", ")
        );
        let query = self.query(&sql).param("database", &self.names().staging);
        let count: u64 = self.one("reading the staging tables' columns", query).await?;
        Ok(count == Source::ALL.len() as u64)
    }

    /// How a track's workload stands by what this track was answered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workload_counts(&self, source: Source) -> Result<WorkloadCounts, StoreError> {
        self.workload_counts_by(source, &[source]).await
    }

    /// How a track's workload stands by what any of the tracks `by` was answered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workload_counts_by(
        &self,
        source: Source,
        by: &[Source],
    ) -> Result<WorkloadCounts, StoreError> {
        let workload = self.staging_table(&source.workload_table());
        let own = self.staging_table(&source.staging_table());
        let staged = self.all_staged_tokens();
        // What is no token id no source could know: a workload that was filled by hand may hold some.
        let token = super::sql::well_formed_token("asset_id");
        let by: Vec<String> = by.iter().map(|track| format!("'{}'", track.name())).collect();
        let [not_found, rejected] =
            self.answers_without_mapping("token_id, {at} AS at", &format!("track IN ({})", by.join(", ")));
        let sql = format!(
            "SELECT count() AS total, countIf(staged) AS resolved, \
                    countIf(NOT staged AND state = 1) AS not_found, countIf(NOT staged AND state = 2) AS rejected, \
                    ifNull((SELECT uniqExact(token_id) FROM {own}), 0) AS inserted, \
                    countIf(own) AS inserted_of_own \
             FROM (SELECT DISTINCT asset_id, asset_id IN ({staged}) AS staged, \
                          asset_id IN (SELECT token_id FROM {own}) AS own FROM {workload} WHERE {token}) AS w \
             LEFT ANY JOIN (SELECT token_id, argMax(state, (at, state)) AS state FROM \
                (SELECT token_id, toUInt8(1) AS state, at FROM ({not_found}) \
                 UNION ALL SELECT token_id, toUInt8(2), at FROM ({rejected})) \
                GROUP BY token_id) AS answers ON w.asset_id = answers.token_id \
             SETTINGS join_use_nulls = 0"
        );
        self.one("counting what the track has done", self.query(&sql)).await
    }
}
