//! An audit finds what is wrong in a hundred thousand fills, and several proxies of one person count as one wallet.

use std::sync::Arc;

use backfill::demo::wallet_logs::{ExchangeFill, WalletLogs};
use backfill::demo::{ChainHabits, ChainLayout, ChainStandIn, ChainWorld};
use backfill::ids::TokenId;
use backfill::phases::validate::{self, Baseline, ValidateOptions, baselines};
use backfill::pnl::Method;
use backfill::report::Report;
use backfill::results::{AuditTotals, Validate};

use crate::pnl_world::{Fill, Tables, spelled, token, wallet};

const FIRST: u64 = 50_600_000;
/// Fills of the audited wallet; `AUDIT_FILLS` sets another number, such as 100000.
fn fills() -> u64 {
    std::env::var("AUDIT_FILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

/// Fill number n: which of the two tokens, whether it buys, shares in micro-units, cents a share.
fn fill(n: u64) -> (u8, bool, u64, u64) {
    (1 + (n % 2) as u8, n % 5 < 3, 1_000_000 + 100 * n, n % 97 + 1)
}

/// What a fill adds to the P&L in micro-USD: the first token pays a dollar, the second nothing.
fn worth((number, buys, shares, cents): (u8, bool, u64, u64)) -> i64 {
    let (shares, cash) = (shares as i64, (shares / 100 * cents) as i64);
    let bought = if number == 1 { shares } else { 0 } - cash;
    if buys { bought } else { -bought }
}

fn usd(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micro.abs() / 1_000_000, micro.abs() % 1_000_000)
}

/// A chain with every fill, the exchanges of both generations in turn.
fn chain() -> Arc<ChainWorld> {
    let mut logs = WalletLogs::default();
    for n in 0..fills() {
        let (number, buys, shares, cents) = fill(n);
        let token: TokenId = token(number).parse().unwrap();
        let cash = shares / 100 * cents;
        let fill = ExchangeFill { maker: wallet(1), token, buys, shares, cash, fee: 0 };
        logs.at(FIRST + n / 3).fill(n as usize % 6, &fill);
    }
    let layout = ChainLayout { first_block: FIRST, blocks: 40_000, ..ChainLayout::default() };
    Arc::new(ChainWorld::made_up(3, 50, layout).with_logs(logs.into_logs()))
}

/// The same fills in the table, ten of them wrong.
async fn tables() -> Tables {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.map(2, 1, 1, "No").await;
    tables.resolve(1, "[1, 0]", 1).await;
    let rows = format!(
        "SELECT {{id}} AS fill_id, '{}' AS proxy_wallet, if(number % 2 = 0, '{}', '{}') AS asset_id, \
            if((number % 5 < 3) != (number IN (60, 61)), 'BUY', 'SELL') AS side, \
            (number % 97 + 1 + if(number IN (40, 41), 1, 0)) / 100 AS price, \
            1000000 + 100 * number + if(number = 50, 100, 0) AS size, 1700000000 AS ingested_at, \
            toUInt32(1590000000 + 2 * intDiv({FIRST} + intDiv(number, 3), 2)) AS timestamp \
         FROM numbers({}) WHERE {{those}}",
        spelled(1),
        token(1),
        token(2),
        fills()
    );
    for (id, those) in [
        ("toString(number)", "number NOT IN (10, 20)"),
        ("concat('again-', toString(number))", "number IN (30, 31)"),
    ] {
        let rows = rows.replace("{id}", id).replace("{those}", those);
        let columns = "fill_id, proxy_wallet, asset_id, side, price, size, ingested_at, timestamp";
        tables.world.run(&format!("INSERT INTO {{d}}.clob_fills ({columns}) {rows}")).await;
    }
    tables.fills(&[Fill { fill_id: "invented".to_owned(), ..Fill::buy(1, 1, "0.5", "777") }]).await;
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_planted_defects_among_all_fills_of_a_wallet_are_found_with_their_dollars() {
    let provider = ChainStandIn::start(chain(), ChainHabits::portal()).await.unwrap();
    let tables = tables().await;
    let (url, from) = (provider.url(), FIRST.to_string());
    let settings = ["--chain-url", &url, "--chain-rate-limit", "100000/1s", "--chain-from-block", &from];
    let truth: i64 = (0..fills()).map(|n| worth(fill(n))).sum();
    let options = ValidateOptions {
        baselines: vec![Baseline::new(wallet(1), usd(truth).parse().unwrap())],
        method: Some(Method::Resolved),
        audit: true,
        ..ValidateOptions::default()
    };
    let result = validate::run(&tables.world.context(&settings).await, &options).await.unwrap();
    let result = Validate::from(&result);
    let run = result.audit.unwrap();
    assert!(run.requests < 40, "{run:?}: the wallet's own logs and no others");
    assert_eq!(provider.counters().logs, fills());
    let details = &result.wallets[0].details;
    let found: &AuditTotals = details.audit.as_ref().unwrap();
    assert_eq!((found.chain_fills, found.table_fills), (fills(), fills() - 2 + 3));
    let those = |numbers: &[u64], of: &dyn Fn(u64) -> i64| -> (u64, String) {
        (numbers.len() as u64, usd(numbers.iter().map(|n| of(*n)).sum()))
    };
    let changed = |n: u64| {
        let (number, buys, shares, cents) = fill(n);
        let wrong =
            if n == 50 { (number, buys, shares + 100, cents) } else { (number, buys, shares, cents + 1) };
        worth(wrong) - worth(fill(n))
    };
    let expected = [
        ("missing_fills", those(&[10, 20], &|n| -worth(fill(n)))),
        ("fills_unknown_to_the_chain", (1, "0.000389".to_owned())),
        ("doubled_fills", those(&[30, 31], &|n| worth(fill(n)))),
        ("fills_with_another_price_or_size", those(&[40, 41, 50], &changed)),
        ("fills_for_the_wrong_side", those(&[60, 61], &|n| -2 * worth(fill(n)))),
    ];
    assert_eq!(found.findings.len(), expected.len(), "{found:?}");
    for (cause, (fills, amount)) in expected {
        let defect = found.findings.iter().find(|it| it.cause == cause).unwrap();
        assert_eq!((defect.fills, defect.first.len() as u64), (fills, fills), "{defect:?}");
        // A made-up fill of 777 shares at a half is worth 388.5 millionths.
        if cause != "fills_unknown_to_the_chain" {
            assert_eq!(defect.amount.six(), amount, "{cause}");
        }
    }
    let rest = details.waterfall.last().unwrap();
    assert_eq!((rest.cause.as_str(), rest.amount.cents()), ("unexplained", "$0.00".to_owned()));
    let page = result.text();
    assert!(page.contains("fills that the table lacks") && page.contains("fill again-30"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_proxies_of_one_person_are_validated_as_one_wallet() {
    let tables = Tables::new().await;
    tables.map(1, 1, 0, "Yes").await;
    tables.map(2, 1, 1, "No").await;
    let sold =
        Fill { side: "SELL".to_owned(), fill_id: "sold".to_owned(), ..Fill::buy(2, 1, "0.6", "100000000") };
    tables.fills(&[Fill::buy(1, 1, "0.4", "100000000"), sold, Fill::buy(3, 2, "0.5", "2000000")]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("persons.csv");
    let line = format!("{} + {},20,one person,certain\n{},1,another,\n", spelled(1), spelled(2), spelled(3));
    std::fs::write(&file, format!("wallet,expected_pnl,label,method\n{line}")).unwrap();
    let read = baselines::read(&file).unwrap();
    assert_eq!((read.len(), read[0].proxies().count()), (2, 2));
    baselines::write(&file, &read).unwrap();
    assert_eq!(baselines::read(&file).unwrap(), read, "written and read back");
    let options = ValidateOptions { baselines: read, ..ValidateOptions::default() };
    let result = validate::run(&tables.world.context(&[]).await, &options).await.unwrap();
    let object = Validate::from(&result).json();
    let person = &object["wallets"][0];
    assert_eq!(person["wallet"], format!("{}+{}", spelled(1), spelled(2)));
    assert_eq!((&person["total"], &person["status"]), (&"20.000000".into(), &"pass".into()));
    std::fs::write(&file, format!("wallet\n{}+{}\n", spelled(1), spelled(1))).unwrap();
    let error = baselines::read_wallets(&file).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("twice"), "{error}");
}
