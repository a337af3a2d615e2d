//! Each command: its phase, its report, its exit code. One file a command.

mod chain;
#[cfg(feature = "demo")]
mod clickhouse;
mod clob;
pub mod config;
#[cfg(feature = "demo")]
mod demo;
mod derive;
mod doctor;
mod flows;
mod merge;
mod prove;
mod report_file;
mod run;
mod runs;
mod session;
mod setup;
pub mod shell;
mod status;
mod track;
mod validate;
mod verify;
mod watch;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::journal::{Journal, RunId};
use crate::outcome::Outcome;
use crate::report::recorder::Recorder;
use crate::report::terminal::Terminal;
use session::{Session, signals};
use tokio_util::sync::CancellationToken;

/// Runs the command.
///
/// # Errors
/// [`Failure`], whose cause decides the exit code.
pub async fn run(
    cli: Cli,
    progress: Arc<Terminal>,
    started: Instant,
    run_id: RunId,
) -> Result<Outcome, Failure> {
    let settings = Arc::new(cli.settings.validate()?);
    let stop = CancellationToken::new();
    // The server's signals mean something else: the second kills it.
    if !cli.command.is_server() {
        // Whoever only looks has nothing in flight.
        let looks_on = matches!(cli.command, Command::Status(_));
        tokio::spawn(signals(stop.clone(), progress.clone(), looks_on));
    }
    let journal = Journal::new(&settings.work.checkpoint_dir, run_id.clone());
    let recorder = Arc::new(Recorder::new(progress.clone(), journal));
    let unwritten = Mutex::default();
    let session =
        Session { settings, format: cli.global.format, progress, recorder, stop, started, run_id, unwritten };
    let metrics = cli.command.metrics().cloned();
    let ended = command(&session, cli.command).await;
    if let Some(metrics) = metrics {
        session.end_metrics(&metrics, ended.is_ok()).await;
    }
    ended
}

async fn command(session: &Session, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Setup(args) => setup::run(session, &args).await,
        Command::Track(track) => track::run(session, track.source, &track.args).await,
        Command::Clob(args) => clob::run(session, &args).await,
        Command::Chain(args) => chain::run(session, args).await,
        Command::Flows(args) => flows::run(session, args).await,
        Command::Merge(args) => merge::run(session, &args).await,
        Command::Verify(args) => verify::run(session, args).await,
        Command::Validate(args) => validate::run(session, args).await,
        Command::Watch { args, tracks, metrics } => watch::run(session, &args, &tracks, &metrics).await,
        Command::Run(args) => run::run(session, &args).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(session, &args).await,
        Command::Derive(args) => derive::run(session, &args).await,
        Command::Doctor(tracks) => doctor::run(session, &tracks).await,
        Command::Prove(args) => prove::run(session, args).await,
        Command::Status(args) => status::run(session, &args).await,
        Command::Runs(args) => runs::run(session, &args),
        Command::Report(args) => report_file::run(session, &args),
        #[cfg(feature = "demo")]
        Command::Clickhouse(args) => clickhouse::run(session, &args).await,
        // These were run before any of this was set up.
        Command::Completions(_)
        | Command::Man(_)
        | Command::Config
        | Command::Schema(_)
        | Command::Settings => Ok(Outcome::Done),
        #[cfg(feature = "demo")]
        Command::ClickhouseEngine { .. } => Ok(Outcome::Done),
    }
}
