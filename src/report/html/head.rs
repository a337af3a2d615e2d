//! The head of the report: which server and tables, which runs, by which versions, from when to when; and the list of
//! the sections.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::part::moment;
use crate::journal::{History, PhaseRun, Place};
use crate::report::text::runtime;

/// Runs that began further apart than this are hardly of one piece of work.
const ONE_PIECE: SignedDuration = SignedDuration::from_hours(24);

/// Each section's anchor and title, in their order.
const SECTIONS: [(&str, &str); 7] = [
    ("verdicts", "Verdicts"),
    ("coverage", "Coverage"),
    ("tracks", "Tracks"),
    ("gap", "Where the gap is"),
    ("pnl", "Realized P&L"),
    ("phases", "Phases"),
    ("numbers", "Every number"),
];

/// The heading of a section, to which the table of contents leads.
pub fn heading(anchor: &str) -> Markup {
    let title = SECTIONS.iter().find(|(of, _)| *of == anchor).map_or(anchor, |(_, title)| title);
    html! { h2 id=(anchor) { (title) } }
}

/// The sections that stand on `page`, as links.
pub fn contents(page: &str) -> Markup {
    let present = SECTIONS.iter().filter(|(anchor, _)| page.contains(&format!("<h2 id=\"{anchor}\">")));
    html! {
        nav aria-label="Contents" {
            @for (anchor, title) in present { a href={ "#" (anchor) } { (title) } " " }
        }
    }
}

/// Where the runs worked, when, and which they are.
pub fn facts(history: &History) -> Markup {
    let runs: Vec<&PhaseRun> = history.last.values().collect();
    let (Some(begin), Some(end)) =
        (runs.iter().map(|run| run.began).min(), runs.iter().map(|run| ended(run)).max())
    else {
        return html! {};
    };
    let places: Vec<&Place> = {
        let mut newest: Vec<_> = runs.iter().filter_map(|run| run.ended.as_ref()).collect();
        newest.sort_by_key(|end| std::cmp::Reverse(end.at));
        newest.into_iter().map(|end| &end.place).filter(|place| !place.server.is_empty()).collect()
    };
    let servers: BTreeSet<&str> = places.iter().map(|place| place.server.as_str()).collect();
    // The run of a phase is the process's, and a number.
    let of_process =
        |run: &PhaseRun| run.run.rsplit_once('-').map_or(run.run.clone(), |(id, _)| id.to_owned());
    let ids: BTreeSet<String> = runs.iter().map(|run| of_process(run)).collect();
    let versions: BTreeSet<&str> = runs.iter().map(|run| run.version.as_str()).collect();
    let seconds = end.duration_since(begin).as_secs_f64();
    html! {
        dl.facts {
            @if let Some(place) = places.first() {
                dt { "Server" }
                dd {
                    (place.server)
                    @if !place.server_version.is_empty() { ", ClickHouse " (place.server_version) }
                }
                dt { "Staging database" } dd { (place.staging) }
                dt { "Tables" }
                dd { @for (setting, table) in &place.tables { span.fact { (table) " " span.dim { "(" (setting) ")" } } " " } }
            }
            dt { "Begin, end" } dd { (moment(begin)) " – " (moment(end)) ", " (runtime(seconds)) }
            dt { @if ids.len() == 1 { "Run" } @else { "Runs" } }
            dd { (ids.iter().cloned().collect::<Vec<_>>().join(", ")) }
            dt { "Version of backfill" } dd { (versions.into_iter().collect::<Vec<_>>().join(", ")) }
        }
        @if end.duration_since(begin) > ONE_PIECE {
            p.limit {
                "⚠ This report puts together runs of different days: the last run of each phase. The section Phases says when each was."
            }
        }
        @if servers.len() > 1 {
            p.limit { "⚠ The phases worked with different servers: " (servers.into_iter().collect::<Vec<_>>().join(", ")) }
        }
    }
}

fn ended(run: &PhaseRun) -> Timestamp {
    let sampled = run.samples.last().map(|sample| sample.at);
    run.ended.as_ref().map(|end| end.at).or(sampled).unwrap_or(run.began)
}
