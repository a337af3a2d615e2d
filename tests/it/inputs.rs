//! The users' tables in other types, under other names and of other engines: read where they can be, refused whole and
//! before anything is written where they cannot.

use crate::common::{World, condition, token};
use backfill::ids::TokenId;
use backfill::phases::merge::{self, MergeOptions};
use backfill::phases::setup::{self, SetupOptions};
use backfill::phases::validate::{self, Baseline, ValidateOptions, WalletResult};
use backfill::phases::verify::{self, VerifyOptions};
use backfill::store::input::FindingState;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

/// A column: its name, and the types that it may have; the first is the facts' own.
type Types = (&'static str, &'static [&'static str]);

const FILLS: &[Types] = &[
    ("fill_id", &["String", "UInt64", "Nullable(String)", "LowCardinality(String)", "FixedString(20)"]),
    ("proxy_wallet", &["String", "FixedString(42)", "Nullable(String)", "LowCardinality(Nullable(String))"]),
    ("asset_id", &["String", "FixedString(78)", "UInt256", "Nullable(UInt256)", "LowCardinality(String)"]),
    (
        "side",
        &["LowCardinality(String)", "Enum8('BUY' = 1, 'SELL' = 2)", "Nullable(String)", "FixedString(6)"],
    ),
    ("price", &["Float64", "Decimal(18, 6)", "Nullable(Float64)", "String", "Nullable(Decimal(38, 10))"]),
    ("size", &["Float64", "UInt64", "Decimal(38, 6)", "String", "Nullable(Int64)"]),
    ("timestamp", &["DateTime", "DateTime64(3)", "UInt32", "Int64", "String", "Nullable(DateTime)"]),
    ("ingested_at", &["DateTime", "DateTime64(6)", "UInt64", "Nullable(DateTime)"]),
];

const MAP: &[Types] = &[
    ("token_id", &["String", "FixedString(78)", "UInt256", "LowCardinality(String)", "Nullable(String)"]),
    ("condition_id_norm", &["String", "FixedString(64)", "Nullable(String)", "LowCardinality(String)"]),
    (
        "outcome_index",
        &[
            "UInt8",
            "Int8",
            "UInt64",
            "Nullable(UInt8)",
            "String",
            "Enum8('0' = 0, '1' = 1)",
            "Nullable(Int64)",
        ],
    ),
    (
        "outcome_label",
        &["String", "Nullable(String)", "Enum8('' = 0, 'Up' = 1, 'Down' = 2)", "FixedString(9)"],
    ),
    ("source", &["String", "Enum8('old' = 1, '' = 2)", "LowCardinality(Nullable(String))"]),
    ("fetched_at", &["DateTime", "DateTime64(3)", "UInt32", "Int64", "String", "Nullable(DateTime)"]),
];

const RESOLUTIONS: &[Types] = &[
    ("condition_id_norm", &["FixedString(64)", "String", "LowCardinality(String)", "Nullable(String)"]),
    (
        "payout_numerators",
        &[
            "Array(UInt8)",
            "Array(UInt256)",
            "Array(Nullable(UInt8))",
            "Array(String)",
            "Array(Float64)",
            "String",
        ],
    ),
    ("payout_denominator", &["UInt8", "Nullable(UInt64)", "String", "Float64"]),
    ("winning_index", &["UInt16", "Nullable(Int16)", "String"]),
    ("winning_outcome", &["LowCardinality(String)", "Nullable(String)", "Enum8('' = 0, 'Up' = 1)"]),
    ("resolved_at", &["Nullable(DateTime)", "DateTime64(3)", "UInt32", "String"]),
    ("updated_at", &["DateTime", "UInt64", "Nullable(DateTime64(3))"]),
];

const WINNERS: &[Types] = &[
    ("cid", &["String", "FixedString(64)", "Nullable(String)"]),
    ("winning_outcome", &["String", "LowCardinality(Nullable(String))", "Enum8('Up' = 1, 'Down' = 2)"]),
    ("closed", &["UInt8", "Bool", "String", "Nullable(UInt8)"]),
    ("fetched_at", &["DateTime", "UInt32", "DateTime64(3)"]),
];

const TABLES: [(&str, &[Types]); 4] = [
    ("clob_fills", FILLS),
    ("ctf_token_map", MAP),
    ("market_resolutions_final", RESOLUTIONS),
    ("gamma_resolved", WINNERS),
];

/// The tables as the facts have them, with a few rows that every phase has something to say about.
async fn plain(world: &World) {
    for (table, columns) in TABLES {
        create(world, &format!("{table}_plain"), columns, |_| 0).await;
    }
    let [a, b, c] = [1, 2, 3].map(|number| condition(number).to_string());
    let (t, at) = (|number, index| token(number, index).to_string(), 1_730_000_000);
    let fills = [
        (1, t(1, 0), "BUY", "0.25", 4_000_000_u64),
        (2, t(1, 1), "BUY", "0.7", 2_000_000),
        (3, t(2, 0), "SELL", "0.125", 1_000_000),
        (4, t(3, 1), "BUY", "0.333333", 3_000_000),
        (5, t(4, 0), "BUY", "0.5", 1_000_000),
        (6, t(5, 0), "SELL", "0.5", 7),
    ];
    for (id, asset, side, price, size) in fills {
        world
            .run(&format!(
                "INSERT INTO {{d}}.clob_fills_plain VALUES ('{id}', '{WALLET}', '{asset}', '{side}', {price}, {size}, {at}, {at})"
            ))
            .await;
    }
    for (token, condition, index, label) in [
        (t(1, 0), &a, 0, "Up"),
        (t(1, 1), &a, 1, "Down"),
        (t(2, 0), &b, 0, "Up"),
        (t(2, 1), &b, 1, "Down"),
        (t(3, 1), &c, 1, ""),
    ] {
        world
            .run(&format!("INSERT INTO {{d}}.ctf_token_map_plain VALUES ('{token}', '{condition}', {index}, '{label}', 'old', {at})"))
            .await;
    }
    world
        .run(&format!(
            "INSERT INTO {{d}}.market_resolutions_final_plain VALUES ('{a}', [1, 0], 1, 0, 'Up', {at}, {at}), \
             ('{c}', [1, 3], 4, 1, '', 0, {at})"
        ))
        .await;
    world.run(&format!("INSERT INTO {{d}}.gamma_resolved_plain VALUES ('{b}', 'Down', 1, {at})")).await;
}

async fn create(world: &World, table: &str, columns: &[Types], choose: impl Fn(&Types) -> usize) {
    let columns: Vec<String> =
        columns.iter().map(|it| format!("{} {}", it.0, it.1[choose(it) % it.1.len()])).collect();
    world
        .run(&format!(
            "CREATE TABLE {{d}}.{table} ({}) ENGINE = MergeTree ORDER BY tuple() SETTINGS allow_nullable_key = 1",
            columns.join(", ")
        ))
        .await;
}

/// The tables in random types, with the same rows.
async fn in_other_types(world: &World, seed: u64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut said = String::new();
    for (table, columns) in TABLES {
        let chosen: Vec<&str> =
            columns.iter().map(|it| it.1[(random.next_u64() % it.1.len() as u64) as usize]).collect();
        let place = |name: &str| columns.iter().position(|it| it.0 == name).unwrap();
        create(world, table, columns, |it| {
            it.1.iter().position(|name| *name == chosen[place(it.0)]).unwrap()
        })
        .await;
        let values: Vec<String> = (columns.iter().zip(&chosen))
            .map(|((name, types), chosen)| match *chosen {
                same if same == types[0] => (*name).to_owned(),
                // An Enum of texts takes no number.
                "String" | "Enum8('0' = 0, '1' = 1)" => format!("toString({name})"),
                "UInt256" | "Nullable(UInt256)" if *name == "asset_id" || *name == "token_id" => {
                    format!("toUInt256({name})")
                }
                chosen if chosen.starts_with("Enum8('old'") => "'old'".to_owned(),
                chosen if types[0] == "Nullable(DateTime)" && !chosen.starts_with("Nullable") => {
                    format!("ifNull({name}, toDateTime(0))")
                }
                _ => (*name).to_owned(),
            })
            .collect();
        world
            .run(&format!("INSERT INTO {{d}}.{table} SELECT {} FROM {{d}}.{table}_plain", values.join(", ")))
            .await;
        said = format!("{said}{table} ({})\n", chosen.join(", "));
    }
    said
}

async fn validated(world: &World, more: &[&str]) -> WalletResult {
    let options = ValidateOptions {
        baselines: vec![Baseline::new(WALLET.parse().unwrap(), "1".parse().unwrap())],
        ..ValidateOptions::default()
    };
    validate::run(&world.context(more).await, &options).await.unwrap().wallets.remove(0)
}

/// What the phases say of these tables, in a form to compare.
async fn answers(world: &World, more: &[&str]) -> Vec<String> {
    let context = world.context(more).await;
    let set_up = setup::run(&context, &SetupOptions::default()).await.unwrap();
    let wallet = VerifyOptions { wallets: vec![WALLET.parse().unwrap()], gaps_file: None };
    let before = verify::run(&context, &wallet).await.unwrap();
    let result = validated(world, more).await;
    let positions: Vec<_> = (result.positions.iter())
        .map(|it| {
            (
                it.token_id,
                it.condition_id,
                it.outcome_index,
                it.label.clone(),
                it.realized().map(|usd| usd.exact()),
            )
        })
        .collect();
    let mut said = vec![
        format!("{:?} {}", set_up.coverage, set_up.unmapped),
        format!("{:?} {:?} {}", before.gap, before.wallets, before.resolved),
        format!("{} {positions:?} {:?} {:?}", result.total.exact(), result.unmapped, result.data_quality),
    ];
    for number in [4, 5] {
        world
            .run(&format!(
                "INSERT INTO {{s}}.clob_asset_map_dome (token_id, condition_id_norm, outcome_index, outcome_label, collateral) \
                 VALUES ('{}', '{}', 0, 'Up', 'usdc_e')",
                token(number, 0),
                condition(number)
            ))
            .await;
    }
    for added in [2, 0] {
        let merged = merge::run(&context, &MergeOptions::default()).await.unwrap();
        assert_eq!((merged.added, merged.duplicates, merged.after.unmapped), (added, 0, 0));
    }
    let after = verify::run(&context, &wallet).await.unwrap();
    said.push(format!("{:?} {:?}", after.gap, after.wallets));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_every_fitting_type_say_the_same_as_the_facts_own() {
    let seeds = std::env::var("BACKFILL_TYPE_WORLDS").ok().and_then(|it| it.parse().ok()).unwrap_or(6);
    let usual = World::new().await;
    plain(&usual).await;
    for (table, _) in TABLES {
        usual.run(&format!("RENAME TABLE {{d}}.{table}_plain TO {{d}}.{table}")).await;
    }
    let expected = answers(&usual, &[]).await;
    assert!(expected[0].contains("total: 6, mapped: 4, unmapped: 2"), "{expected:?}");
    for seed in 0..seeds {
        let world = World::new().await;
        plain(&world).await;
        let types = in_other_types(&world, seed).await;
        let found = answers(&world, &[]).await;
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "seed {seed}\n{types}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_views_and_whole_shares_say_the_same() {
    let usual = World::new().await;
    plain(&usual).await;
    let world = World::new().await;
    plain(&world).await;
    for (table, _) in TABLES {
        usual.run(&format!("RENAME TABLE {{d}}.{table}_plain TO {{d}}.{table}")).await;
    }
    world
        .run(
            "CREATE VIEW {d}.trades AS SELECT fill_id AS id, proxy_wallet AS maker, asset_id AS token_id, lower(side) AS side, \
             price * 100 AS cents, toDecimal64(size, 6) / 1000000 AS shares, timestamp AS ts, ingested_at FROM {d}.clob_fills_plain",
        )
        .await;
    world
        .run(
            "CREATE TABLE {d}.mapping (asset String, condition String, idx Int8, label String, version UInt32 DEFAULT 1) \
             ENGINE = ReplacingMergeTree(version) ORDER BY asset",
        )
        .await;
    world
        .run("INSERT INTO {d}.mapping (asset, condition, idx, label) SELECT token_id, upper(condition_id_norm), outcome_index, outcome_label FROM {d}.ctf_token_map_plain")
        .await;
    world.run("CREATE VIEW {d}.payouts AS SELECT condition_id_norm AS condition, * EXCEPT condition_id_norm FROM {d}.market_resolutions_final_plain").await;
    world.run("CREATE VIEW {d}.ended AS SELECT cid AS condition_id, winning_outcome AS winner, closed FROM {d}.gamma_resolved_plain").await;
    let settings = [
        "--fills-table",
        "trades",
        "--token-map-table",
        "mapping",
        "--resolutions-table",
        "payouts",
        "--winners-table",
        "ended",
        "--fills-columns",
        "fill_id=id,proxy_wallet=maker,asset_id=token_id,price=cents:0.01,size=shares:1e6,timestamp=ts",
        "--token-map-columns",
        "token_id=asset,condition_id_norm=condition,outcome_index=idx,outcome_label=label",
        "--resolutions-columns",
        "condition_id_norm=condition",
        "--winners-columns",
        "cid=condition_id,winning_outcome=winner",
    ];
    let (found, expected) = (answers(&world, &settings).await, answers(&usual, &[]).await);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let bare: Vec<&str> = settings[..8].to_vec();
    let findings = world.context(&bare).await.store.table_findings().await.unwrap();
    let of = |table: &str| findings.iter().find(|it| it.table.ends_with(table)).unwrap();
    assert!(
        of("trades")
            .advice
            .contains("FILLS_COLUMNS=\"fill_id=id,proxy_wallet=maker,asset_id=token_id,size=shares:1e6\""),
        "{findings:?}"
    );
    assert!(of("ended").advice.contains("cid=condition_id,winning_outcome=winner"), "{findings:?}");
    assert!(of("trades").state == FindingState::Bad);
    let shares = [
        "--fills-table",
        "trades",
        "--fills-columns",
        "fill_id=id,proxy_wallet=maker,asset_id=token_id,price=cents:0.01,size=shares",
        "--token-map-table",
        "ctf_token_map_plain",
    ];
    let findings = world.context(&shares).await.store.table_findings().await.unwrap();
    assert!(
        findings.iter().any(|it| it.state == FindingState::Note && it.advice.contains("size=shares:1e6")),
        "{findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_written_is_refused_whole_before_anything_is() {
    let columns = "token_id String, condition_id_norm String, outcome_index UInt8, fetched_at DateTime";
    let rows = "(token_id Array(String), condition_id_norm Float64, outcome_index UInt8) ENGINE = MergeTree ORDER BY token_id";
    let maps: Vec<(String, &[&str])> = vec![
        (rows.to_owned(), &["token_id is Array(String)", "condition_id_norm is Float64", "String or FixedString(64) would do"]),
        (format!("({columns}) ENGINE = Join(ANY, LEFT, token_id)"), &["its engine is Join", "MergeTree engine would do"]),
        (format!("({columns} MATERIALIZED now()) ENGINE = ReplacingMergeTree ORDER BY token_id"), &["fetched_at (DateTime)", "MATERIALIZED"]),
        (format!("({columns}, sign Int8) ENGINE = CollapsingMergeTree(sign) ORDER BY token_id"), &["sign (Int8)", "DEFAULT 1"]),
        (format!("({columns}) ENGINE = SummingMergeTree ORDER BY token_id"), &["SummingMergeTree", "would do"]),
        (format!("({columns}) ENGINE = ReplacingMergeTree(fetched_at) ORDER BY condition_id_norm"), &["sorting key", "token_id"]),
        (format!("({columns}) ENGINE = Null"), &["its engine is Null"]),
        ("(token_id UInt64, condition_id_norm FixedString(64), outcome_index UInt8) ENGINE = MergeTree ORDER BY token_id".to_owned(), &["token_id (UInt64)", "256 bits"]),
        ("(token String, condition_id String, outcome_index UInt8) ENGINE = MergeTree ORDER BY token".to_owned(), &["no column token_id", "no column condition_id_norm", "TOKEN_MAP_COLUMNS=\"token_id=token,condition_id_norm=condition_id\""]),
    ];
    for (map, words) in maps {
        let world = World::new().await;
        world.run("CREATE TABLE {d}.clob_fills (asset_id String) ENGINE = MergeTree ORDER BY asset_id").await;
        world.run(&format!("CREATE TABLE {{d}}.ctf_token_map {map}")).await;
        refused(&world, words).await;
    }
    let world = World::new().await;
    world
        .run("CREATE TABLE {d}.clob_fills (asset_id Array(String)) ENGINE = MergeTree ORDER BY tuple()")
        .await;
    world.run(&format!("CREATE TABLE {{d}}.behind ({columns}) ENGINE = MergeTree ORDER BY token_id")).await;
    world.run("CREATE VIEW {d}.ctf_token_map AS SELECT * FROM {d}.behind").await;
    refused(&world, &["asset_id is Array(String)", "its engine is View"]).await;
}

/// No phase that writes begins, and the staging database is not even made.
async fn refused(world: &World, words: &[&str]) {
    let context = world.context(&[]).await;
    for error in [
        setup::run(&context, &SetupOptions::default()).await.unwrap_err(),
        merge::run(&context, &MergeOptions::default()).await.unwrap_err(),
    ] {
        let error = error.to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(error.contains("nothing was written"), "{error}");
    }
    let made: u64 = world.one("SELECT count() FROM system.databases WHERE name = '{s}'").await;
    assert_eq!(made, 0);
    let findings = context.store.table_findings().await.unwrap();
    assert!(findings.iter().any(|it| it.state == FindingState::Bad && !it.advice.is_empty()), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sides_in_any_case_count_others_have_dollars_and_fills_without_an_id_are_many() {
    let world = World::new().await;
    plain(&world).await;
    for (table, _) in TABLES {
        world.run(&format!("RENAME TABLE {{d}}.{table}_plain TO {{d}}.{table}")).await;
    }
    world.run("TRUNCATE TABLE {d}.clob_fills").await;
    let (up, down) = (token(1, 0), token(1, 1));
    let rows = [
        ("a", &up, "buy", 1),
        ("a", &up, "buy", 2),
        // Both sides of one match, maker and taker, under one id; and the two outcomes bought in one match.
        ("b", &up, "BUY", 1),
        ("b", &up, " Sell", 1),
        ("b", &down, "BUY", 1),
        ("", &up, "BUY", 1),
        ("", &up, "BUY", 1),
        ("c", &up, "REDEEM", 1),
        ("d", &up, "merge", 1),
        ("d", &up, "MERGE", 2),
    ];
    let rows: Vec<String> = (rows.iter())
        .map(|(id, token, side, at)| {
            format!("('{id}', '{WALLET}', '{token}', '{side}', 0.25, 4000000, 0, {at})")
        })
        .collect();
    world.run(&format!("INSERT INTO {{d}}.clob_fills VALUES {}", rows.join(", "))).await;
    let result = validated(&world, &[]).await;
    let of = |token: &TokenId| result.positions.iter().find(|it| it.token_id == *token).unwrap();
    // Bought in a, b and twice without an id, sold in b: three times four shares at a dollar, which pay four.
    assert_eq!((of(&up).fills, of(&up).net_shares.exact().as_str()), (5, "12000000"));
    assert_eq!((of(&down).fills, result.total.exact().as_str()), (1, "8"));
    let odd = &result.data_quality;
    assert_eq!((odd.duplicates, odd.nameless, odd.odd_side), (2, 2, 2));
    let sides: Vec<_> =
        result.odd_sides.iter().map(|it| (it.side.as_str(), it.fills, it.worth.cents())).collect();
    assert_eq!(sides, [("MERGE", 1, "$1.00".to_owned()), ("REDEEM", 1, "$1.00".to_owned())]);
    let named =
        result.explanations.iter().find(|it| it.cause == "fills that are neither BUY nor SELL").unwrap();
    assert_eq!((named.count, named.worth.cents()), (2, "$2.00".to_owned()));
}
