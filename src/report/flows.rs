//! What `flows` prints.

use super::Report;
use super::text::{Page, runtime, thousands};
use crate::outcome::Outcome;
use crate::results::Flows;

/// How wide the labels of the page are.
const LABELS: usize = 27;

impl Report for Flows {
    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn text(&self) -> String {
        page(self)
    }
}

fn page(result: &Flows) -> String {
    let mut page = Page::titled("FLOWS: WHAT WALLETS DID BESIDE TRADING");
    page.entry(LABELS, "Wallets", thousands(result.wallets));
    page.entry(LABELS, "Blocks wanted", format!("{} to {}", result.from_block, result.finalized));
    let read = if result.to_block < result.from_block {
        "nothing yet".to_owned()
    } else {
        format!("up to block {}", result.to_block)
    };
    page.entry(LABELS, "Read without a hole", read);
    page.entry(LABELS, "Requests", thousands(result.requests));
    for (label, count) in [
        ("Refused as too fast", result.throttled),
        ("Blocks read whole", result.whole_blocks),
        ("Records that are no logs", result.unreadable),
        ("Conversion fees not known", result.unknown_fees),
    ] {
        if count > 0 {
            page.entry(LABELS, label, thousands(count));
        }
    }
    page.section(1, "What is known now");
    for (kind, count) in &result.rows {
        page.entry(LABELS, &plural(kind), thousands(*count));
    }
    page.entry(LABELS, "Runtime", runtime(result.elapsed_seconds.0));
    page.blank().line(verdict(result));
    page.into_text()
}

fn plural(kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|it| it.to_ascii_uppercase());
    format!("{}{}s", first.map(String::from).unwrap_or_default(), letters.as_str())
}

fn verdict(result: &Flows) -> String {
    match result.holes {
        0 => "✅ FLOWS READ - `backfill validate` counts them".to_owned(),
        1 => "⚠️  1 range is still not read: run the same command again".to_owned(),
        holes => {
            format!("⚠️  {} ranges are still not read: run the same command again", thousands(holes))
        }
    }
}
