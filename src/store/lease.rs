//! [`Lease`]: one holder of a piece of work at a time, whatever host it runs on.
//!
//! What guarantees it: `CREATE TABLE` of a name that exists is refused (code 57), also between two clients at the same
//! moment: by the server itself where there is one, by the shared catalogue on ClickHouse Cloud, by Keeper in a
//! `Replicated` database. Each holder creates the table of the next *epoch*, so that two that find the same dead
//! holder cannot both follow it. The table of the highest epoch stays, marked as released: an epoch never comes back.
//!
//! A holder gives a sign of life every `HEARTBEAT`; one without a sign for `EXPIRES_AFTER`, by the server's clock, is
//! taken to be dead. A process of this very host that is gone is found out at once.

use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError, Table, quoted};
use crate::process_lock::ProcessIdentity;

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long a holder without a sign of life keeps its lease.
const EXPIRES_AFTER: Duration = Duration::from_secs(45);

/// How long a holder goes on without being able to give a sign: shorter than the lease, so that it stops before
/// another one begins.
const GIVES_UP_AFTER: Duration = Duration::from_secs(30);

/// What the names of the tables begin with.
const PREFIX: &str = "backfill_lease_";

/// ClickHouse's code for a table that exists already.
const TABLE_ALREADY_EXISTS: &str = "Code: 57.";

/// ClickHouse's code for a database that does not exist.
const UNKNOWN_DATABASE: &str = "Code: 81.";

/// ClickHouse's code for a table that does not exist.
const UNKNOWN_TABLE: &str = "Code: 60.";

/// Who has a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// What is being held: the name of a track, `merge`, `setup`.
    pub work: String,
    /// The process, and the host that it runs on.
    pub process: ProcessIdentity,
    /// Since when, in seconds by the server's clock.
    pub held_seconds: u64,
    /// Since its last sign of life, in seconds by the server's clock.
    pub silent_seconds: u64,
}

/// Why a lease could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process has it.
    #[error(
        "another process (id {} on {}) is working on {} for {} now and gave its last sign of life {} s ago: wait for it or end it (one that died is found out within a minute), then run the same command again",
        .0.process.pid, .0.process.host_name(), .0.work, humantime::format_duration(Duration::from_secs(.0.held_seconds)), .0.silent_seconds
    )]
    Held(Box<LeaseHolder>),
    /// Another process had it between two looks, and is done.
    #[error("another process was at work on {0} a moment ago; run the same command again")]
    Overtaken(String),
    /// ClickHouse failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A lease that is ours until it is released, or until it is [lost](Lease::lost).
pub struct Lease {
    store: Store,
    table: Table,
    lost: CancellationToken,
    heartbeat: JoinHandle<()>,
}

#[derive(Row, Deserialize)]
struct Epoch {
    name: String,
    holder: String,
    created_seconds: u64,
}

#[derive(Row, Deserialize)]
struct Signs {
    signs: u64,
    released: bool,
    silent_seconds: u64,
}

impl Lease {
    /// Cancelled when another process may have it by now: no sign of life could be given for too long. Whoever works
    /// under it stops then.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives the lease back: whoever comes next need not wait until it expires.
    ///
    /// # Errors
    /// [`StoreError`]; the lease expires by itself then.
    pub async fn release(self) -> Result<(), StoreError> {
        self.heartbeat.abort();
        self.store.give_sign(&self.table, true).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

impl Store {
    /// Takes the lease of `work` for this process, where nobody alive has it or one of `conflicting`.
    ///
    /// # Errors
    /// [`LeaseError::Held`] with the holder, or ClickHouse's failure.
    pub async fn lease(
        &self,
        work: &str,
        conflicting: &[&str],
        process: &ProcessIdentity,
    ) -> Result<Lease, LeaseError> {
        let epochs = self.epochs(work).await?;
        if let Some(holder) = self.living_holder(work, &epochs, process).await? {
            return Err(LeaseError::Held(Box::new(holder)));
        }
        let highest = epochs.iter().filter_map(|epoch| number(&epoch.name)).max().unwrap_or_default();
        let table = self.staging_table(&format!("{PREFIX}{work}_{}", highest + 1));
        self.open_epoch(work, &table, process).await?;
        // A process that slept between its look and its creation may have made an epoch that was there and is cleared up.
        let now = self.epochs(work).await?;
        if now.iter().filter_map(|epoch| number(&epoch.name)).any(|epoch| epoch > highest + 1) {
            self.clear_lease(&table).await;
            let holder = self.living_holder(work, &now, process).await?;
            return match holder {
                Some(holder) => Err(LeaseError::Held(Box::new(holder))),
                None => Err(LeaseError::Overtaken(work.to_owned())),
            };
        }
        // Whoever began beside us has written before it looks, as we have: at least one of the two sees the other.
        for other in conflicting {
            let epochs = self.epochs(other).await?;
            if let Some(holder) = self.living_holder(other, &epochs, process).await? {
                self.give_sign(&table, true).await?;
                return Err(LeaseError::Held(Box::new(holder)));
            }
        }
        for epoch in epochs {
            self.clear_lease(&self.staging_table(&epoch.name)).await;
        }
        let lost = CancellationToken::new();
        let heartbeat = tokio::spawn(give_signs(self.clone(), table.clone(), lost.clone()));
        Ok(Lease { store: self.clone(), table, lost, heartbeat })
    }

    /// Who has the lease of `work` and is alive, as far as one can tell; `None` where nobody has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_holder(
        &self,
        work: &str,
        process: &ProcessIdentity,
    ) -> Result<Option<LeaseHolder>, StoreError> {
        let epochs = self.epochs(work).await?;
        self.living_holder(work, &epochs, process).await
    }

    /// Creates the table that only one process can create, with who we are in its comment.
    async fn open_epoch(
        &self,
        work: &str,
        table: &Table,
        process: &ProcessIdentity,
    ) -> Result<(), LeaseError> {
        let create = format!(
            "CREATE TABLE {table} (work String, at DateTime64(3), released Bool) \
             ENGINE = ReplacingMergeTree(at) ORDER BY work COMMENT '{}'",
            process.to_string().replace('\\', "\\\\").replace('\'', "\\'")
        );
        let doing = "taking a lease";
        let mut created = self.run(doing, self.query(&create)).await;
        if created.as_ref().is_err_and(|error| has_code(error, UNKNOWN_DATABASE)) {
            let database = quoted(&self.names().staging);
            self.run(doing, self.query(&format!("CREATE DATABASE IF NOT EXISTS {database}"))).await?;
            created = self.run(doing, self.query(&create)).await;
        }
        if created.as_ref().is_err_and(|error| has_code(error, TABLE_ALREADY_EXISTS)) {
            // Another one was quicker.
            let epochs = self.epochs(work).await?;
            return match self.living_holder(work, &epochs, process).await? {
                Some(holder) => Err(LeaseError::Held(Box::new(holder))),
                None => Err(LeaseError::Overtaken(work.to_owned())),
            };
        }
        created?;
        Ok(self.give_sign(table, false).await?)
    }

    /// Drops a table that nobody looks at any more. Not every user may; then it stays, and is empty but for a few rows.
    async fn clear_lease(&self, table: &Table) {
        let drop = self.query(&format!("DROP TABLE IF EXISTS {table} SYNC"));
        if let Err(error) = self.run("clearing up old leases", drop).await {
            tracing::info!("{error}; going on");
        }
    }

    /// The tables of a lease that are there.
    async fn epochs(&self, work: &str) -> Result<Vec<Epoch>, StoreError> {
        let query = self
            .query(
                "SELECT name, comment AS holder, \
                        toUInt64(greatest(0, dateDiff('second', metadata_modification_time, now()))) AS created_seconds \
                 FROM system.tables WHERE database = {database:String} AND startsWith(name, {prefix:String})",
            )
            .param("database", &self.names().staging)
            .param("prefix", format!("{PREFIX}{work}_"));
        let mut epochs: Vec<Epoch> = self.rows("looking for leases", query).await?;
        epochs.retain(|epoch| number(&epoch.name).is_some());
        Ok(epochs)
    }

    /// Who holds the highest epoch, unless it was released, has expired, or its process is known to be gone.
    async fn living_holder(
        &self,
        work: &str,
        epochs: &[Epoch],
        us: &ProcessIdentity,
    ) -> Result<Option<LeaseHolder>, StoreError> {
        let Some(newest) = epochs.iter().max_by_key(|epoch| number(&epoch.name)) else { return Ok(None) };
        let table = self.staging_table(&newest.name);
        let sql = format!(
            "SELECT count() AS signs, argMax(released, at) AS released, \
                    toUInt64(greatest(0, dateDiff('second', max(at), now64(3)))) AS silent_seconds FROM {table}"
        );
        let signs: Signs = match self.one("reading a lease", self.query(&sql)).await {
            Ok(signs) => signs,
            // A newer holder has cleared it up since: its table is there when ours is to be created.
            Err(error) if has_code(&error, UNKNOWN_TABLE) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(process) = ProcessIdentity::parse(&newest.holder) else { return Ok(None) };
        let silent_seconds = if signs.signs == 0 { newest.created_seconds } else { signs.silent_seconds };
        if signs.released || silent_seconds > EXPIRES_AFTER.as_secs() || us.knows_gone(&process) {
            return Ok(None);
        }
        let held_seconds = newest.created_seconds;
        Ok(Some(LeaseHolder { work: work.to_owned(), process, held_seconds, silent_seconds }))
    }

    async fn give_sign(&self, table: &Table, released: bool) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO {table} SELECT 'lease', now64(3), {released}");
        self.run("giving a sign of life", self.query(&sql)).await
    }
}

/// Whether ClickHouse refused a statement with this code.
fn has_code(error: &StoreError, code: &str) -> bool {
    matches!(error, StoreError::Query { source: clickhouse::error::Error::BadResponse(text), .. } if text.starts_with(code))
}

/// The epoch in a table's name.
fn number(name: &str) -> Option<u64> {
    name.rsplit_once('_')?.1.parse().ok()
}

/// Gives signs of life until it is aborted, and says when that has failed for too long.
async fn give_signs(store: Store, table: Table, lost: CancellationToken) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let sign = tokio::time::timeout(HEARTBEAT, store.give_sign(&table, false)).await;
        match sign {
            Ok(Ok(())) => last = Instant::now(),
            // Also where the table is gone: somebody has taken over and cleared up behind us.
            _ if last.elapsed() > GIVES_UP_AFTER => return lost.cancel(),
            _ => {}
        }
    }
}
