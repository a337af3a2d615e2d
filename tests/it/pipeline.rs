//! Phases 0 to 3 on a genuine ClickHouse, against stand-ins that misbehave as the real APIs do.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{World, small_universe, sources, stand_ins};
use backfill::demo::stand_in::FaultPlan;
use backfill::demo::{Universe, UniverseOptions};
use backfill::outcome::Outcome;
use backfill::phases::merge::MergeOptions;
use backfill::phases::setup::SetupOptions;
use backfill::phases::track::TrackOptions;
use backfill::phases::{merge, setup, track};
use backfill::source::Source;

fn half() -> SetupOptions {
    SetupOptions::default()
}

/// Every row of the map that is usable, as the users see it.
async fn map_rows(world: &World) -> BTreeMap<String, (String, u8, String)> {
    let client = clickhouse::Client::default().with_url(&world.url);
    let sql = format!(
        "SELECT token_id, lower(replace(condition_id_norm, '0x', '')) AS c, outcome_index, outcome_label \
         FROM {}.ctf_token_map WHERE match(condition_id_norm, '[1-9a-fA-F]') AND outcome_index < 2",
        world.database
    );
    let rows: Vec<(String, String, u8, String)> = client.query(&sql).fetch_all().await.unwrap();
    rows.into_iter().map(|(token, condition, index, label)| (token, (condition, index, label))).collect()
}

/// Whether the map says of every traded token that some API knows what the universe says, and nothing wrong.
async fn assert_map_is_true(
    world: &World,
    universe: &Universe,
    reachable: impl Fn(&Universe, &backfill::ids::TokenId) -> bool,
) {
    let rows = map_rows(world).await;
    for outcome in universe.traded_tokens() {
        let token = outcome.token();
        match rows.get(&token.to_string()) {
            Some((condition, index, _)) => {
                assert_eq!(
                    (condition, *index),
                    (&outcome.market.condition().to_string(), outcome.index),
                    "{token}"
                );
            }
            None => assert!(!reachable(universe, &token), "{token} is known to an API and not mapped"),
        }
    }
}

async fn run_all(world: &World, settings: &[String], universe: &Arc<Universe>) {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let context = world.context(&settings).await;
    let found = setup::run(&context, &half()).await.unwrap();
    let expected = universe.expected();
    assert_eq!((found.coverage.total, found.coverage.mapped), (expected.traded, expected.mapped));
    assert_eq!((found.coverage.unmapped, found.unmapped), (expected.unmapped, expected.unmapped));
    let both = [Source::Dome, Source::Goldsky];
    for result in track::run(&context, &both, &TrackOptions::default()).await.unwrap() {
        let result = result.unwrap();
        assert_eq!(result.outcome, Outcome::Done, "{result:?}");
        assert_eq!(result.processed, result.total);
        assert_eq!(result.processed, result.resolved + result.not_found + result.rejected);
    }
    for table in ["clob_asset_map_dome", "clob_asset_map_goldsky"] {
        let (rows, tokens): (u64, u64) =
            world.one(&format!("SELECT count(), uniqExact(token_id) FROM {{s}}.{table}")).await;
        assert_eq!(rows, tokens, "{table} has a token twice");
        assert!(rows > 0, "{table} is empty");
    }
    let merged = merge::run(&context, &MergeOptions::default()).await.unwrap();
    let again = merge::run(&context, &MergeOptions::default()).await.unwrap();
    assert_eq!((again.added, again.after), (0, merged.after), "merging again adds nothing");
    assert_eq!(again.duplicates, merged.duplicates_before, "merge adds no second row to any token");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tracks_map_every_token_that_an_api_knows() {
    let universe = small_universe(1);
    let world = World::with(&universe).await;
    let (dome, goldsky) = stand_ins(&universe, |_| {}).await;
    run_all(&world, &sources(&dome, &goldsky), &universe).await;
    // Side by side, each track also tries what the other did not find.
    assert_map_is_true(&world, &universe, |universe, token| {
        universe.known_to(backfill::demo::universe::Api::Dome, token)
            || universe.known_to(backfill::demo::universe::Api::Goldsky, token)
    })
    .await;
}

/// `LIES=100000 cargo test --release --test pipeline lies -- --nocapture` tells as many.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_lies_none_reaches_the_map_and_the_honest_mappings_all_do() {
    let lies: usize = std::env::var("LIES").ok().and_then(|lies| lies.parse().ok()).unwrap_or(2_000);
    // Half of all markets are lied about, and a doubted token is asked for again: a lie or more for each token.
    let options = UniverseOptions {
        seed: 5,
        traded_tokens: lies.max(2_000),
        mapped_tokens: 200,
        fills: lies as u64 * 2 + 4_000,
        ..UniverseOptions::default()
    };
    let universe = Arc::new(Universe::generate(options).unwrap());
    let world = World::with(&universe).await;
    let (dome, goldsky) = stand_ins(&universe, |options| {
        options.faults = FaultPlan { rate: 0.0, kinds: Vec::new(), ..FaultPlan::faults_and_lies(5, 0.5) };
    })
    .await;
    run_all(&world, &sources(&dome, &goldsky), &universe).await;
    let told = dome.counters().lies + goldsky.counters().lies;
    println!("{told} lies told");
    assert!(told >= lies as u64, "only {told} lies were told");
    // One honest answer is enough: what a track rejects, the other is asked for.
    let honest =
        |token: &_| [&dome, &goldsky].iter().any(|it| it.knows(token) && it.lie_about(token).is_none());
    assert_map_is_true(&world, &universe, |_, token| honest(token)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fifth_of_all_answers_bad_the_result_is_the_same() {
    let universe = small_universe(2);
    let (quiet, loud) = (World::with(&universe).await, World::with(&universe).await);
    let (dome, goldsky) = stand_ins(&universe, |_| {}).await;
    run_all(&quiet, &sources(&dome, &goldsky), &universe).await;
    let (dome, goldsky) = stand_ins(&universe, |options| options.faults = FaultPlan::faults(7, 0.2)).await;
    let mut settings = sources(&dome, &goldsky);
    settings.extend(["--batch-size".to_owned(), "20".to_owned()]);
    run_all(&loud, &settings, &universe).await;
    assert!(dome.counters().faults > 5, "{:?}", dome.counters());
    let (quiet, loud) = (map_rows(&quiet).await, map_rows(&loud).await);
    let proven = |rows: &BTreeMap<String, (String, u8, String)>| {
        rows.iter()
            .map(|(token, (condition, index, _))| (token.clone(), condition.clone(), *index))
            .collect::<Vec<_>>()
    };
    let (quiet, loud) = (proven(&quiet), proven(&loud));
    let differing: Vec<_> = quiet.iter().filter(|row| !loud.contains(row)).take(3).collect();
    assert!(
        quiet == loud,
        "{} rows undisturbed, {} disturbed, such as {differing:?}",
        quiet.len(),
        loud.len()
    );
}
