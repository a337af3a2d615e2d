//! Coverage before, after and by month, and where what is missing went.

use maud::{Markup, html};
use serde_json::Value;

use super::chart::{Bar, Chart, Ink, figure};
use super::numbers::words;
use super::part::{Column, at, cell, items, length, table, told};
use super::result;
use crate::journal::History;

const MAPPED: [Column; 4] = [
    Column::Words("When"),
    Column::Number("Traded tokens"),
    Column::Number("Mapped"),
    Column::Number("Coverage"),
];

/// A measurement: what it is called, and the total, the mapped and their percentage.
struct Measured {
    name: &'static str,
    total: String,
    mapped: String,
    shown: String,
    percent: f64,
}

impl Measured {
    fn of(name: &'static str, result: &Value, at: &[&'static str], total: [&'static str; 2]) -> Self {
        let field = |name| [at, &[name]].concat();
        let total: Vec<&str> = total.into_iter().filter(|it| !it.is_empty()).collect();
        Self {
            name,
            total: told(result, &total),
            mapped: told(result, &field("mapped")),
            shown: told(result, &field("coverage_pct")),
            percent: length(result, &field("coverage_pct")),
        }
    }
}

/// Every measurement, in the order of the phases.
fn measured(history: &History) -> Vec<Measured> {
    let whole = ["total_asset_ids", ""];
    let mut found = Vec::new();
    let latest = result(history, "setup");
    if let Some((_, first)) = history.first_setup.as_ref().filter(|(_, first)| Some(first) != latest) {
        found.push(Measured::of("First setup", first, &[], whole));
    }
    if let Some(setup) = latest {
        found.push(Measured::of("Setup", setup, &[], whole));
    }
    if let Some(merge) = result(history, "merge") {
        found.push(Measured::of("Before merge", merge, &["before"], whole));
        found.push(Measured::of("After merge", merge, &["after"], whole));
    }
    if let Some(verify) = result(history, "verify") {
        found.push(Measured::of("Verify", verify, &["global"], ["global", "total"]));
    }
    found
}

/// Before, after and by month.
pub fn section(history: &History) -> Markup {
    let found = measured(history);
    let target =
        ["verify", "merge"].iter().find_map(|phase| result(history, phase)?.get("target_pct")?.as_f64());
    let bar = |it: &Measured| Bar {
        label: it.name.to_owned(),
        parts: vec![(Ink::Good, it.percent), (Ink::Grid, 100.0 - it.percent)],
    };
    let chart = Chart::Percentages { bars: found.iter().map(bar).collect(), target };
    let row = |it: &Measured| vec![cell(it.name), cell(&it.total), cell(&it.mapped), cell(&it.shown)];
    let rows: Vec<_> = found.iter().map(row).collect();
    let caption = match target {
        Some(target) => {
            format!("Mapped, in percent of the traded tokens. The dashed line is the target of {target}%.")
        }
        None => "Mapped, in percent of the traded tokens.".to_owned(),
    };
    html! {
        h2 { "Coverage" }
        @if found.is_empty() { p.dim { "Nothing has been measured yet." } }
        @else {
            (figure(&chart, &caption, "Coverage before and after; the table below has the numbers"))
            (table(&MAPPED, &rows))
        }
        @if let Some(verify) = result(history, "verify") { (by_month(verify)) }
    }
}

fn by_month(verify: &Value) -> Markup {
    let months = items(verify, &["months"]);
    if months.is_empty() {
        return html! {};
    }
    let bars = months.iter().map(|month| {
        let (total, mapped) = (length(month, &["total"]), length(month, &["mapped"]));
        let parts = vec![(Ink::Good, mapped), (Ink::Bad, (total - mapped).max(0.0))];
        Bar { label: told(month, &["month"]), parts }
    });
    let chart = Chart::Columns(bars.collect());
    let row = |month: &Value| {
        ["month", "total", "mapped", "coverage_pct"].map(|name| cell(told(month, &[name]))).to_vec()
    };
    let rows: Vec<_> = months.iter().map(row).collect();
    html! {
        h3 { "By month" }
        (figure(
            &chart,
            "Tokens by the month of their first fill: mapped below in green, unmapped above in red.",
            "Tokens by month; the table below has the numbers",
        ))
        details {
            summary { (rows.len()) " months as a table" }
            (table(&MAPPED, &rows))
        }
        @let odd = told(verify, &["tokens_with_odd_dates"]);
        @if odd != "0" { p { "Tokens whose fills are dated before 2019 or after 2029-07: " (odd) } }
    }
}

/// Where what is missing went.
pub fn gap(history: &History) -> Markup {
    let Some(verify) = result(history, "verify") else { return html! {} };
    let gap = at(verify, &["gap"]);
    let empty = serde_json::Map::new();
    let causes = at(gap, &["causes"]).as_object().unwrap_or(&empty);
    let total = length(verify, &["global", "unmapped"]);
    let bars = causes.iter().map(|(name, weight)| {
        let share = if total > 0.0 { 100.0 * length(weight, &["tokens"]) / total } else { 0.0 };
        Bar { label: words(name), parts: vec![(Ink::Bad, share)] }
    });
    let chart = Chart::Percentages { bars: bars.collect(), target: None };
    let columns =
        [Column::Words("Cause"), Column::Number("Tokens"), Column::Number("Fills"), Column::Number("Volume")];
    let row = |name: &str, weight: &Value| {
        let cells = ["tokens", "fills", "volume"].map(|name| cell(told(weight, &[name])));
        [vec![cell(name)], cells.to_vec()].concat()
    };
    let mut rows = vec![row("Mapped", at(gap, &["mapped"]))];
    rows.extend(causes.iter().map(|(name, weight)| row(&words(name), weight)));
    rows.push(row("Total", at(gap, &["total"])));
    html! {
        h2 { "Where the gap is" }
        @if total > 0.0 {
            (figure(
                &chart,
                "Why tokens are unmapped, in percent of the unmapped tokens.",
                "Causes of the gap; the table below has the numbers",
            ))
        }
        (table(&columns, &rows))
        p {
            "By tokens " (told(verify, &["global", "coverage_pct"])) ", by fills "
            (told(gap, &["coverage_by_fills_pct"])) ", by volume " (told(gap, &["coverage_by_volume_pct"]))
            " are mapped. Fills without a usable price or size: " (told(gap, &["fills_without_volume"]))
            ". Malformed asset ids, outside of all this: " (told(verify, &["global", "malformed"])) " in "
            (told(verify, &["global", "malformed_fills"])) " fills."
        }
        (largest(verify))
    }
}

fn largest(verify: &Value) -> Markup {
    let tokens = items(verify, &["top_unmapped"]);
    let columns =
        [Column::Id("Token"), Column::Words("Cause"), Column::Number("Fills"), Column::Number("Volume")];
    let row = |token: &Value| {
        let cause = words(at(token, &["cause"]).as_str().unwrap_or_default());
        vec![
            cell(told(token, &["token_id"])),
            cell(cause),
            cell(told(token, &["fills"])),
            cell(told(token, &["volume"])),
        ]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    html! {
        @if !rows.is_empty() {
            h3 { "Unmapped tokens with the most volume" }
            (table(&columns, &rows))
        }
    }
}
