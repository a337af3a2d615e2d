//! What phase 3 prints.

use super::Report;
use super::text::{Page, percent1, thousands, title};
use crate::foreign;
use crate::outcome::Outcome;
use crate::results::{Conflict, Merge, floored_percent};

impl Report for Merge {
    /// Coverage below its target is for `verify` to judge.
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }

    fn text(&self) -> String {
        let mut page = Page::titled("PHASE 3: MERGE STAGING TABLES TO PRODUCTION");
        staged(&mut page, self);
        overlaps(&mut page, self);
        production(&mut page, self);
        merging(&mut page, self);
        if !self.dry_run {
            afterwards(&mut page, self);
            verdict(&mut page, self);
        }
        page.into_text()
    }
}

fn staged(page: &mut Page, result: &Merge) {
    page.section(1, "Staging Table Verification");
    for source in &result.precedence {
        let count = result.staged.get(source).copied().unwrap_or_default();
        page.entry(25, &format!("{} track mappings", title(source)), thousands(count));
    }
    let all: u64 = result.staged.values().sum();
    page.entry(25, "Total new mappings", thousands(all));
    if all > result.staged_tokens {
        page.part("distinct tokens", result.staged_tokens);
        page.part("the same token from another source", all - result.staged_tokens);
    }
}

fn overlaps(page: &mut Page, result: &Merge) {
    let staged = result;
    page.section(2, "Checking for Overlaps");
    page.line(format!("Overlapping tokens: {}", thousands(staged.overlapping)));
    if staged.overlapping > 0 {
        page.blank().line(format!(
            "ℹ️  Found {} tokens in more than one staging table.",
            thousands(staged.overlapping)
        ));
        let order: Vec<&str> = staged.precedence.iter().map(|it| title(it)).collect();
        page.line(format!("   Will deduplicate ({} takes precedence).", order.join(", then ")));
    }
    if staged.conflicting > 0 {
        page.blank()
            .line(format!("⚠️  Conflicting tokens: {} (the hash decides)", thousands(staged.conflicting)));
        for conflict in &staged.conflicts {
            page.line(format!("   {}", conflict.token));
            conflict.claims.iter().for_each(|claim| {
                page.line(format!("     {}", foreign::visible(claim, &[])));
            });
        }
    }
    if staged.label_conflicting > 0 {
        page.blank().line(format!(
            "ℹ️  Labels that differ between sources: {} tokens (the first in precedence counts)",
            thousands(staged.label_conflicting)
        ));
        labels(page, &staged.label_conflicts);
    }
    if staged.misplaced_labels > 0 {
        page.line(format!(
            "⚠️  Labels that contradict their place, not taken: {} tokens",
            thousands(staged.misplaced_labels)
        ));
        labels(page, &staged.misplaced);
    }
}

/// A line for each token, with what each says of its label.
fn labels(page: &mut Page, conflicts: &[Conflict]) {
    for conflict in conflicts {
        page.line(format!("   {}: {}", conflict.token, foreign::visible(&conflict.claims.join(" | "), &[])));
    }
}

fn production(page: &mut Page, result: &Merge) {
    let (mapped, total) = (result.before.mapped, result.total_asset_ids);
    page.section(3, "Current Production Coverage");
    page.entry(25, "Total unique asset_ids", thousands(total));
    page.entry(25, "Currently mapped", format!("{} ({})", thousands(mapped), percent1(mapped, total)));
    page.entry(25, "Unmapped (target)", thousands(total.saturating_sub(mapped)));
    let Some(map) = &result.map else { return };
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
}

fn merging(page: &mut Page, result: &Merge) {
    page.section(4, "Merging Staging → Production");
    if result.refused > 0 {
        page.line(format!("⚠️  {} tokens without a proof: not merged", thousands(result.refused)));
        page.line("    where a collateral is not listed, add it to COLLATERALS and merge again");
    }
    if let Some(filled) = result.labels_filled {
        let would = if result.dry_run {
            "Dry run: empty labels that would be filled"
        } else {
            "✓ Empty labels filled"
        };
        page.line(format!("{would}: {}", thousands(filled)));
    }
    if let Some(corrected) = result.labels_corrected.filter(|corrected| *corrected > 0) {
        let would = if result.dry_run {
            "Dry run: labels that would be corrected from the catalogue"
        } else {
            "✓ Labels corrected from the catalogue"
        };
        page.line(format!("{would}: {}", thousands(corrected)));
        labels(page, &result.label_corrections);
    }
    metadata(page, result);
    payouts(page, result);
    copies(page, result);
    page.entry(25, "Distinct tokens staged", thousands(result.staged_tokens));
    page.part(if result.dry_run { "to be added to the map" } else { "added to the map" }, result.added);
    page.part("in the map already", result.staged_tokens.saturating_sub(result.added + result.refused));
    if result.refused > 0 {
        page.part("without a proof", result.refused);
    }
    page.line(if result.dry_run {
        format!("Dry run: {} tokens would be added, nothing was written", thousands(result.added))
    } else {
        "✓ Merge complete".to_owned()
    });
}

/// What a repair does with rows that say the same.
fn copies(page: &mut Page, result: &Merge) {
    let Some(tokens) = result.copies_removed.filter(|tokens| *tokens > 0) else { return };
    let tokens = thousands(tokens);
    page.line(match result.dry_run {
        true => format!("Dry run: of the equal rows of {tokens} tokens all but one would be removed"),
        false => format!("✓ Of the equal rows of {tokens} tokens all but one removed"),
    });
}

/// The chain's payouts for the table of resolutions.
fn payouts(page: &mut Page, result: &Merge) {
    let Some(payouts) = &result.resolutions else { return };
    let would = match result.dry_run {
        true => "Dry run: resolutions that would be added from the chain",
        false => "✓ Resolutions added from the chain",
    };
    page.line(format!("{would}: {}", thousands(payouts.added)));
    if payouts.unfit > 0 {
        page.line(format!(
            "⚠️  Not added, since the table's columns cannot hold what they pay: {}",
            thousands(payouts.unfit)
        ));
        for unfit in &payouts.unfit_sample {
            page.line(format!("    {unfit}"));
        }
    }
}

fn metadata(page: &mut Page, result: &Merge) {
    let Some(columns) = &result.metadata_columns else { return };
    if columns.is_empty() {
        page.line("ℹ️  The map has no column for questions or slugs (question, market_slug): none filled");
        return;
    }
    let would = if result.dry_run { "Dry run: rows that would be filled" } else { "✓ Rows filled" };
    let filled = |count: Option<u64>| thousands(count.unwrap_or_default());
    page.line(format!(
        "{would}: question {}, slug {}",
        filled(result.questions_filled),
        filled(result.slugs_filled)
    ));
}

fn afterwards(page: &mut Page, result: &Merge) {
    let (mapped, total) = (result.after.mapped, result.total_asset_ids);
    page.section(5, "Post-Merge Coverage");
    page.entry(25, "Total unique asset_ids", thousands(total));
    page.entry(25, "Now mapped", format!("{} ({})", thousands(mapped), percent1(mapped, total)));
    page.part("Mapped before", result.before.mapped).part("Added by this merge", result.added_traded);
    if result.disambiguated > 0 {
        page.part("Contradictions that the repair ended", result.disambiguated);
    }
    page.blank().entry(25, "New mappings added", thousands(result.added));
    page.part("Traded tokens", result.added_traded);
    page.part("Tokens that were never traded", result.added.saturating_sub(result.added_traded));
    // Of the percentages as they stand above, so that the page adds up: each of them is rounded down.
    let tenths = |part: u64| (floored_percent(part, total) * 10.0 + 1e-6).floor();
    let increase = (tenths(mapped) - tenths(result.before.mapped)) / 10.0;
    page.entry(25, "Coverage increase", format!("{increase:+.1} points"));
    page.entry(
        25,
        "Tokens mapped twice",
        format!("{} (before: {})", thousands(result.duplicates), thousands(result.duplicates_before)),
    );
    page.blank();
}

fn verdict(page: &mut Page, result: &Merge) {
    let coverage = percent1(result.after.mapped, result.total_asset_ids);
    let target = result.target_pct.0;
    if result.duplicates > 0 {
        page.line("⚠️  PHASE 3 COMPLETE - The Map Holds Duplicate Rows").rule().blank();
        let mark = if result.reaches_target { "✅" } else { "❌" };
        page.line(format!("{mark} Final coverage: {coverage} (wanted: ≥{target}%)"));
        page.line(format!("❌ Tokens mapped twice: {} (wanted: none)", thousands(result.duplicates)));
        page.line("   `backfill merge --repair` removes copies, and replaces what the hash proves wrong");
    } else if result.reaches_target {
        page.line("✅ PHASE 3 COMPLETE - Coverage Target Achieved!").rule().blank();
        page.line(format!("Final coverage: {coverage} (≥{target}% threshold)")).blank();
        page.line("Ready to proceed with Phase 4 (Coverage Verification)");
    } else {
        page.line("⚠️  PHASE 3 COMPLETE - Coverage Below Target").rule().blank();
        page.line(format!("Final coverage: {coverage} (<{target}% threshold)")).blank();
        page.line("Run the tracks again, or see with `backfill verify` which tokens are missing");
    }
}
