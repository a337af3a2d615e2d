//! What a track prints at its beginning and its end.

use super::Report;
use super::text::{Page, named, percent1, runtime, thousands};
use crate::outcome::Outcome;
use crate::results::Track;
use crate::source::Source;
use crate::track::{Gauges, read};

/// What stands above the progress.
pub fn opening(gauges: &Gauges) -> String {
    let (number, name) = (gauges.source.phase(), gauges.source.api().to_uppercase());
    let mut page = Page::titled(&format!("{number}: {name} TRACK - TOKEN MAPPING BACKFILL"));
    page.blank().line(format!("Total tokens to process: {}", thousands(gauges.total)));
    let done = read(&gauges.processed);
    if done > 0 {
        page.line(format!("Already processed: {}", thousands(done)));
    }
    let more = if gauges.workers_are_measured {
        ", and as many as the limit and the answers' time need"
    } else {
        ""
    };
    page.line(format!("Worker count: {}{more}", read(&gauges.workers))).blank().line("Starting workers...");
    page.into_text()
}

impl Report for Track {
    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn text(&self) -> String {
        closing(self)
    }
}

/// The guide's closing page.
fn closing(result: &Track) -> String {
    let source = named(&result.phase);
    let number = source.map_or("TRACK", Source::phase);
    let name = format!("{} Track", source.map_or(result.phase.as_str(), |it| it.api()));
    let title = match result.outcome {
        Outcome::Done => format!("✅ {number} COMPLETE - {name}"),
        Outcome::WorkLeft => format!("⚠️  {number} INCOMPLETE - {name}: run the same command again"),
        _ => {
            format!("⚠️  {number} INTERRUPTED - {name}: saved, run the same command again")
        }
    };
    let mut page = Page::titled(&title);
    page.blank();
    page.line(format!("Total processed: {} / {}", thousands(result.processed), thousands(result.total)));
    page.line(format!("Total inserted: {}", thousands(result.inserted)));
    page.line(format!("Coverage: {}", percent1(result.resolved, result.total)));
    page.line(format!("Not found: {}", thousands(result.not_found)));
    if result.rejected > 0 {
        page.line(format!("Rejected (no proof): {}", thousands(result.rejected)));
    }
    if result.failed > 0 {
        page.line(format!("Failed (asked again by the next run): {}", thousands(result.failed)));
    }
    page.line(format!(
        "Requests: {} ({} throttled, {} retried)",
        thousands(result.requests),
        thousands(result.throttled),
        thousands(result.retries)
    ));
    page.line(format!("Workers: {}", thousands(result.workers)));
    if let Some(round) = &result.round {
        page.line(format!(
            "Of what other tracks had left: {} asked for, {} resolved",
            thousands(round.tokens),
            thousands(round.resolved)
        ));
    }
    if let Some(why) = &result.ended_early {
        page.line(format!("Ended early ({why}): the other tracks took over what was left"));
    }
    page.line(format!("Rate: {:.1} tokens/sec", result.tokens_per_second));
    page.line(format!("Runtime: {}", runtime(result.track_seconds.0)));
    page.into_text()
}
