//! The page as a whole, from results that the phases could have come to.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::journal::{Event, Journal, Place, RunId, Sample};
use crate::phases::status;

const HOSTILE: &str = "<script src=\"http://evil/x.js\"></script>'\"&<img onerror=alert(1)>";

fn ended(journal: &Journal, phase: &str, exit: u8, result: Value, error: Option<&str>) {
    let (run, written) = journal.began(phase);
    written.unwrap();
    let error = error.map(str::to_owned);
    let phase = phase.to_owned();
    journal
        .append(&Event::Ended {
            phase,
            run,
            at: Timestamp::now(),
            exit,
            seconds: 2.5,
            result,
            error,
            place: Place::default(),
        })
        .unwrap();
}

/// The page of a folder, and its text without markup.
fn written(folder: &Path) -> (String, String) {
    let history = History::of(folder).unwrap();
    let now = Timestamp::now();
    let page = page(&history, &status::look(folder, &history, now), now);
    let body = page.split("</style>").nth(1).unwrap_or_default();
    let mut text = String::new();
    for piece in body.split('<').skip(1) {
        text.push_str(piece.split_once('>').map_or("", |(_, text)| text));
        text.push(' ');
    }
    (page, text)
}

fn position(pnl: &str, winner: &str) -> Value {
    json!({
        "condition_id": "a".repeat(64), "outcome_index": 1, "winner": winner, "net_shares_micro": "45678901234",
        "cost_basis_micro": "-42345678901", "payout": "45678.901234", "pnl": pnl,
    })
}

fn validate(label: &str) -> Value {
    json!({
        "phase": "validate", "passed": false, "variance_limit_pct": 2.0, "elapsed_seconds": 3.1,
        "wallets": [{
            "wallet": "0xabc", "label": label, "expected": "87030.510000", "total": "80000.000000",
            "delta": "-7030.510000", "variance_pct": -8.08, "margin_pct": -6.08, "status": "fail", "positions": 2,
            "wins": {"count": 1, "pnl": "3333.220000"}, "losses": {"count": 1, "pnl": "-10234.570000"},
            "top_winners": [position("3333.220000", label)], "top_losers": [position("-10234.570000", "no")],
            "pnl_by_position": ["3333.220000", "-10234.570000"],
            "explanations": [{"cause": "fills of unmapped tokens", "count": 17, "worth": "512.250000"}],
            "unexplained": "6518.260000",
        }],
    })
}

#[test]
fn what_comes_from_outside_is_escaped_and_nothing_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path(), RunId::of_process(Timestamp::now()));
    ended(&journal, "validate", 3, validate(HOSTILE), None);
    ended(&journal, "merge", 1, Value::Null, Some(HOSTILE));
    let months = json!([{"month": HOSTILE, "total": 5, "mapped": 4, "coverage_pct": 80.0}]);
    let causes = json!({HOSTILE: {"tokens": 1, "fills": 2, "volume": "3.000000"}});
    let verify = json!({
        "phase": "verify", "months": months, "global": {"total": 5, "mapped": 4, "unmapped": 1},
        "gap": {"causes": causes}, "top_unmapped": [{"token_id": HOSTILE, "cause": HOSTILE}],
    });
    ended(&journal, "verify", 3, verify, None);
    let (page, text) = written(folder.path());
    for tag in page.split('<').skip(1).map(|piece| piece.split('>').next().unwrap_or_default()) {
        let name = tag.split([' ', '/']).find(|it| !it.is_empty()).unwrap_or_default();
        assert!(!["script", "img", "iframe", "object", "base", "form"].contains(&name), "{tag}");
        for loads in ["src=", "http", "onerror=", "xmlns", "url("] {
            assert!(!tag.contains(loads), "{loads} in {tag}");
        }
    }
    for loads in ["@import", "url("] {
        assert!(!STYLE.contains(loads), "{loads}");
    }
    assert!(text.contains(&escaped(HOSTILE)), "it is there, as text");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

/// As the templates escape it.
fn escaped(text: &str) -> String {
    html! { (text) }.into_string()
}

#[test]
fn every_verdict_has_its_number_its_limit_and_its_margin() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path(), RunId::of_process(Timestamp::now()));
    let track =
        json!({"phase": "dome", "total": 49_453, "processed": 49_453, "failed": 3, "coverage_pct": 97.1});
    ended(&journal, "dome", 4, track, None);
    let merge = json!({
        "phase": "merge", "total_asset_ids": 118_870, "before": {"mapped": 19_964, "coverage_pct": 16.79},
        "after": {"mapped": 113_486, "coverage_pct": 95.47}, "target_pct": 95.0, "margin_pct": 0.47,
        "reaches_target": true, "added": 93_522,
    });
    ended(&journal, "merge", 0, merge, None);
    let verify = json!({
        "phase": "verify", "target_pct": 95.0, "passed": false,
        "global": {"total": 118_870, "mapped": 113_486, "coverage_pct": 95.47, "margin_pct": 0.47, "passed": true},
        "wallets": [{"wallet": "0xabc", "coverage_pct": 94.1, "margin_pct": -0.9, "passed": false}],
        "positions": {"resolved": 40, "wanted": 50, "passed": false},
    });
    ended(&journal, "verify", 3, verify, None);
    ended(&journal, "validate", 3, validate("a label"), None);
    let history = History::of(folder.path()).unwrap();
    let found = verdicts::of(&history, &Results::of(&history));
    let lines: Vec<String> = found
        .iter()
        .map(|it| format!("{} | {} | {} | {} | {:?}", it.what, it.number, it.limit, it.margin, it.passed))
        .collect();
    assert_eq!(
        lines,
        [
            "Dome: every token has an answer | 49,450 | 49,453 | 3 left | Some(false)",
            "Dome: its workload is processed | 100.00% | ≥ 90.00% | +10.00 points | Some(true)",
            "Dome: no worker stalled | 0.0 s | below 300 s | +300.0 s | Some(true)",
            "Merge: coverage afterwards | 95.47% | ≥ 95.00% | +0.47 points | Some(true)",
            "Merge: tokens with more than one row in the map | 0 | none | 0 too many | Some(true)",
            "Verify: coverage of all traded tokens | 95.47% | ≥ 95.00% | +0.47 points | Some(true)",
            "Verify: fills of 0xabc | 94.10% | ≥ 95.00% | -0.90 points | Some(false)",
            "Verify: tokens with more than one row in the map | 0 | none | 0 too many | Some(true)",
            "Verify: resolved positions | 40 | ≥ 50 | -10 | Some(false)",
            "Validate: P&L of 0xabc | -8.08% | below ±2.00% | -6.08 points | Some(false)",
        ]
    );
    let (_, text) = written(folder.path());
    assert!(text.contains("6 of 10") && text.contains("✗ not passed") && text.contains("a label"), "{text}");
}

#[test]
fn a_phase_that_failed_a_running_one_and_a_torn_line_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path(), RunId::of_process(Timestamp::now()));
    ended(&journal, "setup", 1, Value::Null, Some("no ClickHouse answers at nowhere"));
    let (run, _) = journal.began("goldsky");
    for seconds in [0.0, 1.0] {
        let sample = Sample {
            phase: "goldsky".to_owned(),
            run: run.clone(),
            at: Timestamp::now(),
            seconds,
            total: 10,
            processed: 0,
            inserted: 0,
            failed: 0,
            requests: 5,
            throttled: 0,
            retries: 0,
            allowed_per_second: 5.0,
        };
        journal.append(&Event::Sample(sample)).unwrap();
    }
    std::fs::OpenOptions::new()
        .append(true)
        .open(journal.path())
        .map(|mut file| {
            use std::io::Write;
            file.write_all(b"{\"event\":\"ended\",\"pha\n").unwrap();
        })
        .unwrap();
    let (_, text) = written(folder.path());
    for expected in [
        "no ClickHouse answers at nowhere",
        "failed",
        "running",
        "5.0 a second",
        "could not be read and are left out: 1",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
