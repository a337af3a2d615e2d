//! [`Verdict`]: each check with its number, its limit and how far the one is from the other.

use maud::{Markup, html};
use serde_json::Value;

use super::part::{Column, at, cell, items, mark, table, told};
use super::result;
use crate::journal::History;
use crate::report::text::thousands;
use crate::source::Source;

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is checked, a wallet's id included.
    pub what: String,
    /// What came out.
    pub number: String,
    /// What was wanted.
    pub limit: String,
    /// How far it is from that; negative where it is missed.
    pub margin: String,
    /// Whether it holds; `None` where nothing can be said.
    pub passed: Option<bool>,
}

/// Every check of the last runs, in the order of the phases.
pub fn of(history: &History) -> Vec<Verdict> {
    let mut found = Vec::new();
    for source in Source::ALL {
        let exit = history.last.get(source.name()).and_then(|run| run.ended.as_ref()).map(|end| end.exit);
        found.extend(result(history, source.name()).map(|it| track(source, it, exit == Some(0))));
    }
    found.extend(result(history, "merge").map(merge));
    if let Some(verify) = result(history, "verify") {
        of_verify(verify, &mut found);
    }
    if let Some(validate) = result(history, "validate") {
        found.extend(items(validate, &["wallets"]).iter().map(|it| variance(validate, it)));
    }
    found
}

fn count(result: &Value, name: &str) -> u64 {
    at(result, &[name]).as_u64().unwrap_or_default()
}

/// A look-up answers tokens, a catalogue is read in pages; either says by its exit code whether it is at its end.
fn track(source: Source, result: &Value, complete: bool) -> Verdict {
    let failed = count(result, "failed");
    let (what, done, whole) = match at(result, &["pages"]).as_u64() {
        Some(pages) => ("every page is read", pages, pages.saturating_add(count(result, "pages_failed"))),
        None => {
            let answered = count(result, "processed").saturating_sub(failed);
            ("every token has an answer", answered, count(result, "total"))
        }
    };
    Verdict {
        what: format!("{}: {what}", source.title()),
        number: thousands(done),
        limit: thousands(whole),
        margin: format!("{} left", thousands(whole.saturating_sub(done))),
        passed: Some(complete),
    }
}

/// `≥ 95.00%`
fn at_least(result: &Value) -> String {
    format!("≥ {}", told(result, &["target_pct"]))
}

/// `+0.47 points`
fn points(result: &Value) -> String {
    at(result, &["margin_pct"]).as_f64().map_or("–".to_owned(), |points| format!("{points:+.2} points"))
}

fn passed(result: &Value, name: &str) -> Option<bool> {
    at(result, &[name]).as_bool()
}

fn merge(result: &Value) -> Verdict {
    Verdict {
        what: "Merge: coverage afterwards".to_owned(),
        number: told(result, &["after", "coverage_pct"]),
        limit: at_least(result),
        margin: points(result),
        passed: passed(result, "reaches_target"),
    }
}

fn of_verify(verify: &Value, found: &mut Vec<Verdict>) {
    let covered = |what: String, of: &Value| Verdict {
        what,
        number: told(of, &["coverage_pct"]),
        limit: at_least(verify),
        margin: points(of),
        passed: passed(of, "passed"),
    };
    found.push(covered("Verify: coverage of all traded tokens".to_owned(), at(verify, &["global"])));
    for wallet in items(verify, &["wallets"]) {
        found.push(covered(format!("Verify: fills of {}", told(wallet, &["wallet"])), wallet));
    }
    let positions = at(verify, &["positions"]);
    let number = |name| at(positions, &[name]).as_i64().unwrap_or_default();
    found.push(Verdict {
        what: "Verify: resolved positions".to_owned(),
        number: told(positions, &["resolved"]),
        limit: format!("≥ {}", told(positions, &["wanted"])),
        margin: format!("{:+}", number("resolved").saturating_sub(number("wanted"))),
        passed: passed(positions, "passed"),
    });
}

fn variance(validate: &Value, wallet: &Value) -> Verdict {
    Verdict {
        what: format!("Validate: P&L of {}", told(wallet, &["wallet"])),
        number: told(wallet, &["variance_pct"]),
        limit: format!("below ±{}", told(validate, &["variance_limit_pct"])),
        margin: points(wallet),
        passed: match at(wallet, &["status"]).as_str() {
            Some("pass") => Some(true),
            Some("fail") => Some(false),
            _ => None,
        },
    }
}

/// All of them in a table.
pub fn section(verdicts: &[Verdict]) -> Markup {
    let columns = [
        Column::Words("Check"),
        Column::Number("Number"),
        Column::Number("Limit"),
        Column::Number("Margin"),
        Column::Words("Verdict"),
    ];
    let row = |it: &Verdict| {
        let Verdict { what, number, limit, margin, passed } = it;
        vec![cell(what), cell(number), cell(limit), cell(margin), mark(*passed)]
    };
    let rows: Vec<_> = verdicts.iter().map(row).collect();
    html! {
        h2 { "Verdicts" }
        @if rows.is_empty() { p.dim { "No phase with a check has come to a result yet." } }
        @else { (table(&columns, &rows)) }
    }
}
