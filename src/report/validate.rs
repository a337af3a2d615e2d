//! What phase 5 prints.

mod details;
pub(super) mod payouts;

use super::Report;
use super::text::{Page, thousands};
use crate::outcome::Outcome;
use crate::results::{Position, Validate, WalletStatus, WalletValidation};

/// How many labels of an outcome index are shown.
const LABELS: usize = 3;

impl Report for Validate {
    fn outcome(&self) -> Outcome {
        self.outcome()
    }

    fn text(&self) -> String {
        whole(self)
    }
}

/// The guide's page for one wallet, or a table of many.
fn whole(result: &Validate) -> String {
    let mut page = Page::titled("COMPREHENSIVE P&L VALIDATION - ALL THREE FIXES");
    if let ([wallet], _) | ([wallet, ..], true) = (result.wallets.as_slice(), result.detail) {
        wallet_page(&mut page, wallet, result.variance_limit_pct.0);
        for wallet in &result.wallets[1..] {
            page.blank().rule();
            wallet_page(&mut page, wallet, result.variance_limit_pct.0);
        }
    }
    if result.wallets.len() > 1 {
        table(&mut page, result);
    }
    if let Some(path) = &result.positions_file {
        page.blank().line(format!("Every position is in {}", path.display()));
    }
    page.blank().rule();
    verdict(&mut page, result);
    page.rule();
    page.into_text()
}

fn verdict(page: &mut Page, result: &Validate) {
    let limit = result.variance_limit_pct.0;
    if !result.passed {
        page.line("❌ VALIDATION FAILED").blank();
        page.line(format!("Variance not within ±{limit}%: see above what would explain it."));
        return;
    }
    if result.wallets.iter().all(|wallet| wallet.status == WalletStatus::Skipped) {
        page.line("Nothing was validated: a baseline of zero has no variance.");
        return;
    }
    page.line("🎉 VALIDATION PASSED!").blank().line("All three bug fixes verified:");
    page.line("  ✅ Micro-unit conversion (÷1e6) working correctly");
    let seen = |of: fn(&WalletValidation) -> u64| result.wallets.iter().any(|wallet| of(wallet) > 0);
    page.line(match (seen(|it| it.outcomes.zero), seen(|it| it.outcomes.one)) {
        (true, true) => "  ✅ Outcome index decoding capturing positions of both outcomes",
        _ => "  ⚠️  Outcome index decoding: positions of one outcome only, which proves little",
    });
    page.line("  ✅ Loser formula sign correct (no inversion)").blank();
    page.line(format!("Variance within ±{limit}% threshold."));
    page.blank().line("NEXT STEPS:");
    page.line("1. backfill report                              one page of all of it, to hand on");
    page.line("2. backfill validate --positions positions.csv  every position with its numbers");
    if result.wallets.len() == 1 {
        page.line(
            "3. backfill validate --baselines FILE.csv       the same for all wallets that have a baseline",
        );
    }
}

fn wallet_page(page: &mut Page, wallet: &WalletValidation, limit: f64) {
    let expected = &wallet.expected;
    page.line(format!("Wallet: {}", wallet.wallet));
    if let Some(label) = &wallet.label {
        page.line(format!("Label: {label}"));
    }
    page.line(format!("Expected P&L (Dome): {}", expected.cents())).blank();
    page.line("Fixes applied:");
    page.line("  ✓ Bug #1: ÷1,000,000 for micro-unit conversion");
    page.line("  ✓ Bug #2: Decode outcome_idx from asset_id");
    page.line("  ✓ Bug #3: Correct loser formula (no sign inversion)");
    page.section(1, "Intermediate Numbers (Top 5 Winners + Top 5 Losers)");
    for (title, list) in [("TOP WINNERS:", &wallet.top_winners), ("TOP LOSERS:", &wallet.top_losers)] {
        page.blank().line(title);
        if list.is_empty() {
            page.line("none");
        }
        for (number, position) in list.iter().enumerate() {
            if number > 0 {
                page.blank();
            }
            position_lines(page, number + 1, position);
        }
    }
    let (wins, losses) = (&wallet.wins, &wallet.losses);
    page.blank().line("[2] Total P&L Summary").rule().blank();
    let counted = match wallet.details.method.as_str() {
        "certain" => "resolved or certain",
        "average-cost" => "booked",
        _ => "resolved",
    };
    page.line(format!("Total {counted} positions: {}", thousands(wallet.positions)));
    page.line(format!("  Wins:    {} positions → P&L: {}", thousands(wins.count), wins.pnl.cents()));
    page.line(format!("  Losses:  {} positions → P&L: {}", thousands(losses.count), losses.pnl.cents()))
        .blank();
    let delta = &wallet.delta;
    page.line(format!("Total realized P&L: {}", wallet.total.cents()));
    page.line(format!("Expected (Dome):    {}", expected.cents())).blank();
    page.line(format!("Delta:    {} ({})", delta.cents(), delta.plain_cents()));
    page.line(format!("Variance: {}", variance(wallet)));
    page.line(format!("Status:   {}", status(wallet, limit)));
    if let Some(margin) = margin(wallet, limit) {
        page.line(format!("Margin:   {margin}"));
    }
    explanations(page, wallet);
    outcomes(page, wallet);
    payouts::sections(page, &wallet.payouts);
    details::sections(page, &wallet.details, expected, &wallet.total);
}

fn position_lines(page: &mut Page, number: usize, position: &Position) {
    let condition: String = position.condition_id.chars().take(12).collect();
    let winner = match position.winner.as_str() {
        "" => "by payout".to_owned(),
        winner => winner.to_lowercase(),
    };
    let payout = &position.payout_per_share;
    page.line(format!("{number:02}. {condition}... (outcome {}, winner: {winner})", position.outcome_index));
    page.entry(28, "    Net shares (micro)", position.net_shares_micro.commas());
    page.entry(28, "    Cost basis (micro)", position.cost_basis_micro.commas());
    let paid = position.payout.as_ref().map(|usd| usd.cents()).unwrap_or_default();
    page.entry(28, &format!("    Payout (shares/${payout})"), paid);
    let pays = !matches!(payout.as_str(), "" | "0");
    let cashflow = position.cost_basis_micro.units();
    let cost = match (cashflow.is_gain(), pays) {
        (true, _) => "    Received (net)",
        (false, true) => "    Cost (absolute)",
        (false, false) => "    Cost (lost)",
    };
    page.entry(28, cost, cashflow.abs().cents());
    page.entry(28, "    → Realized P&L", position.pnl.cents());
}

fn variance(wallet: &WalletValidation) -> String {
    wallet.variance_pct.map_or("none (nothing was expected)".to_owned(), |it| it.to_string())
}

fn status(wallet: &WalletValidation, limit: f64) -> String {
    match wallet.status {
        WalletStatus::Pass => format!("✅ PASS (<{limit}% threshold)"),
        WalletStatus::Fail => format!("❌ FAIL (≥{limit}% threshold)"),
        WalletStatus::Skipped => "SKIPPED (a baseline of zero has no variance)".to_owned(),
    }
}

/// How far the variance is from the limit, in points of a percent.
fn margin(wallet: &WalletValidation, limit: f64) -> Option<String> {
    let points = wallet.margin_pct?.0;
    let side = if points > 0.0 { "below" } else { "above" };
    Some(format!("{:.2} points {side} the limit of {limit}%", points.abs()))
}

fn explanations(page: &mut Page, wallet: &WalletValidation) {
    let failed = wallet.status == WalletStatus::Fail;
    if !wallet.explanations.is_empty() || failed {
        page.blank().line("What could explain a difference, the largest first:");
        for it in &wallet.explanations {
            page.line(format!("  {:>16}  {} {}", it.worth.cents(), thousands(it.count), it.cause));
        }
        if failed {
            page.line(format!("  {:>16}  left unexplained", wallet.unexplained.cents()));
        }
    }
    let odd = wallet;
    let data_quality = [
        (odd.duplicates, "second deliveries of a fill: left out"),
        (odd.changed, "fills whose deliveries differ: the newest counts"),
        (odd.nameless, "fills without an id: each counts for itself"),
        (odd.odd_side, "fills that are neither BUY nor SELL: left out"),
        (odd.odd_price, "fills with a price outside of 0 to 1: left out"),
        (odd.odd_size, "fills with an impossible size: left out"),
        (odd.inexact, "fills with more decimals than are counted with: cut"),
        (odd.contradicting, "positions with resolutions that contradict each other: the newest counts"),
        (odd.self_contradicting, "positions whose resolution contradicts itself: the payout vector counts"),
        (odd.zero_denominator, "positions resolved with a denominator of zero: unresolved"),
        (odd.tables_disagree, "positions whose two tables name different winners: the resolutions count"),
        (odd.undecidable, "positions whose winner is named by neither of the two labels: unresolved"),
        (odd.misplaced_labels, "positions with a label that contradicts its place: it is not taken"),
        (odd.from_catalogue, "positions whose winner only the CLOB's catalogue names: it counts"),
        (
            odd.undecided_combos,
            "positions in combos that are undecided: a leg is open, or the legs are not known",
        ),
    ];
    if data_quality.iter().any(|(count, _)| *count > 0) {
        page.blank().line("Counted and named:");
        for (count, what) in data_quality.iter().filter(|(count, _)| *count > 0) {
            page.line(format!("  {:>8}  {what}", thousands(*count)));
        }
        for side in &wallet.odd_sides {
            page.line(format!(
                "  {:>8}  of side {:?}, {}",
                thousands(side.fills),
                side.side,
                side.worth.cents()
            ));
        }
    }
}

/// The labels that the positions of an outcome index carry.
fn labels(wallet: &WalletValidation, index: &str) -> String {
    let of = wallet.outcome_labels.get(index).map_or(&[][..], Vec::as_slice);
    let shown =
        of.iter().take(LABELS).map(|label| if label.is_empty() { "no label" } else { label.as_str() });
    let more = if of.len() > LABELS { ", …" } else { "" };
    format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
}

fn outcomes(page: &mut Page, wallet: &WalletValidation) {
    page.blank().line("[3] Outcome Index Distribution (Bug #2 verification)").rule().blank();
    let (first, second) = (wallet.outcomes.zero, wallet.outcomes.one);
    for (index, count, labels) in [(0, first, labels(wallet, "0")), (1, second, labels(wallet, "1"))] {
        let labels = if count > 0 { format!(" ({labels})") } else { String::new() };
        page.line(format!("Outcome {index}{labels}: {} positions", thousands(count)));
    }
    page.line("Outcome 2+: 0 positions").blank();
    page.line(if first > 0 && second > 0 {
        format!("✅ Positions of both outcomes detected ({} total)", thousands(first + second))
    } else {
        "⚠️  Positions of one outcome only".to_owned()
    });
}

/// One line a wallet: what came out, what was expected, how far apart, and for a miss its largest known cause.
fn table(page: &mut Page, result: &Validate) {
    page.blank()
        .line(format!("Wallets (limit: a variance below {}%)", result.variance_limit_pct.0))
        .line("─".repeat(40));
    let (wallet, total, expected, variance) = ("Wallet", "Realized P&L", "Expected", "Variance");
    page.line(format!("{wallet:<42}  {total:>16}  {expected:>16}  {variance:>10}  Status   Reason"));
    for wallet in &result.wallets {
        let status = match wallet.status {
            WalletStatus::Pass => "PASS",
            WalletStatus::Fail => "FAIL",
            WalletStatus::Skipped => "SKIPPED",
        };
        let label = wallet.label.as_ref().map(|label| format!("[{label}] ")).unwrap_or_default();
        let line = format!(
            "{}  {:>16}  {:>16}  {:>10}  {status:<7}  {label}{}",
            wallet.wallet,
            wallet.total.cents(),
            wallet.expected.cents(),
            wallet.variance_pct.map_or("-".to_owned(), |it| it.to_string()),
            reason(wallet),
        );
        page.line(line.trim_end());
    }
    let count = |status| result.wallets.iter().filter(|wallet| wallet.status == status).count();
    page.blank().line(format!(
        "{} passed, {} failed, {} skipped",
        count(WalletStatus::Pass),
        count(WalletStatus::Fail),
        count(WalletStatus::Skipped)
    ));
}

/// Why a wallet did not pass, in half a line.
fn reason(wallet: &WalletValidation) -> String {
    match (wallet.status, wallet.explanations.first()) {
        (WalletStatus::Pass, _) => String::new(),
        (WalletStatus::Skipped, _) => "a baseline of zero".to_owned(),
        (WalletStatus::Fail, _)
            if wallet.positions + wallet.unresolved == 0 && wallet.explanations.is_empty() =>
        {
            "no fills of this wallet".to_owned()
        }
        (WalletStatus::Fail, Some(first)) if first.worth >= wallet.unexplained => {
            format!("{} in {} {}", first.worth.cents(), thousands(first.count), first.cause)
        }
        (WalletStatus::Fail, _) => format!("{} unexplained", wallet.unexplained.cents()),
    }
}

#[cfg(test)]
mod tests;
