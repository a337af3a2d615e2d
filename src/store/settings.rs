//! [`StoreArgs`]: how ClickHouse is reached and what the tables are called, as clap reads it and as [`Store`] uses it.
//!
//! [`Store`]: super::Store

use clap::Args;

use super::input::{ColumnMaps, ColumnNames};
use super::table::{Table, TableNames};
use crate::values::{BadSetting, HttpUrl, Secret, SecretParser, bad, secret};

const CONNECTION: &str = "ClickHouse";
const TABLES: &str = "Tables";
/// The table of flows in the staging database.
const FLOWS: &str = "wallet_flows";

/// How ClickHouse is reached.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The HTTP interface.
    pub url: HttpUrl,
    /// The user's name.
    pub user: String,
    /// The user's password, empty where none is needed.
    pub password: Secret,
    /// The tables by their roles.
    pub names: TableNames,
    /// What the installation calls their columns.
    pub columns: ColumnMaps,
}

/// ClickHouse's settings as clap reads them.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// ClickHouse's HTTP interface
    #[arg(long, env, global = true, default_value = "http://127.0.0.1:8123", value_parser = SecretParser(str::parse::<HttpUrl>), help_heading = CONNECTION, hide_short_help = true, hide_env_values = true)]
    clickhouse_url: HttpUrl,
    /// The user to log in as
    #[arg(long, env, global = true, default_value = "default", help_heading = CONNECTION, hide_short_help = true)]
    clickhouse_user: String,
    /// The user's password
    #[arg(long, env, global = true, default_value = "", value_parser = secret, help_heading = CONNECTION, hide_short_help = true, hide_env_values = true, hide_default_value = true)]
    clickhouse_password: Secret,
    /// The database of the tables that are named without one
    #[arg(long, env, global = true, default_value = "default", value_parser = database, help_heading = CONNECTION, hide_short_help = true)]
    clickhouse_database: String,
    /// The database that backfill keeps its own tables in
    #[arg(long, env, global = true, default_value = "staging", value_parser = database, help_heading = TABLES, hide_short_help = true)]
    staging_database: String,
    /// The trades; may carry a database
    #[arg(long, env, global = true, default_value = "clob_fills", value_parser = table, help_heading = TABLES, hide_short_help = true)]
    fills_table: String,
    /// The map that is filled
    #[arg(long, env, global = true, default_value = "ctf_token_map", value_parser = table, help_heading = TABLES, hide_short_help = true)]
    token_map_table: String,
    /// Payouts by condition; this or the winners is enough
    #[arg(long, env, global = true, default_value = "market_resolutions_final", value_parser = table, help_heading = TABLES, hide_short_help = true)]
    resolutions_table: String,
    /// Winning labels by condition
    #[arg(long, env, global = true, default_value = "gamma_resolved", value_parser = table, help_heading = TABLES, hide_short_help = true)]
    winners_table: String,
    /// What wallets did beside trading, where it is not backfill's own table of it
    #[arg(long, env, global = true, value_parser = table, help_heading = TABLES, hide_short_help = true)]
    flows_table: Option<String>,
    /// The trades' columns where they have other names, as ours=theirs; size=shares:1e6 scales
    #[arg(long, env, global = true, default_value = "", value_parser = str::parse::<ColumnNames>, help_heading = TABLES, hide_short_help = true)]
    fills_columns: ColumnNames,
    /// The map's columns where they have other names
    #[arg(long, env, global = true, default_value = "", value_parser = str::parse::<ColumnNames>, help_heading = TABLES, hide_short_help = true)]
    token_map_columns: ColumnNames,
    /// The resolutions' columns where they have other names
    #[arg(long, env, global = true, default_value = "", value_parser = str::parse::<ColumnNames>, help_heading = TABLES, hide_short_help = true)]
    resolutions_columns: ColumnNames,
    /// The winners' columns where they have other names
    #[arg(long, env, global = true, default_value = "", value_parser = str::parse::<ColumnNames>, help_heading = TABLES, hide_short_help = true)]
    winners_columns: ColumnNames,
    /// The columns of the flows where they have other names; shares=amount:1e6 scales
    #[arg(long, env, global = true, default_value = "", value_parser = str::parse::<ColumnNames>, help_heading = TABLES, hide_short_help = true)]
    flows_columns: ColumnNames,
}

fn database(text: &str) -> Result<String, BadSetting> {
    Table::parse(text, "default").filter(|_| !text.contains('.')).map(|table| table.name).ok_or_else(|| {
        bad("expected the name of a database: letters, digits, _ and -, at most 120 characters")
    })
}

fn table(text: &str) -> Result<String, BadSetting> {
    Table::parse(text, "default").map(|_| text.to_owned()).ok_or_else(|| {
        bad("expected TABLE or DATABASE.TABLE: letters, digits, _ and -, at most 120 characters each")
    })
}

impl StoreArgs {
    /// Names every table with its database; a user and a password in the URL win over the settings of their own.
    ///
    /// # Errors
    /// A table's name that is none.
    pub fn validate(self) -> Result<StoreSettings, BadSetting> {
        let url = self.clickhouse_url;
        let (url_user, url_password) = url.credentials();
        let user = url_user.map_or(self.clickhouse_user, str::to_owned);
        let password = url_password.map_or(self.clickhouse_password, Secret::from);
        let default = &self.clickhouse_database;
        // Each was parsed by clap; what does not parse here cannot have come that far.
        let named =
            |text: &str| Table::parse(text, default).ok_or_else(|| bad(format!("not a table: {text}")));
        let names = TableNames {
            fills: named(&self.fills_table)?,
            token_map: named(&self.token_map_table)?,
            resolutions: named(&self.resolutions_table)?,
            winners: named(&self.winners_table)?,
            flows: match &self.flows_table {
                Some(flows) => named(flows)?,
                None => Table::new(&self.staging_database, FLOWS),
            },
            database: self.clickhouse_database.clone(),
            staging: self.staging_database,
        };
        let columns = ColumnMaps {
            fills: self.fills_columns,
            token_map: self.token_map_columns,
            resolutions: self.resolutions_columns,
            winners: self.winners_columns,
            flows: self.flows_columns,
        };
        Ok(StoreSettings { user, password, names, url, columns: columns.check()? })
    }
}
