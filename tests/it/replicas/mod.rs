//! One address that leads to two servers: what one has written the other may not have yet. Where they wait for what a read
//! asks to see, as shared storage does, all is as on one server.
//!
//! `REPLICA_SEEDS=50 cargo test --test it replicas::` tries more seeds.

mod proxy;

use std::sync::Arc;

use backfill::demo::{Universe, UniverseOptions, load};
use backfill::source::Source;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::common::{Scene, World, engine, start_engine, unique};
use proxy::Choice;

static SECOND: OnceCell<String> = OnceCell::const_new();

/// The second server; the first one is shared with all other tests.
async fn second() -> &'static str {
    let start = || async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        start_engine(root.join(format!("clickhouse-{}", std::process::id())).join("second")).await
    };
    SECOND.get_or_init(start).await
}

/// A universe in the same tables of both servers, behind a balancer.
async fn scene(universe: &Arc<Universe>, choice: Choice, seed: u64) -> Scene {
    let servers = [engine().await.to_owned(), second().await.to_owned()];
    let (database, staging) = (unique("r"), unique("rs"));
    for server in &servers {
        let client = clickhouse::Client::default().with_url(server);
        load::load(&client, &database, universe, load::LoadOptions::default()).await.unwrap();
    }
    let url = proxy::start(servers, choice, seed).await;
    let world = World { url, database, staging, folder: tempfile::tempdir().unwrap(), kept: Arc::default() };
    Scene::on(world, universe, &[Source::Dome, Source::Goldsky], |_, _| {}).await
}

/// The commands of the guide, each with what its object says and its exit code.
async fn all_phases(scene: &Scene) -> Vec<(&'static str, i32, Value)> {
    let commands = ["setup", "dome", "goldsky", "merge", "verify"];
    let mut said = Vec::new();
    for command in commands {
        let output = scene.output(&[command, "--format", "json", "--coverage-target", "10"]).await;
        let errors = || Value::String(String::from_utf8_lossy(&output.stderr).into_owned());
        let object = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| errors());
        said.push((command, output.status.code().unwrap_or(-1), object));
    }
    said
}

/// What of an object may not depend on the number of servers.
fn counts(command: &str, object: &Value) -> Vec<Value> {
    let fields: &[&str] = match command {
        "setup" => &["unmapped", "coverage"],
        "merge" => &["staged", "added", "after"],
        "verify" => &["mapped", "total", "coverage_pct"],
        _ => &["total", "processed", "inserted", "not_found", "rejected", "failed"],
    };
    fields.iter().map(|field| object[*field].clone()).collect()
}

fn universe() -> Arc<Universe> {
    let options = UniverseOptions {
        traded_tokens: 2_000,
        mapped_tokens: 300,
        fills: 6_000,
        ..UniverseOptions::default()
    };
    Arc::new(Universe::generate(options).unwrap())
}

fn seeds() -> u64 {
    std::env::var("REPLICA_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(2)
}

/// What the phases say on one server.
async fn on_one_server(universe: &Arc<Universe>) -> Vec<(&'static str, i32, Value)> {
    let scene = Scene::new(universe, &[Source::Dome, Source::Goldsky], |_, _| {}).await;
    all_phases(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_heed_a_read_of_all_writes_are_as_one_server() {
    let universe = universe();
    let expected = on_one_server(&universe).await;
    assert!(expected.iter().all(|(_, code, _)| *code == 0), "{expected:?}");
    for seed in 0..seeds() {
        let choice = if seed % 2 == 0 { Choice::Random } else { Choice::Alternating };
        let scene = scene(&universe, choice, seed).await;
        for ((command, code, object), (_, _, wanted)) in all_phases(&scene).await.iter().zip(&expected) {
            assert_eq!(*code, 0, "seed {seed}, {command}: {object}");
            assert_eq!(counts(command, object), counts(command, wanted), "seed {seed}, {command}");
        }
    }
}
