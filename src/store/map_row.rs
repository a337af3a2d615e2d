//! [`MapRow`]: the columns and values of a row that is written to the map, whatever columns it has.

use super::input::{InputTable, Kind, Target, Used};
use super::quoted;

/// The columns of the map that are written, and what into each.
pub(super) struct MapRow {
    /// Quoted names of the map's own columns, each with its value.
    pairs: Vec<(String, String)>,
    /// The version's column, where rows without a predecessor are left their default.
    version: Option<String>,
}

/// The expressions of a row's values.
pub(super) struct Values<'a> {
    pub(super) token: &'a str,
    pub(super) condition: &'a str,
    pub(super) index: &'a str,
    pub(super) label: &'a str,
    pub(super) source: &'a str,
    /// Why it is believed, where that is written.
    pub(super) evidence: Option<&'a str>,
    /// The largest version that the token has.
    pub(super) newest: &'a str,
}

impl MapRow {
    pub(super) fn new(map: &InputTable, target: &Target, values: &Values<'_>) -> Self {
        let mut row = Self { pairs: Vec::new(), version: None };
        let text = |used: &Used, value: &str| match &used.of.kind {
            // What an Enum lacks is an empty text where it has one, else NULL; anything else was refused before.
            Kind::Enum(names) if used.of.nullable && !names.iter().any(String::is_empty) => {
                format!("if({}, NULL, {value})", lacks(names, value))
            }
            Kind::Enum(names) => format!("if({}, '', {value})", lacks(names, value)),
            // So is a text that is too long for it: half a label would be another one.
            Kind::Fixed(bytes) => format!("if(length({value}) > {bytes}, '', {value})"),
            _ => value.to_owned(),
        };
        for used in &map.used {
            let value = match used.ours {
                "token_id" => values.token.to_owned(),
                "condition_id_norm" => values.condition.to_owned(),
                "outcome_index" => values.index.to_owned(),
                "outcome_label" => text(used, values.label),
                "source" => text(used, values.source),
                "evidence" => match values.evidence {
                    Some(evidence) => text(used, evidence),
                    None => continue,
                },
                "fetched_at" => fetched_at(used, target, values.newest),
                _ => continue,
            };
            row.pairs.push((quoted(&used.theirs.name), value));
        }
        let has = |row: &Self, name: &str| row.pairs.iter().any(|(column, _)| column == name);
        if let Some(version) = target.version.as_ref().filter(|version| !has(&row, &version.column())) {
            if !version.is_clock() {
                row.version = Some(version.column());
            }
            row.pairs.push((version.column(), version.above(values.newest)));
        }
        for (column, value) in [(&target.is_deleted, "0"), (&target.sign, "1")] {
            if let Some(column) = column {
                row.pairs.push((quoted(column), value.to_owned()));
            }
        }
        row
    }

    /// Whether a row without a predecessor is written without a version, whose default it gets.
    pub(super) fn has_own_version(&self) -> bool {
        self.version.is_some()
    }

    /// The columns with commas and their values with commas; without the version where `fresh`.
    pub(super) fn columns_and_values(&self, fresh: bool) -> (String, String) {
        let left_out = |column: &String| fresh && self.version.as_ref() == Some(column);
        let pairs = self.pairs.iter().filter(|(column, _)| !left_out(column));
        let (columns, values): (Vec<&str>, Vec<&str>) =
            pairs.map(|(column, value)| (column.as_str(), value.as_str())).unzip();
        (columns.join(", "), values.join(", "))
    }

    /// The values as replacements in a copy of a row.
    pub(super) fn replacements(&self, left_out: &[&str]) -> String {
        let pairs = self.pairs.iter().filter(|(column, _)| !left_out.contains(&column.as_str()));
        pairs.map(|(column, value)| format!("{value} AS {column}")).collect::<Vec<_>>().join(", ")
    }
}

fn lacks(names: &[String], value: &str) -> String {
    let names: Vec<String> =
        names.iter().map(|name| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))).collect();
    format!("{value} NOT IN ({})", names.join(", "))
}

/// When a row was learned: now, in the column's own way of counting, and above the token's rows where that decides which
/// of them stays.
fn fetched_at(used: &Used, target: &Target, newest: &str) -> String {
    let column = quoted(&used.theirs.name);
    let now = match used.of.kind {
        Kind::Text => "toString(now())".to_owned(),
        Kind::Date => "today()".to_owned(),
        Kind::DateTime64(scale) => format!("now64({scale})"),
        // Thousandths of a second where the table has those.
        Kind::Integer { bits: 64.., .. } => format!(
            "if((SELECT max({column}) FROM {}) > 100000000000, toUnixTimestamp64Milli(now64(3)), toInt64(toUnixTimestamp(now())))",
            target.table
        ),
        Kind::Integer { .. } => "toUnixTimestamp(now())".to_owned(),
        _ => "now()".to_owned(),
    };
    match target.version.as_ref().filter(|version| version.column() == column) {
        Some(version) if version.is_clock() => version.above(newest),
        Some(version) => format!("if({newest} >= {now}, {}, {now})", version.above(newest)),
        None => now,
    }
}
