//! The command line: the global options and one `Args` for each subcommand.

pub mod chain;
#[cfg(feature = "demo")]
mod demo;
mod global;
mod help;
mod metrics;
mod track;
pub mod watch;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "demo")]
pub use demo::{DemoArgs, DomeTier};
pub use global::{Format, GlobalArgs, LogFormat, is_profile_name};
pub use help::{command, parse};
pub use metrics::MetricsArgs;
pub use track::TrackCommand;

use crate::phases::shares::Tracks;
use crate::phases::steps::{Span, Stage};
use crate::pnl::{Method, TransferRule};
use crate::settings::SettingsArgs;
use crate::source::Source;
use crate::values::Percent;

/// Fills Polymarket's ctf_token_map in ClickHouse: which market and which outcome each traded token stands for.
///
/// Run the phases in this order, the tracks in terminals of their own:
/// setup, dome and goldsky (and gamma), merge, verify, validate. A phase that was interrupted goes on where it was when the same
/// command is run again. `backfill demo` shows all of it on this machine, without accounts.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, after_help = EXAMPLES, subcommand_help_heading = "Commands")]
pub struct Cli {
    /// What every command takes
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The settings
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// The command
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  backfill demo                       see all of it on this machine, without accounts
  backfill run --dry-run              what a run would do, and why
  backfill run                        everything, in one process
  backfill help dome                  one command, with examples

Exit codes: 0 done, 1 something cannot be used, 2 command line or settings (nothing was touched),
3 done but below a threshold, 4 work is left (run it again), 5 the result could not be written,
130 interrupted and saved.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Phase 0: measure, create the staging tables, list the unmapped tokens, split them between the tracks
    #[command(
        after_help = "Examples:\n  backfill setup --derive             first compute what needs no API\n  backfill setup --tracks auto        whoever answers, by what the limits allow\n  backfill setup --tracks dome:40,goldsky:40,gamma:20\n  backfill setup --create-tables      on an empty ClickHouse"
    )]
    Setup(SetupArgs),
    /// One track: asks its source for its share of the tokens
    #[command(flatten)]
    Track(TrackCommand),
    /// The catalogue: all markets of Polymarket's CLOB
    #[command(about = Source::Clob.about(), long_about = Source::Clob.long_about(), after_help = Source::Clob.examples())]
    Clob(ClobArgs),
    /// The chain itself: conditions, payouts and combos from the contracts' own events on Polygon
    ///
    /// Needs no key and no setup. Every row is checked by the hash that makes it, so any provider can be an untrusted
    /// one; what that cannot show is what a provider leaves out and what a resolution pays, which `--check` asks a second
    /// provider for. What was read is noted in STAGING_DATABASE.chain_ranges: interrupted, it goes on with what is
    /// missing. A first full read takes about 9,400 requests from public nodes, 78 minutes at 20 in 10 s.
    #[command(
        after_help = "Examples:\n  backfill chain && backfill derive && backfill merge\n  CHAIN_URL=https://polygon-bor-rpc.publicnode.com,https://rpc-mainnet.matic.quiknode.pro backfill chain --check 0.05\n  backfill chain --follow             stays at the head until Ctrl-C\n  backfill chain --preparations preparations.parquet --resolutions resolutions.parquet"
    )]
    Chain(chain::ChainCommandArgs),
    /// What baseline wallets did beside trading, from the chain: splits, merges, redemptions, conversions, transfers, fees
    ///
    /// Needs no key and no setup. Reads the events that name a wallet, of both generations, and of transactions that went
    /// through an adapter or the router the rest of their blocks. The rows go to STAGING_DATABASE.wallet_flows, which
    /// `validate` counts; interrupted, it goes on with what is missing.
    #[command(
        after_help = "Examples:\n  backfill flows && backfill validate\n  backfill flows --wallets wallets.csv"
    )]
    Flows(chain::FlowsArgs),
    /// Phase 3: staging into production
    #[command(
        after_help = "Examples:\n  backfill merge --dry-run            only says what would be done\n  backfill merge --repair             also replaces rows that the hash proves wrong\n  backfill merge --labels             also fills empty labels from what `backfill clob` has read"
    )]
    Merge(MergeArgs),
    /// Phase 4: coverage of all tokens and of the baseline wallet, resolved positions, and where the gap is
    #[command(
        after_help = "Examples:\n  backfill verify\n  backfill verify --gaps gaps.csv     every unmapped token, the largest volume first"
    )]
    Verify(VerifyArgs),
    /// Phase 5: realized P&L against the baseline
    #[command(
        after_help = "Examples:\n  backfill validate\n  backfill validate --baselines wallets.csv --positions positions.csv"
    )]
    Validate(ValidateArgs),
    /// All six phases in one process, the tracks side by side
    #[command(
        after_help = "Examples:\n  backfill run --dry-run              the plan, touching nothing\n  backfill run                        run it again after an interruption: it goes on\n  backfill run --tracks auto           whoever answers, by what the limits allow\n  backfill run --from merge           the tracks were run in terminals of their own\n  backfill run --to tracks --metrics 127.0.0.1:9464 --log-file"
    )]
    Run(RunArgs),
    /// Keeps the map current: maps the tokens of new fills as they arrive, until Ctrl-C
    ///
    /// Every tick reads the fills that came since the last one, derives what follows from conditions, asks the tracks
    /// for the rest within their limits, and merges. What it has noticed stands in the staging database, so that it can
    /// be ended and started at any time. One line or JSON object a tick.
    #[command(
        after_help = "Examples:\n  backfill watch\n  backfill watch --every 10s --tracks goldsky,gamma --chain\n  backfill watch --metrics 127.0.0.1:9464 --format json"
    )]
    Watch {
        /// How
        #[command(flatten)]
        args: watch::WatchArgs,
        /// Which tracks
        #[command(flatten)]
        tracks: TracksArgs,
        /// Metrics
        #[command(flatten)]
        metrics: MetricsArgs,
    },
    /// The whole pipeline on this machine, without accounts: a real server, generated data, stand-in APIs
    #[cfg(feature = "demo")]
    #[command(
        after_help = "Examples:\n  backfill demo\n  backfill demo --tokens 6000 --fills 20000 --faults 0.2\n  backfill demo --keep                leaves the server up to look at"
    )]
    Demo(DemoArgs),
    /// The offline track: compute tokens from the conditions that ClickHouse already holds, and stage the unmapped
    ///
    /// Reads the condition ids of the fills, the resolutions, the winners and the map. Every row it stages is proven,
    /// since the token id is the hash of what the row says. A label is the fills' own, or the other of Yes and No.
    #[command(
        after_help = "Examples:\n  backfill derive\n  backfill derive --conditions analytics.markets.condition_id --conditions ids.txt"
    )]
    Derive(DeriveArgs),
    /// Whether a token belongs to a condition, and as which outcome; asks nobody
    ///
    /// A token id is a hash of its condition, outcome index and collateral. So a claimed mapping is proven (an index
    /// and a listed collateral give the token) or refuted (none does) by computing it. A token that a collateral
    /// backs which is not listed looks refuted too: add it with --collaterals. The hash says nothing about labels.
    #[command(
        after_help = "Examples:\n  backfill prove TOKEN CONDITION\n  backfill prove --file table.csv > verdicts.csv"
    )]
    Prove(ProveArgs),
    /// One look at ClickHouse and every source, with what to do about each red line; writes nothing
    ///
    /// Version, latency and clock of ClickHouse, the tables, columns and types, the queries of each phase run on these
    /// tables as if they had no rows, the rights, and one cheap request to each source. The exit code is 0 where
    /// everything that is needed can be used, else 1; with --tracks only the sources of these tracks are needed.
    #[command(
        after_help = "Examples:\n  backfill doctor\n  backfill doctor --tracks auto        one source that answers is enough\n  backfill doctor --format json | jq '.checks[] | select(.status == \"bad\")'"
    )]
    Doctor(TracksArgs),
    /// Where every phase and every track stands, and how much is mapped
    ///
    /// From the run journal, the checkpoints and ClickHouse; it disturbs nobody, and works while tracks run.
    #[command(
        after_help = "Examples:\n  backfill status\n  backfill status --watch              until Ctrl-C, beside running tracks\n  backfill status --format json"
    )]
    Status(StatusArgs),
    /// One HTML file of what ran: coverage, tracks, the gap, P&L, every verdict and every number
    ///
    /// From the run journal, the last run of each phase. The file loads nothing and runs no script: it can be opened
    /// from disk, mailed and printed.
    #[command(
        after_help = "Examples:\n  backfill report                     backfill-report.html in CHECKPOINT_DIR\n  backfill report --output report.html\n  backfill demo --report=demo.html    of a run on this machine, without accounts"
    )]
    Report(ReportArgs),
    /// A genuine ClickHouse server on this machine, until Ctrl-C
    #[cfg(feature = "demo")]
    #[command(
        after_help = "Examples:\n  backfill clickhouse                 then, in another terminal, backfill setup --create-tables\n  backfill clickhouse --port 0 --data /var/lib/backfill"
    )]
    Clickhouse(ClickhouseArgs),
    /// What ran: the journal as a table, the newest last
    #[command(after_help = "Examples:\n  backfill runs\n  backfill runs --last 3 --format json")]
    Runs(RunsArgs),
    /// Every setting, its value, and where that comes from; secrets as ***
    #[command(
        after_help = "Examples:\n  backfill config\n  backfill config --format json | jq '.[] | select(.from != \"default\")'"
    )]
    Config,
    /// The JSON Schema of a result
    #[command(
        after_help = "Examples:\n  backfill schema                     their names\n  backfill schema verify > verify.schema.json"
    )]
    Schema(SchemaArgs),
    /// Every setting, as flag and as environment variable
    #[command(hide = true)]
    Settings,
    /// Prints a completion script for a shell
    #[command(
        after_help = "Examples:\n  backfill completions bash > ~/.local/share/bash-completion/completions/backfill\n  backfill completions fish > ~/.config/fish/completions/backfill.fish\n  backfill completions zsh > ~/.zfunc/_backfill"
    )]
    Completions(CompletionsArgs),
    /// Prints the manual page, or writes one for each command
    #[command(
        after_help = "Examples:\n  backfill man | man -l -\n  backfill man --dir ~/.local/share/man/man1"
    )]
    Man(ManArgs),
    /// Holds the engine of the embedded server
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    ClickhouseEngine {
        /// The library
        library: PathBuf,
        /// What it runs
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

impl Command {
    /// The word on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::Track(track) => track.source.name(),
            Self::Clob(_) => "clob",
            Self::Chain(_) => "chain",
            Self::Flows(_) => "flows",
            Self::Merge(_) => "merge",
            Self::Verify(_) => "verify",
            Self::Validate(_) => "validate",
            Self::Run(_) => "run",
            Self::Watch { .. } => "watch",
            #[cfg(feature = "demo")]
            Self::Demo(_) => "demo",
            Self::Derive(_) => "derive",
            Self::Prove(_) => "prove",
            Self::Doctor(_) => "doctor",
            Self::Status(_) => "status",
            Self::Report(_) => "report",
            #[cfg(feature = "demo")]
            Self::Clickhouse(_) => "clickhouse",
            Self::Runs(_) => "runs",
            Self::Config => "config",
            Self::Schema(_) => "schema",
            Self::Settings => "settings",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            #[cfg(feature = "demo")]
            Self::ClickhouseEngine { .. } => "clickhouse-engine",
        }
    }

    /// Where it can be watched, where it has something to watch.
    pub const fn metrics(&self) -> Option<&MetricsArgs> {
        match self {
            Self::Track(track) => Some(&track.args.metrics),
            Self::Clob(args) => Some(&args.metrics),
            Self::Run(args) => Some(&args.metrics),
            Self::Watch { metrics, .. } => Some(metrics),
            #[cfg(feature = "demo")]
            Self::Demo(args) => Some(&args.metrics),
            _ => None,
        }
    }

    /// Whether it serves until it is ended: to such a one signals mean something else.
    pub const fn is_server(&self) -> bool {
        match self {
            #[cfg(feature = "demo")]
            Self::Clickhouse(_) => true,
            _ => false,
        }
    }
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Refresh in place, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
}

/// `report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Where to write it [default: backfill-report.html in CHECKPOINT_DIR]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// A report at the end of a run.
#[derive(Debug, Clone, Default, Args)]
pub struct WithReportArgs {
    /// Write an HTML report at the end, to this file or to one in CHECKPOINT_DIR
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub report: Option<Option<PathBuf>>,
}

/// `runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// How many of the last ones
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub last: usize,
}

/// `schema`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which result
    pub result: Option<String>,
}

/// `completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write backfill.1 and a page for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// Which sources are asked, and for how much each.
#[derive(Debug, Clone, Default, Args)]
pub struct TracksArgs {
    /// The tracks and the percent of the unmapped tokens that each is asked for, or auto [default: auto in run, else dome:50,goldsky:50]
    ///
    /// dome:40,goldsky:40,gamma:20 splits by these shares, dome,goldsky,gamma equally. auto asks each source once, and
    /// splits between those that answer by what their limits allow, so that all end together.
    #[arg(long, value_name = "NAME[:PERCENT],…|auto")]
    pub tracks: Option<Tracks>,
    /// Percent of the unmapped tokens that Dome is asked for; Goldsky is asked for the rest
    #[arg(long, value_name = "PERCENT", conflicts_with = "tracks", hide_short_help = true)]
    pub dome_share: Option<Percent>,
}

impl TracksArgs {
    /// The tracks of a run: whoever answers, where nothing is said.
    pub fn or_auto(&self) -> Tracks {
        if self.is_silent() { Tracks::Auto } else { self.tracks() }
    }

    /// Whether nothing is said.
    pub const fn is_silent(&self) -> bool {
        self.tracks.is_none() && self.dome_share.is_none()
    }

    /// The tracks; the guide's two, half and half, where nothing is said.
    pub fn tracks(&self) -> Tracks {
        match (&self.tracks, self.dome_share) {
            (Some(tracks), _) => tracks.clone(),
            (None, Some(share)) => Tracks::two(share),
            (None, None) => Tracks::default(),
        }
    }
}

/// `setup`
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Which tracks
    #[command(flatten)]
    pub tracks: TracksArgs,
    /// Forget everything that is staged, not found or rejected, and start over
    #[arg(long)]
    pub reset: bool,
    /// Do not ask before --reset: for scripts
    #[arg(long, requires = "reset")]
    pub yes: bool,
    /// Create the fills and the map, empty, where they are missing
    #[arg(long)]
    pub create_tables: bool,
    /// Derive first what the known conditions give, so that the tracks get only what is left
    #[arg(long)]
    pub derive: bool,
}

/// A track
#[derive(Debug, Args)]
pub struct TrackArgs {
    /// Ask again at once for what was not found or had no proof, not only after NOT_FOUND_TTL
    #[arg(long)]
    pub retry_not_found: bool,
    /// Metrics
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

/// `clob`
#[derive(Debug, Args)]
pub struct ClobArgs {
    /// Metrics
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

/// `merge`
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Replace the rows of the map that name another index or condition than the hash proves
    #[arg(long)]
    pub repair: bool,
    /// Prove the rows that the map has already, and say how they stand
    #[arg(long)]
    pub check: bool,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Fill empty labels of the map, and correct wrong ones, from what `clob` has read
    #[arg(long)]
    pub labels: bool,
    /// Fill empty questions and slugs of the map, where it has such columns, from what the sources have told
    #[arg(long)]
    pub metadata: bool,
    /// Add what the chain paid to the table of resolutions, for the conditions that it lacks
    #[arg(long)]
    pub resolutions: bool,
}

/// `derive`
#[derive(Debug, Args)]
pub struct DeriveArgs {
    /// More condition ids: [DATABASE.]TABLE.COLUMN, or a file with one id a line; can be given several times
    ///
    /// What is a file on this machine is read as one; everything else names a column.
    #[arg(long, value_name = "TABLE.COLUMN|FILE")]
    pub conditions: Vec<String>,
}

/// `prove`
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The token id, decimal or 0x and hex digits
    #[arg(required_unless_present = "file", requires = "condition", conflicts_with = "file")]
    pub token: Option<String>,
    /// The condition id, 64 hex digits with or without 0x
    pub condition: Option<String>,
    /// Prove every row of a CSV file, - for standard input
    ///
    /// Its first line names the columns token_id and condition_id, others are ignored. Standard output gets a CSV in
    /// the same order: token_id,condition_id,outcome_index,collateral,verdict, where the verdict is proven, mirror,
    /// structural, refuted or malformed. With --format json only the counts are printed.
    #[arg(long, value_name = "CSV")]
    pub file: Option<PathBuf>,
}

/// `verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Write all unmapped tokens to this CSV file, the largest volume first
    #[arg(long, value_name = "FILE")]
    pub gaps: Option<PathBuf>,
    /// Check these wallets (CSV: wallet,expected_pnl[,label]) instead of BASELINE_WALLET
    #[arg(long, value_name = "FILE")]
    pub baselines: Option<PathBuf>,
}

/// `validate`
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Validate these wallets (CSV: wallet,expected_pnl[,label][,method]) instead of BASELINE_WALLET
    #[arg(long, value_name = "FILE")]
    pub baselines: Option<PathBuf>,
    /// Ask for the expected P&L instead of taking what was written down; the wallets are those of --baselines, whose
    /// expected_pnl is then not needed, or BASELINE_WALLET
    #[arg(long, value_enum)]
    pub expected: Option<ExpectedFrom>,
    /// Where what --expected got is written, as a file for --baselines [default: baselines-dome.csv in CHECKPOINT_DIR]
    #[arg(long, value_name = "FILE", requires = "expected")]
    pub save_baselines: Option<PathBuf>,
    /// Write every position with its intermediate numbers to this file, as CSV or Parquet by its ending
    #[arg(long, value_name = "FILE")]
    pub positions: Option<PathBuf>,
    /// The full page for each wallet, not only the table
    #[arg(long)]
    pub detail: bool,
    /// The definition of realized P&L that is compared; a wallet whose line in --baselines names one keeps that
    /// [default: resolved]
    #[arg(long, value_enum)]
    pub method: Option<Method>,
    /// What shares from other wallets cost, and what shares to others bring in
    #[arg(long, value_enum, default_value_t)]
    pub transfers: TransferRule,
    /// Ask the chain for the wallets' own fills, and compare them with the table fill by fill
    #[arg(long)]
    pub audit: bool,
}

/// Who is asked for the expected P&L.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExpectedFrom {
    /// The Dome API.
    Dome,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Derive first what the known conditions give, so that the tracks get only what is left
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    pub derive: bool,
    /// Which tracks
    #[command(flatten)]
    pub tracks: TracksArgs,
    /// Ask again at once for what was not found or had no proof, not only after NOT_FOUND_TTL
    #[arg(long)]
    pub retry_not_found: bool,
    /// Only print the plan: which phases would be run, and why
    #[arg(long)]
    pub dry_run: bool,
    /// Begin with this phase: setup, tracks (or one of them), merge, verify, validate
    #[arg(long, value_name = "PHASE", default_value = "setup", hide_default_value = true)]
    pub from: Stage,
    /// End with this phase
    #[arg(long, value_name = "PHASE", default_value = "validate", hide_default_value = true)]
    pub to: Stage,
    /// A report
    #[command(flatten)]
    pub with_report: WithReportArgs,
    /// Metrics
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

impl RunArgs {
    /// Where the run begins and ends.
    pub const fn span(&self) -> Span {
        Span { from: self.from, to: self.to }
    }
}

/// `clickhouse`
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct ClickhouseArgs {
    /// Where the data lives
    #[arg(long, default_value = "tmp/clickhouse")]
    pub data: PathBuf,
    /// The HTTP port; 0 for any
    #[arg(long, default_value_t = 8123)]
    pub port: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
