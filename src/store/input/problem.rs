//! [`Problem`]: why a table of the users cannot be read or written, and what would do.

use std::fmt;

use crate::store::table::Table;

/// A column or a table that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The table, as DATABASE.TABLE.
    pub table: String,
    /// The column, empty where it is the table as a whole.
    pub column: String,
    /// Its type, empty where there is none.
    pub type_name: String,
    /// What is wrong with it.
    pub trouble: Trouble,
}

/// What is wrong with a column or a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is not there.
    Missing,
    /// No statement could read it; what would do.
    Unreadable(&'static str),
    /// No statement could write it; why.
    Unwritable(String),
}

impl Problem {
    pub(in crate::store) fn new(table: &Table, column: &str, type_name: &str, trouble: Trouble) -> Self {
        let (column, type_name) = (column.to_owned(), type_name.to_owned());
        Self { table: table.plain(), column, type_name, trouble }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, column, type_name, trouble } = self;
        match trouble {
            Trouble::Missing => write!(f, "the table {table} has no column {column}, which is needed"),
            Trouble::Unreadable(would) => {
                write!(
                    f,
                    "the column {table}.{column} is {type_name}, which cannot be read ({would} would do)"
                )
            }
            Trouble::Unwritable(why) if column.is_empty() => {
                write!(f, "the table {table} cannot be written: {why}")
            }
            Trouble::Unwritable(why) => {
                write!(f, "the column {table}.{column} ({type_name}) cannot be written: {why}")
            }
        }
    }
}

impl Problem {
    /// The same where the table is named already.
    pub(in crate::store) fn within_table(&self) -> String {
        match self.trouble {
            Trouble::Missing => format!("lacks the column {}, which is needed", self.column),
            _ => self.to_string().replace(&format!("{}.", self.table), ""),
        }
    }
}

/// Problems in one line.
pub(in crate::store) fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}
