//! The traps of the users' tables, each with a test that fails if it is fallen into. (The one about clusters is in
//! `cluster.rs`.)

use std::collections::BTreeMap;

use crate::common::{World, small_universe, sources, stand_ins};
use backfill::ctf;
use backfill::ids::{ConditionId, TokenId, Wallet};
use backfill::outcome::Outcome;
use backfill::phases::derive::DeriveOptions;
use backfill::phases::merge::{MergeOptions, MergeResult};
use backfill::phases::setup::{SetupOptions, SetupResult};
use backfill::phases::track::TrackOptions;
use backfill::phases::validate::{Baseline, ValidateOptions, WalletResult};
use backfill::phases::verify::{VerifyOptions, VerifyResult};
use backfill::phases::{derive, merge, setup, track, validate, verify};
use backfill::process_lock::ProcessIdentity;
use backfill::source::Source;
use backfill::store::staging::{NotFoundRow, StagedRow};
use backfill::track::checkpoint::{Checkpoint, CheckpointFile};

const WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

/// The condition with this byte in every place.
fn condition(byte: u8) -> ConditionId {
    ConditionId::from_bytes([byte; 32])
}

/// The real token of an outcome of [`condition`].
fn token(byte: u8, index: u8) -> TokenId {
    ctf::token_id(&condition(byte), index, &ctf::default_collaterals()[0].address)
}

fn wallet() -> Wallet {
    WALLET.parse().unwrap()
}

/// Writes `(fill_id, proxy_wallet, asset_id, side, price, size)`.
async fn fills(world: &World, rows: &str) {
    world
        .run(&format!(
            "INSERT INTO {{d}}.clob_fills (fill_id, proxy_wallet, asset_id, side, price, size) VALUES {rows}"
        ))
        .await;
}

/// Writes one fill of an asset for each, of no wallet in particular.
async fn traded(world: &World, assets: &[&str]) {
    let row =
        |(number, asset): (usize, &&str)| format!("('f{number}', '0x1', '{asset}', 'BUY', 0.5, 1000000)");
    fills(world, &assets.iter().enumerate().map(row).collect::<Vec<_>>().join(", ")).await;
}

/// Writes one row of the map, in an insert of its own.
async fn mapped(world: &World, token: &str, condition: &str, index: u8, label: &str, fetched_at: &str) {
    world
        .run(&format!(
            "INSERT INTO {{d}}.ctf_token_map VALUES ('{token}', '{condition}', {index}, '{label}', 'old', '{fetched_at}')"
        ))
        .await;
}

async fn run_setup(world: &World, reset: bool) -> SetupResult {
    let options = SetupOptions { reset, ..SetupOptions::default() };
    setup::run(&world.context(&[]).await, &options).await.unwrap()
}

async fn run_merge(world: &World) -> MergeResult {
    merge::run(&world.context(&[]).await, &MergeOptions::default()).await.unwrap()
}

async fn run_verify(world: &World) -> VerifyResult {
    let options = VerifyOptions { wallets: vec![wallet()], gaps_file: None };
    verify::run(&world.context(&[]).await, &options).await.unwrap()
}

async fn run_validate(world: &World) -> WalletResult {
    let baseline = Baseline::new(wallet(), "1".parse().unwrap());
    let options = ValidateOptions {
        baselines: vec![baseline],
        positions_file: None,
        detail: false,
        ..ValidateOptions::default()
    };
    validate::run(&world.context(&[]).await, &options).await.unwrap().wallets.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_01_a_left_join_without_nulls_does_not_make_everything_mapped() {
    let world = World::with_tables().await;
    traded(&world, &["1", "2", "3", "4"]).await;
    mapped(&world, "1", &condition(1).to_string(), 0, "Yes", "2025-01-01 00:00:00").await;
    let naive: u64 = world
        .one(
            "SELECT countIf(m.token_id IS NOT NULL) FROM {d}.clob_fills AS f \
             LEFT JOIN {d}.ctf_token_map AS m ON f.asset_id = m.token_id",
        )
        .await;
    assert_eq!(naive, 4, "the trap is there");
    let coverage = run_setup(&world, false).await.coverage;
    assert_eq!((coverage.total, coverage.mapped, coverage.unmapped), (4, 1, 3));
    let verified = run_verify(&world).await;
    assert_eq!((verified.gap.coverage.mapped, verified.gap.mapped.fills), (1, 1));
    assert!(!verified.global_passes());
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_02_mapped_counts_traded_tokens_with_a_usable_row_and_the_parts_make_the_whole() {
    let world = World::with_tables().await;
    traded(&world, &["1", "2", "3", "4", "5", "6"]).await;
    let (good, at) = (condition(1).to_string(), "2025-01-01 00:00:00");
    mapped(&world, "1", &good, 0, "Yes", at).await;
    mapped(&world, "2", "", 0, "Yes", at).await;
    mapped(&world, "3", &good, 2, "Yes", at).await;
    mapped(&world, "4", &"0".repeat(64), 1, "No", at).await;
    mapped(&world, "5", &good, 0, "Yes", at).await;
    mapped(&world, "5", &condition(2).to_string(), 0, "Yes", at).await;
    mapped(&world, "777", &good, 1, "never traded", at).await;
    mapped(&world, "", &good, 1, "no token", at).await;
    let setup = run_setup(&world, false).await;
    let merged = run_merge(&world).await;
    let verified = run_verify(&world).await;
    for coverage in [setup.coverage, merged.before, merged.after, verified.gap.coverage] {
        assert_eq!((coverage.total, coverage.mapped, coverage.unmapped, coverage.ambiguous), (6, 1, 5, 1));
    }
    assert_eq!(setup.unmapped, 5, "every unmapped token is given to a track");
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_03_duplicates_in_map_resolutions_and_fills_count_once() {
    let world = World::with_tables().await;
    let (won, at) = (condition(1).to_string(), ["2025-01-01 00:00:00", "2025-01-02 00:00:00"]);
    mapped(&world, "1", &won, 0, "Yes", at[0]).await;
    mapped(&world, "1", &won, 0, "Yes", at[1]).await;
    // The newer resolution counts, whichever stands first.
    for (vector, at) in [("[1, 0]", at[1]), ("[0, 1]", at[0])] {
        world
            .run(&format!(
                "INSERT INTO {{d}}.market_resolutions_final (condition_id_norm, payout_numerators, \
                 payout_denominator, updated_at, winning_index) VALUES ('{won}', {vector}, 1, '{at}', 65535)"
            ))
            .await;
    }
    let fill = format!("('f1', '{WALLET}', '1', 'BUY', 0.25, 8000000)");
    fills(&world, &format!("{fill}, {fill}, {fill}, ('f2', '{WALLET}', '1', 'SELL', 0.5, 2000000)")).await;
    let map: u64 = world.one("SELECT count() FROM {d}.ctf_token_map").await;
    let resolutions: u64 = world.one("SELECT count() FROM {d}.market_resolutions_final").await;
    assert_eq!((map, resolutions), (2, 2), "the duplicates are there");
    let result = run_validate(&world).await;
    assert_eq!(result.positions.len(), 1);
    let position = &result.positions[0];
    assert_eq!((position.fills, position.net_shares.exact().as_str()), (2, "6000000"));
    // 6 shares pay $1 each, $2 were paid for eight and $1 was received for two.
    assert_eq!(result.total.exact(), "5");
    assert_eq!((result.data_quality.duplicates, result.data_quality.contradicting), (2, 1));
    let verified = run_verify(&world).await;
    assert_eq!((verified.wallets[0].fills, verified.wallets[0].mapped_fills), (2, 2));
    assert_eq!((verified.gap.coverage.total, verified.gap.coverage.mapped, verified.resolved), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_04_conditions_and_wallets_match_in_every_spelling() {
    let world = World::with_tables().await;
    let [a, b, c] = [0xaa, 0xbb, 0xcc].map(|byte| condition(byte).to_string());
    let at = "2025-01-01 00:00:00";
    mapped(&world, "1", &format!("0x{}", a.to_uppercase()), 0, "Yes", at).await;
    mapped(&world, "2", &b, 0, "Yes", at).await;
    mapped(&world, "3", &format!("0X{c}"), 0, "Yes", at).await;
    world
        .run(&format!(
            "INSERT INTO {{d}}.market_resolutions_final (condition_id_norm, payout_numerators, payout_denominator) \
             VALUES ('{a}', [1, 0], 1), ('{}', [1, 0], 1)",
            b.to_uppercase()
        ))
        .await;
    world
        .run(&format!("INSERT INTO {{d}}.gamma_resolved VALUES ('0x{}', 'yes', 1, now())", c.to_uppercase()))
        .await;
    let (lower, upper) = (WALLET, WALLET.to_uppercase().replacen("0X", "0x", 1));
    fills(
        &world,
        &format!(
            "('f1', '{lower}', '1', 'BUY', 0.5, 1000000), ('f2', '{upper}', '2', 'BUY', 0.5, 1000000), \
             ('f3', '{}', '3', 'BUY', 0.5, 1000000)",
            WALLET.to_uppercase()
        ),
    )
    .await;
    let result = run_validate(&world).await;
    assert_eq!((result.resolved().count(), result.total.exact().as_str()), (3, "1.5"));
    assert_eq!(run_verify(&world).await.wallets[0].mapped_fills, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_05_the_payout_decides_then_the_index_then_the_label() {
    let world = World::with_tables().await;
    let at = "2025-01-01 00:00:00";
    // Each token with its index, its label, what it is paid, and why.
    let tokens = [
        ("1", 1, 0, "Yes", Some("1"), "the vector, although the label says No"),
        ("2", 1, 1, "No", Some("0"), "the vector"),
        ("3", 2, 1, "Down", Some("1"), "the index that a label beside it supports, where there is no vector"),
        ("4", 3, 1, "Lakers", Some("1"), "the label, ignoring case"),
        ("5", 4, 0, "", Some("1"), "yes is index 0 where there is no label"),
        ("6", 5, 1, "Up", None, "no is neither of the labels, so it says nothing of either"),
        ("7", 6, 0, "Up", Some("0.5"), "a half"),
        ("8", 6, 1, "Down", Some("0.5"), "the other half"),
        ("9", 7, 0, "", None, "a team cannot be told without a label"),
    ];
    for (token, byte, index, label, ..) in tokens {
        mapped(&world, token, &condition(byte).to_string(), index, label, at).await;
    }
    // A text is compared with both labels of its condition.
    for (token, byte, index, label) in [("13", 3, 0, "Celtics"), ("15", 5, 0, "Down")] {
        mapped(&world, token, &condition(byte).to_string(), index, label, at).await;
    }
    let c = |byte| condition(byte).to_string();
    world
        .run(&format!(
            "INSERT INTO {{d}}.market_resolutions_final (condition_id_norm, payout_numerators, payout_denominator, \
             winning_outcome, winning_index) VALUES ('{}', [1, 0], 1, 'No', 0), ('{}', [], 0, 'Down', 1), \
             ('{}', [1, 1], 2, '', 65535)",
            c(1),
            c(2),
            c(6)
        ))
        .await;
    world
        .run(&format!(
            "INSERT INTO {{d}}.gamma_resolved VALUES ('{}', 'no', 1, now()), ('{}', 'LAKERS', 1, now()), \
             ('{}', 'Yes', 1, now()), ('{}', 'No', 1, now()), ('{}', 'Celtics', 1, now())",
            c(1),
            c(3),
            c(4),
            c(5),
            c(7)
        ))
        .await;
    let rows = tokens.map(|(token, ..)| format!("('f{token}', '{WALLET}', '{token}', 'BUY', 0.25, 4000000)"));
    fills(&world, &rows.join(", ")).await;
    let result = run_validate(&world).await;
    let paid: BTreeMap<_, _> = (result.positions.iter())
        .map(|it| (it.token_id.to_string(), it.decision.payout.as_ref().map(|payout| payout.exact())))
        .collect();
    for (token, _, _, _, payout, why) in tokens {
        assert_eq!(paid[token].as_deref(), payout, "token {token}: {why}");
    }
    // 4 shares each: four winners and two halves are paid 4 x $4 + 2 x $2, all seven cost $1 each.
    assert_eq!(result.total.exact(), "13");
    assert_eq!(result.data_quality.undecidable, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_06_counts_that_a_threshold_decides_are_exact() {
    let world = World::with_tables().await;
    world.run("INSERT INTO {d}.clob_fills (fill_id, asset_id) SELECT toString(number), toString(number + 1) FROM numbers(120000)").await;
    let map = |from: u32, to: u32| {
        format!(
            "INSERT INTO {{d}}.ctf_token_map SELECT toString(number), repeat('ab', 32), 0, 'Yes', 'old', now() \
             FROM numbers({from}, {})",
            to - from
        )
    };
    world.run(&map(1, 114_000)).await;
    let approximate: u64 = world.one("SELECT uniq(asset_id) FROM {d}.clob_fills").await;
    assert_ne!(approximate, 120_000, "the trap is there");
    let short = run_verify(&world).await;
    assert_eq!((short.gap.coverage.total, short.gap.coverage.mapped), (120_000, 113_999));
    assert!(!short.global_passes(), "one token short of 95 %");
    world.run(&map(114_000, 114_001)).await;
    let enough = run_verify(&world).await;
    assert_eq!((enough.gap.coverage.mapped, enough.gap.coverage.unmapped), (114_000, 6_000));
    assert!(enough.global_passes(), "95 % exactly");
    assert_eq!(run_setup(&world, false).await.unmapped, 6_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_07_no_two_workers_ask_for_the_same_tokens_and_none_is_passed_over() {
    let universe = small_universe(7);
    let world = World::with(&universe).await;
    let (dome, goldsky) = stand_ins(&universe, |options| options.track_tokens = true).await;
    let settings = sources(&dome, &goldsky);
    let mut settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    settings.extend(["--batch-size", "25", "--worker-count", "24"]);
    run_setup(&world, false).await;
    let context = world.context(&settings).await;
    let mut results = track::run(&context, &[Source::Goldsky], &TrackOptions::default()).await.unwrap();
    let result = results.remove(0).unwrap();
    let counters = goldsky.counters();
    assert_eq!(result.outcome, Outcome::Done);
    assert_eq!(counters.asked_again, 0, "{counters:?}");
    assert!(counters.requests > 50 && counters.tokens_asked <= result.total, "{counters:?}, {result:?}");
    let unanswered: u64 = world
        .one(
            "SELECT count() FROM {s}.unmapped_tokens_goldsky WHERE asset_id NOT IN \
             (SELECT token_id FROM {s}.clob_asset_map_goldsky UNION ALL SELECT token_id FROM {s}.not_found \
              UNION ALL SELECT token_id FROM {s}.rejected_mappings)",
        )
        .await;
    assert_eq!(unanswered, 0);
    assert!(result.inserted > 0, "rows are staged");
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_08_an_insert_that_is_acknowledged_is_there() {
    let world = World::with_tables().await;
    run_setup(&world, false).await;
    let by_default: String = world.one("SELECT toString(getSetting('async_insert'))").await;
    assert_eq!(by_default, "true", "the trap is there");
    let store = world.store().await;
    let sql = "SELECT toString(getSetting('async_insert'))";
    let ours: String = store.one("reading a setting", store.query(sql)).await.unwrap();
    let in_staging = store.client_in(&world.staging);
    let inserting: String = in_staging.query_raw(sql).fetch_one().await.unwrap();
    assert_eq!((ours.as_str(), inserting.as_str()), ("false", "false"));
    let table = store.staging_table("not_found");
    for number in 1..=20_u8 {
        let row = NotFoundRow { track: "goldsky", token_id: token(number, 0), asked_at: 1 };
        store.insert(&table, "goldsky", &[row]).await.unwrap();
        let rows: u64 = world.one("SELECT count() FROM {s}.not_found").await;
        assert_eq!(rows, u64::from(number));
    }
}

fn staged(token_id: TokenId, condition: ConditionId, index: u8, fetched_at: u32) -> StagedRow {
    StagedRow {
        token_id,
        condition_id_norm: condition,
        outcome_index: index,
        outcome_label: "Yes".to_owned(),
        source: "dome_api".to_owned(),
        fetched_at,
        collateral: "usdc_e".to_owned(),
        evidence: "proven",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_10_a_merged_mapping_outlives_a_broken_row_from_the_future() {
    let world = World::with_tables().await;
    let [good, lost, sound] = [(1, 0), (2, 1), (3, 0)].map(|(byte, index)| token(byte, index).to_string());
    traded(&world, &[&good, &lost, &sound]).await;
    let [past, present, future] = ["2024-01-01 00:00:00", "2025-01-01 00:00:00", "2033-05-18 00:00:00"];
    // Only a broken row; a good one that a broken one will replace; a good one that is the newest.
    mapped(&world, &good, "", 0, "", future).await;
    mapped(&world, &lost, &condition(2).to_string(), 1, "No", present).await;
    mapped(&world, &lost, "", 0, "", future).await;
    mapped(&world, &sound, "", 0, "", past).await;
    mapped(&world, &sound, &condition(3).to_string(), 0, "Yes", present).await;
    run_setup(&world, false).await;
    let store = world.store().await;
    let rows = [staged(token(1, 0), condition(1), 0, 100)];
    store.insert(&store.staging_table("clob_asset_map_dome"), "dome", &rows).await.unwrap();
    let merged = run_merge(&world).await;
    assert_eq!((merged.added, merged.before.mapped, merged.after.mapped), (1, 2, 3));
    let rows = async || world.one::<u64>("SELECT count() FROM {d}.ctf_token_map").await;
    let once = rows().await;
    assert_eq!(run_merge(&world).await.added, 0);
    assert_eq!(rows().await, once, "what was re-asserted is not again");
    world.run("SYSTEM START MERGES {d}.ctf_token_map").await;
    world.run("OPTIMIZE TABLE {d}.ctf_token_map FINAL").await;
    assert_eq!(rows().await, 3);
    assert_eq!(store.coverage().await.unwrap().mapped, 3, "every good row has survived");
    let (label, index): (String, u8) = world
        .one(&format!(
            "SELECT outcome_label, outcome_index FROM {{d}}.ctf_token_map WHERE token_id = '{lost}'"
        ))
        .await;
    assert_eq!((label.as_str(), index), ("No", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_14_twelve_thousand_wallets_are_not_too_many() {
    let world = World::with_tables().await;
    let wallets: Vec<Wallet> = (0..12_000_u32)
        .map(|number| {
            let mut bytes = [7; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            Wallet::from_bytes(bytes)
        })
        .collect();
    mapped(&world, "1", &condition(1).to_string(), 0, "Yes", "2025-01-01 00:00:00").await;
    world
        .run(&format!("INSERT INTO {{d}}.gamma_resolved VALUES ('{}', 'Yes', 1, now())", condition(1)))
        .await;
    let (first, last) = (wallets[0], wallets[11_999]);
    fills(
        &world,
        &format!("('f1', '{first}', '1', 'BUY', 0.5, 1000000), ('f2', '{last}', '1', 'BUY', 0.25, 1000000)"),
    )
    .await;
    let context = world.context(&[]).await;
    let options = VerifyOptions { wallets: wallets.clone(), gaps_file: None };
    let verified = verify::run(&context, &options).await.unwrap();
    assert_eq!((verified.wallets[0].mapped_fills, verified.wallets[11_999].mapped_fills), (1, 1));
    assert_eq!((verified.wallets[1].fills, verified.resolved), (0, 2));
    let baseline = |wallet: &Wallet| Baseline::new(*wallet, "1".parse().unwrap());
    let baselines = wallets.iter().map(baseline).collect();
    let options =
        ValidateOptions { baselines, positions_file: None, detail: false, ..ValidateOptions::default() };
    let validated = validate::run(&context, &options).await.unwrap();
    let totals = [0, 1, 11_999].map(|number| validated.wallets[number].total.exact());
    assert_eq!(totals, ["0.5", "0", "0.75"]);
    let left: u64 = world
        .one("SELECT count() FROM system.tables WHERE database = '{s}' AND startsWith(name, 'backfill_tmp_')")
        .await;
    assert_eq!(left, 0, "no temporary table is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_11_the_same_rows_come_back_after_a_reset_and_never_twice_without_one() {
    let world = World::with_tables().await;
    run_setup(&world, false).await;
    let store = world.store().await;
    let table = store.staging_table("clob_asset_map_dome");
    world.run("SYSTEM STOP MERGES {s}.clob_asset_map_dome").await;
    let rows = [staged(token(1, 0), condition(1), 0, 100), staged(token(2, 0), condition(2), 0, 100)];
    let count = async || world.one::<u64>("SELECT count() FROM {s}.clob_asset_map_dome").await;
    store.insert(&table, "dome", &rows).await.unwrap();
    store.insert(&table, "dome", &rows).await.unwrap();
    assert_eq!(count().await, 2, "a repeated insert adds nothing");
    let later = [staged(token(1, 0), condition(1), 0, 101), staged(token(2, 0), condition(2), 0, 100)];
    store.insert(&table, "dome", &later).await.unwrap();
    assert_eq!(count().await, 4, "rows that differ in a second only are other rows");
    // A delete would wait for merges.
    world.run("SYSTEM START MERGES {s}.clob_asset_map_dome").await;
    run_setup(&world, true).await;
    assert_eq!(count().await, 0);
    store.insert(&table, "dome", &rows).await.unwrap();
    assert_eq!(count().await, 2, "after a reset the same rows are new");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_merge_at_a_time_and_an_interrupted_setup_leaves_no_checkpoint_of_another_workload() {
    let world = World::with_tables().await;
    traded(&world, &["1", "2", "3"]).await;
    let folder = world.folder.path();
    // As a setup leaves it that was killed when it had exchanged the workload.
    let outdated = Checkpoint::new(Source::Goldsky, "another workload", 7, jiff::Timestamp::UNIX_EPOCH);
    CheckpointFile::lock(folder, Source::Goldsky).unwrap().save(&outdated).unwrap();
    assert_eq!(run_setup(&world, false).await.put_aside.len(), 1);
    CheckpointFile::lock(folder, Source::Goldsky).unwrap().save(&outdated).unwrap();
    let again = run_setup(&world, false).await;
    assert!(again.tracks.iter().all(|split| split.kept) && again.put_aside.len() == 1);
    let elsewhere = ProcessIdentity::parse("another-host/boot/1 4711 7").unwrap();
    let lease = world.store().await.lease("merge", &[], &elsewhere).await.unwrap();
    let options = MergeOptions { dry_run: true, ..MergeOptions::default() };
    let error = merge::run(&world.context(&[]).await, &options).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("4711 on another-host") && told.contains("working on merge"), "{told}");
    lease.release().await.unwrap();
    run_merge(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_12_an_empty_condition_joins_no_other_empty_one() {
    let world = World::with_tables().await;
    let at = "2025-01-01 00:00:00";
    mapped(&world, "1", "", 0, "Yes", at).await;
    mapped(&world, "2", &condition(2).to_string(), 0, "Yes", at).await;
    world
        .run(
            "INSERT INTO {d}.market_resolutions_final (condition_id_norm, payout_numerators, payout_denominator) \
             VALUES ('', [1, 0], 1)",
        )
        .await;
    world.run("INSERT INTO {d}.gamma_resolved VALUES ('', 'Yes', 1, now())").await;
    let naive: u64 = world
        .one(
            "SELECT count() FROM {d}.ctf_token_map AS m INNER JOIN {d}.market_resolutions_final AS r \
             ON m.condition_id_norm = r.condition_id_norm",
        )
        .await;
    assert_eq!(naive, 1, "the trap is there");
    let row = |token: &str| format!("('f{token}', '{WALLET}', '{token}', 'BUY', 0.25, 4000000)");
    fills(&world, &format!("{}, {}", row("1"), row("2"))).await;
    let result = run_validate(&world).await;
    assert_eq!((result.resolved().count(), result.positions.len()), (0, 1));
    assert_eq!(result.total.exact(), "0");
    let causes: Vec<_> = result.explanations.iter().map(|it| (it.cause, it.count)).collect();
    assert!(causes.contains(&("fills of unmapped tokens", 1)), "{causes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_13_ids_that_a_conversion_would_bend_into_tokens_are_malformed() {
    let world = World::with_tables().await;
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let wrapped = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let malformed = ["007", "+5", wrapped, "", " 5", "-1", "5.0", "1e3", "abc"];
    let mut assets = vec!["7", "5", "0", largest];
    assets.extend(malformed);
    traded(&world, &assets).await;
    // A map row under the same bad spelling does not make it a token.
    mapped(&world, "007", &condition(1).to_string(), 0, "Yes", "2025-01-01 00:00:00").await;
    let setup = run_setup(&world, false).await;
    let verified = run_verify(&world).await;
    for coverage in [setup.coverage, verified.gap.coverage] {
        assert_eq!((coverage.total, coverage.mapped, coverage.malformed), (4, 0, malformed.len() as u64));
    }
    let listed: Vec<String> = clickhouse::Client::default()
        .with_url(&world.url)
        .query(&format!(
            "SELECT asset_id FROM {}.unmapped_tokens ORDER BY length(asset_id), asset_id",
            world.staging
        ))
        .fetch_all()
        .await
        .unwrap();
    assert_eq!(listed, ["0", "5", "7", largest]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_15_months_are_those_of_utc_whatever_zone_a_column_has() {
    let world = World::with_tables().await;
    world.run("DROP TABLE {d}.clob_fills").await;
    world
        .run(
            "CREATE TABLE {d}.clob_fills (asset_id String, timestamp DateTime('America/Los_Angeles'), price Float64, \
             size Float64) \
             ENGINE = MergeTree ORDER BY asset_id",
        )
        .await;
    world
        .run(
            "INSERT INTO {d}.clob_fills SELECT asset, toDateTime(at, 'UTC'), 0.5, 1 FROM VALUES('asset String, at String', \
             ('1', '2025-10-31 23:59:59'), ('2', '2025-11-01 00:00:00'), ('3', '2025-11-30 23:59:59'))",
        )
        .await;
    let naive: String = world
        .one("SELECT toString(toStartOfMonth(timestamp)) FROM {d}.clob_fills WHERE asset_id = '2'")
        .await;
    assert_eq!(naive, "2025-10-01", "the trap is there");
    let store = world.store().await;
    let gaps = store.gaps(&[], 1).await.unwrap();
    let months: Vec<_> = gaps.months.iter().map(|it| (it.year, it.month, it.total)).collect();
    assert_eq!(months, [(2025, 10, 1), (2025, 11, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_16_a_wallet_is_found_in_every_case_and_its_copies_count_once() {
    let world = World::with_tables().await;
    mapped(&world, "1", &condition(1).to_string(), 0, "Yes", "2025-01-01 00:00:00").await;
    let upper = WALLET.to_uppercase().replacen("0X", "0x", 1);
    // The same fill, delivered once in each spelling, and another.
    fills(
        &world,
        &format!(
            "('f1', '{WALLET}', '1', 'BUY', 0.5, 1000000), ('f1', '{upper}', '1', 'BUY', 0.5, 1000000), \
             ('f2', '{upper}', '1', 'SELL', 0.75, 1000000), ('f3', '0xother', '1', 'SELL', 0.75, 1000000)"
        ),
    )
    .await;
    let result = run_validate(&world).await;
    let position = &result.positions[0];
    assert_eq!((position.fills, position.cashflow.exact().as_str()), (2, "250000"));
    assert_eq!(run_verify(&world).await.wallets[0].fills, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_are_no_text_break_no_phase() {
    let universe = small_universe(21);
    let world = World::with(&universe).await;
    let broken = "toString(MD5('label'))";
    world
        .run(&format!(
            "ALTER TABLE {{d}}.clob_fills UPDATE outcome = {broken} WHERE 1 SETTINGS mutations_sync = 2"
        ))
        .await;
    world
        .run(&format!(
            "ALTER TABLE {{d}}.ctf_token_map UPDATE outcome_label = {broken}, source = {broken} WHERE 1 \
             SETTINGS mutations_sync = 2"
        ))
        .await;
    let context = world.context(&[]).await;
    let derived = derive::run(&context, &DeriveOptions::default()).await.unwrap();
    assert!(derived.inserted > 0);
    world
        .run(&format!(
            "ALTER TABLE {{s}}.clob_asset_map_derived UPDATE outcome_label = {broken}, source = {broken} WHERE 1 \
             SETTINGS mutations_sync = 2"
        ))
        .await;
    let options = MergeOptions { repair: true, ..MergeOptions::default() };
    let merged = merge::run(&context, &options).await.unwrap();
    assert_eq!(merged.added, derived.inserted);
    assert!(run_verify(&world).await.gap.coverage.mapped >= derived.inserted);
}
