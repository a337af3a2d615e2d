//! Files of phase 5: every position with its numbers, and what Dome expects as a file of baselines.

use std::path::PathBuf;

use backfill::demo::stand_in::FaultPlan;
use backfill::failure::Failure;
use backfill::phases::validate::baselines::{self, Listed};
use backfill::phases::validate::expected;
use backfill::phases::validate::positions_file::PositionsFile;
use backfill::phases::validate::{self, Baseline, ValidateOptions};
use backfill::pnl::{Micro, Usd};

use crate::common::{World, small_universe, stand_ins};
use crate::pnl_world::{Fill, Tables, wallet};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_positions_file_sums_to_the_total() {
    let tables = Tables::new().await;
    for number in 1..=4_u8 {
        tables.map(number, number, number % 2, "Yes, \"quoted\"").await;
        tables.fills(&[Fill::buy(1, number, "0.123", "1234567.5")]).await;
    }
    tables.resolve(1, "[1, 0]", 1).await;
    tables.resolve(2, "[1, 0]", 1).await;
    tables.resolve(3, "[1, 1]", 2).await;
    // A token without a mapping, which is no part of the total and stands in the file all the same.
    tables.fills(&[Fill::buy(1, 9, "0.5", "2000000")]).await;
    let folder = tables.world.folder.path();
    let context = tables.world.context(&[]).await;
    let validated = async |path: PathBuf| {
        let options = ValidateOptions {
            baselines: vec![Baseline::new(wallet(1), usd("1"))],
            positions_file: Some(PositionsFile::new(path).unwrap()),
            detail: false,
            ..ValidateOptions::default()
        };
        validate::run(&context, &options).await.unwrap().wallets.remove(0)
    };
    let path = folder.join("positions.csv");
    let result = validated(path.clone()).await;
    let mut file = csv::Reader::from_path(&path).unwrap();
    let names = file.headers().unwrap().clone();
    let column = |name: &str| names.iter().position(|it| it == name).unwrap();
    let rows: Vec<csv::StringRecord> = file.records().map(Result::unwrap).collect();
    let states: Vec<&str> = rows.iter().map(|row| &row[column("state")]).collect();
    assert_eq!(states, ["resolved", "resolved", "resolved", "unresolved", "unmapped"]);
    let realized = rows.iter().map(|row| &row[column("realized_pnl")]).filter(|amount| !amount.is_empty());
    assert_eq!(realized.map(usd).sum::<Usd>(), result.total);

    let path = folder.join("positions.parquet");
    assert_eq!(validated(path.clone()).await.total, result.total);
    let (rows, total, labels): (u64, String, u64) = tables
        .world
        .one(&format!(
            "SELECT count(), assumeNotNull(toString(sum(realized_pnl))), countIf(label = 'Yes, \"quoted\"') \
             FROM file('{}', 'Parquet')",
            path.display()
        ))
        .await;
    assert_eq!((rows, usd(&total), labels), (5, result.total, 4));
    let error = PositionsFile::new(folder.join("positions.xlsx")).unwrap_err();
    assert!(matches!(error, Failure::File(_)) && error.to_string().contains(".parquet"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dome_is_asked_what_it_expects_and_its_answer_is_a_baselines_file() {
    let universe = small_universe(3);
    let world = World::with(&universe).await;
    let (dome, _goldsky) = stand_ins(&universe, |options| options.faults = FaultPlan::faults(3, 0.2)).await;
    let context = world
        .context(&[
            "--dome-api-url",
            &dome.url(),
            "--dome-api-key",
            "demo",
            "--dome-rate-limit",
            "100000/1s",
            "--request-timeout",
            "500ms",
        ])
        .await;
    let listed = |wallet| Listed {
        wallet,
        others: Vec::new(),
        expected: None,
        label: Some("a, b".to_owned()),
        method: None,
    };
    let unknown = wallet(200);
    let wallets = universe.baselines().iter().map(|it| it.wallet).chain([unknown]).map(listed).collect();
    let asked = expected::ask_dome(&context, wallets).await.unwrap();
    let known: Vec<_> = universe
        .baselines()
        .iter()
        .map(|it| Baseline {
            label: Some("a, b".to_owned()),
            ..Baseline::new(it.wallet, Micro::whole(it.pnl_micro).units())
        })
        .collect();
    assert_eq!(asked, known);
    assert!(world.kept.notices.lock().unwrap().iter().any(|it| it.contains(&unknown.to_string())));
    let file = world.folder.path().join("new").join("baselines.csv");
    baselines::write(&file, &asked).unwrap();
    assert_eq!(baselines::read(&file).unwrap(), known);
    let nobody = expected::ask_dome(&context, vec![listed(unknown)]).await.unwrap_err();
    assert!(matches!(nobody, Failure::Unusable(_)), "{nobody}");
    let error = expected::ask_dome(&world.context(&[]).await, vec![listed(unknown)]).await.unwrap_err();
    assert!(matches!(error, Failure::Usage(_)) && error.to_string().contains("DOME_API_KEY"), "{error}");
}
