//! What `clob` prints.

use serde_json::{Value, json};

use super::text::{Page, percent1, runtime, thousands};
use crate::track::Ending;
use crate::track::catalogue::CatalogueResult;

/// A page like the guide's.
pub fn text(result: &CatalogueResult) -> String {
    let track = &result.track;
    let title = match track.ending {
        Ending::Complete => "✅ CATALOGUE COMPLETE - Polymarket CLOB",
        Ending::WorkLeft => "⚠️  CATALOGUE INCOMPLETE - Polymarket CLOB: run the same command again",
        Ending::Interrupted => {
            "⚠️  CATALOGUE INTERRUPTED - Polymarket CLOB: saved, run the same command again"
        }
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
    if track.ending == Ending::Complete {
        page.line(format!("Not in the catalogue: {}", thousands(track.not_found)));
    }
    if track.rejected > 0 {
        page.line(format!("Rejected (no proof): {}", thousands(track.rejected)));
    }
    page.line(format!("Total inserted: {}", thousands(track.inserted)));
    page.line(format!(
        "Requests: {} ({} throttled, {} retried)",
        thousands(track.requests),
        thousands(track.throttled),
        thousands(track.retries)
    ));
    page.line(format!("Runtime: {}", runtime(track.track_seconds)));
    if track.ending == Ending::Complete {
        page.blank().line("Next: `backfill merge --labels` merges it and fills empty labels of the map");
    }
    page.into_text()
}

/// The result as one object, in the shape of a track's.
pub fn json(result: &CatalogueResult) -> Value {
    json!(result)
}
