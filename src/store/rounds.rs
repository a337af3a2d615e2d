//! What a track's list has left for the others: tokens that nobody has staged and that a further track was not asked
//! for.

use clickhouse::Row;
use serde::Deserialize;

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
    /// Whether only what the owner was answered without a mapping is of interest.
    pub answered_only: bool,
}

/// A token that nobody has staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundToken {
    /// The token.
    pub token: TokenId,
    /// The tracks that were answered about it without a mapping.
    pub asked: Vec<Source>,
}

/// A stretch of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundPage {
    /// Its tokens.
    pub tokens: Vec<RoundToken>,
    /// Where the stretch ends, `None` at the list's end.
    pub last: Option<String>,
}

#[derive(Row, Deserialize)]
struct Left {
    token_id: String,
    tracks: Vec<String>,
}

impl Store {
    /// The next `size` tokens after `after` of a list that nobody has staged and the round's track was not asked for.
    /// Where the owner has no workload, there are none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn round_page(
        &self,
        list: &RoundList,
        after: Option<&str>,
        size: u64,
    ) -> Result<RoundPage, StoreError> {
        let doing = "reading what a track has left";
        let workload = self.staging_table(&list.owner.workload_table());
        let after = after.unwrap_or_default();
        let end = RoundPage { tokens: Vec::new(), last: None };
        if after.is_empty() && self.columns(&workload).await?.is_none() {
            return Ok(end);
        }
        let answered = self
            .answers_without_mapping("token_id, toString(track) AS track", "token_id > {after:String}")
            .join(" UNION ALL ");
        // A list is looked through in stretches: of what has an answer, or of the whole workload.
        let stretch = if list.answered_only {
            format!(
                "SELECT DISTINCT token_id FROM ({answered}) WHERE track = {{owner:String}} \
                 AND token_id IN (SELECT asset_id FROM {workload} WHERE asset_id > {{after:String}})"
            )
        } else {
            format!("SELECT asset_id AS token_id FROM {workload} WHERE asset_id > {{after:String}}")
        };
        let sql = format!("SELECT max(token_id) FROM ({stretch} ORDER BY token_id LIMIT {size})");
        let owner = list.owner.name();
        let last: String =
            self.one(doing, self.query(&sql).param("after", after).param("owner", owner)).await?;
        if last.is_empty() {
            return Ok(end);
        }
        let range = "token_id > {after:String} AND token_id <= {last:String}";
        let staged = Source::ALL.map(|source| {
            let staged = self.staging_table(&source.staging_table());
            format!("SELECT token_id FROM {staged} WHERE {range}")
        });
        let sql = format!(
            "SELECT token_id, groupUniqArrayIf(track, track != '') AS tracks FROM (\
                 SELECT token_id, track FROM ({answered}) WHERE {range} \
                 UNION ALL SELECT asset_id, '' FROM {workload} WHERE asset_id > {{after:String}} AND asset_id <= {{last:String}}) \
             WHERE token_id NOT IN ({staged}) GROUP BY token_id \
             HAVING has(groupUniqArray(track), '') AND NOT has(tracks, {{track:String}}) \
                AND ({all} OR has(tracks, {{owner:String}})) \
             ORDER BY token_id",
            staged = staged.join(" UNION ALL "),
            all = u8::from(!list.answered_only),
        );
        let query = self.query(&sql).param("after", after).param("last", &last);
        let query = query.param("track", list.track.name()).param("owner", owner);
        let rows: Vec<Left> = self.rows(doing, query).await?;
        let token = |row: Left| {
            let asked = row.tracks.iter().filter_map(|name| Source::named(name)).collect();
            // What is no token id no API could know.
            Some(RoundToken { token: row.token_id.parse().ok()?, asked })
        };
        Ok(RoundPage { tokens: rows.into_iter().filter_map(token).collect(), last: Some(last) })
    }
}
