//! What `doctor` asks ClickHouse: its version and clock, the tables' columns, and what this user may do.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError, Table};

/// The server and its clock.
#[derive(Debug, Clone, Row, Deserialize)]
pub struct ServerLook {
    /// Its version.
    pub version: String,
    /// Its time, in milliseconds since 1970.
    pub now_ms: i64,
    /// The user that it takes us for.
    pub user: String,
}

/// Columns of a table that are not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Those that are needed.
    pub required: Vec<&'static str>,
    /// Those that are used where they exist.
    pub optional: Vec<&'static str>,
}

impl Store {
    /// Looks at the server.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look_at_server(&self) -> Result<ServerLook, StoreError> {
        let sql =
            "SELECT version() AS version, toUnixTimestamp64Milli(now64(3)) AS now_ms, currentUser() AS user";
        self.one("asking for the version", self.query(sql)).await
    }

    /// What a table lacks of these columns; `None` where there is no such table.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lacking(
        &self,
        table: &Table,
        required: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Option<Lacking>, StoreError> {
        let Some(columns) = self.columns(table).await? else { return Ok(None) };
        let lacks = |names: &[&'static str]| {
            names.iter().copied().filter(|name| columns.iter().all(|it| it.name != *name)).collect()
        };
        Ok(Some(Lacking { required: lacks(required), optional: lacks(optional) }))
    }

    /// Whether a database is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_database(&self, database: &str) -> Result<bool, StoreError> {
        let query = self
            .query("SELECT count() FROM system.databases WHERE name = {name:String}")
            .param("name", database);
        Ok(self.one::<u64>("looking for the staging database", query).await? > 0)
    }

    /// Whether this user may do all of `rights` (as in `GRANT`) on the tables of a database.
    ///
    /// # Errors
    /// [`StoreError`]; servers before 24.10 do not know the question.
    pub async fn may(&self, rights: &str, database: &str) -> Result<bool, StoreError> {
        let sql = format!("CHECK GRANT {rights} ON {}.*", super::quoted(database));
        Ok(self.one::<u8>("asking what this user may do", self.query(&sql)).await? == 1)
    }
}
