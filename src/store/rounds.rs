//! What a track's list has left for the others: tokens that nobody has staged and that a further track was not asked
//! for.

use super::{Store, StoreError};
use crate::ids::TokenId;
use crate::source::Source;

/// Which tokens are looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundList {
    /// The track whose workload it is.
    pub owner: Source,
    /// The track that is to ask for what is left: what it was answered already is not among it.
    pub track: Source,
    /// Whether only what the owner was answered without a mapping is of interest. Else also what it was not asked for
    /// yet.
    pub answered_only: bool,
}

/// A stretch of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundPage {
    /// Its tokens, the last of the list first: its owner begins at the other end.
    pub tokens: Vec<TokenId>,
    /// Where the stretch begins, `None` at the list's beginning.
    pub first: Option<String>,
}

impl Store {
    /// The next `size` tokens before `before` of a list, from its end, that nobody has staged and the round's track was
    /// not asked for. Where the owner has no workload, there are none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn round_page(
        &self,
        list: &RoundList,
        before: Option<&str>,
        size: u64,
    ) -> Result<RoundPage, StoreError> {
        let doing = "reading what a track has left";
        let workload = self.staging_table(&list.owner.workload_table());
        let end = RoundPage { tokens: Vec::new(), first: None };
        if before.is_none() && self.columns(&workload).await?.is_none() {
            return Ok(end);
        }
        let below = before.map_or("1", |_| "token_id < {before:String}");
        let answered =
            |condition: &str| self.answers_without_mapping("token_id", condition).join(" UNION ALL ");
        let tokens = format!("SELECT asset_id AS token_id FROM {workload} WHERE {below}");
        // A list is looked through in stretches: of what has an answer, or of the whole workload.
        let stretch = match list.answered_only {
            true => format!(
                "SELECT DISTINCT token_id FROM ({}) WHERE token_id IN ({tokens})",
                answered(&format!("track = {{owner:String}} AND {below}"))
            ),
            false => tokens,
        };
        let query = |sql: &str| {
            let query = self.query(sql).param("before", before.unwrap_or_default());
            query.param("owner", list.owner.name()).param("track", list.track.name())
        };
        let sql = format!(
            "SELECT min(token_id) FROM (SELECT * FROM ({stretch}) ORDER BY token_id DESC LIMIT {size})"
        );
        let first: String = self.one(doing, query(&sql)).await?;
        if first.is_empty() {
            return Ok(end);
        }
        let range = format!("token_id >= {{first:String}} AND {below}");
        let staged = Source::ALL.map(|source| {
            let staged = self.staging_table(&source.staging_table());
            format!("SELECT token_id FROM {staged} WHERE {range}")
        });
        let asked = answered(&format!("track = {{track:String}} AND {range}"));
        let sql = format!(
            "SELECT DISTINCT token_id FROM ({stretch}) WHERE {range} \
             AND token_id NOT IN ({staged} UNION ALL {asked}) ORDER BY token_id DESC",
            staged = staged.join(" UNION ALL "),
        );
        let texts: Vec<String> = self.rows(doing, query(&sql).param("first", &first)).await?;
        // What is no token id no API could know.
        let tokens = texts.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(RoundPage { tokens, first: Some(first) })
    }

    /// The fingerprints ([`TokenId::fingerprint`]) of what these sources have staged within the last `seconds`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn staged_lately(&self, sources: &[Source], seconds: u32) -> Result<Vec<u128>, StoreError> {
        let tables = sources.iter().map(|source| {
            let table = self.staging_table(&source.staging_table());
            format!(
                "SELECT {} FROM {table} WHERE fetched_at >= now() - {seconds} AND {}",
                super::sql::fingerprint("token_id"),
                super::sql::well_formed_token("token_id")
            )
        });
        let sql = tables.collect::<Vec<_>>().join(" UNION ALL ");
        self.rows("reading what other tracks have staged", self.query(&sql)).await
    }
}
