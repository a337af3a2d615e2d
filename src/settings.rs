//! [`Settings`]: environment, `.env` and flags become one validated value; secrets print as `***`.
//!
//! [`SettingsArgs`] is what clap reads: every setting is an environment variable and a flag of the same name, and
//! the flag wins. What a value means is decided in the types of `values` and nowhere later.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::ctf::{self, Collateral};
use crate::ids::Wallet;
use crate::pnl::Usd;
use crate::store::{Table, TableNames};
use crate::upstream::Source;
use crate::values::{BadSetting, HttpUrl, Percent, RateLimit, Secret, bad};

/// `30s`, `15m`, `1h 30m`: a time above zero and of at most a day.
fn duration(text: &str) -> Result<Duration, BadSetting> {
    let day = Duration::from_secs(86_400);
    humantime::parse_duration(text)
        .ok()
        .filter(|time| !time.is_zero() && *time <= day)
        .ok_or_else(|| bad("expected a time such as 30s, 15m or 1h, above zero and at most 24h"))
}

fn worker_count(text: &str) -> Result<NonZeroUsize, BadSetting> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroUsize| count.get() <= 1024)
        .ok_or_else(|| bad("expected a whole number from 1 to 1024"))
}

fn batch_size(text: &str) -> Result<NonZeroUsize, BadSetting> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroUsize| count.get() <= 100_000)
        .ok_or_else(|| bad("expected a whole number from 1 to 100000"))
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

fn collateral(text: &str) -> Result<Collateral, String> {
    text.trim().parse::<Collateral>().map_err(|error| error.to_string())
}

const CONNECTION: &str = "ClickHouse";
const TABLES: &str = "Tables";
const SOURCES: &str = "Sources";
const WORK: &str = "Work";
const THRESHOLDS: &str = "Thresholds";

/// The settings as clap reads them, from flags and the environment.
#[derive(Debug, Clone, Args)]
pub struct SettingsArgs {
    /// ClickHouse's HTTP interface
    #[arg(long, env, global = true, default_value = "http://127.0.0.1:8123", help_heading = CONNECTION, hide_short_help = true, hide_env_values = true)]
    clickhouse_url: String,
    /// The user to log in as
    #[arg(long, env, global = true, default_value = "default", help_heading = CONNECTION, hide_short_help = true)]
    clickhouse_user: String,
    /// The user's password
    #[arg(long, env, global = true, default_value = "", help_heading = CONNECTION, hide_short_help = true, hide_env_values = true, hide_default_value = true)]
    clickhouse_password: String,
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
    /// The Dome API, or a gateway that serves the same paths
    #[arg(long, env, global = true, default_value = default_url(Source::Dome), help_heading = SOURCES, hide_short_help = true, hide_env_values = true)]
    dome_api_url: String,
    /// The Dome API's key
    #[arg(long, env, global = true, help_heading = SOURCES, hide_short_help = true, hide_env_values = true)]
    dome_api_key: Option<String>,
    /// Requests that Dome allows, every window at once (the free tier; dev: 500/10s,100/1s)
    #[arg(long, env, global = true, default_value = default_limit(Source::Dome), help_heading = SOURCES, hide_short_help = true)]
    dome_rate_limit: RateLimit,
    /// A positions subgraph
    #[arg(long, env, global = true, default_value = default_url(Source::Goldsky), help_heading = SOURCES, hide_short_help = true, hide_env_values = true)]
    goldsky_url: String,
    /// The key of a private subgraph endpoint
    #[arg(long, env, global = true, help_heading = SOURCES, hide_short_help = true, hide_env_values = true)]
    goldsky_api_key: Option<String>,
    /// Requests that Goldsky allows
    #[arg(long, env, global = true, default_value = default_limit(Source::Goldsky), help_heading = SOURCES, hide_short_help = true)]
    goldsky_rate_limit: RateLimit,
    /// Polymarket's Gamma API
    #[arg(long, env, global = true, default_value = default_url(Source::Gamma), help_heading = SOURCES, hide_short_help = true, hide_env_values = true)]
    gamma_url: String,
    /// Requests that Gamma allows on /markets
    #[arg(long, env, global = true, default_value = default_limit(Source::Gamma), help_heading = SOURCES, hide_short_help = true)]
    gamma_rate_limit: RateLimit,
    /// Polymarket's CLOB, whose list of all markets is paged through
    #[arg(long, env, global = true, default_value = "https://clob.polymarket.com", help_heading = SOURCES, hide_env_values = true)]
    clob_url: String,
    /// Requests that the CLOB allows
    ///
    /// Polymarket's table of limits (docs.polymarket.com/api-reference/rate-limits) names no limit of its own for the
    /// CLOB's /markets, only 9,000/10s for the host; its earlier editions named 250/10s, which is kept.
    #[arg(long, env, global = true, default_value = "250/10s", help_heading = SOURCES)]
    clob_rate_limit: RateLimit,
    /// The tokens that may back positions, as name=address with commas [default: usdc_e and neg_risk]
    #[arg(long, env, global = true, value_delimiter = ',', value_parser = collateral, help_heading = SOURCES, hide_short_help = true)]
    collaterals: Vec<Collateral>,
    /// A libchdb.so or a clickhouse binary for the embedded server [default: found or fetched]
    #[arg(long, env, global = true, help_heading = CONNECTION, hide_short_help = true)]
    clickhouse_engine: Option<PathBuf>,
    /// Requests under way at once, in each track [default: 16 for Dome and the CLOB, 32 for Goldsky, 64 for Gamma]
    #[arg(long, env, global = true, value_parser = worker_count, help_heading = WORK, hide_short_help = true)]
    worker_count: Option<NonZeroUsize>,
    /// How long one answer may take
    #[arg(long, env, global = true, default_value = "30s", value_parser = duration, help_heading = WORK, hide_short_help = true)]
    request_timeout: Duration,
    /// How long an outage may last before the work is left for the next run
    #[arg(long, env, global = true, default_value = "15m", value_parser = duration, help_heading = WORK, hide_short_help = true)]
    give_up_after: Duration,
    /// Tokens in one request [default: as many as one request of that API takes]
    #[arg(long, env, global = true, value_parser = batch_size, help_heading = WORK, hide_short_help = true)]
    batch_size: Option<NonZeroUsize>,
    /// Where the tracks' checkpoints stand
    #[arg(long, env, global = true, default_value = "tmp", help_heading = WORK, hide_short_help = true)]
    checkpoint_dir: PathBuf,
    /// Percent of the traded tokens that must be mapped
    #[arg(long, env, global = true, default_value = "95", help_heading = THRESHOLDS, hide_short_help = true)]
    coverage_target: Percent,
    /// Resolved positions that the baseline wallet must have
    #[arg(long, env, global = true, default_value_t = 50, help_heading = THRESHOLDS, hide_short_help = true)]
    min_positions: u64,
    /// Percent by which a P&L may miss its expected value
    #[arg(long, env, global = true, default_value = "2", help_heading = THRESHOLDS, hide_short_help = true)]
    variance_limit: Percent,
    /// The wallet whose coverage and P&L are checked
    #[arg(long, env, global = true, default_value = BASELINE_WALLET, help_heading = THRESHOLDS, hide_short_help = true)]
    baseline_wallet: Wallet,
    /// That wallet's expected realized P&L in USD
    #[arg(long, env, global = true, default_value = "87030.51", allow_negative_numbers = true, help_heading = THRESHOLDS, hide_short_help = true)]
    expected_pnl: Usd,
}

/// Where a source is, if the user does not say.
fn default_url(source: Source) -> &'static str {
    source.ask().map_or("", |ask| ask.url)
}

/// What a source allows, if the user does not say.
fn default_limit(source: Source) -> &'static str {
    source.ask().map_or("", |ask| ask.rate_limit)
}

/// The wallet that the guide validates.
const BASELINE_WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

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
}

/// How one API is reached.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The base URL.
    pub url: HttpUrl,
    /// The key, where there is one.
    pub api_key: Option<Secret>,
    /// The published limit.
    pub rate_limit: RateLimit,
}

/// How the tracks work.
#[derive(Debug, Clone)]
pub struct WorkSettings {
    /// Requests under way at once; `None` leaves it to the source's default.
    pub worker_count: Option<NonZeroUsize>,
    /// Tokens in a request; `None`: as many as fit.
    pub batch_size: Option<NonZeroUsize>,
    /// How long one answer may take.
    pub request_timeout: Duration,
    /// How long an outage may last.
    pub give_up_after: Duration,
    /// Where checkpoints and locks stand.
    pub checkpoint_dir: PathBuf,
}

/// Everything that a user can set, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// ClickHouse.
    pub store: StoreSettings,
    /// The Dome API.
    pub dome: SourceSettings,
    /// The Goldsky subgraph.
    pub goldsky: SourceSettings,
    /// Polymarket's Gamma API.
    pub gamma: SourceSettings,
    /// Polymarket's CLOB.
    pub clob: SourceSettings,
    /// The tokens that may back positions.
    pub collaterals: Vec<Collateral>,
    /// The engine of the embedded server, where the user names one.
    pub engine: Option<PathBuf>,
    /// How the tracks work.
    pub work: WorkSettings,
    /// Percent of the traded tokens that must be mapped.
    pub coverage_target: Percent,
    /// Resolved positions that the baseline wallet must have.
    pub min_positions: u64,
    /// Percent by which a P&L may miss its expected value; a pass is strictly below.
    pub variance_limit: Percent,
    /// The wallet that is checked when no baselines are given.
    pub baseline_wallet: Wallet,
    /// That wallet's expected realized P&L.
    pub expected_pnl: Usd,
}

impl Settings {
    /// How a source is reached, `None` for what is computed.
    pub fn source(&self, source: Source) -> Option<&SourceSettings> {
        match source {
            Source::Derived => None,
            Source::Dome => Some(&self.dome),
            Source::Goldsky => Some(&self.goldsky),
            Source::Gamma => Some(&self.gamma),
            Source::Clob => Some(&self.clob),
        }
    }

    /// The same, to be changed.
    pub fn source_mut(&mut self, source: Source) -> Option<&mut SourceSettings> {
        match source {
            Source::Derived => None,
            Source::Dome => Some(&mut self.dome),
            Source::Goldsky => Some(&mut self.goldsky),
            Source::Gamma => Some(&mut self.gamma),
            Source::Clob => Some(&mut self.clob),
        }
    }
}

impl SettingsArgs {
    /// Where the tracks' checkpoints stand.
    pub fn checkpoint_dir(&self) -> &Path {
        &self.checkpoint_dir
    }

    /// Checks what no single value shows and names every table.
    ///
    /// # Errors
    /// The first setting that cannot be used, named.
    pub fn validate(self) -> Result<Settings, BadSetting> {
        let url = |name: &str, text: &str| -> Result<HttpUrl, BadSetting> {
            text.parse().map_err(|error| bad(format!("{name} {error}")))
        };
        let key = |key: Option<String>| {
            key.as_deref().map(str::trim).filter(|key| !key.is_empty()).map(Secret::from)
        };
        for (name, key) in [("DOME_API_KEY", &self.dome_api_key), ("GOLDSKY_API_KEY", &self.goldsky_api_key)]
        {
            if key.as_deref().is_some_and(|key| key.trim().bytes().any(|b| !b.is_ascii_graphic())) {
                return Err(bad(format!(
                    "{name} holds a character that no key has (a space, a line break?)"
                )));
            }
        }
        let clickhouse = url("CLICKHOUSE_URL", &self.clickhouse_url)?;
        let (url_user, url_password) = clickhouse.credentials();
        let user = url_user.map_or(self.clickhouse_user, str::to_owned);
        let password = Secret::from(url_password.unwrap_or(&self.clickhouse_password));
        let default = &self.clickhouse_database;
        // Each was parsed by clap; what does not parse here cannot have come that far.
        let named =
            |text: &str| Table::parse(text, default).ok_or_else(|| bad(format!("not a table: {text}")));
        let names = TableNames {
            fills: named(&self.fills_table)?,
            token_map: named(&self.token_map_table)?,
            resolutions: named(&self.resolutions_table)?,
            winners: named(&self.winners_table)?,
            database: self.clickhouse_database.clone(),
            staging: self.staging_database,
        };
        let collaterals =
            if self.collaterals.is_empty() { ctf::default_collaterals() } else { self.collaterals };
        Ok(Settings {
            store: StoreSettings { url: clickhouse, user, password, names },
            dome: SourceSettings {
                url: url("DOME_API_URL", &self.dome_api_url)?,
                api_key: key(self.dome_api_key),
                rate_limit: self.dome_rate_limit,
            },
            goldsky: SourceSettings {
                url: url("GOLDSKY_URL", &self.goldsky_url)?,
                api_key: key(self.goldsky_api_key),
                rate_limit: self.goldsky_rate_limit,
            },
            gamma: SourceSettings {
                url: url("GAMMA_URL", &self.gamma_url)?,
                api_key: None,
                rate_limit: self.gamma_rate_limit,
            },
            clob: SourceSettings {
                url: url("CLOB_URL", &self.clob_url)?,
                api_key: None,
                rate_limit: self.clob_rate_limit,
            },
            collaterals,
            engine: self.clickhouse_engine,
            work: WorkSettings {
                worker_count: self.worker_count,
                batch_size: self.batch_size,
                request_timeout: self.request_timeout,
                give_up_after: self.give_up_after,
                checkpoint_dir: self.checkpoint_dir,
            },
            coverage_target: self.coverage_target,
            min_positions: self.min_positions,
            variance_limit: self.variance_limit,
            baseline_wallet: self.baseline_wallet,
            expected_pnl: self.expected_pnl,
        })
    }
}
