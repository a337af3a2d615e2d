//! Empty labels of the map, filled from a catalogue.

use super::catalogue::believed;
use super::map_row::{MapRow, Values};
use super::merge::newest_of;
use super::repair::DELETED;
use super::sql::{condition_norm, usable_raw, usable_row};
use super::{Store, StoreError};
use crate::source::Source;

/// The labels that are to be filled: one row a token. Lives only while a merge runs.
const LABELS: &str = "backfill_tmp_labels";

impl Store {
    /// Writes to a temporary table which tokens of the map have no label in any usable row and what a catalogue calls
    /// them, where that is proven and the map names the same condition and index; says how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_labels(&self, source: Source) -> Result<u64, StoreError> {
        let doing = "looking for labels";
        self.drop_labels().await?;
        let inputs = self.inputs().await?;
        let input = inputs.map()?;
        let (map, labels, catalogue) = (input.from(), self.staging_table(LABELS), self.catalogue(source));
        let listed = self.columns(&catalogue).await?.filter(|_| input.has("outcome_label"));
        let Some(believed) = listed.map(|columns| believed(&columns)) else { return Ok(0) };
        let create = format!(
            "CREATE TABLE {labels} (token_id String, new_label String) ENGINE = MergeTree ORDER BY token_id"
        );
        self.run(doing, self.query(&create)).await?;
        let (usable, condition) = (usable_row(), condition_norm("condition_id_norm"));
        let sql = format!(
            "INSERT INTO {labels} SELECT m.token_id, l.outcome_label FROM \
               (SELECT token_id, any(condition) AS only_condition, any(index) AS only_index \
                FROM (SELECT token_id, {condition} AS condition, toUInt8(outcome_index) AS index, \
                             ifNull(toString(outcome_label), '') AS label FROM {map} WHERE {usable}) \
                GROUP BY token_id HAVING uniqExact(condition, index) = 1 AND max(label) = '') AS m \
             GLOBAL INNER JOIN (SELECT token_id, condition_id_norm, outcome_index, outcome_label FROM {catalogue} FINAL \
               WHERE {believed} AND outcome_label != '' AND token_id GLOBAL IN (SELECT token_id FROM {map})) AS l \
             ON m.token_id = l.token_id AND m.only_condition = l.condition_id_norm AND m.only_index = l.outcome_index \
             SETTINGS join_use_nulls = 0"
        );
        self.run(doing, self.query(&sql)).await?;
        self.one(doing, self.query(&format!("SELECT count() FROM {labels}"))).await
    }

    /// Fills the labels that were found: a copy of the newest usable row of each token is inserted with its label, above
    /// the largest version that the token has, then the rows without a label are deleted. In this order, so
    /// that no moment is without a row; interrupted in between, the next call ends it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fill_labels(&self, source: Source) -> Result<(), StoreError> {
        let doing = "filling empty labels of the map";
        let labels = self.staging_table(LABELS);
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        if !map.has("outcome_label") || self.columns(&labels).await?.is_none() {
            return Ok(());
        }
        let (token, usable) = (map.raw("token_id", "''"), usable_raw(map));
        let newest = newest_of(map, target, &format!("SELECT token_id FROM {labels}"));
        let kept: Vec<String> = ["token_id", "condition_id_norm", "outcome_index", "source"]
            .iter()
            .filter_map(|ours| map.column(ours))
            .map(|used| super::quoted(&used.theirs.name))
            .collect();
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let (token_value, label) = ("our_token", "new_label");
        let values = Values {
            token: token_value,
            condition: "''",
            index: "0",
            label,
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
                 FROM {labels} AS r GLOBAL LEFT ANY JOIN ({newest}) AS n ON r.token_id = n.token_id) AS w ON m.our_token = w.token_id \
               ORDER BY m.our_token{order} LIMIT 1 BY m.our_token) \
             SETTINGS join_use_nulls = 0, insert_deduplicate = 0",
            table = target.table,
            replaced = MapRow::new(map, target, &values).replacements(&kept),
        );
        self.run(doing, self.query(&sql)).await?;
        self.delete_unlabelled(source).await
    }

    /// Deletes the usable rows without a label of tokens that have one with a label, where a catalogue lists them.
    async fn delete_unlabelled(&self, source: Source) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let (input, catalogue) = (inputs.map()?, self.catalogue(source));
        let map = input.from();
        let believed = believed(&self.columns(&catalogue).await?.unwrap_or_default());
        let (usable, condition) = (usable_row(), condition_norm("condition_id_norm"));
        let sql = format!(
            "SELECT token_id FROM (SELECT token_id, {condition} AS condition, toUInt8(outcome_index) AS index, \
                                          ifNull(toString(outcome_label), '') AS label FROM {map} WHERE {usable}) \
             WHERE token_id GLOBAL IN (SELECT token_id FROM {catalogue} WHERE {believed}) GROUP BY token_id \
             HAVING uniqExact(condition, index) = 1 AND max(label) != '' AND countIf(label = '') > 0"
        );
        let tokens: Vec<String> =
            self.rows("reading which rows have a label by now", self.query(&sql)).await?;
        let chunks = tokens.len().div_ceil(DELETED);
        for (nth, chunk) in tokens.chunks(DELETED).enumerate() {
            // Usable rows have well-formed tokens: digits, which need no escaping.
            let tokens: Vec<String> = chunk.iter().map(|token| format!("'{token}'")).collect();
            // A table takes only so many mutations at once, and the last one waits for those before it.
            let waits = nth + 1 == chunks || nth % 100 == 99;
            let unlabelled = format!("{} = ''", input.raw("outcome_label", "''"));
            self.delete_usable(&tokens.join(","), &unlabelled, waits).await?;
        }
        Ok(())
    }

    /// A sub-query of the tokens whose labels are to be filled.
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
