//! What `validate` found.

use super::margin::target;
use crate::phases::validate::{Status, ValidateResult, WalletResult};
use crate::pnl::{self, Usd};
use crate::results::{
    AuditRequests, Count, Explanation, OddSide, Outcomes, PayoutOrigins, Percentage, PnlDetails, Position,
    Seconds, Validate, WalletStatus, WalletValidation,
};

/// How many winners and losers are shown.
const TOP: usize = 5;

/// How many of the largest gains, and of the largest losses, a result holds of a wallet for a chart of them.
const CHARTED: usize = 50;

/// With more wallets than these, no chart of each is wanted, and the result stays small.
const CHARTED_WALLETS: usize = 10;

/// How many labels of an outcome index are named.
const LABELS: usize = 4;

impl From<&ValidateResult> for Validate {
    fn from(found: &ValidateResult) -> Self {
        Self {
            phase: "validate".to_owned(),
            passed: found.passes(),
            variance_limit_pct: target(found.limit),
            wallets: found.wallets.iter().map(|wallet| of_wallet(found, wallet)).collect(),
            audit: found.audit.map(|it| AuditRequests {
                requests: it.requests,
                throttled: it.throttled,
                from_block: it.from_block,
                to_block: it.to_block,
            }),
            positions_file: found.positions_file.clone(),
            elapsed_seconds: Seconds(found.elapsed_seconds),
            detail: found.detail,
        }
    }
}

fn of_wallet(found: &ValidateResult, wallet: &WalletResult) -> WalletValidation {
    let odd = &wallet.data_quality;
    let resolved = wallet.resolved().count() as u64;
    let [zero, one] = [0, 1].map(|index| by_outcome(wallet, index));
    WalletValidation {
        wallet: wallet.baseline.name(),
        label: wallet.baseline.label.clone(),
        expected: wallet.baseline.expected.clone(),
        total: wallet.total.clone(),
        delta: wallet.total.clone() - wallet.baseline.expected.clone(),
        // A number with two decimals, read back from what is shown.
        variance_pct: wallet.variance.as_ref().and_then(|it| it.percent().parse().ok()).map(Percentage),
        margin_pct: margin(found, wallet),
        status: match wallet.status {
            Status::Pass => WalletStatus::Pass,
            Status::Fail => WalletStatus::Fail,
            Status::Skipped => WalletStatus::Skipped,
        },
        positions: resolved,
        wins: sum_of(wallet, true),
        losses: sum_of(wallet, false),
        outcomes: Outcomes { zero: zero.0, one: one.0, other: 0 },
        outcome_labels: [("0", zero.1), ("1", one.1)]
            .map(|(index, labels)| (index.to_owned(), labels))
            .into(),
        top_winners: wallet.resolved().filter(|it| it.1.is_gain()).take(TOP).map(position).collect(),
        top_losers: wallet.resolved().rev().filter(|it| is_loss(&it.1)).take(TOP).map(position).collect(),
        pnl_by_position: (found.wallets.len() <= CHARTED_WALLETS).then(|| charted(wallet)),
        explanations: (wallet.explanations.iter())
            .map(|it| Explanation { cause: it.cause.to_owned(), count: it.count, worth: it.worth.clone() })
            .collect(),
        unexplained: wallet.unexplained.clone(),
        unresolved: wallet.positions.len() as u64 - resolved,
        unmapped_fills: wallet.unmapped.iter().map(|it| it.fills).sum(),
        duplicates: odd.duplicates,
        changed: odd.changed,
        nameless: odd.nameless,
        odd_side: odd.odd_side,
        odd_sides: (wallet.odd_sides.iter())
            .map(|it| OddSide { side: it.side.clone(), fills: it.fills, worth: it.worth.clone() })
            .collect(),
        misplaced_labels: odd.misplaced_labels,
        odd_price: odd.odd_price,
        odd_size: odd.odd_size,
        inexact: odd.inexact,
        contradicting: odd.contradicting,
        self_contradicting: odd.self_contradicting,
        tables_disagree: odd.tables_disagree,
        zero_denominator: odd.zero_denominator,
        undecidable: odd.undecidable,
        from_catalogue: odd.from_catalogue,
        undecided_combos: odd.undecided_combos,
        payouts: PayoutOrigins::of(wallet),
        details: PnlDetails::of(wallet, &found.tables),
    }
}

fn is_loss(realized: &Usd) -> bool {
    !realized.is_gain() && !realized.is_zero()
}

fn margin(found: &ValidateResult, wallet: &WalletResult) -> Option<Percentage> {
    let (points, spare) = wallet.variance.as_ref()?.margin(found.limit);
    let points: f64 = points.parse().ok()?;
    Some(Percentage(if spare { points } else { -points }))
}

/// Positions above zero, or all others: their count and sum.
fn sum_of(wallet: &WalletResult, gain: bool) -> Count {
    let amounts: Vec<Usd> =
        wallet.resolved().map(|(_, realized)| realized).filter(|it| it.is_gain() == gain).collect();
    Count { count: amounts.len() as u64, pnl: amounts.into_iter().sum() }
}

/// Realized P&L of the positions, from the largest gain to the largest loss; of many the two ends.
fn charted(wallet: &WalletResult) -> Vec<Usd> {
    let all: Vec<Usd> = wallet.resolved().map(|(_, realized)| realized).collect();
    let left_out = CHARTED..all.len().saturating_sub(CHARTED);
    all.into_iter().enumerate().filter(|(place, _)| !left_out.contains(place)).map(|(_, it)| it).collect()
}

/// Resolved positions of an outcome index, and the labels that those carry, the most frequent first.
fn by_outcome(wallet: &WalletResult, index: u8) -> (u64, Vec<String>) {
    let mut labels: Vec<(&str, u64)> = Vec::new();
    for (position, _) in wallet.resolved().filter(|(position, _)| position.outcome_index == index) {
        match labels.iter_mut().find(|(known, _)| *known == position.label) {
            Some((_, count)) => *count += 1,
            None => labels.push((&position.label, 1)),
        }
    }
    labels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let count = labels.iter().map(|(_, count)| count).sum();
    (count, labels.into_iter().take(LABELS).map(|(label, _)| label.to_owned()).collect())
}

fn position((position, realized): (&pnl::Position, Usd)) -> Position {
    Position {
        condition_id: position.condition_id.to_string(),
        outcome_index: position.outcome_index,
        winner: position.decision.winner.clone(),
        payout_per_share: position.decision.payout.as_ref().map(pnl::Payout::exact).unwrap_or_default(),
        net_shares_micro: position.net_shares.clone(),
        cost_basis_micro: position.cashflow.clone(),
        payout: position.paid_out(),
        pnl: realized,
    }
}
