//! Everything that is SQL. [`Store`] is the shared ClickHouse client; the modules beside it hold one subject each,
//! in functions named after what they answer.

pub mod audit;
pub(crate) mod catalogue;
pub mod chain;
pub(crate) mod combos;
pub mod conditions;
mod connect;
mod copies;
pub(crate) mod coverage;
mod derived_payouts;
pub(crate) mod diagnostics;
mod export;
pub(crate) mod facts;
mod fees;
pub mod flow_tables;
pub(crate) mod flows;
pub mod gaps;
pub mod input;
pub(crate) mod known;
pub mod labels;
pub mod lease;
mod map_row;
pub(crate) mod merge;
pub mod metadata;
mod money;
mod person;
pub(crate) mod positions;
pub(crate) mod progress;
mod promise;
mod rehearsal;
pub(crate) mod repair;
pub(crate) mod rounds;
mod schema;
mod settings;
mod spelling;
pub mod sql;
pub mod staging;
mod table;
pub mod traded;
mod wallets;
pub(crate) mod watermark;
pub mod workload;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::{Client, Row, RowOwned, RowRead};
use futures_util::FutureExt;
use serde::Deserialize;

pub use connect::ConnectError;
pub use input::{ColumnMaps, ColumnNames, Needs};
pub use settings::{StoreArgs, StoreSettings};
pub use table::{Table, TableNames, quoted};

use crate::foreign;
use crate::values::Secret;

/// Why ClickHouse could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The connection could not be made at all.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A query or an insert failed.
    #[error("ClickHouse failed {doing}: {}", first_line(.source))]
    Query {
        /// What was being done, in the words of a person.
        doing: String,
        /// What the client says of it.
        source: clickhouse::error::Error,
    },
    /// No answer came in the time an outage may last.
    #[error("ClickHouse gave no answer within {} while {doing}; see what it is busy with (SHOW PROCESSLIST), and run the same command again", humantime::format_duration(*.limit))]
    NoAnswer {
        /// What was being done.
        doing: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A table that is needed does not exist.
    #[error("the table {table} does not exist; name the right one with {setting}{}", if *.creatable { ", or let `backfill setup --create-tables` create an empty one" } else { "" })]
    MissingTable {
        /// The table, as DATABASE.TABLE.
        table: String,
        /// The setting that names it.
        setting: &'static str,
        /// Whether setup can create it.
        creatable: bool,
    },
    /// Columns or tables of the users cannot be used for what is to be done.
    #[error("the tables cannot be used as they are: {problems}{advice}; nothing was written")]
    Unusable {
        /// All of them, with their types and what would do.
        problems: String,
        /// Settings that seem to be meant, beginning with a semicolon, or nothing.
        advice: String,
    },
    /// A row cannot be put above those that a token has.
    #[error(
        "the column {column} of {table} ({type_name}) has its largest value in rows of {tokens} tokens, such as {example}, so that no right row can be put above them; lower it there, then run the same command again; nothing was written"
    )]
    VersionTaken {
        /// The table, as DATABASE.TABLE.
        table: String,
        /// The column that decides which row stays.
        column: String,
        /// Its type.
        type_name: String,
        /// How many tokens.
        tokens: u64,
        /// One of them.
        example: String,
    },
    /// Values that are to be written are none of an Enum's.
    #[error(
        "the column {column} of {table} has no value for {values}; ALTER TABLE {table} MODIFY COLUMN {column} LowCardinality(String) would do; nothing was written"
    )]
    NoEnumValue {
        /// The table, as DATABASE.TABLE.
        table: String,
        /// The column.
        column: String,
        /// The values that it lacks, quoted.
        values: String,
    },
    /// Rows have to be deleted from a table that deletes none.
    #[error(
        "rows of {table} ({engine}) cannot be deleted; run it on the local tables, named with TOKEN_MAP_TABLE, on each server; nothing was written"
    )]
    NotMutable {
        /// The table, as DATABASE.TABLE.
        table: String,
        /// Its engine.
        engine: String,
    },
    /// What was merged is not what a reader sees.
    #[error(
        "a FINAL read of {table} does not see {lost} of the tokens that have a usable row, such as {example}; another program may be writing to it: run `backfill merge` again, and see what replaces the row"
    )]
    Hidden {
        /// The table, as DATABASE.TABLE.
        table: String,
        /// How many tokens.
        lost: u64,
        /// One of them.
        example: String,
    },
    /// Two counts of the same thing differ.
    #[error(
        "sums do not agree: {what}: {one} and {other}; does one address lead to several servers that do not have the same rows yet? Run the same command again"
    )]
    SumsDisagree {
        /// What was counted twice.
        what: &'static str,
        /// How many by the first count.
        one: u64,
        /// How many by the second.
        other: u64,
    },
    /// A table lacks a column that is needed.
    #[error("the table {table} has no column {column}, which is needed; nothing was written")]
    MissingColumn {
        /// The table, as DATABASE.TABLE.
        table: String,
        /// The column.
        column: String,
    },
}

impl From<input::MissingTable> for StoreError {
    fn from(missing: input::MissingTable) -> Self {
        let input::MissingTable { table, setting, creatable } = missing;
        Self::MissingTable { table, setting, creatable }
    }
}

impl StoreError {
    /// Whether ClickHouse answered, and refused what it was given.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Query { source: clickhouse::error::Error::BadResponse(_), .. })
    }

    /// Whether the same statement may succeed later: an outage, not a mistake.
    pub fn may_pass(&self) -> bool {
        use clickhouse::error::Error;
        match self {
            Self::Query { source: Error::BadResponse(text), .. } => {
                let code = text
                    .strip_prefix("Code: ")
                    .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok());
                // Columns, tables, databases and rights that are not there do not come by waiting.
                !matches!(code, Some(10 | 16 | 36 | 47 | 53 | 60 | 62 | 81 | 164 | 192..=194 | 497 | 516))
            }
            Self::Query { source, .. } => {
                matches!(source, Error::Network(_) | Error::TimedOut | Error::Other(_))
            }
            Self::NoAnswer { .. } => true,
            Self::Connect(_)
            | Self::MissingTable { .. }
            | Self::MissingColumn { .. }
            | Self::Unusable { .. }
            | Self::VersionTaken { .. }
            | Self::NoEnumValue { .. }
            | Self::NotMutable { .. }
            | Self::Hidden { .. }
            | Self::SumsDisagree { .. } => false,
        }
    }
}

/// The server's own words, without the stack of versions and query texts that follows them.
fn first_line(error: &clickhouse::error::Error) -> String {
    use clickhouse::error::Error;
    let text = match error {
        // Their Display drops the cause, which alone tells what happened.
        Error::Network(source) | Error::Other(source) => {
            let mut text = error.to_string();
            let mut cause = source.source();
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            text
        }
        _ => error.to_string(),
    };
    foreign::clean(text.lines().next().unwrap_or_default(), 600)
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as ClickHouse prints it.
    pub type_name: String,
}

/// The shared ClickHouse client and the names of the tables. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    client: Client,
    names: TableNames,
    /// To be taken out of what is shown.
    password: Secret,
    query_limit: Duration,
    column_maps: Arc<input::ColumnMaps>,
    /// The users' tables as they were seen last.
    inputs: Arc<tokio::sync::Mutex<Option<Arc<input::Inputs>>>>,
    /// Answers without a mapping from before this moment, in seconds since 1970, count no more.
    answers_since: u32,
}

/// What a server does when one of its limits is reached: each can be set to stop quietly.
const OVERFLOW_MODES: [&str; 9] = [
    "distinct_overflow_mode",
    "group_by_overflow_mode",
    "join_overflow_mode",
    "read_overflow_mode",
    "result_overflow_mode",
    "set_overflow_mode",
    "sort_overflow_mode",
    "timeout_overflow_mode",
    "transfer_overflow_mode",
];

/// Settings under which the same statement answers something else, with the values that are meant.
const MEANINGS: [(&str, &str); 7] = [
    ("limit", "0"),
    ("offset", "0"),
    ("extremes", "0"),
    ("final", "0"),
    ("aggregate_functions_null_for_empty", "0"),
    ("join_any_take_last_row", "0"),
    ("transform_null_in", "0"),
];

impl Store {
    /// Connects, and checks that what answers is a ClickHouse that lets this user into this database.
    ///
    /// `query_limit` bounds every single statement, so that a server that has gone silent cannot hang a phase.
    ///
    /// # Errors
    /// [`ConnectError`], one message a cause.
    pub async fn connect(settings: &StoreSettings, query_limit: Duration) -> Result<Self, StoreError> {
        connect::check(settings).await?;
        let client = Client::default()
            .with_url(settings.url.endpoint().as_str())
            .with_user(&settings.user)
            .with_password(settings.password.expose())
            .with_database(&settings.names.database)
            .with_product_info("backfill", env!("CARGO_PKG_VERSION"))
            // Every insert is acknowledged when the rows are there, never before: a server whose default is to
            // queue them would let a crash lose rows that a checkpoint calls written.
            .with_setting("async_insert", "0")
            .with_setting("wait_for_async_insert", "1")
            // The same where a table is spread over a cluster: the other servers have the rows too. (The name that
            // old servers know; newer ones call it distributed_foreground_insert and take both.)
            .with_setting("insert_distributed_sync", "1")
            // An error in the middle of a statement must reach us as one, not as the end of the answer.
            .with_setting("wait_end_of_query", "1");
        // Whichever replica answers has every write that was acknowledged: shared storage waits for it, a server alone
        // has nothing to wait for.
        let client = client.with_setting("select_sequential_consistency", "1");
        // A limit of a user's profile is an error, never a shorter answer.
        let client = OVERFLOW_MODES.iter().fold(client, |client, mode| client.with_setting(*mode, "throw"));
        // What a profile may set, and what changes the meaning of a statement.
        let client = MEANINGS.iter().fold(client, |client, (name, value)| client.with_setting(*name, *value));
        Ok(Self {
            client,
            names: settings.names.clone(),
            password: settings.password.clone(),
            query_limit,
            column_maps: Arc::new(settings.columns.clone()),
            inputs: Arc::default(),
            answers_since: 0,
        })
    }

    /// The same store, to which answers without a mapping from before `moment` count no more: whoever gave them is asked
    /// again.
    #[must_use]
    pub fn with_answers_since(self, moment: jiff::Timestamp) -> Self {
        Self { answers_since: u32::try_from(moment.as_second()).unwrap_or_default(), ..self }
    }

    /// Every answer without a mapping that still counts, as sub-queries of `columns` (`{at}` is its time): of those that
    /// are not found, and of those whose claims have no proof. `condition` is one more.
    fn answers_without_mapping(&self, columns: &str, condition: &str) -> [String; 2] {
        [("not_found", "asked_at"), ("rejected_mappings", "rejected_at")].map(|(name, at)| {
            let (table, since) = (self.staging_table(name), self.answers_since);
            let columns = columns.replace("{at}", at);
            format!("SELECT {columns} FROM {table} WHERE {at} >= {since} AND {condition}")
        })
    }

    /// The users' tables by their roles.
    pub fn names(&self) -> &TableNames {
        &self.names
    }

    /// One of backfill's own tables.
    pub fn staging_table(&self, name: &str) -> Table {
        Table::new(&self.names.staging, name)
    }

    /// A statement to bind values to and to run with [`Store::rows`], [`Store::one`] or [`Store::run`].
    pub fn query(&self, sql: &str) -> clickhouse::query::Query {
        // Raw: values are bound as {name:Type}, and a question mark in a pattern is no placeholder.
        self.client.query_raw(sql)
    }

    /// A client whose unqualified names mean `database`, which inserts need.
    pub fn client_in(&self, database: &str) -> Client {
        self.client.clone().with_database(database)
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// [`StoreError::Query`] with `doing`, or [`StoreError::NoAnswer`].
    pub async fn rows<T: RowOwned + RowRead>(
        &self,
        doing: &str,
        query: clickhouse::query::Query,
    ) -> Result<Vec<T>, StoreError> {
        self.bounded(doing, query.fetch_all::<T>()).await
    }

    /// The one row of a query.
    ///
    /// # Errors
    /// As [`Store::rows`]; also where there is no row.
    pub async fn one<T: RowOwned + RowRead>(
        &self,
        doing: &str,
        query: clickhouse::query::Query,
    ) -> Result<T, StoreError> {
        self.bounded(doing, query.fetch_one::<T>()).await
    }

    /// Runs a statement that answers nothing.
    ///
    /// # Errors
    /// As [`Store::rows`].
    pub async fn run(&self, doing: &str, query: clickhouse::query::Query) -> Result<(), StoreError> {
        self.bounded(doing, query.execute()).await
    }

    /// What the client says of a statement that failed, without the password, which a proxy may repeat.
    fn failed(&self, doing: &str, source: clickhouse::error::Error) -> StoreError {
        use clickhouse::error::Error;
        let source = match source {
            Error::BadResponse(text) => {
                let line = text.lines().next().unwrap_or_default();
                Error::BadResponse(foreign::said(line, 600, |text| self.password.hidden_in(&text)))
            }
            other => other,
        };
        StoreError::Query { doing: doing.to_owned(), source }
    }

    /// Waits for `answer`, but not longer than one statement may take.
    async fn bounded<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T, StoreError> {
        // The client panics where what answers claims to have more columns than memory can hold.
        let answer = AssertUnwindSafe(answer).catch_unwind();
        match tokio::time::timeout(self.query_limit, answer).await {
            Ok(Ok(answer)) => answer.map_err(|source| self.failed(doing, source)),
            Ok(Err(_)) => {
                let what = "an answer that is no ClickHouse's".to_owned();
                Err(self.failed(doing, clickhouse::error::Error::BadResponse(what)))
            }
            Err(_) => Err(StoreError::NoAnswer { doing: doing.to_owned(), limit: self.query_limit }),
        }
    }

    /// The columns of a table in their order, `None` where the table does not exist.
    ///
    /// # Errors
    /// As [`Store::rows`].
    pub async fn columns(&self, table: &Table) -> Result<Option<Vec<Column>>, StoreError> {
        let query = self
            .query(
                "SELECT name, type AS type_name FROM system.columns \
                 WHERE database = {database:String} AND table = {table:String} ORDER BY position",
            )
            .param("database", &table.database)
            .param("table", &table.name);
        let columns: Vec<Column> = self.rows("reading the tables' columns", query).await?;
        Ok(Some(columns).filter(|columns| !columns.is_empty()))
    }

    /// The columns of a table that must exist and have the columns `required`.
    ///
    /// # Errors
    /// [`StoreError::MissingTable`], [`StoreError::MissingColumn`].
    pub async fn require(
        &self,
        table: &Table,
        setting: &'static str,
        required: &[&str],
    ) -> Result<Vec<Column>, StoreError> {
        let columns = self.columns(table).await?.ok_or_else(|| StoreError::MissingTable {
            table: table.plain(),
            setting,
            creatable: matches!(setting, "FILLS_TABLE" | "TOKEN_MAP_TABLE"),
        })?;
        match required.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
            Some(missing) => {
                Err(StoreError::MissingColumn { table: table.plain(), column: (*missing).to_owned() })
            }
            None => Ok(columns),
        }
    }
}
