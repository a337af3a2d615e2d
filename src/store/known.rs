//! Which conditions are known when mirrors are looked for, and what the chain says of mirrors and combos.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::{condition_norm, is_structural, structural_token};
use super::{Store, StoreError, Table};
use crate::ids::{ConditionId, TokenId};
use crate::proof::{KnownConditions, ProofPolicy, Prover};
use crate::source::Source;

/// A staged row of a token that is a hash.
#[derive(Row, Deserialize)]
struct Claim {
    token_id: String,
    condition_id: String,
    outcome_index: u8,
}

/// A mirror that a module registered on chain.
#[derive(Row, Deserialize)]
struct Registration {
    mirror: String,
    legacy: String,
}

/// A negative-risk market of the first generation.
#[derive(Row, Deserialize)]
struct NegRiskMarket {
    market: String,
    questions: u16,
}

/// A combo with its legs.
#[derive(Row, Deserialize)]
struct Combo {
    condition: String,
    legs: Vec<String>,
}

impl Store {
    /// The policy's known conditions, filled: for every mirror that is staged, waits for its mapping or stands in the
    /// map, the conditions of the users' tables and of the chain that it can be the twin of, and those whose own token
    /// is staged and proven; what the modules registered; and the combos whose legs are known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn learn_known_conditions(&self, policy: &mut ProofPolicy) -> Result<(), StoreError> {
        let mut known = (*policy.known).clone();
        self.learn_registrations(&mut known).await?;
        let halves = self.mirrored_halves().await?;
        let any: u8 = self
            .one("looking for mirrors", self.query(&format!("SELECT count() > 0 FROM ({halves})")))
            .await?;
        if any > 0 {
            let columns = self.condition_columns(&[]).await?;
            let all = self.spelled_conditions(&columns);
            let sql = format!(
                "SELECT DISTINCT norm FROM (SELECT {norm} AS norm FROM ({all})) \
                 WHERE norm != '' AND right(norm, 32) GLOBAL IN ({halves}) AND NOT {structural}",
                norm = condition_norm("spelled"),
                structural = is_structural("norm"),
            );
            let conditions: Vec<String> = self.rows("reading the known conditions", self.query(&sql)).await?;
            conditions.iter().filter_map(|text| text.parse().ok()).for_each(|it| known.insert(it));
            self.learn_from_staged(&mut known, &policy.collaterals, &halves).await?;
        }
        policy.known = std::sync::Arc::new(known);
        Ok(())
    }

    /// The conditions of staged rows whose token, a hash, proves them. What a row says of itself proves nothing.
    async fn learn_from_staged(
        &self,
        known: &mut KnownConditions,
        collaterals: &[crate::ctf::Collateral],
        halves: &str,
    ) -> Result<(), StoreError> {
        if !self.has_staging().await? {
            return Ok(());
        }
        let sql = format!(
            "SELECT DISTINCT token_id, condition_id, toUInt8(outcome_index) AS outcome_index FROM ({all}) \
             WHERE condition_id != '' AND right(condition_id, 32) GLOBAL IN ({halves}) \
               AND NOT {structural} AND {token} = ''",
            all = self.all_staged(),
            structural = is_structural("condition_id"),
            token = structural_token("token_id"),
        );
        let mut rows = self.stream::<Claim>("reading the known conditions", &sql)?;
        let nothing = KnownConditions::default();
        let prover = Prover::new(collaterals, &nothing);
        while let Some(row) = rows.next().await? {
            let ids = (row.token_id.parse::<TokenId>(), row.condition_id.parse::<ConditionId>());
            let (Ok(token), Ok(condition)) = ids else { continue };
            if prover.examine(token, &condition, row.outcome_index).is_ok() {
                known.insert(condition);
            }
        }
        Ok(())
    }

    /// What the chain's tables say of mirrors, negative-risk markets and combos; nothing where they are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn learn_registrations(&self, known: &mut KnownConditions) -> Result<(), StoreError> {
        let doing = "reading what the chain registered";
        if self.has_columns("neg_risk_markets", &["market", "question_index"]).await? {
            let table = self.staging_table("neg_risk_markets");
            let sql = format!(
                "SELECT lower(right(market, 64)) AS market, toUInt16(uniqExact(question_index)) AS questions \
                 FROM {table} WHERE match(market, '^(0[xX])?[0-9a-fA-F]{{64}}$') GROUP BY market"
            );
            let markets: Vec<NegRiskMarket> = self.rows(doing, self.query(&sql)).await?;
            for NegRiskMarket { market, questions } in markets {
                if let Ok(market) = market.parse::<ConditionId>() {
                    known.insert_market(*market.as_bytes(), questions);
                }
            }
        }
        if self.has_columns("chain_conditions", &["condition_id_norm", "legacy_condition"]).await? {
            let table = self.staging_table("chain_conditions");
            let (mirror, legacy) = (condition_norm("condition_id_norm"), condition_norm("legacy_condition"));
            let sql = format!(
                "SELECT DISTINCT {mirror} AS mirror, {legacy} AS legacy FROM {table} WHERE legacy_condition != ''"
            );
            let registered: Vec<Registration> = self.rows(doing, self.query(&sql)).await?;
            for Registration { mirror, legacy } in registered {
                let (mirror, legacy) = (mirror.parse::<ConditionId>(), legacy.parse::<ConditionId>());
                if let (Ok(mirror), Ok(legacy)) = (mirror, legacy)
                    && let Some(mirror) = mirror.structural()
                {
                    known.register(&mirror, legacy);
                }
            }
        }
        for (condition, legs) in self.combos().await? {
            if let Some(condition) = condition.structural() {
                known.insert_combo(&condition, &legs);
            }
        }
        Ok(())
    }

    /// The combos that `staging.combos` has, with their legs as they stand there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn combos(&self) -> Result<Vec<(ConditionId, Vec<TokenId>)>, StoreError> {
        if !self.has_columns("combos", &["condition_id_norm", "legs"]).await? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT DISTINCT {} AS condition, legs FROM {}",
            condition_norm("condition_id_norm"),
            self.staging_table("combos")
        );
        let combos: Vec<Combo> = self.rows("reading the combos", self.query(&sql)).await?;
        let parsed = combos.into_iter().filter_map(|combo| {
            let legs = combo.legs.iter().map(|leg| leg.parse().ok()).collect::<Option<Vec<TokenId>>>()?;
            Some((combo.condition.parse().ok()?, legs))
        });
        Ok(parsed.collect())
    }

    /// Whether a table of the staging database is there with these columns.
    async fn has_columns(&self, table: &str, names: &[&str]) -> Result<bool, StoreError> {
        let columns = self.columns(&self.staging_table(table)).await?.unwrap_or_default();
        Ok(names.iter().all(|name| columns.iter().any(|column| column.name == *name)))
    }

    /// Whether every source has its staging table.
    async fn has_staging(&self) -> Result<bool, StoreError> {
        for source in Source::ALL {
            if self.columns(&self.staging_table(&source.staging_table())).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A query of the 128 bits, as 32 hex digits, that name the legacy condition of every token which may be a mirror:
    /// of the map, of what is staged and of what waits for its mapping.
    async fn mirrored_halves(&self) -> Result<String, StoreError> {
        let inputs = self.inputs().await?;
        let mut selects = Vec::new();
        let mut select = |from: &dyn std::fmt::Display, column: &str| {
            let token = structural_token(column);
            selects.push(format!("SELECT {token} AS own FROM {from} WHERE length({column}) = 75"));
        };
        if let Some(map) = inputs.map.as_ref().filter(|map| map.has("token_id")) {
            select(&map.from(), "token_id");
        }
        let mut tables: Vec<(Table, &str)> = Vec::new();
        for source in Source::ALL {
            tables.push((self.staging_table(&source.staging_table()), "token_id"));
            tables.push((self.staging_table(&source.workload_table()), "asset_id"));
        }
        tables.push((self.staging_table("unmapped_tokens"), "asset_id"));
        for (table, column) in tables {
            let columns = self.columns(&table).await?.unwrap_or_default();
            if columns.iter().any(|it| it.name == column) {
                select(&table, column);
            }
        }
        let all = selects.join(" UNION ALL ");
        // Module 1, on Polygon.
        Ok(format!(
            "SELECT DISTINCT substring(own, 3, 32) FROM ({all}) WHERE match(own, '^01[0-9a-f]{{32}}0{{30}}$')"
        ))
    }
}
