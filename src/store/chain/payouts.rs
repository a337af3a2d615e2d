//! The chain's payouts on their way into the users' table of resolutions, for the conditions that it lacks.

use clickhouse::Row;
use clickhouse::types::UInt256;
use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use super::ChainTable;
use crate::store::input::{InputTable, Kind, Used};
use crate::store::sql::{condition_norm, mirror_spelling};
use crate::store::{Store, StoreError, quoted};

/// Lives only while payouts are merged.
const TABLE: &str = "backfill_tmp_payouts";

/// Rows that are written at once.
const CHUNK: usize = 50_000;

/// How many conditions are shown that the table cannot hold.
const SHOWN: usize = 20;

const DOING: &str = "merging the chain's payouts into the resolutions";

/// What became of the payouts that the table of resolutions lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedPayouts {
    /// Conditions that were added, or would be.
    pub added: u64,
    /// Conditions whose payout the table's columns cannot hold.
    pub unfit: u64,
    /// Some of those, each with what it pays.
    pub unfit_shown: Vec<String>,
}

#[derive(Row, Deserialize)]
struct Reported {
    condition: String,
    numerators: Vec<UInt256>,
}

/// What a condition pays in the smallest numbers.
#[derive(Row, Serialize)]
struct Smallest {
    condition: String,
    numerators: Vec<UInt256>,
    denominator: UInt256,
    /// The outcome that is paid all, 65535 where none is.
    winning: u16,
}

/// A column that is written: its name, its value, and whether the value fits into it.
struct Column {
    name: String,
    value: String,
    fits: String,
}

impl Store {
    /// Writes a row a condition that the chain has resolved and the table of resolutions lacks, in either spelling. Running
    /// it again adds nothing.
    ///
    /// # Errors
    /// The table is missing or of a type that cannot be written, or ClickHouse fails.
    pub async fn merge_payouts(&self, dry_run: bool) -> Result<MergedPayouts, StoreError> {
        let inputs = self.inputs().await?;
        let table = inputs.resolutions.as_ref().ok_or_else(|| StoreError::MissingTable {
            table: self.names().resolutions.plain(),
            setting: "RESOLUTIONS_TABLE",
            creatable: false,
        })?;
        let columns = columns(table)?;
        self.drop_payouts().await?;
        let merged = self.write_payouts(table, &columns, dry_run).await;
        self.drop_payouts().await?;
        merged
    }

    async fn write_payouts(
        &self,
        table: &InputTable,
        columns: &[Column],
        dry_run: bool,
    ) -> Result<MergedPayouts, StoreError> {
        self.find_payouts(table).await?;
        let temporary = self.staging_table(TABLE);
        let fits: Vec<&str> = columns.iter().map(|it| it.fits.as_str()).collect();
        let fits = fits.join(" AND ");
        let sql = format!("SELECT countIf({fits}), countIf(NOT ({fits})) FROM {temporary}");
        let (added, unfit): (u64, u64) = self.one(DOING, self.query(&sql)).await?;
        let sql = format!(
            "SELECT concat(condition, ': ', toString(numerators)) FROM {temporary} WHERE NOT ({fits}) \
             ORDER BY condition LIMIT {SHOWN}"
        );
        let unfit_shown = self.rows(DOING, self.query(&sql)).await?;
        if !dry_run && added > 0 {
            let names: Vec<&str> = columns.iter().map(|it| it.name.as_str()).collect();
            let values: Vec<&str> = columns.iter().map(|it| it.value.as_str()).collect();
            let sql = format!(
                "INSERT INTO {} ({}) SELECT {} FROM {temporary} WHERE {fits} SETTINGS insert_deduplicate = 0",
                table.table,
                names.join(", "),
                values.join(", ")
            );
            self.run(DOING, self.query(&sql)).await?;
        }
        Ok(MergedPayouts { added, unfit, unfit_shown })
    }

    /// Puts what is lacking into the temporary table, divided by its greatest common divisor.
    async fn find_payouts(&self, table: &InputTable) -> Result<(), StoreError> {
        let temporary = self.staging_table(TABLE);
        let create = format!(
            "CREATE TABLE {temporary} (condition String, numerators Array(UInt256), denominator UInt256, winning UInt16) \
             ENGINE = MergeTree ORDER BY condition"
        );
        self.run(DOING, self.query(&create)).await?;
        let norm = condition_norm("condition_id_norm");
        let sql = format!(
            "SELECT condition_id_norm AS condition, any(payout_numerators) AS numerators FROM {chain} \
             WHERE {own} GLOBAL NOT IN (SELECT {theirs} FROM (SELECT {norm} AS norm FROM {from}) WHERE norm != '') \
             GROUP BY condition HAVING uniqExact(payout_numerators) = 1 ORDER BY condition",
            chain = self.chain_table(ChainTable::Resolutions),
            own = mirror_spelling("condition_id_norm"),
            theirs = mirror_spelling("norm"),
            from = table.from(),
        );
        let mut rows = self.stream::<Reported>(DOING, &sql)?;
        let mut chunk = Vec::new();
        loop {
            let row = rows.next().await?;
            let ended = row.is_none();
            chunk.extend(row.and_then(smallest));
            if (ended && !chunk.is_empty()) || chunk.len() >= CHUNK {
                self.insert(&temporary, "merge", &chunk).await?;
                chunk.clear();
            }
            if ended {
                return Ok(());
            }
        }
    }

    async fn drop_payouts(&self) -> Result<(), StoreError> {
        let table = self.staging_table(TABLE);
        self.run(DOING, self.query(&format!("DROP TABLE IF EXISTS {table} SYNC"))).await
    }
}

/// Divides by the greatest common divisor; nothing where nothing is paid.
fn smallest(row: Reported) -> Option<Smallest> {
    let parts: Vec<U256> =
        row.numerators.iter().map(|part| U256::from_le_bytes(part.to_le_bytes())).collect();
    let divisor = parts.iter().fold(U256::ZERO, |divisor, part| divisor.gcd(*part));
    let whole = parts.iter().try_fold(U256::ZERO, |sum, part| sum.checked_add(*part))?;
    let divided = |number: U256| Some(UInt256::from_le_bytes(number.checked_div(divisor)?.to_le_bytes()));
    let winning = parts.iter().position(|part| *part == whole).and_then(|it| u16::try_from(it).ok());
    Some(Smallest {
        condition: row.condition,
        numerators: parts.iter().map(|part| divided(*part)).collect::<Option<Vec<_>>>()?,
        denominator: divided(whole)?,
        winning: winning.unwrap_or(u16::MAX),
    })
}

/// The columns that are written, in the table's own types.
fn columns(table: &InputTable) -> Result<Vec<Column>, StoreError> {
    let mut columns = Vec::new();
    for used in &table.used {
        let name = quoted(&used.theirs.name);
        let found = match used.ours {
            "condition_id_norm" => condition(table, used),
            "payout_numerators" => numerators(used),
            "payout_denominator" => number("denominator", &used.theirs.type_name, &used.of.kind),
            "winning_index" => winning(used),
            "updated_at" => match used.of.kind {
                Kind::DateTime | Kind::DateTime64(_) => Some(("now()".to_owned(), "true".to_owned())),
                _ => continue,
            },
            _ => continue,
        };
        let computed = matches!(used.theirs.default_kind.as_str(), "MATERIALIZED" | "ALIAS" | "EPHEMERAL");
        match found.filter(|_| !computed) {
            Some((value, fits)) => columns.push(Column { name, value, fits }),
            // What is only useful has its own default.
            None if matches!(used.ours, "winning_index" | "updated_at") => {}
            None => {
                return Err(StoreError::Unusable {
                    problems: format!(
                        "the column {} of {} is {} {}, into which no payout can be written",
                        used.theirs.name,
                        table.table.plain(),
                        used.theirs.default_kind,
                        used.theirs.type_name
                    ),
                    advice: String::new(),
                });
            }
        }
    }
    Ok(columns)
}

type Expression = Option<(String, String)>;

/// A condition as the table's own rows spell it: with `0x` where they do.
fn condition(table: &InputTable, used: &Used) -> Expression {
    let column = quoted(&used.theirs.name);
    // An aggregate has a row in an empty table too.
    let prefixed =
        format!("(SELECT countIf(startsWith(lower(toString({column})), '0x')) > 0 FROM {})", table.table);
    match used.of.kind {
        Kind::Text => {
            Some((format!("if({prefixed}, concat('0x', condition), condition)"), "true".to_owned()))
        }
        Kind::Fixed(66) => Some(("concat('0x', condition)".to_owned(), "true".to_owned())),
        Kind::Fixed(64) => Some(("condition".to_owned(), "true".to_owned())),
        _ => None,
    }
}

fn numerators(used: &Used) -> Expression {
    match &used.of.kind {
        Kind::Text => Some(("toString(numerators)".to_owned(), "true".to_owned())),
        Kind::Array(of) => {
            let name = used.theirs.type_name.strip_prefix("Array(")?.strip_suffix(')')?;
            let (value, fits) = number("part", name, &of.kind)?;
            Some((
                format!("arrayMap(part -> {value}, numerators)"),
                format!("arrayAll(part -> {fits}, numerators)"),
            ))
        }
        _ => None,
    }
}

/// A whole number in a column of numbers or texts.
fn number(of: &str, type_name: &str, kind: &Kind) -> Expression {
    let type_name = type_name.replace('\\', "\\\\").replace('\'', "\\'");
    match kind {
        Kind::Text => Some((format!("toString({of})"), "true".to_owned())),
        Kind::Integer { .. } => Some((
            format!("accurateCast({of}, '{type_name}')"),
            format!("isNotNull(accurateCastOrNull({of}, '{type_name}'))"),
        )),
        // Up to here every whole number is exact.
        Kind::Float => Some((format!("toFloat64({of})"), format!("({of} <= 16777216)"))),
        Kind::Decimal => Some((format!("CAST(toUInt32({of}), '{type_name}')"), format!("({of} <= 1000000)"))),
        _ => None,
    }
}

/// The winner's index; what stands for none where nobody is paid all.
fn winning(used: &Used) -> Expression {
    let type_name = &used.theirs.type_name;
    let (nobody, signed) = match used.of.kind {
        Kind::Integer { .. } if used.of.nullable => ("NULL", false),
        Kind::Integer { signed: false, bits: 8 } => ("255", false),
        Kind::Integer { signed: false, .. } => ("65535", false),
        Kind::Integer { signed: true, .. } => ("-1", true),
        _ => return None,
    };
    let index = if signed { "toInt32(winning)" } else { "winning" };
    Some((format!("CAST(if(winning = 65535, {nobody}, {index}), '{type_name}')"), "true".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(numerators: &[u64]) -> Reported {
        let number = |it: &u64| UInt256::from_le_bytes(U256::from(*it).to_le_bytes());
        Reported { condition: String::new(), numerators: numerators.iter().map(number).collect() }
    }

    #[test]
    fn payouts_are_divided_by_their_greatest_common_divisor() {
        for (numerators, parts, whole, winning) in [
            (vec![1_000_000, 0], vec![1, 0], 1, 0),
            (vec![0, 7], vec![0, 1], 1, 1),
            (vec![500_000, 500_000], vec![1, 1], 2, u16::MAX),
            (vec![333_333, 666_667], vec![333_333, 666_667], 1_000_000, u16::MAX),
        ] {
            let smallest = smallest(reported(&numerators)).unwrap();
            assert_eq!(smallest.numerators, reported(&parts).numerators);
            assert_eq!(smallest.denominator, reported(&[whole]).numerators[0]);
            assert_eq!(smallest.winning, winning);
        }
        assert!(smallest(reported(&[0, 0])).is_none() && smallest(reported(&[])).is_none());
        let most = UInt256::from_le_bytes(U256::MAX.to_le_bytes());
        let beyond = Reported { condition: String::new(), numerators: vec![most, most] };
        assert!(smallest(beyond).is_none(), "a sum that cannot be held is no payout");
    }
}
