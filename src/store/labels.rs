//! Labels of the map, filled and corrected from a catalogue.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::catalogue::believed;
use super::input::Kind;
use super::map_row::{MapRow, Values};
use super::merge::{Conflict, SHOWN, newest_of};
use super::repair::DELETED;
use super::sql::{condition_norm, mirror_spelling, usable_raw, usable_row};
use super::{Store, StoreError};
use crate::pnl::labels::{is_misplaced, is_same_label};
use crate::source::Source;

/// The labels that are to be written: one row a token. Lives only while a merge runs.
const LABELS: &str = "backfill_tmp_labels";

/// Rows that are written to the temporary table at once.
const CHUNK: usize = 50_000;

/// What a catalogue says of the map's labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelCounts {
    /// Tokens without a label in any usable row, which the catalogue has one for.
    pub filled: u64,
    /// Tokens with a label that the catalogue does not agree with.
    pub corrected: u64,
    /// Some of those, each claim as `map: label` or `source: label`.
    pub corrections: Vec<Conflict>,
}

/// A token of the map whose labels are not all what the catalogue lists.
#[derive(Row, Deserialize)]
struct Listed {
    token_id: String,
    outcome_index: u8,
    labels: Vec<String>,
    listed: String,
}

/// The label that a token is to have.
#[derive(Row, Serialize)]
struct NewLabel {
    token_id: String,
    new_label: String,
    /// 1 where a usable row of the map has it already, beside others.
    present: u8,
}

/// What is kept of a token.
#[derive(Row, Deserialize)]
struct Right {
    token_id: String,
    label: String,
}

impl Store {
    /// Writes to a temporary table which tokens of the map have another label than a catalogue, or none, where the
    /// listing is proven and the map names the same condition and index. A listed label that contradicts its place, or
    /// that the map's column cannot hold, is not taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_labels(&self, source: Source) -> Result<LabelCounts, StoreError> {
        let doing = "looking for labels";
        self.drop_labels().await?;
        let inputs = self.inputs().await?;
        let input = inputs.map()?;
        let (map, labels, catalogue) = (input.from(), self.staging_table(LABELS), self.catalogue(source));
        let (columns, column) = (self.columns(&catalogue).await?, input.column("outcome_label"));
        let (Some(columns), Some(column)) = (columns, column) else { return Ok(LabelCounts::default()) };
        let create = format!(
            "CREATE TABLE {labels} (token_id String, new_label String, present UInt8) ENGINE = MergeTree ORDER BY token_id"
        );
        self.run(doing, self.query(&create)).await?;
        let sql = format!(
            "SELECT m.token_id, m.only_index AS outcome_index, m.labels AS labels, l.listed AS listed FROM \
               (SELECT token_id, any(mirrored) AS only_condition, any(index) AS only_index, \
                       arraySort(groupUniqArray(label)) AS labels \
                FROM (SELECT token_id, {condition} AS condition, {mirror} AS mirrored, toUInt8(outcome_index) AS index, \
                             toValidUTF8(ifNull(toString(outcome_label), '')) AS label FROM {map} WHERE {usable}) \
                GROUP BY token_id HAVING uniqExact(mirrored, index) = 1) AS m \
             GLOBAL INNER JOIN (SELECT token_id, {listed_mirror} AS mirrored, outcome_index, \
                                       argMax(outcome_label, fetched_at) AS listed FROM {catalogue} FINAL \
               WHERE {believed} AND outcome_label != '' AND token_id GLOBAL IN (SELECT token_id FROM {map}) \
               GROUP BY token_id, mirrored, outcome_index) AS l \
             ON m.token_id = l.token_id AND m.only_condition = l.mirrored AND m.only_index = l.outcome_index \
             WHERE m.labels != [l.listed] ORDER BY m.token_id SETTINGS join_use_nulls = 0",
            condition = condition_norm("condition_id_norm"),
            mirror = mirror_spelling("condition"),
            usable = usable_row(),
            listed_mirror = mirror_spelling("condition_id_norm"),
            believed = believed(&columns),
        );
        let holds = |label: &str| match &column.of.kind {
            Kind::Enum(names) => names.iter().any(|name| name == label),
            Kind::Fixed(bytes) => label.len() <= *bytes as usize,
            _ => true,
        };
        let (mut counts, mut chunk) = (LabelCounts::default(), Vec::new());
        let mut rows = self.stream::<Listed>(doing, &sql)?;
        loop {
            let row = rows.next().await?;
            if chunk.len() >= CHUNK || (row.is_none() && !chunk.is_empty()) {
                self.insert(&labels, "merge", &std::mem::take(&mut chunk)).await?;
            }
            let Some(row) = row else { return Ok(counts) };
            if !is_misplaced(&row.listed, row.outcome_index) && holds(&row.listed) {
                chunk.extend(counts.take(row, source));
            }
        }
    }

    /// Writes the labels that were found: a copy of the newest usable row of each token is inserted with its label, above
    /// the largest version that the token has, then the rows with other labels or none are deleted. In this order, so
    /// that no moment is without a row; interrupted in between, the next call ends it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write_labels(&self) -> Result<(), StoreError> {
        let labels = self.staging_table(LABELS);
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        if !map.has("outcome_label") || self.columns(&labels).await?.is_none() {
            return Ok(());
        }
        // Where nothing is replaced, a right row that is there need not be written again to outlive the others.
        let wanted = if target.replaces() { "1" } else { "NOT present" };
        let (token, usable) = (map.raw("token_id", "''"), usable_raw(map));
        let newest = newest_of(map, target, &format!("SELECT token_id FROM {labels}"));
        let kept: Vec<String> = ["token_id", "condition_id_norm", "outcome_index", "source"]
            .iter()
            .filter_map(|ours| map.column(ours))
            .map(|used| super::quoted(&used.theirs.name))
            .collect();
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let values = Values {
            token: "our_token",
            condition: "''",
            index: "0",
            label: "new_label",
            source: "''",
            evidence: None,
            newest: "newest",
        };
        let order =
            target.version.as_ref().map_or_else(String::new, |it| format!(", m.{} DESC", it.column()));
        let sql = format!(
            "INSERT INTO {table} SELECT * EXCEPT (our_token, newest, new_label) REPLACE ({replaced}) \
             FROM (SELECT m.*, w.newest AS newest, w.new_label AS new_label \
               FROM (SELECT *, {token} AS our_token FROM {table} WHERE {usable}) AS m \
               GLOBAL INNER JOIN (SELECT r.token_id AS token_id, r.new_label AS new_label, n.newest AS newest \
                 FROM (SELECT * FROM {labels} WHERE {wanted}) AS r \
                 GLOBAL LEFT ANY JOIN ({newest}) AS n ON r.token_id = n.token_id) AS w ON m.our_token = w.token_id \
               ORDER BY m.our_token{order} LIMIT 1 BY m.our_token) \
             SETTINGS join_use_nulls = 0, insert_deduplicate = 0",
            table = target.table,
            replaced = MapRow::new(map, target, &values).replacements(&kept),
        );
        self.run("writing labels of the map", self.query(&sql)).await?;
        self.delete_other_labels().await
    }

    /// Deletes the usable rows of these tokens that have another label than the one that was written.
    async fn delete_other_labels(&self) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let map = inputs.map()?;
        // Labels are anybody's texts: hexadecimal digits need no escaping.
        let sql = format!("SELECT token_id, hex(new_label) AS label FROM {}", self.staging_table(LABELS));
        let right: Vec<Right> = self.rows("reading which labels were written", self.query(&sql)).await?;
        let others = format!("({}, hex({}))", map.raw("token_id", "''"), map.raw("outcome_label", "''"));
        let chunks = right.len().div_ceil(DELETED);
        for (nth, chunk) in right.chunks(DELETED).enumerate() {
            // Usable rows have well-formed tokens: digits.
            let tokens: Vec<String> = chunk.iter().map(|it| format!("'{}'", it.token_id)).collect();
            let kept: Vec<String> =
                chunk.iter().map(|it| format!("('{}','{}')", it.token_id, it.label)).collect();
            // A table takes only so many mutations at once, and the last one waits for those before it.
            let waits = nth + 1 == chunks || nth % 100 == 99;
            let which = format!("{others} NOT IN ({})", kept.join(","));
            self.delete_usable(&tokens.join(","), &which, waits).await?;
        }
        Ok(())
    }

    /// A sub-query of the tokens whose labels are to be written.
    pub fn labelled_tokens(&self) -> String {
        format!("SELECT token_id FROM {}", self.staging_table(LABELS))
    }

    /// Drops the temporary table, also one that a crashed merge has left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_labels(&self) -> Result<(), StoreError> {
        let labels = self.staging_table(LABELS);
        self.run("clearing up", self.query(&format!("DROP TABLE IF EXISTS {labels} SYNC"))).await
    }
}

impl LabelCounts {
    /// Counts a token; answers the label that its rows are to have, where one of them has another.
    fn take(&mut self, row: Listed, source: Source) -> Option<NewLabel> {
        // What is no text is nobody's label: it was read with other bytes in its place.
        let is_text = |label: &str| !label.contains(char::REPLACEMENT_CHARACTER);
        let right = |label: &&String| is_text(label) && is_same_label(label, &row.listed);
        let wrong: Vec<&String> =
            row.labels.iter().filter(|label| !label.is_empty() && !right(label)).collect();
        if !wrong.is_empty() {
            self.corrected += 1;
            if self.corrections.len() < SHOWN {
                let listed = format!("{}: {}", source.name(), row.listed);
                let claims = wrong.iter().map(|label| format!("map: {label}")).chain([listed]).collect();
                self.corrections.push(Conflict { token_id: row.token_id.clone(), claims });
            }
        }
        // The map's own spelling of the same label stays.
        let kept = row.labels.iter().find(|label| **label == row.listed).or(row.labels.iter().find(right));
        match kept {
            Some(_) if row.labels.iter().all(|label| right(&label)) => None,
            Some(kept) => Some(NewLabel { new_label: kept.clone(), present: 1, token_id: row.token_id }),
            None => {
                self.filled += u64::from(wrong.is_empty());
                Some(NewLabel { token_id: row.token_id, new_label: row.listed, present: 0 })
            }
        }
    }
}
