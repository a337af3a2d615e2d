//! [`page`]: all that the journal tells of a run on one page of HTML that loads nothing: no script, no font, no picture
//! from elsewhere. Labels and errors come from outside; whatever is not markup of ours is escaped.

mod chart;
mod coverage;
mod head;
pub mod numbers;
mod part;
mod payouts;
mod phases;
mod pnl;
mod read;
mod tracks;
mod verdicts;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::thousands;
use crate::foreign;
use crate::journal::History;
use crate::results::{Known, Status};
use part::{card, moment};
use read::Results;

const STYLE: &str = include_str!("style.css");

/// The page of what `history` tells, as of `now`.
pub fn page(history: &History, status: &Status, now: Timestamp) -> String {
    let results = Results::of(history);
    let verdicts = verdicts::of(history, &results);
    let sections = html! {
        (verdicts::section(&verdicts))
        (coverage::section(&results))
        (tracks::section(history, &results))
        (coverage::gap(&results))
        (pnl::section(&results))
        (phases::section(history, status))
        (phases::every_number(history))
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "backfill report" }
                // An icon of its own keeps browsers from asking for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "backfill report" }
                p.dim { "Written " (moment(now)) " by backfill " (env!("CARGO_PKG_VERSION")) " from the run journal" }
                (head::facts(history))
                (headline(status, &verdicts))
                (head::contents(&sections.0))
                main { (sections) }
                footer {
                    @if history.unreadable > 0 {
                        p { "Lines of the journal that could not be read and are left out: " (thousands(history.unreadable)) }
                    }
                    p { "Percentages are rounded down; verdicts compare the exact ratio. Times are UTC." }
                }
            }
        }
    }
    .into_string();
    // Labels and errors may hold anything.
    foreign::visible(&page, &['\n']).into_owned()
}

fn headline(status: &Status, verdicts: &[verdicts::Verdict]) -> Markup {
    let judged = verdicts.iter().filter(|verdict| verdict.passed.is_some());
    let passed = judged.clone().filter(|verdict| verdict.passed == Some(true)).count();
    let all = judged.count();
    html! {
        div.cards {
            @if let Some(known) = &status.last_known {
                (card(&known.coverage_pct.to_string(), "of the traded tokens are mapped", ""))
            }
            @if let (Some(baseline), Some(known)) = (&status.baseline, &status.last_known) {
                (card(&baseline.coverage_pct.to_string(), "were at the first setup", ""))
                (card(&gained(baseline, known), "tokens mapped since then", ""))
            }
            @if all > 0 {
                @let class = if passed == all { "good" } else { "bad" };
                (card(&format!("{passed} of {all}"), "checks passed", class))
            }
        }
    }
}

fn gained(before: &Known, after: &Known) -> String {
    let gained = i128::from(after.mapped) - i128::from(before.mapped);
    let sign = if gained < 0 { "-" } else { "+" };
    format!("{sign}{}", thousands(u64::try_from(gained.unsigned_abs()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
