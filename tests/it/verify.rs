//! Phase 4 on a genuine ClickHouse: true coverage, true weights, and a cause for every token that is not mapped.

use crate::common::{World, small_universe};
use backfill::ids::Wallet;
use backfill::phases::verify::{self, VerifyOptions, VerifyResult};
use backfill::report::Report;
use backfill::results::Verify;
use backfill::store::gaps::{GapCause, Month};

const WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

fn token(number: u8) -> String {
    format!("70000000000000000000000000000000000000000000000000000000000000000000000{number:03}")
}

/// Empty tables, of the two with winners only the one.
async fn tables() -> World {
    let world = World::with_tables().await;
    world.run("DROP TABLE {d}.market_resolutions_final").await;
    world
}

/// A fill of a token, by its asset id, at a price, a size and a time.
async fn fill(world: &World, id: &str, asset: &str, price: &str, size: &str, time: &str) {
    world
        .run(&format!(
            "INSERT INTO {{d}}.clob_fills (fill_id, proxy_wallet, asset_id, side, price, size, timestamp) \
             VALUES ('{id}', '{WALLET}', '{asset}', 'BUY', {price}, {size}, toDateTime('{time}', 'UTC'))"
        ))
        .await;
}

async fn map(world: &World, number: u8, condition: &str, index: u8) {
    let token = token(number);
    world
        .run(&format!(
            "INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm, outcome_index) \
             VALUES ('{token}', '{condition}', {index})"
        ))
        .await;
}

async fn verified(world: &World, more: &[&str]) -> VerifyResult {
    let context = world.context(more).await;
    let wallets: Vec<Wallet> = vec![WALLET.parse().unwrap()];
    verify::run(&context, &VerifyOptions { wallets, gaps_file: None }).await.unwrap()
}

const NOON: &str = "2024-03-01 12:00:00";

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_the_universes_own() {
    let universe = small_universe(3);
    let world = World::with(&universe).await;
    let (result, expected) = (verified(&world, &[]).await, universe.expected());
    let coverage = &result.gap.coverage;
    assert_eq!(
        (coverage.total, coverage.mapped, coverage.unmapped),
        (expected.traded, expected.mapped, expected.unmapped)
    );
    assert_eq!(
        (coverage.malformed, result.gap.malformed_fills),
        (expected.malformed_asset_ids, expected.malformed_fills)
    );
    assert_eq!(result.gap.total.fills + expected.malformed_fills, expected.fills);
    assert_eq!(result.wallets[0].fills, 194, "each fill once, however often it was delivered");
    let months: u64 = result.gap.months.iter().map(|month| month.total).sum();
    let known: u64 = world
        .one("SELECT uniqExact(asset_id, toYYYYMM(timestamp, 'UTC')) FROM {d}.clob_fills WHERE toString(toUInt256OrNull(asset_id)) = asset_id")
        .await;
    assert_eq!(months, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unmapped_token_has_one_cause_and_its_exact_volume() {
    let world = tables().await;
    let context = world.context(&[]).await;
    context.store.create_staging().await.unwrap();
    let condition = "ab".repeat(32);
    for number in 0..8 {
        // 0.1 + 0.2 is no number of six decimals: it is added up with all of its digits.
        fill(&world, &format!("{number}"), &token(number), "0.1 + 0.2", "1000000", NOON).await;
    }
    map(&world, 0, &condition, 0).await;
    map(&world, 1, &condition, 0).await;
    map(&world, 1, &"cd".repeat(32), 0).await;
    map(&world, 7, "", 0).await;
    let [staged, rejected, unknown, failed] = [2, 3, 4, 5].map(token);
    for sql in [
        format!(
            "INSERT INTO {{s}}.clob_asset_map_dome (token_id, condition_id_norm) VALUES ('{staged}', '{condition}')"
        ),
        format!("INSERT INTO {{s}}.rejected_mappings (track, token_id) VALUES ('dome', '{rejected}')"),
        // Two answers about one token: it counts once.
        format!(
            "INSERT INTO {{s}}.not_found (track, token_id) VALUES ('dome', '{unknown}'), ('goldsky', '{rejected}')"
        ),
        "CREATE TABLE {s}.unmapped_tokens_dome (asset_id String) ENGINE = MergeTree ORDER BY asset_id"
            .to_owned(),
        format!("INSERT INTO {{s}}.unmapped_tokens_dome VALUES ('{failed}'), ('{}')", token(6)),
    ] {
        world.run(&sql).await;
    }
    let checkpoint = serde_json::json!({
        "version": 1, "track": "dome", "workload": "w", "total": 2, "processed": 1, "inserted": 0, "not_found": 0,
        "rejected": 0, "failed": 1, "last_token": failed, "started_at": "2025-11-11T00:00:00Z",
        "updated_at": "2025-11-11T00:00:00Z",
        "gaps": [{"first": failed, "last": failed, "tokens": 1, "failure": "HTTP 500"}],
    });
    std::fs::write(world.folder.path().join("dome-track-checkpoint.json"), checkpoint.to_string()).unwrap();
    let result = verified(&world, &[]).await;
    assert!(world.kept.notices.lock().unwrap().is_empty(), "the checkpoint is read");
    let mut causes: Vec<(GapCause, u64, String)> = (result.gap.causes.iter())
        .map(|(cause, weight)| (*cause, weight.tokens, weight.volume.exact()))
        .collect();
    causes.sort();
    let one = "0.30000000000000004".to_owned();
    let expected =
        [GapCause::Ambiguous, GapCause::Staged, GapCause::Rejected, GapCause::NotFound, GapCause::Failed]
            .map(|cause| (cause, 1, one.clone()));
    assert_eq!(causes[..5], expected);
    assert_eq!(causes[5], (GapCause::NeverAsked, 2, "0.60000000000000008".to_owned()));
    assert_eq!((result.gap.mapped.tokens, result.gap.coverage.ambiguous), (1, 1));
    assert_eq!(result.gap.coverage.total, result.gap.coverage.mapped + result.gap.coverage.unmapped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percentage_below_the_target_never_reads_as_reached() {
    let world = tables().await;
    world
        .run(
            "INSERT INTO {d}.clob_fills (fill_id, proxy_wallet, asset_id, side, price, size, timestamp) \
              SELECT toString(number), '0x', toString(number + 1), 'BUY', 0.5, 1, now() FROM numbers(100000)",
        )
        .await;
    world
        .run(
            "INSERT INTO {d}.ctf_token_map (token_id, condition_id_norm) \
              SELECT toString(number + 1), repeat('ab', 32) FROM numbers(94999)",
        )
        .await;
    let result = verified(&world, &[]).await;
    assert!(!result.global_passes());
    let text = Verify::from(&result).text();
    assert!(
        text.contains("Coverage: 94.99%")
            && text.contains("❌ Global coverage below 95%, margin -0.00 points (-1)"),
        "{text}"
    );
    world
        .run(&format!(
            "INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm) VALUES ('95000', '{}')",
            "ab".repeat(32)
        ))
        .await;
    let result = verified(&world, &[]).await;
    assert!(result.global_passes());
    assert!(Verify::from(&result).text().contains("✅ Global coverage ≥95%, margin +0.00 points (+0)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn months_are_utcs_and_odd_dates_numbers_and_ids_are_counted() {
    let world = tables().await;
    fill(&world, "a", &token(1), "0.5", "2000000", "2024-02-29 23:59:59").await;
    fill(&world, "b", &token(1), "0.5", "2000000", "2024-03-01 00:00:00").await;
    fill(&world, "c", &token(2), "nan", "1", "1970-01-01 00:00:00").await;
    fill(&world, "d", &token(2), "0.5", "-inf", "2106-02-07 06:28:15").await;
    fill(&world, "e", &token(3), "-0.5", "1e300", NOON).await;
    fill(&world, "f", &token(3), "1", "1e18", NOON).await;
    for (number, asset) in ["", "007", "+5", "0x12", "five"].iter().enumerate() {
        fill(&world, &format!("m{number}"), asset, "0.5", "1", NOON).await;
    }
    map(&world, 1, &"AB".repeat(32), 0).await;
    let result = verified(&world, &["--min-positions", "0"]).await;
    let gap = &result.gap;
    assert_eq!(
        gap.months,
        [
            Month { year: 2024, month: 2, total: 1, mapped: 1 },
            Month { year: 2024, month: 3, total: 2, mapped: 1 }
        ]
    );
    assert_eq!((gap.odd_dates, gap.without_volume, gap.coverage.malformed), (1, 3, 5));
    assert_eq!(gap.mapped.volume.cents(), "$2.00");
    assert_eq!(gap.total.volume.exact(), "1000000000002", "nothing wraps");
    assert_eq!(gap.unmapped[0].token.to_string(), token(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_gaps_go_to_a_file_and_nothing_is_left_behind() {
    let universe = small_universe(4);
    let world = World::with(&universe).await;
    let context = world.context(&[]).await;
    let path = world.folder.path().join("gaps.csv");
    let options = VerifyOptions { wallets: vec![WALLET.parse().unwrap()], gaps_file: Some(path.clone()) };
    let result = verify::run(&context, &options).await.unwrap();
    assert_eq!(result.gap.unmapped.len(), 20);
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().count() as u64, 1 + universe.expected().unmapped);
    let made: u64 = world.one("SELECT count() FROM system.databases WHERE name = '{s}'").await;
    assert_eq!(made, 0, "verify writes nothing to the server");
    let json = Verify::from(&result).json();
    assert_eq!(json["global"]["total"], universe.expected().traded);
    assert_eq!(json["unmapped_sample"].as_array().unwrap().len(), 20);
}
