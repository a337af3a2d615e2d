//! What phase 3 prints.

use serde_json::{Map, Value, json};

use super::text::{Page, percent1, thousands};
use super::verify;
use crate::phases::merge::MergeResult;
use crate::track::floored_percent;

/// The guide's page.
pub fn text(result: &MergeResult) -> String {
    let (before, after, staged) = (&result.before, &result.after, &result.staged);
    let mut page = Page::titled("PHASE 3: MERGE STAGING TABLES TO PRODUCTION");
    page.section(1, "Staging Table Verification");
    let mut total = 0;
    for (source, count) in &staged.by_source {
        total += count;
        page.entry(25, &format!("{} track mappings", source.title()), thousands(*count));
    }
    page.entry(25, "Total new mappings", thousands(total));
    page.section(2, "Checking for Overlaps");
    page.line(format!("Overlapping tokens: {}", thousands(staged.overlapping)));
    if staged.overlapping > 0 {
        page.blank().line(format!(
            "ℹ️  Found {} tokens in more than one staging table.",
            thousands(staged.overlapping)
        ));
        let order: Vec<&str> = staged.by_source.iter().map(|(source, _)| source.title()).collect();
        page.line(format!("   Will deduplicate ({} takes precedence).", order.join(", then ")));
    }
    if staged.conflicting > 0 {
        page.blank()
            .line(format!("⚠️  Conflicting tokens: {} (the hash decides)", thousands(staged.conflicting)));
        for conflict in &staged.conflicts {
            page.line(format!("   {}", conflict.token_id));
            conflict.claims.iter().for_each(|claim| {
                page.line(format!("     {claim}"));
            });
        }
    }
    page.section(3, "Current Production Coverage");
    page.entry(25, "Total unique asset_ids", thousands(before.total));
    page.entry(
        25,
        "Currently mapped",
        format!("{} ({})", thousands(before.mapped), percent1(before.mapped, before.total)),
    );
    let map = &result.map;
    page.line(format!(
        "Rows of the map: {} proven, {} wrong, {} unproven",
        thousands(map.proven),
        thousands(map.wrong),
        thousands(map.unproven)
    ));
    if map.mirror + map.structural > 0 {
        page.line(format!(
            "  of the second generation: {} mirrors of known conditions, {} by their own bits",
            thousands(map.mirror),
            thousands(map.structural)
        ));
    }
    if map.wrong_tokens > 0 {
        let tokens = thousands(map.wrong_tokens);
        page.line(match (result.repaired, result.dry_run) {
            (0, _) => format!("⚠️  {tokens} tokens have wrong rows: `backfill merge --repair` replaces them"),
            (_, true) => format!("Dry run: the wrong rows of {tokens} tokens would be replaced"),
            _ => format!("✓ The wrong rows of {tokens} tokens replaced"),
        });
    }
    if map.respelled_tokens > 0 {
        let tokens = thousands(map.respelled_tokens);
        page.line(match (result.repaired, result.dry_run) {
            (0, _) => format!(
                "{tokens} mirrors stand under their own condition: `backfill merge --repair` writes the legacy one"
            ),
            (_, true) => format!("Dry run: {tokens} mirrors would be put under their legacy condition"),
            _ => format!("✓ {tokens} mirrors put under their legacy condition"),
        });
    }
    page.section(4, "Merging Staging → Production");
    if result.candidates.refused > 0 {
        page.line(format!("⚠️  {} tokens without a proof: not merged", thousands(result.candidates.refused)));
        page.line("    where a collateral is not listed, add it to COLLATERALS and merge again");
    }
    if let Some(labels) = result.labels {
        let would = if result.dry_run {
            "Dry run: empty labels that would be filled"
        } else {
            "✓ Empty labels filled"
        };
        page.line(format!("{would}: {}", thousands(labels)));
    }
    if result.dry_run {
        page.line(format!("Dry run: {} tokens would be added, nothing was written", thousands(result.added)));
        return page.into_text();
    }
    page.line("✓ Merge complete");
    page.section(5, "Post-Merge Coverage");
    page.entry(25, "Total unique asset_ids", thousands(after.total));
    page.entry(
        25,
        "Now mapped",
        format!("{} ({})", thousands(after.mapped), percent1(after.mapped, after.total)),
    );
    page.blank().entry(25, "New mappings added", thousands(result.added));
    let increase = after.mapped.saturating_sub(before.mapped);
    page.entry(25, "Coverage increase", format!("+{}", percent1(increase, after.total)));
    page.entry(
        25,
        "Tokens mapped twice",
        format!("{} (before: {})", thousands(result.duplicates), thousands(result.duplicates_before)),
    );
    let coverage = percent1(after.mapped, after.total);
    page.blank();
    if result.reaches_target() {
        page.line("✅ PHASE 3 COMPLETE - Coverage Target Achieved!").rule().blank();
        page.line(format!("Final coverage: {coverage} (≥{}% threshold)", result.target)).blank();
        page.line("Ready to proceed with Phase 4 (Coverage Verification)");
    } else {
        page.line("⚠️  PHASE 3 COMPLETE - Coverage Below Target").rule().blank();
        page.line(format!("Final coverage: {coverage} (<{}% threshold)", result.target)).blank();
        page.line("Run the tracks again, or see with `backfill verify` which tokens are missing");
    }
    page.into_text()
}

/// The design's object.
pub fn json(result: &MergeResult) -> Value {
    let staged: Map<String, Value> = (result.staged.by_source.iter())
        .map(|(source, count)| (source.name().to_owned(), json!(count)))
        .collect();
    let coverage = |of: &crate::store::coverage::Coverage| json!({"mapped": of.mapped, "coverage_pct": floored_percent(of.mapped, of.total)});
    json!({
        "phase": "merge",
        "staged": staged,
        "overlapping": result.staged.overlapping,
        "conflicting": result.staged.conflicting,
        "conflicts": result.staged.conflicts.iter().map(|it| json!({"token": it.token_id, "claims": it.claims})).collect::<Vec<_>>(),
        "before": coverage(&result.before),
        "after": coverage(&result.after),
        "total_asset_ids": result.after.total,
        "target_pct": result.target.to_string().parse::<f64>().unwrap_or_default(),
        "margin_pct": verify::margin_pct(result.target, result.after.mapped, result.after.total),
        "reaches_target": result.reaches_target(),
        "added": result.added,
        "repaired": result.repaired,
        "labels_filled": result.labels,
        "refused": result.candidates.refused,
        "duplicates": result.duplicates,
        "evidence": {"proven": result.candidates.proven, "mirror": result.candidates.mirror, "structural": result.candidates.structural},
        "map": {"proven": result.map.proven, "mirror": result.map.mirror, "structural": result.map.structural, "respelled": result.map.respelled, "wrong": result.map.wrong, "unproven": result.map.unproven, "wrong_tokens": result.map.wrong_tokens},
        "dry_run": result.dry_run,
        "elapsed_seconds": result.elapsed_seconds,
    })
}
