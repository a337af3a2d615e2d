//! A start from files of the public data set: every format, every row checked, and what a file may lack.

use std::path::{Path, PathBuf};

use backfill::chain::{Decoded, Event, Log, decode};
use backfill::phases::chain::ChainFiles;
use backfill::upstream::chain::ChainFile;

use super::*;

const NAMES: [&str; 6] =
    ["id", "condition_id", "oracle", "question_id", "outcome_slot_count", "payout_numerators"];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The universe's conditions and payouts as lines of the data set; each `false_every`th with another question.
pub(super) fn lines(scene: &Scene, payouts: bool, false_every: usize) -> (Vec<[String; 6]>, u64) {
    let all = BlockRange { from: 0, to: scene.chain.layout().last_block() };
    let (mut lines, mut false_rows) = (Vec::new(), 0);
    let line = |log: &Log, numerators: String| {
        let topics: Vec<String> = log.topics.iter().map(|topic| hex(topic)).collect();
        [
            format!("137_{}_{}", log.block, log.log_index),
            format!("0x{}", topics[1]),
            format!("0x{}", &topics[2][24..]),
            format!("0x{}", topics[3]),
            "2".to_owned(),
            numerators,
        ]
    };
    for log in scene.chain.logs(all) {
        let numerators = match decode(&log) {
            Decoded::Event(Event::Condition { .. }) if !payouts => String::new(),
            Decoded::Event(Event::Resolution { numerators, .. }) if payouts => {
                let list: Vec<String> = numerators.iter().map(|it| format!("\"{it}\"")).collect();
                format!("[{}]", list.join(","))
            }
            _ => continue,
        };
        let mut row = line(&log, numerators);
        if false_every > 0 && lines.len() % false_every == 3 {
            // Beside the true row: a false one, at a place of its own.
            let mut other = row.clone();
            other[0] = format!("137_{}_{}", log.block, log.log_index + 5_000);
            other[3] = format!("0x{:064x}", lines.len());
            lines.push(other);
            false_rows += 1;
        }
        row[1].make_ascii_lowercase();
        lines.push(row);
    }
    (lines, false_rows)
}

/// The first columns of the lines as a CSV file has them.
pub(super) fn csv_text(lines: &[[String; 6]], columns: usize) -> String {
    let names = NAMES.map(str::to_owned);
    let rows = std::iter::once(&names).chain(lines);
    rows.map(|row| row[..columns].join(",") + "\n").collect()
}

/// A file with these columns of the lines.
fn write(scene: &Scene, name: &str, lines: &[[String; 6]], columns: &[usize]) -> PathBuf {
    let path = scene.world.folder.path().join(name);
    let delimiter = if name.ends_with("tsv") { b'\t' } else { b',' };
    let mut file = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(if delimiter == b'\t' { csv::QuoteStyle::Never } else { csv::QuoteStyle::Necessary })
        .from_path(&path)
        .unwrap();
    file.write_record(columns.iter().map(|it| NAMES[*it])).unwrap();
    for line in lines {
        file.write_record(columns.iter().map(|it| line[*it].as_str())).unwrap();
    }
    file.flush().unwrap();
    path
}

fn files(preparations: &[&PathBuf], resolutions: &[&PathBuf], covers: Option<BlockRange>) -> ChainOptions {
    let parsed = |paths: &[&PathBuf]| {
        paths.iter().map(|path| ChainFile::parse(&path.display().to_string()).unwrap()).collect()
    };
    let files = ChainFiles { preparations: parsed(preparations), resolutions: parsed(resolutions), covers };
    ChainOptions { files, ..ChainOptions::default() }
}

/// The same rows as Parquet, made by ClickHouse itself.
async fn as_parquet(scene: &Scene, csv: &Path) -> PathBuf {
    let query = "SELECT id, condition_id, oracle, question_id, toUInt8(outcome_slot_count) AS outcome_slot_count, \
                 JSONExtract(payout_numerators, 'Array(String)') AS payout_numerators, now() AS fetched \
                 FROM input('id String, condition_id String, oracle String, question_id String, \
                 outcome_slot_count String, payout_numerators String')";
    scene.world.run("CREATE TABLE {s}.made_parquet (id String, condition_id String, oracle String, question_id String, outcome_slot_count UInt8, payout_numerators Array(String), fetched DateTime) ENGINE = Memory").await;
    let client = reqwest::Client::new();
    let insert = format!("INSERT INTO {}.made_parquet {query} FORMAT CSVWithNames", scene.world.staging);
    let url = reqwest::Url::parse_with_params(&scene.world.url, [("query", insert)]).unwrap();
    let answer = client.post(url).body(std::fs::read(csv).unwrap()).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let select = format!("SELECT * FROM {}.made_parquet FORMAT Parquet", scene.world.staging);
    let answer = client.post(&scene.world.url).body(select).send().await.unwrap();
    assert!(answer.status().is_success());
    let path = csv.with_extension("parquet");
    std::fs::write(&path, answer.bytes().await.unwrap()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_any_format_give_what_the_chain_gives_and_false_rows_are_kept_apart() {
    let scene = Scene::new(52, 900, 20_000).await;
    let (prepared, false_prepared) = lines(&scene, false, 10);
    let (resolved, false_resolved) = lines(&scene, true, 10);
    let half = prepared.len() / 2;
    let first = write(&scene, "preparations.csv", &prepared[..half], &[0, 1, 2, 3, 4]);
    let second = write(&scene, "preparations.tsv", &prepared[half..], &[4, 3, 2, 1, 0]);
    let payouts = write(&scene, "resolutions.csv", &resolved, &[0, 1, 2, 3, 4, 5]);
    scene.world.run("CREATE DATABASE IF NOT EXISTS {s}").await;
    let parquet = as_parquet(&scene, &payouts).await;

    let options = files(&[&first, &second], &[&parquet], None);
    let (result, _) = scene.read(&[], &options).await;
    let result = result.unwrap();
    assert_eq!(result.rejected, false_prepared + false_resolved, "{result:?}");
    assert_eq!((result.requests, result.ranges), (0, 0));
    assert_eq!(result.files.iter().map(|it| it.rows).sum::<u64>(), (prepared.len() + resolved.len()) as u64);
    scene.assert_whole().await;
    let again = scene.read(&[], &files(&[&first, &second], &[&payouts], None)).await.0.unwrap();
    assert_eq!((again.conditions, again.resolutions), (result.conditions, result.resolutions));
    scene.assert_whole().await;

    // No block is covered by that, unless it is said.
    let provider = scene.provider(ChainHabits::portal()).await;
    let layout = scene.chain.layout();
    let whole = BlockRange { from: 1, to: layout.last_block() };
    scene.read(&[], &files(&[&first], &[], Some(whole))).await.0.unwrap();
    assert_eq!(scene.read_all(&[&provider]).await.logs, 0, "the file covers all blocks by the user's word");
    let recheck = ChainOptions { recheck: vec![whole], ..ChainOptions::default() };
    let read = scene.read(&[&provider], &recheck).await.0.unwrap();
    assert_eq!(read.logs, scene.chain.log_count());
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_is_told_by_its_columns_and_writes_nothing() {
    let scene = Scene::new(53, 600, 2_000).await;
    let (rows, _) = lines(&scene, true, 0);
    let exit = |arguments: &[&str]| {
        let output = Command::new(BACKFILL)
            .arg("chain")
            .args(scene.world.arguments())
            .args(arguments)
            .args(["--progress", "none"])
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let lacking = write(&scene, "lacking.csv", &rows, &[0, 1, 4]);
    let (code, told) = exit(&["--resolutions", lacking.to_str().unwrap()]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("lacks oracle, question_id, payout_numerators"), "{told}");
    let empty = write(&scene, "empty.csv", &[], &[0, 1, 2, 3, 4]);
    let (code, told) = exit(&["--preparations", empty.to_str().unwrap()]);
    assert_eq!((code, told.contains("has no rows")), (2, true), "{told}");
    let no_parquet = scene.world.folder.path().join("rows.parquet");
    std::fs::write(&no_parquet, "this is no Parquet file, whatever its name says").unwrap();
    let (code, told) = exit(&["--preparations", no_parquet.to_str().unwrap()]);
    assert_eq!((code, told.contains("rows.parquet")), (2, true), "{told}");
    for arguments in [
        vec!["--preparations", "/nowhere/preparations.csv"],
        vec!["--preparations", "rows.json"],
        vec!["--covers", "1..2"],
        vec!["--preparations", "a.csv", "--follow"],
    ] {
        assert_eq!(exit(&arguments).0, 2, "{arguments:?}");
    }
    let (code, told) = exit(&["--preparations", "http://127.0.0.1:9/secret/rows.csv?key=secret"]);
    assert_eq!((code, told.contains("secret")), (1, false), "{told}");
    let left: u64 = scene.world.one("SELECT count() FROM {s}.chain_conditions").await;
    assert_eq!(left, 0);
    let tables: u64 = scene
        .world
        .one("SELECT count() FROM system.tables WHERE database = '{s}' AND name LIKE 'backfill_tmp%'")
        .await;
    assert_eq!(tables, 0);
}
