//! `backfill prove` as a person uses it: a pair or a table, no ClickHouse anywhere.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const BACKFILL: &str = env!("CARGO_BIN_EXE_backfill");
const CONDITION: &str = "6876ac2b6174778c973c118aac287c49057c4d5360f896729209fe985a2c07fb";
const TOKEN: &str = "14557944883400223565643640243919774851380876937588843424705199812983475639104";

/// Runs it where nothing listens at ClickHouse's address.
fn prove(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(BACKFILL)
        .args(["prove", "--clickhouse-url", "http://127.0.0.1:1"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    // It writes while it reads, and it may end before it has read anything.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writing.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_pair_is_proven_or_refuted() {
    let output = prove(&[TOKEN, CONDITION], "");
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    assert!(said.starts_with("proven") && said.contains("outcome 0") && said.contains("usdc_e"), "{said}");
    // A row of a production table: no index and no collateral gives this token.
    let wrong = [
        "101071082387121029316203543703191838956447974754518255789281179566651789604680",
        "0xe3b423dfad8c22ff75c9899c4e8176f628cf4ad4caa00481764d320e7415f7a9",
    ];
    assert!(text(&prove(&wrong, "").stdout).starts_with("refuted"));
    let output = prove(&[wrong[0], wrong[1], "--format", "json"], "");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["verdict"], &json["outcome_index"]), (&"refuted".into(), &serde_json::Value::Null));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_token_of_the_second_generation_is_a_mirror_or_structural_or_refuted() {
    let mirror = "895257453734540292493143124621755605615887197499956109032745153687078305792";
    let legacy = "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7";
    let native = "834369838335332281222091626449713794621251551518727511203689528701902389249";
    let own = format!("01d83c915cee8a5ec4b4b715d1ac911aa7{}", "0".repeat(28));
    for (token, condition, verdict, code) in [
        (mirror, legacy, "mirror: ", 0),
        (native, own.as_str(), "structural: ", 0),
        (native, legacy, "refuted: ", 3),
        // What Polymarket's page says of the newest dollar gives this id, which nobody trades.
        (
            "75552629844249764067060224094305573682412859798713643911722997839974988867283",
            legacy,
            "refuted: ",
            3,
        ),
    ] {
        let output = prove(&[token, condition], "");
        let said = text(&output.stdout);
        assert!(said.starts_with(verdict), "{said}");
        assert_eq!(output.status.code(), Some(code), "{said}");
    }
}

#[test]
fn a_listed_collateral_decides() {
    let output =
        prove(&[TOKEN, CONDITION, "--collaterals", "other=0x00000000000000000000000000000000000000ff"], "");
    assert!(text(&output.stdout).starts_with("refuted"));
}

#[test]
fn a_table_comes_back_in_its_order_with_a_verdict_on_each_row() {
    // More rows than are worked on at once.
    let row = format!("x,{CONDITION},{TOKEN}\nx,{CONDITION},9{TOKEN}\nx,{CONDITION},1\n");
    let csv = format!("note,condition_id,token_id\n{}", row.repeat(3_000));
    let expected = format!(
        "{TOKEN},{CONDITION},0,usdc_e,proven\n9{TOKEN},{CONDITION},,,malformed\n1,{CONDITION},,,refuted\n"
    );
    let expected =
        format!("token_id,condition_id,outcome_index,collateral,verdict\n{}", expected.repeat(3_000));
    let output = prove(&["--file", "-"], &csv);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stdout) == expected);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &csv).unwrap();
    assert!(text(&prove(&["--file", file.path().to_str().unwrap()], "").stdout) == expected);
    let json: serde_json::Value =
        serde_json::from_slice(&prove(&["--file", "-", "--format", "json"], &csv).stdout).unwrap();
    assert_eq!((json["rows"].as_u64(), json["malformed"].as_u64()), (Some(9_000), Some(3_000)));
}

/// 200 pairs as they are traded, of both collaterals.
#[test]
fn every_real_position_is_proven_with_its_index_and_collateral_and_no_other_condition() {
    let real = include_str!("../data/real-positions.csv");
    let rows: Vec<Vec<&str>> = real.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 200);
    let bare = |condition: &str| condition.trim_start_matches("0x").to_owned();
    let expected = rows.iter().map(|row| format!("{},{},{},{},proven", row[0], bare(row[1]), row[2], row[3]));
    let output = prove(&["--file", "-"], real);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert_eq!(said.lines().skip(1).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    // Each token with the condition of the next row.
    let next = rows.iter().zip(rows.iter().cycle().skip(1)).filter(|(row, next)| row[1] != next[1]);
    let turned: Vec<String> = next.map(|(row, next)| format!("{},{}\n", row[0], next[1])).collect();
    let output = prove(&["--file", "-"], &format!("token_id,condition_id\n{}", turned.concat()));
    assert_eq!(output.status.code(), Some(3));
    let refuted = text(&output.stdout).lines().filter(|line| line.ends_with(",,,refuted")).count();
    assert_eq!((refuted, turned.len() > 190), (turned.len(), true));
}

#[test]
fn what_cannot_be_proven_at_all_is_a_usage_error() {
    for (arguments, input) in [
        (&[][..], ""),
        (&[TOKEN][..], ""),
        (&["007", CONDITION][..], ""),
        (&[TOKEN, "abc"][..], ""),
        (&["--file", "/nowhere/claims.csv"][..], ""),
        (&["--file", "-"][..], "token,condition\n1,2\n"),
        (&[TOKEN, CONDITION, "--file", "-"][..], ""),
    ] {
        let output = prove(arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}
