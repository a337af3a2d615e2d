//! What phase 4 prints.

use serde_json::{Value, json};

use super::text::{Page, micro_usd, percent2, thousands};
use crate::phases::verify::VerifyResult;
use crate::store::gaps::WalletCoverage;
use crate::track::floored_percent;

/// `✅ … ≥95%` or `❌ … <95%`, with the distance to the limit.
fn verdict(passed: bool, what: &str, part: u64, total: u64, result: &VerifyResult) -> String {
    let target = result.target;
    let needed = u128::from(total) * u128::from(target.numerator());
    let needed = u64::try_from(needed.div_ceil(100_000_000)).unwrap_or(u64::MAX);
    if passed {
        format!("✅ {what} ≥{target}% ({} above the limit)", thousands(part.saturating_sub(needed)))
    } else {
        format!("❌ {what} <{target}% ({} short of the limit)", thousands(needed.saturating_sub(part)))
    }
}

fn wallet_verdict(wallet: &WalletCoverage, result: &VerifyResult) -> String {
    if wallet.fills == 0 {
        return "❌ Baseline wallet has no fills".to_owned();
    }
    let passed = result.wallet_passes(wallet);
    verdict(passed, "Baseline wallet coverage", wallet.mapped_fills, wallet.fills, result)
}

/// The guide's page.
pub fn text(result: &VerifyResult) -> String {
    let coverage = &result.coverage;
    let mut page = Page::titled("PHASE 4: COVERAGE VERIFICATION");
    page.section(1, "Global Coverage Metrics");
    page.entry(40, "Total unique asset_ids in CLOB fills", thousands(coverage.total));
    page.entry(40, "Mapped in ctf_token_map", thousands(coverage.mapped));
    page.entry(40, "Unmapped", thousands(coverage.unmapped));
    if coverage.malformed > 0 {
        page.entry(40, "Malformed (left out)", thousands(coverage.malformed));
    }
    page.blank().line(format!("Coverage: {}", percent2(coverage.mapped, coverage.total)));
    let weights = &result.weights;
    page.line(format!("By fills: {}", percent2(weights.mapped_fills, weights.fills)));
    page.line(format!("By volume: {}", volume_percent(weights.mapped_volume_micro, weights.volume_micro)));
    let global = result.global_passes();
    page.blank().line(verdict(global, "Global coverage", coverage.mapped, coverage.total, result));
    gap_sections(&mut page, result);
    page.section(2, "Baseline Wallet Coverage");
    for wallet in &result.wallets {
        page.line(format!("Wallet: {}", wallet.wallet)).blank();
        page.entry(15, "Total fills", thousands(wallet.fills));
        page.entry(15, "Mapped fills", thousands(wallet.mapped_fills));
        page.entry(15, "Unmapped", thousands(wallet.fills - wallet.mapped_fills));
        page.blank().line(format!("Coverage: {}", percent2(wallet.mapped_fills, wallet.fills)));
        page.blank().line(wallet_verdict(wallet, result));
    }
    page.section(3, "Available P&L Positions");
    page.line(format!("Resolved positions available: {}", thousands(result.resolved_positions))).blank();
    let positions = positions_verdict(result);
    page.line(&positions);
    page.blank().line("FINAL VERDICT").rule().blank();
    page.line(if result.passes() { "✅ ALL CHECKS PASSED" } else { "❌ CHECKS FAILED" }).blank();
    page.line("Coverage verification complete:");
    let mark = |passed: bool| if passed { "✅" } else { "❌" };
    let relation = |passed: bool| if passed { "≥" } else { "<" };
    page.line(format!(
        "  {} Global coverage: {} ({}{}%)",
        mark(global),
        percent2(coverage.mapped, coverage.total),
        relation(global),
        result.target
    ));
    for wallet in &result.wallets {
        let passed = result.wallet_passes(wallet);
        page.line(format!(
            "  {} Baseline wallet: {} ({}{}%)",
            mark(passed),
            percent2(wallet.mapped_fills, wallet.fills),
            relation(passed),
            result.target
        ));
    }
    let enough = result.positions_pass();
    page.line(format!(
        "  {} P&L positions:   {} ({}{})",
        mark(enough),
        thousands(result.resolved_positions),
        relation(enough),
        result.min_positions
    ));
    page.blank();
    if result.passes() {
        page.line("System is ready for Phase 5: P&L Validation").blank();
        page.line("Next step:").line("  backfill validate");
    } else {
        page.line("Next step: see above what is missing; run the tracks again, then `backfill merge`");
    }
    page.into_text()
}

fn gap_sections(page: &mut Page, result: &VerifyResult) {
    if result.coverage.unmapped > 0 {
        page.blank().line("Where the gap is (tokens, fills, volume):");
        for cause in &result.causes {
            page.line(format!(
                "  {:<14}{:>10}{:>12}{:>20}",
                cause.cause,
                thousands(cause.tokens),
                thousands(cause.fills),
                format!("${}", micro_usd(cause.volume_micro))
            ));
        }
    }
    if !result.global_passes() {
        page.blank().line("By month (traded, mapped):");
        for month in &result.months {
            page.line(format!(
                "  {}{:>10}{:>10}  {}",
                month.month,
                thousands(month.traded),
                thousands(month.mapped),
                percent2(month.mapped, month.traded)
            ));
        }
        page.blank().line("Unmapped tokens with the most volume:");
        for gap in &result.sample {
            page.line(format!("  {} ${} ({})", gap.token_id, micro_usd(gap.volume_micro), gap.cause));
        }
    }
    if let Some(path) = &result.gaps_file {
        page.blank().line(format!("All unmapped tokens are in {}", path.display()));
    }
}

fn positions_verdict(result: &VerifyResult) -> String {
    let (found, wanted) = (result.resolved_positions, result.min_positions);
    if result.positions_pass() {
        format!("✅ Sufficient positions for P&L validation (≥{wanted}, {} more)", thousands(found - wanted))
    } else {
        format!("❌ Too few positions for P&L validation (<{wanted}, {} short)", thousands(wanted - found))
    }
}

/// Volumes are beyond what a count holds; the share is rounded down all the same.
fn volume_percent(part: i128, total: i128) -> String {
    if total <= 0 {
        return "100.00%".to_owned();
    }
    let hundredths = part.saturating_mul(10_000).div_euclid(total);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// The design's object.
pub fn json(result: &VerifyResult) -> Value {
    let coverage = &result.coverage;
    let wallets: Vec<Value> = (result.wallets.iter())
        .map(|wallet| {
            json!({
                "wallet": wallet.wallet,
                "fills": wallet.fills,
                "mapped_fills": wallet.mapped_fills,
                "coverage_pct": floored_percent(wallet.mapped_fills, wallet.fills),
                "passed": result.wallet_passes(wallet),
            })
        })
        .collect();
    let causes: Vec<Value> = (result.causes.iter())
        .map(|it| json!({"cause": it.cause, "tokens": it.tokens, "fills": it.fills, "volume": micro_usd(it.volume_micro)}))
        .collect();
    let months: Vec<Value> = (result.months.iter())
        .map(|it| json!({"month": it.month, "traded": it.traded, "mapped": it.mapped, "coverage_pct": floored_percent(it.mapped, it.traded)}))
        .collect();
    json!({
        "phase": "verify",
        "passed": result.passes(),
        "global": {
            "total": coverage.total,
            "mapped": coverage.mapped,
            "unmapped": coverage.unmapped,
            "malformed": coverage.malformed,
            "ambiguous": coverage.ambiguous,
            "coverage_pct": floored_percent(coverage.mapped, coverage.total),
            "passed": result.global_passes(),
        },
        "weighted": {
            "fills": result.weights.fills,
            "mapped_fills": result.weights.mapped_fills,
            "volume": micro_usd(result.weights.volume_micro),
            "mapped_volume": micro_usd(result.weights.mapped_volume_micro),
        },
        "wallets": wallets,
        "positions": {"resolved": result.resolved_positions, "passed": result.positions_pass()},
        "causes": causes,
        "months": months,
        "unmapped_sample": result.sample.iter().map(|gap| gap.token_id.as_str()).collect::<Vec<_>>(),
        "elapsed_seconds": result.elapsed_seconds,
    })
}
