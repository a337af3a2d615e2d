//! [`InputTable`]: one of the users' tables as the statements read it.

use super::mapping::ColumnNames;
use super::normal::{Expression, Role, amount_text, read};
use super::problem::{Problem, Trouble};
use super::types::{ColumnType, Kind};
use crate::store::table::{Table, quoted};

/// A column as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct RawColumn {
    pub(in crate::store) name: String,
    pub(in crate::store) type_name: String,
    /// Empty, DEFAULT, MATERIALIZED, ALIAS or EPHEMERAL.
    pub(in crate::store) default_kind: String,
    pub(in crate::store) default_expression: String,
}

/// A column that the statements know, and what for.
pub(in crate::store) struct Wanted {
    pub(in crate::store) ours: &'static str,
    pub(in crate::store) role: Role,
    pub(in crate::store) required: bool,
    /// What installations call it.
    pub(in crate::store) aliases: &'static [&'static str],
}

/// A column that has to be there.
pub(in crate::store) const fn needed(
    ours: &'static str,
    role: Role,
    aliases: &'static [&'static str],
) -> Wanted {
    Wanted { ours, role, required: true, aliases }
}

/// A column that is used where it is there.
pub(in crate::store) const fn useful(
    ours: &'static str,
    role: Role,
    aliases: &'static [&'static str],
) -> Wanted {
    Wanted { ours, role, required: false, aliases }
}

/// A column of a table that the statements use.
#[derive(Debug, Clone)]
pub(in crate::store) struct Used {
    pub(in crate::store) ours: &'static str,
    pub(in crate::store) theirs: RawColumn,
    pub(in crate::store) of: ColumnType,
    pub(in crate::store) expression: Expression,
    /// An amount's exact text.
    pub(in crate::store) exact: Option<String>,
}

/// One of the users' tables: which columns it has, and how each is read.
#[derive(Debug, Clone)]
pub(in crate::store) struct InputTable {
    pub(in crate::store) table: Table,
    pub(in crate::store) setting: &'static str,
    pub(in crate::store) engine: String,
    pub(in crate::store) used: Vec<Used>,
    /// Required columns that the table lacks or that no statement could read.
    pub(in crate::store) problems: Vec<(&'static str, Problem)>,
    /// Names that the table seems to have for columns that it lacks, as `ours=theirs`.
    pub(in crate::store) proposal: Option<String>,
    /// Useful columns that it has not.
    pub(in crate::store) lacking: Vec<&'static str>,
    /// Only rows that a `FINAL` read returns are there: others are marked as deleted or cancelled.
    pub(in crate::store) final_only: bool,
}

impl InputTable {
    /// Finds the wanted columns among those that there are.
    pub(in crate::store) fn new(
        table: &Table,
        setting: &'static str,
        engine: String,
        wanted: &[Wanted],
        columns: &[RawColumn],
        names: &ColumnNames,
    ) -> Self {
        let mut input = Self {
            table: table.clone(),
            setting,
            engine,
            used: Vec::new(),
            problems: Vec::new(),
            proposal: None,
            lacking: Vec::new(),
            final_only: false,
        };
        for want in wanted {
            let theirs = names.theirs(want.ours);
            let Some(column) = columns.iter().find(|column| column.name == theirs) else {
                // A name that somebody gave has to be there.
                if want.required || theirs != want.ours {
                    input.problems.push((want.ours, Problem::new(table, theirs, "", Trouble::Missing)));
                } else if want.ours != "evidence" && !want.ours.starts_with("fee_") {
                    // Of those nobody has one who did not make it for this program, or has it from elsewhere.
                    input.lacking.push(want.ours);
                }
                continue;
            };
            let of = ColumnType::parse(&column.type_name);
            let factor = names.factor(want.ours);
            let quoted = quoted(&column.name);
            let made = read(want.role, &quoted, &of);
            let exact = match want.role {
                Role::Amount => amount_text(&quoted, &of, factor),
                _ => None,
            };
            match made {
                Some(expression) => {
                    let expression = scaled(expression, factor);
                    let bare = expression.bare && column.name == want.ours;
                    let expression = Expression { bare, ..expression };
                    input.used.push(Used { ours: want.ours, theirs: column.clone(), of, expression, exact });
                }
                None => {
                    let trouble = Trouble::Unreadable(readable(want.role));
                    let problem = Problem::new(table, &column.name, &column.type_name, trouble);
                    input.problems.push((want.ours, problem));
                }
            }
        }
        input.proposal = input.propose(wanted, columns);
        input
    }

    /// A mapping for required columns that are missing, where exactly one other column has a name that is known for it.
    fn propose(&self, wanted: &[Wanted], columns: &[RawColumn]) -> Option<String> {
        let missing = wanted.iter().filter(|want| want.required && !self.has(want.ours));
        let mut pairs = Vec::new();
        for want in missing {
            let mut known = columns.iter().filter(|column| {
                let bare = column.name.to_lowercase().replace('_', "");
                want.aliases.iter().any(|alias| alias.replace('_', "") == bare)
                    && self.used.iter().all(|used| used.theirs.name != column.name)
            });
            let (Some(column), None) = (known.next(), known.next()) else { continue };
            let shares = want.ours == "size" && column.name.to_lowercase().contains("shares");
            pairs.push(format!("{}={}{}", want.ours, column.name, if shares { ":1e6" } else { "" }));
        }
        (!pairs.is_empty()).then(|| pairs.join(","))
    }

    /// The column, where it is there and can be read.
    pub(in crate::store) fn column(&self, ours: &str) -> Option<&Used> {
        self.used.iter().find(|used| used.ours == ours)
    }

    /// Whether the statements can use this column.
    pub(in crate::store) fn has(&self, ours: &str) -> bool {
        self.column(ours).is_some()
    }

    /// The column under our name in [`InputTable::from`], or a value in its place.
    pub(in crate::store) fn or(&self, ours: &str, otherwise: &str) -> String {
        if self.has(ours) { ours.to_owned() } else { otherwise.to_owned() }
    }

    /// The column as it is read from the table itself, or a value in its place.
    pub(in crate::store) fn raw(&self, ours: &str, otherwise: &str) -> String {
        self.column(ours).map_or_else(|| otherwise.to_owned(), |used| used.expression.sql.clone())
    }

    /// What stands behind FROM: the table itself where every column is as the statements expect it, which is what costs
    /// least, else a sub-query that makes them so.
    pub(in crate::store) fn from(&self) -> String {
        let is_plain = !self.final_only && self.used.iter().all(|used| used.expression.bare);
        if is_plain {
            return self.table.to_string();
        }
        let mut selected = Vec::new();
        for used in &self.used {
            selected.push(format!("{} AS {}", used.expression.sql, quoted(used.ours)));
            if let Some(exact) = used.exact.as_ref().filter(|_| !used.is_float()) {
                selected.push(format!("{exact} AS {}", quoted(&format!("{}_exact", used.ours))));
            }
        }
        let last = if self.final_only { " FINAL" } else { "" };
        format!("(SELECT {} FROM {}{last})", selected.join(", "), self.table)
    }

    /// An amount in [`InputTable::from`] as the exact text of a decimal.
    pub(in crate::store) fn exact(&self, ours: &str) -> String {
        match self.column(ours) {
            Some(used) if used.is_float() => format!("toString({ours})"),
            Some(_) => format!("{ours}_exact"),
            None => "''".to_owned(),
        }
    }
}

impl Used {
    /// Whether it is a floating-point column of the table's own, whose shortest text is exact.
    pub(in crate::store) fn is_float(&self) -> bool {
        let scaled = self.expression.sql != quoted(&self.theirs.name);
        self.of.kind == Kind::Float && !self.of.nullable && !scaled
    }
}

/// The amount times its factor.
fn scaled(expression: Expression, factor: Option<&str>) -> Expression {
    match factor {
        Some(factor) => Expression { sql: format!("{} * {factor}", expression.sql), bare: false },
        None => expression,
    }
}

/// What can be read for a role, in the words of the server.
const fn readable(role: Role) -> &'static str {
    match role {
        Role::Condition => "String or FixedString(64)",
        Role::Side => "String or Enum",
        Role::Amount => "Float64, Decimal, an integer or String",
        Role::Index | Role::WinningIndex | Role::Number => "an integer or String",
        Role::Moment => "DateTime, DateTime64, an integer or String",
        Role::Vector => "an Array of numbers, or String",
        Role::Order => "DateTime or an integer",
        Role::Flag | Role::Given | Role::Text => "String, a number or a date",
    }
}
