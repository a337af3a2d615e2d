//! The tracks: what each asked for over time, held against what its quota allows, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::chart::{Chart, figure};
use super::head::heading;
use super::numbers::leaves;
use super::part::{Column, cell, table};
use super::read::Results;
use crate::journal::{History, Sample};
use crate::source::Source;

/// How far back the rate of requests looks, in seconds: as the APIs' windows do, within which they allow bursts.
const WINDOW: f64 = 10.0;

/// How far back the rate of answers looks, in seconds.
const SHORT_WINDOW: f64 = 3.0;

/// The order in which the numbers stand; what is not among them comes after them.
const ORDER: [&str; 14] = [
    "total",
    "processed",
    "inserted",
    "not found",
    "rejected",
    "failed",
    "coverage %",
    "requests",
    "throttled",
    "retries",
    "resumed",
    "tokens per second",
    "work seconds",
    "elapsed seconds",
];

/// Points of a line at the most.
const POINTS: usize = 600;

/// All tracks that have run.
pub fn section(history: &History, results: &Results) -> Markup {
    let tracks: Vec<Source> =
        Source::ALL.into_iter().filter(|source| history.last.contains_key(source.name())).collect();
    html! {
        @if !tracks.is_empty() {
            (heading("tracks"))
            @for source in &tracks { (over_time(history, *source)) }
            (compared(results))
        }
    }
}

fn over_time(history: &History, source: Source) -> Markup {
    let samples = history.last.get(source.name()).map_or(&[][..], |run| &run.samples);
    let Some(last) = samples.last().filter(|_| samples.len() > 1) else {
        return html! { h3 { (source.title()) } p.dim { "Too short a run to draw." } };
    };
    let ceiling = Some(last.allowed_per_second).filter(|it| it.is_finite() && *it > 0.0);
    let requests =
        Chart::Rate { points: rates(samples, WINDOW, |it| it.requests), ceiling, unit: "requests a second" };
    let tokens = Chart::Rate {
        points: rates(samples, SHORT_WINDOW, |it| it.processed),
        ceiling: None,
        unit: "tokens a second",
    };
    let limit = ceiling.map_or(String::new(), |it| {
        format!(" The dashed line is what the API's limit allows in the long run, {it:.1} a second.")
    });
    html! {
        h3 { (source.title()) }
        (figure(
            &requests,
            &format!("Requests a second, over the last {WINDOW} seconds.{limit}"),
            &format!("Requests of the {} track over time", source.title()),
        ))
        (figure(
            &tokens,
            &format!("Tokens answered a second, over the last {SHORT_WINDOW} seconds."),
            &format!("Tokens of the {} track over time", source.title()),
        ))
    }
}

/// What was added in the last seconds, a second, at each sample.
fn rates(samples: &[Sample], window: f64, of: impl Fn(&Sample) -> u64) -> Vec<(f64, f64)> {
    let step = samples.len().div_ceil(POINTS).max(1);
    let at = |seconds: f64| -> f64 {
        let after = samples.partition_point(|sample| sample.seconds < seconds);
        let (Some(before), Some(after)) =
            (after.checked_sub(1).and_then(|it| samples.get(it)), samples.get(after))
        else {
            return samples.first().map_or(0.0, |first| of(first) as f64);
        };
        let part = (seconds - before.seconds) / (after.seconds - before.seconds).max(1e-9);
        of(before) as f64 + part * (of(after) as f64 - of(before) as f64)
    };
    let rate = |sample: &Sample| (of(sample) as f64 - at(sample.seconds - window)).max(0.0) / window;
    let mut points: Vec<_> =
        samples.iter().step_by(step).map(|sample| (sample.seconds, rate(sample))).collect();
    if let Some(last) = samples.last().filter(|last| points.last().is_some_and(|(at, _)| *at < last.seconds))
    {
        points.push((last.seconds, rate(last)));
    }
    points
}

/// The tracks' numbers side by side.
fn compared(results: &Results) -> Markup {
    let with: Vec<_> = (results.tracks.iter())
        .map(|(source, result)| {
            let numbers = leaves(result).into_iter().map(|leaf| (leaf.path, leaf.shown));
            (*source, numbers.collect::<BTreeMap<_, _>>())
        })
        .collect();
    let mut columns = vec![Column::Words("")];
    columns.extend(with.iter().map(|(source, _)| Column::Number(source.title())));
    let names: BTreeSet<&String> = with.iter().flat_map(|(_, numbers)| numbers.keys()).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    names.sort_by_key(|name| ORDER.iter().position(|it| it == name).unwrap_or(ORDER.len()));
    let row = |name: &String| {
        let mut row = vec![cell(name)];
        row.extend(with.iter().map(|(_, numbers)| cell(numbers.get(name).map_or("", String::as_str))));
        row
    };
    let rows: Vec<_> = names.into_iter().map(row).collect();
    table(&columns, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: f64, requests: u64) -> Sample {
        Sample {
            phase: "dome".to_owned(),
            run: "r".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            seconds,
            total: 0,
            processed: 0,
            inserted: 0,
            failed: 0,
            requests,
            throttled: 0,
            retries: 0,
            allowed_per_second: 5.0,
        }
    }

    #[test]
    fn a_burst_that_the_window_allows_is_not_above_the_ceiling() {
        // 50 at once, then none until the window of ten seconds lets in the next 50.
        let samples: Vec<_> = (0..=30_u64).map(|at| sample(at as f64, 50 * (at.div_ceil(10)))).collect();
        let rates = rates(&samples, WINDOW, |it| it.requests);
        assert_eq!(rates.len(), 31);
        assert!(rates[5..].iter().all(|(_, rate)| *rate <= 5.0 + 1e-9), "{rates:?}");
        assert!((rates[10].1 - 5.0).abs() < 1e-9, "all that is allowed");
    }

    #[test]
    fn a_long_run_is_thinned_and_keeps_its_end() {
        let samples: Vec<_> = (0..5_000_u64).map(|at| sample(at as f64, at)).collect();
        let rates = rates(&samples, WINDOW, |it| it.requests);
        assert!(rates.len() <= POINTS + 1 && rates.last().unwrap().0 == 4_999.0);
        assert!(rates[1..].iter().all(|(at, rate)| *at < WINDOW || (rate - 1.0).abs() < 1e-9));
    }
}
