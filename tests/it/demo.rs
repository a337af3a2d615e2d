//! `backfill demo`, the real program: what it finds out is what the generator knows.

use std::process::{Command, Stdio};

use crate::common::BACKFILL;
use backfill::demo::universe::BASELINE_WALLET;
use backfill::demo::{Universe, UniverseOptions};
use backfill::pnl::Micro;
use backfill::report::html::numbers::shown;
use serde_json::Value;

/// Runs the demo in a folder of its own and answers its JSON object and what it told beside that.
fn demo(arguments: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(BACKFILL)
        .args(["demo", "--format", "json", "--tokens", "6000", "--fills", "20000"])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "the demo leaves nothing behind: {left:?}");
    let mut lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let object = serde_json::from_slice(lines.next().unwrap()).unwrap();
    assert!(lines.next().is_none(), "one object on standard output");
    (object, errors.into_owned())
}

/// The universe of the demo with this seed.
fn universe(seed: u64) -> Universe {
    let options = UniverseOptions {
        seed,
        traded_tokens: 6_000,
        mapped_tokens: 6_000 * 19_964 / 118_870,
        fills: 20_000,
        ..UniverseOptions::default()
    };
    Universe::generate(options).unwrap()
}

/// What stands on a page, without its markup.
fn words(page: &str) -> String {
    let pieces = page.split('<').filter_map(|piece| piece.split_once('>'));
    pieces.map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

/// Every value of a result by its field's name; the phase's own name is none of its values.
fn values<'a>(name: &'a str, value: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| *name != "phase");
            fields.for_each(|(name, value)| values(name, value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| values(name, item, found)),
        _ => found.push((name, value)),
    }
}

/// The values below a part of a result that a person looks for in the sections, not in the list at the end.
fn sought(phase: &Value) -> Vec<(&str, &Value)> {
    let parts =
        ["months", "gap", "top_unmapped", "wallets", "global", "before", "after", "tokens_per_second"];
    let unsaid =
        ["cause", "malformed_fills", "duplicate_fills", "ambiguous", "resolved_positions", "pnl_by_position"];
    let mut found = Vec::new();
    parts
        .iter()
        .filter_map(|name| Some((*name, phase.get(*name)?)))
        .for_each(|(name, it)| values(name, it, &mut found));
    found.retain(|(name, value)| !unsaid.contains(name) && !value.is_boolean() && !value.is_null());
    found
}

#[test]
fn the_report_of_a_demo_shows_every_number_of_its_results_and_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let (object, _) = demo(&[&format!("--report={}", file.display())]);
    let page = std::fs::read_to_string(&file).unwrap();
    for loads in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
    let (body, list) = page.split_once("<h2>Every number</h2>").expect("it has the section");
    let (body, list) = (words(body), words(list));
    let escaped = |name: &str, value: &Value| shown(name, value).replace('&', "&amp;").replace('"', "&quot;");
    let mut count = 0;
    for phase in object["phases"].as_array().unwrap() {
        let mut found = Vec::new();
        values("", phase, &mut found);
        count += found.len();
        for (name, value) in found {
            assert!(list.contains(&escaped(name, value)), "{}: {name} {value}", phase["phase"]);
        }
        for (name, value) in sought(phase) {
            let told = match value.as_f64().filter(|_| name == "margin_pct") {
                Some(points) => format!("{points:+.2} points"),
                None => escaped(name, value),
            };
            assert!(body.contains(&told), "{}: {name} {value}", phase["phase"]);
        }
    }
    assert!(count > 300, "{count} values");
    assert!(page.matches("<svg").count() >= 16, "eight charts in two sizes");
    assert!(!body.contains("cannot be drawn") && body.contains("checks passed"), "{body}");
}

fn phase<'a>(object: &'a Value, name: &str) -> &'a Value {
    object["phases"].as_array().unwrap().iter().find(|it| it["phase"] == name).unwrap()
}

/// The demo counted right and mapped enough.
fn assert_counts_of_the_universe(universe: &Universe, object: &Value) {
    let expected = universe.expected();
    let phase = |name: &str| phase(object, name);
    assert_eq!(object["passed"], true);
    let setup = phase("setup");
    assert_eq!(setup["total_asset_ids"], expected.traded);
    assert_eq!((&setup["mapped"], &setup["unmapped"]), (&expected.mapped.into(), &expected.unmapped.into()));
    let shares = [&setup["tracks"]["dome"], &setup["tracks"]["goldsky"]].map(|it| it.as_u64().unwrap());
    assert_eq!(shares[0] + shares[1], expected.unmapped);
    assert!(shares[0].abs_diff(shares[1]) <= 1);
    for track in ["dome", "goldsky"].map(phase) {
        let count = |name: &str| track[name].as_u64().unwrap();
        assert_eq!(count("processed"), count("total"));
        assert_eq!(count("failed"), 0);
        assert_eq!(count("total"), setup["tracks"][track["phase"].as_str().unwrap()].as_u64().unwrap());
    }
    let merge = phase("merge");
    assert_eq!(merge["before"]["mapped"], expected.mapped);
    assert_eq!(merge["conflicting"], 0);
    let (verify, after) = (phase("verify"), merge["after"]["mapped"].as_u64().unwrap());
    assert_eq!(
        (&verify["global"]["total"], &verify["global"]["mapped"]),
        (&expected.traded.into(), &after.into())
    );
    assert!(after <= expected.traded - expected.unreachable, "more is mapped than any API knows");
    assert!(after * 100 >= expected.traded * 95);
    let wallet = universe.baseline(&BASELINE_WALLET.parse().unwrap()).unwrap();
    assert_eq!(verify["wallets"][0]["fills"], wallet.fills as u64);
}

#[test]
fn what_the_demo_finds_out_is_what_the_generator_knows_for_three_seeds() {
    for seed in [1, 2, 3] {
        let (universe, (object, _)) = (universe(seed), demo(&["--seed", &seed.to_string()]));
        assert_counts_of_the_universe(&universe, &object);
        assert!(["dome", "goldsky"].iter().all(|track| phase(&object, track)["rejected"] == 0));
        let wallet = universe.baseline(&BASELINE_WALLET.parse().unwrap()).unwrap();
        let validated = &phase(&object, "validate")["wallets"][0];
        assert_eq!(validated["total"], Micro::whole(wallet.pnl_micro).units().six());
        assert_eq!(validated["positions"], wallet.resolved_positions() as u64);
    }
}

#[test]
fn with_faulty_answers_and_lies_the_demo_still_counts_right_and_passes() {
    let (object, told) = demo(&["--seed", "1", "--faults", "0.2"]);
    assert_counts_of_the_universe(&universe(1), &object);
    assert!(told.contains("The stand-ins spoiled ") && !told.contains(" told 0 lies"), "{told}");
}
