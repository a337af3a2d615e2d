//! Staging into production: what each source has, where they disagree, and one insert that can be repeated.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::{condition_norm, mirror_spelling, usable_map, usable_row, well_formed_token};
use super::{Store, StoreError, Table};
use crate::ids::{ConditionId, TokenId};
use crate::proof::{Evidence, KnownConditions, ProofPolicy, Prover};
use crate::source::Source;

/// The candidates of a merge: one row a token, proven. Lives only while a merge runs.
const CANDIDATES: &str = "backfill_tmp_candidates";

/// Rows that are written to a temporary table at once.
const CHUNK: usize = 50_000;

/// What the sources have staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Distinct tokens by source in use, in the order of precedence.
    pub by_source: Vec<(Source, u64)>,
    /// Tokens that more than one source has.
    pub overlapping: u64,
    /// Tokens about which two sources disagree.
    pub conflicting: u64,
    /// Some of those, for a person to look at.
    pub conflicts: Vec<Conflict>,
}

/// Two sources that disagree about a token.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Conflict {
    /// The token.
    pub token_id: String,
    /// What each claims, as `source: condition/index`.
    pub claims: Vec<String>,
}

/// What a merge's candidates came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProofCounts {
    /// Tokens with a mapping that a hash proves.
    pub proven: u64,
    /// Tokens that are mirrors of a known condition.
    pub mirror: u64,
    /// Tokens whose mapping stands in their own bits.
    pub structural: u64,
    /// Tokens with staged rows none of which can be believed: not merged.
    pub refused: u64,
}

impl ProofCounts {
    fn add(&mut self, evidence: Evidence) {
        *match evidence {
            Evidence::Proven => &mut self.proven,
            Evidence::Mirror => &mut self.mirror,
            Evidence::Structural => &mut self.structural,
        } += 1;
    }
}

#[derive(Row, Deserialize)]
struct StagedText {
    token_id: String,
    condition_id: String,
    outcome_index: u8,
    outcome_label: String,
    source: String,
}

#[derive(Row, serde::Serialize)]
struct Candidate {
    token_id: TokenId,
    condition_id_norm: ConditionId,
    outcome_index: u8,
    outcome_label: String,
    source: String,
    evidence: &'static str,
}

impl Store {
    pub(super) fn all_staged(&self) -> String {
        let table = |(rank, source): (usize, Source)| {
            let staged = self.staging_table(&source.staging_table());
            let (token, condition) = (well_formed_token("token_id"), condition_norm("condition_id_norm"));
            format!(
                "SELECT token_id, {condition} AS condition_id, outcome_index, \
                        toValidUTF8(outcome_label) AS outcome_label, toValidUTF8(source) AS source, \
                        toUInt8({rank}) AS rank, '{}' AS track \
                 FROM {staged} WHERE {token}",
                source.name()
            )
        };
        Source::ALL.into_iter().enumerate().map(table).collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// Counts what is staged, where it overlaps and where it disagrees.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn staged(&self) -> Result<Staged, StoreError> {
        let doing = "comparing the staging tables";
        let mut by_source = Vec::new();
        for source in Source::ALL {
            let table = self.staging_table(&source.staging_table());
            self.require(&table, "STAGING_DATABASE (has `backfill setup` run?)", &["token_id"]).await?;
            let sql =
                format!("SELECT uniqExact(token_id) FROM {table} WHERE {}", well_formed_token("token_id"));
            let count: u64 = self.one(doing, self.query(&sql)).await?;
            // A source that no track asks and that has nothing is not worth a line.
            let workload = self.staging_table(&source.workload_table());
            if count > 0 || source == Source::Derived || self.columns(&workload).await?.is_some() {
                by_source.push((source, count));
            }
        }
        // Both spellings of a condition are one claim.
        let all =
            format!("SELECT *, {} AS mirrored FROM ({})", mirror_spelling("condition_id"), self.all_staged());
        let disagree = "(uniqExact(mirrored, outcome_index) > 1 OR uniqExactIf(condition_id, condition_id != mirrored) > 1)";
        let sql = format!(
            "SELECT countIf(tracks > 1), countIf(disagree) FROM (SELECT token_id, uniqExact(rank) AS tracks, \
             {disagree} AS disagree FROM ({all}) GROUP BY token_id)"
        );
        let (overlapping, conflicting) = self.one::<(u64, u64)>(doing, self.query(&sql)).await?;
        let sql = format!(
            "SELECT token_id, arraySort(groupUniqArray(concat(track, ': ', condition_id, '/', toString(outcome_index)))) \
             AS claims FROM ({all}) GROUP BY token_id HAVING {disagree} \
             ORDER BY token_id LIMIT 20"
        );
        let conflicts = self.rows(doing, self.query(&sql)).await?;
        Ok(Staged { by_source, overlapping, conflicting, conflicts })
    }

    /// Proves every staged mapping of a token that the map does not have yet, and writes the believable ones to a
    /// temporary table: each token once, each field from the first source that has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prove_candidates(&self, policy: &ProofPolicy) -> Result<ProofCounts, StoreError> {
        let doing = "proving what is staged";
        let candidates = self.staging_table(CANDIDATES);
        self.drop_candidates().await?;
        let create = format!(
            "CREATE TABLE {candidates} (token_id String, condition_id_norm String, outcome_index UInt8, \
             outcome_label String, source String, evidence String) ENGINE = MergeTree ORDER BY token_id"
        );
        self.run(doing, self.query(&create)).await?;
        let (all, map) = (self.all_staged(), usable_map(self.names()));
        let sql = format!(
            "SELECT token_id, condition_id, outcome_index, outcome_label, source FROM ({all}) \
             WHERE token_id GLOBAL NOT IN (SELECT token_id FROM {map}) \
             ORDER BY token_id, rank, condition_id, outcome_index, outcome_label"
        );
        let failed = |source| StoreError::Query { doing: doing.to_owned(), source };
        let mut cursor = self.query(&sql).fetch::<StagedText>().map_err(failed)?;
        let nothing = KnownConditions::default();
        let prover = policy.prover(&nothing);
        let (mut counts, mut group, mut chunk) =
            (ProofCounts::default(), Vec::<StagedText>::new(), Vec::new());
        loop {
            let row = tokio::time::timeout(self.query_limit, cursor.next());
            let row = row
                .await
                .map_err(|_| StoreError::NoAnswer { doing: doing.to_owned(), limit: self.query_limit })?
                .map_err(failed)?;
            let same =
                matches!((&row, group.first()), (Some(row), Some(first)) if row.token_id == first.token_id);
            if !same && !group.is_empty() {
                chunk.extend(candidate(&group, prover, &mut counts));
                group.clear();
            }
            if chunk.len() >= CHUNK || (row.is_none() && !chunk.is_empty()) {
                self.insert(&candidates, "merge", &chunk).await?;
                chunk.clear();
            }
            match row {
                Some(row) => group.push(row),
                None => return Ok(counts),
            }
        }
    }

    /// Drops the temporary table, also one that a crashed merge has left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_candidates(&self) -> Result<(), StoreError> {
        let candidates = self.staging_table(CANDIDATES);
        self.run("clearing up", self.query(&format!("DROP TABLE IF EXISTS {candidates} SYNC"))).await
    }

    /// Inserts the candidates into the map in one statement, those whose token has a usable row by now left out, so
    /// that repeating it adds nothing.
    ///
    /// A token of which the map has only broken rows gets a `fetched_at` above the largest of them: in a
    /// `ReplacingMergeTree` the newest row survives, and of equals the last written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn merge_candidates(&self) -> Result<(), StoreError> {
        let (map, candidates) = (&self.names().token_map, self.staging_table(CANDIDATES));
        let columns = self.require(map, "TOKEN_MAP_TABLE", &["token_id"]).await?;
        let has = |name: &str| columns.iter().any(|column| column.name == name);
        let mut targets = vec!["token_id", "condition_id_norm", "outcome_index"];
        let mut values = vec!["token_id", "condition_id_norm", "outcome_index"];
        for name in ["outcome_label", "source", "evidence"] {
            if has(name) {
                targets.push(name);
                values.push(name);
            }
        }
        if has("fetched_at") {
            targets.push("fetched_at");
            values
                .push("greatest(toUInt64(toUnixTimestamp(now())), least(toUInt64(newest) + 1, 4294967295))");
        }
        // The newest of all rows of the token, broken ones above all.
        let newest = if has("fetched_at") {
            format!(
                "(SELECT token_id, max(toUnixTimestamp(toDateTime(fetched_at))) AS newest FROM {map} GROUP BY token_id)"
            )
        } else {
            "(SELECT '' AS token_id, toUInt32(0) AS newest)".to_owned()
        };
        let usable = usable_map(self.names());
        let (targets, values) = (targets.join(", "), values.join(", "));
        let sql = format!(
            "INSERT INTO {map} ({targets}) SELECT {values} FROM (SELECT * FROM {candidates} \
               WHERE token_id GLOBAL NOT IN (SELECT token_id FROM {usable})) AS c \
             GLOBAL LEFT ANY JOIN {newest} AS n ON c.token_id = n.token_id \
             SETTINGS join_use_nulls = 0"
        );
        self.run("merging into the map", self.query(&sql)).await
    }

    /// Whether rows of a table may be replaced by others of the same key: not in a plain `MergeTree`. Of what is not
    /// known, as a `Distributed` table, it is assumed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn replaces(&self, table: &Table) -> Result<bool, StoreError> {
        let engine = self.engine(table).await?;
        Ok(!engine.is_some_and(|engine| engine.ends_with("MergeTree") && !engine.contains("Replacing")))
    }

    /// Whether rows of a table can be deleted: it is no view of others, as a `Distributed` table is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn is_merge_tree(&self, table: &Table) -> Result<bool, StoreError> {
        Ok(self.engine(table).await?.is_some_and(|engine| engine.ends_with("MergeTree")))
    }

    async fn engine(&self, table: &Table) -> Result<Option<String>, StoreError> {
        let query = self
            .query("SELECT engine FROM system.tables WHERE database = {database:String} AND name = {table:String}")
            .param("database", &table.database)
            .param("table", &table.name);
        let engines: Vec<String> = self.rows("reading the tables' engines", query).await?;
        Ok(engines.into_iter().next())
    }

    /// Writes again, with a `fetched_at` above the largest of their token, the usable rows of the map that a broken row
    /// of the same token would replace: one that is newer, or as new. A table that replaces nothing needs none of that.
    /// What it wrote is the newest from then on, so that repeating it adds nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reassert_outranked(&self) -> Result<(), StoreError> {
        let doing = "re-asserting rows of the map";
        let (map, usable) = (&self.names().token_map, usable_row());
        let Some(outranked) = self.outranked().await? else { return Ok(()) };
        // A DateTime ends in 2106: a token whose broken row is dated there gets a tie once, which the last written wins.
        let sql = format!(
            "INSERT INTO {map} SELECT * EXCEPT (newest) REPLACE (least(toUInt64(newest) + 1, 4294967295) AS fetched_at) \
             FROM (SELECT m.*, o.newest AS newest FROM (SELECT * FROM {map} WHERE {usable}) AS m \
               GLOBAL INNER JOIN ({outranked}) AS o \
               USING (token_id) ORDER BY token_id, m.fetched_at DESC LIMIT 1 BY token_id) \
             SETTINGS join_use_nulls = 0"
        );
        self.run(doing, self.query(&sql)).await
    }

    /// How many tokens [`Store::reassert_outranked`] would write again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outranked_tokens(&self) -> Result<u64, StoreError> {
        let Some(outranked) = self.outranked().await? else { return Ok(0) };
        self.one("reading the map", self.query(&format!("SELECT count() FROM ({outranked})"))).await
    }

    /// What selects the tokens whose good row a broken one would replace; `None` where the map replaces nothing.
    async fn outranked(&self) -> Result<Option<String>, StoreError> {
        let (map, usable) = (&self.names().token_map, usable_row());
        let columns = self.require(map, "TOKEN_MAP_TABLE", &["token_id"]).await?;
        if columns.iter().all(|column| column.name != "fetched_at") || !self.replaces(map).await? {
            return Ok(None);
        }
        Ok(Some(format!(
            "SELECT token_id, max(at) AS newest FROM \
               (SELECT token_id, toUnixTimestamp(toDateTime(fetched_at)) AS at, {usable} AS good, \
                       {condition} AS condition, outcome_index AS index FROM {map}) \
             GROUP BY token_id HAVING uniqExactIf((condition, index), good) = 1 AND countIf(NOT good) > 0 \
               AND maxIf(at, NOT good) >= maxIf(at, good) AND maxIf(at, good) < 4294967295",
            condition = condition_norm("condition_id_norm"),
        )))
    }

    /// Tokens with two usable rows where one would do, as counted: a plain `MergeTree` keeps them all, and so does a
    /// `ReplacingMergeTree` until it merges. A token with broken rows is left out: there the second one is what
    /// outlives the broken ones ([`Store::reassert_outranked`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn duplicated_tokens(&self) -> Result<u64, StoreError> {
        let (usable, row, map) = (usable_map(self.names()), usable_row(), &self.names().token_map);
        let sql = format!(
            "SELECT countIf(usable_rows > 1) FROM {usable} \
             WHERE token_id GLOBAL NOT IN (SELECT token_id FROM {map} WHERE NOT {row})"
        );
        self.one("counting duplicates", self.query(&sql)).await
    }

    /// The table of a merge's candidates, for counting in a dry run.
    pub fn candidates(&self) -> Table {
        self.staging_table(CANDIDATES)
    }

    /// How many tokens a merge would add.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn candidate_count(&self) -> Result<u64, StoreError> {
        let sql = format!("SELECT count() FROM {}", self.candidates());
        self.one("counting the candidates", self.query(&sql)).await
    }
}

/// Makes one candidate of all staged rows of a token, which come in the order of precedence; none where no row can be
/// believed. Somebody may have filled staging by hand: what it says of itself proves nothing.
fn candidate(rows: &[StagedText], prover: Prover<'_, '_>, counts: &mut ProofCounts) -> Option<Candidate> {
    let token: TokenId = rows.first()?.token_id.parse().ok()?;
    let claims: Vec<(&StagedText, ConditionId)> =
        rows.iter().filter_map(|row| Some((row, row.condition_id.parse().ok()?))).collect();
    let choice = prover.choose(token, claims.iter().map(|(row, condition)| (condition, row.outcome_index)));
    // The bits of a token win over every claim, but without one that agrees nobody has named it.
    let chosen = choice.ok().and_then(|choice| Some((claims.get(choice.place?)?, choice.proof)));
    let Some(((row, _), proof)) = chosen else {
        counts.refused += 1;
        return None;
    };
    counts.add(proof.evidence);
    let label = claims.iter().find(|(other, condition)| {
        // A label stays with its token, but a row of another condition speaks of another market.
        !other.outcome_label.is_empty()
            && (other.condition_id == row.condition_id || condition.is_same_as(&proof.condition))
    });
    let source = match label {
        Some((label, _)) if label.source != row.source => format!("{}+{}", row.source, label.source),
        _ => row.source.clone(),
    };
    Some(Candidate {
        token_id: token,
        condition_id_norm: proof.condition,
        outcome_index: proof.outcome_index,
        outcome_label: label.map(|(label, _)| label.outcome_label.clone()).unwrap_or_default(),
        source: proof.evidence.marked(&source),
        evidence: proof.evidence.name(),
    })
}
