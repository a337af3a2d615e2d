//! What the tests share: one genuine engine a test binary, a fresh pair of databases a test, and progress that is kept
//! for the test to look at.

#![allow(dead_code, reason = "each test binary uses another part of it")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use backfill::cli::Cli;
use backfill::demo::{StandIn, StandInOptions, Universe, UniverseOptions, load};
use backfill::embedded::{Server, ServerOptions};
use backfill::phases::Context;
use backfill::report::Progress;
use backfill::settings::Settings;
use backfill::source::Source;
use backfill::store::Store;
use backfill::track::events::{TrackEvent, TrackListener};
use clap::Parser;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// The program under test.
pub const BACKFILL: &str = env!("CARGO_BIN_EXE_backfill");

static ENGINE: OnceCell<String> = OnceCell::const_new();

/// The URL of this binary's engine, started by the first test that asks.
pub async fn engine() -> &'static str {
    let start = || async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        clear_leftovers(&root);
        let options = ServerOptions {
            data: root.join(format!("clickhouse-{}", std::process::id())),
            http_port: 0,
            tcp_port: None,
            config: None,
            engine: None,
            launcher: BACKFILL.into(),
        };
        let server = Server::start(options, &|text| eprintln!("{text}")).await.expect("the engine starts");
        let url = server.url();
        // It ends with this process, whose end closes its standard input.
        std::mem::forget(server);
        url
    };
    ENGINE.get_or_init(start).await
}

/// Data of test processes that are gone.
fn clear_leftovers(root: &std::path::Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix("clickhouse-") else { continue };
        if !std::path::Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Progress, kept.
#[derive(Default)]
pub struct Kept {
    /// The notices, in order.
    pub notices: Mutex<Vec<String>>,
}

impl Progress for Kept {
    fn notice(&self, text: &str) {
        self.notices.lock().unwrap().push(text.to_owned());
    }
    fn step(&self, _: &str) {}
}

impl TrackListener for Kept {
    fn on_track_event(&self, event: &TrackEvent<'_>) {
        if let Some(text) = backfill::report::events::notice(event) {
            self.notice(&text);
        }
    }
}

/// A ClickHouse with databases of this test's own, and a folder for checkpoints.
pub struct World {
    /// The engine's URL.
    pub url: String,
    /// The users' database.
    pub database: String,
    /// The staging database.
    pub staging: String,
    /// Where checkpoints stand.
    pub folder: tempfile::TempDir,
    /// What was told.
    pub kept: Arc<Kept>,
}

impl World {
    /// Fresh databases, the users' one without tables.
    pub async fn new() -> Self {
        let url = engine().await.to_owned();
        let (database, staging) = (unique("d"), unique("s"));
        let client = clickhouse::Client::default().with_url(&url);
        client.query(&format!("CREATE DATABASE {database}")).execute().await.unwrap();
        Self { url, database, staging, folder: tempfile::tempdir().unwrap(), kept: Arc::default() }
    }

    /// Fresh databases with the four tables, and a universe in them.
    pub async fn with(universe: &Universe) -> Self {
        let world = Self::new().await;
        let client = clickhouse::Client::default().with_url(&world.url);
        load::load(&client, &world.database, universe, load::LoadOptions::default()).await.unwrap();
        world
    }

    /// The command line that leads into this world, for `backfill` itself.
    pub fn arguments(&self) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        [
            ("--clickhouse-url", self.url.as_str()),
            ("--clickhouse-database", &self.database),
            ("--staging-database", &self.staging),
            ("--checkpoint-dir", &folder),
        ]
        .iter()
        .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
        .collect()
    }

    /// The settings of this world, with more.
    pub fn settings(&self, more: &[&str]) -> Settings {
        let mut arguments = vec!["backfill".to_owned()];
        arguments.extend(self.arguments());
        arguments.extend(more.iter().map(|it| (*it).to_owned()));
        arguments.push("setup".to_owned());
        Cli::try_parse_from(arguments).unwrap().settings.validate().unwrap()
    }

    /// What a phase works with.
    pub async fn context(&self, more: &[&str]) -> Context {
        let settings = Arc::new(self.settings(more));
        Context::connect(settings, self.kept.clone(), CancellationToken::new(), Instant::now()).await.unwrap()
    }

    /// The store alone.
    pub async fn store(&self) -> Store {
        self.context(&[]).await.store
    }

    /// Runs a statement in which `{d}` is the users' database and `{s}` the staging database.
    pub async fn run(&self, sql: &str) {
        let sql = self.named(sql);
        let client = clickhouse::Client::default().with_url(&self.url);
        client.query_raw(&sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The one value of a query.
    pub async fn one<T>(&self, sql: &str) -> T
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let sql = self.named(sql);
        let client = clickhouse::Client::default().with_url(&self.url);
        client.query_raw(&sql).fetch_one().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn named(&self, sql: &str) -> String {
        sql.replace("{d}", &self.database).replace("{s}", &self.staging)
    }
}

/// A small universe: everything the large one has, in a second.
pub fn small_universe(seed: u64) -> Arc<Universe> {
    let options = UniverseOptions {
        seed,
        traded_tokens: 6_000,
        mapped_tokens: 1_000,
        fills: 20_000,
        ..UniverseOptions::default()
    };
    Arc::new(Universe::generate(options).unwrap())
}

/// Stand-ins of both APIs without limits that a test would have to wait for.
pub async fn stand_ins(universe: &Arc<Universe>, change: impl Fn(&mut StandInOptions)) -> (StandIn, StandIn) {
    let mut options = [StandInOptions::dome(), StandInOptions::goldsky()];
    for options in &mut options {
        options.windows = Vec::new();
        change(options);
    }
    let [dome, goldsky] = options;
    (
        StandIn::start(universe.clone(), dome).await.unwrap(),
        StandIn::start(universe.clone(), goldsky).await.unwrap(),
    )
}

/// The settings that lead to these stand-ins.
pub fn sources(dome: &StandIn, goldsky: &StandIn) -> Vec<String> {
    [
        ("--dome-api-url", dome.url()),
        ("--dome-api-key", "demo".to_owned()),
        ("--dome-rate-limit", "100000/1s".to_owned()),
        ("--goldsky-url", goldsky.url()),
        ("--goldsky-rate-limit", "100000/1s".to_owned()),
        ("--request-timeout", "2s".to_owned()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

/// A stand-in of one source without a limit that a test would have to wait for, and the settings that lead to it.
pub async fn stand_in_of(
    universe: &Arc<Universe>,
    source: Source,
    change: impl Fn(&mut StandInOptions),
) -> (StandIn, Vec<String>) {
    let mut options = StandInOptions::of(source).unwrap();
    options.windows = Vec::new();
    change(&mut options);
    let stand_in = StandIn::start(universe.clone(), options).await.unwrap();
    let name = source.name();
    let settings =
        [(format!("--{name}-url"), stand_in.url()), (format!("--{name}-rate-limit"), "100000/1s".to_owned())];
    let settings = settings.into_iter().flat_map(|(name, value)| [name, value]).collect();
    (stand_in, settings)
}
