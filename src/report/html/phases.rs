//! The phases' last runs, and every number that they came to.

use maud::{Markup, html};
use serde_json::Value;

use super::numbers::leaves;
use super::part::{Column, at, cell, table, told};
use super::{moment, result};
use crate::journal::History;
use crate::phases::status::{PhaseStatus, State, Status};
use crate::report::text::runtime;

/// Each phase, how it stands, when, for how long, and the numbers that matter.
pub fn section(history: &History, status: &Status) -> Markup {
    let columns = [
        Column::Words("Phase"),
        Column::Words("State"),
        Column::Words("When"),
        Column::Number("Took"),
        Column::Words("Numbers that matter"),
    ];
    let row = |phase: &PhaseStatus| {
        let class = match phase.state {
            State::Done => "good",
            State::NeverRun => "dim",
            State::Running => "limit",
            _ => "bad",
        };
        let note = match &phase.error {
            Some(error) => error.clone(),
            None => result(history, &phase.phase).map(|it| note(&phase.phase, it)).unwrap_or_default(),
        };
        vec![
            cell(&phase.phase),
            html! { span class=(class) { (phase.state.name()) } },
            cell(phase.at.map(moment).unwrap_or_default()),
            cell(phase.seconds.map(runtime).unwrap_or_default()),
            cell(note),
        ]
    };
    let rows: Vec<_> = status.phases.iter().map(row).collect();
    html! { h2 { "Phases" } (table(&columns, &rows)) }
}

fn note(phase: &str, result: &Value) -> String {
    let told = |path: &[&str]| told(result, path);
    match phase {
        "setup" => format!(
            "{} traded tokens, {} mapped, {} unmapped",
            told(&["total_asset_ids"]),
            told(&["coverage_pct"]),
            told(&["unmapped"])
        ),
        "derive" => format!("{} derived from {} conditions", told(&["inserted"]), told(&["conditions"])),
        "merge" => format!("{} added, {} mapped", told(&["added"]), told(&["after", "coverage_pct"])),
        "verify" => format!(
            "{} mapped, {} resolved positions",
            told(&["global", "coverage_pct"]),
            told(&["positions", "resolved"])
        ),
        "validate" => match at(result, &["wallets"]).as_array().map_or(&[][..], Vec::as_slice) {
            [one] => {
                let told = |name| super::part::told(one, &[name]);
                format!("P&L {}, off by {}", told("total"), told("variance_pct"))
            }
            many => format!("{} wallets", many.len()),
        },
        _ => format!(
            "{} of {} processed, {} inserted",
            told(&["processed"]),
            told(&["total"]),
            told(&["inserted"])
        ),
    }
}

/// Every value of every result.
pub fn every_number(history: &History) -> Markup {
    let columns = [Column::Words("What"), Column::Id("Value")];
    html! {
        h2 { "Every number" }
        @for (phase, _) in &history.last {
            @if let Some(result) = result(history, phase) {
                @let rows = leaves(result).into_iter().map(|it| vec![cell(it.path), cell(it.shown)]).collect::<Vec<_>>();
                details {
                    summary { (phase) ": " (rows.len()) " values" }
                    (table(&columns, &rows))
                }
            }
        }
    }
}
