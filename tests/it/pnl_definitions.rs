//! The three definitions of realized P&L and the way from an expected to the computed total, through the tables.

use backfill::phases::validate::{self, Baseline, Cause, ValidateOptions, WalletResult, baselines};
use backfill::pnl::{Difference, Method, Usd};
use backfill::report::Report;
use backfill::results::Validate;
use serde_json::{Value, json};

use crate::pnl_world::{Fill, Tables, token, wallet};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn sell(number: u8, price: &str, size: &str) -> Fill {
    Fill { fill_id: format!("sell-{number}"), side: "SELL".to_owned(), ..Fill::buy(1, number, price, size) }
}

/// Validates the first wallet by a method; its result, its object and its page.
async fn validated(tables: &Tables, expected: &str, method: Option<Method>) -> (WalletResult, Value, String) {
    let options = ValidateOptions {
        baselines: vec![Baseline::new(wallet(1), usd(expected))],
        method,
        ..ValidateOptions::default()
    };
    let result = validate::run(&tables.world.context(&[]).await, &options).await.unwrap();
    let object = Validate::from(&result).json()["wallets"][0].clone();
    (result.wallets[0].clone(), object, Validate::from(&result).text())
}

/// The totals of the three definitions.
async fn definitions(tables: &Tables) -> [String; 3] {
    let (_, object, _) = validated(tables, "1", None).await;
    ["resolved", "certain", "average_cost"]
        .map(|name| object["definitions"][name].as_str().unwrap().to_owned())
}

/// Tokens 1 and 2 are the two sides of market 1, which is open.
async fn open_market() -> Tables {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.map(2, 1, 1, "No").await;
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_out_in_an_open_market_is_certain() {
    let tables = open_market().await;
    tables.fills(&[Fill::buy(1, 1, "0.4", "100000000"), sell(1, "0.6", "100000000")]).await;
    assert_eq!(definitions(&tables).await, ["0.000000", "20.000000", "20.000000"]);
    let (found, _, page) = validated(&tables, "20", Some(Method::Certain)).await;
    assert_eq!((found.total.cents(), found.resolved().count()), ("$20.00".into(), 1));
    assert!(page.contains("certain in open markets"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_shares_of_both_sides_are_certain_before_the_market_ends() {
    let tables = open_market().await;
    tables.fills(&[Fill::buy(1, 1, "0.5", "1000000000"), Fill::buy(1, 2, "0.4", "1000000000")]).await;
    assert_eq!(definitions(&tables).await, ["0.000000", "100.000000", "0.000000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loser_that_was_never_redeemed_is_what_stands_between_resolution_and_average_cost() {
    let tables = open_market().await;
    tables.resolve(1, "[0, 1]", 1).await;
    tables.fills(&[Fill::buy(1, 1, "0.4", "100000000")]).await;
    assert_eq!(definitions(&tables).await, ["-40.000000", "-40.000000", "0.000000"]);
    let (found, object, page) = validated(&tables, "-0.01", None).await;
    let steps: Vec<(Cause, String)> =
        found.waterfall.iter().map(|step| (step.cause, step.amount.cents())).collect();
    assert_eq!(
        steps,
        [
            (Cause::Definition(Difference::LosersNotRedeemed), "-$40.00".to_owned()),
            (Cause::Unexplained, "$0.01".to_owned())
        ]
    );
    let evidence =
        json!({"table": format!("{}.market_resolutions_final", tables.world.database), "tokens": [token(1)]});
    assert_eq!(object["waterfall"][0]["evidence"], evidence);
    assert!(page.contains("losers that were never redeemed"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_sold_without_a_purchase_are_a_sign_with_their_worth() {
    let tables = open_market().await;
    tables.resolve(1, "[0, 1]", 1).await;
    tables.fills(&[sell(1, "0.7", "100000000")]).await;
    assert_eq!(definitions(&tables).await, ["70.000000", "70.000000", "0.000000"]);
    tables.fills(&[sell(2, "0.2", "50000000")]).await;
    let (found, object, page) = validated(&tables, "1", None).await;
    assert_eq!((found.signs.below_zero, found.signs.both_sold), (2, 1));
    assert_eq!(object["signs"]["missing_worth"], "50.000000");
    assert!(page.contains("2 positions sold 150.00 shares more than they bought (worth $50.00"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_column_of_a_baseline_decides_what_is_compared_before_the_flag_does() {
    let tables = open_market().await;
    tables.fills(&[Fill::buy(1, 1, "0.4", "100000000"), sell(1, "0.6", "100000000")]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("baselines.csv");
    for (column, flag, total) in [
        ("certain", Some(Method::Resolved), "$20.00"),
        ("", Some(Method::AverageCost), "$20.00"),
        ("resolved", Some(Method::Certain), "$0.00"),
        ("", None, "$0.00"),
    ] {
        std::fs::write(&path, format!("wallet,expected_pnl,method\n{},5,{column}\n", wallet(1))).unwrap();
        let options = ValidateOptions {
            baselines: baselines::read(&path).unwrap(),
            method: flag,
            ..Default::default()
        };
        let result = validate::run(&tables.world.context(&[]).await, &options).await.unwrap();
        assert_eq!(result.wallets[0].total.cents(), total, "{column:?} {flag:?}");
    }
    std::fs::write(&path, format!("wallet,expected_pnl,method\n{},5,dome\n", wallet(1))).unwrap();
    let error = baselines::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 2: method: \"dome\" is none, give resolved, certain or average-cost"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_defect_of_each_kind_is_named_with_its_dollars_and_nothing_is_left() {
    let tables = open_market().await;
    // Won for 60 in all: the only thing that the table gets right.
    tables.map(3, 3, 0, "Yes").await;
    tables.resolve(3, "[1, 0]", 1).await;
    // Lost and never redeemed: 40.00 by resolution, nothing by average cost.
    tables.map(4, 4, 0, "Yes").await;
    tables.resolve(4, "[0, 1]", 1).await;
    // A second delivery of a won fill that the expected figure counts: 11.00.
    tables.map(5, 5, 0, "Yes").await;
    tables.resolve(5, "[1, 0]", 1).await;
    // Two usable rows that contradict each other, of a token that lost 7.00.
    tables.map(6, 6, 0, "Yes").await;
    tables.map(6, 7, 0, "Yes").await;
    // Token 7 has no row at all and was sold out for 3.25. Token 1 was sold out for 20.00 in an open market; token 9 is
    // held in one that no table knows, and lost 5.10.
    tables.map(9, 9, 0, "Yes").await;
    let again = Fill { ingested_at: 1_600_000_000, ..Fill::buy(1, 5, "0.45", "20000000") };
    tables
        .fills(&[
            Fill::buy(1, 3, "0.4", "100000000"),
            Fill::buy(1, 4, "0.4", "100000000"),
            Fill::buy(1, 5, "0.45", "20000000"),
            again,
            Fill::buy(1, 6, "0.07", "100000000"),
            Fill::buy(1, 7, "0.1", "13000000"),
            sell(7, "0.35", "13000000"),
            Fill::buy(1, 1, "0.4", "100000000"),
            sell(1, "0.6", "100000000"),
            Fill::buy(1, 9, "0.051", "100000000"),
        ])
        .await;
    // 60 + 11 twice − 7 + 3.25 + 20 − 5.10, rounded by nobody.
    let (found, object, page) = validated(&tables, "93.15", None).await;
    assert_eq!(found.total.cents(), "$31.00");
    let steps: Vec<(&str, String, u64)> =
        (found.waterfall.iter()).map(|step| (step.cause.name(), step.amount.cents(), step.rows)).collect();
    let expected = [
        ("losers_not_redeemed", "-$40.00", 1),
        ("certain_in_open_markets", "-$20.00", 1),
        ("second_deliveries", "-$11.00", 1),
        ("ambiguous_if_lost", "$7.00", 1),
        ("unresolved_if_lost", "$5.10", 1),
        ("unmapped_sold_out", "-$3.25", 2),
        ("unexplained", "$0.00", 0),
    ]
    .map(|(cause, amount, rows)| (cause, amount.to_owned(), rows));
    assert_eq!(steps, expected, "{page}");
    let sum: Usd = found.waterfall.iter().map(|step| step.amount.clone()).sum();
    assert_eq!(found.baseline.expected.clone() + sum, found.total);
    assert_eq!(object["waterfall"][0]["amount"], "-40.000000");
    assert!(page.contains("[5] From the Expected to the Computed P&L"), "{page}");
}
