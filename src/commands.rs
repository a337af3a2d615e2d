//! Each command: its phase, its report, its exit code.

mod derive;
mod prove;

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::{Cli, ClickhouseArgs, Command, DemoArgs, Format};
use crate::demo::{StandIn, UniverseOptions};
use crate::failure::{Exit, Failure};
use crate::phases::clickhouse::{Served, Serving};
use crate::phases::demo::{Demo, DemoOptions};
use crate::phases::run::{PhaseResult, RunOptions};
use crate::phases::validate::Baseline;
use crate::phases::{self, Context};
use crate::report;
use crate::report::terminal::Terminal;
use crate::settings::{Percent, Settings};
use crate::stop::Stop;
use crate::store::embedded::ServerOptions;
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

    /// The settings with a key, which the demo's stand-in takes.
    fn settings_for_demo(&self) -> Settings {
        let mut settings = (*self.settings).clone();
        settings.dome.api_key = Some(crate::settings::Secret::from("demo"));
        settings
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
    // The server's signals mean something else: the second kills it.
    if !matches!(cli.command, Command::Clickhouse(_)) {
        tokio::spawn(signals(stop.clone()));
    }
    let session =
        Session { settings, format: cli.global.format, progress: Arc::new(progress), stop, started };
    match cli.command {
        Command::Setup(args) => {
            let options = phases::setup::SetupOptions {
                sources: vec![Source::Dome, Source::Goldsky],
                dome_share: args.dome_share,
                reset: args.reset,
                create_tables: args.create_tables,
                derive: args.derive,
            };
            let context = session.context().await?;
            let result = session.phase(phases::setup::run(&context, &options)).await?;
            session.print(|| report::setup::text(&result), || report::setup::json(&result));
            Ok(Exit::Done)
        }
        Command::Dome(args) => track(&session, Source::Dome, args.accept_unproven).await,
        Command::Goldsky(args) => track(&session, Source::Goldsky, args.accept_unproven).await,
        Command::Merge(args) => {
            let options = phases::merge::MergeOptions { dry_run: args.dry_run, repair: args.repair };
            let context = session.context().await?;
            let result = session.phase(phases::merge::run(&context, &options)).await?;
            session.print(|| report::merge::text(&result), || report::merge::json(&result));
            Ok(Exit::Done)
        }
        Command::Verify(args) => {
            let options = phases::verify::VerifyOptions {
                wallets: baselines(&session.settings, args.baselines.as_deref())?
                    .into_iter()
                    .map(|baseline| baseline.wallet)
                    .collect(),
                gaps_file: args.gaps,
            };
            let context = session.context().await?;
            let result = session.phase(phases::verify::run(&context, &options)).await?;
            session.print(|| report::verify::text(&result), || report::verify::json(&result));
            Ok(if result.passes() { Exit::Done } else { Exit::BelowThreshold })
        }
        Command::Validate(args) => {
            let options = phases::validate::ValidateOptions {
                baselines: baselines(&session.settings, args.baselines.as_deref())?,
                positions_file: args.positions,
                detail: args.detail,
            };
            let context = session.context().await?;
            let result = session.phase(phases::validate::run(&context, &options)).await?;
            session.print(|| report::validate::text(&result), || report::validate::json(&result));
            Ok(if result.passes() { Exit::Done } else { Exit::BelowThreshold })
        }
        Command::Run(args) => {
            let options = run_options(&session.settings, args.dome_share, args.accept_unproven, args.derive)?;
            let context = session.context().await?;
            let mut told = Told::default();
            let exit =
                phases::run::run(&context, &options, &mut |result| told.tell(&session, result)).await?;
            told.end(&session, exit, "");
            Ok(exit)
        }
        Command::Demo(args) => demo(&session, &args).await,
        Command::Derive(args) => derive::run(&session, &args).await,
        Command::Prove(args) => prove::run(&session, args).await,
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

/// The wallets of a file, or the one of the settings.
fn baselines(settings: &Settings, file: Option<&std::path::Path>) -> Result<Vec<Baseline>, Failure> {
    match file {
        Some(file) => phases::validate::read_baselines(file),
        None => {
            let (wallet, expected) = (settings.baseline_wallet, settings.expected_pnl.clone());
            Ok(vec![Baseline { wallet, expected, label: None }])
        }
    }
}

fn run_options(
    settings: &Settings,
    dome_share: Percent,
    accept_unproven: bool,
    derive: bool,
) -> Result<RunOptions, Failure> {
    let baselines = baselines(settings, None)?;
    let sources = vec![Source::Dome, Source::Goldsky];
    if sources.iter().all(|source| phases::track::check(settings, *source).is_err()) {
        return Err(Failure::Usage("no track can be used with these settings".to_owned()));
    }
    Ok(RunOptions {
        setup: phases::setup::SetupOptions {
            sources,
            dome_share,
            reset: false,
            create_tables: false,
            derive,
        },
        track: phases::track::TrackOptions { accept_unproven },
        verify: phases::verify::VerifyOptions {
            wallets: baselines.iter().map(|baseline| baseline.wallet).collect(),
            gaps_file: None,
        },
        validate: phases::validate::ValidateOptions { baselines, positions_file: None, detail: false },
    })
}

/// What several phases have told: each page as it comes, or all objects in one at the end.
#[derive(Default)]
struct Told {
    phases: Vec<Value>,
}

impl Told {
    fn tell(&mut self, session: &Session, result: PhaseResult) {
        self.phases.push(report::run::json(&result));
        if session.format == Format::Text {
            session.print(|| format!("{}\n", report::run::text(&result)), || Value::Null);
        }
    }

    fn end(self, session: &Session, exit: Exit, last: &str) {
        let elapsed = (session.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        session.print(
            || last.to_owned(),
            || json!({"passed": exit == Exit::Done, "phases": self.phases, "elapsed_seconds": elapsed}),
        );
    }
}

async fn demo(session: &Session, args: &DemoArgs) -> Result<Exit, Failure> {
    let traded_tokens = args.tokens as usize;
    let universe = UniverseOptions {
        seed: args.seed,
        traded_tokens,
        // The guide's share of what was mapped before.
        mapped_tokens: traded_tokens * 19_964 / 118_870,
        fills: args.fills,
        ..UniverseOptions::default()
    };
    let options = DemoOptions {
        universe,
        faults: args.faults,
        dome_limit: args.dome_tier.rate_limit().parse()?,
        latency: std::time::Duration::from_millis(50),
        launcher: launcher()?,
    };
    let run_options = run_options(&session.settings_for_demo(), Percent::whole(50), false, false)?;
    let starting = Demo::start(
        &session.settings,
        &options,
        session.progress.clone(),
        session.stop.clone(),
        session.started,
    );
    let demo = tokio::select! {
        demo = starting => demo?,
        () = session.stop.asked() => return Err(Failure::Interrupted),
    };
    let mut told = Told::default();
    let ended = demo.run(&run_options, &mut |result| told.tell(session, result)).await;
    let exit = match ended {
        Ok(exit) => exit,
        Err(failure) => {
            demo.stop().await;
            return Err(failure);
        }
    };
    if args.faults > 0.0 {
        let [faults, lies] = demo
            .stand_ins
            .iter()
            .map(StandIn::counters)
            .fold([0, 0], |[faults, lies], it| [faults + it.faults, lies + it.lies]);
        crate::report::Progress::notice(
            &*session.progress,
            &format!("The stand-ins spoiled {faults} answers and told {lies} lies"),
        );
    }
    let url = demo.server.url();
    let place = if args.keep {
        format!(
            "The server is still up: {url}, databases demo and demo_staging, checkpoints in {}.\nCtrl-C ends it.\n",
            demo.folder.display()
        )
    } else {
        "Everything ran on this machine and is cleared away; --keep leaves it up to look at.\n".to_owned()
    };
    told.end(
        session,
        exit,
        &format!(
            "{place}For real: set CLICKHOUSE_URL and DOME_API_KEY, then run `backfill setup`, `backfill dome` and \
             `backfill goldsky` side by side, `backfill merge`, `backfill verify`, `backfill validate`.\n"
        ),
    );
    if args.keep {
        session.stop.asked().await;
    }
    demo.stop().await;
    Ok(exit)
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
