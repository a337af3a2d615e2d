//! What `clob` prints.

use super::Report;
use super::text::{Page, percent1, runtime, thousands};
use crate::outcome::Outcome;
use crate::results::Catalogue;

impl Report for Catalogue {
    fn outcome(&self) -> Outcome {
        self.track.outcome
    }

    fn text(&self) -> String {
        closing(self)
    }
}

/// A page like the guide's.
fn closing(result: &Catalogue) -> String {
    let track = &result.track;
    let title = match track.outcome {
        Outcome::Done => "✅ CATALOGUE COMPLETE - Polymarket CLOB",
        Outcome::WorkLeft => "⚠️  CATALOGUE INCOMPLETE - Polymarket CLOB: run the same command again",
        _ => "⚠️  CATALOGUE INTERRUPTED - Polymarket CLOB: saved, run the same command again",
    };
    let mut page = Page::titled(title);
    page.blank();
    page.line(format!("Markets read: {} on {} pages", thousands(result.markets), thousands(result.pages)));
    if result.pages_resumed > 0 {
        page.line(format!("Pages of earlier runs among them: {}", thousands(result.pages_resumed)));
    }
    if result.pages_failed > 0 {
        page.line(format!("Pages failed (asked again by the next run): {}", thousands(result.pages_failed)));
    }
    page.line(format!("Tokens proven: {}", thousands(result.proven)));
    if result.unproven > 0 {
        page.line(format!("Tokens without a proof: {}", thousands(result.unproven)));
    }
    page.blank();
    page.line(format!("Unmapped traded tokens: {}", thousands(track.total)));
    page.line(format!(
        "Found in the catalogue: {} ({})",
        thousands(track.resolved),
        percent1(track.resolved, track.total)
    ));
    if track.outcome == Outcome::Done {
        page.line(format!("Not in the catalogue: {}", thousands(track.not_found)));
    }
    if track.rejected > 0 {
        page.line(format!("Rejected (no proof): {}", thousands(track.rejected)));
    }
    super::track::inserted(&mut page, track);
    page.line(format!(
        "Requests: {} ({} throttled, {} retried)",
        thousands(track.requests),
        thousands(track.throttled),
        thousands(track.retries)
    ));
    page.line(format!("Workers: {}", thousands(track.workers)));
    page.line(format!("Runtime: {}", runtime(track.track_seconds.0)));
    if track.outcome == Outcome::Done {
        page.blank().line("Next: `backfill merge --labels` merges it and fills empty labels of the map");
    }
    page.into_text()
}
