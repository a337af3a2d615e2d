//! The watch on a genuine ClickHouse, beside a writer: every token is mapped as its fills arrive, none is missed and
//! none comes twice, and nobody is asked again for what is known.

use std::time::Duration;

use crate::common::{Scene, World, small_universe};
use backfill::ctf;
use backfill::ids::ConditionId;
use backfill::phases::watch::{self, TickEvent, WatchHealth, WatchOptions};
use backfill::results::Watch;
use backfill::source::Source;
use backfill::store::workload::Share;

/// So many ticks, without a pause between them.
fn ticks(count: u64, sources: &[Source]) -> WatchOptions {
    WatchOptions {
        every: Duration::from_millis(1),
        overlap: Duration::from_secs(600),
        full_every: Duration::from_secs(86_400),
        watermark: None,
        shares: sources.iter().map(|source| Share { source: *source, weight: 1 }).collect(),
        chain: false,
        ticks: Some(count),
    }
}

async fn watched(world: &World, more: &[&str], options: &WatchOptions) -> Vec<Watch> {
    let mut ended = Vec::new();
    let mut told = |event: TickEvent<'_>| match event {
        TickEvent::Ended(tick) => ended.push(tick.clone()),
        TickEvent::Failed(failure) => panic!("{failure}"),
    };
    watch::run(&world.context(more).await, options, &WatchHealth::default(), &mut told).await.unwrap();
    ended
}

/// Writes fills of both tokens of so many new conditions, and gives the tokens.
async fn trade(world: &World, conditions: std::ops::Range<u8>) -> Vec<String> {
    let collateral = ctf::default_collaterals()[0].address;
    let mut tokens = Vec::new();
    for number in conditions {
        let condition = ConditionId::from_bytes([number + 1; 32]);
        for index in [0, 1] {
            let token = ctf::token_id(&condition, index, &collateral).to_string();
            world
                .run(&format!(
                    "INSERT INTO {{d}}.clob_fills (fill_id, proxy_wallet, condition_id, asset_id, side, price, size, \
                     timestamp, ingested_at) VALUES ('{number}-{index}', '0x01', '0x{condition}', '{token}', 'BUY', \
                     0.5, 1000000, now(), now())"
                ))
                .await;
            tokens.push(token);
        }
    }
    tokens
}

/// The tokens of the map, a token that stands there twice twice.
async fn mapped(world: &World) -> Vec<String> {
    world.all("SELECT token_id FROM {d}.ctf_token_map ORDER BY token_id").await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_mapped_as_their_fills_arrive_and_none_is_missed_or_comes_twice() {
    let world = World::with_tables().await;
    let mut expected = trade(&world, 0..5).await;
    let first = watched(&world, &[], &ticks(1, &[])).await;
    assert_eq!((first[0].full, first[0].new_tokens, first[0].mapped, first[0].unmapped), (true, 10, 10, 0));
    assert_eq!(first[0].by_source.values().sum::<u64>(), 10);
    for round in 1..4 {
        expected.extend(trade(&world, round * 5..round * 5 + 5).await);
        // The second tick reads the same fills once more, as one after a crash does.
        let found = watched(&world, &[], &ticks(2, &[])).await;
        let counts: Vec<_> =
            found.iter().map(|it| (it.full, it.new_tokens, it.mapped, it.unmapped)).collect();
        assert_eq!(counts, [(false, 10, 10, 0), (false, 0, 0, 0)]);
    }
    expected.sort();
    assert_eq!(mapped(&world).await, expected);
    let left: u64 = world
        .one("SELECT count() FROM system.tables WHERE database = '{s}' AND name LIKE 'backfill_tmp_%'")
        .await;
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_arrive_late_are_seen_within_the_overlap_and_behind_it_by_the_full_pass() {
    let world = World::with_tables().await;
    trade(&world, 0..1).await;
    watched(&world, &[], &ticks(1, &[])).await;
    for (number, late) in [(2_u8, 300), (3, 5_000)] {
        trade(&world, number..number + 1).await;
        world
            .run(&format!(
                "ALTER TABLE {{d}}.clob_fills UPDATE ingested_at = now() - {late} \
                 WHERE fill_id LIKE '{number}-%' SETTINGS mutations_sync = 1"
            ))
            .await;
    }
    let found = watched(&world, &[], &ticks(1, &[])).await;
    assert_eq!((found[0].new_tokens, found[0].mapped), (2, 2));
    let full = WatchOptions { full_every: Duration::ZERO, ..ticks(1, &[]) };
    let found = watched(&world, &[], &full).await;
    assert_eq!((found[0].full, found[0].missed, found[0].mapped), (true, 2, 2));
    assert_eq!(mapped(&world).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_derived_is_asked_for_once_and_merged() {
    let universe = small_universe(41);
    let scene = Scene::new(&universe, &[Source::Goldsky], |_, _| {}).await;
    let settings: Vec<&str> = scene.settings.iter().map(String::as_str).collect();
    let found = watched(&scene.world, &settings, &ticks(1, &[Source::Goldsky])).await;
    assert!(found[0].by_source.keys().any(|source| source.contains("goldsky")), "{:?}", found[0]);
    let asked = scene.stand_ins[&Source::Goldsky].counters().requests;
    let again = watched(&scene.world, &settings, &ticks(1, &[Source::Goldsky])).await;
    assert_eq!((again[0].new_tokens, again[0].mapped, again[0].unmapped), (0, 0, found[0].unmapped));
    assert_eq!(scene.stand_ins[&Source::Goldsky].counters().requests, asked, "nobody is asked again");
    let twice: u64 = scene
        .world
        .one("SELECT count() FROM (SELECT token_id FROM {d}.ctf_token_map FINAL GROUP BY token_id HAVING count() > 1)")
        .await;
    assert_eq!(twice, 0);
}

#[test]
fn a_time_that_no_clock_can_tick_is_refused_on_the_command_line() {
    use clap::Parser;
    for flag in ["--every", "--max-lag"] {
        for time in ["0s", "", "-1s", "25h", "x"] {
            let parsed = backfill::cli::Cli::try_parse_from(["backfill", "watch", flag, time]);
            assert!(parsed.is_err(), "{flag} {time:?}");
        }
        assert!(backfill::cli::Cli::try_parse_from(["backfill", "watch", flag, "30s"]).is_ok());
    }
}
