//! What phase 0 prints.

use serde_json::{Map, Value, json};

use super::text::{Page, percent1, thousands};
use crate::phases::setup::SetupResult;
use crate::source::Source;
use crate::store::workload::Share;
use crate::track::floored_percent;

/// The guide's page.
pub fn text(result: &SetupResult) -> String {
    let coverage = &result.coverage;
    let mut page = Page::titled("PHASE 0: STAGING SETUP & WORKLOAD SPLIT");
    page.section(1, "Baseline Metrics");
    for table in &result.created {
        page.line(format!("✓ {table} created, empty"));
    }
    page.entry(25, "Total unique asset_ids", thousands(coverage.total));
    page.entry(
        25,
        "Currently mapped",
        format!("{} ({})", thousands(coverage.mapped), percent1(coverage.mapped, coverage.total)),
    );
    page.entry(25, "Unmapped (target)", thousands(coverage.unmapped));
    if coverage.ambiguous > 0 {
        page.entry(25, "  of them ambiguous", thousands(coverage.ambiguous));
    }
    if coverage.malformed > 0 {
        page.entry(25, "Malformed (left out)", thousands(coverage.malformed));
    }
    page.section(2, "Creating Staging Infrastructure").line("✓ Staging database ready");
    let in_use = |source: &Source| {
        let has_tokens = result.staged.iter().any(|(of, count)| of == source && *count > 0);
        source.lookup().is_none() || has_tokens || result.shares.iter().any(|share| share.source == *source)
    };
    for source in Source::ALL.into_iter().filter(in_use) {
        let staged = result.staged.iter().find(|(of, _)| *of == source).map_or(0, |(_, count)| *count);
        let table = source.staging_table();
        page.line(match (staged, result.reset) {
            (_, true) => format!("✓ staging.{table} emptied"),
            (0, _) => format!("✓ staging.{table} created"),
            (count, _) => format!("✓ staging.{table} kept, {} mappings", thousands(count)),
        });
    }
    page.section(3, "Identifying Unmapped Tokens");
    if let Some(derived) = &result.derived {
        page.line(format!(
            "✓ {} derived from {} known conditions",
            thousands(derived.inserted),
            thousands(derived.conditions)
        ));
    }
    page.line(format!("Unmapped tokens identified: {}", thousands(result.unmapped)));
    page.section(4, &format!("Splitting Workload ({})", shares(&result.shares)));
    for split in &result.tracks {
        let name = format!("{} track", split.source.api());
        let kept =
            if split.kept && split.workload.total > 0 { " (as before; its progress is kept)" } else { "" };
        page.entry(21, &name, format!("{} tokens{kept}", thousands(split.workload.total)));
    }
    for path in &result.put_aside {
        page.line(format!("The checkpoint of the workload before this one is now {}", path.display()));
    }
    page.blank().line("✅ PHASE 0 COMPLETE - Ready to launch parallel backfill");
    page.into_text()
}

/// `50/50`, `40/40/20`: percent, to a tenth where that is needed.
fn shares(shares: &[Share]) -> String {
    let sum: f64 = shares.iter().map(|share| share.weight as f64).sum();
    let percent = |share: &Share| {
        let percent = format!("{:.1}", share.weight as f64 * 100.0 / sum.max(1.0));
        percent.trim_end_matches(".0").to_owned()
    };
    shares.iter().map(percent).collect::<Vec<_>>().join("/")
}

/// The design's object.
pub fn json(result: &SetupResult) -> Value {
    let tracks: Map<String, Value> = (result.tracks.iter())
        .map(|split| (split.source.name().to_owned(), json!(split.workload.total)))
        .collect();
    let coverage = &result.coverage;
    json!({
        "phase": "setup",
        "total_asset_ids": coverage.total,
        "mapped": coverage.mapped,
        "coverage_pct": floored_percent(coverage.mapped, coverage.total),
        "unmapped": coverage.unmapped,
        "malformed": coverage.malformed,
        "ambiguous": coverage.ambiguous,
        "derived": result.derived.as_ref().map(|derived| derived.inserted),
        "tracks": tracks,
        "elapsed_seconds": result.elapsed_seconds,
    })
}
