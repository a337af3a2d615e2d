//! What the tests share: one genuine engine a test binary, a fresh pair of databases a test, and progress that is kept
//! for the test to look at.

#![allow(dead_code, unused_imports, reason = "each test binary uses another part of it")]

mod scene;

pub use scene::{Scene, leading_to, nobody, small_universe, sources, stand_ins};

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use backfill::cli::Cli;
use backfill::ctf;
use backfill::demo::{Universe, load};
use backfill::embedded::{Server, ServerOptions};
use backfill::ids::{ConditionId, TokenId};
use backfill::phases::Context;
use backfill::phases::events::{PhaseEvent, PhaseListener};
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
        start_engine(root.join(format!("clickhouse-{}", std::process::id()))).await
    };
    ENGINE.get_or_init(start).await
}

/// Starts an engine whose data is in `data`, and answers its URL. It ends with this process, whose end closes its standard
/// input.
pub async fn start_engine(data: PathBuf) -> String {
    let options = ServerOptions {
        data,
        http_port: 0,
        tcp_port: None,
        config: None,
        engine: None,
        launcher: BACKFILL.into(),
    };
    let server = Server::start(options, &|text| eprintln!("{text}")).await.expect("the engine starts");
    let url = server.url();
    std::mem::forget(server);
    url
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

/// A condition of a test's own, by its number.
pub fn condition(number: u8) -> ConditionId {
    ConditionId::from_bytes([number; 32])
}

/// The token of that condition's outcome.
pub fn token(number: u8, index: u8) -> TokenId {
    ctf::token_id(&condition(number), index, &ctf::default_collaterals()[0].address)
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

impl Kept {
    fn keep(&self, notice: Option<String>) {
        self.notices.lock().unwrap().extend(notice);
    }
}

impl PhaseListener for Kept {
    fn on_phase_event(&self, event: &PhaseEvent<'_>) {
        self.keep(backfill::report::events::phase_notice(event));
    }
}

impl TrackListener for Kept {
    fn on_track_event(&self, event: &TrackEvent<'_>) {
        self.keep(backfill::report::events::notice(event));
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

    /// Fresh databases with the four tables as they stand in production, empty. Nothing is merged in the background.
    pub async fn with_tables() -> Self {
        let world = Self::new().await;
        load::create_tables(&world.client(), &world.database).await.unwrap();
        // Stopping merges would stop mutations too.
        let never =
            ["max", "min"].map(|it| format!("max_bytes_to_merge_at_{it}_space_in_pool = 1")).join(", ");
        for table in ["ctf_token_map", "market_resolutions_final"] {
            world.run(&format!("ALTER TABLE {{d}}.{table} MODIFY SETTING {never}")).await;
        }
        world
    }

    /// Fresh databases with the four tables, and a universe in them.
    pub async fn with(universe: &Universe) -> Self {
        let world = Self::new().await;
        load::load(&world.client(), &world.database, universe, load::LoadOptions::default()).await.unwrap();
        world
    }

    /// A client of the engine that is no part of what is tested.
    pub fn client(&self) -> clickhouse::Client {
        clickhouse::Client::default().with_url(&self.url)
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
        self.client().query_raw(&sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The one value of a query.
    pub async fn one<T>(&self, sql: &str) -> T
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let sql = self.named(sql);
        self.client().query_raw(&sql).fetch_one().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// All rows of a query.
    pub async fn all<T>(&self, sql: &str) -> Vec<T>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let sql = self.named(sql);
        self.client().query_raw(&sql).fetch_all().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn named(&self, sql: &str) -> String {
        sql.replace("{d}", &self.database).replace("{s}", &self.staging)
    }
}
