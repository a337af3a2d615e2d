//! What `doctor` asks ClickHouse: its version and clock, and what this user may do.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};

/// The server and its clock.
#[derive(Debug, Clone, Row, Deserialize)]
pub struct ServerInfo {
    /// Its version.
    pub version: String,
    /// Its time, in milliseconds since 1970.
    pub now_ms: i64,
    /// The user that it takes us for.
    pub user: String,
}

impl Store {
    /// Looks at the server.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn server_info(&self) -> Result<ServerInfo, StoreError> {
        let sql =
            "SELECT version() AS version, toUnixTimestamp64Milli(now64(3)) AS now_ms, currentUser() AS user";
        self.one("asking for the version", self.query(sql)).await
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
