//! The whole pipeline on this machine, without accounts: a genuine server, a generated universe, stand-ins of the
//! APIs, and then the same six phases as anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::demo::load::{LoadError, LoadOptions, load};
use crate::demo::stand_in::{FaultPlan, Window};
use crate::demo::universe::UniverseError;
use crate::demo::{StandIn, StandInOptions, Universe, UniverseOptions};
use crate::embedded::{Server, ServerOptions};
use crate::failure::Failure;
use crate::phases::Context;
use crate::phases::run::{RunOptions, RunResult, run};
use crate::phases::steps::Plan;
use crate::report::recorder::Recorder;
use crate::report::terminal::Terminal;
use crate::results::PhaseResult;
use crate::settings::Settings;
use crate::source::Source;
use crate::upstream::SourceSettings;
use crate::values::{RateLimit, Secret};
use tokio_util::sync::CancellationToken;

/// What is demonstrated.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The universe.
    pub universe: UniverseOptions,
    /// Share of all answers that are bad.
    pub faults: f64,
    /// The tracks that may be run.
    pub sources: Vec<Source>,
    /// Dome's limit.
    pub dome_limit: RateLimit,
    /// How long an answer of an API takes.
    pub latency: std::time::Duration,
    /// This program's file.
    pub launcher: PathBuf,
}

/// What is up while the demo runs.
pub struct Demo {
    /// The server, its data in a folder of the demo's own.
    pub server: Server,
    /// The folder.
    pub folder: PathBuf,
    /// The stand-ins of the tracks' APIs.
    pub stand_ins: Vec<StandIn>,
    /// What the phases work with.
    pub context: Context,
}

impl From<UniverseError> for Failure {
    fn from(error: UniverseError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// Where this process's demo keeps what it writes.
pub fn folder() -> PathBuf {
    PathBuf::from(format!("tmp/demo-{}", std::process::id()))
}

impl Demo {
    /// Starts the server and the stand-ins and fills the tables.
    ///
    /// # Errors
    /// Where the engine cannot be had or started, or the numbers make no universe.
    pub async fn start(
        settings: &Settings,
        options: &DemoOptions,
        terminal: &Arc<Terminal>,
        recorder: Arc<Recorder>,
        stop: CancellationToken,
        started: Instant,
    ) -> Result<Self, Failure> {
        clear_leftovers(Path::new("tmp"));
        let folder = folder();
        let notice = |text: &str| terminal.notice(text);
        let options_of = options.universe.clone();
        let generating = tokio::task::spawn_blocking(move || Universe::generate(options_of));
        let server = ServerOptions {
            data: folder.join("clickhouse"),
            http_port: 0,
            tcp_port: None,
            config: None,
            engine: settings.engine.clone(),
            launcher: options.launcher.clone(),
        };
        let server = Server::start(server, &notice).await?;
        let universe = generating.await.map_err(|error| Failure::Unusable(error.to_string()))??;
        let universe = Arc::new(universe);
        terminal.step("Filling the tables");
        let mut demo_settings = settings.clone();
        let names = &mut demo_settings.store.names;
        for table in [&mut names.fills, &mut names.token_map, &mut names.resolutions, &mut names.winners] {
            table.database = "demo".to_owned();
        }
        names.database = "default".to_owned();
        names.staging = "demo_staging".to_owned();
        demo_settings.combos = vec!["demo.combo_legs.legs".to_owned()];
        // Each was made here from parts that are valid.
        demo_settings.store.url = server.url().parse()?;
        demo_settings.store.user = "default".to_owned();
        demo_settings.store.password = Secret::from("");
        let client = clickhouse::Client::default().with_url(server.url());
        let client = client.with_compression(clickhouse::Compression::None);
        load(&client, "demo", &universe, LoadOptions::default()).await?;
        let windows = |limit: &RateLimit| -> Vec<Window> {
            limit.0.iter().map(|it| Window { requests: it.requests, per: it.window }).collect()
        };
        // Each lies about other markets, so that what one claims wrongly the other may know.
        let faults = |seed| match options.faults {
            rate if rate > 0.0 => {
                FaultPlan { lie_rate: rate / 10.0, ..FaultPlan::faults_and_lies(seed, rate) }
            }
            _ => FaultPlan::none(),
        };
        let bind = |error: std::io::Error| Failure::Unusable(format!("a stand-in cannot listen: {error}"));
        let mut stand_ins = Vec::new();
        for (seed, source) in (options.universe.seed..).zip(&options.sources) {
            let (Some(stand_in), Some(api)) = (StandInOptions::of(*source), &source.info().api) else {
                continue;
            };
            let limit = match source {
                Source::Dome => options.dome_limit.clone(),
                _ => api.rate_limit.default.parse()?,
            };
            let stand_in = StandInOptions {
                windows: windows(&limit),
                latency: options.latency,
                faults: faults(seed),
                ..stand_in
            };
            let key = stand_in.api_key.as_deref().map(Secret::from);
            let stand_in = StandIn::start(universe.clone(), stand_in).await.map_err(bind)?;
            let url = stand_in.url().parse()?;
            let reached = SourceSettings { url, api_key: key, rate_limit: limit, mode: String::new() };
            demo_settings.sources.set(*source, reached);
            stand_ins.push(stand_in);
        }
        demo_settings.work.checkpoint_dir = folder.clone();
        if options.faults > 0.0 {
            // A stand-in that hangs on purpose hangs for minutes; nobody wants to watch that.
            demo_settings.work.request_timeout = std::time::Duration::from_secs(2);
        }
        let context = Context::connect(Arc::new(demo_settings), recorder, stop, started).await?;
        Ok(Self { server, folder, stand_ins, context })
    }

    /// Goes through the phases of `plan`.
    pub async fn run(
        &self,
        options: &RunOptions,
        plan: &Plan,
        told: &mut (dyn FnMut(&PhaseResult) + Send),
    ) -> RunResult {
        run(&self.context, options, plan, told).await
    }

    /// What makes every command of another terminal work with this demo, as lines for a shell.
    pub fn exports(&self) -> String {
        let settings = &self.context.settings;
        let names = &settings.store.names;
        let mut pairs = vec![
            ("CLICKHOUSE_URL".to_owned(), self.server.url()),
            ("FILLS_TABLE".to_owned(), names.fills.plain()),
            ("TOKEN_MAP_TABLE".to_owned(), names.token_map.plain()),
            ("RESOLUTIONS_TABLE".to_owned(), names.resolutions.plain()),
            ("WINNERS_TABLE".to_owned(), names.winners.plain()),
            ("STAGING_DATABASE".to_owned(), names.staging.clone()),
            ("CHECKPOINT_DIR".to_owned(), self.folder.display().to_string()),
        ];
        for source in Source::ALL {
            let Some(of) = settings.source(source).filter(|_| source != Source::Derived) else { continue };
            let name = source.name().to_uppercase();
            let url = if source == Source::Dome { "API_URL" } else { "URL" };
            pairs.push((format!("{name}_{url}"), of.url.to_string()));
            pairs.push((format!("{name}_RATE_LIMIT"), of.rate_limit.to_string()));
            if let Some(key) = &of.api_key {
                // The stand-in's own, which is no secret.
                pairs.push((format!("{name}_API_KEY"), key.expose().to_owned()));
            }
        }
        pairs.into_iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect()
    }

    /// Ends the server and the stand-ins and removes what the demo has written.
    pub async fn stop(self) {
        for stand_in in self.stand_ins {
            stand_in.stop().await;
        }
        self.server.stop().await;
        // What cannot be removed now is removed by the next demo.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders of demos whose process is gone.
fn clear_leftovers(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("demo-").and_then(|pid| pid.parse().ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { continue };
        if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
