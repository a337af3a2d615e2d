//! The phases' last runs, and every number that they came to.

use maud::{Markup, html};

use super::head::heading;
use super::numbers::leaves;
use super::part::{Column, cell, moment, table};
use super::read::result;
use crate::journal::History;
use crate::report::run::numbers;
use crate::report::text::runtime;
use crate::results::{PhaseStatus, State, Status};

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
            None => result(history, &phase.phase).map(|it| numbers(&it)).unwrap_or_default(),
        };
        vec![
            cell(&phase.phase),
            html! { span class=(class) { (phase.state.name()) } },
            cell(phase.at.map(moment).unwrap_or_default()),
            cell(phase.seconds.map(|it| runtime(it.0)).unwrap_or_default()),
            cell(note),
        ]
    };
    let rows: Vec<_> = status.phases.iter().map(row).collect();
    html! { (heading("phases")) (table(&columns, &rows)) }
}

/// Every value of every result.
pub fn every_number(history: &History) -> Markup {
    let columns = [Column::Words("What"), Column::Id("Value")];
    html! {
        (heading("numbers"))
        @for (phase, _) in &history.last {
            @if let Some(result) = result(history, phase) {
                @let rows = leaves(&result).into_iter().map(|it| vec![cell(it.path), cell(it.shown)]).collect::<Vec<_>>();
                details.list {
                    summary { (phase) ": " (rows.len()) " values" }
                    (table(&columns, &rows))
                }
            }
        }
    }
}
