//! What users hand over: files with one thing a line, names of columns, and what Dome says of a wallet that they name.

use std::time::Duration;

use backfill::phases::lines::{self, Line};
use backfill::source::Source;
use backfill::store::input::ColumnNames;
use backfill::upstream::SourceSettings;
use backfill::upstream::dome::Dome;

use super::harness::{fuzz, looks};
use super::server::Liar;

/// Reads every line of a file; `check` looks at what was read.
fn lines<T>(mut input: &[u8], read: fn(&str) -> Line<T>, check: impl Fn(&T)) -> u64 {
    let mut said = String::new();
    while let Some(line) = lines::next_line(&mut input, read).unwrap() {
        said += match &line {
            Line::Empty => "e",
            Line::Read(read) => {
                check(read);
                "r"
            }
            Line::Malformed => "m",
        };
    }
    looks(&said)
}

#[test]
fn files_of_conditions() {
    fuzz("conditions", |input| {
        lines(input, lines::condition, |condition| {
            assert!(!condition.is_zero());
            assert_eq!(lines::condition(&condition.to_string()), Line::Read(*condition));
        })
    });
}

#[test]
fn files_of_combos() {
    fuzz("combos", |input| {
        lines(input, lines::combo, |(condition, legs)| {
            assert!(legs.is_sorted() && legs.len() <= 50, "{legs:?}");
            assert_eq!(backfill::ctf::combo_condition(legs).as_ref(), Ok(condition));
        })
    });
}

/// A factor stands in statements as it is.
#[test]
fn names_of_columns() {
    fuzz("columns", |input| {
        let text = String::from_utf8_lossy(input);
        match text.parse::<ColumnNames>() {
            Ok(names) => {
                for ours in ["size", "price", "fee_cash", "fee_received"] {
                    let factor = names.factor(ours).unwrap_or("1");
                    assert!(factor.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{factor}");
                    assert!(factor.parse::<f64>().is_ok_and(|factor| factor > 0.0), "{factor}");
                }
                looks(names.theirs("size"))
            }
            Err(error) => looks(&error.to_string()),
        }
    });
}

#[test]
fn what_dome_says_of_a_wallet() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let liar = Liar::start();
    let settings = SourceSettings {
        url: liar.url().parse().unwrap(),
        api_key: Some("s3cret-0f-mine".into()),
        rate_limit: Source::Dome.info().api.as_ref().unwrap().rate_limit.default.parse().unwrap(),
        mode: String::new(),
    };
    let dome = Dome::new(&settings, Duration::from_secs(5)).unwrap();
    let wallet = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b".parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    fuzz("pnl", |input| {
        liar.set_body(input);
        match runtime.block_on(dome.realized_pnl(&wallet)) {
            Ok(pnl) => looks(if pnl.is_some() { "some" } else { "none" }),
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("s3cret-0f-mine") && !text.chars().any(char::is_control), "{text:?}");
                looks(&text)
            }
        }
    });
}
