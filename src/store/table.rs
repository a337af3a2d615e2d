//! [`Table`]: a database and a table, quoted whenever they are printed, and [`TableNames`], the tables by role.

use std::fmt;

use crate::source::Source;

/// A table in a database; its `Display` is the quoted identifier that goes into SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The database's name, unquoted.
    pub database: String,
    /// The table's name, unquoted.
    pub name: String,
}

impl Table {
    /// The table `name` of `database`.
    pub fn new(database: &str, name: &str) -> Self {
        Self { database: database.to_owned(), name: name.to_owned() }
    }

    /// `TABLE` or `DATABASE.TABLE`, `None` where it is neither: names are letters, digits, `_` and `-`.
    pub fn parse(text: &str, default_database: &str) -> Option<Self> {
        let (database, name) = text.split_once('.').unwrap_or((default_database, text));
        let allowed = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let valid = |part: &str| !part.is_empty() && part.len() <= 120 && part.chars().all(allowed);
        (valid(database) && valid(name)).then(|| Self::new(database, name))
    }

    /// The name as a person writes it, for messages.
    pub fn plain(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(&self.database), quoted(&self.name))
    }
}

/// An identifier in backquotes, whatever characters it has.
pub fn quoted(identifier: &str) -> String {
    format!("`{}`", identifier.replace('\\', "\\\\").replace('`', "\\`"))
}

/// The users' tables by their roles, and the two databases.
#[derive(Debug, Clone)]
pub struct TableNames {
    /// The trades.
    pub fills: Table,
    /// The map that is filled.
    pub token_map: Table,
    /// Payout vectors by condition.
    pub resolutions: Table,
    /// Winning labels by condition.
    pub winners: Table,
    /// What wallets did beside trading.
    pub flows: Table,
    /// The database that the connection uses.
    pub database: String,
    /// The database of backfill's own tables.
    pub staging: String,
}

impl Source {
    /// The name of its staging table.
    pub fn staging_table(self) -> String {
        format!("clob_asset_map_{}", self.name())
    }

    /// The name of the table of what it lists, where it is a catalogue.
    pub fn catalogue_table(self) -> String {
        format!("{}_markets", self.name())
    }

    /// The name of the table of its share of the unmapped tokens.
    pub fn workload_table(self) -> String {
        format!("unmapped_tokens_{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_and_names_checked() {
        assert_eq!(Table::parse("a.b", "x").unwrap().to_string(), "`a`.`b`");
        assert_eq!(Table::parse("b", "x").unwrap().to_string(), "`x`.`b`");
        assert_eq!(quoted("a`; DROP\\"), "`a\\`; DROP\\\\`");
        for text in ["", ".", "a.", ".b", "a.b.c", "a b", "a`b", "a;b", "x'y"] {
            assert!(Table::parse(text, "d").is_none(), "{text:?}");
        }
    }
}
