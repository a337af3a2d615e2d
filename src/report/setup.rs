//! What phase 0 prints.

use super::Report;
use super::text::{Page, named, percent1, thousands};
use crate::outcome::Outcome;
use crate::results::{Setup, Workload};
use crate::source::Source;

impl Report for Setup {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }

    fn text(&self) -> String {
        let mut page = Page::titled("PHASE 0: STAGING SETUP & WORKLOAD SPLIT");
        baseline(&mut page, self);
        page.section(2, "Creating Staging Infrastructure");
        page.line(format!("✓ Staging database {} ready", self.staging_database));
        staging_tables(&mut page, self);
        page.section(3, "Identifying Unmapped Tokens");
        if let Some(derived) = self.derived {
            let from = self.derived_from.map_or(String::new(), |it| {
                format!(" (now, from {} known conditions, or before)", thousands(it))
            });
            page.line(format!("✓ Derived, asked of nobody: {}{from}", thousands(derived)));
        }
        page.line(format!("Unmapped tokens identified: {}", thousands(self.listed)));
        page.section(4, &format!("Splitting Workload ({})", shares(&self.workloads)));
        for split in &self.workloads {
            let api = named(&split.track).map_or(split.track.as_str(), |it| it.api());
            let kept = if split.kept && split.total > 0 { " (as before; its progress is kept)" } else { "" };
            page.entry(21, &format!("{api} track"), format!("{} tokens{kept}", thousands(split.total)));
        }
        for path in &self.put_aside {
            page.line(format!("The checkpoint of the workload before this one is now {}", path.display()));
        }
        page.blank().line("✅ PHASE 0 COMPLETE - Ready to launch parallel backfill");
        page.into_text()
    }
}

fn baseline(page: &mut Page, result: &Setup) {
    page.section(1, "Baseline Metrics");
    for table in &result.created {
        page.line(format!("✓ {table} created, empty"));
    }
    page.entry(25, "Total unique asset_ids", thousands(result.total_asset_ids));
    let coverage = percent1(result.mapped, result.total_asset_ids);
    page.entry(25, "Currently mapped", format!("{} ({coverage})", thousands(result.mapped)));
    page.entry(25, "Unmapped (target)", thousands(result.unmapped));
    if result.ambiguous > 0 {
        page.part("without a row in the map", result.unmapped.saturating_sub(result.ambiguous));
        page.part("with rows that contradict each other", result.ambiguous);
    }
    if result.malformed > 0 {
        page.entry(25, "Malformed (left out)", thousands(result.malformed));
    }
}

fn staging_tables(page: &mut Page, result: &Setup) {
    let staged = |source: &Source| result.staged.get(source.name()).copied().unwrap_or_default();
    let in_use = |source: &Source| {
        source.lookup().is_none() || staged(source) > 0 || result.tracks.contains_key(source.name())
    };
    for source in Source::ALL.into_iter().filter(in_use) {
        let table = format!("{}.{}", result.staging_database, source.staging_table());
        page.line(match (staged(&source), result.reset) {
            (_, true) => format!("✓ {table} emptied"),
            (0, _) => format!("✓ {table} created"),
            (count, _) => format!("✓ {table} kept, {} mappings", thousands(count)),
        });
    }
}

/// `50/50`, `40/40/20`: percent, to a tenth where that is needed.
fn shares(workloads: &[Workload]) -> String {
    let percent = |it: &Workload| format!("{:.1}", it.share_pct.0).trim_end_matches(".0").to_owned();
    workloads.iter().map(percent).collect::<Vec<_>>().join("/")
}
