//! Each command: its phase, its report, its exit code.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use crate::cli::{Cli, ClickhouseArgs, Command, Format, ProveArgs};
use crate::ctf;
use crate::failure::{Exit, Failure};
use crate::ids::{MalformedId, TokenId};
use crate::phases::{self, Context};
use crate::report;
use crate::report::terminal::Terminal;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::store::embedded::{Server, ServerOptions};
use crate::track::{Ending, TrackResult};
use crate::upstream::Source;

/// What a command needs of the process it runs in.
pub struct Session {
    /// The settings.
    pub settings: Arc<Settings>,
    /// How results are printed.
    pub format: Format,
    /// Who is told how it goes.
    pub progress: Arc<Terminal>,
    /// The wish to end.
    pub stop: Stop,
    /// When the process started.
    pub started: Instant,
}

impl Session {
    async fn context(&self) -> Result<Context, Failure> {
        let connecting =
            Context::connect(self.settings.clone(), self.progress.clone(), self.stop.clone(), self.started);
        tokio::select! {
            context = connecting => Ok(context?),
            () = self.stop.asked() => Err(Failure::Interrupted),
        }
    }

    /// A phase that is not a track has nothing to finish when it is interrupted: each of its statements is whole or
    /// not at all, and the next run repeats them.
    async fn phase<T>(&self, phase: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            result = phase => result,
            () = self.stop.asked() => Err(Failure::Interrupted),
        }
    }

    /// Prints a result. A closed pipe is no failure of the work.
    pub fn print(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) {
        let _ = match self.format {
            Format::Text => write!(std::io::stdout(), "{}", text()),
            Format::Json => writeln!(std::io::stdout(), "{}", json()),
        };
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure`], whose cause decides the exit code.
pub async fn run(cli: Cli, started: Instant) -> Result<Exit, Failure> {
    let settings = Arc::new(cli.settings.validate()?);
    let progress = Terminal::new(cli.global.progress, cli.global.quiet, cli.global.format == Format::Json);
    let stop = Stop::default();
    tokio::spawn(signals(stop.clone()));
    let session =
        Session { settings, format: cli.global.format, progress: Arc::new(progress), stop, started };
    match cli.command {
        Command::Setup(args) => {
            let options = phases::setup::SetupOptions {
                dome_share: args.dome_share,
                reset: args.reset,
                create_tables: args.create_tables,
            };
            let context = session.context().await?;
            let result = session.phase(phases::setup::run(&context, &options)).await?;
            session.print(|| report::setup::text(&result), || report::setup::json(&result));
            Ok(Exit::Done)
        }
        Command::Dome(args) => track(&session, Source::Dome, args.accept_unproven).await,
        Command::Goldsky(args) => track(&session, Source::Goldsky, args.accept_unproven).await,
        Command::Merge(args) => {
            let options = phases::merge::MergeOptions { dry_run: args.dry_run };
            let context = session.context().await?;
            let result = session.phase(phases::merge::run(&context, &options)).await?;
            session.print(|| report::merge::text(&result), || report::merge::json(&result));
            Ok(Exit::Done)
        }
        Command::Prove(args) => prove(&session, args).await,
        Command::Clickhouse(args) => clickhouse(&session, &args).await,
        // The engine was started before any of this was set up.
        Command::ClickhouseEngine { .. } => Ok(Exit::Done),
    }
}

async fn track(session: &Session, source: Source, accept_unproven: bool) -> Result<Exit, Failure> {
    // What is missing is said before anything is touched.
    phases::track::check(&session.settings, source)?;
    let context = session.context().await?;
    let options = phases::track::TrackOptions { accept_unproven };
    let results = phases::track::run(&context, &[source], &options).await?;
    let mut exit = Exit::Done;
    for result in results {
        let result = result?;
        session.print(|| report::track::text(&result), || serde_json::json!(result));
        exit = ending(&result);
    }
    Ok(exit)
}

async fn prove(session: &Session, args: ProveArgs) -> Result<Exit, Failure> {
    if let (Some(token), Some(condition)) = (&args.token, &args.condition) {
        let malformed = |error: MalformedId| Failure::Usage(error.to_string());
        let token = TokenId::from_any_spelling(token.trim()).map_err(malformed)?;
        let condition = condition.trim().parse().map_err(malformed)?;
        let proof = ctf::prove(&token, &condition, &session.settings.collaterals);
        session.print(
            || report::prove::text(&token, &condition, proof),
            || report::prove::json(&token, &condition, proof),
        );
        return Ok(Exit::Done);
    }
    let Some(file) = args.file else {
        return Err(Failure::Usage("prove needs a token and a condition, or --file".to_owned()));
    };
    let (settings, format) = (session.settings.clone(), session.format);
    // Reading a pipe that nobody fills blocks its thread, and Ctrl-C must end the command all the same.
    let work = tokio::task::spawn_blocking(move || prove_file(&file, format, &settings.collaterals));
    let verdicts = tokio::select! {
        verdicts = work => {
            verdicts.map_err(|error| Failure::Unusable(format!("the proof did not end: {error}")))??
        }
        () = session.stop.asked() => return Err(Failure::Interrupted),
    };
    if session.format == Format::Json {
        let elapsed = (session.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        session.print(String::new, || report::prove::counts(&verdicts, elapsed));
    }
    Ok(Exit::Done)
}

fn prove_file(
    file: &Path,
    format: Format,
    collaterals: &[ctf::Collateral],
) -> Result<phases::prove::Verdicts, Failure> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(file)
            .map_err(|error| Failure::File(format!("cannot open {name}: {error}")))?;
        Box::new(std::io::BufReader::new(file))
    };
    let output: Box<dyn Write> = match format {
        Format::Text => Box::new(std::io::stdout().lock()),
        Format::Json => Box::new(std::io::sink()),
    };
    phases::prove::run(&name, input, output, collaterals)
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
    let mut server = tokio::select! {
        server = Server::start(options, &notice) => server?,
        () = session.stop.asked() => return Ok(Exit::Interrupted),
    };
    let (url, data) = (server.url(), args.data.display().to_string());
    session.print(
        || {
            format!(
                "ClickHouse listens at {url}, its data is in {data}.\n\
                 Use it in another terminal:  export CLICKHOUSE_URL={url}\nCtrl-C ends it.\n"
            )
        },
        || serde_json::json!({"url": url, "data": data, "pid": std::process::id()}),
    );
    tokio::select! {
        words = server.ended() => {
            Err(Failure::Unusable(format!("the ClickHouse engine has ended by itself: {words}")))
        }
        () = session.stop.asked() => {
            server.stop().await;
            Ok(Exit::Done)
        }
    }
}

/// The first signal asks everybody to finish what is in hand; the second leaves at once, which loses nothing either.
async fn signals(stop: Stop) {
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
            std::process::exit(Exit::Interrupted as i32);
        }
        stop.set();
    }
}
