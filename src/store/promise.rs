//! The map's promise: a token that has a usable row keeps one, whatever its engine does with rows of one key, and has no
//! second one. What is read here is what a `FINAL` read sees.

use clickhouse::Row;
use serde::Deserialize;

use super::input::{Keeps, Target};
use super::sql::{condition_norm, mirror_spelling, usable_map, usable_raw, usable_row};
use super::{Store, StoreError};

#[derive(Row, Deserialize)]
struct Counted {
    tokens: u64,
    example: String,
}

impl Store {
    /// A sub-query of the tokens whose only usable mapping a `FINAL` read does not see, since a broken row of theirs stays
    /// instead; `None` where the map replaces nothing. A token whose newest row marks it as deleted is left so.
    pub(super) async fn outranked(&self) -> Result<Option<String>, StoreError> {
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        if !target.replaces() {
            return Ok(None);
        }
        let (token, index) = (map.raw("token_id", "''"), map.raw("outcome_index", "255"));
        let condition = condition_norm(&map.raw("condition_id_norm", "''"));
        let (usable, mirror) = (usable_raw(map), mirror_spelling("condition"));
        let (version, deleted, sign) = marks(target);
        let broken = format!("SELECT {token} FROM {} WHERE NOT {usable}", target.table);
        // Few tokens have broken rows: only those are read as a merge would leave them.
        Ok(Some(format!(
            "SELECT token_id FROM (SELECT token_id, good, at, index, deleted, sign, {mirror} AS mirrored FROM \
               (SELECT {token} AS token_id, {usable} AND NOT {deleted} AS good, {version} AS at, {index} AS index, \
                       {deleted} AS deleted, {sign} AS sign, {condition} AS condition \
                FROM {table} WHERE {token} GLOBAL IN ({broken}))) \
             GROUP BY token_id HAVING uniqExactIf((mirrored, index), good) = 1 AND countIf(NOT good) > 0 \
               AND NOT argMax(deleted, (at, deleted)) AND sumIf(sign, good) > 0 \
               AND token_id GLOBAL NOT IN (SELECT our_token FROM (SELECT {token} AS our_token, {usable} AS good \
                 FROM {table} FINAL WHERE {token} GLOBAL IN ({broken})) WHERE good)",
            table = target.table,
        )))
    }

    /// How many tokens [`Store::reassert_outranked`] would write again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outranked_tokens(&self) -> Result<u64, StoreError> {
        let Some(outranked) = self.outranked().await? else { return Ok(0) };
        self.one("reading the map", self.query(&format!("SELECT count() FROM ({outranked})"))).await
    }

    /// Writes again, above every row of their token, the usable rows of the map that a broken row of the same token
    /// replaces. What it wrote stays from then on, so that repeating it adds nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reassert_outranked(&self) -> Result<(), StoreError> {
        let doing = "re-asserting rows of the map";
        let Some(outranked) = self.outranked().await? else { return Ok(()) };
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        let (token, usable) = (map.raw("token_id", "''"), usable_raw(map));
        let (version, deleted, sign) = marks(target);
        let raised = target.version.as_ref().map_or_else(String::new, |version| {
            format!(" REPLACE ({} AS {})", version.above("newest"), version.column())
        });
        let sql = format!(
            "INSERT INTO {table} SELECT * EXCEPT (our_token, newest){raised} \
             FROM (SELECT m.*, o.newest AS newest \
                   FROM (SELECT *, {token} AS our_token FROM {table} WHERE {usable} AND NOT {deleted} AND {sign} > 0) AS m \
                   GLOBAL INNER JOIN (SELECT {token} AS token_id, max({version}) AS newest FROM {table} \
                     WHERE {token} GLOBAL IN ({outranked}) GROUP BY token_id) AS o ON m.our_token = o.token_id \
                   ORDER BY m.our_token, {version_of_m} DESC LIMIT 1 BY m.our_token) \
             SETTINGS join_use_nulls = 0, insert_deduplicate = 0",
            table = target.table,
            version_of_m =
                target.version.as_ref().map_or_else(|| "1".to_owned(), |it| format!("m.{}", it.column())),
        );
        self.run(doing, self.query(&sql)).await
    }

    /// Checks that a row can be put above those that each of these tokens has, before anything is written. `tokens` are
    /// sub-queries of one column of token ids.
    ///
    /// # Errors
    /// [`StoreError::VersionTaken`], with the column.
    pub async fn check_versions(&self, tokens: &[String]) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        let Some(version) = &target.version else { return Ok(()) };
        let mut tokens = tokens.to_vec();
        tokens.extend(self.outranked().await?);
        let token = map.raw("token_id", "''");
        let sql = format!(
            "SELECT count() AS tokens, toValidUTF8(min(token_id)) AS example FROM (SELECT {token} AS token_id, max({}) AS newest \
               FROM {} WHERE {token} GLOBAL IN ({}) GROUP BY token_id) WHERE {}",
            version.column(),
            target.table,
            tokens.join(" UNION ALL "),
            version.is_exhausted("newest"),
        );
        let taken: Counted = self.one("reading the largest versions of the map", self.query(&sql)).await?;
        if taken.tokens == 0 {
            return Ok(());
        }
        Err(StoreError::VersionTaken {
            table: target.table.plain(),
            column: version.name.clone(),
            type_name: version.type_name.clone(),
            tokens: taken.tokens,
            example: taken.example,
        })
    }

    /// Checks that a `FINAL` read sees a usable row of every token that has one, as it does after any background merge.
    ///
    /// # Errors
    /// [`StoreError::Hidden`], with a token.
    pub async fn check_promise(&self) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        if !target.replaces() || map.final_only {
            return Ok(());
        }
        let (table, token, usable) = (&target.table, map.raw("token_id", "''"), usable_raw(map));
        // Only of several rows can one replace another.
        let several = several(&token, table);
        let sql = format!(
            "SELECT count() AS tokens, toValidUTF8(min(token_id)) AS example FROM {} \
             WHERE NOT disagreeing AND token_id GLOBAL IN ({several}) AND token_id GLOBAL NOT IN \
               (SELECT our_token FROM (SELECT {token} AS our_token, {usable} AS good FROM {table} FINAL \
                  WHERE {token} GLOBAL IN ({several})) WHERE good)",
            usable_map(map)
        );
        let lost: Counted = self.one("checking what a FINAL read of the map sees", self.query(&sql)).await?;
        match lost.tokens {
            0 => Ok(()),
            tokens => Err(StoreError::Hidden { table: table.plain(), lost: tokens, example: lost.example }),
        }
    }

    /// Tokens with two usable rows where one would do, as a `FINAL` read sees them; as counted where the engine has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn duplicated_tokens(&self) -> Result<u64, StoreError> {
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        let (table, token, usable) = (&target.table, map.raw("token_id", "''"), usable_raw(map));
        let has_final = !matches!(target.keeps, Keeps::All | Keeps::Nothing | Keeps::Mixed);
        let sql = if has_final {
            let several = several(&token, table);
            format!(
                "SELECT count() FROM (SELECT our_token FROM (SELECT {token} AS our_token, {usable} AS good \
                 FROM {table} FINAL WHERE {token} GLOBAL IN ({several})) WHERE good GROUP BY our_token HAVING count() > 1)"
            )
        } else {
            format!(
                "SELECT count() FROM (SELECT token_id FROM {} WHERE {} GROUP BY token_id HAVING count() > 1)",
                map.from(),
                usable_row()
            )
        };
        self.one("counting duplicates", self.query(&sql)).await
    }
}

/// The tokens that have more than one row.
fn several(token: &str, table: &super::Table) -> String {
    format!("SELECT {token} AS t FROM {table} GROUP BY t HAVING count() > 1")
}

/// The version, the mark of a deletion and the sign of a row of the map's table, or what stands for them.
fn marks(target: &Target) -> (String, String, String) {
    let version = target.version.as_ref().map_or_else(|| "0".to_owned(), |version| version.column());
    let deleted = target
        .is_deleted
        .as_ref()
        .map_or_else(|| "false".to_owned(), |column| format!("({} = 1)", super::quoted(column)));
    let sign = target.sign.as_ref().map_or_else(|| "1".to_owned(), |column| super::quoted(column));
    (version, deleted, sign)
}
