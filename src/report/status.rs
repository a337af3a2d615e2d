//! What `status` prints.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::text::{Page, percent2, thousands};
use crate::phases::status::{Known, Status, TrackStatus};
use crate::track::floored_percent;

/// Coverage as ClickHouse was asked for it, or why it could not be.
#[derive(Debug, Clone)]
pub enum Asked {
    /// It is being asked.
    Waiting,
    /// It has answered.
    Answered(Known),
    /// It is away.
    Away(String),
}

/// The page.
pub fn text(status: &Status, asked: &Asked, now: Timestamp) -> String {
    let mut page = Page::titled("STATUS");
    // What matters most comes first: on a small terminal the end of the page is cut.
    match asked {
        Asked::Answered(known) => page.line(format!("Coverage: {}", coverage(known, now))),
        Asked::Waiting => page.line("Coverage: asking ClickHouse"),
        Asked::Away(reason) => page.line(format!("Coverage: ClickHouse is away ({reason})")),
    };
    if let (Some(known), Asked::Waiting | Asked::Away(_)) = (&status.last_known, asked) {
        page.line(format!("Last known: {}", coverage(known, now)));
    }
    if let Some(baseline) = &status.baseline {
        page.line(format!("At the first setup: {}", coverage(baseline, now)));
        if let Some(known) = newest(status, asked) {
            let gained = i128::from(known.mapped) - i128::from(baseline.mapped);
            let sign = if gained < 0 { "-" } else { "+" };
            page.line(format!("Since then: {sign}{} tokens", thousands(gained.unsigned_abs() as u64)));
        }
    }
    page.blank();
    for phase in &status.phases {
        let at = phase.at.map(|at| format!("{} ago", age(at, now))).unwrap_or_default();
        let took = phase.seconds.map(|seconds| format!("took {seconds:.1}s")).unwrap_or_default();
        page.line(format!("{:<9} {:<16} {at:<14} {took}", phase.phase, phase.state.name()).trim_end());
        if let Some(error) = &phase.error {
            page.line(format!("          {}", error.lines().next().unwrap_or_default()));
        }
    }
    for track in &status.tracks {
        page.blank();
        track_lines(&mut page, track, now);
    }
    if status.unreadable > 0 {
        page.blank().line(format!("{} lines of the journal could not be read", thousands(status.unreadable)));
    }
    page.into_text()
}

fn newest<'a>(status: &'a Status, asked: &'a Asked) -> Option<&'a Known> {
    match asked {
        Asked::Answered(known) => Some(known),
        Asked::Waiting | Asked::Away(_) => status.last_known.as_ref(),
    }
}

fn track_lines(page: &mut Page, track: &TrackStatus, now: Timestamp) {
    let at_work = match track.pid {
        Some(pid) => format!("process {pid} is at it"),
        None => "no process is at it".to_owned(),
    };
    page.line(format!("{} track: {at_work}", track.source.title()));
    if let Some(progress) = track.progress() {
        let rate = track.rate.map(|rate| format!(", {rate:.0} tokens/s")).unwrap_or_default();
        page.line(format!(
            "  {} of {} processed ({}), {} inserted, {} failed{rate}",
            thousands(progress.processed),
            thousands(progress.total),
            percent2(progress.processed, progress.total),
            thousands(progress.inserted),
            thousands(progress.failed),
        ));
    }
    match &track.checkpoint {
        Ok(None) => page.line("  no checkpoint yet"),
        Err(error) => page.line(format!("  {error}")),
        Ok(Some(checkpoint)) => {
            let failed = checkpoint.gaps.iter().filter(|gap| gap.failure.is_some()).count();
            page.line(format!(
                "  saved {} ago: {} not found, {} rejected, {} batches failed, {} open",
                age(checkpoint.updated_at, now),
                thousands(checkpoint.progress.not_found),
                thousands(checkpoint.progress.rejected),
                thousands(failed as u64),
                thousands((checkpoint.gaps.len() - failed) as u64),
            ))
        }
    };
}

fn coverage(known: &Known, now: Timestamp) -> String {
    format!(
        "{} of {} traded tokens mapped ({}), {} ago",
        thousands(known.mapped),
        thousands(known.total),
        percent2(known.mapped, known.total),
        age(known.at, now)
    )
}

/// `12s`, `3m 20s`, `2h 5m`, `4days 3h`: the two largest units.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0) as u64;
    let coarse = match seconds {
        0..3_600 => seconds,
        3_600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3_600,
    };
    humantime::format_duration(Duration::from_secs(coarse)).to_string()
}

fn known_json(known: &Known, now: Timestamp) -> Value {
    json!({
        "total": known.total,
        "mapped": known.mapped,
        "coverage_pct": floored_percent(known.mapped, known.total),
        "at": known.at,
        "age_seconds": now.duration_since(known.at).as_secs().max(0),
    })
}

/// The object.
pub fn json(status: &Status, asked: &Asked, now: Timestamp) -> Value {
    let phases = status.phases.iter().map(|phase| {
        json!({
            "phase": phase.phase,
            "state": phase.state.name(),
            "at": phase.at,
            "seconds": phase.seconds,
            "error": phase.error,
        })
    });
    let tracks = status.tracks.iter().map(|track| {
        let checkpoint = match &track.checkpoint {
            Ok(checkpoint) => json!(checkpoint),
            Err(error) => json!({"error": error.to_string()}),
        };
        let progress = track.progress().map(|it| {
            json!({
                "at": it.at,
                "total": it.total,
                "processed": it.processed,
                "inserted": it.inserted,
                "failed": it.failed,
            })
        });
        json!({
            "track": track.source.name(),
            "pid": track.pid,
            "tokens_per_second": track.rate,
            "progress": progress,
            "checkpoint": checkpoint,
        })
    });
    let (coverage, away) = match asked {
        Asked::Answered(known) => (known_json(known, now), Value::Null),
        Asked::Waiting => (Value::Null, Value::Null),
        Asked::Away(reason) => (Value::Null, json!(reason)),
    };
    json!({
        "phase": "status",
        "phases": phases.collect::<Vec<_>>(),
        "tracks": tracks.collect::<Vec<_>>(),
        "coverage": coverage,
        "clickhouse_away": away,
        "last_known": status.last_known.as_ref().map(|known| known_json(known, now)),
        "baseline": status.baseline.as_ref().map(|known| known_json(known, now)),
        "unreadable_lines": status.unreadable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_the_most() {
        let at = Timestamp::UNIX_EPOCH;
        let aged = |seconds| age(at, Timestamp::from_second(seconds).unwrap());
        assert_eq!([aged(0), aged(200), aged(7_507), aged(356_461)], ["0s", "3m 20s", "2h 5m", "4days 3h"]);
        assert_eq!(age(Timestamp::from_second(9).unwrap(), at), "0s", "a clock that was set back");
    }
}
