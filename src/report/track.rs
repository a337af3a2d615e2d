//! What a track prints at its beginning and its end.

use super::Report;
use super::text::{Page, named, percent1, runtime, thousands};
use crate::outcome::Outcome;
use crate::results::{ENOUGH_PROCESSED, STALLED_SECONDS, Track};
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
    counts(&mut page, result);
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
    if result.total > 0 {
        verdicts(&mut page, result);
    }
    page.into_text()
}

/// What became of the tokens. Lines that are set in add up to the line above them.
fn counts(page: &mut Page, result: &Track) {
    if result.total == 0 {
        page.line(
            "Its workload is empty: `backfill setup --tracks` gives a track a share of the unmapped tokens",
        );
    }
    page.line(format!("Total processed: {} / {}", thousands(result.processed), thousands(result.total)));
    let own = result.resolved.saturating_sub(result.resolved_by_others);
    page.part("Found by this track", own).part("Found by other tracks", result.resolved_by_others);
    page.part("Not found", result.not_found).part("Rejected (no proof)", result.rejected);
    page.part("Failed (asked again by the next run)", result.failed);
    if result.total > 0 {
        let coverage = percent1(result.resolved, result.total);
        page.line(format!("Coverage: {coverage} (found by any track, of the workload)"));
    }
    inserted(page, result);
}

/// What the track has staged: of whose tokens, and when.
pub(super) fn inserted(page: &mut Page, result: &Track) {
    page.line(format!("Total inserted: {}", thousands(result.inserted)));
    page.part("Of its own workload", result.inserted_of_own);
    let others = result.inserted.saturating_sub(result.inserted_of_own);
    page.part("Siblings, and what other tracks left", others);
    page.line(format!(
        "Inserted by this run: {}, by runs before it: {}",
        thousands(result.inserted.saturating_sub(result.inserted_before)),
        thousands(result.inserted_before)
    ));
}

/// The guide's criteria for a track, each with what mends it.
fn verdicts(page: &mut Page, result: &Track) {
    let processed = percent1(result.processed, result.total);
    page.blank().line(match result.processed_enough() {
        true => format!("✅ At least {ENOUGH_PROCESSED}% processed: {processed}"),
        false => format!(
            "❌ Less than {ENOUGH_PROCESSED}% processed: {processed}; run `backfill {}` again",
            result.phase
        ),
    });
    let (longest, minutes) = (runtime(result.longest_wait_seconds.0), STALLED_SECONDS / 60.0);
    page.line(match result.never_stalled() {
        true => format!("✅ No worker stalled for {minutes} minutes: the longest batch took {longest}"),
        false => format!(
            "❌ A worker stalled for {longest}: a shorter REQUEST_TIMEOUT gives up earlier, and asks again"
        ),
    });
}
