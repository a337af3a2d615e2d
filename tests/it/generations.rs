//! Tables that hold token ids of both generations: nothing of them is lost, doubled or taken for something else.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::common::{Scene, World, small_universe};
use backfill::demo::stand_in::FaultPlan;
use backfill::demo::universe::{BASELINE_WALLET, Kind, Outcome};
use backfill::demo::{Universe, UniverseOptions, load};
use backfill::ids::{ConditionId, TokenId};
use backfill::phases::derive::{self, DeriveOptions};
use backfill::phases::merge::{self, MergeOptions};
use backfill::proof::Evidence;
use backfill::source::Source;

/// A universe in which a fifth is of the second generation.
fn universe(seed: u64) -> Arc<Universe> {
    let options = UniverseOptions { seed, v2_share: 0.2, ..small_universe(seed).options().clone() };
    Arc::new(Universe::generate(options).unwrap())
}

/// Every condition in the users' tables, in the spelling that it has there.
async fn known(world: &World) -> HashSet<ConditionId> {
    let mut known = HashSet::new();
    for (table, column) in [
        ("clob_fills", "condition_id"),
        ("ctf_token_map", "condition_id_norm"),
        ("market_resolutions_final", "condition_id_norm"),
        ("gamma_resolved", "cid"),
    ] {
        let sql = format!("SELECT DISTINCT replaceAll(toString({column}), '\\0', '') FROM {{d}}.{table}");
        let spelled: Vec<String> = world.all(&sql).await;
        known.extend(spelled.iter().filter_map(|text| text.parse::<ConditionId>().ok()));
    }
    known
}

/// Where a token of the second generation belongs, by what is known.
fn expected(outcome: &Outcome<'_>, known: &HashSet<ConditionId>) -> (ConditionId, Evidence) {
    let condition = outcome.market.condition();
    match outcome.market.kind() {
        Kind::Hash | Kind::Combo => (condition, Evidence::Proven),
        Kind::Mirror if known.contains(&condition) => (condition, Evidence::Mirror),
        Kind::Mirror => (condition.mirror().unwrap().condition_id(), Evidence::Structural),
        Kind::Binary | Kind::NegRisk => (condition, Evidence::Structural),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn derive_maps_every_native_token_and_mirror_without_asking_anybody() {
    let universe = universe(61);
    let world = World::with(&universe).await;
    let known = known(&world).await;
    let context = world.context(&["--combos", "combo_legs.legs"]).await;
    let result = derive::run(&context, &DeriveOptions::default()).await.unwrap();
    let rows: Vec<(String, String, u8, String, String)> = world
        .all(
            "SELECT token_id, condition_id_norm, outcome_index, outcome_label, toString(evidence) \
             FROM {s}.clob_asset_map_derived",
        )
        .await;
    let count = rows.len();
    let staged: BTreeMap<String, _> = rows.into_iter().map(|row| (row.0.clone(), row)).collect();
    assert_eq!((staged.len(), result.inserted), (count, count as u64), "no token is staged twice");
    let mut seen = HashSet::new();
    for outcome in universe.traded_tokens().filter(|outcome| !outcome.mapped()) {
        if outcome.market.kind() == Kind::Hash {
            continue;
        }
        let token = outcome.token().to_string();
        let (_, condition, index, label, evidence) = &staged[&token];
        let (right, why) = expected(&outcome, &known);
        assert_eq!((condition, *index, evidence.as_str()), (&right.to_string(), outcome.index, why.name()));
        if matches!(outcome.market.kind(), Kind::Binary | Kind::NegRisk) {
            assert_eq!(label, ["Yes", "No"][usize::from(outcome.index)]);
        }
        seen.insert((outcome.market.kind() as u8, why));
    }
    assert_eq!(seen.len(), 5, "every kind, and mirrors of known and unknown conditions: {seen:?}");
    assert!(result.mirrors > 20 && result.structural > 100 && result.ambiguous == 0, "{result:?}");
}

fn six(micro: i128) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micro.unsigned_abs() / 1_000_000, micro.unsigned_abs() % 1_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_both_generations_passes_and_its_pnl_is_the_generators() {
    let universe = universe(62);
    let faults =
        |source: Source| FaultPlan { lie_rate: 0.02, ..FaultPlan::faults_and_lies(source as u64, 0.0) };
    let sources = [Source::Dome, Source::Goldsky];
    let scene = Scene::new(&universe, &sources, |source, options| options.faults = faults(source)).await;
    let known = known(&scene.world).await;
    let scene = scene.with("--combos", "combo_legs.legs");
    let (run, errors) = scene.json(0, &["run", "--tracks", "dome,goldsky"]).await;
    assert_eq!(run["passed"], true, "{errors}");
    let phase = |name: &str| {
        let phases = run["phases"].as_array().unwrap();
        phases.iter().find(|phase| phase["phase"] == name).unwrap_or_else(|| panic!("no {name}"))
    };
    // P&L.
    let baseline = universe.baseline(&BASELINE_WALLET.parse().unwrap()).unwrap();
    let wallet = &phase("validate")["wallets"][0];
    assert_eq!(wallet["total"], six(baseline.pnl_micro));
    assert_eq!(wallet["positions"], baseline.resolved_positions() as u64);
    // Coverage by generation adds up to the whole.
    let (verify, expected_counts) = (phase("verify"), universe.expected());
    let generations = verify["generations"].as_object().unwrap();
    let sum = |field: &str| -> u64 { generations.values().map(|it| it[field].as_u64().unwrap()).sum() };
    assert_eq!(sum("tokens"), expected_counts.traded);
    assert_eq!(sum("mapped"), verify["global"]["mapped"].as_u64().unwrap());
    for name in ["2", "combos"] {
        let counts = &generations[name];
        assert!(counts["tokens"].as_u64() > Some(50) && counts["tokens"] == counts["mapped"], "{counts}");
    }
    // The map says of every token what is true of it, once, and mirrors stand under their legacy condition.
    let rows: Vec<(String, String)> = scene
        .world
        .all(
            "SELECT token_id, arrayStringConcat(groupUniqArray( \
                concat(lower(replaceRegexpOne(condition_id_norm, '^0x', '')), '/', toString(outcome_index))), ' ') \
             FROM {d}.ctf_token_map FINAL WHERE outcome_index < 2 AND match(condition_id_norm, '[1-9a-fA-F]') \
               AND condition_id_norm != 'unknown' AND token_id IN (SELECT asset_id FROM {d}.clob_fills) GROUP BY token_id",
        )
        .await;
    let map: BTreeMap<String, String> = rows.into_iter().collect();
    for outcome in universe.traded_tokens() {
        let Some(says) = map.get(&outcome.token().to_string()) else {
            assert_eq!(outcome.market.kind(), Kind::Hash, "{} is lost", outcome.token());
            continue;
        };
        // Two rows would not be one mapping.
        let (condition, index) = says.split_once('/').unwrap();
        let condition: ConditionId = condition.parse().unwrap();
        assert_eq!(index, outcome.index.to_string());
        let right = outcome.market.condition();
        assert!(condition.is_same_as(&right), "{}", outcome.token());
        if outcome.market.kind() == Kind::Mirror && known.contains(&right) && !outcome.mapped() {
            assert_eq!(condition, right, "a mirror of a known condition");
        }
    }
    // The page says it, whether something is unmapped or not.
    let page = String::from_utf8(scene.output(&["verify"]).await.stdout).unwrap();
    for words in ["Hashes", "Second generation", "Combos", "of the volume"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // Each command again, by itself, has nothing left to do.
    for command in ["derive", "merge", "verify"] {
        let (object, errors) = scene.json(0, &[command]).await;
        assert_eq!(object["added"].as_u64().unwrap_or_default(), 0, "{command}: {errors}");
        assert_eq!(object["inserted"].as_u64().unwrap_or_default(), 0, "{command}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_in_one_batch_of_every_source_are_all_answered() {
    let universe = universe(63);
    let asked = [
        (Source::Dome, None),
        (Source::Goldsky, None),
        (Source::Gamma, Some("markets")),
        (Source::Gamma, Some("keyset")),
        (Source::Tokens, None),
    ];
    for (source, mode) in asked {
        let plan = FaultPlan { lie_rate: 0.1, ..FaultPlan::faults_and_lies(9, 0.0) };
        let scene = Scene::new(&universe, &[source], |_, options| options.faults = plan.clone()).await;
        let scene = match mode {
            Some(mode) => scene.with("--gamma-mode", mode),
            None => scene,
        };
        scene.json(0, &["setup", "--tracks", source.name()]).await;
        let (track, errors) = scene.json(0, &[source.name()]).await;
        let count = |field: &str| track[field].as_u64().unwrap();
        assert_eq!(count("total"), universe.expected().unmapped);
        assert_eq!(count("failed"), 0, "{errors}");
        assert_eq!(count("processed"), count("total"));
        assert!(count("resolved") > count("total") * 8 / 10, "{track}");
        let sql = format!(
            "SELECT token_id, condition_id_norm, outcome_index FROM {{s}}.{}",
            source.staging_table()
        );
        let rows: Vec<(String, String, u8)> = scene.world.all(&sql).await;
        let mut of_second = 0;
        for (token, condition, index) in rows {
            let token: TokenId = token.parse().unwrap();
            let condition = condition.parse().unwrap();
            // A source may tell the hashes of a mirror's legacy condition, which nobody trades.
            let Some(outcome) = universe.find(&token) else { continue };
            assert!(outcome.market.condition().is_same_as(&condition), "{source:?}: {token}");
            assert_eq!(outcome.index, index);
            of_second += u64::from(token.structural().is_some());
        }
        assert!(of_second > 500, "{source:?} staged {of_second} of the second generation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_lists_and_stages_both_kinds_with_what_they_are() {
    let universe = universe(64);
    let scene = Scene::new(&universe, &[Source::Clob], |_, options| options.list.page = 100).await;
    let (track, errors) = scene.json(0, &["clob"]).await;
    assert_eq!((&track["failed"], &track["rejected"]), (&0.into(), &0.into()), "{errors}");
    let rows = |table: &str| {
        format!(
            "SELECT token_id, condition_id_norm, outcome_index, outcome_label, toString(evidence) FROM {table}"
        )
    };
    type Row = (String, String, u8, String, String);
    let listed: Vec<Row> = scene.world.all(&rows("{s}.clob_markets FINAL")).await;
    let listed: BTreeMap<String, Row> = listed.into_iter().map(|row| (row.0.clone(), row)).collect();
    let mut seen = HashSet::new();
    for market in universe.markets() {
        for index in [0_u8, 1] {
            let token = market.tokens()[usize::from(index)];
            let (_, condition, said, label, evidence) = &listed[&token.to_string()];
            let condition: ConditionId = condition.parse().unwrap();
            assert!(condition.is_same_as(&market.condition()) && *said == index, "{token}");
            assert_eq!(label, market.labels()[usize::from(index)], "{token}");
            let expected: &[&str] = match market.kind() {
                Kind::Hash => &["proven"],
                // Its legacy condition is known, or it is not.
                Kind::Mirror => &["mirror", "structural"],
                Kind::Binary | Kind::NegRisk | Kind::Combo => &["structural"],
            };
            assert!(expected.contains(&evidence.as_str()), "{token}: {evidence}");
            seen.insert((market.kind() as u8, evidence.clone()));
        }
    }
    assert!(seen.len() >= 5, "{seen:?}");
    let staged: Vec<Row> = scene.world.all(&rows("{s}.clob_asset_map_clob")).await;
    let count = staged.len();
    let staged: HashSet<String> = staged.into_iter().map(|row| row.0).collect();
    let unmapped = universe.traded_tokens().filter(|outcome| !outcome.mapped());
    let unmapped: HashSet<String> = unmapped.map(|outcome| outcome.token().to_string()).collect();
    assert!(staged.len() == count && staged == unmapped, "{count} staged of {}", unmapped.len());
}

const LEGACY: &str = "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7";
/// Ends in the same 32 digits.
const TWIN: &str = "b467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7";
const WALLET: &str = "0x1111111111111111111111111111111111111111";

/// A mirror's two tokens, traded by one wallet; the map has the first under the condition in its own bits, in 62 digits.
async fn a_mirror() -> (World, [String; 2], String) {
    let world = World::new().await;
    let client = clickhouse::Client::default().with_url(&world.url);
    load::create_tables(&client, &world.database).await.unwrap();
    let mirror = LEGACY.parse::<ConditionId>().unwrap().mirror().unwrap();
    let tokens = [0, 1].map(|index| mirror.token(index).unwrap().to_string());
    let own = mirror.condition_id().to_string();
    for (nth, token) in tokens.iter().enumerate() {
        world
            .run(&format!(
                "INSERT INTO {{d}}.clob_fills (fill_id, proxy_wallet, asset_id, side, price, size, timestamp) \
                 VALUES ('{nth}', '{WALLET}', '{token}', 'BUY', 0.25, 4000000, now())"
            ))
            .await;
    }
    let short = &own[..62];
    world
        .run(&format!(
            "INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm, outcome_index, source) \
             VALUES ('{}', '0x{short}', 0, 'old')",
            tokens[0]
        ))
        .await;
    (world, tokens, own)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_paid_in_either_spelling_and_rewritten_once_its_condition_is_known() {
    let (world, [yes, no], own) = a_mirror().await;
    let context = world.context(&[]).await;
    let wallet = [WALLET.parse().unwrap()];
    let payouts = async || {
        let holdings = context.store.holdings(&wallet).await.unwrap();
        let paid = holdings[0].positions.iter().map(|it| (it.token_id, it.decision.payout.clone()));
        let paid = paid.map(|(token, payout)| (token.to_string(), payout.map(|payout| payout.exact())));
        paid.collect::<BTreeMap<_, _>>()
    };
    // The payout is said of the mirror: the map has the same spelling.
    let resolved = |condition: &str, payouts: &str| {
        format!(
            "INSERT INTO {{d}}.market_resolutions_final (condition_id_norm, payout_numerators, payout_denominator, \
             outcome_count, winning_index, updated_at, resolved_at) VALUES ('{condition}', {payouts}, 1, 2, 65535, now(), now())"
        )
    };
    world.run(&resolved(&own[..62], "[1, 0]")).await;
    assert_eq!(payouts().await[&yes].as_deref(), Some("1"));
    // Said of the legacy condition, which makes that known.
    world.run("TRUNCATE TABLE {d}.market_resolutions_final").await;
    world.run(&resolved(LEGACY, "[1, 0]")).await;
    assert_eq!(payouts().await[&yes].as_deref(), Some("1"));
    let result = derive::run(&context, &DeriveOptions::default()).await.unwrap();
    assert_eq!((result.inserted, result.mirrors), (1, 1));
    let check = MergeOptions { check: true, ..MergeOptions::default() };
    let found = merge::run(&context, &check).await.unwrap();
    let map = found.map.unwrap();
    assert_eq!((found.added, map.respelled, map.wrong, found.after.mapped), (1, 1, 0, 2));
    let repair = MergeOptions { repair: true, ..MergeOptions::default() };
    let repaired = merge::run(&context, &repair).await.unwrap();
    assert_eq!((repaired.repaired, repaired.after.mapped, repaired.after.ambiguous), (1, 2, 0));
    for token in [&yes, &no] {
        let row: (String, String) = world
            .one(&format!(
                "SELECT condition_id_norm, source FROM {{d}}.ctf_token_map FINAL WHERE token_id = '{token}'"
            ))
            .await;
        assert_eq!(row.0, LEGACY);
    }
    // The map says legacy, and the payout is said of the mirror.
    world.run("TRUNCATE TABLE {d}.market_resolutions_final").await;
    world.run(&resolved(&own, "[1, 0]")).await;
    let paid = payouts().await;
    assert_eq!((paid[&yes].as_deref(), paid[&no].as_deref()), (Some("1"), Some("0")));
    // Another condition with the same half is not this one.
    world.run("TRUNCATE TABLE {d}.market_resolutions_final").await;
    world.run(&resolved(TWIN, "[1, 0]")).await;
    assert_eq!(payouts().await[&yes], None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_two_known_conditions_is_listed_and_not_merged() {
    let (world, [_, no], _) = a_mirror().await;
    for condition in [LEGACY, TWIN] {
        world.run(&format!("INSERT INTO {{d}}.gamma_resolved VALUES ('{condition}', '', 0, now())")).await;
    }
    let context = world.context(&[]).await;
    let result = derive::run(&context, &DeriveOptions::default()).await.unwrap();
    assert_eq!((result.inserted, result.ambiguous), (0, 1));
    assert_eq!(result.ambiguous_sample, [no.parse().unwrap()]);
    let merged =
        merge::run(&context, &MergeOptions { repair: true, ..MergeOptions::default() }).await.unwrap();
    assert_eq!((merged.added, merged.repaired, merged.after.mapped), (0, 0, 1));
}
