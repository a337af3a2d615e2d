//! Each command: its phase, its report, its exit code.

mod demo;
mod derive;
mod prove;
mod report_file;
mod run;
pub mod shell;
mod status;
mod validate;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{Cli, ClickhouseArgs, ClobArgs, Command, Format, MetricsArgs, TrackArgs};
use crate::embedded::ServerOptions;
use crate::failure::{Exit, Failure};
use crate::journal::Journal;
use crate::phases::clickhouse::{Served, Serving};
use crate::phases::verify::VerifyResult;
use crate::phases::{self, Context};
use crate::report;
use crate::report::Progress;
use crate::report::recorder::Recorder;
use crate::report::terminal::Terminal;
use crate::settings::Settings;
use crate::source::Source;
use crate::track::catalogue::CatalogueResult;
use crate::track::{Ending, TrackResult};
use tokio_util::sync::CancellationToken;

/// What a command needs of the process it runs in.
pub struct Session {
    /// The settings.
    pub settings: Arc<Settings>,
    /// How results are printed.
    pub format: Format,
    /// Who is told how it goes.
    pub progress: Arc<Terminal>,
    /// The same, and the run journal.
    pub recorder: Arc<Recorder>,
    /// The wish to end.
    pub stop: CancellationToken,
    /// When the process started.
    pub started: Instant,
}

impl Session {
    async fn context(&self) -> Result<Context, Failure> {
        let connecting =
            Context::connect(self.settings.clone(), self.recorder.clone(), self.stop.clone(), self.started);
        tokio::select! {
            context = connecting => Ok(context?),
            () = self.stop.cancelled() => Err(Failure::Interrupted),
        }
    }

    /// A phase that is not a track has nothing to finish when it is interrupted: each of its statements is whole or
    /// not at all, and the next run repeats them.
    async fn phase<T>(&self, phase: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            result = phase => result,
            () = self.stop.cancelled() => Err(Failure::Interrupted),
        }
    }

    /// Prints a result. A closed pipe is no failure of the work.
    pub fn print(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) {
        self.progress.above(|| {
            let _ = match self.format {
                Format::Text => write!(std::io::stdout(), "{}", text()),
                Format::Json => writeln!(std::io::stdout(), "{}", json()),
            };
        });
    }

    /// Serves metrics where that is asked for; an address that cannot be had is found out before anything is touched.
    fn serve_metrics(&self, args: &MetricsArgs) -> Result<(), Failure> {
        let Some(address) = &args.metrics else { return Ok(()) };
        let serve = |listener: std::net::TcpListener| {
            let address = listener.local_addr()?;
            report::metrics::serve(listener, self.progress.live().clone())?;
            Ok(address)
        };
        let address = std::net::TcpListener::bind(address).and_then(serve).map_err(|error| {
            Failure::Usage(format!(
                "cannot serve metrics at {address}: {error}; choose another --metrics ADDR"
            ))
        })?;
        self.progress.notice(&format!("Metrics: http://{address}/metrics"));
        Ok(())
    }

    /// Seconds since the process started, to the millisecond.
    fn elapsed(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure`], whose cause decides the exit code.
pub async fn run(cli: Cli, progress: Arc<Terminal>, started: Instant) -> Result<Exit, Failure> {
    let settings = Arc::new(cli.settings.validate()?);
    let stop = CancellationToken::new();
    // The server's signals mean something else: the second kills it.
    if !matches!(cli.command, Command::Clickhouse(_)) {
        // Whoever only looks has nothing in flight.
        let looks_on = matches!(cli.command, Command::Status(_));
        tokio::spawn(signals(stop.clone(), progress.clone(), looks_on));
    }
    let journal = Journal::new(&settings.work.checkpoint_dir);
    let recorder = Arc::new(Recorder::new(progress.clone(), journal));
    let session = Session { settings, format: cli.global.format, progress, recorder, stop, started };
    match cli.command {
        Command::Setup(args) => {
            let work = async {
                let context = session.context().await?;
                let options = phases::setup::SetupOptions {
                    shares: session.phase(args.tracks.tracks().resolve(&context)).await?,
                    reset: args.reset,
                    create_tables: args.create_tables,
                    derive: args.derive,
                };
                session.phase(phases::setup::run(&context, &options)).await
            };
            let told = |result: &_| (Exit::Done, report::setup::json(result));
            let result = session.recorder.phase("setup", work, told).await?;
            session.print(|| report::setup::text(&result), || report::setup::json(&result));
            Ok(Exit::Done)
        }
        Command::Track(track) => self::track(&session, track.source, &track.args).await,
        Command::Clob(args) => clob(&session, &args).await,
        Command::Merge(args) => {
            let options = phases::merge::MergeOptions {
                dry_run: args.dry_run,
                repair: args.repair,
                labels: args.labels,
            };
            let work = async {
                let context = session.context().await?;
                session.phase(phases::merge::run(&context, &options)).await
            };
            let told = |result: &_| (Exit::Done, report::merge::json(result));
            let result = session.recorder.phase("merge", work, told).await?;
            session.print(|| report::merge::text(&result), || report::merge::json(&result));
            Ok(Exit::Done)
        }
        Command::Verify(args) => {
            let options = phases::verify::VerifyOptions {
                wallets: validate::listed(&session.settings, args.baselines.as_deref())?
                    .into_iter()
                    .map(|listed| listed.wallet)
                    .collect(),
                gaps_file: args.gaps,
            };
            let work = async {
                let context = session.context().await?;
                session.phase(phases::verify::run(&context, &options)).await
            };
            let exit = |passes| if passes { Exit::Done } else { Exit::BelowThreshold };
            let told = |result: &VerifyResult| (exit(result.passes()), report::verify::json(result));
            let result = session.recorder.phase("verify", work, told).await?;
            session.print(|| report::verify::text(&result), || report::verify::json(&result));
            Ok(exit(result.passes()))
        }
        Command::Validate(args) => validate::run(&session, args).await,
        Command::Run(args) => run::run(&session, &args).await,
        Command::Demo(args) => demo::run(&session, &args).await,
        Command::Derive(args) => derive::run(&session, &args).await,
        Command::Doctor => doctor(&session).await,
        Command::Prove(args) => prove::run(&session, args).await,
        Command::Status(args) => status::run(&session, &args).await,
        Command::Report(args) => report_file::run(&session, &args),
        Command::Clickhouse(args) => clickhouse(&session, &args).await,
        // These were run before any of this was set up.
        Command::Completions(_) | Command::Man(_) | Command::ClickhouseEngine { .. } => Ok(Exit::Done),
    }
}

async fn track(session: &Session, source: Source, args: &TrackArgs) -> Result<Exit, Failure> {
    // What is missing is said before anything is touched.
    phases::track::check(&session.settings, source)?;
    session.serve_metrics(&args.metrics)?;
    let options = phases::track::TrackOptions::default();
    let work = async {
        let context = session.context().await?;
        let mut results = phases::track::run(&context, &[source], &options).await?;
        let none = || Failure::Unusable("the track came to no result".to_owned());
        Ok(results.pop().ok_or_else(none)??)
    };
    let told = |result: &TrackResult| (ending(result), serde_json::json!(result));
    let result = session.recorder.phase(source.name(), work, told).await?;
    session.print(|| report::track::text(&result), || serde_json::json!(result));
    Ok(ending(&result))
}

async fn clob(session: &Session, args: &ClobArgs) -> Result<Exit, Failure> {
    session.serve_metrics(&args.metrics)?;
    let work = async {
        let context = session.context().await?;
        phases::clob::run(&context).await
    };
    let told = |result: &CatalogueResult| (ending(&result.track), report::clob::json(result));
    let result = session.recorder.phase(Source::Clob.name(), work, told).await?;
    session.print(|| report::clob::text(&result), || report::clob::json(&result));
    Ok(ending(&result.track))
}

async fn doctor(session: &Session) -> Result<Exit, Failure> {
    let work = async { Ok(phases::doctor::run(&session.settings, session.started).await) };
    let result = session.phase(work).await?;
    session.print(|| report::doctor::text(&result), || report::doctor::json(&result));
    Ok(if result.is_healthy() { Exit::Done } else { Exit::Unusable })
}

/// The exit code of a track's end.
pub fn ending(result: &TrackResult) -> Exit {
    match result.ending {
        Ending::Complete => Exit::Done,
        Ending::WorkLeft => Exit::WorkLeft,
        Ending::Interrupted => Exit::Interrupted,
    }
}

/// This program, which is started again to hold the embedded server's engine.
///
/// # Errors
/// Where the system does not say which file it is.
pub fn launcher() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::Unusable(format!("cannot find this program's own file: {error}")))
}

async fn clickhouse(session: &Session, args: &ClickhouseArgs) -> Result<Exit, Failure> {
    let options = ServerOptions {
        data: args.data.clone(),
        http_port: args.port,
        tcp_port: None,
        config: None,
        engine: session.settings.engine.clone(),
        launcher: launcher()?,
    };
    let notice = |text: &str| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let ready = |serving: &Serving| {
        session.print(
            || {
                format!(
                    "ClickHouse listens at {url}, its data is in {data}.\n\
                     Use it in another terminal:  export CLICKHOUSE_URL={url}\nCtrl-C ends it.\n",
                    url = serving.url,
                    data = serving.data.display()
                )
            },
            || serde_json::json!(serving),
        );
    };
    Ok(match phases::clickhouse::serve(options, &notice, ready).await? {
        Served::Stopped => Exit::Done,
        Served::Killed | Served::NeverBegan => Exit::Interrupted,
    })
}

/// The first signal asks everybody to finish what is in hand; the second leaves at once, which loses nothing either.
async fn signals(stop: CancellationToken, progress: Arc<Terminal>, silent: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for count in 1.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if count > 1 {
            progress.close();
            std::process::exit(Exit::Interrupted as i32);
        }
        stop.cancel();
        if !silent {
            progress
                .notice("Stopping: what is in flight is being finished and saved; again to leave at once");
        }
        // `timeout` and the like signal a process and then its group: twice at once is once.
        let _ = tokio::time::timeout(Duration::from_millis(100), async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
        })
        .await;
    }
}
