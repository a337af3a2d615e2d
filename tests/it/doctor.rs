//! `doctor`, through the real program: everything green is 0; each thing that is wrong is one red line with what to do,
//! and hides no other.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{BACKFILL, World, small_universe};
use backfill::demo::stand_in::{Fault, FaultPlan};
use backfill::demo::{StandIn, StandInOptions, Universe};
use serde_json::Value;

const SECRET: &str = "s3cret-0f-mine";

/// Stand-ins of every source, which a test may spoil one of.
struct Sources {
    dome: StandIn,
    goldsky: StandIn,
    gamma: StandIn,
    clob: StandIn,
    tokens: StandIn,
}

impl Sources {
    async fn new(universe: &Arc<Universe>, change: impl Fn(&mut StandInOptions)) -> Self {
        let start = async |mut options: StandInOptions| {
            change(&mut options);
            StandIn::start(universe.clone(), options).await.unwrap()
        };
        let dome = StandInOptions { api_key: Some(SECRET.to_owned()), ..StandInOptions::dome() };
        Self {
            dome: start(dome).await,
            goldsky: start(StandInOptions::goldsky()).await,
            gamma: start(StandInOptions::gamma()).await,
            clob: start(StandInOptions::clob()).await,
            tokens: start(StandInOptions::tokens()).await,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("--dome-api-url", self.dome.url()),
            ("--goldsky-url", self.goldsky.url()),
            ("--gamma-url", self.gamma.url()),
            ("--clob-url", self.clob.url()),
            ("--tokens-url", self.tokens.url()),
            ("--dome-api-key", SECRET.to_owned()),
            ("--request-timeout", "2s".to_owned()),
        ]
    }
}

/// What the program said, as JSON and as text.
struct Said {
    code: i32,
    json: Value,
    text: String,
}

impl Said {
    /// The check whose subject contains these words.
    fn check(&self, subject: &str) -> &Value {
        let checks = self.json["checks"].as_array().unwrap();
        let exact = checks.iter().find(|check| check["subject"] == subject);
        let within = || checks.iter().find(|check| check["subject"].as_str().unwrap().contains(subject));
        let found = exact.or_else(within);
        found.unwrap_or_else(|| panic!("nothing about {subject}: {}", self.text))
    }

    fn bad(&self) -> Vec<&str> {
        let checks = self.json["checks"].as_array().unwrap().iter();
        checks.filter(|check| check["status"] == "bad").map(|it| it["subject"].as_str().unwrap()).collect()
    }

    /// The one red line is about this, and says what to do.
    fn assert_only(&self, subject: &str, detail: &str, advice: &str) {
        assert_eq!((self.code, self.bad().len()), (1, 1), "{}", self.text);
        let check = self.check(subject);
        let has = |field: &str, words: &str| check[field].as_str().is_some_and(|text| text.contains(words));
        assert!(check["status"] == "bad" && has("detail", detail) && has("advice", advice), "{check}");
        assert!(self.text.contains(&format!("✗  {subject}")), "{}", self.text);
        assert!(self.text.contains(advice), "{}", self.text);
    }
}

async fn doctor(world: &World, settings: &[(&str, String)]) -> Said {
    let run = async |format: &str| {
        let run = tokio::process::Command::new(BACKFILL)
            .arg("doctor")
            .args(world.arguments())
            .args(settings.iter().flat_map(|(name, value)| [*name, value.as_str()]))
            .args(["--format", format])
            .current_dir(world.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .output();
        let output = tokio::time::timeout(Duration::from_secs(60), run).await.expect("it ends").unwrap();
        let told = String::from_utf8([output.stdout.clone(), output.stderr].concat()).unwrap();
        assert!(!told.contains(SECRET) && !told.contains("panicked"), "{told}");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, json) = run("json").await;
    let (again, text) = run("text").await;
    assert_eq!(code, again);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["healthy"], code == 0);
    Said { code, json, text }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_can_be_used_it_says_so_and_writes_nothing() {
    let universe = small_universe(31);
    let world = World::with(&universe).await;
    let sources = Sources::new(&universe, |_| {}).await;
    let said = doctor(&world, &sources.settings()).await;
    assert_eq!((said.code, said.bad()), (0, vec![]), "{}", said.text);
    for subject in ["ClickHouse", "Dome API", "Goldsky API", "CLOB API"] {
        let check = said.check(subject);
        assert_eq!(check["status"], "ok", "{check}");
        assert!(check["latency_ms"].is_number(), "{check}");
        assert!(check["clock_ahead_seconds"].as_f64().unwrap().abs() < 2.0, "{check}");
    }
    assert_eq!(said.check("Gamma API")["status"], "ok");
    for table in ["clob_fills", "ctf_token_map", "market_resolutions_final", "gamma_resolved"] {
        assert_eq!(said.check(table)["status"], "ok");
    }
    let staging = said.check("database s_");
    assert!(staging["detail"].as_str().unwrap().contains("does not exist yet"), "{staging}");
    assert!(said.text.contains("✅ Everything that is needed can be used"), "{}", said.text);
    let databases: u64 = world.one("SELECT count() FROM system.databases WHERE name = '{s}'").await;
    assert_eq!(databases, 0, "it creates nothing");
    let left: Vec<_> = std::fs::read_dir(world.folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    for source in [&sources.dome, &sources.goldsky, &sources.clob] {
        assert_eq!(source.counters().requests, 2, "one request a run");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_a_source_is_down_is_one_red_line_that_hides_no_other() {
    let universe = small_universe(32);
    let world = World::with(&universe).await;
    world.store().await.create_staging().await.unwrap();
    let sources = Sources::new(&universe, |_| {}).await;
    let with = |name: &'static str, value: &str| {
        let mut settings = sources.settings();
        settings.retain(|(other, _)| *other != name);
        settings.push((name, value.to_owned()));
        settings
    };
    let said = doctor(&world, &with("--dome-api-key", "another")).await;
    said.assert_only("Dome API", "does not let us in (HTTP 401", "check DOME_API_KEY");
    assert_eq!(said.check("Goldsky")["status"], "ok");
    let gone = Sources::new(&universe, |options| options.gone = true).await;
    let said = doctor(&world, &with("--goldsky-url", &gone.goldsky.url())).await;
    said.assert_only(
        "Goldsky API",
        "gone for good (HTTP 410",
        "set the URL of a service that is still there",
    );
    let said = doctor(&world, &with("--clob-url", "http://127.0.0.1:9")).await;
    said.assert_only("CLOB API", "unreachable: http://127.0.0.1:9", "check its URL");
    let said = doctor(&world, &with("--goldsky-url", &sources.clob.url())).await;
    said.assert_only("Goldsky API", "nothing answers under", "check the URL");
    let hanging = FaultPlan { kinds: vec![Fault::Hang], ..FaultPlan::faults(1, 1.0) };
    let hanging = Sources::new(&universe, |options| options.faults = hanging.clone()).await;
    let began = Instant::now();
    let said = doctor(&world, &with("--clob-url", &hanging.clob.url())).await;
    said.assert_only("CLOB API", "no answer within 2s", "REQUEST_TIMEOUT");
    assert!(began.elapsed() < Duration::from_secs(30), "it waits for what hangs");
    let keyless: Vec<_> =
        sources.settings().into_iter().filter(|(name, _)| *name != "--dome-api-key").collect();
    let said = doctor(&world, &keyless).await;
    assert_eq!((said.code, said.check("Dome")["status"].as_str()), (0, Some("note")), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_column_or_table_is_named_with_its_setting() {
    let universe = small_universe(33);
    let world = World::with(&universe).await;
    world.store().await.create_staging().await.unwrap();
    let sources = Sources::new(&universe, |_| {}).await;
    world.run("ALTER TABLE {d}.clob_fills DROP COLUMN size").await;
    world.run("ALTER TABLE {d}.ctf_token_map DROP COLUMN source").await;
    world.run("DROP TABLE {d}.gamma_resolved").await;
    let said = doctor(&world, &sources.settings()).await;
    let fills = format!("table {}.clob_fills", world.database);
    said.assert_only(&fills, "lacks the column size, which is needed", "FILLS_TABLE");
    assert!(said.check("ctf_token_map")["detail"].as_str().unwrap().contains("without source"));
    assert_eq!(said.check("gamma_resolved")["status"], "note");
    assert_eq!(said.check("database s_")["status"], "ok");
    world.run("ALTER TABLE {d}.clob_fills ADD COLUMN size Float64").await;
    world.run("DROP TABLE {d}.market_resolutions_final").await;
    let said = doctor(&world, &sources.settings()).await;
    said.assert_only("resolutions", "neither table exists", "RESOLUTIONS_TABLE or WINNERS_TABLE");
    world.run("DROP TABLE {d}.ctf_token_map").await;
    let said = doctor(&world, &sources.settings()).await;
    assert_eq!(said.bad().len(), 2, "{}", said.text);
    assert!(said.text.contains("backfill setup --create-tables"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_clickhouse_the_sources_are_still_looked_at() {
    let universe = small_universe(34);
    let mut world = World::new().await;
    let sources = Sources::new(&universe, |_| {}).await;
    world.url = "http://127.0.0.1:9".to_owned();
    let said = doctor(&world, &sources.settings()).await;
    said.assert_only("ClickHouse", "no ClickHouse answers at http://127.0.0.1:9", "check CLICKHOUSE_URL");
    for subject in ["Dome API", "Goldsky API", "Gamma API", "CLOB API"] {
        assert_eq!(said.check(subject)["status"], "ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_chosen_tracks_need_decides_and_each_phase_is_rehearsed() {
    let universe = small_universe(35);
    let world = World::with(&universe).await;
    world.store().await.create_staging().await.unwrap();
    let sources = Sources::new(&universe, |_| {}).await;
    let with = |tracks: &str| {
        let mut settings = sources.settings();
        settings.retain(|(name, _)| !["--dome-api-key", "--clob-url"].contains(name));
        settings.extend([("--clob-url", "http://127.0.0.1:9".to_owned()), ("--tracks", tracks.to_owned())]);
        settings
    };
    for tracks in ["goldsky", "auto"] {
        let said = doctor(&world, &with(tracks)).await;
        assert_eq!(
            (said.code, said.check("CLOB API")["status"].as_str()),
            (0, Some("note")),
            "{}",
            said.text
        );
    }
    let said = doctor(&world, &with("dome,goldsky")).await;
    said.assert_only("Dome API", "no key is set", "DOME_API_KEY");
    for phase in ["setup", "derive", "merge", "verify", "validate"] {
        assert_eq!(said.check(&format!("phase {phase}"))["status"], "ok", "{}", said.text);
    }
}
