//! `merge --repair` on a genuine ClickHouse: rows that the hash proves wrong are replaced, and no other is touched.

use std::collections::BTreeMap;

use crate::common::{World, condition, token};
use backfill::demo::{Universe, UniverseOptions};
use backfill::ids::TokenId;
use backfill::phases::merge::{self, MergeOptions, MergeResult};
use backfill::phases::verify::{self, VerifyOptions};

/// Token to condition, index, label, source and question; only one row a token may be left.
type Map = BTreeMap<String, (String, u8, String, String)>;

fn with_repair() -> MergeOptions {
    MergeOptions { repair: true, ..MergeOptions::default() }
}

async fn rows(world: &World) -> Vec<(String, String, u8, String, String)> {
    let client = clickhouse::Client::default().with_url(&world.url);
    let sql = format!(
        "SELECT DISTINCT token_id, condition_id_norm, outcome_index, outcome_label, question FROM {}.ctf_token_map \
         ORDER BY token_id, condition_id_norm, outcome_index",
        world.database
    );
    client.query(&sql).fetch_all().await.unwrap()
}

async fn map(world: &World) -> Map {
    let rows = rows(world).await;
    let count = rows.len();
    let map: Map = rows.into_iter().map(|(token, c, i, l, q)| (token, (c, i, l, q))).collect();
    assert_eq!(map.len(), count, "a token stands twice in the map");
    map
}

/// An empty world whose map has a column of its own and this engine, and is merged only when that is asked for.
async fn world(engine: &str) -> World {
    let world = World::new().await;
    let store = world.context(&[]).await.store;
    world
        .run(&format!(
            "CREATE TABLE {{d}}.ctf_token_map (token_id String, condition_id_norm String, outcome_index UInt8, \
             outcome_label String, source String, fetched_at DateTime DEFAULT now(), question String) \
             ENGINE = {engine} ORDER BY token_id \
             SETTINGS max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1"
        ))
        .await;
    store.create_missing_tables().await.unwrap();
    store.create_staging().await.unwrap();
    world
}

async fn insert(
    world: &World,
    token: TokenId,
    condition: &str,
    index: u8,
    label: &str,
    at: u32,
    question: &str,
) {
    // Each row an insert of its own: they must not replace each other while they are written.
    world
        .run(&format!(
            "INSERT INTO {{d}}.ctf_token_map VALUES ('{token}', '{condition}', {index}, '{label}', 'old', {at}, '{question}')"
        ))
        .await;
}

async fn merge(world: &World, options: &MergeOptions) -> MergeResult {
    merge::run(&world.context(&[]).await, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_rows_are_replaced_in_every_engine_and_all_others_stay() {
    for engine in ["ReplacingMergeTree(fetched_at)", "MergeTree"] {
        let world = world(engine).await;
        let (right, other, future) = (condition(1).to_string(), condition(9).to_string(), 2_000_000_000);
        // Swapped, dated in the future; ambiguous; of another market, which staging knows better; and unproven.
        insert(&world, token(1, 0), &format!("0x{}", right.to_uppercase()), 1, "Yes", future, "why").await;
        insert(&world, token(1, 1), &right, 1, "No", 1_000, "right").await;
        insert(&world, token(2, 0), &condition(2).to_string(), 0, "Up", 1_000, "kept").await;
        insert(&world, token(2, 0), &other, 1, "Lakers", 2_000, "wrong").await;
        insert(&world, token(3, 1), &other, 0, "Lakers", 1_000, "wrong").await;
        insert(&world, token(4, 1), &other, 0, "Celtics", 1_000, "nobody knows").await;
        world
            .run(&format!(
                "INSERT INTO {{s}}.clob_asset_map_dome (token_id, condition_id_norm, outcome_index, outcome_label) \
                 VALUES ('{}', '{}', 1, 'Down')",
                token(3, 1),
                condition(3)
            ))
            .await;
        let before = rows(&world).await;
        let said = merge(&world, &MergeOptions { dry_run: true, ..with_repair() }).await;
        assert_eq!(
            (said.map.unwrap().proven, said.map.unwrap().wrong, said.map.unwrap().unproven),
            (2, 3, 1),
            "{engine}"
        );
        assert_eq!((said.map.unwrap().wrong_tokens, said.repaired), (3, 3));
        assert_eq!(merge(&world, &MergeOptions::default()).await.repaired, 0);
        assert_eq!(rows(&world).await, before, "nothing is repaired that was not asked for");

        assert_eq!(merge(&world, &with_repair()).await.repaired, 3);
        let expected: Map = [
            (token(1, 0), condition(1), 0, "Yes", "why"),
            (token(1, 1), condition(1), 1, "No", "right"),
            (token(2, 0), condition(2), 0, "Up", "kept"),
            (token(3, 1), condition(3), 1, "Down", ""),
            (token(4, 1), condition(9), 0, "Celtics", "nobody knows"),
        ]
        .into_iter()
        .map(|(token, condition, index, label, question)| {
            (token.to_string(), (condition.to_string(), index, label.to_owned(), question.to_owned()))
        })
        .collect();
        assert_eq!(map(&world).await, expected, "{engine}");
        let again = merge(&world, &with_repair()).await;
        assert_eq!((again.repaired, again.map.unwrap().wrong, again.map.unwrap().unproven), (0, 0, 1));
        world.run("OPTIMIZE TABLE {d}.ctf_token_map FINAL").await;
        assert_eq!(map(&world).await, expected, "{engine}, after a background merge");
        let left: u64 = world
            .one("SELECT count() FROM system.tables WHERE database = '{s}' AND name LIKE 'backfill_tmp%'")
            .await;
        assert_eq!(left, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_universe_with_wrong_rows_is_right_afterwards() {
    // More of them than one deletion takes.
    let options = UniverseOptions {
        seed: 21,
        traded_tokens: 8_000,
        mapped_tokens: 4_000,
        fills: 20_000,
        wrong_map_rows: 1_200,
        ..UniverseOptions::default()
    };
    let universe = Universe::generate(options).unwrap();
    let world = World::with(&universe).await;
    world.context(&[]).await.store.create_staging().await.unwrap();
    let result = merge(&world, &with_repair()).await;
    let wrong = universe.options().wrong_map_rows as u64;
    assert_eq!(wrong, 1_200);
    assert_eq!((result.map.unwrap().wrong, result.repaired, result.map.unwrap().unproven), (wrong, wrong, 0));
    let again = merge(&world, &with_repair()).await;
    assert_eq!((again.map.unwrap().wrong, again.repaired), (0, 0));
    assert_eq!((again.before.mapped, again.after), (result.before.mapped, result.after));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rows_that_say_the_same_one_stays_and_verify_counts_the_others() {
    let world = world("MergeTree").await;
    let (first, second, third) = (token(1, 0), token(2, 1), token(3, 0));
    world.run("CREATE TABLE {d}.gamma_resolved (cid String, winning_outcome String, closed UInt8, fetched_at DateTime) ENGINE = MergeTree ORDER BY cid").await;
    let right = |number: u8| condition(number).to_string();
    // Equal in everything; equal in what counts, and the one with a label is better; one row alone.
    for _ in 0..3 {
        insert(&world, first, &right(1), 0, "Yes", 100, "q").await;
    }
    insert(&world, second, &right(2), 1, "", 900, "newer").await;
    insert(&world, second, &right(2), 1, "No", 500, "labelled").await;
    insert(&world, second, &right(2), 1, "No", 400, "older").await;
    insert(&world, third, &right(3), 0, "Yes", 100, "alone").await;
    let verified = async || {
        let context = world.context(&["--coverage-target", "0", "--min-positions", "0"]).await;
        verify::run(&context, &VerifyOptions::default()).await.unwrap()
    };
    let repair = MergeOptions { repair: true, ..MergeOptions::default() };
    let before = verified().await;
    assert_eq!((before.duplicates, before.passes()), (2, false));
    let dry = merge(&world, &MergeOptions { dry_run: true, repair: true, ..MergeOptions::default() }).await;
    assert_eq!((dry.copies_removed, dry.duplicates), (Some(2), 2));
    let merged = merge(&world, &repair).await;
    assert_eq!((merged.copies_removed, merged.duplicates_before, merged.duplicates), (Some(2), 2, 0));
    let map = map(&world).await;
    assert_eq!(map.len(), 3);
    assert_eq!(map[&second.to_string()].3, "labelled");
    let rows: u64 = world.one("SELECT count() FROM {d}.ctf_token_map").await;
    assert_eq!(rows, 3);
    let after = verified().await;
    assert_eq!((after.duplicates, after.passes()), (0, true));
    assert_eq!(merge(&world, &repair).await.copies_removed, Some(0), "and a second repair finds nothing");
}
