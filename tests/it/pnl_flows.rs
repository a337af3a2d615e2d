//! Flows and fees in the P&L: what a wallet did beside trading counts exactly, in whatever order its rows arrive.

use std::collections::BTreeMap;

use backfill::phases::validate::{self, Baseline, FeeSource, ValidateOptions, WalletResult};
use backfill::pnl::TransferRule;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::pnl_world::{Fill, Tables, spelled, token, wallet};

/// A row of the flows: place, part, kind, numbered token, micro-shares, micro-USD, second.
type Row = (u64, u16, &'static str, u8, i128, i128, u32);

async fn flows(tables: &Tables, rows: &[Row]) {
    let world = &tables.world;
    world.run("CREATE DATABASE IF NOT EXISTS {s}").await;
    world
        .run(
            "CREATE TABLE IF NOT EXISTS {s}.wallet_flows (block UInt64, log_index UInt32, part UInt16, wallet String, \
             kind String, token_id String, shares Int256, cash Int256, timestamp UInt32) ENGINE = MergeTree ORDER BY wallet",
        )
        .await;
    for (block, part, kind, number, shares, cash, time) in rows {
        let (wallet, token) = (spelled(1).to_uppercase().replace("0X", "0x"), token(*number));
        world
            .run(&format!(
                "INSERT INTO {{s}}.wallet_flows VALUES ({block}, 1, {part}, '{wallet}', '{kind}', '{token}', {shares}, \
                 {cash}, {time})"
            ))
            .await;
    }
}

async fn assessed(tables: &Tables, transfers: TransferRule, arguments: &[&str]) -> WalletResult {
    let options = ValidateOptions {
        baselines: vec![Baseline::new(wallet(1), "1".parse().unwrap())],
        transfers,
        ..ValidateOptions::default()
    };
    let result = validate::run(&tables.world.context(arguments).await, &options).await.unwrap();
    result.wallets[0].clone()
}

/// Totals by the three definitions, in cents.
async fn totals(tables: &Tables) -> [String; 3] {
    let definitions = assessed(tables, TransferRule::Free, &[]).await.appraisal.definitions;
    [definitions.resolved, definitions.certain, definitions.average_cost].map(|total| total.plain_cents())
}

/// Tokens 1 and 2 are the two sides of market 1.
async fn market() -> Tables {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.map(2, 1, 1, "No").await;
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_was_merged_in_an_open_market_is_realized() {
    let tables = market().await;
    tables.fills(&[Fill::buy(1, 1, "0.5", "1000000000"), Fill::buy(1, 2, "0.4", "1000000000")]).await;
    let merged: [Row; 2] =
        [(9, 0, "merge", 1, -1_000_000_000, 1_000_000_000, 5), (9, 1, "merge", 2, -1_000_000_000, 0, 5)];
    flows(&tables, &merged).await;
    assert_eq!(totals(&tables).await, ["0.00", "100.00", "100.00"]);
    // Written twice, as a repeated run does, it counts once.
    flows(&tables, &merged).await;
    assert_eq!(totals(&tables).await, ["0.00", "100.00", "100.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_flows_that_cannot_be_counted_are_told_and_move_no_sum() {
    let tables = market().await;
    tables.fills(&[Fill::buy(1, 1, "0.5", "1000000000"), Fill::buy(1, 2, "0.4", "1000000000")]).await;
    let before = totals(&tables).await;
    assert!(tables.world.kept.notices.lock().unwrap().is_empty());
    flows(&tables, &[(9, 0, "burn", 1, -1_000_000_000, 1_000_000_000, 5)]).await;
    assert_eq!(totals(&tables).await, before);
    let notices = tables.world.kept.notices.lock().unwrap().clone();
    assert!(notices.iter().any(|it| it.contains("1 rows") && it.contains("left out")), "{notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_was_only_ever_split_off_is_a_position_too() {
    let tables = market().await;
    tables.resolve(1, "[0, 1]", 1).await;
    let sold = Fill { side: "SELL".to_owned(), ..Fill::buy(1, 1, "0.6", "100000000") };
    tables.fills(&[sold]).await;
    let before = assessed(&tables, TransferRule::Free, &[]).await;
    assert_eq!((before.total.cents(), before.signs.below_zero), ("$60.00".into(), 1));
    flows(
        &tables,
        &[(9, 0, "split", 1, 100_000_000, -100_000_000, 0), (9, 1, "split", 2, 100_000_000, 0, 0)],
    )
    .await;
    let after = assessed(&tables, TransferRule::Free, &[]).await;
    assert_eq!((after.total.cents(), after.signs.below_zero), ("$60.00".into(), 0));
    assert_eq!((after.positions.len(), after.flows_without_position), (2, 0));
    assert_eq!(totals(&tables).await, ["60.00", "60.00", "10.00"], "the winner was not redeemed");
    flows(&tables, &[(11, 0, "redemption", 2, -100_000_000, 100_000_000, 9)]).await;
    assert_eq!(totals(&tables).await, ["60.00"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn transferred_shares_cost_what_the_rule_says() {
    let tables = market().await;
    tables.resolve(1, "[1, 0]", 1).await;
    // Somebody else's fill is the market's price.
    tables.fills(&[Fill::buy(2, 1, "0.25", "5000000")]).await;
    tables.fills(&[Fill { fill_id: "own".to_owned(), ..Fill::buy(1, 1, "0.5", "100000000") }]).await;
    flows(&tables, &[(9, 0, "transfer", 1, 40_000_000, 0, 1_700_000_000)]).await;
    let by = async |rule| assessed(&tables, rule, &[]).await.total.cents();
    assert_eq!(by(TransferRule::Free).await, "$90.00");
    let market = by(TransferRule::Market).await;
    assert_eq!(market, "$70.00", "the last fill of that second by its id is the wallet's own");
    assert_eq!(by(TransferRule::Exclude).await, "$0.00");
    let left_out = assessed(&tables, TransferRule::Exclude, &[]).await;
    let steps: Vec<&str> = left_out.waterfall.iter().map(|step| step.cause.name()).collect();
    assert!(steps.contains(&"unexplained"), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_column_is_taken_off_in_the_asset_that_it_says() {
    let tables = market().await;
    tables.resolve(1, "[1, 0]", 1).await;
    tables.world.run("ALTER TABLE {d}.clob_fills ADD COLUMN taken Float64").await;
    tables.fills_with_fees(&[(Fill::buy(1, 1, "0.5", "100000000"), 1_750_000.0, 700)]).await;
    let cash = assessed(&tables, TransferRule::Free, &["--fills-columns", "fee_cash=taken"]).await;
    assert_eq!(
        (cash.total.cents(), cash.fees.total.cents(), cash.fees.source),
        ("$48.25".into(), "$1.75".into(), FeeSource::Fills)
    );
    assert_eq!(cash.appraisal.definitions.average_cost.cents(), "$50.00", "average cost does not know fees");
    let received = assessed(&tables, TransferRule::Free, &["--fills-columns", "fee_received=taken"]).await;
    assert_eq!(received.total.cents(), "$48.25", "1.75 shares that would have paid a dollar each");
    let guessed = assessed(&tables, TransferRule::Free, &[]).await;
    assert_eq!(
        (guessed.total.cents(), guessed.fees.total.cents(), guessed.fees.source),
        ("$50.00".into(), "$1.75".into(), FeeSource::Estimate)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_from_the_chain_are_a_flow_and_those_of_a_column_are_not_taken_twice() {
    let tables = market().await;
    tables.resolve(1, "[1, 0]", 1).await;
    tables.fills(&[Fill::buy(1, 1, "0.5", "100000000")]).await;
    flows(&tables, &[(9, 0, "fee", 1, 0, -1_750_000, 0)]).await;
    let chain = assessed(&tables, TransferRule::Free, &[]).await;
    assert_eq!((chain.total.cents(), chain.fees.source), ("$48.25".into(), FeeSource::Chain));
    tables.world.run("ALTER TABLE {d}.clob_fills ADD COLUMN taken Float64 DEFAULT 1750000").await;
    let both = assessed(&tables, TransferRule::Free, &["--fills-columns", "fee_cash=taken"]).await;
    assert_eq!((both.total.cents(), both.fees.source), ("$48.25".into(), FeeSource::Fills));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_flows_of_ones_own_is_named_by_a_setting_and_has_to_have_its_columns() {
    let tables = market().await;
    tables.resolve(1, "[1, 0]", 1).await;
    tables.fills(&[Fill::buy(1, 1, "0.5", "100000000")]).await;
    tables
        .world
        .run("CREATE TABLE {d}.mine (wallet String, block UInt32, log_index UInt16, kind LowCardinality(String), token_id UInt256, shares Int64, cash Int64) ENGINE = Memory")
        .await;
    let name = format!("{}.mine", tables.world.database);
    tables
        .world
        .run(&format!(
            "INSERT INTO {{d}}.mine VALUES ('{}', 5, 1, 'Transfer', toUInt256('{}'), 10000000, 0)",
            spelled(1),
            token(1)
        ))
        .await;
    let found = assessed(&tables, TransferRule::Free, &["--flows-table", &name]).await;
    assert_eq!(found.total.cents(), "$60.00");
    // Under names and in units of one's own, which the setting says.
    tables
        .world
        .run("CREATE TABLE {d}.owned (who String, block UInt32, log_index UInt16, what String, asset UInt256, amount Decimal(18, 6), usdc Float64) ENGINE = Memory")
        .await;
    tables
        .world
        .run(&format!(
            "INSERT INTO {{d}}.owned VALUES ('{wallet}', 5, 1, 'transfer', toUInt256('{token}'), 10.5, 0), ('{wallet}', 6, 1, 'transfer', toUInt256('{token}'), -0.5, 0)",
            wallet = spelled(1),
            token = token(1)
        ))
        .await;
    let columns = "wallet=who,kind=what,token_id=asset,shares=amount:1e6,cash=usdc:1e6";
    let owned = ["--flows-table", &format!("{}.owned", tables.world.database), "--flows-columns", columns];
    assert_eq!(assessed(&tables, TransferRule::Free, &owned).await.total.cents(), "$60.00");
    tables.world.run("ALTER TABLE {d}.mine DROP COLUMN cash").await;
    let options = ValidateOptions {
        baselines: vec![Baseline::new(wallet(1), "1".parse().unwrap())],
        ..ValidateOptions::default()
    };
    let context = tables.world.context(&["--flows-table", &name]).await;
    let error = validate::run(&context, &options).await.unwrap_err().to_string();
    assert!(error.contains("mine") && error.contains("cash"), "{error}");
}

fn below(rng: &mut ChaCha8Rng, sides: u64) -> u64 {
    rng.next_u64() % sides
}

/// An oracle in integers: shares in micro-units, cash in sixths of a millionth of a micro-USD, so that prices of six
/// decimals, halves and thirds are whole. By token: shares, cash.
struct Books(BTreeMap<u8, (i128, i128)>);

const PARTS: i128 = 6_000_000;

impl Books {
    fn add(&mut self, number: u8, shares: i128, cash: i128) {
        let sums = self.0.entry(number).or_default();
        sums.0 += shares;
        sums.1 += cash;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_flows_equal_an_oracle_in_integers_whatever_their_order_and_batches() {
    // Markets 1 to 4, tokens 2m − 1 and 2m; the first three are the questions of one event. The last two stay open.
    for seed in 0..3 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tables = Tables::new().await;
        for number in 1..=8 {
            tables.map(number, number.div_ceil(2), (number + 1) % 2, "").await;
        }
        tables.resolve(1, "[1, 0]", 1).await;
        tables.resolve(2, "[0, 1]", 1).await;
        let pays = |number: u8| match number {
            1 | 4 => Some(1),
            2 | 3 => Some(0),
            _ => None,
        };
        let (mut books, mut fills, mut rows) = (Books(BTreeMap::new()), Vec::new(), Vec::<Row>::new());
        for step in 0..60_u32 {
            let time = 1_700_000_000 + step;
            let amount = 6 * (1 + i128::from(below(&mut rng, 1_000_000)));
            let place = u64::from(step);
            match below(&mut rng, 6) {
                0..=2 => {
                    let (number, price) =
                        (1 + below(&mut rng, 8) as u8, i128::from(below(&mut rng, 1_000_001)));
                    let buys = below(&mut rng, 3) > 0;
                    let sign = if buys { 1 } else { -1 };
                    fills.push(Fill {
                        fill_id: step.to_string(),
                        side: if buys { "buy" } else { "sell" }.to_owned(),
                        ..Fill::buy(
                            1,
                            number,
                            &format!("{}.{:06}", price / 1_000_000, price % 1_000_000),
                            &amount.to_string(),
                        )
                    });
                    books.add(number, sign * amount, -sign * amount * price * 6);
                }
                3 => {
                    let market = 1 + below(&mut rng, 4) as u8;
                    let (kind, sign) = [("split", 1), ("merge", -1)][below(&mut rng, 2) as usize];
                    for (part, number) in [(0, 2 * market - 1), (1, 2 * market)] {
                        let cash = if part == 0 { -sign * amount } else { 0 };
                        rows.push((place, part, kind, number, sign * amount, cash, time));
                        books.add(number, sign * amount, -sign * amount * PARTS / 2);
                    }
                }
                4 => {
                    // The NO of the first question and of the second become the YES of the third and cash.
                    for (part, number, sign, cash) in [(0, 2, -1, amount), (1, 4, -1, 0), (2, 5, 1, 0)] {
                        rows.push((place, part, "conversion", number, sign * amount, cash, time));
                        let worth = if sign < 0 { 2 * amount } else { -amount };
                        books.add(number, sign * amount, worth * PARTS / 3);
                    }
                }
                _ => {
                    let (number, sign) = (1 + below(&mut rng, 8) as u8, 1 - 2 * below(&mut rng, 2) as i128);
                    rows.push((place, 0, "transfer", number, sign * amount, 0, time));
                    books.add(number, sign * amount, 0);
                }
            }
        }
        let resolved: i128 = (books.0.iter())
            .filter_map(|(number, (shares, cash))| Some(shares * pays(*number)? * PARTS + cash))
            .sum();
        let mut certain = resolved;
        for market in [3_u8, 4] {
            let [yes, no] =
                [2 * market - 1, 2 * market].map(|number| books.0.get(&number).copied().unwrap_or_default());
            certain += match (yes.0 == no.0, yes.0 == 0, no.0 == 0) {
                (true, ..) => yes.1 + no.1 + yes.0 * PARTS,
                (_, true, _) => yes.1,
                (_, _, true) => no.1,
                _ => 0,
            };
        }
        for order in 0..2 {
            tables.world.run("TRUNCATE TABLE {d}.clob_fills").await;
            tables.world.run("DROP TABLE IF EXISTS {s}.wallet_flows").await;
            if order == 1 {
                fills.reverse();
                rows.reverse();
            }
            for batch in fills.chunks(if order == 0 { 60 } else { 7 }) {
                tables.fills(batch).await;
            }
            flows(&tables, &rows).await;
            let found = assessed(&tables, TransferRule::Free, &[]).await.appraisal.definitions;
            for (name, total, truth) in
                [("resolved", &found.resolved, resolved), ("certain", &found.certain, certain)]
            {
                let exact = fraction(&total.exact());
                assert_eq!(
                    exact.0 * PARTS * 1_000_000,
                    truth * exact.1,
                    "{name}, seed {seed}, order {order}"
                );
            }
        }
    }
}

/// An exact text as numerator and denominator.
fn fraction(text: &str) -> (i128, i128) {
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    let (whole, decimals) = above.split_once('.').unwrap_or((above, ""));
    let scale = 10_i128.pow(decimals.len() as u32);
    (format!("{whole}{decimals}").parse().unwrap(), below.parse::<i128>().unwrap() * scale)
}
