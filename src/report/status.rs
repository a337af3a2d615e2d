//! What `status` prints.

use std::time::Duration;

use super::Report;
use super::text::{Page, percent2, thousands, title};
use crate::outcome::Outcome;
use crate::results::{Known, Status, TrackStatus};

impl Report for Status {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }

    fn text(&self) -> String {
        let mut page = Page::titled("STATUS");
        // What matters most comes first: on a small terminal the end of the page is cut.
        coverage(&mut page, self);
        page.blank();
        for phase in &self.phases {
            let at = phase.at.map(|at| format!("{} ago", age(self.seconds_since(at)))).unwrap_or_default();
            let took = phase.seconds.map(|seconds| format!("took {:.1}s", seconds.0)).unwrap_or_default();
            page.line(format!("{:<9} {:<16} {at:<14} {took}", phase.phase, phase.state.name()).trim_end());
            if let Some(error) = &phase.error {
                page.line(format!("          {}", error.lines().next().unwrap_or_default()));
            }
        }
        for track in &self.tracks {
            page.blank();
            track_lines(&mut page, self, track);
        }
        if self.unreadable_lines > 0 {
            let lines = thousands(self.unreadable_lines);
            page.blank().line(format!("{lines} lines of the journal could not be read"));
        }
        page.into_text()
    }
}

fn coverage(page: &mut Page, status: &Status) {
    match (&status.coverage, &status.clickhouse_away) {
        (Some(known), _) => page.line(format!("Coverage: {}", told(known))),
        (None, Some(reason)) => page.line(format!("Coverage: ClickHouse is away ({reason})")),
        (None, None) => page.line("Coverage: asking ClickHouse"),
    };
    if let (Some(known), None) = (&status.last_known, &status.coverage) {
        page.line(format!("Last known: {}", told(known)));
    }
    if let Some(baseline) = &status.baseline {
        page.line(format!("At the first setup: {}", told(baseline)));
        if let Some(known) = status.coverage.as_ref().or(status.last_known.as_ref()) {
            let gained = i128::from(known.mapped) - i128::from(baseline.mapped);
            let sign = if gained < 0 { "-" } else { "+" };
            page.line(format!("Since then: {sign}{} tokens", thousands(gained.unsigned_abs() as u64)));
        }
    }
}

fn track_lines(page: &mut Page, status: &Status, track: &TrackStatus) {
    let at_work = match track.pid {
        Some(pid) => format!("process {pid} is at it"),
        None => "no process is at it".to_owned(),
    };
    page.line(format!("{} track: {at_work}", title(&track.track)));
    if let Some(progress) = &track.progress {
        let rate = track.tokens_per_second.map(|rate| format!(", {rate:.0} tokens/s")).unwrap_or_default();
        page.line(format!(
            "  {} of {} processed ({}), {} inserted, {} failed{rate}",
            thousands(progress.processed),
            thousands(progress.total),
            percent2(progress.processed, progress.total),
            thousands(progress.inserted),
            thousands(progress.failed),
        ));
    }
    match (&track.saved, track.checkpoint.get("error").and_then(|error| error.as_str())) {
        (_, Some(error)) => page.line(format!("  {error}")),
        (None, None) => page.line("  no checkpoint yet"),
        (Some(saved), None) => page.line(format!(
            "  saved {} ago: {} not found, {} rejected, {} batches failed, {} open",
            age(status.seconds_since(saved.at)),
            thousands(saved.not_found),
            thousands(saved.rejected),
            thousands(saved.batches_failed),
            thousands(saved.batches_open),
        )),
    };
}

fn told(known: &Known) -> String {
    format!(
        "{} of {} traded tokens mapped ({}), {} ago",
        thousands(known.mapped),
        thousands(known.total),
        known.coverage_pct,
        age(known.age_seconds)
    )
}

/// `12s`, `3m 20s`, `2h 5m`, `4days 3h`: the two largest units.
fn age(seconds: i64) -> String {
    let seconds = seconds.max(0).unsigned_abs();
    let coarse = match seconds {
        0..3_600 => seconds,
        3_600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3_600,
    };
    humantime::format_duration(Duration::from_secs(coarse)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_the_most() {
        assert_eq!([0, 200, 7_507, 356_461].map(age), ["0s", "3m 20s", "2h 5m", "4days 3h"]);
        assert_eq!(age(-9), "0s", "a clock that was set back");
    }
}
