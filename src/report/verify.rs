//! What phase 4 prints.

use super::Report;
use super::text::{Page, percent1, percent2, thousands};
use crate::outcome::Outcome;
use crate::results::{ChainKnowledge, Percentage, Verify, WalletCoverage, Weight};

impl Report for Verify {
    fn outcome(&self) -> Outcome {
        Outcome::of_check(self.passed)
    }

    fn text(&self) -> String {
        whole(self)
    }
}

/// The guide's page.
fn whole(result: &Verify) -> String {
    let mut page = Page::titled("PHASE 4: COVERAGE VERIFICATION");
    global(&mut page, result);
    if !result.wallets.is_empty() {
        page.section(2, "Baseline Wallet Coverage");
    }
    for (nth, wallet) in result.wallets.iter().enumerate() {
        if nth > 0 {
            page.blank();
        }
        baseline(&mut page, result, wallet);
    }
    page.section(3, "Available P&L Positions");
    page.line(format!("Resolved positions available: {}", thousands(result.positions.resolved))).blank();
    let (resolved, wanted) = (thousands(result.positions.resolved), thousands(result.positions.wanted));
    page.line(if result.positions.passed {
        format!(
            "✅ Sufficient positions for P&L validation (≥{wanted}): {resolved}, {}",
            positions_margin(result)
        )
    } else {
        format!(
            "❌ Too few positions for P&L validation (≥{wanted}): {resolved}, {}",
            positions_margin(result)
        )
    });
    if result.global.unmapped > 0 {
        where_the_gap_is(&mut page, result);
    }
    if let Some(chain) = &result.chain {
        chain_section(&mut page, chain);
    }
    by_month(&mut page, result);
    verdict(&mut page, result);
    page.into_text()
}

fn global(page: &mut Page, result: &Verify) {
    let coverage = &result.global;
    page.section(1, "Global Coverage Metrics");
    page.entry(40, "Total unique asset_ids in CLOB fills", thousands(coverage.total));
    page.entry(40, "Mapped in ctf_token_map", thousands(coverage.mapped));
    page.entry(40, "Unmapped", thousands(coverage.unmapped));
    if coverage.malformed > 0 {
        let malformed =
            format!("{} ({} fills)", thousands(coverage.malformed), thousands(coverage.malformed_fills));
        page.entry(40, "Malformed asset_ids (beside the above)", malformed);
    }
    page.blank().line(format!("Coverage: {}", percent2(coverage.mapped, coverage.total))).blank();
    let (target, margin) = (result.target_pct.0, margin(coverage.margin_pct, coverage.margin));
    page.line(if result.global.passed {
        format!("✅ Global coverage ≥{target}%, margin {margin}")
    } else {
        format!("❌ Global coverage below {target}%, margin {margin}")
    });
    by_generation(page, result);
}

fn baseline(page: &mut Page, result: &Verify, wallet: &WalletCoverage) {
    page.line(format!("Wallet: {}", wallet.wallet)).blank();
    page.entry(15, "Total fills", thousands(wallet.fills));
    page.entry(15, "Mapped fills", thousands(wallet.mapped_fills));
    page.entry(15, "Unmapped", thousands(wallet.fills - wallet.mapped_fills));
    if wallet.malformed_fills > 0 {
        page.entry(15, "Malformed", thousands(wallet.malformed_fills));
    }
    if wallet.duplicate_fills > 0 {
        page.line(format!("Copies of fills, counted once: {}", thousands(wallet.duplicate_fills)));
    }
    page.blank().line(format!("Coverage: {}", percent2(wallet.mapped_fills, wallet.fills))).blank();
    let (target, margin) = (result.target_pct.0, margin(wallet.margin_pct, wallet.margin));
    page.line(if wallet.passed {
        format!("✅ Baseline wallet coverage ≥{target}%, margin {margin}")
    } else {
        format!("❌ Baseline wallet coverage below {target}%, margin {margin}")
    });
}

/// What there is more than the limit asks for, in percent points and in what is counted; negative where it is missed.
fn margin(points: Percentage, count: i64) -> String {
    let sign = if count < 0 { "-" } else { "+" };
    format!("{sign}{:.2} points ({sign}{})", points.0.abs(), thousands(count.unsigned_abs()))
}

fn positions_margin(result: &Verify) -> String {
    let margin = i128::from(result.positions.resolved) - i128::from(result.positions.wanted);
    format!("margin {margin:+}")
}

/// The causes in their order, with the words for each. A token that several hold of counts under the first.
const CAUSES: [(&str, &str); 6] = [
    ("ambiguous", "Ambiguous in the map"),
    ("staged_not_merged", "Staged, not merged"),
    ("rejected", "Rejected (no proof)"),
    ("not_found", "Not found by a track"),
    ("failed", "Failed (asked again)"),
    ("never_asked", "Never asked"),
];

fn cause_words(cause: &str) -> &str {
    CAUSES.into_iter().find(|(name, _)| *name == cause).map_or(cause, |(_, words)| words)
}

/// What the ids of a generation are called.
pub(super) fn generation_words(name: &str) -> &'static str {
    match name {
        "1" => "Hashes",
        "2" => "Second generation",
        _ => "Combos",
    }
}

/// How much of the trading is in ids of which generation, where there is more than one.
fn by_generation(page: &mut Page, result: &Verify) {
    let traded = || result.generations.iter().filter(|(_, it)| it.tokens > 0);
    if traded().count() < 2 {
        return;
    }
    page.blank().line(format!("{:<24}{:>12}{:>16}{:>22}", "Token ids", "tokens", "mapped", "of the volume"));
    for (name, it) in traded() {
        let name = generation_words(name);
        let (tokens, mapped) = (thousands(it.tokens), thousands(it.mapped));
        page.line(format!("{name:<24}{tokens:>12}{mapped:>16}{:>22}", it.volume_pct.to_string()));
    }
}

fn where_the_gap_is(page: &mut Page, result: &Verify) {
    let gap = &result.gap;
    page.section(4, "Where The Gap Is");
    page.line(format!("{:<24}{:>12}{:>16}{:>22}", "", "tokens", "fills", "volume"));
    let mut line = |label: &str, weight: &Weight| {
        page.line(format!(
            "{label:<24}{:>12}{:>16}{:>22}",
            thousands(weight.tokens),
            thousands(weight.fills),
            weight.volume.cents()
        ));
    };
    line("Mapped", &gap.mapped);
    for (cause, words) in CAUSES {
        if let Some(weight) = gap.causes.get(cause) {
            line(words, weight);
        }
    }
    line("Total", &gap.total);
    page.blank().line(format!(
        "Coverage by tokens {}, by fills {}, by volume {}",
        percent2(gap.mapped.tokens, gap.total.tokens),
        gap.coverage_by_fills_pct,
        gap.coverage_by_volume_pct
    ));
    page.line("(A fill that was delivered twice counts twice here, and once in the P&L.)");
    if gap.fills_without_volume > 0 {
        page.line(format!("Fills without a usable price or size: {}", thousands(gap.fills_without_volume)));
    }
    page.blank().line("Unmapped tokens with the most volume:");
    for (nth, token) in result.top_unmapped.iter().enumerate() {
        page.line(format!(
            "{:02}. {} {:>18} {:>10} fills  {}",
            nth + 1,
            token.token_id,
            token.volume.cents(),
            thousands(token.fills),
            cause_words(&token.cause)
        ));
    }
    if let Some(path) = &result.gaps_file {
        page.blank().line(format!("All {} written to {}", thousands(result.global.unmapped), path.display()));
    }
}

/// Traded tokens whose condition the chain is not known to have, and why that may be.
fn chain_section(page: &mut Page, chain: &ChainKnowledge) {
    if chain.unknown == 0 {
        return;
    }
    page.blank().line(format!(
        "Traded tokens whose condition the chain is not known to have: {}",
        thousands(chain.unknown)
    ));
    page.line(match (chain.read_up_to, chain.holes) {
        (0, _) => "(All of the chain came from files; `backfill chain` reads what those lack.)".to_owned(),
        (_, 0) => format!(
            "(Read up to block {} without a hole. What is newer reads `backfill chain`; what a provider left out finds `backfill chain --check 1` with a second one in CHAIN_URL; the rest is no token.)",
            chain.read_up_to
        ),
        (_, holes) => format!(
            "({} ranges up to block {} were not read: run `backfill chain`, then `backfill derive`.)",
            thousands(holes),
            chain.read_up_to
        ),
    });
    for token in &chain.tokens {
        let condition = token.condition_id.as_deref().map_or("no condition known".to_owned(), |id| {
            format!("condition {}...", id.chars().take(12).collect::<String>())
        });
        page.line(format!("  {} {:>10} fills  {condition}", token.token_id, thousands(token.fills)));
    }
}

fn by_month(page: &mut Page, result: &Verify) {
    if result.months.is_empty() && result.tokens_with_odd_dates == 0 {
        return;
    }
    page.section(5, "Coverage By Month (UTC)");
    for month in &result.months {
        page.line(format!(
            "{}  {:>10} / {:<10} {:>7}",
            month.month,
            thousands(month.mapped),
            thousands(month.total),
            percent1(month.mapped, month.total)
        ));
    }
    if result.tokens_with_odd_dates > 0 {
        page.line(format!(
            "Tokens with fills dated before 2019 or after 2029-07: {}",
            thousands(result.tokens_with_odd_dates)
        ));
    }
}

fn verdict(page: &mut Page, result: &Verify) {
    let mark = |passed: bool| if passed { "✅" } else { "❌" };
    let coverage = &result.global;
    let target = result.target_pct.0;
    page.blank().line("FINAL VERDICT").rule().blank();
    page.line(if result.passed { "✅ ALL CHECKS PASSED" } else { "❌ CHECKS FAILED" }).blank();
    page.line("Coverage verification complete:");
    let global = percent2(coverage.mapped, coverage.total);
    let global_margin = margin(coverage.margin_pct, coverage.margin);
    page.line(format!(
        "  {} Global coverage: {global} (≥{target}%), margin {global_margin}",
        mark(result.global.passed)
    ));
    for wallet in &result.wallets {
        let name = if result.wallets.len() == 1 { String::new() } else { format!(" {}", wallet.wallet) };
        page.line(format!(
            "  {} Baseline wallet{name}: {} (≥{target}%), margin {}",
            mark(wallet.passed),
            percent2(wallet.mapped_fills, wallet.fills),
            margin(wallet.margin_pct, wallet.margin)
        ));
    }
    page.line(format!(
        "  {} P&L positions:   {} (≥{}), {}",
        mark(result.positions.passed),
        thousands(result.positions.resolved),
        thousands(result.positions.wanted),
        positions_margin(result)
    ));
    page.line(format!(
        "  {} Tokens mapped twice: {} (none wanted)",
        mark(result.duplicates == 0),
        thousands(result.duplicates)
    ));
    if result.duplicates > 0 {
        page.line("     `backfill merge --repair` removes copies, and replaces what the hash proves wrong");
    }
    page.blank();
    if result.passed {
        page.line("System is ready for Phase 5: P&L Validation").blank();
        page.line("Next step:").line("  backfill validate");
    } else if !result.global.passed || result.wallets.iter().any(|wallet| !wallet.passed) {
        page.line("The gap and its causes stand above. Run the tracks again for what failed or was");
        page.line("never asked, then merge; phase 5 can run, but may exceed its variance.");
    }
}
