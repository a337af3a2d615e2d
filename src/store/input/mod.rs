//! The users' tables as the statements read them. They are looked at once: which columns there are, under which names and
//! of which types, and what the engine does with rows of one key. Every statement reads them through `InputTable::from`,
//! which is the table itself where all is as this program would have made it.

mod engine;
mod inspect;
mod mapping;
mod normal;
mod problem;
mod table;
mod target;
mod types;
mod version;
mod wanted;

pub use mapping::ColumnNames;
pub use problem::{Problem, Trouble};

pub(super) use engine::Keeps;
pub(super) use problem::list;
pub(super) use table::{InputTable, Used};
pub(super) use target::Target;
pub(super) use types::{ColumnType, Kind};

use super::table::{Table, TableNames};
use crate::values::{BadSetting, bad};

/// What the installation calls the columns of each table.
#[derive(Debug, Clone, Default)]
pub struct ColumnMaps {
    /// The trades.
    pub fills: ColumnNames,
    /// The map.
    pub token_map: ColumnNames,
    /// Payouts by condition.
    pub resolutions: ColumnNames,
    /// Winning labels by condition.
    pub winners: ColumnNames,
    /// What wallets did beside trading.
    pub flows: ColumnNames,
}

impl ColumnMaps {
    /// Checks that every name that is mapped is one that the statements know.
    ///
    /// # Errors
    /// The first that is not, with those that are.
    pub fn check(self) -> Result<Self, BadSetting> {
        let all = [
            ("FILLS_COLUMNS", &self.fills, wanted::FILLS),
            ("TOKEN_MAP_COLUMNS", &self.token_map, wanted::TOKEN_MAP),
            ("RESOLUTIONS_COLUMNS", &self.resolutions, wanted::RESOLUTIONS),
            ("WINNERS_COLUMNS", &self.winners, wanted::WINNERS),
            ("FLOWS_COLUMNS", &self.flows, wanted::FLOWS),
        ];
        for (setting, names, wanted) in all {
            let ours = wanted::names(wanted);
            if let Some(unknown) = names.unknown(&ours) {
                let ours = ours.join(", ");
                return Err(bad(format!("{setting} names {unknown}, which is none of {ours}")));
            }
        }
        Ok(self)
    }
}

/// The users' tables; those that do not exist are `None`.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    pub(super) fills: Option<InputTable>,
    pub(super) map: Option<InputTable>,
    pub(super) target: Option<Target>,
    pub(super) resolutions: Option<InputTable>,
    pub(super) winners: Option<InputTable>,
    names: TableNames,
}

/// What a phase needs of the users' tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Tokens of the fills and the map are read.
    Coverage,
    /// The same, and the map will be written.
    Merge,
    /// Fills are read whole.
    Fills,
    /// Fills and resolutions are read whole.
    Payouts,
}

impl Inputs {
    /// The fills.
    pub(super) fn fills(&self) -> Result<&InputTable, MissingTable> {
        self.fills.as_ref().ok_or_else(|| missing(&self.names.fills, "FILLS_TABLE", true))
    }

    /// The map.
    pub(super) fn map(&self) -> Result<&InputTable, MissingTable> {
        self.map.as_ref().ok_or_else(|| missing(&self.names.token_map, "TOKEN_MAP_TABLE", true))
    }

    /// The map as it is written.
    pub(super) fn target(&self) -> Result<&Target, MissingTable> {
        self.target.as_ref().ok_or_else(|| missing(&self.names.token_map, "TOKEN_MAP_TABLE", true))
    }

    /// Whether all tables exist.
    pub(super) fn is_complete(&self) -> bool {
        self.fills.is_some() && self.map.is_some() && self.resolutions.is_some() && self.winners.is_some()
    }

    /// Everything that stands in the way of what a phase needs, all at once.
    pub(super) fn problems(&self, needs: Needs) -> Result<Vec<Problem>, MissingTable> {
        let (fills, map) = (self.fills()?, self.map()?);
        let mut problems = Vec::new();
        let only_tokens = matches!(needs, Needs::Coverage | Needs::Merge);
        problems.extend(fills.problems_of(only_tokens.then_some(wanted::FILLS_OF_TOKENS)));
        problems.extend(map.problems_of(None));
        if needs == Needs::Merge {
            problems.extend(self.target()?.problems.iter().cloned());
        }
        if needs == Needs::Payouts {
            for table in [&self.resolutions, &self.winners].into_iter().flatten() {
                problems.extend(table.problems_of(None));
            }
        }
        Ok(problems)
    }
}

/// A table of the users that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MissingTable {
    pub(super) table: String,
    pub(super) setting: &'static str,
    pub(super) creatable: bool,
}

fn missing(table: &Table, setting: &'static str, creatable: bool) -> MissingTable {
    MissingTable { table: table.plain(), setting, creatable }
}

/// One thing that was found about the users' tables, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The table, as DATABASE.TABLE.
    pub table: String,
    /// The setting that names it.
    pub setting: &'static str,
    /// How it stands.
    pub state: FindingState,
    /// What was seen.
    pub what: String,
    /// What to do, empty where nothing is to be done.
    pub advice: String,
}

/// How a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// It can be used.
    Good,
    /// It can be used or done without; worth knowing.
    Note,
    /// It cannot be used.
    Bad,
}
