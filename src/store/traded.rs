//! [`TradedSums`]: what the fills add up to by token, kept between phases for as long as the fills are the same.
//!
//! That they are the same is proven, never assumed: the kept table names in its comment the parts that it was made of,
//! with the hash of each part's bytes, the definition of the fills' table and the statement. It counts where all of that
//! is as it was, and a read sees as many rows as these parts have: no policy, deletion or other server hides any. A table
//! whose rows are not in parts here (a view, a `Distributed` table) is read anew each time.

use super::input::{InputTable, Used};
use super::money::{FAST, FAST_COLUMNS, FAST_VOLUME, USABLE_PRICE, USABLE_SIZE, volume};
use super::sql::well_formed_token;
use super::{Store, StoreError, Table};

/// The table of the sums.
const KEPT: &str = "traded_tokens";
/// The same while it is made.
const FRESH: &str = "backfill_tmp_traded_tokens";
/// What the comment of the kept table begins with; its number of rows and the stamp follow.
const STAMPED: &str = "sums of the fills: ";

/// The first month that is told apart, January 2019, before there was a market; counted as the server counts months.
pub(super) const FIRST_MONTH: u32 = 2019 * 12 + 1;
/// How many months have a bit of their own; the last bit is for every other date.
pub(super) const MONTHS: u32 = 127;

/// The columns of the sums, but for the labels.
pub(super) const SUMS: &str =
    "asset_id, well_formed, fills, slow_fills, bare_fills, fast_volume, slow_volume, month_bits";

/// Where the sums by token are to be had.
#[derive(Debug, Clone)]
pub struct TradedSums(Option<Table>);

impl TradedSums {
    /// Whether they stand in a table.
    pub const fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// The table that has them, `None` where the fills themselves are to be read.
    pub(super) const fn table(&self) -> Option<&Table> {
        self.0.as_ref()
    }

    /// A sub-query of every distinct `asset_id` of the fills, and whether it is a token id (`well_formed`).
    pub(super) fn tokens(&self, fills: &InputTable) -> String {
        match &self.0 {
            Some(kept) => kept.to_string(),
            None => format!(
                "(SELECT asset_id, {} AS well_formed FROM (SELECT DISTINCT asset_id FROM {}))",
                well_formed_token("asset_id"),
                fills.from()
            ),
        }
    }

    /// A sub-query of the same with the `label` that the fills give each most often, empty where none has one.
    pub(super) fn labelled(&self, fills: &InputTable) -> String {
        let counted = |among: &str| {
            format!(
                "SELECT asset_id, argMax(own, (own != '', times, own)) AS label \
                 FROM (SELECT asset_id, {} AS own, count() AS times FROM {} WHERE {among} GROUP BY asset_id, own) GROUP BY asset_id",
                label(fills),
                fills.from()
            )
        };
        match &self.0 {
            // Few tokens have several labels.
            Some(kept) => format!(
                "(SELECT asset_id, well_formed, if(mixed, several.label, traded.label) AS label FROM {kept} AS traded \
                 GLOBAL LEFT ANY JOIN ({}) AS several USING asset_id)",
                counted(&format!("asset_id GLOBAL IN (SELECT asset_id FROM {kept} WHERE mixed)"))
            ),
            None => format!(
                "(SELECT asset_id, {} AS well_formed, label FROM ({}))",
                well_formed_token("asset_id"),
                counted("true")
            ),
        }
    }
}

/// A fill's own label.
fn label(fills: &InputTable) -> &'static str {
    // Some installations have fills without labels.
    if fills.has("outcome") { "ifNull(toString(outcome), '')" } else { "''" }
}

/// Whether most of the fills can be added up as integers.
pub(super) fn has_fast_way(fills: &InputTable) -> bool {
    ["price", "size"].into_iter().all(|name| fills.column(name).is_some_and(Used::is_float))
}

/// The fills once, added up by token: [`SUMS`], and with `labels` one `label` and whether there are others (`mixed`).
/// Without `exact`, fills that are not as simple as they seem are counted and have no volume.
pub(super) fn by_token(input: &InputTable, exact: bool, labels: bool) -> String {
    let floats = has_fast_way(input);
    let (fast, fast_columns) = if floats {
        (FAST, FAST_COLUMNS)
    } else {
        ("false", "toUInt32(0) AS micro_price, toUInt64(0) AS whole_size")
    };
    let (price, size) = (input.exact("price"), input.exact("size"));
    let texts = if floats { String::new() } else { format!(", {price}, {size}") };
    let usable = format!("({USABLE_PRICE} AND {USABLE_SIZE})");
    // The look whether all is as simple as it seems is in the first pass; what it finds is counted in the second.
    let (slow_volume, bare) = if exact {
        (format!("sumIf(ifNull({}, 0), usable AND NOT fast)", volume(&price, &size)), "countIf(NOT usable)")
    } else {
        ("toDecimal256(0, 46)".to_owned(), "toUInt64(0)")
    };
    let usable = if exact { format!(", {usable} AS usable") } else { String::new() };
    let (own, marks) = if labels {
        (
            format!(", {} AS own", label(input)),
            ", anyIf(own, own != '') AS label, \
               minIf(sipHash64(own), own != '') != maxIf(sipHash64(own), own != '') AS mixed",
        )
    } else {
        (String::new(), "")
    };
    format!(
        "SELECT asset_id, {token} AS well_formed, count() AS fills, countIf(NOT fast) AS slow_fills, {bare} AS bare_fills, \
                sumIf({FAST_VOLUME}, fast) AS fast_volume, {slow_volume} AS slow_volume, \
                groupBitOr(bitShiftLeft(toUInt128(1), \
                    least(toUInt16(toRelativeMonthNum(timestamp, 'UTC') - {FIRST_MONTH}), {MONTHS}))) AS month_bits{marks} \
         FROM (SELECT asset_id, price, size{texts}, timestamp, {fast_columns}, {fast} AS fast{usable}{own} FROM {fills}) \
         GROUP BY asset_id",
        token = well_formed_token("asset_id"),
        fills = input.from(),
    )
}

impl Store {
    /// The sums by token where they are kept and proven to be those of the fills as they are now; else the fills.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_sums(&self) -> Result<TradedSums, StoreError> {
        let nothing = TradedSums(None);
        let kept = self.staging_table(KEPT);
        let Some(comment) = self.comment_of(&kept).await? else { return Ok(nothing) };
        let Some(stamp) = self.stamp().await? else { return Ok(nothing) };
        let rows: u64 =
            self.one("reading the sums", self.query(&format!("SELECT count() FROM {kept}"))).await?;
        Ok(TradedSums((comment == stamped(rows, &stamp)).then_some(kept)))
    }

    /// Whether the sums can be kept at all: the fills have parts here, and columns for everything that is added up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn can_keep_sums(&self) -> Result<bool, StoreError> {
        Ok(self.stamp().await?.is_some())
    }

    /// Makes the sums by token anew. They are a snapshot of the fills, also where those change meanwhile, and then they are
    /// not proven to be up to date afterwards.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make_sums(&self) -> Result<TradedSums, StoreError> {
        let doing = "adding up the fills";
        let (kept, fresh) = (self.staging_table(KEPT), self.staging_table(FRESH));
        let before = self.stamp().await?;
        let inputs = self.inputs().await?;
        let fast = has_fast_way(inputs.fills()?);
        let mut rows = self.add_up(&fresh, &by_token(inputs.fills()?, !fast, true)).await?;
        let slow = format!("SELECT count() FROM {fresh} WHERE slow_fills > 0");
        if fast && self.one::<u64>(doing, self.query(&slow)).await? > 0 {
            rows = self.add_up(&fresh, &by_token(inputs.fills()?, true, true)).await?;
        }
        if let Some(stamp) = self.stamp().await?.filter(|after| before.as_ref() == Some(after)) {
            let comment = format!("ALTER TABLE {fresh} MODIFY COMMENT '{}'", stamped(rows, &stamp));
            self.run(doing, self.query(&comment)).await?;
        }
        let create = format!("CREATE TABLE IF NOT EXISTS {kept} AS {fresh}");
        self.run(doing, self.query(&create)).await?;
        self.run(doing, self.query(&format!("EXCHANGE TABLES {kept} AND {fresh}"))).await?;
        self.run(doing, self.query(&format!("DROP TABLE IF EXISTS {fresh} SYNC"))).await?;
        Ok(TradedSums(Some(kept)))
    }

    /// Writes what `select` adds up to a new table, and says how many tokens there are.
    async fn add_up(&self, table: &Table, select: &str) -> Result<u64, StoreError> {
        let doing = "adding up the fills";
        self.run(doing, self.query(&format!("DROP TABLE IF EXISTS {table} SYNC"))).await?;
        let create = format!(
            "CREATE TABLE {table} (asset_id String, well_formed Bool, fills UInt64, slow_fills UInt64, bare_fills UInt64, \
             fast_volume UInt128, slow_volume Decimal(76, 46), month_bits UInt128, label LowCardinality(String), mixed Bool) \
             ENGINE = MergeTree ORDER BY asset_id"
        );
        self.run(doing, self.query(&create)).await?;
        let insert = self.query(&format!("INSERT INTO {table} ({SUMS}, label, mixed) {select}"));
        let insert = insert.with_setting("max_bytes_before_external_group_by", "1500000000");
        self.run(doing, insert).await?;
        self.one(doing, self.query(&format!("SELECT count() FROM {table}"))).await
    }

    /// What the fills are, as a hash: their table's definition, their parts with the hash of the bytes of each, and the
    /// statement that adds them up. `None` where a read does not see exactly the rows of these parts.
    async fn stamp(&self) -> Result<Option<String>, StoreError> {
        let doing = "reading which fills there are";
        let inputs = self.inputs().await?;
        let fills = inputs.fills()?;
        let is_stored = fills.engine.ends_with("MergeTree")
            && ["price", "size", "timestamp"].into_iter().all(|column| fills.has(column))
            // What another table or the clock decides is in no part.
            && fills.used.iter().all(|used| used.theirs.default_kind != "ALIAS");
        if !is_stored {
            return Ok(None);
        }
        let parts = self
            .query(
                "SELECT sum(rows), ifNull(lower(hex(sipHash128({statement:String}, \
                    (SELECT any((toString(uuid), create_table_query)) FROM system.tables WHERE database = {database:String} AND name = {table:String}), \
                    arraySort(groupArray((partition_id, name, rows, hash_of_all_files)))))), '') \
                 FROM system.parts WHERE active AND database = {database:String} AND table = {table:String}",
            )
            .param("statement", by_token(fills, false, true))
            .param("database", &fills.table.database)
            .param("table", &fills.table.name);
        let (rows, stamp): (u64, String) = self.one(doing, parts).await?;
        let count = format!("SELECT count() FROM {}", fills.table);
        let seen: u64 = self.one(doing, self.query(&count)).await?;
        Ok((rows == seen && !stamp.is_empty()).then_some(stamp))
    }
}

/// The comment of sums of so many tokens.
fn stamped(rows: u64, stamp: &str) -> String {
    format!("{STAMPED}{rows} {stamp}")
}
