//! Any number of tracks: how they split the work, take each other's over, and what Polymarket's own API makes of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Scene, small_universe};
use backfill::demo::stand_in::FaultPlan;
use backfill::demo::{StandInOptions, Universe, UniverseOptions};
use backfill::ids::TokenId;
use backfill::outcome::Outcome;
use backfill::phases::setup::SetupOptions;
use backfill::phases::track::TrackOptions;
use backfill::phases::{merge, setup, track};
use backfill::source::Source;
use backfill::track::checkpoint;
use serde_json::Value;

const TRACKS: [Source; 3] = [Source::Dome, Source::Goldsky, Source::Gamma];
const ALL: [Source; 4] = [Source::Tokens, Source::Dome, Source::Goldsky, Source::Gamma];

/// A world and stand-ins of all three APIs.
async fn scene(universe: &Arc<Universe>, change: impl Fn(Source, &mut StandInOptions)) -> Scene {
    let change = |source, options: &mut StandInOptions| {
        options.track_tokens = true;
        change(source, options);
    };
    Scene::new(universe, &TRACKS, change).await
}

impl Scene {
    async fn setup(&self, tracks: &str) -> setup::SetupResult {
        let context = self.context().await;
        let tracks: backfill::phases::shares::Tracks = tracks.parse().unwrap();
        let options = SetupOptions { shares: tracks.named(), ..SetupOptions::default() };
        setup::run(&context, &options).await.unwrap()
    }

    async fn workload(&self, source: Source) -> BTreeSet<String> {
        let sql = format!("SELECT asset_id FROM {{s}}.{}", source.workload_table());
        self.world.all::<String>(&sql).await.into_iter().collect()
    }
}

fn phase<'v>(object: &'v Value, name: &str) -> &'v Value {
    object["phases"].as_array().unwrap().iter().find(|it| it["phase"] == name).expect(name)
}

/// `TOKENS=118870 cargo test --release --test it with_dome_gone -- --nocapture` does it at the guide's size.
#[tokio::test(flavor = "multi_thread")]
async fn with_dome_gone_and_goldsky_knowing_half_a_run_with_auto_passes_by_itself_and_says_what_it_did() {
    let tokens = std::env::var("TOKENS").ok().and_then(|tokens| tokens.parse().ok()).unwrap_or(6_000);
    let options = UniverseOptions {
        seed: 71,
        traded_tokens: tokens,
        mapped_tokens: tokens * 19_964 / 118_870,
        fills: tokens as u64 * 5,
        v2_share: 0.2,
        ..UniverseOptions::default()
    };
    let universe = Arc::new(Universe::generate(options).unwrap());
    let scene = Scene::new(&universe, &ALL, |source, options| match source {
        Source::Dome => options.gone = true,
        Source::Goldsky => options.knows = 0.5,
        Source::Gamma => options.markets_ended = true,
        _ => {}
    })
    .await;
    // Who has a key is told that the service has ended; who has none, that it needs one.
    let (_, said) = scene.json(0, &["setup", "--tracks", "auto"]).await;
    assert!(said.contains("Dome is left out") && said.contains("410"), "{said}");
    let scene = scene.without("--dome-api-key");
    // Nothing is said of tracks: whoever answers.
    let began = std::time::Instant::now();
    let (object, said) = scene.json(0, &["run", "--derive=false", "--variance-limit", "2"]).await;
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(object["passed"], true);
    assert!(said.contains("Dome is left out") && said.contains("DOME_API_KEY"), "{said}");
    let split = &phase(&object, "setup")["tracks"];
    assert_eq!(
        split.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["gamma", "goldsky", "tokens"],
        "{split}"
    );
    let (verified, tokens_of_each) = (phase(&object, "verify"), tokens as u64 / 20);
    assert!(verified["global"]["coverage_pct"].as_f64() >= Some(95.0), "{verified}");
    for source in [Source::Tokens, Source::Goldsky, Source::Gamma] {
        let track = phase(&object, source.name());
        assert_eq!((&track["processed"], &track["failed"]), (&track["total"], &0.into()), "{track}");
    }
    assert_eq!(scene.stand_ins[&Source::Dome].counters().requests, 1, "one probe, and nothing more");
    assert_eq!(
        phase(&object, "merge")["staged"].as_object().unwrap().len(),
        4,
        "derived, tokens, goldsky and gamma"
    );
    for generation in ["1", "2"] {
        let tokens = &verified["generations"][generation]["tokens"];
        assert!(tokens.as_u64() > Some(tokens_of_each), "both generations are traded: {verified}");
    }
    println!("{said}\n{}\n{}\n{seconds:.1} s", object["summary"], verified["global"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_in_the_middle_of_a_run_is_survived_by_it() {
    let universe = small_universe(72);
    // Slow enough that most of it is undone when the service ends.
    let scene = scene(&universe, |source, options| {
        options.latency = Duration::from_millis(if source == Source::Dome { 300 } else { 20 });
        options.knows = if source == Source::Goldsky { 0.5 } else { 1.0 };
    })
    .await;
    let dome = &scene.stand_ins[&Source::Dome];
    let arguments =
        ["run", "--derive=false", "--tracks", "dome:60,goldsky:30,gamma:10", "--batch-size", "20"];
    let run = scene.json(0, &arguments);
    let ends = async {
        while dome.counters().answered == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        dome.end_service();
    };
    let ((object, said), ()) = tokio::join!(run, ends);
    let track = phase(&object, "dome");
    assert!(track["ended_early"].as_str().unwrap().contains("410"), "{track}");
    assert_eq!(track["processed"], track["total"], "{track}");
    assert!(said.contains("The others took over what the Dome track had left"), "{said}");
    let known = universe
        .traded_tokens()
        .filter(|it| !it.mapped() && scene.stand_ins[&Source::Gamma].knows(&it.token()));
    let merged = phase(&object, "merge")["added"].as_u64().unwrap();
    assert!(merged >= known.count() as u64, "what Gamma knows is mapped: {merged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_split_the_tokens_exactly_and_a_track_without_one_is_emptied() {
    let universe = small_universe(73);
    let scene = scene(&universe, |_, _| {}).await;
    let found = scene.setup("dome:40,goldsky:40,gamma:20").await;
    let sizes: Vec<u64> = found.tracks.iter().map(|split| split.workload.total).collect();
    let cut = |percent: u64| found.unmapped * percent / 100;
    assert_eq!(sizes, [cut(40), cut(80) - cut(40), found.unmapped - cut(80)]);
    let mut all = BTreeSet::new();
    for source in TRACKS {
        let tokens = scene.workload(source).await;
        assert!(tokens.iter().all(|token| all.insert(token.clone())), "a token is in two workloads");
    }
    assert_eq!(all.len() as u64, found.unmapped);
    let again = scene.setup("dome:40,goldsky:40,gamma:20").await;
    assert!(again.tracks.iter().all(|split| split.kept), "the same tokens are split alike");
    let two = scene.setup("dome,goldsky").await;
    assert_eq!(two.tracks.iter().map(|split| split.workload.total).sum::<u64>(), found.unmapped);
    assert_eq!(scene.workload(Source::Gamma).await.len(), 0, "what it had others have now");
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_splits_by_what_the_limits_allow_and_leaves_out_who_has_no_key() {
    let universe = small_universe(74);
    let scene = scene(&universe, |_, _| {}).await;
    let arguments = ["setup", "--tracks", "auto", "--dome-rate-limit", "100/10s,10/1s"];
    let limits = ["--goldsky-rate-limit", "50/10s", "--gamma-rate-limit", "300/10s"];
    let scene = scene.without("-rate-limit");
    let (object, _) = scene.json(0, &[&arguments[..], &limits].concat()).await;
    let share = |object: &Value, name: &str| {
        object["tracks"][name].as_f64().unwrap() / object["unmapped"].as_f64().unwrap()
    };
    // Requests a second times tokens in a request: 10 × 90, 5 × 1,000, 30 × 84.
    for (name, pace) in [("dome", 900.0), ("goldsky", 5_000.0), ("gamma", 2_520.0)] {
        let expected = pace / (900.0 + 5_000.0 + 2_520.0);
        assert!((share(&object, name) - expected).abs() < 0.02, "{name}: {object}");
    }
    let scene = scene.without("--dome-api-key");
    let (object, said) = scene.json(0, &[&["setup", "--tracks", "auto"], &limits[..]].concat()).await;
    assert!(said.contains("Dome is left out") && said.contains("DOME_API_KEY"), "{said}");
    assert!(object["tracks"].get("dome").is_none(), "{object}");
    let nobody = ["--goldsky-url", "http://127.0.0.1:1", "--gamma-url", "http://127.0.0.1:1"];
    let scene = scene.without("-url");
    let output = scene.output(&[&["setup", "--tracks", "auto"], &nobody[..]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_track_does_not_know_each_other_is_asked_for_once_and_the_next_run_asks_nobody_again() {
    let universe = small_universe(75);
    // Each knows another half: every token that somebody knows is found, whoever has it in its workload.
    let scene = scene(&universe, |_, options| options.knows = 0.5).await;
    scene.setup("dome,goldsky,gamma").await;
    let context = scene.context().await;
    let asked = |source: Source| scene.stand_ins[&source].counters();
    for result in track::run(&context, &TRACKS, &TrackOptions::default()).await.unwrap() {
        let result = result.unwrap();
        assert_eq!((result.outcome, result.processed), (Outcome::Done, result.total), "{result:?}");
    }
    merge::run(&context, &merge::MergeOptions::default()).await.unwrap();
    let mapped: BTreeSet<String> =
        scene.world.all("SELECT token_id FROM {d}.ctf_token_map").await.into_iter().collect();
    let known = |token: &TokenId| scene.stand_ins.values().any(|it| it.knows(token));
    let unmapped: Vec<_> = universe.traded_tokens().filter(|it| !it.mapped()).map(|it| it.token()).collect();
    let found = unmapped.iter().filter(|token| known(token)).count();
    assert!(found * 100 > unmapped.len() * 80, "most are known to somebody: {found}");
    for token in unmapped.iter().filter(|token| known(token)) {
        assert!(mapped.contains(&token.to_string()), "{token} is known to somebody");
    }
    // Gamma is asked for a token twice, among the closed markets and among the open.
    for (source, times) in [(Source::Dome, 1), (Source::Goldsky, 1), (Source::Gamma, 2)] {
        let (counters, unmapped) = (asked(source), unmapped.len() as u64);
        assert!(counters.tokens_asked <= unmapped * times, "{source:?}: {counters:?} for {unmapped}");
    }
    let before = TRACKS.map(|source| asked(source).requests);
    for result in track::run(&context, &TRACKS, &TrackOptions::default()).await.unwrap() {
        assert_eq!(result.unwrap().requests, 0, "every track was answered about every token that is left");
    }
    assert_eq!(before, TRACKS.map(|source| asked(source).requests));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_terminals_of_their_own_a_track_takes_up_what_the_other_has_left_by_then_without_another_setup() {
    let universe = small_universe(79);
    let scene = scene(&universe, |_, options| options.knows = 0.5).await;
    scene.setup("dome,goldsky").await;
    // Goldsky comes first: of Dome's list nothing is left yet, since Dome was not asked for it.
    let (first, _) = scene.json(0, &["goldsky"]).await;
    assert!(first.get("round").is_none(), "{first}");
    let (dome, _) = scene.json(0, &["dome"]).await;
    let left = first["not_found"].as_u64().unwrap();
    assert!(left > 100, "{first}");
    let round = &dome["round"];
    let count = |it: &Value, name: &str| it[name].as_u64().unwrap();
    // Siblings that Dome has staged meanwhile are no longer left.
    assert!(count(round, "tokens") > 0 && count(round, "tokens") <= left, "{round}");
    assert_eq!(
        count(round, "tokens"),
        count(round, "resolved")
            + count(round, "not_found")
            + count(round, "rejected")
            + count(round, "failed")
    );
    assert_eq!((&dome["total"], &dome["failed"]), (&dome["processed"], &0.into()), "its counts stay its own");
    let (again, _) = scene.json(0, &["goldsky"]).await;
    assert!(count(&again["round"], "resolved") > 0, "what Dome did not find it takes up: {again}");
    assert_eq!((&again["total"], &again["processed"]), (&first["total"], &first["total"]));
    for track in ["goldsky", "dome"] {
        let (last, _) = scene.json(0, &[track]).await;
        assert_eq!(last["requests"], 0, "nobody is asked again: {last}");
    }
    let sql = "SELECT token_id FROM {s}.clob_asset_map_dome UNION ALL SELECT token_id FROM {s}.clob_asset_map_goldsky";
    let staged: BTreeSet<String> = scene.world.all(sql).await.into_iter().collect();
    let unmapped = universe.traded_tokens().filter(|it| !it.mapped()).map(|it| it.token());
    for token in unmapped.filter(|token| TRACKS[..2].iter().any(|it| scene.stand_ins[it].knows(token))) {
        assert!(staged.contains(&token.to_string()), "{token} is known to one of them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gamma_is_asked_for_closed_markets_first_and_with_full_requests_both_times() {
    let universe = small_universe(76);
    let scene = scene(&universe, |_, _| {}).await;
    let found = scene.setup("gamma").await;
    let (object, _) = scene.json(0, &["gamma", "--worker-count", "2"]).await;
    assert_eq!((&object["total"], &object["processed"]), (&found.unmapped.into(), &found.unmapped.into()));
    let counters = scene.stand_ins[&Source::Gamma].counters();
    let known: Vec<_> = universe
        .traded_tokens()
        .filter(|it| !it.mapped() && scene.stand_ins[&Source::Gamma].knows(&it.token()))
        .collect();
    let staged: u64 = scene
        .world
        .one("SELECT count() FROM {s}.clob_asset_map_gamma WHERE token_id IN (SELECT asset_id FROM {s}.unmapped_tokens_gamma)")
        .await;
    assert_eq!(staged, known.len() as u64, "every market that it knows, open or closed");
    let labels = "SELECT count() FROM {s}.clob_asset_map_gamma WHERE outcome_label = ''";
    assert_eq!(scene.world.one::<u64>(labels).await, 0);
    // With all of its tokens asked for in requests of 84, and once more for those that are in no closed market.
    let closed = |it: &backfill::demo::universe::Outcome<'_>| {
        it.market.payout() != backfill::demo::universe::Payout::Unresolved
    };
    let open = found.unmapped - known.iter().filter(|it| closed(it)).count() as u64;
    let needed = found.unmapped.div_ceil(84) + open.div_ceil(84);
    assert!(counters.requests <= needed + 6, "{} requests where {needed} do", counters.requests);
    assert_eq!(counters.bad_requests, 0, "no request line is too long");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_market_of_all_which_gamma_gives_for_what_it_does_not_know_is_never_believed() {
    let universe = small_universe(77);
    let scene = scene(&universe, |_, options| {
        options.faults = FaultPlan { rate: 0.1, ..FaultPlan::faults_and_lies(77, 0.4) };
    })
    .await;
    scene.setup("gamma").await;
    let output = scene.output(&["gamma", "--batch-size", "20", "--format", "json"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["processed"], object["total"], "{said}");
    assert_eq!(output.status.code(), Some(if object["failed"] == 0 { 0 } else { 4 }), "{said}");
    let gamma = &scene.stand_ins[&Source::Gamma];
    // An answer that names only what nobody asked for is none: its tokens are not "not found", they are unanswered.
    let path = checkpoint::path(scene.world.folder.path(), Source::Gamma);
    let unanswered: Vec<TokenId> = checkpoint::read(&path).unwrap().unwrap().failed_tokens().collect();
    assert_eq!(object["failed"], unanswered.len(), "{object}");
    assert!(unanswered.iter().all(|token| !gamma.knows(token)), "what is known is answered");
    let sql = "SELECT token_id FROM {s}.not_found WHERE track = 'gamma'";
    let not_found: BTreeSet<String> = scene.world.all(sql).await.into_iter().collect();
    assert!(unanswered.iter().all(|token| !not_found.contains(&token.to_string())));
    assert!(gamma.counters().lies > 500, "{:?}", gamma.counters());
    let sql = "SELECT token_id, condition_id_norm, outcome_index FROM {s}.clob_asset_map_gamma";
    let rows: Vec<(String, String, u8)> = scene.world.all(sql).await;
    let mut staged = BTreeSet::new();
    for (token, condition, index) in rows {
        let outcome = universe.find(&token.parse().unwrap()).unwrap();
        assert_eq!((condition, index), (outcome.market.condition().to_string(), outcome.index), "{token}");
        staged.insert(token);
    }
    let honest = universe.traded_tokens().map(|it| it.token()).filter(|token| {
        let unmapped = universe.find(token).is_some_and(|it| !it.mapped());
        unmapped && gamma.knows(token) && gamma.lie_about(token).is_none()
    });
    for token in honest {
        assert!(staged.contains(&token.to_string()), "{token} is known, and nobody lied about it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staging_database_from_before_a_source_was_there_is_completed_and_not_disturbed() {
    let universe = small_universe(78);
    let scene = scene(&universe, |_, _| {}).await;
    let found = scene.setup("dome,goldsky").await;
    for table in ["clob_asset_map_gamma", "clob_asset_map_clob"] {
        scene.world.run(&format!("DROP TABLE {{s}}.{table} SYNC")).await;
    }
    scene.json(0, &["goldsky"]).await;
    let (merged, _) = scene.json(0, &["merge"]).await;
    assert_eq!(
        merged["staged"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["derived", "dome", "goldsky"]
    );
    scene.world.run("DROP TABLE {s}.clob_asset_map_gamma SYNC").await;
    let (object, _) =
        scene.json(0, &["run", "--from", "tracks", "--to", "merge", "--tracks", "dome,goldsky,gamma"]).await;
    assert_eq!(phase(&object, "gamma")["total"], 0, "it has no tokens of its own, and helps");
    let total = |name: &str| phase(&object, name)["total"].as_u64().unwrap();
    assert_eq!(total("dome") + total("goldsky"), found.unmapped);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_found_is_asked_for_again_after_its_time_or_at_once_when_that_is_wanted() {
    let universe = small_universe(80);
    let scene = scene(&universe, |_, options| options.knows = 0.5).await;
    scene.setup("dome").await;
    let (first, _) = scene.json(0, &["dome"]).await;
    let not_found = first["not_found"].as_u64().unwrap();
    assert!(not_found > 100, "{first}");
    let (second, _) = scene.json(0, &["dome"]).await;
    assert_eq!((&second["requests"], &second["not_found"]), (&0.into(), &not_found.into()));
    let asked = || scene.stand_ins[&Source::Dome].counters().tokens_asked;
    let age = async |seconds: u32| {
        for sql in [
            "CREATE OR REPLACE TABLE {s}.kept ENGINE = MergeTree ORDER BY token_id AS SELECT * FROM {s}.not_found FINAL",
            "TRUNCATE TABLE {s}.not_found",
            &format!(
                "INSERT INTO {{s}}.not_found SELECT track, token_id, asked_at - {seconds} FROM {{s}}.kept"
            ),
        ] {
            scene.world.run(sql).await;
        }
    };
    // Moments are whole seconds, and this test is faster.
    age(10).await;
    let before = asked();
    let (third, _) = scene.json(0, &["dome", "--retry-not-found"]).await;
    assert_eq!((asked() - before, &third["not_found"]), (not_found, &not_found.into()), "{third}");
    age(86_500).await;
    let before = asked();
    let (fourth, _) = scene.json(0, &["dome"]).await;
    assert_eq!((asked() - before, &fourth["not_found"]), (not_found, &not_found.into()), "{fourth}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_breaks_every_request_is_isolated_and_does_not_stop_a_later_run() {
    let universe = small_universe(81);
    let unmapped: Vec<TokenId> =
        universe.traded_tokens().filter(|it| !it.mapped()).map(|it| it.token()).collect();
    // With its sibling, whose answer would name it.
    let market = universe.find(&unmapped[unmapped.len() / 2]).unwrap().market.tokens();
    let poison: Vec<TokenId> = unmapped.iter().filter(|token| market.contains(token)).copied().collect();
    let scene = scene(&universe, |source, options| {
        options.poison = if source == Source::Goldsky { poison.clone() } else { Vec::new() };
    })
    .await;
    scene.setup("goldsky").await;
    let goldsky = &scene.stand_ins[&Source::Goldsky];
    for run in 0..2 {
        let (object, said) = scene.json(4, &["goldsky"]).await;
        assert_eq!(object["processed"], object["total"], "{run}: {said}");
        assert_eq!(object["failed"], poison.len(), "{run}: {said}");
        assert!(said.contains("1 token(s) got no usable answer"), "{said}");
    }
    let sql = "SELECT token_id FROM {s}.clob_asset_map_goldsky";
    let staged: BTreeSet<String> = scene.world.all(sql).await.into_iter().collect();
    let known = unmapped.iter().filter(|token| goldsky.knows(token) && !poison.contains(token));
    for token in known {
        assert!(staged.contains(&token.to_string()), "{token} is a neighbour");
    }
}
