//! Phase 5 on a genuine ClickHouse: P&L to the last digit, whatever the order and the garbage, and what explains a
//! miss. The traps of the users' tables are in `traps.rs`.

use std::collections::BTreeMap;

use crate::common::{World, small_universe};
use crate::pnl_world::{Fill, Tables, condition, token, wallet};
use backfill::phases::validate::positions_file::PositionsFile;
use backfill::phases::validate::{self, Baseline, Status, ValidateOptions, WalletResult};
use backfill::phases::verify::{self, VerifyOptions};
use backfill::pnl::{Micro, Usd};
use backfill::report::Report;
use backfill::results::Validate;

/// Validates one wallet against `expected`.
async fn validated(tables: &Tables, number: u8, expected: &str) -> WalletResult {
    let options = ValidateOptions {
        baselines: vec![Baseline::new(wallet(number), usd(expected))],
        positions_file: None,
        detail: false,
        ..ValidateOptions::default()
    };
    let context = tables.world.context(&[]).await;
    validate::run(&context, &options).await.unwrap().wallets.remove(0)
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// What a cause is said to be worth, in cents, and how many there are.
fn cause(result: &WalletResult, part: &str) -> Option<(u64, String)> {
    let found = result.explanations.iter().find(|it| it.cause.contains(part));
    found.map(|it| (it.count, it.worth.cents()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_baselines_come_out_exactly() {
    let universe = small_universe(5);
    let world = World::with(&universe).await;
    // As after a perfect backfill: every traded token is mapped, by a row that survives the broken ones.
    let rows: Vec<String> = universe
        .traded_tokens()
        .filter(|outcome| !outcome.mapped())
        .map(|it| format!("('{}', '{}', {}, '', 4294967295)", it.token(), it.market.condition(), it.index))
        .collect();
    let into = "INSERT INTO {d}.ctf_token_map (token_id, condition_id_norm, outcome_index, outcome_label, fetched_at)";
    for rows in rows.chunks(500) {
        world.run(&format!("{into} VALUES {}", rows.join(", "))).await;
    }
    let baselines: Vec<Baseline> = (universe.baselines().iter())
        .map(|it| Baseline::new(it.wallet, Micro::whole(it.pnl_micro).units()))
        .collect();
    let options =
        ValidateOptions { baselines, positions_file: None, detail: false, ..ValidateOptions::default() };
    let result = validate::run(&world.context(&[]).await, &options).await.unwrap();
    for (found, known) in result.wallets.iter().zip(universe.baselines()) {
        assert_eq!(found.total, found.baseline.expected, "{}", known.wallet);
        assert_eq!(found.resolved().count(), known.resolved_positions());
        let fills: u64 = found.positions.iter().map(|position| position.fills).sum();
        assert_eq!(fills, known.fills as u64, "every fill counts, and once");
        assert_eq!(found.positions.len(), known.positions.len());
    }
    assert!(result.passes());
    assert!(result.wallets[0].data_quality.duplicates == 8 && result.wallets[0].data_quality.changed == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_delivered_twice_counts_once_and_its_newest_copy_counts() {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.resolve(1, "[1, 0]", 1).await;
    let fill = Fill::buy(1, 1, "0.5", "10000000");
    let newer = Fill { size: "20000000".into(), ingested_at: fill.ingested_at + 60, ..fill.clone() };
    let older = Fill { price: "0.9".into(), ingested_at: fill.ingested_at - 60, ..fill.clone() };
    // The same id at another wallet is another fill: the other side of the trade.
    let other = Fill { wallet: crate::pnl_world::spelled(2), side: "SELL".into(), ..fill.clone() };
    for fill in [&newer, &fill, &older, &other, &fill] {
        tables.fills(std::slice::from_ref(fill)).await;
    }
    let result = validated(&tables, 1, "10").await;
    assert_eq!(result.total, usd("10"), "20 shares bought at 0.5 that pay 1");
    assert_eq!((result.data_quality.duplicates, result.data_quality.changed), (3, 1));
    assert_eq!(result.positions[0].fills, 1);
    // Left out: twice 10 shares at 0.5 (a gain of 5 each) and once at 0.9 (a gain of 1).
    assert_eq!(cause(&result, "second deliveries"), Some((3, "$11.00".to_owned())));
    assert_eq!(validated(&tables, 2, "-5").await.total, usd("-5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_rows_of_the_map_and_the_resolutions_multiply_nothing() {
    let tables = Tables::new().await;
    for _ in 0..3 {
        tables.map(1, 1, 0, "Up").await;
        tables.resolve(1, "[1, 0]", 1).await;
        tables.winner(1, "Up").await;
    }
    tables.fills(&[Fill::buy(1, 1, "0.25", "4000000")]).await;
    let result = validated(&tables, 1, "3").await;
    assert_eq!((result.positions.len(), &result.total), (1, &usd("3")));
    assert_eq!(result.data_quality.contradicting, 0, "the same said three times is no contradiction");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payout_at_the_tokens_index_decides_before_any_label() {
    let tables = Tables::new().await;
    struct Case {
        index: u8,
        label: &'static str,
        /// What the resolutions say, or nothing.
        vector: Option<(&'static str, u8)>,
        /// What the winners say, or nothing.
        winner: &'static str,
        /// Realized P&L of one share bought at 0.4.
        pnl: &'static str,
    }
    let case = |index, label, vector, winner, pnl| Case { index, label, vector, winner, pnl };
    let cases = [
        case(1, "Down", Some(("[0, 1]", 1)), "", "0.6"),
        // The vector has the last word, also where the winner's label says otherwise.
        case(0, "Yes", Some(("[0, 1]", 1)), "Yes", "-0.4"),
        case(0, "Yes", Some(("[1, 1]", 2)), "", "0.1"),
        case(1, "No", Some(("[3, 1]", 4)), "", "-0.15"),
        // Without a vector the label is compared, and only without a label yes is the first outcome.
        case(0, "Up", None, "uP", "0.6"),
        case(1, "No", None, "No", "0.6"),
        case(0, "", None, "YES", "0.6"),
        case(1, "", None, "yes", "-0.4"),
    ];
    for (number, case) in (1..).zip(&cases) {
        tables.map(number, number, case.index, case.label).await;
        if let Some((vector, denominator)) = case.vector {
            tables.resolve(number, vector, denominator).await;
        }
        if !case.winner.is_empty() {
            tables.winner(number, case.winner).await;
        }
        if case.label == "Up" {
            // A text is compared with both labels of its condition.
            tables.map(100 + number, number, 1, "Down").await;
        }
        tables.fills(&[Fill::buy(1, number, "0.4", "1000000")]).await;
    }
    // The index, which a date supports; no winner at all is no winner, not the first outcome.
    tables.map(9, 9, 1, "").await;
    tables.resolve_by_index(9, 1).await;
    tables.map(10, 10, 0, "").await;
    tables.resolve_by_index(10, 65_535).await;
    // A label that is nobody's index, without a label to compare with.
    tables.map(11, 11, 0, "").await;
    tables.winner(11, "Lakers").await;
    tables.map(12, 12, 0, "Yes").await;
    tables.resolve(12, "[1, 0]", 0).await;
    for number in 9..=12 {
        tables.fills(&[Fill::buy(1, number, "0.4", "1000000")]).await;
    }
    let result = validated(&tables, 1, "0").await;
    let realized: BTreeMap<String, Option<Usd>> = result
        .positions
        .iter()
        .map(|position| (position.token_id.to_string(), position.realized()))
        .collect();
    for (number, case) in (1..).zip(&cases) {
        assert_eq!(realized[&token(number)], Some(usd(case.pnl)), "token {number}");
    }
    assert_eq!(realized[&token(9)], Some(usd("0.6")));
    for unresolved in [10, 11, 12] {
        assert_eq!(realized[&token(unresolved)], None, "token {unresolved}");
    }
    assert_eq!((result.data_quality.undecidable, result.data_quality.zero_denominator), (1, 1));
    assert_eq!(result.data_quality.tables_disagree, 1, "the vector and the winner's label of market 2");
    assert_eq!(result.status, Status::Skipped, "nothing was expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_winner_that_is_neither_label_loses_nobody_a_dollar_and_is_told_with_them() {
    let tables = Tables::new().await;
    for (token, index, label) in [(1, 0, "Democratic"), (2, 1, "Republican")] {
        tables.map(token, 1, index, label).await;
        tables.fills(&[Fill::buy(1, token, "0.5", "100000000")]).await;
    }
    tables.winner(1, "Democrat").await;
    let result = validated(&tables, 1, "1000").await;
    assert_eq!((result.total.cents(), result.resolved().count()), ("$0.00".to_owned(), 0));
    assert_eq!(result.data_quality.undecidable, 2);
    assert_eq!(cause(&result, "neither of the two labels"), Some((2, "$100.00".to_owned())));
    // A placeholder of the resolutions decides nothing either, and the winners are asked behind it.
    tables.resolution(&condition(1), "[]", 0, 0, 1_700_000_000).await;
    assert_eq!(validated(&tables, 1, "1000").await.data_quality.undecidable, 2);
    tables.world.run("TRUNCATE TABLE {d}.gamma_resolved").await;
    let result = validated(&tables, 1, "1000").await;
    assert_eq!((result.resolved().count(), result.data_quality.undecidable), (0, 0));
    assert_eq!(cause(&result, "decides nothing"), Some((2, "$100.00".to_owned())));
    tables.winner(1, " REPUBLICAN ").await;
    let result = validated(&tables, 1, "0").await;
    assert_eq!((result.total.cents(), result.resolved().count()), ("$0.00".to_owned(), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_sold_out_before_the_end_counts_with_its_cashflow() {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.resolve(1, "[0, 1]", 1).await;
    let bought = Fill::buy(1, 1, "0.3", "10000000");
    let sold = Fill { side: "SELL".into(), price: "0.75".into(), fill_id: "sold".into(), ..bought.clone() };
    // Sold short: more sold than bought, which costs when it wins.
    tables.map(2, 2, 0, "Yes").await;
    tables.resolve(2, "[1, 0]", 1).await;
    let short = Fill { side: "SELL".into(), ..Fill::buy(1, 2, "0.6", "5000000") };
    tables.fills(&[bought, sold, short]).await;
    let result = validated(&tables, 1, "2.5").await;
    assert_eq!(result.resolved().map(|(_, usd)| usd).collect::<Vec<_>>(), [usd("4.5"), usd("-2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_id_that_is_no_token_id_is_never_taken_for_one() {
    let tables = Tables::new().await;
    let wraps_to_zero = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for (number, mapped) in [(1, "0"), (2, "7")] {
        tables.map_row(mapped, &condition(number), 0, "Yes").await;
        tables.resolve(number, "[1, 0]", 1).await;
    }
    tables.map_row(wraps_to_zero, &condition(1), 0, "Yes").await;
    for asset in [wraps_to_zero, "007", "+7", " 7", "", "0x7"] {
        let fill =
            Fill { fill_id: format!("f{asset}"), asset: asset.into(), ..Fill::buy(1, 1, "0.5", "2000000") };
        tables.fills(&[fill]).await;
    }
    let result = validated(&tables, 1, "1").await;
    assert_eq!((result.positions.len(), &result.total), (0, &Usd::zero()));
    assert_eq!(cause(&result, "malformed"), Some((6, "$6.00".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_counted_by_its_kind_and_moves_no_sum() {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.resolve(1, "[1, 0]", 1).await;
    let good = Fill::buy(1, 1, "0.5", "2000000");
    let mut fills = vec![good.clone()];
    let mut odd = |side: &str, price: &str, size: &str| {
        let fill_id = format!("odd{}", fills.len());
        let (side, price, size) = (side.into(), price.into(), size.into());
        fills.push(Fill { fill_id, side, price, size, ingested_at: u32::MAX, ..good.clone() });
    };
    for side in ["", "REDEEM", "HOLD", "\u{1f4a5}"] {
        odd(side, "0.5", "1");
    }
    for price in ["nan", "inf", "-inf", "-0.0001", "1.0001", "1e300"] {
        odd("BUY", price, "1");
    }
    for size in ["nan", "inf", "-1", "1e19", "1.7976931348623157e308"] {
        odd("SELL", "0.5", size);
    }
    for (price, size) in [("1e-31", "1"), ("5e-324", "1"), ("0.5", "1e-13"), ("0.5", "5e-324")] {
        odd("BUY", price, size);
    }
    tables.fills(&fills).await;
    // Nothing but odd fills makes no position, and no loss of zero.
    tables.map(2, 2, 0, "Yes").await;
    tables.resolve(2, "[1, 0]", 1).await;
    tables.fills(&[Fill { side: "?".into(), ..Fill::buy(1, 2, "0.5", "1") }]).await;
    let result = validated(&tables, 1, "1").await;
    let odd = result.data_quality;
    assert_eq!((odd.odd_side, odd.odd_price, odd.odd_size, odd.inexact), (5, 6, 5, 4));
    assert_eq!(result.resolved().count(), 1);
    // Two shares of the good fill, and two whole micro-shares at a price of next to nothing that win all the same.
    assert_eq!(result.total, usd("1.000002"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_at_the_ends_of_the_range_do_not_wrap() {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.resolve(1, "[1, 0]", 1).await;
    let fills: Vec<Fill> = (0..200)
        .map(|n| Fill { fill_id: format!("big{n}"), ..Fill::buy(1, 1, "0.0000000000001", "1e18") })
        .collect();
    tables.fills(&fills).await;
    let result = validated(&tables, 1, "1").await;
    // 200 fills of 10^12 shares for 10^-13 USD each: 2·10^14 USD paid out, 20 USD paid.
    assert_eq!(result.total, usd("199999999999980"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_defect_is_named_with_its_dollars() {
    let tables = Tables::new().await;
    let context = tables.world.context(&[]).await;
    let collaterals = &context.settings.collaterals;
    let real =
        backfill::ctf::token_id(&condition(1).parse().unwrap(), 1, &collaterals[0].address).to_string();
    let buy = |id: &str, asset: &str, price: &str| Fill {
        fill_id: id.into(),
        asset: asset.into(),
        ..Fill::buy(1, 1, price, "100000000")
    };
    // Really the second outcome, mapped to the first: 100 shares at 0.40 lost, where they won.
    tables.map_row(&real, &condition(1), 0, "").await;
    tables.resolve(1, "[0, 1]", 1).await;
    // No outcome of its condition makes this token: 100 shares at 0.70 won.
    tables.map(2, 2, 0, "Yes").await;
    tables.resolve(2, "[1, 0]", 1).await;
    // Mapped twice, to two outcomes.
    tables.map(3, 3, 0, "Yes").await;
    tables.map(3, 3, 1, "Yes").await;
    // Mapped, no resolution anywhere.
    tables.map(4, 4, 0, "Yes").await;
    // Mapped, a resolution that decides nothing.
    tables.map(5, 5, 0, "Yes").await;
    tables.resolve(5, "[1, 0]", 0).await;
    // Resolved twice, otherwise each time, after a row that had decided nothing; the newest counts: 100 shares at 0.85 won.
    tables.map(7, 7, 0, "Yes").await;
    for (vector, denominator, at) in [("[]", 0, 1), ("[0, 1]", 1, 2), ("[1, 0]", 1, 3)] {
        tables.resolution(&condition(7), vector, denominator, 65_535, at).await;
    }
    // A vector that adds up to more than it is a part of: 100 shares at 0.84 won.
    tables.map(8, 8, 0, "Yes").await;
    tables.resolve(8, "[1, 1]", 1).await;
    // The other table names another winner: 100 shares at 0.17 lost.
    tables.map(9, 9, 0, "Yes").await;
    tables.resolve(9, "[0, 1]", 1).await;
    tables.winner(9, "Yes").await;
    // Proven, and delivered twice: 100 shares at 0.82 won.
    let proven =
        backfill::ctf::token_id(&condition(10).parse().unwrap(), 0, &collaterals[0].address).to_string();
    tables.map_row(&proven, &condition(10), 0, "Yes").await;
    for (vector, denominator, at) in [("[]", 0, 1), ("[1, 0]", 1, 2)] {
        tables.resolution(&condition(10), vector, denominator, 65_535, at).await;
    }
    tables
        .fills(&[
            buy("wrong", &real, "0.4"),
            buy("unproven", &token(2), "0.7"),
            buy("ambiguous", &token(3), "0.11"),
            buy("open", &token(4), "0.12"),
            buy("undecided", &token(5), "0.13"),
            buy("unmapped", &token(6), "0.14"),
            buy("twice resolved", &token(7), "0.85"),
            buy("more than all", &token(8), "0.84"),
            buy("disagreeing", &token(9), "0.17"),
            buy("twice delivered", &proven, "0.82"),
            buy("twice delivered", &proven, "0.82"),
        ])
        .await;
    let result = validated(&tables, 1, "1000").await;
    assert_eq!(result.total, usd("22"), "-40 + 30 + 15 + 16 - 17 + 18");
    assert_eq!(cause(&result, "contradict each other"), Some((1, "$15.00".to_owned())));
    assert_eq!(cause(&result, "resolution contradicts itself"), Some((1, "$16.00".to_owned())));
    assert_eq!(cause(&result, "different winners"), Some((1, "$17.00".to_owned())));
    assert_eq!(cause(&result, "second deliveries"), Some((1, "$18.00".to_owned())));
    assert_eq!(result.data_quality.contradicting, 1, "a row that had not decided yet contradicts nothing");
    assert_eq!(cause(&result, "wrong outcome"), Some((1, "$100.00".to_owned())));
    assert_eq!(cause(&result, "no proof"), Some((1, "$30.00".to_owned())));
    assert_eq!(cause(&result, "contradicts itself about"), Some((1, "$11.00".to_owned())));
    assert_eq!(cause(&result, "without a resolution"), Some((1, "$12.00".to_owned())));
    assert_eq!(cause(&result, "decides nothing"), Some((1, "$13.00".to_owned())));
    assert_eq!(cause(&result, "unmapped"), Some((1, "$14.00".to_owned())));
    assert_eq!(result.status, Status::Fail);
    // 978 missing: 100 + 30 + 11 + 12 + 13 + 14 + 15 + 16 + 17 + 18 are named.
    assert_eq!(result.unexplained, usd("732"));
    let worths: Vec<&Usd> = result.explanations.iter().map(|it| &it.worth).collect();
    assert!(worths.is_sorted_by(|a, b| a >= b), "{worths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_the_two_resolution_tables_is_enough_and_none_is_an_error_that_names_both() {
    for missing in ["gamma_resolved", "market_resolutions_final"] {
        let tables = Tables::new().await;
        tables.map(1, 1, 0, "Yes").await;
        tables.resolve(1, "[1, 0]", 1).await;
        tables.winner(1, "Yes").await;
        tables.fills(&[Fill::buy(1, 1, "0.5", "2000000")]).await;
        tables.world.run(&format!("DROP TABLE {{d}}.{missing}")).await;
        assert_eq!(validated(&tables, 1, "1").await.total, usd("1"), "without {missing}");
        tables.world.run("DROP TABLE IF EXISTS {d}.gamma_resolved").await;
        tables.world.run("DROP TABLE IF EXISTS {d}.market_resolutions_final").await;
        let options = ValidateOptions {
            baselines: vec![Baseline::new(wallet(1), usd("1"))],
            positions_file: None,
            detail: false,
            ..ValidateOptions::default()
        };
        let error = validate::run(&tables.world.context(&[]).await, &options).await.unwrap_err().to_string();
        assert!(error.contains("RESOLUTIONS_TABLE") && error.contains("WINNERS_TABLE"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_without_labels_is_no_hindrance() {
    let tables = Tables::new().await;
    tables.map(1, 1, 1, "gone").await;
    tables.winner(1, "No").await;
    tables.fills(&[Fill::buy(1, 1, "0.5", "2000000")]).await;
    tables.world.run("ALTER TABLE {d}.ctf_token_map DROP COLUMN outcome_label").await;
    assert_eq!(validated(&tables, 1, "1").await.total, usd("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn random_worlds_equal_the_oracle_however_their_rows_arrive() {
    for seed in 0..8 {
        let model = crate::pnl_world::model::Model::random(seed);
        let tables = Tables::new().await;
        model.load(&tables).await;
        let mut before: Option<String> = None;
        for shuffle in 0..2 {
            tables.world.run("TRUNCATE TABLE {d}.clob_fills").await;
            for batch in model.shuffled(seed * 100 + shuffle) {
                tables.fills(&batch).await;
            }
            let options = ValidateOptions {
                baselines: (1..=crate::pnl_world::model::WALLETS)
                    .map(|number| Baseline::new(wallet(number), usd("1")))
                    .collect(),
                positions_file: None,
                detail: false,
                ..ValidateOptions::default()
            };
            let result = validate::run(&tables.world.context(&[]).await, &options).await.unwrap();
            for found in &result.wallets {
                let oracle = model.oracle(&found.baseline.wallet);
                let total = found.total.exact();
                assert!(oracle.agrees(&found.total), "seed {seed}, {}: {total}", found.baseline.wallet);
                assert_eq!(found.resolved().count(), oracle.resolved, "seed {seed}");
                assert_eq!(found.positions.len(), oracle.positions, "seed {seed}");
                assert_eq!(found.data_quality.duplicates, oracle.duplicates, "seed {seed}");
                assert_eq!(found.data_quality.changed, oracle.changed, "seed {seed}");
                let unmapped = cause(found, "unmapped").map_or(0, |(count, _)| count);
                assert_eq!(unmapped, oracle.unmapped_fills, "seed {seed}");
            }
            let mut json = Validate::from(&result).json();
            json["elapsed_seconds"] = serde_json::Value::Null;
            let seen = json.to_string();
            assert_eq!(
                before.get_or_insert_with(|| seen.clone()),
                &seen,
                "seed {seed}: the order of rows shows"
            );
        }
    }
}

/// Random bytes in every string column, random bit patterns in every number and date: what a broken ingester may leave.
async fn fuzz(tables: &Tables, seed: u64) {
    let world = &tables.world;
    let wallet = wallet(1);
    let random =
        |columns: &str, salt: u64| format!("generateRandom('{columns}', {}, 90, 3)", seed * 10 + salt);
    let fills = "fill_id String, other_wallet String, asset_id String, side String, price Float64, size Float64, \
                 time UInt32, number UInt32";
    // Some of everything is right, so that the garbage meets what is not.
    world
        .run(&format!(
            "INSERT INTO {{d}}.clob_fills (fill_id, proxy_wallet, asset_id, side, price, size, timestamp, ingested_at) \
             SELECT if(number % 7 = 0, 'same', fill_id), if(number % 2 = 0, '{wallet}', other_wallet), \
                 multiIf(number % 4 = 0, '{0}', number % 4 = 1, '{1}', number % 4 = 2, toString(MD5(asset_id)), asset_id), \
                 multiIf(number % 5 = 0, 'BUY', number % 5 = 1, 'SELL', number % 5 = 2, toString(MD5(side)), side), \
                 if(number % 11 < 8, (number % 1000) / 1000, price), if(number % 13 < 9, number, size), \
                 toDateTime(time), toDateTime(number) \
             FROM {2} LIMIT 3000",
            token(1),
            token(2),
            random(fills, 1)
        ))
        .await;
    // Bytes that are no text, where they are read back: in labels and winners of conditions that are decided by them.
    world
        .run(&format!(
            "INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm, outcome_index, outcome_label) \
             SELECT '{}', '{}', 1, toString(MD5('label'))",
            token(2),
            condition(2)
        ))
        .await;
    world
        .run(&format!(
            "INSERT INTO {{d}}.gamma_resolved SELECT '{}', toString(MD5('label')), 1, now()",
            condition(2)
        ))
        .await;
    for (table, columns, salt) in [
        (
            "ctf_token_map (token_id, condition_id_norm, outcome_index, outcome_label)",
            "token_id String, c String, i UInt8, l String",
            2,
        ),
        ("gamma_resolved (cid, winning_outcome, closed)", "c String, w String, closed UInt8", 3),
        (
            "market_resolutions_final (condition_id_norm, payout_numerators, payout_denominator, winning_outcome, \
          winning_index)",
            "c FixedString(64), n Array(UInt8), d UInt8, w String, i UInt16",
            4,
        ),
    ] {
        world
            .run(&format!("INSERT INTO {{d}}.{table} SELECT * FROM {} LIMIT 500", random(columns, salt)))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_garbage_in_every_column_is_counted_and_breaks_nothing() {
    for seed in 1..=3 {
        let tables = Tables::new().await;
        tables.map(1, 1, 0, "Yes").await;
        tables.resolve(1, "[1, 0]", 1).await;
        fuzz(&tables, seed).await;
        let found = validated(&tables, 1, "1").await;
        let odd = &found.data_quality;
        // Every fill of the wallet is in a position, without a mapping, or odd in at least one way.
        let counted = found.positions.iter().map(|it| it.fills).sum::<u64>()
            + found.unmapped.iter().map(|it| it.fills).sum::<u64>();
        let distinct: u64 = tables
            .world
            .one(&format!(
                "SELECT uniqExact(fill_id) FROM {{d}}.clob_fills WHERE proxy_wallet = '{}'",
                wallet(1)
            ))
            .await;
        let left_out = distinct - counted;
        assert!(
            odd.odd_side.max(odd.odd_price).max(odd.odd_size) <= left_out,
            "{odd:?}, {left_out} left out"
        );
        assert!(left_out <= odd.odd_side + odd.odd_price + odd.odd_size, "{odd:?}, {left_out} left out");
        assert!(odd.odd_side > 0 && odd.odd_price > 0 && odd.odd_size > 0 && odd.duplicates > 0, "{odd:?}");
        let options = VerifyOptions { wallets: vec![wallet(1)], gaps_file: None };
        let verified = verify::run(&tables.world.context(&[]).await, &options).await.unwrap();
        let coverage = verified.gap.coverage;
        assert_eq!(coverage.total, coverage.mapped + coverage.unmapped);
        assert!(coverage.malformed > 0 && verified.gap.without_volume > 0, "{coverage:?}");
        let file = tables.world.folder.path().join("positions.parquet");
        let options = ValidateOptions {
            baselines: vec![Baseline::new(wallet(1), usd("1"))],
            positions_file: Some(PositionsFile::new(file).unwrap()),
            detail: false,
            ..ValidateOptions::default()
        };
        validate::run(&tables.world.context(&[]).await, &options).await.unwrap();
    }
}
