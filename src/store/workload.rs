//! The workloads: which tokens are unmapped, how they are split between the tracks, and how a track reads its own.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::usable_map;
use super::traded::TradedSums;
use super::{Store, StoreError, Table};
use crate::ids::TokenId;
use crate::source::Source;

/// The prefix of tables that live only while a statement sequence runs; what is left of a crash is dropped by the
/// next run.
const TEMPORARY: &str = "backfill_tmp_";

/// What the comment of a workload begins with; the number of its tokens follows.
const LISTED: &str = "tokens listed by setup: ";

/// The columns and the engine of a workload.
const WORKLOAD: &str = "(asset_id String) ENGINE = MergeTree ORDER BY asset_id";

/// A track's workload: how many tokens it has, and a hash of the set.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Workload {
    /// The same for the same set of tokens, another for another.
    pub id: String,
    /// How many tokens.
    pub total: u64,
}

/// A stretch of a workload in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The tokens of the stretch that have no answer yet.
    pub open: Vec<TokenId>,
    /// Where the stretch ends, `None` at the workload's end.
    pub last: Option<String>,
}

/// How much of the unmapped tokens a track is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The track.
    pub source: Source,
    /// Its part of the sum of all weights.
    pub weight: u64,
}

#[derive(Row, Deserialize)]
struct UnresolvedText {
    token_id: String,
    tracks: Vec<String>,
}

/// Where each share of `total` ends: exact, the last one at `total`. Where no share weighs anything, the last has all.
pub(crate) fn cuts(shares: &[Share], total: u64) -> Vec<u64> {
    let sum: u128 = shares.iter().map(|share| u128::from(share.weight)).sum();
    let mut upto = 0;
    let ends = shares.iter().enumerate().map(|(position, share)| {
        upto += u128::from(share.weight);
        let end = (u128::from(total) * upto).checked_div(sum).unwrap_or_default();
        // A part of a u64.
        if position + 1 == shares.len() { total } else { end as u64 }
    });
    ends.collect()
}

/// A token that was answered without a mapping, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// The token.
    pub token: TokenId,
    /// The sources that do not know it, or claimed what has no proof.
    pub asked: Vec<Source>,
}

/// What a share of the unmapped tokens became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The track.
    pub source: Source,
    /// Its workload.
    pub workload: Workload,
    /// Whether it is the workload that the track already had.
    pub kept: bool,
}

impl Store {
    /// Writes all unmapped traded tokens that are not already derived to `unmapped_tokens`, and says how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_unmapped(&self, traded: &TradedSums) -> Result<u64, StoreError> {
        let inputs = self.inputs().await?;
        let (traded, map) = (traded.tokens(inputs.fills()?), usable_map(inputs.map()?));
        let derived = self.staging_table(&Source::Derived.staging_table());
        let select = format!(
            "SELECT asset_id FROM {traded} WHERE well_formed \
               AND asset_id GLOBAL NOT IN (SELECT token_id FROM {map} WHERE NOT disagreeing) \
               AND asset_id GLOBAL NOT IN (SELECT token_id FROM {derived})"
        );
        self.list_unmapped_of(&select).await
    }

    /// Writes what `select` answers, as `asset_id`, to `unmapped_tokens`, and says how many there are.
    pub(super) async fn list_unmapped_of(&self, select: &str) -> Result<u64, StoreError> {
        self.replace_workload("listing the unmapped tokens", "unmapped_tokens", select).await?;
        Ok(self.workload_in(&self.staging_table("unmapped_tokens")).await?.total)
    }

    /// Gives each track its share of `unmapped_tokens`: ordered by a hash of the token and cut at the shares, so that
    /// the same tokens are always split alike. A workload that is the same as before is left as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn split(&self, unmapped: u64, shares: &[Share]) -> Result<Vec<Split>, StoreError> {
        let doing = "splitting the workload";
        let all = self.staging_table("unmapped_tokens");
        let (mut splits, mut offset) = (Vec::new(), 0);
        for (share, end) in shares.iter().zip(cuts(shares, unmapped)) {
            let (source, size) = (share.source, end - offset);
            let part = format!(
                "SELECT asset_id FROM {all} ORDER BY sipHash64(asset_id), asset_id LIMIT {size} OFFSET {offset}"
            );
            let kept = self.replace_workload(doing, &source.workload_table(), &part).await?;
            let workload = self.workload_in(&self.staging_table(&source.workload_table())).await?;
            splits.push(Split { source, workload, kept });
            offset = end;
        }
        Ok(splits)
    }

    /// Empties the workloads of tracks that have no share, and says whose were not empty: no token is in two.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn empty_other_workloads(&self, shares: &[Share]) -> Result<Vec<Source>, StoreError> {
        let all = self.staging_table("unmapped_tokens");
        let mut emptied = Vec::new();
        for source in Source::ALL.into_iter().filter(|it| shares.iter().all(|share| share.source != *it)) {
            let name = source.workload_table();
            if self.columns(&self.staging_table(&name)).await?.is_none() {
                continue;
            }
            let nothing = format!("SELECT asset_id FROM {all} WHERE false");
            if !self.replace_workload("splitting the workload", &name, &nothing).await? {
                emptied.push(source);
            }
        }
        Ok(emptied)
    }

    /// Puts what `select` answers in the place of a workload table, in one step; `true` where it held just that set.
    async fn replace_workload(&self, doing: &str, name: &str, select: &str) -> Result<bool, StoreError> {
        let (table, fresh) = (self.staging_table(name), self.staging_table(&format!("{TEMPORARY}{name}")));
        let columns = WORKLOAD;
        self.run(doing, self.query(&format!("DROP TABLE IF EXISTS {fresh} SYNC"))).await?;
        self.run(doing, self.query(&format!("CREATE TABLE {fresh} {columns}"))).await?;
        self.run(doing, self.query(&format!("INSERT INTO {fresh} {select}"))).await?;
        self.run(doing, self.query(&format!("CREATE TABLE IF NOT EXISTS {table} {columns}"))).await?;
        let listed = self.workload_in(&fresh).await?;
        let kept = self.workload_in(&table).await? == listed;
        if !kept {
            let comment = format!("ALTER TABLE {fresh} MODIFY COMMENT '{LISTED}{}'", listed.total);
            self.run(doing, self.query(&comment)).await?;
            self.run(doing, self.query(&format!("EXCHANGE TABLES {table} AND {fresh}"))).await?;
        }
        self.run(doing, self.query(&format!("DROP TABLE IF EXISTS {fresh} SYNC"))).await?;
        Ok(kept)
    }

    /// Makes a track's workload, empty, where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn make_workload(&self, source: Source) -> Result<(), StoreError> {
        let table = self.staging_table(&source.workload_table());
        let create = format!("CREATE TABLE IF NOT EXISTS {table} {WORKLOAD}");
        self.run("making a workload", self.query(&create)).await
    }

    /// A track's workload, `None` where `setup` has not run for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workload(&self, source: Source) -> Result<Option<Workload>, StoreError> {
        let table = self.staging_table(&source.workload_table());
        if self.columns(&table).await?.is_none() {
            return Ok(None);
        }
        let workload = self.workload_in(&table).await?;
        let listed = self.listed_in(&table).await?.unwrap_or(workload.total);
        if workload.total < listed {
            let what = "tokens that `setup` has listed, and those that stand in the list";
            return Err(StoreError::SumsDisagree { what, one: listed, other: workload.total });
        }
        Ok(Some(workload))
    }

    /// How many tokens `setup` has written to a list. It stands in the table's comment: what a table is, a cluster changes
    /// everywhere at once, when its rows are still on their way to other replicas.
    async fn listed_in(&self, table: &Table) -> Result<Option<u64>, StoreError> {
        Ok(self.comment_of(table).await?.and_then(|comment| comment.strip_prefix(LISTED)?.parse().ok()))
    }

    /// What a table's comment says, `None` where there is no such table.
    pub(super) async fn comment_of(&self, table: &Table) -> Result<Option<String>, StoreError> {
        let query = self
            .query("SELECT comment FROM system.tables WHERE database = {database:String} AND name = {name:String}")
            .param("database", &table.database)
            .param("name", &table.name);
        let comments: Vec<String> = self.rows("reading what a table is", query).await?;
        Ok(comments.into_iter().next())
    }

    async fn workload_in(&self, table: &Table) -> Result<Workload, StoreError> {
        let sql = format!(
            "SELECT concat(toString(count()), '-', lower(hex(groupBitXor(sipHash64(asset_id))))) AS id, \
                    count() AS total FROM {table}"
        );
        self.one("reading a workload", self.query(&sql)).await
    }

    /// The tokens of a workload that this track was answered for without a mapping and that nobody has staged, each
    /// with the tracks that were answered so: what the others may know.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unresolved(&self, source: Source) -> Result<Vec<Unresolved>, StoreError> {
        let table = self.staging_table(&source.workload_table());
        let sql = format!(
            "SELECT token_id, groupUniqArray(toString(track)) AS tracks FROM ({answered}) \
             WHERE token_id IN (SELECT asset_id FROM {table}) AND token_id NOT IN ({staged}) \
             GROUP BY token_id HAVING has(tracks, {{track:String}}) ORDER BY token_id",
            answered = self.all_answered(),
            staged = self.all_staged_tokens(),
        );
        let query = self.query(&sql).param("track", source.name());
        let rows: Vec<UnresolvedText> = self.rows("reading what was not found", query).await?;
        let unresolved = rows.into_iter().filter_map(|row| {
            let asked = row.tracks.iter().filter_map(|name| Source::named(name)).collect();
            Some(Unresolved { token: row.token_id.parse().ok()?, asked })
        });
        Ok(unresolved.collect())
    }

    /// How many of those one of `sources` has not been asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn untried(&self, source: Source, sources: &[Source]) -> Result<u64, StoreError> {
        let sources: Vec<&str> = sources.iter().map(|source| source.name()).collect();
        let unresolved = self.unresolved(source).await?;
        let all = |it: &&Unresolved| sources.iter().all(|name| it.asked.iter().any(|by| by.name() == *name));
        Ok((unresolved.len() - unresolved.iter().filter(all).count()) as u64)
    }

    /// The tokens that any source has staged.
    pub(super) fn all_staged_tokens(&self) -> String {
        Source::ALL
            .map(|source| format!("SELECT token_id FROM {}", self.staging_table(&source.staging_table())))
            .join(" UNION ALL ")
    }

    /// Every answer without a mapping: who gave it, about which token.
    fn all_answered(&self) -> String {
        self.answers_without_mapping("toString(track) AS track, token_id", "true").join(" UNION ALL ")
    }

    /// The next `size` tokens of a workload after `after`, without those that have an answer: staged by any source,
    /// or not found or rejected by this one. Every table is read only between the two ends, by its primary key, so
    /// that a page costs the same at the beginning and at the end of a workload.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workload_page(
        &self,
        source: Source,
        after: Option<&str>,
        size: u64,
    ) -> Result<Page, StoreError> {
        let doing = "reading the workload";
        let table = self.staging_table(&source.workload_table());
        let after = after.unwrap_or_default();
        let sql = format!(
            "SELECT max(asset_id) FROM (SELECT asset_id FROM {table} WHERE asset_id > {{after:String}} \
             ORDER BY asset_id LIMIT {size})"
        );
        let last: String = self.one(doing, self.query(&sql).param("after", after)).await?;
        if last.is_empty() {
            return Ok(Page { open: Vec::new(), last: None });
        }
        let range = "token_id > {after:String} AND token_id <= {last:String}";
        let staged = Source::ALL.map(|source| {
            let staged = self.staging_table(&source.staging_table());
            format!("SELECT token_id FROM {staged} WHERE {range}")
        });
        let answered =
            self.answers_without_mapping("token_id", &format!("track = {{track:String}} AND {range}"));
        let known = [staged.join(" UNION ALL "), answered.join(" UNION ALL ")].join(" UNION ALL ");
        let sql = format!(
            "SELECT DISTINCT asset_id FROM {table} \
             WHERE asset_id > {{after:String}} AND asset_id <= {{last:String}} AND asset_id NOT IN ({known}) \
             ORDER BY asset_id"
        );
        let query = self.query(&sql).param("after", after).param("last", &last).param("track", source.name());
        let texts: Vec<String> = self.rows(doing, query).await?;
        // A workload that was filled by hand may hold what is no token id: no API could know it.
        let open = texts.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(Page { open, last: Some(last) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_cut_exactly_whatever_they_weigh() {
        let shares = |weights: &[u64]| -> Vec<Share> {
            weights.iter().map(|weight| Share { source: Source::Dome, weight: *weight }).collect()
        };
        assert_eq!(cuts(&shares(&[50, 50]), 7), [3, 7]);
        assert_eq!(cuts(&shares(&[40, 40, 20]), 98_906), [39_562, 79_124, 98_906]);
        assert_eq!(cuts(&shares(&[1, 1, 1]), 100), [33, 66, 100]);
        assert_eq!(cuts(&shares(&[0, 1]), 5), [0, 5]);
        assert_eq!(cuts(&shares(&[0, 0]), 5), [0, 5]);
        let heavy = u64::MAX / 4;
        assert_eq!(cuts(&shares(&[heavy, heavy]), u64::MAX), [u64::MAX / 2, u64::MAX]);
    }
}
