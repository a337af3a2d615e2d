//! What `watch` keeps: the tokens that it has noticed and when each was mapped, and how far the fills were read.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::conditions::{Conditions, Stream, TradedToken};
use super::input::{ColumnType, Kind};
use super::merge::in_table;
use super::sql::{fingerprint, structural_token, usable_map_among, well_formed_token};
use super::{Store, StoreError, Table, quoted};
use crate::source::Source;

/// The tokens that the fills of one look name. Lives only while they are compared with the map.
const LOOK: &str = "backfill_tmp_watch_look";
/// The tokens of a tick: noticed, and not mapped yet.
const PENDING: &str = "backfill_tmp_watch_pending";

/// The column that says when a fill came into the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark(String);

/// How far the fills were read, by the last tick that came to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct WatchTick {
    /// Its number, from 1.
    pub tick: u64,
    /// When it ended, in seconds since 1970.
    pub ended_at: u32,
    /// The newest fill by then, in seconds since 1970.
    pub watermark: u32,
    /// When all fills were read last, in seconds since 1970.
    pub full_at: u32,
    /// Fills newer than the watermark before.
    pub new_fills: u64,
    /// Tokens that were noticed.
    pub new_tokens: u64,
    /// Tokens that it mapped.
    pub mapped: u64,
    /// Noticed tokens without a mapping afterwards.
    pub unmapped: u64,
}

/// What one look at the fills found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Fills newer than the watermark before.
    pub new_fills: u64,
    /// Unmapped tokens that were not noticed before.
    pub new_tokens: u64,
    /// The newest fill, in seconds since 1970; 0 where the look saw none.
    pub newest: u32,
}

/// Tokens that a tick has mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Row, Deserialize)]
pub struct MappedTokens {
    /// How many.
    pub tokens: u64,
    /// By what the map names as their source.
    pub by_source: Vec<(String, u64)>,
    /// From a fill's arrival to its token's mapping, in seconds: half of the tokens took no longer.
    pub lag_p50: u64,
    /// 99 of 100 tokens took no longer.
    pub lag_p99: u64,
}

impl Store {
    /// Creates what a watch keeps, where it is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_watch_tables(&self) -> Result<(), StoreError> {
        let doing = "creating the tables of the watch";
        for (name, columns) in [
            (
                "watch_tokens",
                "(token_id String, condition_id String, outcome_label String, ingested_at DateTime('UTC'), \
                 mapped_at DateTime('UTC'), source LowCardinality(String)) \
                 ENGINE = ReplacingMergeTree(mapped_at) ORDER BY token_id",
            ),
            (
                "watch_ticks",
                "(tick UInt64, ended_at UInt32, watermark UInt32, full_at UInt32, new_fills UInt64, \
                 new_tokens UInt64, mapped UInt64, unmapped UInt64) ENGINE = MergeTree ORDER BY tick",
            ),
        ] {
            let table = self.staging_table(name);
            self.run(doing, self.query(&format!("CREATE TABLE IF NOT EXISTS {table} {columns}"))).await?;
        }
        Ok(())
    }

    /// The column that tells when a fill came: the one that is named, which has to be a date with a time, else
    /// `ingested_at`; `None` where that is no such column.
    ///
    /// # Errors
    /// The named column is missing, or holds no time.
    pub async fn watermark(&self, named: Option<&str>) -> Result<Option<Watermark>, StoreError> {
        let inputs = self.inputs().await?;
        let fills = inputs.fills()?;
        let own = fills.column("ingested_at").map(|used| used.theirs.name.clone());
        let Some(name) = named.map(str::to_owned).or(own) else { return Ok(None) };
        let columns = self.columns(&fills.table).await?.unwrap_or_default();
        let of = columns.iter().find(|column| column.name == name);
        let is_time = of.is_some_and(|column| {
            let of = ColumnType::parse(&column.type_name);
            matches!(of.kind, Kind::DateTime | Kind::DateTime64(_)) && !of.nullable
        });
        match (is_time, named) {
            (true, _) => Ok(Some(Watermark(quoted(&name)))),
            (false, None) => Ok(None),
            (false, Some(_)) => Err(StoreError::MissingColumn {
                table: fills.table.plain(),
                column: format!("{name} of type DateTime"),
            }),
        }
    }

    /// The last tick that came to its end, of whatever process.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_watch_tick(&self) -> Result<Option<WatchTick>, StoreError> {
        let table = self.staging_table("watch_ticks");
        if self.columns(&table).await?.is_none() {
            return Ok(None);
        }
        let sql = format!("SELECT * FROM {table} ORDER BY tick DESC, ended_at DESC LIMIT 1");
        let ticks: Vec<WatchTick> = self.rows("reading the last tick", self.query(&sql)).await?;
        Ok(ticks.into_iter().next())
    }

    /// Notes that a tick came to its end, once its tokens are in their tables.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_watch_tick(&self, tick: WatchTick) -> Result<(), StoreError> {
        self.insert(&self.staging_table("watch_ticks"), "watch", &[tick]).await
    }

    /// Reads the fills from `since` on, all of them where it is `None`, and keeps the tokens that the map has not and that
    /// were not noticed before. Repeating it notices nothing twice.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look_at_fills(
        &self,
        watermark: Option<&Watermark>,
        since: Option<u32>,
        before: u32,
    ) -> Result<Look, StoreError> {
        let doing = "looking for new fills";
        let inputs = self.inputs().await?;
        let (fills, map) = (inputs.fills()?, inputs.map()?);
        let (look, noticed) = (self.staging_table(LOOK), self.staging_table("watch_tokens"));
        let at = watermark.map_or_else(
            || "toUInt32(0)".to_owned(),
            |Watermark(column)| format!("toUnixTimestamp({column})"),
        );
        // By the column itself, so that an index on it is used and rows that are old cost no more than it.
        let recent = match (watermark, since) {
            (Some(Watermark(column)), Some(since)) => format!("{column} >= toDateTime({since}, 'UTC')"),
            _ => "true".to_owned(),
        };
        let label = match fills.has("outcome") {
            true => format!("ifNull(toString({}), '')", fills.raw("outcome", "''")),
            false => "''".to_owned(),
        };
        self.drop_watch_tables().await?;
        let create = format!(
            "CREATE TABLE {look} ENGINE = MergeTree ORDER BY token_id AS \
             SELECT {token} AS token_id, countIf({at} > {before}) AS new_fills, min({at}) AS first, max({at}) AS last, \
                    anyIf({condition}, {condition} != '') AS condition_id, \
                    toValidUTF8(argMax({label}, {label} != '')) AS outcome_label \
             FROM {table} {last} WHERE {recent} GROUP BY token_id",
            token = fills.raw("asset_id", "''"),
            condition = format!("toString({})", fills.raw("condition_id", "''")),
            table = fills.table,
            last = if fills.final_only { "FINAL" } else { "" },
        );
        self.run(doing, self.query(&create)).await?;
        let among = in_table(&look);
        let new = format!(
            "SELECT token_id, condition_id, outcome_label, first AS ingested_at, 0 AS mapped_at, '' AS source FROM {look} \
             WHERE {well_formed} AND token_id GLOBAL NOT IN (SELECT token_id FROM {map} WHERE NOT disagreeing) \
               AND token_id GLOBAL NOT IN (SELECT token_id FROM {noticed} WHERE {among})",
            well_formed = well_formed_token("token_id"),
            map = usable_map_among(map, &among),
        );
        let count = format!("SELECT count() FROM ({new})");
        let new_tokens: u64 = self.one(doing, self.query(&count)).await?;
        let sql = format!("SELECT sum(new_fills), max(last) FROM {look}");
        let (new_fills, newest): (u64, u32) = self.one(doing, self.query(&sql)).await?;
        if new_tokens > 0 {
            self.run(doing, self.query(&format!("INSERT INTO {noticed} {new}"))).await?;
        }
        Ok(Look { new_fills, new_tokens, newest })
    }

    /// Puts the tokens that were noticed and are not mapped yet into a table of their own, and says how many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_pending(&self) -> Result<u64, StoreError> {
        let doing = "listing what waits for its mapping";
        let (pending, noticed) = (self.pending(), self.staging_table("watch_tokens"));
        self.run(doing, self.query(&format!("DROP TABLE IF EXISTS {pending} SYNC"))).await?;
        let create = format!(
            "CREATE TABLE {pending} ENGINE = MergeTree ORDER BY token_id AS \
             SELECT token_id, condition_id, outcome_label, ingested_at FROM {noticed} FINAL WHERE mapped_at = 0"
        );
        self.run(doing, self.query(&create)).await?;
        self.one(doing, self.query(&format!("SELECT count() FROM {pending}"))).await
    }

    /// The table of [`Store::list_pending`].
    pub fn pending(&self) -> Table {
        self.staging_table(PENDING)
    }

    /// The pending tokens as `derive` looks for them, ordered by their fingerprints; those that are derived by now left
    /// out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pending_traded(&self) -> Result<Stream<TradedToken>, StoreError> {
        let (pending, derived) = (self.pending(), self.staging_table(&Source::Derived.staging_table()));
        let sql = format!(
            "SELECT {} AS fingerprint, outcome_label AS label, \
                    token_id NOT IN (SELECT token_id FROM {derived} WHERE {}) AS open, \
                    if({} != '', token_id, '') AS native FROM {pending} ORDER BY fingerprint",
            fingerprint("token_id"),
            in_table(&pending),
            structural_token("token_id"),
        );
        self.stream("listing what waits for its mapping", &sql)
    }

    /// The conditions that the pending tokens' fills name, and those that the chain told from `since` on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pending_conditions(&self, since: u32) -> Result<Conditions, StoreError> {
        let (pending, chain) = (self.pending(), self.staging_table("chain_conditions"));
        let mut spelled = format!(
            "SELECT DISTINCT trimRight(replaceAll(condition_id, '\\0', '')) AS spelled FROM {pending}"
        );
        let columns = self.columns(&chain).await?.unwrap_or_default();
        if ["condition_id_norm", "fetched_at"].iter().all(|name| columns.iter().any(|it| it.name == *name)) {
            spelled.push_str(&format!(
                " UNION ALL SELECT DISTINCT condition_id_norm FROM {chain} WHERE toUnixTimestamp(fetched_at) >= {since}"
            ));
        }
        self.conditions_in(&spelled)
    }

    /// Makes the pending tokens that nobody has staged the unmapped ones, to be split between the tracks, and says how
    /// many they are, and for how many of them one of `sources` has no answer that counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_pending_work(&self, sources: &[Source]) -> Result<(u64, u64), StoreError> {
        let doing = "listing what waits for its mapping";
        let pending = self.pending();
        let among = in_table(&pending);
        let staged = Source::ALL
            .map(|source| {
                format!("SELECT token_id FROM {} WHERE {among}", self.staging_table(&source.staging_table()))
            })
            .join(" UNION ALL ");
        let select = format!("SELECT token_id FROM {pending} WHERE token_id NOT IN ({staged})");
        let total = self.list_unmapped_of(&format!("SELECT token_id AS asset_id FROM ({select})")).await?;
        let answered =
            self.answers_without_mapping("toString(track) AS track, token_id", &among).join(" UNION ALL ");
        let names =
            sources.iter().map(|source| format!("'{}'", source.name())).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT count() FROM ({select}) AS p LEFT JOIN (SELECT token_id, groupUniqArray(track) AS tracks \
               FROM ({answered}) GROUP BY token_id) AS a ON p.token_id = a.token_id \
             WHERE NOT hasAll(a.tracks, [{names}])"
        );
        let open = self.one(doing, self.query(&sql)).await?;
        Ok((total, open))
    }

    /// Notes which of the pending tokens are in the map by now, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_mapped(&self, now: u32) -> Result<MappedTokens, StoreError> {
        let doing = "noting what is mapped";
        let inputs = self.inputs().await?;
        let map = inputs.map()?;
        let (pending, noticed) = (self.pending(), self.staging_table("watch_tokens"));
        let among = in_table(&pending);
        let usable = usable_map_among(map, &among);
        let source = map.or("source", "''");
        let found = format!(
            "SELECT token_id, condition_id, outcome_label, ingested_at, toDateTime({now}, 'UTC') AS mapped_at, s.source AS source \
             FROM (SELECT * FROM {pending} WHERE token_id GLOBAL IN (SELECT token_id FROM {usable} WHERE NOT disagreeing)) AS p \
             GLOBAL LEFT ANY JOIN (SELECT token_id, toValidUTF8(toString(any({source}))) AS source FROM {from} \
               WHERE {among} GROUP BY token_id) AS s USING token_id SETTINGS join_use_nulls = 0",
            from = map.from(),
        );
        self.run(doing, self.query(&format!("INSERT INTO {noticed} {found}"))).await?;
        let sql = format!(
            "SELECT sum(count) AS tokens, groupArray((source, count)) AS by_source, \
                    toUInt64(quantileExactArray(0.5)(lags)) AS lag_p50, \
                    toUInt64(quantileExactArray(0.99)(lags)) AS lag_p99 \
             FROM (SELECT toString(source) AS source, count() AS count, \
                          groupArray(greatest(0, toInt64(toUnixTimestamp(mapped_at)) - toInt64(toUnixTimestamp(ingested_at)))) AS lags \
                   FROM {noticed} FINAL WHERE {among} AND mapped_at = toDateTime({now}, 'UTC') \
                   GROUP BY source ORDER BY source)"
        );
        self.one(doing, self.query(&sql)).await
    }

    /// Drops what lives only during a tick, also after a crash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_watch_tables(&self) -> Result<(), StoreError> {
        for name in [LOOK, PENDING] {
            let table = self.staging_table(name);
            self.run("clearing up", self.query(&format!("DROP TABLE IF EXISTS {table} SYNC"))).await?;
        }
        Ok(())
    }
}
