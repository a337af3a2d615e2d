//! What phase 5 prints.

use serde_json::{Value, json};

use super::text::{Page, thousands};
use crate::phases::validate::{Status, ValidateResult, WalletResult};
use crate::pnl::{Position, Usd};
use crate::settings::Percent;

/// How many winners and losers are shown.
const TOP: usize = 5;

/// The guide's page for one wallet, or a table of many.
pub fn text(result: &ValidateResult) -> String {
    let mut page = Page::titled("COMPREHENSIVE P&L VALIDATION - ALL THREE FIXES");
    if let ([wallet], _) | ([wallet, ..], true) = (result.wallets.as_slice(), result.detail) {
        wallet_page(&mut page, wallet, result.limit);
        for wallet in &result.wallets[1..] {
            page.blank().rule();
            wallet_page(&mut page, wallet, result.limit);
        }
    }
    if result.wallets.len() > 1 {
        table(&mut page, result);
    }
    if let Some(path) = &result.positions_file {
        page.blank().line(format!("Every position is in {}", path.display()));
    }
    page.blank().rule();
    if result.passes() {
        page.line("🎉 VALIDATION PASSED!").blank();
        page.line(format!(
            "Variance within ±{}% threshold. Ready to apply fixes to production.",
            result.limit
        ));
    } else {
        page.line("❌ VALIDATION FAILED").blank();
        page.line(format!("Variance not within ±{}%: see above what would explain it.", result.limit));
    }
    page.rule();
    page.into_text()
}

fn wallet_page(page: &mut Page, wallet: &WalletResult, limit: Percent) {
    let expected = &wallet.baseline.expected;
    page.line(format!("Wallet: {}", wallet.baseline.wallet));
    if let Some(label) = &wallet.baseline.label {
        page.line(format!("Label: {label}"));
    }
    page.line(format!("Expected P&L (Dome): {}", expected.cents())).blank();
    page.line("Fixes applied:");
    page.line("  ✓ Bug #1: ÷1,000,000 for micro-unit conversion");
    page.line("  ✓ Bug #2: Decode outcome_idx from asset_id");
    page.line("  ✓ Bug #3: Correct loser formula (no sign inversion)");
    page.section(1, "Intermediate Numbers (Top 5 Winners + Top 5 Losers)");
    let (winners, losers) = top(wallet);
    for (title, list) in [("TOP WINNERS:", winners), ("TOP LOSERS:", losers)] {
        page.blank().line(title);
        for (number, (position, realized)) in list.into_iter().enumerate() {
            position_lines(page, number + 1, position, &realized);
        }
    }
    let (wins, losses) = wins_and_losses(wallet);
    page.blank().line("[2] Total P&L Summary").rule().blank();
    page.line(format!("Total resolved positions: {}", thousands(wallet.resolved().count() as u64)));
    page.line(format!("  Wins:    {} positions → P&L: {}", thousands(wins.0), wins.1.cents()));
    page.line(format!("  Losses:  {} positions → P&L: {}", thousands(losses.0), losses.1.cents())).blank();
    let delta = wallet.total.clone() - expected.clone();
    page.line(format!("Total realized P&L: {}", wallet.total.cents()));
    page.line(format!("Expected (Dome):    {}", expected.cents())).blank();
    page.line(format!("Delta:    {} ({})", delta.cents(), delta.plain_cents()));
    page.line(format!("Variance: {}", variance(wallet)));
    page.line(format!("Status:   {}", status(wallet, limit)));
    explanations(page, wallet);
    outcomes(page, wallet);
}

fn position_lines(page: &mut Page, number: usize, position: &Position, realized: &Usd) {
    let condition: String = position.condition_id.chars().take(12).collect();
    let winner = match position.decision.winner.as_str() {
        "" => "by payout".to_owned(),
        winner => winner.to_lowercase(),
    };
    let payout = position.decision.payout.as_ref().map(crate::pnl::Payout::exact).unwrap_or_default();
    page.line(format!("{number:02}. {condition}... (outcome {}, winner: {winner})", position.outcome_index));
    page.entry(24, "    Net shares (micro)", position.net_shares.commas());
    page.entry(24, "    Cost basis (micro)", position.cashflow.commas());
    let paid = position.paid_out().map(|usd| usd.cents()).unwrap_or_default();
    page.entry(24, &format!("    Payout (shares×${payout})"), paid);
    let pays = position.decision.payout.as_ref().is_some_and(crate::pnl::Payout::pays);
    let cost = if pays { "    Cost (absolute)" } else { "    Cost (lost)" };
    page.entry(24, cost, position.cashflow.units().abs().cents());
    page.entry(24, "    → Realized P&L", realized.cents());
}

/// A position and its realized P&L.
type Realized<'a> = (&'a Position, Usd);

fn top(wallet: &WalletResult) -> (Vec<Realized<'_>>, Vec<Realized<'_>>) {
    let gains = wallet.resolved().filter(|(_, realized)| realized.is_gain()).take(TOP).collect();
    let loss = |(_, realized): &(&Position, Usd)| !realized.is_gain() && !realized.is_zero();
    let losses = wallet.resolved().rev().filter(loss).take(TOP).collect();
    (gains, losses)
}

/// Positions above zero, and all others: count and sum of each.
fn wins_and_losses(wallet: &WalletResult) -> ((u64, Usd), (u64, Usd)) {
    let sum = |gain: bool| {
        let of = wallet
            .resolved()
            .filter(|(_, realized)| realized.is_gain() == gain)
            .map(|(_, realized)| realized);
        let amounts: Vec<Usd> = of.collect();
        (amounts.len() as u64, amounts.into_iter().sum())
    };
    (sum(true), sum(false))
}

fn variance(wallet: &WalletResult) -> String {
    wallet.variance.as_ref().map_or("none (nothing was expected)".to_owned(), ToString::to_string)
}

fn status(wallet: &WalletResult, limit: Percent) -> String {
    match wallet.status {
        Status::Pass => format!("✅ PASS (<{limit}% threshold)"),
        Status::Fail => format!("❌ FAIL (≥{limit}% threshold)"),
        Status::Skipped => "SKIPPED (a baseline of zero has no variance)".to_owned(),
    }
}

fn explanations(page: &mut Page, wallet: &WalletResult) {
    if !wallet.explanations.is_empty() {
        page.blank().line("What could explain a difference, the largest first:");
        for it in &wallet.explanations {
            page.line(format!("  {:>16}  {} {}", it.worth.cents(), thousands(it.count), it.cause));
        }
    }
    let odd = &wallet.oddities;
    let oddities = [
        (odd.duplicates, "second deliveries of a fill: left out"),
        (odd.changed, "fills whose deliveries differ: the newest counts"),
        (odd.odd_side, "fills that are neither BUY nor SELL: left out"),
        (odd.odd_price, "fills with a price outside of 0 to 1: left out"),
        (odd.odd_size, "fills with an impossible size: left out"),
        (odd.inexact, "fills with more decimals than are counted with: cut"),
        (odd.contradicting, "positions with resolutions that contradict each other: the newest counts"),
        (odd.self_contradicting, "positions whose resolution contradicts itself: the payout vector counts"),
        (odd.zero_denominator, "positions resolved with a denominator of zero: unresolved"),
        (odd.undecidable, "positions without a label to compare the winner with: unresolved"),
    ];
    if oddities.iter().any(|(count, _)| *count > 0) {
        page.blank().line("Counted and named:");
        for (count, what) in oddities.iter().filter(|(count, _)| *count > 0) {
            page.line(format!("  {:>8}  {what}", thousands(*count)));
        }
    }
}

/// Resolved positions of each outcome index, and the labels that those carry.
fn by_outcome(wallet: &WalletResult, index: u8) -> (u64, String) {
    let of = || wallet.resolved().filter(move |(position, _)| position.outcome_index == index);
    let mut labels: Vec<(String, usize)> = Vec::new();
    for (position, _) in of() {
        let label = if position.label.is_empty() { "no label" } else { &position.label };
        match labels.iter_mut().find(|(known, _)| known == label) {
            Some((_, count)) => *count += 1,
            None => labels.push((label.to_owned(), 1)),
        }
    }
    labels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let shown: Vec<String> = labels.iter().take(3).map(|(label, _)| label.clone()).collect();
    let more = if labels.len() > 3 { ", …" } else { "" };
    (of().count() as u64, format!("{}{more}", shown.join(", ")))
}

fn outcomes(page: &mut Page, wallet: &WalletResult) {
    page.blank().line("[3] Outcome Index Distribution (Bug #2 verification)").rule().blank();
    let [(first, first_labels), (second, second_labels)] = [by_outcome(wallet, 0), by_outcome(wallet, 1)];
    page.line(format!("Outcome 0 ({first_labels}): {} positions", thousands(first)));
    page.line(format!("Outcome 1 ({second_labels}): {} positions", thousands(second)));
    page.line("Outcome 2+:      0 positions").blank();
    page.line(if first > 0 && second > 0 {
        format!("✅ Positions of both outcomes detected ({} total)", thousands(first + second))
    } else {
        "⚠️  Positions of one outcome only".to_owned()
    });
}

fn table(page: &mut Page, result: &ValidateResult) {
    page.blank().line("Wallets").line("─".repeat(40));
    for wallet in &result.wallets {
        let name = wallet.baseline.label.as_deref().unwrap_or_default();
        page.line(format!(
            "{}  {:>16}  {:>16}  {:>9}  {}  {name}",
            wallet.baseline.wallet,
            wallet.total.cents(),
            wallet.baseline.expected.cents(),
            wallet.variance.as_ref().map_or("-".to_owned(), ToString::to_string),
            status(wallet, result.limit),
        ));
    }
    let count = |status| result.wallets.iter().filter(|wallet| wallet.status == status).count();
    page.blank().line(format!(
        "{} passed, {} failed, {} skipped",
        count(Status::Pass),
        count(Status::Fail),
        count(Status::Skipped)
    ));
}

/// The design's object.
pub fn json(result: &ValidateResult) -> Value {
    json!({
        "phase": "validate",
        "passed": result.passes(),
        "wallets": result.wallets.iter().map(wallet_json).collect::<Vec<_>>(),
        "elapsed_seconds": result.elapsed_seconds,
    })
}

fn wallet_json(wallet: &WalletResult) -> Value {
    let (winners, losers) = top(wallet);
    let (wins, losses) = wins_and_losses(wallet);
    let positions = |list: Vec<Realized<'_>>| list.into_iter().map(position_json).collect::<Vec<_>>();
    // A number with two decimals, read back from what is shown.
    let variance_pct = wallet.variance.as_ref().and_then(|it| it.percent().parse::<f64>().ok());
    let odd = &wallet.oddities;
    json!({
        "wallet": wallet.baseline.wallet,
        "label": wallet.baseline.label,
        "expected": wallet.baseline.expected.six(),
        "total": wallet.total.six(),
        "delta": (wallet.total.clone() - wallet.baseline.expected.clone()).six(),
        "variance_pct": variance_pct,
        "status": match wallet.status { Status::Pass => "pass", Status::Fail => "fail", Status::Skipped => "skipped" },
        "positions": wallet.resolved().count(),
        "wins": {"count": wins.0, "pnl": wins.1.six()},
        "losses": {"count": losses.0, "pnl": losses.1.six()},
        "outcomes": {"0": by_outcome(wallet, 0).0, "1": by_outcome(wallet, 1).0, "other": 0},
        "top_winners": positions(winners),
        "top_losers": positions(losers),
        "explanations": wallet.explanations.iter().map(|it| json!({"cause": it.cause, "count": it.count, "worth": it.worth.six()})).collect::<Vec<_>>(),
        "duplicates": odd.duplicates,
        "changed": odd.changed,
        "malformed_fills": odd.odd_side + odd.odd_price + odd.odd_size,
        "contradicting": odd.contradicting + odd.self_contradicting,
        "zero_denominator": odd.zero_denominator,
    })
}

fn position_json((position, realized): Realized<'_>) -> Value {
    json!({
        "condition_id": position.condition_id,
        "outcome_index": position.outcome_index,
        "winner": position.decision.winner,
        "net_shares_micro": position.net_shares.exact(),
        "cost_basis_micro": position.cashflow.exact(),
        "payout": position.paid_out().map(|usd| usd.six()),
        "pnl": realized.six(),
    })
}
