//! `backfill demo`, the real program: what it finds out is what the generator knows.

use std::process::{Command, Stdio};

use crate::common::BACKFILL;
use backfill::demo::universe::BASELINE_WALLET;
use backfill::demo::{Universe, UniverseOptions};
use backfill::pnl::Micro;
use backfill::report::html::numbers::{Leaf, leaves};
use backfill::results::PhaseResult;
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
        v2_share: 0.15,
        ..UniverseOptions::default()
    };
    Universe::generate(options).unwrap()
}

/// What stands on a page, without its markup.
fn words(page: &str) -> String {
    let pieces = page.split('<').filter_map(|piece| piece.split_once('>'));
    pieces.map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

/// A phase's result as it was printed, value by value as a person reads it.
fn values(phase: &Value) -> Vec<Leaf> {
    let name = phase["phase"].as_str().unwrap();
    leaves(&PhaseResult::read(name, phase).expect("a result can be read back"))
}

/// Whether a person looks for a value in the sections, not in the list at the end.
fn is_sought(leaf: &Leaf) -> bool {
    let parts =
        ["months", "gap", "top unmapped", "wallets", "global", "before", "after", "tokens per second"];
    let unsaid = [
        "cause",
        "malformed fills",
        "duplicate fills",
        "unmapped fills",
        "ambiguous",
        "resolved positions",
        "margin",
        "payout per share",
    ];
    let first = leaf.path.split(" · ").next().unwrap();
    let last = leaf.path.split(" · ").last().unwrap();
    let is_part =
        parts.iter().any(|part| first.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ') == *part);
    let said = !unsaid.contains(&last)
        && !["pnl by position", "outcome labels", "gaps file", "differences", "flows", "signs", "waterfall"]
            .iter()
            .any(|it| leaf.path.contains(it));
    is_part && said && !["yes", "no", "–"].contains(&leaf.shown.as_str())
}

#[test]
fn the_report_of_a_demo_shows_every_number_of_its_results_and_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let (object, _) = demo(&[&format!("--report={}", file.display())]);
    let page = std::fs::read_to_string(&file).unwrap();
    // The server that the head names is text.
    for loads in ["<script", "=\"http://", "=\"https://", "src=", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
    let (body, list) = page.split_once("<h2 id=\"numbers\">Every number</h2>").expect("it has the section");
    let (body, list) = (words(body), words(list));
    let escaped = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;");
    let mut count = 0;
    for phase in object["phases"].as_array().unwrap() {
        let found = values(phase);
        count += found.len();
        for leaf in found {
            assert!(list.contains(&escaped(&leaf.shown)), "{}: {leaf:?}", phase["phase"]);
            let told = match leaf.shown.strip_suffix('%').filter(|_| leaf.path.ends_with("margin %")) {
                Some(points) => format!("{:+.2} points", points.parse::<f64>().unwrap()),
                None => escaped(&leaf.shown),
            };
            assert!(!is_sought(&leaf) || body.contains(&told), "{}: {leaf:?}", phase["phase"]);
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
    assert_eq!(shares[0] + shares[1], setup["listed"].as_u64().unwrap());
    let derived = setup["derived"].as_u64().unwrap_or_default();
    assert_eq!(shares[0] + shares[1] + derived, expected.unmapped);
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
    for (seed, plain) in [("1", false), ("2", false), ("3", true)] {
        let arguments = ["--seed", seed, "--plain"];
        let (object, _) = demo(if plain { &arguments } else { &arguments[..2] });
        let universe = universe(seed.parse().unwrap());
        assert_counts_of_the_universe(&universe, &object);
        assert_eq!(phase(&object, "setup")["derived"].is_null(), plain);
        assert!(["dome", "goldsky"].iter().all(|track| phase(&object, track)["rejected"] == 0));
        let wallet = universe.baseline(&BASELINE_WALLET.parse().unwrap()).unwrap();
        let validated = &phase(&object, "validate")["wallets"][0];
        assert_eq!(validated["total"], Micro::whole(wallet.pnl_micro).units().six());
        assert_eq!(validated["positions"], wallet.resolved_positions() as u64);
    }
}

#[test]
fn with_faulty_answers_and_lies_the_demo_still_counts_right_and_passes() {
    let (object, told) = demo(&["--seed", "1", "--faults", "0.2", "--plain"]);
    assert_counts_of_the_universe(&universe(1), &object);
    assert!(told.contains("The stand-ins spoiled ") && !told.contains(" told 0 lies"), "{told}");
}
