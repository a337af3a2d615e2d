//! [`Target`]: the map as it is written.

use super::engine::{Keeps, key_has};
use super::problem::{Problem, Trouble};
use super::table::{InputTable, RawColumn};
use super::types::Kind;
use super::version::Version;
use crate::store::table::Table;

/// The table of the map, its engine, and what its rows need.
#[derive(Debug, Clone)]
pub(in crate::store) struct Target {
    pub(in crate::store) table: Table,
    /// The local table's engine behind a Distributed one, else its own.
    pub(in crate::store) keeps: Keeps,
    /// The column that decides which row of a key stays.
    pub(in crate::store) version: Option<Version>,
    /// The mark of a deletion.
    pub(in crate::store) is_deleted: Option<String>,
    /// The mark of a cancellation.
    pub(in crate::store) sign: Option<String>,
    /// Whether rows of it can be deleted.
    pub(in crate::store) is_merge_tree: bool,
    /// What stands in the way of writing.
    pub(in crate::store) problems: Vec<Problem>,
}

/// What the server says of a table.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct EngineFacts {
    /// The table's own engine, without arguments.
    pub(in crate::store) engine: String,
    /// The engine with its arguments that keeps the rows: the local table's, where the table is Distributed.
    pub(in crate::store) keeping: String,
    /// That table's sorting key.
    pub(in crate::store) sorting_key: String,
    /// Whether the table is Distributed.
    pub(in crate::store) is_spread: bool,
}

impl Target {
    /// The map by its columns and engine.
    pub(in crate::store) fn new(map: &InputTable, columns: &[RawColumn], facts: &EngineFacts) -> Self {
        let keeps = super::engine::keeps(&facts.keeping);
        let mut target = Self {
            table: map.table.clone(),
            version: None,
            is_deleted: None,
            sign: None,
            is_merge_tree: !facts.is_spread && facts.engine.ends_with("MergeTree"),
            problems: Vec::new(),
            keeps,
        };
        target.check_columns(map, columns);
        target.check_engine(map, columns, facts);
        target
    }

    /// Whether a `FINAL` read may see fewer rows than there are.
    pub(in crate::store) fn replaces(&self) -> bool {
        matches!(self.keeps, Keeps::Newest { .. } | Keeps::Uncancelled { versioned: false, .. })
    }

    fn trouble(&mut self, column: &str, type_name: &str, why: String) {
        self.problems.push(Problem::new(&self.table, column, type_name, Trouble::Unwritable(why)));
    }

    fn check_columns(&mut self, map: &InputTable, columns: &[RawColumn]) {
        for used in &map.used {
            let RawColumn { name, type_name, default_kind, .. } = &used.theirs;
            if matches!(default_kind.as_str(), "MATERIALIZED" | "ALIAS") {
                let why =
                    format!("it is {default_kind}; an ordinary column, or one with a DEFAULT, would do");
                self.trouble(name, type_name, why);
            }
            let would = match (used.ours, &used.of.kind) {
                ("token_id", Kind::Fixed(size)) if *size < 78 => {
                    Some("a token id has up to 78 digits; String would do")
                }
                ("token_id", Kind::Integer { signed: false, bits: 256 } | Kind::Text | Kind::Fixed(_)) => {
                    None
                }
                ("token_id", _) => Some("a token id has up to 256 bits; String or UInt256 would do"),
                ("condition_id_norm", Kind::Fixed(size)) if *size < 64 => {
                    Some("a condition id has 64 digits; String or FixedString(64) would do")
                }
                ("outcome_index", Kind::Enum(values))
                    if !["0", "1"].iter().all(|index| values.iter().any(|value| value == index)) =>
                {
                    Some("it lacks 0 or 1; UInt8 would do")
                }
                (
                    "outcome_label" | "source" | "evidence",
                    Kind::Integer { .. }
                    | Kind::Float
                    | Kind::Decimal
                    | Kind::Bool
                    | Kind::Date
                    | Kind::DateTime
                    | Kind::DateTime64(_),
                ) => Some("a text is written there; String would do"),
                (
                    "fetched_at",
                    Kind::Text
                    | Kind::Date
                    | Kind::DateTime
                    | Kind::DateTime64(_)
                    | Kind::Integer { bits: 32.., .. },
                ) => None,
                ("fetched_at", _) => Some("a time is written there; DateTime would do"),
                _ => None,
            };
            if let Some(would) = would {
                self.trouble(name, type_name, would.to_owned());
            }
        }
        // A row needs every column that has no value of its own.
        for column in columns.iter().filter(|column| column.default_kind == "EPHEMERAL") {
            if map.used.iter().any(|used| used.theirs.name == column.name) {
                self.trouble(
                    &column.name,
                    &column.type_name,
                    "it is EPHEMERAL; an ordinary column would do".to_owned(),
                );
            }
        }
    }

    fn check_engine(&mut self, map: &InputTable, columns: &[RawColumn], facts: &EngineFacts) {
        let column = |name: &str| columns.iter().find(|column| column.name == name);
        match self.keeps.clone() {
            Keeps::All => return,
            Keeps::Nothing => {
                let why = format!(
                    "its engine is {}; a table of a MergeTree engine would do, named with TOKEN_MAP_TABLE",
                    facts.engine
                );
                return self.trouble("", "", why);
            }
            Keeps::Mixed => {
                let engine = super::engine::parse(&facts.keeping).0;
                let why = format!(
                    "its engine {engine} mixes rows of one key; ReplacingMergeTree or MergeTree would do"
                );
                return self.trouble("", "", why);
            }
            Keeps::Newest { version, is_deleted } => {
                if let Some(found) = version.as_deref().and_then(column) {
                    self.version = Version::of(found);
                    if found.default_kind == "MATERIALIZED"
                        || found.default_kind == "ALIAS"
                        || self.version.is_none()
                    {
                        let why = format!(
                            "it decides which row stays, and is {} {}",
                            found.default_kind, found.type_name
                        );
                        self.trouble(&found.name, &found.type_name, why.replace("  ", " "));
                    }
                }
                self.is_deleted = is_deleted;
            }
            Keeps::Uncancelled { sign, versioned } => {
                let has_default = column(&sign).is_some_and(|it| {
                    it.default_kind == "DEFAULT"
                        && it.default_expression.contains('1')
                        && !it.default_expression.contains('-')
                });
                if !has_default {
                    let why = format!(
                        "its rows need a {sign}, which has no default of 1; ALTER TABLE … MODIFY COLUMN {sign} DEFAULT 1 would do"
                    );
                    self.trouble(&sign, column(&sign).map_or("", |it| it.type_name.as_str()), why);
                }
                self.sign = Some(sign);
                if versioned {
                    return;
                }
            }
        }
        let token = map.column("token_id").map_or("token_id", |used| used.theirs.name.as_str());
        if !facts.sorting_key.is_empty() && !key_has(&facts.sorting_key, token) {
            let why = format!(
                "its sorting key ({}) lacks {token}, so that rows of different tokens replace each other; ORDER BY {token} would do",
                facts.sorting_key
            );
            self.trouble("", "", why);
        }
    }
}
