//! Copies of one mapping in the map: usable rows that say the same of a token and of which one is enough.

use clickhouse::Row;
use serde::Deserialize;

use super::input::Keeps;
use super::repair::DELETED;
use super::sql::{condition_norm, usable_raw};
use super::{Store, StoreError, quoted};

/// A token with copies, and the fingerprint of the row that stays.
#[derive(Row, Deserialize)]
struct Copied {
    our_token: String,
    kept: String,
}

impl Store {
    /// Removes the usable rows beyond one of every token whose rows all say the same: the one with a label stays, of
    /// those the newest. No moment is without a row. Says of how many tokens; with `dry_run` it removes none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_copies(&self, dry_run: bool) -> Result<u64, StoreError> {
        let doing = "removing copies from the map";
        let copied = self.copied().await?;
        let tokens: u64 = self.one(doing, self.query(&format!("SELECT count() FROM ({copied})"))).await?;
        if dry_run || tokens == 0 {
            return Ok(tokens);
        }
        let fingerprint = self.row_fingerprint().await?;
        let mut rows = self.stream::<Copied>(doing, &copied)?;
        let (mut names, mut kept) = (Vec::new(), Vec::new());
        loop {
            let row = rows.next().await?;
            let last = row.is_none();
            if let Some(Copied { our_token, kept: stays }) = row {
                names.push(format!("'{our_token}'"));
                kept.push(format!("'{stays}'"));
            }
            if !names.is_empty() && (last || names.len() == DELETED) {
                let others = format!("{fingerprint} NOT IN ({})", kept.join(","));
                // Each is waited for: the next reads nothing that it deletes, and a crash leaves copies, never a gap.
                self.delete_usable(&names.join(","), &others, true).await?;
                names.clear();
                kept.clear();
            }
            if last {
                break;
            }
        }
        self.merge_equal_rows().await?;
        Ok(tokens)
    }

    /// What is left are rows that are equal in every column, which no condition tells apart: ClickHouse keeps one of
    /// them where it merges the parts anew.
    async fn merge_equal_rows(&self) -> Result<(), StoreError> {
        let left: u64 = {
            let copied = self.copied().await?;
            let sql = format!("SELECT count() FROM ({copied})");
            self.one("removing copies from the map", self.query(&sql)).await?
        };
        let inputs = self.inputs().await?;
        if left == 0 {
            return Ok(());
        }
        let sql = format!(
            "OPTIMIZE TABLE {} FINAL DEDUPLICATE SETTINGS optimize_throw_if_noop = 1, alter_sync = 2",
            inputs.target()?.table
        );
        self.run("merging equal rows of the map", self.query(&sql)).await
    }

    /// The text of every column of a row that is stored, as one number.
    async fn row_fingerprint(&self) -> Result<String, StoreError> {
        let inputs = self.inputs().await?;
        let table = &inputs.target()?.table;
        let query = self
            .query(
                "SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String} \
                 AND default_kind NOT IN ('ALIAS', 'EPHEMERAL') ORDER BY position",
            )
            .param("database", &table.database)
            .param("table", &table.name);
        let names: Vec<String> = self.rows("reading the map's columns", query).await?;
        let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        Ok(format!("hex(sipHash128(toString(tuple({}))))", columns.join(", ")))
    }

    /// A query of the tokens with several usable rows that agree, as a `FINAL` read sees them, and of the fingerprint of
    /// the row that is to stay.
    async fn copied(&self) -> Result<String, StoreError> {
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        let seen = match target.keeps {
            Keeps::All => "",
            Keeps::Newest { .. } => "FINAL",
            // A cancelled row and its cancellation are no copies.
            Keeps::Uncancelled { .. } | Keeps::Mixed | Keeps::Nothing => "WHERE false",
        };
        let version = target.version.as_ref().map_or_else(|| map.raw("fetched_at", "0"), |it| it.column());
        Ok(format!(
            "SELECT our_token, argMax(fingerprint, (label != '', ordered, fingerprint)) AS kept \
             FROM (SELECT {token} AS our_token, {condition} AS condition, toUInt8({index}) AS our_index, \
                          ifNull(toString({label}), '') AS label, leftPad(ifNull(toString({version}), ''), 40, '0') AS ordered, \
                          {fingerprint} AS fingerprint, {usable} AS good FROM {table} {seen}) \
             WHERE good GROUP BY our_token \
             HAVING count() > 1 AND uniqExact(condition, our_index) = 1",
            token = map.raw("token_id", "''"),
            condition = condition_norm(&map.raw("condition_id_norm", "''")),
            index = map.raw("outcome_index", "255"),
            label = map.raw("outcome_label", "''"),
            fingerprint = self.row_fingerprint().await?,
            usable = usable_raw(map),
            table = target.table,
        ))
    }
}
