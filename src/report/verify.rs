//! What phase 4 prints.

use serde_json::{Value, json};

use super::text::{Page, percent1, percent2, thousands};
use crate::phases::verify::{VerifyResult, WalletCoverage};
use crate::store::gaps::{GapCause, Gaps, Weight};
use crate::track::floored_percent;
use crate::values::Percent;

/// The guide's page.
pub fn text(result: &VerifyResult) -> String {
    let mut page = Page::titled("PHASE 4: COVERAGE VERIFICATION");
    global(&mut page, result);
    for wallet in &result.wallets {
        baseline(&mut page, result, wallet);
    }
    page.section(3, "Available P&L Positions");
    page.line(format!("Resolved positions available: {}", thousands(result.resolved))).blank();
    let (resolved, wanted) = (thousands(result.resolved), thousands(result.min_positions));
    page.line(if result.positions_pass() {
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
    if result.gap.coverage.unmapped > 0 {
        where_the_gap_is(&mut page, result);
    }
    by_month(&mut page, &result.gap);
    verdict(&mut page, result);
    page.into_text()
}

fn global(page: &mut Page, result: &VerifyResult) {
    let coverage = &result.gap.coverage;
    page.section(1, "Global Coverage Metrics");
    page.entry(40, "Total unique asset_ids in CLOB fills", thousands(coverage.total));
    page.entry(40, "Mapped in ctf_token_map", thousands(coverage.mapped));
    page.entry(40, "Unmapped", thousands(coverage.unmapped));
    if coverage.malformed > 0 {
        let malformed =
            format!("{} ({} fills)", thousands(coverage.malformed), thousands(result.gap.malformed_fills));
        page.entry(40, "Malformed asset_ids (beside the above)", malformed);
    }
    page.blank().line(format!("Coverage: {}", percent2(coverage.mapped, coverage.total))).blank();
    let margin = margin(result.target, coverage.mapped, coverage.total);
    page.line(if result.global_passes() {
        format!("✅ Global coverage ≥{}%, margin {margin}", result.target)
    } else {
        format!("❌ Global coverage below {}%, margin {margin}", result.target)
    });
}

fn baseline(page: &mut Page, result: &VerifyResult, wallet: &WalletCoverage) {
    page.section(2, "Baseline Wallet Coverage");
    page.line(format!("Wallet: {}", wallet.wallet)).blank();
    page.entry(15, "Total fills", thousands(wallet.fills));
    page.entry(15, "Mapped fills", thousands(wallet.mapped_fills));
    page.entry(15, "Unmapped", thousands(wallet.fills - wallet.mapped_fills));
    if wallet.malformed_fills > 0 {
        page.entry(15, "Malformed", thousands(wallet.malformed_fills));
    }
    if wallet.copies > 0 {
        page.line(format!("Copies of fills, counted once: {}", thousands(wallet.copies)));
    }
    page.blank().line(format!("Coverage: {}", percent2(wallet.mapped_fills, wallet.fills))).blank();
    let margin = margin(result.target, wallet.mapped_fills, wallet.fills);
    page.line(if result.wallet_passes(wallet) {
        format!("✅ Baseline wallet coverage ≥{}%, margin {margin}", result.target)
    } else {
        format!("❌ Baseline wallet coverage below {}%, margin {margin}", result.target)
    });
}

/// What there is more than the limit asks for, in percent points and in what is counted; negative where it is missed.
fn margin(target: Percent, mapped: u64, total: u64) -> String {
    let (points, count) = margin_of(target, mapped, total);
    let sign = if count < 0 { "-" } else { "+" };
    format!("{sign}{points} points ({sign}{})", thousands(count.unsigned_abs()))
}

/// Percent points without their sign, cut to two decimals, and the signed count.
fn margin_of(target: Percent, mapped: u64, total: u64) -> (String, i64) {
    let (mapped, total) = (i128::from(mapped), i128::from(total));
    let (limit, whole) = (i128::from(target.numerator()), i128::from(Percent::DENOMINATOR));
    // The least count that passes: no percentage of no tokens is missing.
    let least = (total * limit + whole - 1) / whole;
    let hundredths = if total == 0 {
        10_000 - limit / 10_000
    } else {
        (mapped * whole - total * limit).abs() / (total * 10_000)
    };
    let points = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    (points, i64::try_from(mapped - least).unwrap_or(i64::MAX))
}

/// The points with their sign, for an object.
pub(super) fn margin_pct(target: Percent, mapped: u64, total: u64) -> f64 {
    let (points, count) = margin_of(target, mapped, total);
    let points = points.parse::<f64>().unwrap_or_default();
    if count < 0 { -points } else { points }
}

fn positions_margin(result: &VerifyResult) -> String {
    let margin = i128::from(result.resolved) - i128::from(result.min_positions);
    format!("margin {margin:+}")
}

fn cause_words(cause: GapCause) -> &'static str {
    match cause {
        GapCause::Ambiguous => "Ambiguous in the map",
        GapCause::Staged => "Staged, not merged",
        GapCause::Rejected => "Rejected (no proof)",
        GapCause::NotFound => "Not found by a track",
        GapCause::Failed => "Failed (asked again)",
        GapCause::NeverAsked => "Never asked",
    }
}

fn where_the_gap_is(page: &mut Page, result: &VerifyResult) {
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
    for (cause, weight) in &gap.causes {
        line(cause_words(*cause), weight);
    }
    line("Total", &gap.total);
    page.blank().line(format!(
        "Coverage by tokens {}, by fills {}, by volume {:.2}%",
        percent2(gap.mapped.tokens, gap.total.tokens),
        percent2(gap.mapped.fills, gap.total.fills),
        gap.mapped.volume.floored_percent_of(&gap.total.volume)
    ));
    page.line("(A fill that was delivered twice counts twice here, and once in the P&L.)");
    if gap.without_volume > 0 {
        page.line(format!("Fills without a usable price or size: {}", thousands(gap.without_volume)));
    }
    page.blank().line("Unmapped tokens with the most volume:");
    for (nth, token) in gap.unmapped.iter().enumerate() {
        page.line(format!(
            "{:02}. {} {:>18} {:>10} fills  {}",
            nth + 1,
            token.token,
            token.volume.cents(),
            thousands(token.fills),
            cause_words(token.cause)
        ));
    }
    if let Some(path) = &result.gaps_file {
        page.blank().line(format!("All {} written to {}", thousands(gap.coverage.unmapped), path.display()));
    }
}

fn by_month(page: &mut Page, gap: &Gaps) {
    if gap.months.is_empty() && gap.odd_dates == 0 {
        return;
    }
    page.section(5, "Coverage By Month (UTC)");
    for month in &gap.months {
        page.line(format!(
            "{:04}-{:02}  {:>10} / {:<10} {:>7}",
            month.year,
            month.month,
            thousands(month.mapped),
            thousands(month.total),
            percent1(month.mapped, month.total)
        ));
    }
    if gap.odd_dates > 0 {
        page.line(format!(
            "Tokens with fills dated before 2019 or after 2029-07: {}",
            thousands(gap.odd_dates)
        ));
    }
}

fn verdict(page: &mut Page, result: &VerifyResult) {
    let mark = |passed: bool| if passed { "✅" } else { "❌" };
    let coverage = &result.gap.coverage;
    let target = result.target;
    page.blank().line("FINAL VERDICT").rule().blank();
    page.line(if result.passes() { "✅ ALL CHECKS PASSED" } else { "❌ CHECKS FAILED" }).blank();
    page.line("Coverage verification complete:");
    let global = percent2(coverage.mapped, coverage.total);
    let global_margin = margin(target, coverage.mapped, coverage.total);
    page.line(format!(
        "  {} Global coverage: {global} (≥{target}%), margin {global_margin}",
        mark(result.global_passes())
    ));
    for wallet in &result.wallets {
        let name = if result.wallets.len() == 1 { String::new() } else { format!(" {}", wallet.wallet) };
        page.line(format!(
            "  {} Baseline wallet{name}: {} (≥{target}%), margin {}",
            mark(result.wallet_passes(wallet)),
            percent2(wallet.mapped_fills, wallet.fills),
            margin(target, wallet.mapped_fills, wallet.fills)
        ));
    }
    page.line(format!(
        "  {} P&L positions:   {} (≥{}), {}",
        mark(result.positions_pass()),
        thousands(result.resolved),
        thousands(result.min_positions),
        positions_margin(result)
    ));
    page.blank();
    if result.passes() {
        page.line("System is ready for Phase 5: P&L Validation").blank();
        page.line("Next step:").line("  backfill validate");
    } else {
        page.line("The gap and its causes stand above. Run the tracks again for what failed or was never asked, then");
        page.line("merge; phase 5 can run, but may exceed its variance.");
    }
}

/// The numbers that matter, on one line.
pub fn numbers(result: &VerifyResult) -> String {
    let global = &result.gap.coverage;
    let wallets = match result.wallets.as_slice() {
        [one] => format!("wallet {}", percent2(one.mapped_fills, one.fills)),
        many => {
            let passed = many.iter().filter(|wallet| result.wallet_passes(wallet)).count();
            format!("{passed} of {} wallets", many.len())
        }
    };
    format!(
        "{} mapped, {wallets}, {} positions",
        percent2(global.mapped, global.total),
        thousands(result.resolved)
    )
}

/// The design's object.
pub fn json(result: &VerifyResult) -> Value {
    let (gap, coverage) = (&result.gap, &result.gap.coverage);
    let weight = |weight: &Weight| json!({"tokens": weight.tokens, "fills": weight.fills, "volume": weight.volume.six()});
    let margin = |mapped, total| margin_pct(result.target, mapped, total);
    let wallets: Vec<Value> = (result.wallets.iter())
        .map(|wallet| {
            json!({
                "wallet": wallet.wallet,
                "fills": wallet.fills,
                "mapped_fills": wallet.mapped_fills,
                "malformed_fills": wallet.malformed_fills,
                "duplicate_fills": wallet.copies,
                "resolved_positions": wallet.resolved,
                "coverage_pct": floored_percent(wallet.mapped_fills, wallet.fills),
                "margin_pct": margin(wallet.mapped_fills, wallet.fills),
                "passed": result.wallet_passes(wallet),
            })
        })
        .collect();
    let causes: serde_json::Map<String, Value> =
        gap.causes.iter().map(|(cause, it)| (cause.name().to_owned(), weight(it))).collect();
    let months: Vec<Value> = (gap.months.iter())
        .map(|it| {
            let coverage = floored_percent(it.mapped, it.total);
            let name = format!("{:04}-{:02}", it.year, it.month);
            json!({"month": name, "total": it.total, "mapped": it.mapped, "coverage_pct": coverage})
        })
        .collect();
    let top: Vec<Value> = (gap.unmapped.iter())
        .map(|it| {
            let volume = it.volume.six();
            json!({"token_id": it.token, "cause": it.cause.name(), "fills": it.fills, "volume": volume})
        })
        .collect();
    json!({
        "phase": "verify",
        "passed": result.passes(),
        "target_pct": result.target.to_string().parse::<f64>().unwrap_or_default(),
        "global": {
            "total": coverage.total,
            "mapped": coverage.mapped,
            "unmapped": coverage.unmapped,
            "ambiguous": coverage.ambiguous,
            "malformed": coverage.malformed,
            "malformed_fills": gap.malformed_fills,
            "coverage_pct": floored_percent(coverage.mapped, coverage.total),
            "margin_pct": margin(coverage.mapped, coverage.total),
            "passed": result.global_passes(),
        },
        "wallets": wallets,
        "positions": {
            "resolved": result.resolved,
            "wanted": result.min_positions,
            "passed": result.positions_pass(),
        },
        "gap": {
            "total": weight(&gap.total),
            "mapped": weight(&gap.mapped),
            "causes": causes,
            "coverage_by_fills_pct": floored_percent(gap.mapped.fills, gap.total.fills),
            "coverage_by_volume_pct": gap.mapped.volume.floored_percent_of(&gap.total.volume),
            "fills_without_volume": gap.without_volume,
        },
        "months": months,
        "tokens_with_odd_dates": gap.odd_dates,
        "top_unmapped": top,
        "unmapped_sample": gap.unmapped.iter().map(|it| it.token.to_string()).collect::<Vec<_>>(),
        "elapsed_seconds": result.elapsed_seconds,
    })
}
