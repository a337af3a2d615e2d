//! Coverage before, after and by month, and where what is missing went.

use maud::{Markup, html};

use super::chart::{Bar, Chart, Colour, figure};
use super::head::heading;
use super::numbers::words;
use super::part::{Column, cell, table};
use super::read::Results;
use crate::report::text::{thousands, title};
use crate::report::verify::generation_words;
use crate::results::{Generation, Merge, Month, Percentage, Setup, Unmapped, Verify, Weight};

const MAPPED: [Column; 4] = [
    Column::Words("When"),
    Column::Number("Traded tokens"),
    Column::Number("Mapped"),
    Column::Number("Coverage"),
];

/// A measurement: what it is called, and the total, the mapped and their percentage.
struct Measured {
    name: &'static str,
    total: u64,
    mapped: u64,
    percent: Percentage,
}

/// Every measurement, in the order of the phases.
fn measured(results: &Results) -> Vec<Measured> {
    let of_setup = |name, it: &Setup| Measured {
        name,
        total: it.total_asset_ids,
        mapped: it.mapped,
        percent: it.coverage_pct,
    };
    let mut found = Vec::new();
    if let Some(first) = results.first_setup.as_ref().filter(|first| results.setup.as_ref() != Some(first)) {
        found.push(of_setup("First setup", first));
    }
    found.extend(results.setup.as_ref().map(|it| of_setup("Setup", it)));
    if let Some(merge) = &results.merge {
        for (name, covered) in [("Before merge", merge.before), ("After merge", merge.after)] {
            let (mapped, percent) = (covered.mapped, covered.coverage_pct);
            found.push(Measured { name, total: merge.total_asset_ids, mapped, percent });
        }
    }
    if let Some(verify) = &results.verify {
        let global = &verify.global;
        let (total, mapped, percent) = (global.total, global.mapped, global.coverage_pct);
        found.push(Measured { name: "Verify", total, mapped, percent });
    }
    found
}

/// Before, after and by month.
pub fn section(results: &Results) -> Markup {
    let found = measured(results);
    let target = (results.verify.as_ref().map(|it| it.target_pct.0))
        .or(results.merge.as_ref().map(|it| it.target_pct.0));
    let bar = |it: &Measured| Bar {
        label: it.name.to_owned(),
        parts: vec![(Colour::Good, it.percent.0), (Colour::Grid, 100.0 - it.percent.0)],
    };
    let chart = Chart::Percentages { bars: found.iter().map(bar).collect(), target };
    let row = |it: &Measured| {
        vec![
            cell(it.name),
            cell(thousands(it.total)),
            cell(thousands(it.mapped)),
            cell(it.percent.to_string()),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let caption = match target {
        Some(target) => {
            format!("Mapped, in percent of the traded tokens. The dashed line is the target of {target}%.")
        }
        None => "Mapped, in percent of the traded tokens.".to_owned(),
    };
    html! {
        (heading("coverage"))
        @if found.is_empty() { p.dim { "Nothing has been measured yet." } }
        @else {
            (figure(&chart, &caption, "Coverage before and after; the table below has the numbers"))
            (table(&MAPPED, &rows))
        }
        @if let Some(merge) = &results.merge { (by_source(merge)) }
        @if let Some(verify) = &results.verify { (by_month(verify)) }
    }
}

/// What each source has staged, the offline one included.
fn by_source(merge: &Merge) -> Markup {
    let columns =
        [Column::Words("Source"), Column::Number("Tokens staged"), Column::Number("Of the traded tokens")];
    let row = |source: &String| {
        let tokens = merge.staged.get(source).copied().unwrap_or_default();
        vec![
            cell(title(source)),
            cell(thousands(tokens)),
            cell(Percentage::floored(tokens, merge.total_asset_ids).to_string()),
        ]
    };
    let rows: Vec<_> = merge.precedence.iter().map(row).collect();
    html! {
        h3 { "By source" }
        (table(&columns, &rows))
        p.dim {
            "In the order in which one takes precedence. Siblings that were never traded are among them, and "
            (thousands(merge.overlapping)) " tokens are staged by more than one source."
        }
    }
}

fn by_month(verify: &Verify) -> Markup {
    let months = &verify.months;
    if months.is_empty() {
        return html! {};
    }
    let bars = months.iter().map(|month| {
        let (total, mapped) = (month.total as f64, month.mapped as f64);
        let parts = vec![(Colour::Good, mapped), (Colour::Bad, (total - mapped).max(0.0))];
        Bar { label: month.month.clone(), parts }
    });
    let chart = Chart::Columns(bars.collect());
    let row = |month: &Month| {
        vec![
            cell(&month.month),
            cell(thousands(month.total)),
            cell(thousands(month.mapped)),
            cell(month.coverage_pct.to_string()),
        ]
    };
    let rows: Vec<_> = months.iter().map(row).collect();
    html! {
        h3 { "By month" }
        (figure(
            &chart,
            "Tokens traded in each month, one in every month it was traded in: mapped below in blue, unmapped above in orange.",
            "Tokens traded by month; the table below has the numbers",
        ))
        details {
            summary { (rows.len()) " months as a table" }
            (table(&MAPPED, &rows))
        }
        @if verify.tokens_with_odd_dates > 0 {
            p { "Tokens whose fills are dated before 2019 or after 2029-07: " (thousands(verify.tokens_with_odd_dates)) }
        }
    }
}

/// Where what is missing went.
pub fn gap(results: &Results) -> Markup {
    let Some(verify) = &results.verify else { return html! {} };
    let gap = &verify.gap;
    let unmapped = verify.global.unmapped;
    let bars = gap.causes.iter().map(|(name, weight)| {
        let share = if unmapped > 0 { 100.0 * weight.tokens as f64 / unmapped as f64 } else { 0.0 };
        Bar { label: words(name), parts: vec![(Colour::Bad, share)] }
    });
    let chart = Chart::Percentages { bars: bars.collect(), target: None };
    let columns =
        [Column::Words("Cause"), Column::Number("Tokens"), Column::Number("Fills"), Column::Number("Volume")];
    let row = |name: &str, weight: &Weight| {
        vec![
            cell(name),
            cell(thousands(weight.tokens)),
            cell(thousands(weight.fills)),
            cell(weight.volume.cents()),
        ]
    };
    let mut rows = vec![row("Mapped", &gap.mapped)];
    rows.extend(gap.causes.iter().map(|(name, weight)| row(&words(name), weight)));
    rows.push(row("Total", &gap.total));
    html! {
        (heading("gap"))
        @if unmapped > 0 {
            (figure(
                &chart,
                "Why tokens are unmapped, in percent of the unmapped tokens.",
                "Causes of the gap; the table below has the numbers",
            ))
        }
        (table(&columns, &rows))
        (generations(verify))
        p {
            "By tokens " (verify.global.coverage_pct) ", by fills " (gap.coverage_by_fills_pct) ", by volume "
            (gap.coverage_by_volume_pct) " are mapped. Fills without a usable price or size: "
            (thousands(gap.fills_without_volume)) ". Malformed asset ids, outside of all this: "
            (thousands(verify.global.malformed)) " in " (thousands(verify.global.malformed_fills)) " fills."
        }
        (largest(verify))
    }
}

/// How much of the trading is in ids of which generation, where there is more than one.
fn generations(verify: &Verify) -> Markup {
    let columns = [
        Column::Words("Token ids"),
        Column::Number("Tokens"),
        Column::Number("Mapped"),
        Column::Number("Volume"),
        Column::Number("Of the volume"),
    ];
    let traded = verify.generations.iter().filter(|(_, it)| it.tokens > 0);
    let row = |(name, it): (&String, &Generation)| {
        vec![
            cell(generation_words(name)),
            cell(thousands(it.tokens)),
            cell(thousands(it.mapped)),
            cell(it.volume.cents()),
            cell(it.volume_pct.to_string()),
        ]
    };
    let rows: Vec<_> = traded.map(row).collect();
    html! {
        @if rows.len() > 1 {
            h3 { "By generation of the ids" }
            (table(&columns, &rows))
        }
    }
}

fn largest(verify: &Verify) -> Markup {
    let columns =
        [Column::Id("Token"), Column::Words("Cause"), Column::Number("Fills"), Column::Number("Volume")];
    let row = |token: &Unmapped| {
        vec![
            cell(&token.token_id),
            cell(words(&token.cause)),
            cell(thousands(token.fills)),
            cell(token.volume.cents()),
        ]
    };
    let rows: Vec<_> = verify.top_unmapped.iter().map(row).collect();
    html! {
        @if !rows.is_empty() {
            h3 { "Unmapped tokens with the most volume" }
            (table(&columns, &rows))
        }
    }
}
