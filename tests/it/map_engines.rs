//! Maps of production shapes are no worse after a merge than before, whatever their engine keeps.

use std::collections::BTreeSet;

use crate::common::{self, World, condition};
use backfill::ids::TokenId;
use backfill::phases::merge::{self, MergeOptions};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn token(number: u8) -> TokenId {
    common::token(number, 0)
}

/// A world with this map and the fills of tokens 1 to `tokens`.
async fn world(map: &str, tokens: u8) -> World {
    let world = World::new().await;
    world.run("CREATE TABLE {d}.clob_fills (asset_id String) ENGINE = MergeTree ORDER BY asset_id").await;
    world.run(&format!("CREATE TABLE {{d}}.ctf_token_map {map}")).await;
    world.run("SYSTEM STOP MERGES {d}.ctf_token_map").await;
    for number in 1..=tokens {
        world.run(&format!("INSERT INTO {{d}}.clob_fills VALUES ('{}')", token(number))).await;
    }
    world.context(&[]).await.store.create_staging().await.unwrap();
    world
}

async fn stage(world: &World, number: u8) {
    world
        .run(&format!(
            "INSERT INTO {{s}}.clob_asset_map_dome (token_id, condition_id_norm, outcome_index, outcome_label, collateral) \
             VALUES ('{}', '{}', 0, 'Yes', 'usdc_e')",
            token(number),
            condition(number)
        ))
        .await;
}

async fn optimize(world: &World) {
    world.run("SYSTEM START MERGES {d}.ctf_token_map").await;
    world.run("OPTIMIZE TABLE {d}.ctf_token_map FINAL").await;
    world.run("SYSTEM STOP MERGES {d}.ctf_token_map").await;
}

/// The tokens that have a right row, and how many rows all of them have together.
async fn right(world: &World, last: &str) -> (BTreeSet<u8>, u64) {
    let client = clickhouse::Client::default().with_url(&world.url);
    let sql = format!("SELECT token_id, condition_id_norm FROM {}.ctf_token_map{last}", world.database);
    let rows: Vec<(String, String)> = client.query(&sql).fetch_all().await.unwrap();
    let found: Vec<u8> = (rows.iter())
        .filter_map(|(id, of)| {
            (1..100).find(|it| token(*it).to_string() == *id && condition(*it).to_string() == *of)
        })
        .collect();
    (found.iter().copied().collect(), found.len() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_row_stays_whatever_column_decides_which_one_does() {
    let columns = "token_id String, condition_id_norm String, outcome_index UInt8";
    let maps = [
        (
            format!(
                "({columns}, version UInt32 DEFAULT 1) ENGINE = ReplacingMergeTree(version) ORDER BY token_id"
            ),
            "2",
        ),
        (
            format!("({columns}, version Int64) ENGINE = ReplacingMergeTree(version) ORDER BY token_id"),
            "9000000000",
        ),
        (
            format!(
                "({columns}, created_at DateTime DEFAULT now()) ENGINE = ReplacingMergeTree(created_at) ORDER BY token_id"
            ),
            "'2050-01-01 00:00:00'",
        ),
        (
            format!(
                "({columns}, at DateTime64(6) DEFAULT now64(6)) ENGINE = ReplacingMergeTree(at) ORDER BY token_id"
            ),
            "'2050-01-01 00:00:00.123456'",
        ),
        (
            format!(
                "({columns}, day Date DEFAULT today()) ENGINE = ReplacingMergeTree(day) ORDER BY token_id"
            ),
            "'2050-01-01'",
        ),
        (
            format!(
                "({columns}, v UInt64, gone UInt8 DEFAULT 0) ENGINE = ReplacingMergeTree(v, gone) ORDER BY token_id"
            ),
            "5, 0",
        ),
        (format!("({columns}, note String) ENGINE = ReplacingMergeTree ORDER BY token_id"), "'x'"),
        (
            format!("({columns}, sign Int8 DEFAULT 1) ENGINE = CollapsingMergeTree(sign) ORDER BY token_id"),
            "1",
        ),
    ];
    for (map, broken) in maps {
        let world = world(&map, 2).await;
        for number in [1, 2] {
            world
                .run(&format!(
                    "INSERT INTO {{d}}.ctf_token_map VALUES ('{}', '', 0, {broken})",
                    token(number)
                ))
                .await;
            stage(&world, number).await;
        }
        let context = world.context(&[]).await;
        for added in [2, 0, 0] {
            let merged = merge::run(&context, &MergeOptions::default()).await.unwrap();
            assert_eq!((merged.added, merged.duplicates, merged.after.mapped), (added, 0, 2), "{map}");
            optimize(&world).await;
            assert_eq!(right(&world, " FINAL").await, (BTreeSet::from([1, 2]), 2), "{map}");
            assert_eq!(right(&world, "").await.1, 2, "{map}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_put_above_a_row_nothing_is_written() {
    let columns = "token_id String, condition_id_norm String, outcome_index UInt8";
    for (version, largest) in [
        ("UInt8", "255"),
        ("Int16", "32767"),
        ("UInt64", "18446744073709551615"),
        ("DateTime", "4294967295"),
        ("Date", "'2149-06-06'"),
        ("DateTime64(3)", "'2299-12-31 23:59:59.999'"),
    ] {
        let map = format!("({columns}, ver {version}) ENGINE = ReplacingMergeTree(ver) ORDER BY token_id");
        let world = world(&map, 2).await;
        world
            .run(&format!("INSERT INTO {{d}}.ctf_token_map VALUES ('{}', '', 0, {largest})", token(1)))
            .await;
        for number in [1, 2] {
            stage(&world, number).await;
        }
        let error = merge::run(&world.context(&[]).await, &MergeOptions::default()).await.unwrap_err();
        let error = error.to_string();
        for words in ["the column ver of", &token(1).to_string(), "nothing was written"] {
            assert!(error.contains(words), "{error}");
        }
        let rows: u64 = world.one("SELECT count() FROM {d}.ctf_token_map").await;
        assert_eq!(rows, 1, "{version}");
        let left: u64 = world
            .one("SELECT count() FROM system.tables WHERE database = '{s}' AND name LIKE 'backfill_tmp%'")
            .await;
        assert!(left <= 2, "temporary tables are dropped by the next merge");
    }
}

/// A map of a random production shape.
struct Shape {
    ddl: String,
    /// What stands behind token, condition, index and label in a row of this version and mark.
    rest: fn(u64, bool) -> String,
    /// Whether a `FINAL` read is possible.
    has_final: bool,
}

fn shape(random: &mut ChaCha8Rng) -> Shape {
    let columns = "token_id String, condition_id_norm String, outcome_index UInt8, outcome_label String";
    let order = [
        "token_id",
        "(token_id, outcome_label)",
        "(condition_id_norm, token_id)",
        "(token_id, condition_id_norm)",
    ];
    let order = order[(random.next_u64() % 4) as usize];
    let (more, engine, rest): (&str, &str, fn(u64, bool) -> String) = match random.next_u64() % 9 {
        0 => (", fetched_at DateTime DEFAULT now()", "MergeTree", |at, _| format!(", {at}")),
        1 => (", fetched_at DateTime DEFAULT now()", "ReplacingMergeTree(fetched_at)", |at, _| {
            format!(", {}", at * 1_000_000_000)
        }),
        2 => ("", "ReplacingMergeTree", |_, _| String::new()),
        3 => (", version UInt32 DEFAULT 1", "ReplacingMergeTree(version)", |at, _| format!(", {at}")),
        4 => (", version UInt8", "ReplacingMergeTree(version)", |at, _| format!(", {}", 252 + at)),
        5 => (", version Int64, fetched_at DateTime64(3)", "ReplacingMergeTree(version)", |at, _| {
            format!(", {at}, now64(3)")
        }),
        6 => (", v UInt64, gone UInt8", "ReplacingMergeTree(v, gone)", |at, gone| {
            format!(", {at}, {}", u8::from(gone))
        }),
        7 => (", at DateTime64(6)", "ReplacingMergeTree(at)", |at, _| {
            format!(", toDateTime64({}, 6)", at * 1_500_000_000)
        }),
        _ => (", sign Int8 DEFAULT 1", "CollapsingMergeTree(sign)", |_, _| ", 1".to_owned()),
    };
    Shape {
        ddl: format!("({columns}{more}) ENGINE = {engine} ORDER BY {order}"),
        rest,
        has_final: engine != "MergeTree",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_maps_are_never_worse_after_a_merge() {
    const TOKENS: u8 = 8;
    let seeds = std::env::var("BACKFILL_MAP_WORLDS").ok().and_then(|it| it.parse().ok()).unwrap_or(12);
    for seed in 0..seeds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut below = |sides: u64| random.next_u64() % sides;
        let mut chooser = ChaCha8Rng::seed_from_u64(below(u64::MAX));
        let Shape { ddl, rest, has_final } = shape(&mut chooser);
        let world = world(&ddl, TOKENS).await;
        let mut staged = BTreeSet::new();
        for number in 1..=TOKENS {
            for _ in 0..below(4) {
                let of = if below(2) == 0 { condition(number).to_string() } else { String::new() };
                let (label, at, gone) = (["", "Yes"][below(2) as usize], below(4), below(5) == 0);
                world
                    .run(&format!(
                        "INSERT INTO {{d}}.ctf_token_map VALUES ('{}', '{of}', 0, '{label}'{})",
                        token(number),
                        rest(at, gone)
                    ))
                    .await;
            }
            if below(2) == 0 {
                stage(&world, number).await;
                staged.insert(number);
            }
        }
        if below(3) == 0 {
            optimize(&world).await;
        }
        let last = if has_final { " FINAL" } else { "" };
        let any = right(&world, "").await.0;
        let is_marked = ddl.contains("gone");
        // What a reader without FINAL saw stays, but for rows that are marked as deleted.
        let before = right(&world, if is_marked { last } else { "" }).await.0;
        let (_, rows_before) = right(&world, last).await;
        let untouched: u64 = world.one("SELECT count() FROM {d}.ctf_token_map").await;
        let mut refused = false;
        for _ in 0..2 + below(3) {
            match merge::run(&world.context(&[]).await, &MergeOptions::default()).await {
                Ok(merged) => assert!(merged.after.mapped >= merged.before.mapped, "seed {seed}: {ddl}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(
                        error.contains("the column version of") && ddl.contains("UInt8\u{29}")
                            || ddl.contains("version UInt8"),
                        "seed {seed}: {error}"
                    );
                    refused = true;
                    break;
                }
            }
            if below(2) == 0 {
                optimize(&world).await;
            }
        }
        if refused {
            let rows: u64 = world.one("SELECT count() FROM {d}.ctf_token_map").await;
            assert_eq!(rows, untouched, "seed {seed}: a merge that refuses writes nothing");
            continue;
        }
        optimize(&world).await;
        let (after, rows_after) = right(&world, last).await;
        let wanted: BTreeSet<u8> = before.union(&staged).copied().collect();
        assert!(wanted.is_subset(&after), "seed {seed}: {ddl}: {wanted:?} of {after:?}");
        let possible: BTreeSet<u8> = any.union(&staged).copied().collect();
        assert!(after.is_subset(&possible), "seed {seed}: {ddl}");
        let second = rows_after - after.len() as u64;
        assert!(second <= rows_before, "seed {seed}: {ddl}: {second} second rows of {rows_before}");
    }
}
