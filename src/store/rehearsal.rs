//! A store that reads none of the users' rows: what a phase asks is planned and run against their own tables, types and
//! rights included, and costs nothing.

use super::{Store, StoreError, Table};

impl Store {
    /// The same store, for which the users' tables are as if they had no rows. Statements that write are not held back.
    #[must_use]
    pub fn without_rows(&self) -> Self {
        let names = &self.names;
        let tables = [&names.fills, &names.token_map, &names.resolutions, &names.winners];
        // Names are letters, digits, _ and -: they need no escaping.
        let filters: Vec<String> =
            tables.iter().map(|table| format!("'{}': 'false'", table.plain())).collect();
        let setting = format!("{{{}}}", filters.join(", "));
        Self { client: self.client.clone().with_setting("additional_table_filters", setting), ..self.clone() }
    }

    /// Whether this user may do all of `rights` (as in `GRANT`) on a table.
    ///
    /// # Errors
    /// [`StoreError`]; servers before 24.10 do not know the question.
    pub async fn may_on(&self, rights: &str, table: &Table) -> Result<bool, StoreError> {
        let sql = format!("CHECK GRANT {rights} ON {table}");
        Ok(self.one::<u8>("asking what this user may do", self.query(&sql)).await? == 1)
    }
}
