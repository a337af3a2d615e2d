//! `backfill demo`, the real program: what it finds out is what the generator knows.

mod common;

use std::process::{Command, Stdio};

use backfill::demo::universe::BASELINE_WALLET;
use backfill::demo::{Universe, UniverseOptions};
use backfill::pnl::Micro;
use common::BACKFILL;
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
