//! The offline track on a genuine ClickHouse: it maps what the known conditions give, and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::process::Command;
use std::sync::Arc;

use crate::common::{BACKFILL, World, small_universe};
use backfill::ctf::{self, CollectionId};
use backfill::demo::{Universe, UniverseOptions};
use backfill::ids::{ConditionId, TokenId};
use backfill::phases::derive::{self, DeriveOptions, DeriveResult, MoreConditions};
use backfill::phases::merge::{self, MergeOptions};
use backfill::phases::setup::{self, SetupOptions};
use backfill::store::conditions::ConditionColumn;

/// Token to condition, index, label, source and collateral.
type Staged = BTreeMap<String, (String, u8, String, String, String)>;

async fn staged(world: &World) -> Staged {
    let client = clickhouse::Client::default().with_url(&world.url);
    let sql = format!(
        "SELECT token_id, condition_id_norm, outcome_index, outcome_label, source, toString(collateral) \
         FROM {}.clob_asset_map_derived",
        world.staging
    );
    let rows: Vec<(String, String, u8, String, String, String)> =
        client.query(&sql).fetch_all().await.unwrap();
    let count = rows.len();
    let staged: Staged = rows
        .into_iter()
        .map(|(token, condition, index, label, source, collateral)| {
            (token, (condition, index, label, source, collateral))
        })
        .collect();
    assert_eq!(staged.len(), count, "a token is staged twice");
    staged
}

async fn derive(world: &World, more: Vec<MoreConditions>) -> DeriveResult {
    derive::run(&world.context(&[]).await, &DeriveOptions { more }).await.unwrap()
}

/// Every well-formed condition in the users' tables.
async fn known_conditions(world: &World) -> HashSet<ConditionId> {
    let client = clickhouse::Client::default().with_url(&world.url);
    let mut known = HashSet::new();
    for (table, column) in [
        ("clob_fills", "condition_id"),
        ("ctf_token_map", "condition_id_norm"),
        ("market_resolutions_final", "condition_id_norm"),
        ("gamma_resolved", "cid"),
    ] {
        let sql = format!("SELECT DISTINCT toString({column}) FROM {}.{table}", world.database);
        let spelled: Vec<String> = client.query(&sql).fetch_all().await.unwrap();
        known.extend(spelled.iter().filter_map(|text| text.parse::<ConditionId>().ok()));
    }
    known.retain(|condition| !condition.is_zero());
    known
}

/// The unmapped traded tokens of these conditions, as the universe knows them: condition and index.
fn derivable(universe: &Universe, known: &HashSet<ConditionId>) -> BTreeMap<String, (String, u8)> {
    universe
        .traded_tokens()
        .filter(|outcome| !outcome.mapped() && known.contains(&outcome.market.condition()))
        .map(|outcome| (outcome.token().to_string(), (outcome.market.condition().to_string(), outcome.index)))
        .collect()
}

fn without_labels(staged: &Staged) -> BTreeMap<String, (String, u8)> {
    staged.iter().map(|(token, row)| (token.clone(), (row.0.clone(), row.1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unmapped_token_of_a_known_condition_is_staged_and_none_twice() {
    let universe = small_universe(11);
    let world = World::with(&universe).await;
    let known = known_conditions(&world).await;
    let expected = derivable(&universe, &known);
    assert!(expected.len() > 1_000, "{}", expected.len());

    let result = derive(&world, Vec::new()).await;
    assert_eq!(result.conditions, known.len() as u64);
    assert_eq!(result.candidates, 4 * result.conditions);
    assert_eq!(result.inserted, expected.len() as u64);
    assert_eq!(result.unmapped, universe.expected().unmapped);
    assert!(result.malformed > 0, "the universe's map has broken conditions");
    let first = staged(&world).await;
    assert_eq!(without_labels(&first), expected);
    for (token, (_, _, label, source, collateral)) in &first {
        let token: TokenId = token.parse().unwrap();
        let outcome = universe.find(&token).unwrap();
        assert!(label.is_empty() || label == outcome.label(), "{token}: {label:?}");
        assert_eq!(source, "derived");
        assert!(["usdc_e", "neg_risk"].contains(&collateral.as_str()));
    }
    assert!(first.values().any(|row| !row.2.is_empty()), "labels come from the fills");

    let again = derive(&world, Vec::new()).await;
    assert_eq!((again.inserted, again.unmapped), (0, result.unmapped - result.inserted));
    assert_eq!(staged(&world).await, first);

    let merged = merge::run(&world.context(&[]).await, &MergeOptions::default()).await.unwrap();
    assert_eq!(merged.added, expected.len() as u64);
    assert_eq!(merged.after.mapped, merged.before.mapped + expected.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tracks_get_only_what_could_not_be_derived() {
    let universe = small_universe(12);
    let world = World::with(&universe).await;
    let options = SetupOptions { derive: true, ..SetupOptions::default() };
    let found = setup::run(&world.context(&[]).await, &options).await.unwrap();
    let derived = found.derived.unwrap();
    assert!(derived.inserted > 0);
    assert_eq!(found.unmapped, found.coverage.unmapped - derived.inserted);
    let both: u64 = world
        .one(
            "SELECT count() FROM {s}.unmapped_tokens \
             WHERE asset_id IN (SELECT token_id FROM {s}.clob_asset_map_derived)",
        )
        .await;
    assert_eq!(both, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_come_from_any_column_and_any_file() {
    let options = UniverseOptions {
        seed: 13,
        traded_tokens: 2_000,
        mapped_tokens: 100,
        fills: 6_000,
        condition_ids_in_fills: 0.0,
        baseline_wallets: 0,
        resolved: 0.0,
        ..UniverseOptions::default()
    };
    let universe = Arc::new(Universe::generate(options).unwrap());
    let world = World::with(&universe).await;
    let before = derivable(&universe, &known_conditions(&world).await);
    assert_eq!(derive(&world, Vec::new()).await.inserted, before.len() as u64);

    let unknown: Vec<ConditionId> = universe
        .traded_tokens()
        .filter(|outcome| !outcome.mapped() && !before.contains_key(&outcome.token().to_string()))
        .map(|outcome| outcome.market.condition())
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let (column, file) = unknown.split_at(unknown.len() / 2);
    world.run("CREATE TABLE {d}.markets (`market id` String, cid Nullable(String)) ENGINE = Memory").await;
    let values: Vec<String> =
        column.iter().map(|it| format!("('', '0X{}')", it.to_string().to_uppercase())).collect();
    world
        .run(&format!("INSERT INTO {{d}}.markets VALUES ('', NULL), ('', 'what'), {}", values.join(",")))
        .await;
    let lines: String = file.iter().map(|it| format!(" 0x{it}\r\n")).collect();
    let path = world.folder.path().join("conditions.txt");
    // A table's condition, a repeated one and a line that is none.
    std::fs::write(&path, format!("\u{feff}{lines}\n{}\n{}\nnone\n", file[0], column[0])).unwrap();

    let table = ConditionColumn::parse("markets.cid", &world.database).unwrap();
    let more = vec![MoreConditions::Column(table), MoreConditions::File(path)];
    let result = derive(&world, more).await;
    let all = derivable(&universe, &universe.markets().map(|market| market.condition()).collect());
    assert_eq!(without_labels(&staged(&world).await), all);
    assert_eq!(result.inserted, (all.len() - before.len()) as u64);
}

/// A market with both tokens, made from a number.
fn market(number: u8) -> (ConditionId, [TokenId; 2]) {
    let condition = ConditionId::from_bytes([number; 32]);
    let address = ctf::default_collaterals()[0].address;
    (condition, [false, true].map(|second| CollectionId::of(&condition, second).token(&address)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_is_the_fills_own_or_the_other_of_yes_and_no() {
    let world = World::new().await;
    world.context(&[]).await.store.create_missing_tables().await.unwrap();
    let mut rows = Vec::new();
    let mut fills = |number: u8, index: usize, labels: &[&str]| {
        let (condition, tokens) = market(number);
        rows.extend(labels.iter().map(|label| format!("('{condition}', '{}', '{label}')", tokens[index])));
    };
    fills(1, 0, &["", "Lakers", "Celtics", "Lakers", "", "", ""]);
    fills(1, 1, &[""]);
    fills(2, 0, &["Yes"]);
    fills(2, 1, &["", ""]);
    fills(3, 0, &[""]);
    fills(3, 1, &["NO"]);
    fills(4, 0, &[""]);
    fills(4, 1, &[""]);
    world
        .run(&format!(
            "INSERT INTO {{d}}.clob_fills (condition_id, asset_id, outcome) VALUES {}",
            rows.join(",")
        ))
        .await;
    // The sibling's label counts where the sibling is mapped already, too.
    let (condition, tokens) = market(2);
    world
        .run(&format!("INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm, outcome_index) VALUES ('{}', '{condition}', 0)", tokens[0]))
        .await;
    assert_eq!(derive(&world, Vec::new()).await.inserted, 7);
    let staged = staged(&world).await;
    let label =
        |number, index: usize| staged.get(&market(number).1[index].to_string()).map(|row| row.2.as_str());
    assert_eq!([label(1, 0), label(1, 1)], [Some("Lakers"), Some("")]);
    assert_eq!([label(2, 0), label(2, 1)], [None, Some("No")]);
    assert_eq!([label(3, 0), label(3, 1)], [Some("Yes"), Some("NO")]);
    assert_eq!([label(4, 0), label(4, 1)], [Some(""), Some("")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named_and_nothing_is_touched() {
    let world = World::new().await;
    world.context(&[]).await.store.create_missing_tables().await.unwrap();
    for (conditions, code, words) in [
        ("no such thing", 2, "neither a file nor TABLE.COLUMN"),
        ("nowhere.cid", 1, "nowhere does not exist"),
        ("clob_fills.cid", 1, "no column cid"),
    ] {
        let output = Command::new(BACKFILL)
            .args(world.arguments())
            .args(["derive", "--conditions", conditions])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{conditions}: {said}");
        assert!(said.contains(words), "{conditions}: {said}");
    }
    let made: u64 = world.one("SELECT count() FROM system.databases WHERE name = '{s}'").await;
    assert_eq!(made, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quick_look_at_a_token_id_sees_what_converting_it_there_and_back_sees() {
    let world = World::new().await;
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let mut texts: Vec<String> = [
        "", "0", "00", "007", "7", "+5", "-1", " 5", "5 ", "1e5", "0x1", "1_000", "٣", "5\\n", "\\n5",
        "5\\0", "a",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend([
        largest.to_owned(),
        largest.replace("639935", "639936"),
        largest.replace("639935", "639934"),
        format!("0{largest}"),
        format!("{largest}0"),
        "9".repeat(77),
        "9".repeat(78),
        "1".repeat(78),
        "9".repeat(300),
    ]);
    let values = texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(",");
    for kind in ["String", "LowCardinality(String)", "Nullable(String)"] {
        let (differing, well_formed): (u64, u64) = world
            .one(&format!(
                "SELECT countIf(quick != ifNull(toString(toUInt256OrNull(id)) = id, false)), countIf(quick) FROM \
                 (SELECT id, {} AS quick FROM (SELECT CAST(arrayJoin([{values}]) AS {kind}) AS id))",
                backfill::store::sql::well_formed_token("id")
            ))
            .await;
        assert_eq!((differing, well_formed), (0, 6), "{kind}");
    }
}
