//! What `derive` prints.

use super::Report;
use super::text::{Page, runtime, thousands};
use crate::outcome::Outcome;
use crate::results::Derive;

impl Report for Derive {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }

    fn text(&self) -> String {
        let result = self;
        let mut page = Page::titled("OFFLINE TRACK: TOKENS FROM KNOWN CONDITIONS");
        page.entry(25, "Known conditions", thousands(result.conditions));
        if result.malformed > 0 {
            page.entry(25, "Malformed (left out)", thousands(result.malformed));
        }
        page.entry(25, "Token ids computed", thousands(result.candidates));
        page.entry(25, "Unmapped tokens", thousands(result.unmapped));
        page.entry(25, "Derived and staged", thousands(result.inserted));
        if result.mirrors + result.structural > 0 {
            let hashes = result.inserted.saturating_sub(result.mirrors + result.structural);
            page.part("by their hash", hashes).part("mirrors", result.mirrors);
            page.part("by their own bits", result.structural);
        }
        page.entry(25, "Left for the tracks", thousands(result.unmapped.saturating_sub(result.inserted)));
        page.entry(25, "Runtime", runtime(result.elapsed_seconds.0));
        if result.ambiguous > 0 {
            page.blank().line(format!(
                "⚠️  {} mirrors of several known conditions (they end in the same 32 digits): not staged",
                thousands(result.ambiguous)
            ));
            result.ambiguous_sample.iter().for_each(|token| {
                page.line(format!("   {token}"));
            });
        }
        page.blank().line("✅ DERIVE COMPLETE - every row is proven by its token id");
        page.into_text()
    }
}
