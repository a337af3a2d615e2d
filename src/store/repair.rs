//! The rows that the map has already: how they stand to the hash, and the wrong ones replaced.

use clickhouse::Row;
use serde::Deserialize;

use super::map_row::{MapRow, Values};
use super::merge::newest_of;
use super::sql::{condition_norm, usable_raw, usable_row};
use super::{Store, StoreError};
use crate::ids::{ConditionId, TokenId};
use crate::parallel::on_all_cores;
use crate::pnl::labels::is_misplaced;
use crate::proof::{Choice, Evidence, KnownConditions, ProofPolicy, Prover};
use crate::source::Source;

/// What is to be repaired: one row a token, proven. Lives only while a merge runs.
const REPAIRS: &str = "backfill_tmp_repairs";

/// Rows that are proven at once, on all cores.
const CHUNK: usize = 16_384;

/// Tokens of one deletion, whose ids must fit into the text of a statement.
pub(super) const DELETED: usize = 500;

/// How the usable rows of the map stand to what can be proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MapProof {
    /// Rows that a hash proves.
    pub proven: u64,
    /// Rows of mirrors, under their legacy condition.
    pub mirror: u64,
    /// Rows that stand in their token's own bits.
    pub structural: u64,
    /// Rows that contradict what is proven of their token: another index, or another condition.
    pub wrong: u64,
    /// Rows under one spelling of their condition where the other one counts: a mirror whose legacy condition is known
    /// by now.
    pub respelled: u64,
    /// Rows for which there is no evidence, where no better condition is known.
    pub unproven: u64,
    /// Tokens that have wrong rows.
    pub wrong_tokens: u64,
    /// Tokens that have rows in the other spelling, and no wrong one.
    pub respelled_tokens: u64,
}

impl MapProof {
    fn add(&mut self, other: &Self) {
        self.proven += other.proven;
        self.mirror += other.mirror;
        self.structural += other.structural;
        self.wrong += other.wrong;
        self.respelled += other.respelled;
        self.unproven += other.unproven;
        self.wrong_tokens += other.wrong_tokens;
        self.respelled_tokens += other.respelled_tokens;
    }

    /// Tokens whose rows a repair replaces.
    pub const fn repairable_tokens(&self) -> u64 {
        self.wrong_tokens + self.respelled_tokens
    }
}

/// A usable row of the map (`rank` 0), or a staged one of the same token.
#[derive(Debug, Row, Deserialize)]
struct Claim {
    token_id: String,
    condition_id: String,
    outcome_index: u8,
    outcome_label: String,
    source: String,
    rank: u8,
}

/// The right row of a token.
#[derive(Debug, PartialEq, Eq, Row, serde::Serialize)]
struct Repair {
    token_id: TokenId,
    condition_id_norm: ConditionId,
    outcome_index: u8,
    outcome_label: String,
    source: String,
    /// 1 where the map has this very row, beside wrong ones.
    present: u8,
    /// 1 where the map has a row of this condition, whose other columns are worth keeping.
    known: u8,
}

/// What is kept of a token.
#[derive(Row, Deserialize)]
struct Right {
    token_id: String,
    condition_id_norm: String,
    outcome_index: u8,
}

/// How the rows of one token stand.
#[derive(Default)]
struct Examined {
    proof: MapProof,
    repair: Option<Repair>,
}

impl Store {
    /// Proves every usable row of the map, and notes the right row of each token that has a wrong one for
    /// [`Store::repair`]. What is staged by now is known, too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prove_map(&self, policy: &ProofPolicy) -> Result<MapProof, StoreError> {
        let doing = "proving the map";
        let repairs = self.staging_table(REPAIRS);
        self.drop_repairs().await?;
        let create = format!(
            "CREATE TABLE {repairs} (token_id String, condition_id_norm String, outcome_index UInt8, \
             outcome_label String, source String, present UInt8, known UInt8) ENGINE = MergeTree ORDER BY token_id"
        );
        self.run(doing, self.query(&create)).await?;
        let inputs = self.inputs().await?;
        let input = inputs.map()?;
        let (map, usable, all) = (input.from(), usable_row(), self.all_staged());
        let text = |name: &str| input.or(name, "''");
        let sql = format!(
            "SELECT token_id, condition_id, outcome_index, outcome_label, source, rank FROM (\
               SELECT token_id, {condition} AS condition_id, toUInt8(outcome_index) AS outcome_index, \
                      toValidUTF8({label}) AS outcome_label, toValidUTF8({source}) AS source, toUInt8(0) AS rank FROM {map} WHERE {usable} \
               UNION ALL \
               SELECT token_id, condition_id, outcome_index, outcome_label, source, toUInt8(rank + 1) FROM ({all}) \
               WHERE condition_id != '' AND token_id GLOBAL IN (SELECT token_id FROM {map} WHERE {usable})) \
             ORDER BY token_id, rank, condition_id, outcome_index, outcome_label",
            condition = condition_norm("condition_id_norm"),
            label = text("outcome_label"),
            source = text("source"),
        );
        let mut rows = self.stream::<Claim>(doing, &sql)?;
        let (mut counts, mut tokens, mut size) = (MapProof::default(), Vec::<Vec<Claim>>::new(), 0);
        loop {
            let row = rows.next().await?;
            let begins = match (&row, tokens.last().and_then(|token| token.first())) {
                (Some(row), Some(first)) => row.token_id != first.token_id,
                _ => true,
            };
            if begins && (size >= CHUNK || row.is_none()) {
                let found = self.examine(std::mem::take(&mut tokens), policy, &mut counts).await?;
                size = 0;
                if !found.is_empty() {
                    self.insert(&repairs, "merge", &found).await?;
                }
            }
            let Some(row) = row else { return Ok(counts) };
            size += 1;
            match tokens.last_mut() {
                Some(token) if !begins => token.push(row),
                _ => tokens.push(vec![row]),
            }
        }
    }

    async fn examine(
        &self,
        tokens: Vec<Vec<Claim>>,
        policy: &ProofPolicy,
        counts: &mut MapProof,
    ) -> Result<Vec<Repair>, StoreError> {
        let policy = policy.clone();
        let work = move || {
            let nothing = KnownConditions::default();
            let prover = policy.prover(&nothing);
            on_all_cores(&tokens, |claims| examine(claims, prover))
        };
        let examined = tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Query {
            doing: "proving the map".to_owned(),
            source: clickhouse::error::Error::Custom(error.to_string()),
        })?;
        let mut repairs = Vec::new();
        for Examined { proof, repair } in examined {
            counts.add(&proof);
            repairs.extend(repair);
        }
        Ok(repairs)
    }

    /// Replaces the wrong rows that [`Store::prove_map`] has found: the right row is inserted above the largest
    /// version of its token, then the wrong usable rows are deleted. In this order, so that no moment is without a
    /// row; interrupted in between, the next repair ends it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn repair(&self) -> Result<(), StoreError> {
        let doing = "replacing the map's wrong rows";
        let repairs = self.staging_table(REPAIRS);
        let inputs = self.inputs().await?;
        let (map, target) = (inputs.map()?, inputs.target()?);
        // Where nothing is replaced, a right row that is there need not be written again to outlive the wrong ones.
        let wanted = if target.replaces() { "1" } else { "NOT present" };
        let (token, condition) = (map.raw("token_id", "''"), map.raw("condition_id_norm", "''"));
        let (index, usable) = (map.raw("outcome_index", "255"), usable_raw(map));
        let newest = newest_of(map, target, &format!("SELECT token_id FROM {repairs}"));
        let right = |which: &str| {
            format!(
                "(SELECT r.token_id AS right_token, r.condition_id_norm AS right_condition, r.outcome_index AS right_index, \
                         r.outcome_label AS right_label, r.source AS right_source, n.newest AS newest \
                  FROM (SELECT * FROM {repairs} WHERE {which} AND {wanted}) AS r \
                  GLOBAL LEFT ANY JOIN ({newest}) AS n ON r.token_id = n.token_id)"
            )
        };
        let copied = MapRow::new(
            map,
            target,
            &Values {
                token: "right_token",
                condition: "right_condition",
                index: "right_index",
                label: "right_label",
                source: "right_source",
                evidence: None,
                newest: "newest",
            },
        );
        let kept: Vec<String> = ["token_id", "source"]
            .iter()
            .filter_map(|ours| map.column(ours))
            .map(|used| super::quoted(&used.theirs.name))
            .collect();
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        // A row of the same condition keeps whatever other columns this installation has.
        let copy = format!(
            "INSERT INTO {table} SELECT * EXCEPT (our_token, our_index, our_condition, right_token, right_condition, \
                 right_index, right_label, newest) REPLACE ({replaced}) \
             FROM (SELECT m.*, w.right_token AS right_token, w.right_condition AS right_condition, \
                          w.right_index AS right_index, w.right_label AS right_label, w.newest AS newest \
                   FROM (SELECT *, {token} AS our_token, {index} AS our_index, {norm} AS our_condition \
                         FROM {table} WHERE {usable}) AS m \
                   GLOBAL INNER JOIN {right} AS w ON m.our_token = w.right_token \
                   WHERE m.our_condition = w.right_condition ORDER BY m.our_token, m.our_index = w.right_index DESC \
                   LIMIT 1 BY m.our_token) \
             SETTINGS join_use_nulls = 0, insert_deduplicate = 0",
            table = target.table,
            norm = condition_norm(&condition),
            replaced = copied.replacements(&kept),
            right = right("known"),
        );
        self.run(doing, self.query(&copy)).await?;
        let anew = MapRow::new(
            map,
            target,
            &Values {
                token: "right_token",
                condition: "right_condition",
                index: "right_index",
                label: "right_label",
                source: "right_source",
                evidence: None,
                newest: "newest",
            },
        );
        let (columns, values) = anew.columns_and_values(false);
        let anew = format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {right} SETTINGS join_use_nulls = 0, insert_deduplicate = 0",
            table = target.table,
            right = right("NOT known"),
        );
        self.run(doing, self.query(&anew)).await?;
        self.delete_wrong().await
    }

    /// Deletes every usable row of the repaired tokens but the right one. The statement holds the ids themselves: it
    /// goes on by itself after a crash, on every replica, when the temporary table is long gone.
    async fn delete_wrong(&self) -> Result<(), StoreError> {
        let sql =
            format!("SELECT token_id, condition_id_norm, outcome_index FROM {}", self.staging_table(REPAIRS));
        let mut rows = self.stream::<Right>("reading what is to be repaired", &sql)?;
        let (mut tokens, mut right) = (Vec::new(), Vec::new());
        for count in 1_u64.. {
            let row = rows.next().await?;
            let last = row.is_none();
            if let Some(Right { token_id, condition_id_norm, outcome_index }) = row {
                right.push(format!("('{token_id}','{condition_id_norm}',{outcome_index})"));
                tokens.push(format!("'{token_id}'"));
            }
            if last || tokens.len() == DELETED {
                // Mutations are done in their order, several in one pass: the last one waits for all. Also in between,
                // since a table takes only so many at once.
                let waits = last || count.is_multiple_of(100 * DELETED as u64);
                self.delete_others(&tokens, &right, waits).await?;
                tokens.clear();
                right.clear();
            }
            if last {
                break;
            }
        }
        Ok(())
    }

    async fn delete_others(
        &self,
        tokens: &[String],
        right: &[String],
        waits: bool,
    ) -> Result<(), StoreError> {
        let (tokens, right) = match (tokens, waits) {
            ([], false) => return Ok(()),
            // Deletes nothing and waits for those before it.
            ([], true) => ("''".to_owned(), "('','',0)".to_owned()),
            _ => (tokens.join(","), right.join(",")),
        };
        let inputs = self.inputs().await?;
        let map = inputs.map()?;
        let others = format!(
            "({}, {}, toUInt8({})) NOT IN ({right})",
            map.raw("token_id", "''"),
            condition_norm(&map.raw("condition_id_norm", "''")),
            map.raw("outcome_index", "255"),
        );
        self.delete_usable(&tokens, &others, waits).await
    }

    /// Deletes those usable rows of `tokens`, quoted and with commas, that a condition selects; it can be waited for
    /// this deletion and all before it.
    pub(super) async fn delete_usable(
        &self,
        tokens: &str,
        which: &str,
        waits: bool,
    ) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let map = inputs.map()?;
        let sql = format!(
            "ALTER TABLE {table} DELETE WHERE {usable} AND {token} IN ({tokens}) AND {which} \
             SETTINGS mutations_sync = {sync}",
            table = map.table,
            usable = usable_raw(map),
            token = map.raw("token_id", "''"),
            sync = if waits { 2 } else { 0 },
        );
        self.run("deleting rows of the map that others replace", self.query(&sql)).await
    }

    /// A sub-query of the tokens that are to be repaired.
    pub fn repaired_tokens(&self) -> String {
        format!("SELECT token_id FROM {}", self.staging_table(REPAIRS))
    }

    /// Drops the temporary table, also one that a crashed merge has left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_repairs(&self) -> Result<(), StoreError> {
        let repairs = self.staging_table(REPAIRS);
        self.run("clearing up", self.query(&format!("DROP TABLE IF EXISTS {repairs} SYNC"))).await
    }
}

/// Proves all rows of a token, those of the map before the staged ones, which come in the order of precedence.
fn examine(rows: &[Claim], prover: Prover<'_, '_>) -> Examined {
    let mut proof = MapProof::default();
    let in_map = || rows.iter().filter(|row| row.rank == 0);
    let token = rows.first().and_then(|row| row.token_id.parse::<TokenId>().ok());
    let claims: Vec<(&Claim, ConditionId)> =
        rows.iter().filter_map(|row| Some((row, row.condition_id.parse().ok()?))).collect();
    let choice = token.and_then(|token| {
        prover.choose(token, claims.iter().map(|(row, condition)| (condition, row.outcome_index))).ok()
    });
    let (Some(token), Some(choice)) = (token, choice) else {
        proof.unproven = in_map().count() as u64;
        return Examined { proof, repair: None };
    };
    let Choice { place, proof: right } = choice;
    let agrees = |row: &Claim, condition: &ConditionId| {
        *condition == right.condition && row.outcome_index == right.outcome_index
    };
    // A row whose condition the prover takes for the same in another spelling.
    let is_same = |row: &Claim, condition: &ConditionId| {
        row.outcome_index == right.outcome_index
            && token.structural().is_some()
            && prover.examine(token, condition, row.outcome_index).is_ok()
    };
    for (row, condition) in claims.iter().filter(|(row, _)| row.rank == 0) {
        *match right.evidence {
            _ if !agrees(row, condition) && is_same(row, condition) => &mut proof.respelled,
            _ if !agrees(row, condition) => &mut proof.wrong,
            Evidence::Proven => &mut proof.proven,
            Evidence::Mirror => &mut proof.mirror,
            Evidence::Structural => &mut proof.structural,
        } += 1;
    }
    proof.wrong_tokens = u64::from(proof.wrong > 0);
    proof.respelled_tokens = u64::from(proof.wrong == 0 && proof.respelled > 0);
    if proof.repairable_tokens() == 0 {
        return Examined { proof, repair: None };
    }
    let chosen = place.and_then(|place| claims.get(place));
    // A label stays with its token, but a row of another condition speaks of another market.
    let of_condition = |(_, condition): &&(&Claim, ConditionId)| {
        condition.is_same_as(&right.condition) || chosen.is_some_and(|(_, chosen)| chosen == condition)
    };
    let is_label = |(row, _): &&(&Claim, ConditionId)| {
        !row.outcome_label.is_empty() && !is_misplaced(&row.outcome_label, right.outcome_index)
    };
    // Of the map's own labels rather that of a row with the right index.
    let label = (claims.iter().filter(of_condition).filter(is_label))
        .min_by_key(|(row, _)| (row.rank, row.outcome_index != right.outcome_index));
    let own_label = || token.structural().map(|token| token.label().to_owned()).unwrap_or_default();
    let repair = Repair {
        token_id: token,
        condition_id_norm: right.condition,
        outcome_index: right.outcome_index,
        outcome_label: label.map_or_else(own_label, |(row, _)| row.outcome_label.clone()),
        source: right.evidence.marked(chosen.map_or(Source::Derived.label(), |(row, _)| &row.source)),
        present: u8::from(claims.iter().any(|(row, condition)| row.rank == 0 && agrees(row, condition))),
        known: u8::from(claims.iter().any(|(row, condition)| row.rank == 0 && *condition == right.condition)),
    };
    Examined { proof, repair: Some(repair) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctf::{default_collaterals, token_id};

    fn claim(condition: u8, index: u8, label: &str, rank: u8) -> Claim {
        let of = ConditionId::from_bytes([7; 32]);
        Claim {
            token_id: token_id(&of, 1, &default_collaterals()[0].address).to_string(),
            condition_id: ConditionId::from_bytes([condition; 32]).to_string(),
            outcome_index: index,
            outcome_label: label.to_owned(),
            source: "s".to_owned(),
            rank,
        }
    }

    fn counts(proof: MapProof) -> [u64; 4] {
        [proof.proven, proof.wrong, proof.unproven, proof.wrong_tokens]
    }

    #[test]
    fn a_row_is_proven_wrong_or_unproven_by_what_is_known_of_its_token() {
        let examined = |claims: &[Claim]| {
            let (collaterals, nothing) = (default_collaterals(), KnownConditions::default());
            let examined = examine(claims, Prover::new(&collaterals, &nothing));
            (
                counts(examined.proof),
                examined.repair.map(|it| (it.outcome_index, it.outcome_label, it.present, it.known)),
            )
        };
        assert_eq!(examined(&[claim(7, 1, "No", 0)]), ([1, 0, 0, 0], None));
        assert_eq!(examined(&[claim(9, 1, "No", 0)]), ([0, 0, 1, 0], None));
        assert_eq!(examined(&[claim(7, 0, "No", 0)]), ([0, 1, 0, 1], Some((1, "No".to_owned(), 0, 1))));
        // Staging knows the right condition.
        assert_eq!(
            examined(&[claim(9, 1, "Lakers", 0), claim(7, 0, "No", 2)]),
            ([0, 1, 0, 1], Some((1, "No".to_owned(), 0, 0)))
        );
        // Ambiguous, and one of the two is right.
        assert_eq!(
            examined(&[claim(7, 1, "", 0), claim(9, 1, "Lakers", 0)]),
            ([1, 1, 0, 1], Some((1, String::new(), 1, 1)))
        );
    }

    #[test]
    fn a_row_of_a_native_token_is_right_by_its_bits_and_respelled_once_its_legacy_condition_is_known() {
        let legacy = ConditionId::from_bytes([7; 32]);
        let mirror = legacy.mirror().unwrap();
        let row = |condition: ConditionId, index: u8| Claim {
            token_id: mirror.token(1).unwrap().to_string(),
            condition_id: condition.to_string(),
            ..claim(0, index, "", 0)
        };
        let (own, other) = (mirror.condition_id(), ConditionId::from_bytes([9; 32]));
        let examined = |known: &[ConditionId], rows: &[Claim]| {
            let (collaterals, mut conditions) = (default_collaterals(), KnownConditions::default());
            known.iter().for_each(|condition| conditions.insert(*condition));
            let examined = examine(rows, Prover::new(&collaterals, &conditions));
            let MapProof { mirror, structural, wrong, respelled, .. } = examined.proof;
            let repair = examined.repair.map(|it| (it.condition_id_norm, it.outcome_index, it.source));
            ((mirror, structural, wrong, respelled), repair)
        };
        assert_eq!(examined(&[], &[row(own, 1)]), ((0, 1, 0, 0), None));
        assert_eq!(examined(&[legacy], &[row(legacy, 1)]), ((1, 0, 0, 0), None));
        let rewritten = Some((legacy, 1, "s_mirror".to_owned()));
        assert_eq!(examined(&[legacy], &[row(own, 1)]), ((0, 0, 0, 1), rewritten));
        // Nobody says anything right of it, and the bits do.
        let repaired = Some((own, 1, format!("{}_structural", Source::Derived.label())));
        assert_eq!(examined(&[], &[row(other, 0)]), ((0, 0, 1, 0), repaired));
    }
}
