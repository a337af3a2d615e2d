//! What each source makes of its answers: the token look-up, Gamma since `/markets` has ended, and records that are
//! something else than documented.

use std::collections::BTreeSet;
use std::sync::Arc;

use backfill::demo::stand_in::{FaultPlan, Lie, Spoil, Whose};
use backfill::demo::{StandInOptions, Universe, UniverseOptions};
use backfill::source::Source;

use crate::common::{Scene, small_universe};

/// A scene of one source whose workload is all that is unmapped.
async fn alone(
    universe: &Arc<Universe>,
    source: Source,
    change: impl Fn(&mut StandInOptions),
) -> (Scene, serde_json::Value) {
    let change = |_, options: &mut StandInOptions| change(options);
    let scene = Scene::new(universe, &[source], change).await;
    scene.json(0, &["setup", "--tracks", source.name()]).await;
    let (track, _) = scene.json(0, &[source.name()]).await;
    (scene, track)
}

/// The tokens that a source has staged.
async fn staged(scene: &Scene, source: Source) -> BTreeSet<String> {
    let sql = format!("SELECT DISTINCT token_id FROM {{s}}.{}", source.staging_table());
    scene.world.all::<String>(&sql).await.into_iter().collect()
}

/// What of the workload a stand-in knows.
fn known(scene: &Scene, source: Source) -> BTreeSet<String> {
    let unmapped = scene.universe.traded_tokens().filter(|outcome| !outcome.mapped());
    let known = unmapped.filter(|outcome| scene.stand_in(source).knows(&outcome.token()));
    known.map(|outcome| outcome.token().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_look_up_gives_every_token_that_it_knows_and_keeps_what_it_tells_of_it() {
    let universe = small_universe(151);
    let (scene, track) = alone(&universe, Source::Tokens, |options| options.track_tokens = true).await;
    let (staged, known) = (staged(&scene, Source::Tokens).await, known(&scene, Source::Tokens));
    assert!(known.is_subset(&staged), "{} of {}", staged.len(), known.len());
    let counters = scene.stand_in(Source::Tokens).counters();
    assert_eq!((counters.max_tokens_per_request, counters.asked_again), (50, 0));
    assert_eq!((&track["failed"], &track["rejected"]), (&0.into(), &0.into()), "{track}");
    // Its facts: a payout for what is resolved, and for nothing else.
    let facts: Vec<(String, u8, Option<String>, String)> = scene
        .world
        .all(
            "SELECT token_id, resolved, if(isNull(payout), NULL, toString(payout)), slug \
             FROM {s}.token_facts FINAL ORDER BY token_id",
        )
        .await;
    assert!(facts.len() >= known.len(), "{} facts", facts.len());
    for (token, resolved, payout, slug) in facts {
        let outcome = universe.find(&token.parse().unwrap()).unwrap();
        let pays = outcome.market.payout().doubled(outcome.index);
        let told = payout.map(|payout| (payout.parse::<f64>().unwrap() * 2.0) as u8);
        assert_eq!((told, resolved == 1), (pays, pays.is_some()), "{token}");
        assert_eq!(slug, outcome.market.slug());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_the_order_book_and_lies_of_the_token_look_up_are_never_believed() {
    let universe = small_universe(152);
    let faults = FaultPlan { lie_rate: 0.3, lies: Lie::ALL.to_vec(), ..FaultPlan::none() };
    let (scene, track) = alone(&universe, Source::Tokens, |options| options.faults = faults.clone()).await;
    assert!(scene.stand_in(Source::Tokens).counters().lies > 0 && track["rejected"].as_u64() > Some(0));
    let sql = "SELECT token_id, condition_id_norm, outcome_index FROM {s}.clob_asset_map_tokens FINAL";
    let rows: Vec<(String, String, u8)> = scene.world.all(sql).await;
    for (token, condition, index) in rows {
        let outcome = universe.find(&token.parse().unwrap()).unwrap();
        let truth = (outcome.market.condition().to_string(), outcome.index);
        assert_eq!((condition, index), truth, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gamma_is_asked_over_the_other_list_where_markets_has_ended() {
    let universe = small_universe(153);
    let (scene, track) = alone(&universe, Source::Gamma, |options| {
        options.markets_ended = true;
        options.track_tokens = true;
    })
    .await;
    let known = known(&scene, Source::Gamma);
    assert!(known.is_subset(&staged(&scene, Source::Gamma).await));
    assert_eq!((&track["failed"], &track["rejected"]), (&0.into(), &0.into()), "{track}");
    // By a setting it is asked at once, or never.
    scene.json(0, &["setup", "--reset", "--yes", "--tracks", "gamma"]).await;
    let output = scene.output(&["gamma", "--gamma-mode", "markets"]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("410"), "{said}");
    scene.json(0, &["gamma", "--gamma-mode", "keyset"]).await;
}

/// One odd record costs itself: of every source all others are staged, and the run ends well.
#[tokio::test(flavor = "multi_thread")]
async fn an_odd_record_costs_no_other_one() {
    for (source, seed) in [(Source::Dome, 1), (Source::Goldsky, 2), (Source::Gamma, 3), (Source::Tokens, 4)] {
        let options = UniverseOptions {
            seed: 154,
            traded_tokens: 2_000,
            mapped_tokens: 300,
            fills: 5_000,
            ..UniverseOptions::default()
        };
        let universe = Arc::new(Universe::generate(options).unwrap());
        let spoil = Some(Spoil { seed, whose: Whose::Share(0.02) });
        let (scene, track) = alone(&universe, source, |options| options.spoil = spoil).await;
        let (staged, known) = (staged(&scene, source).await, known(&scene, source));
        let lost = known.difference(&staged).count();
        // Two in a hundred records are odd, and a third of their fields are needed; each has two tokens.
        assert!(lost * 20 < known.len(), "{}: {lost} of {} are lost", source.name(), known.len());
        assert_eq!((&track["failed"], track["total"] == track["processed"]), (&0.into(), true), "{track}");
        assert!(track["odd_records"].as_u64() > Some(0), "{track}");
        let sql = format!(
            "SELECT DISTINCT token_id FROM {{s}}.rejected_mappings WHERE track = '{}' AND reason != ''",
            source.name()
        );
        let rejected: BTreeSet<String> = scene.world.all::<String>(&sql).await.into_iter().collect();
        let silent: Vec<_> = known.difference(&staged).filter(|token| !rejected.contains(*token)).collect();
        assert!(silent.is_empty(), "{}: lost without a reason: {silent:?}", source.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_means_a_public_service_that_has_ended_is_told_so_once_with_what_to_do() {
    let scene = Scene::new(&small_universe(155), &[], |_, _| {}).await;
    let said = async |arguments: &[&str]| {
        let mut command = scene.command(arguments);
        let output = command.env_remove("DOME_API_URL").output().await.unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
    };
    let told = "The public Dome service has ended since 2026-04-28";
    let setup = said(&["setup"]).await;
    assert_eq!(setup.matches(told).count(), 1, "{setup}");
    assert!(setup.contains("DOME_API_URL") && setup.contains("--tracks auto"), "{setup}");
    assert!(!said(&["setup", "--tracks", "dome,goldsky"]).await.contains(told), "who names it has chosen it");
    let doctor = said(&["doctor"]).await;
    assert!(doctor.contains("the public service has ended on 2026-04-28"), "{doctor}");
}
