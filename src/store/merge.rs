//! Staging into production: what each source has, where they disagree, and one insert that can be repeated.

use clickhouse::Row;
use serde::Deserialize;

use super::conditions::Stream;
use super::input::{InputTable, Kind, Target};
use super::map_row::{MapRow, Values};
use super::sql::{condition_norm, mirror_spelling, usable_map_among, well_formed_token};
use super::{Store, StoreError, Table};
use crate::ids::{ConditionId, TokenId};
use crate::parallel::on_all_cores;
use crate::pnl::labels::is_misplaced;
use crate::proof::{Evidence, KnownConditions, ProofPolicy, Prover};
use crate::source::Source;

/// The candidates of a merge: one row a token, proven. Lives only while a merge runs.
const CANDIDATES: &str = "backfill_tmp_candidates";

/// So many examples are shown of what sources disagree about.
pub(super) const SHOWN: usize = 20;

/// Rows that are written to a temporary table at once.
const CHUNK: usize = 50_000;

/// What the sources have staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Distinct tokens by source in use, in the order of precedence.
    pub by_source: Vec<(Source, u64)>,
    /// Distinct tokens of all sources together.
    pub tokens: u64,
    /// Tokens that more than one source has.
    pub overlapping: u64,
    /// Tokens about which two sources disagree.
    pub conflicting: u64,
    /// Some of those, for a person to look at.
    pub conflicts: Vec<Conflict>,
    /// Tokens that two sources give different labels; the first in precedence counts.
    pub label_conflicting: u64,
    /// Some of those, each claim as `source: label`.
    pub label_conflicts: Vec<Conflict>,
}

/// Two sources that disagree about a token.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Conflict {
    /// The token.
    pub token_id: String,
    /// What each claims, as `source: condition/index`, or `source: label`, or `source: label, index`.
    pub claims: Vec<String>,
}

/// What a merge's candidates came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProofCounts {
    /// Tokens with a mapping that a hash proves.
    pub proven: u64,
    /// Tokens that are mirrors of a known condition.
    pub mirror: u64,
    /// Tokens whose mapping stands in their own bits.
    pub structural: u64,
    /// Tokens with staged rows none of which can be believed: not merged.
    pub refused: u64,
    /// Tokens with a label that contradicts its place ("Yes" of index 1), which was not taken.
    pub misplaced_labels: u64,
    /// Some of those, each claim as `source: label, index`.
    pub misplaced: Vec<Conflict>,
}

impl ProofCounts {
    fn add(&mut self, told: Told) {
        match told.evidence {
            Some(Evidence::Proven) => self.proven += 1,
            Some(Evidence::Mirror) => self.mirror += 1,
            Some(Evidence::Structural) => self.structural += 1,
            None => self.refused += 1,
        }
        if let Some(conflict) = told.misplaced {
            self.misplaced_labels += 1;
            if self.misplaced.len() < SHOWN {
                self.misplaced.push(conflict);
            }
        }
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
        self.all_staged_among("true")
    }

    /// The same of the rows for which `among` is true, a condition on `token_id`, by which the tables are ordered.
    fn all_staged_among(&self, among: &str) -> String {
        let table = |(rank, source): (usize, Source)| {
            let staged = self.staging_table(&source.staging_table());
            let (token, condition) = (well_formed_token("token_id"), condition_norm("condition_id_norm"));
            format!(
                "SELECT token_id, {condition} AS condition_id, outcome_index, \
                        toValidUTF8(outcome_label) AS outcome_label, toValidUTF8(source) AS source, \
                        toUInt8({rank}) AS rank, '{}' AS track \
                 FROM {staged} WHERE {among} AND {token}",
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
            "SELECT count(), countIf(tracks > 1), countIf(disagree) FROM (SELECT token_id, uniqExact(rank) AS tracks, \
             {disagree} AS disagree FROM ({all}) GROUP BY token_id)"
        );
        let (tokens, overlapping, conflicting) = self.one::<(u64, u64, u64)>(doing, self.query(&sql)).await?;
        let sql = format!(
            "SELECT token_id, arraySort(groupUniqArray(concat(track, ': ', condition_id, '/', toString(outcome_index)))) \
             AS claims FROM ({all}) GROUP BY token_id HAVING {disagree} \
             ORDER BY token_id LIMIT {SHOWN}"
        );
        let conflicts = self.rows(doing, self.query(&sql)).await?;
        let differ = format!(
            "SELECT token_id, arraySort(groupUniqArray(concat(track, ': ', outcome_label))) AS claims FROM ({all}) \
             WHERE outcome_label != '' GROUP BY token_id HAVING uniqExact(lowerUTF8(normalizeUTF8NFC(trimBoth(outcome_label)))) > 1"
        );
        let count = format!("SELECT count() FROM ({differ})");
        let label_conflicting: u64 = self.one(doing, self.query(&count)).await?;
        let label_conflicts =
            self.rows(doing, self.query(&format!("{differ} ORDER BY token_id LIMIT {SHOWN}"))).await?;
        Ok(Staged {
            by_source,
            tokens,
            overlapping,
            conflicting,
            conflicts,
            label_conflicting,
            label_conflicts,
        })
    }

    /// Proves every staged mapping of a token that the map does not have yet, and writes the believable ones to a
    /// temporary table: each token once, each field from the first source that has it. Of the tokens of a table `only`,
    /// where one is given: then what it costs depends on these alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prove_candidates(
        &self,
        policy: &ProofPolicy,
        only: Option<&Table>,
    ) -> Result<ProofCounts, StoreError> {
        let doing = "proving what is staged";
        let candidates = self.staging_table(CANDIDATES);
        self.drop_candidates().await?;
        let create = format!(
            "CREATE TABLE {candidates} (token_id String, condition_id_norm String, outcome_index UInt8, \
             outcome_label String, source String, evidence String) ENGINE = MergeTree ORDER BY token_id"
        );
        self.run(doing, self.query(&create)).await?;
        let inputs = self.inputs().await?;
        let among = only.map_or_else(|| "true".to_owned(), in_table);
        let (all, map) = (self.all_staged_among(&among), usable_map_among(inputs.map()?, &among));
        let sql = format!(
            "SELECT token_id, condition_id, outcome_index, outcome_label, source FROM ({all}) \
             WHERE token_id GLOBAL NOT IN (SELECT token_id FROM {map}) \
             ORDER BY token_id, rank, condition_id, outcome_index, outcome_label"
        );
        let mut staged = StagedTokens { rows: self.stream(doing, &sql)?, next: None };
        let mut counts = ProofCounts::default();
        let mut tokens = staged.chunk().await?;
        while !tokens.is_empty() {
            // While these are proven and written, the next are read.
            let (next, proven) = tokio::join!(staged.chunk(), self.prove_and_write(tokens, policy));
            proven?.into_iter().for_each(|it| counts.add(it));
            tokens = next?;
        }
        Ok(counts)
    }

    /// Proves the claims about these tokens on all cores, and writes those that are believed to the temporary table.
    async fn prove_and_write(
        &self,
        tokens: Vec<Vec<StagedText>>,
        policy: &ProofPolicy,
    ) -> Result<Vec<Told>, StoreError> {
        let policy = policy.clone();
        let work = move || {
            let nothing = KnownConditions::default();
            let prover = policy.prover(&nothing);
            on_all_cores(&tokens, |claims| candidate(claims, prover))
        };
        let proven = tokio::task::spawn_blocking(work).await;
        let proven = proven.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let (candidates, told): (Vec<_>, Vec<_>) = proven.into_iter().unzip();
        let candidates: Vec<Candidate> = candidates.into_iter().flatten().collect();
        if !candidates.is_empty() {
            self.insert(&self.candidates(), "merge", &candidates).await?;
        }
        Ok(told)
    }

    /// Drops the temporary table, also one that a crashed merge has left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_candidates(&self) -> Result<(), StoreError> {
        let candidates = self.staging_table(CANDIDATES);
        self.run("clearing up", self.query(&format!("DROP TABLE IF EXISTS {candidates} SYNC"))).await
    }

    /// Inserts the candidates into the map, those whose token has a usable row by now left out, so that repeating it adds
    /// nothing. A token of which the map has only broken rows gets a row above the largest of them, by the column that
    /// decides in this engine which row stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn merge_candidates(&self, only: Option<&Table>) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        let among = only.map_or_else(|| "true".to_owned(), in_table);
        let (candidates, usable) = (self.staging_table(CANDIDATES), usable_map_among(map, &among));
        let values = Values {
            token: "c.token_id",
            condition: "c.condition_id_norm",
            index: "c.outcome_index",
            label: "c.outcome_label",
            source: "c.source",
            evidence: Some("c.evidence"),
            newest: "n.newest",
        };
        let row = MapRow::new(map, target, &values);
        let newest = newest_of(map, target, &format!("SELECT token_id FROM {candidates}"));
        // Where a version only counts, a token's first row has the column's own default.
        let parts: &[(bool, &str)] = if row.has_own_version() {
            &[(true, "WHERE NOT n.has"), (false, "WHERE n.has")]
        } else {
            &[(false, "")]
        };
        for (fresh, which) in parts {
            let (columns, values) = row.columns_and_values(*fresh);
            let sql = format!(
                "INSERT INTO {table} ({columns}) SELECT {values} FROM (SELECT * FROM {candidates} \
                   WHERE token_id GLOBAL NOT IN (SELECT token_id FROM {usable})) AS c \
                 GLOBAL LEFT ANY JOIN ({newest}) AS n ON c.token_id = n.token_id {which} \
                 SETTINGS join_use_nulls = 0, insert_deduplicate = 0",
                table = target.table,
            );
            self.run("merging into the map", self.query(&sql)).await?;
        }
        Ok(())
    }

    /// Checks what the candidates hold against what the map can hold, before anything is written to it.
    ///
    /// # Errors
    /// The column in which a row cannot be put above others, or an Enum that lacks values.
    pub async fn check_candidates(&self) -> Result<(), StoreError> {
        let candidates = self.staging_table(CANDIDATES);
        self.check_versions(&[format!("SELECT token_id FROM {candidates}")]).await?;
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        for ours in ["outcome_label", "source"] {
            let Some(used) = map.column(ours) else { continue };
            let Kind::Enum(names) = &used.of.kind else { continue };
            if used.of.nullable || names.iter().any(String::is_empty) {
                continue;
            }
            let sql = format!("SELECT DISTINCT {ours} FROM {candidates} ORDER BY {ours} LIMIT 1000");
            let values: Vec<String> = self.rows("reading the candidates' labels", self.query(&sql)).await?;
            let missing: Vec<String> = (values.iter().filter(|value| !names.contains(value)).take(5))
                .map(|value| format!("'{value}'"))
                .collect();
            if !missing.is_empty() {
                return Err(StoreError::NoEnumValue {
                    table: target.table.plain(),
                    column: used.theirs.name.clone(),
                    values: missing.join(", "),
                });
            }
        }
        Ok(())
    }

    /// Checks that every candidate has a usable row in the map by now.
    ///
    /// # Errors
    /// [`StoreError::SumsDisagree`], with both numbers.
    pub async fn check_merged(&self, only: Option<&Table>) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let among = only.map_or_else(|| "true".to_owned(), in_table);
        let sql = format!(
            "SELECT count(), countIf(token_id GLOBAL IN (SELECT token_id FROM {})) FROM {}",
            usable_map_among(inputs.map()?, &among),
            self.candidates()
        );
        let (written, found): (u64, u64) = self.one("counting what was merged", self.query(&sql)).await?;
        match written == found {
            true => Ok(()),
            false => Err(StoreError::SumsDisagree {
                what: "tokens merged, and of them in the map afterwards",
                one: written,
                other: found,
            }),
        }
    }

    /// Checks that rows of the map can be deleted, as repairs and label fills do.
    ///
    /// # Errors
    /// [`StoreError::NotMutable`].
    pub async fn check_mutable(&self) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        match target.is_merge_tree {
            true => Ok(()),
            false => Err(StoreError::NotMutable { table: target.table.plain(), engine: map.engine.clone() }),
        }
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

/// Whether `token_id` is one of a table's.
pub(super) fn in_table(table: &Table) -> String {
    format!("token_id GLOBAL IN (SELECT token_id FROM {table})")
}

/// A sub-query of the largest version that each token of `tokens` has in the map; of no token where nothing decides which
/// row stays.
pub(super) fn newest_of(map: &InputTable, target: &Target, tokens: &str) -> String {
    let token = map.raw("token_id", "''");
    match &target.version {
        Some(version) => format!(
            "SELECT {token} AS token_id, max({}) AS newest, true AS has FROM {} WHERE {token} GLOBAL IN ({tokens}) GROUP BY token_id",
            version.column(),
            target.table
        ),
        None => "SELECT '' AS token_id, toUInt32(0) AS newest, false AS has WHERE false".to_owned(),
    }
}

/// Makes one candidate of all staged rows of a token, which come in the order of precedence; none where no row can be
/// believed. Somebody may have filled staging by hand: what it says of itself proves nothing.
/// What is staged, token by token.
struct StagedTokens {
    rows: Stream<StagedText>,
    /// The first row of the token behind those that were given.
    next: Option<StagedText>,
}

impl StagedTokens {
    /// The claims about the next [`CHUNK`] tokens, each token's together; none behind the last.
    async fn chunk(&mut self) -> Result<Vec<Vec<StagedText>>, StoreError> {
        let mut tokens: Vec<Vec<StagedText>> = self.next.take().map(|row| vec![row]).into_iter().collect();
        while let Some(row) = self.rows.next().await? {
            let is_full = tokens.len() >= CHUNK;
            match tokens.last_mut().filter(|claims| claims[0].token_id == row.token_id) {
                Some(claims) => claims.push(row),
                None if is_full => {
                    self.next = Some(row);
                    break;
                }
                None => tokens.push(vec![row]),
            }
        }
        Ok(tokens)
    }
}

/// What became of the claims about a token.
struct Told {
    /// Why one of them is believed, `None` where none is.
    evidence: Option<Evidence>,
    /// Their labels that contradict their place, where there are any.
    misplaced: Option<Conflict>,
}

/// The candidate for the map that the claims about one token make, where one of them can be believed.
fn candidate(rows: &[StagedText], prover: Prover<'_, '_>) -> (Option<Candidate>, Told) {
    let refused = (None, Told { evidence: None, misplaced: None });
    let Some(token) = rows.first().and_then(|row| row.token_id.parse::<TokenId>().ok()) else {
        return refused;
    };
    let claims: Vec<(&StagedText, ConditionId)> =
        rows.iter().filter_map(|row| Some((row, row.condition_id.parse().ok()?))).collect();
    let choice = prover.choose(token, claims.iter().map(|(row, condition)| (condition, row.outcome_index)));
    // The bits of a token win over every claim, but without one that agrees nobody has named it.
    let chosen = choice.ok().and_then(|choice| Some((claims.get(choice.place?)?, choice.proof)));
    let Some(((row, _), proof)) = chosen else { return refused };
    let labelled = |(other, condition): &&(&StagedText, ConditionId)| {
        // A label stays with its token, but a row of another condition speaks of another market.
        !other.outcome_label.is_empty()
            && (other.condition_id == row.condition_id || condition.is_same_as(&proof.condition))
    };
    let misplaced =
        |(other, _): &&(&StagedText, ConditionId)| is_misplaced(&other.outcome_label, proof.outcome_index);
    let contradicting: Vec<String> = (claims.iter().filter(labelled).filter(misplaced))
        .map(|(other, _)| format!("{}: {}, {}", other.source, other.outcome_label, proof.outcome_index))
        .collect();
    let conflict = || Conflict { token_id: token.to_string(), claims: contradicting.clone() };
    let misplaced_labels = (!contradicting.is_empty()).then(conflict);
    let label = claims.iter().filter(labelled).find(|claim| !misplaced(claim));
    let source = match label {
        Some((label, _)) if label.source != row.source => format!("{}+{}", row.source, label.source),
        _ => row.source.clone(),
    };
    let candidate = Candidate {
        token_id: token,
        condition_id_norm: proof.condition,
        outcome_index: proof.outcome_index,
        outcome_label: label.map(|(label, _)| label.outcome_label.clone()).unwrap_or_default(),
        source: proof.evidence.marked(&source),
        evidence: proof.evidence.name(),
    };
    (Some(candidate), Told { evidence: Some(proof.evidence), misplaced: misplaced_labels })
}
