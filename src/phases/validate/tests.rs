//! Baselines as people write them, and what is said of those that cannot be read.

use std::path::Path;

use super::baselines::read as read_baselines;
use super::*;

const WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

fn read(text: &str) -> Result<Vec<Baseline>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("baselines.csv");
    std::fs::write(&path, text).unwrap();
    read_baselines(&path).map_err(|failure| {
        assert!(matches!(failure, Failure::File(_)));
        failure.to_string()
    })
}

#[test]
fn baselines_are_read_with_and_without_labels_in_any_order_of_columns() {
    let second = WALLET.to_uppercase().replace("CCE2", "1CE2");
    let text = format!(
        "\u{feff}label,wallet,expected_pnl\r\n\"the guide's, first\", {WALLET} ,87030.505\r\n,{second},-12\r\n"
    );
    let baselines = read(&text).unwrap();
    assert_eq!(baselines[0].label.as_deref(), Some("the guide's, first"));
    assert_eq!(
        (baselines[0].expected.cents(), baselines[1].expected.cents().as_str()),
        ("$87,030.51".into(), "-$12.00")
    );
    assert_eq!(baselines[1].label, None);
    let plain = read(&format!("wallet,expected_pnl\n{WALLET},0\n")).unwrap();
    assert!(plain[0].expected.is_zero());
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let header = "wallet,expected_pnl,label";
    for (text, words) in [
        (format!("{header}\n{WALLET},1\n0x12,1\n"), "line 3: not a wallet"),
        (format!("{header}\n{WALLET},$1\n"), "line 2: expected_pnl: expected a decimal"),
        (format!("{header}\n{WALLET}\n"), "nothing is expected of 0xcce2"),
        (format!("{header}\n{WALLET},1\n{},2\n", WALLET.to_uppercase()), "line 3: 0xcce2b7"),
        (format!("{WALLET},1\n"), "must name the columns wallet and expected_pnl"),
        (format!("{header}\n"), "no wallet stands in it"),
        (String::new(), "must name the columns wallet and expected_pnl"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains("baselines.csv: ") && error.contains(words), "{text:?}: {error}");
    }
    let missing = read_baselines(Path::new("/nowhere/baselines.csv")).unwrap_err().to_string();
    assert!(missing.contains("/nowhere/baselines.csv"), "{missing}");
}
