//! [`Verdict`]: each check with its number, its limit and how far the one is from the other.

use maud::{Markup, html};

use super::head::heading;
use super::part::{Column, cell, mark, table};
use super::read::Results;
use crate::journal::History;
use crate::outcome::Outcome;
use crate::report::text::{thousands, title};
use crate::results::{
    ENOUGH_PROCESSED, Merge, Percentage, PhaseResult, STALLED_SECONDS, Track, Validate, Verify, WalletStatus,
    WalletValidation,
};
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
pub fn of(history: &History, results: &Results) -> Vec<Verdict> {
    let mut found = Vec::new();
    for (source, result) in &results.tracks {
        let exit = history.last.get(source.name()).and_then(|run| run.ended.as_ref()).map(|end| end.exit);
        found.extend(track(*source, result, exit == Some(Outcome::Done.exit())));
        match result {
            PhaseResult::Track(it) if it.total > 0 => found.extend(criteria(*source, it)),
            _ => {}
        }
    }
    found.extend(history.last.keys().filter_map(|phase| failed(history, phase)));
    if let Some(result) = results.merge.as_deref() {
        found.push(merge(result));
        found.extend((!result.dry_run).then(|| duplicates(result)));
    }
    if let Some(verify) = &results.verify {
        of_verify(verify, &mut found);
    }
    if let Some(validate) = &results.validate {
        found.extend(validate.wallets.iter().map(|it| variance(validate, it)));
    }
    found
}

/// A look-up answers tokens, a catalogue is read in pages; either says by its exit code whether it is at its end.
fn track(source: Source, result: &PhaseResult, complete: bool) -> Option<Verdict> {
    let (what, done, whole) = match result {
        PhaseResult::Catalogue(it) => {
            ("every page is read", it.pages, it.pages.saturating_add(it.pages_failed))
        }
        PhaseResult::Track(it) => {
            ("every token has an answer", it.processed.saturating_sub(it.failed), it.total)
        }
        _ => return None,
    };
    Some(Verdict {
        what: format!("{}: {what}", source.title()),
        number: thousands(done),
        limit: thousands(whole),
        margin: format!("{} left", thousands(whole.saturating_sub(done))),
        passed: Some(complete),
    })
}

/// The guide's criteria for a track.
fn criteria(source: Source, result: &Track) -> [Verdict; 2] {
    let processed = Percentage::floored(result.processed, result.total);
    let enough = Percentage(ENOUGH_PROCESSED as f64);
    let (longest, stalled) = (result.longest_wait_seconds.0, STALLED_SECONDS);
    [
        Verdict {
            what: format!("{}: its workload is processed", source.title()),
            number: processed.to_string(),
            limit: at_least(enough),
            margin: points(Percentage(processed.0 - enough.0)),
            passed: Some(result.processed_enough()),
        },
        Verdict {
            what: format!("{}: no worker stalled", source.title()),
            number: format!("{longest:.1} s"),
            limit: format!("below {stalled:.0} s"),
            margin: format!("{:+.1} s", stalled - longest),
            passed: Some(result.never_stalled()),
        },
    ]
}

/// A track or another phase whose last run came to no result.
fn failed(history: &History, phase: &str) -> Option<Verdict> {
    let end = history.last.get(phase)?.ended.as_ref()?;
    (end.result.is_null() && end.exit != Outcome::Done.exit()).then(|| Verdict {
        what: format!("{}: it ran", title(phase)),
        number: end.error.clone().unwrap_or_else(|| format!("exit code {}", end.exit)),
        limit: "–".to_owned(),
        margin: "–".to_owned(),
        passed: Some(false),
    })
}

fn duplicates(result: &Merge) -> Verdict {
    Verdict {
        what: "Merge: tokens with more than one row in the map".to_owned(),
        number: thousands(result.duplicates),
        limit: "none".to_owned(),
        margin: format!("{} too many", thousands(result.duplicates)),
        passed: Some(result.duplicates == 0),
    }
}

/// `≥ 95.00%`
fn at_least(target: Percentage) -> String {
    format!("≥ {target}")
}

/// `+0.47 points`
fn points(margin: Percentage) -> String {
    format!("{:+.2} points", margin.0)
}

fn merge(result: &Merge) -> Verdict {
    Verdict {
        what: "Merge: coverage afterwards".to_owned(),
        number: result.after.coverage_pct.to_string(),
        limit: at_least(result.target_pct),
        margin: points(result.margin_pct),
        passed: Some(result.reaches_target),
    }
}

fn of_verify(verify: &Verify, found: &mut Vec<Verdict>) {
    let covered = |what: String, number: Percentage, margin: Percentage, passed: bool| Verdict {
        what,
        number: number.to_string(),
        limit: at_least(verify.target_pct),
        margin: points(margin),
        passed: Some(passed),
    };
    let global = &verify.global;
    let what = "Verify: coverage of all traded tokens".to_owned();
    found.push(covered(what, global.coverage_pct, global.margin_pct, global.passed));
    for it in &verify.wallets {
        let what = format!("Verify: fills of {}", it.wallet);
        found.push(covered(what, it.coverage_pct, it.margin_pct, it.passed));
    }
    found.push(Verdict {
        what: "Verify: tokens with more than one row in the map".to_owned(),
        number: thousands(verify.duplicates),
        limit: "none".to_owned(),
        margin: format!("{} too many", thousands(verify.duplicates)),
        passed: Some(verify.duplicates == 0),
    });
    let positions = &verify.positions;
    found.push(Verdict {
        what: "Verify: resolved positions".to_owned(),
        number: thousands(positions.resolved),
        limit: format!("≥ {}", thousands(positions.wanted)),
        margin: format!("{:+}", i128::from(positions.resolved) - i128::from(positions.wanted)),
        passed: Some(positions.passed),
    });
}

fn variance(validate: &Validate, wallet: &WalletValidation) -> Verdict {
    let none = || "–".to_owned();
    Verdict {
        what: format!("Validate: P&L of {}", wallet.wallet),
        number: wallet.variance_pct.map_or_else(none, |it| it.to_string()),
        limit: format!("below ±{}", validate.variance_limit_pct),
        margin: wallet.margin_pct.map_or_else(none, points),
        passed: match wallet.status {
            WalletStatus::Pass => Some(true),
            WalletStatus::Fail => Some(false),
            WalletStatus::Skipped => None,
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
        (heading("verdicts"))
        @if rows.is_empty() { p.dim { "No phase with a check has come to a result yet." } }
        @else { (table(&columns, &rows)) }
    }
}
