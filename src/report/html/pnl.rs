//! Realized P&L: each wallet against what was expected of it, by position, and what would explain a difference.

use maud::{Markup, html};

use super::chart::{Chart, figure};
use super::head::heading;
use super::numbers::words;
use super::part::{Column, card, cell, table};
use super::payouts;
use super::read::Results;
use crate::pnl::Usd;
use crate::report::text::thousands;
use crate::results::{PnlDetails, Position, WalletStatus, WalletValidation, WaterfallStep};

/// The wallets in a table, then each that has a chart of its own.
pub fn section(results: &Results) -> Markup {
    let Some(validate) = &results.validate else { return html! {} };
    html! {
        (heading("pnl"))
        (compared(&validate.wallets))
        @for wallet in validate.wallets.iter().filter(|wallet| wallet.pnl_by_position.is_some()) { (one(wallet)) }
    }
}

fn compared(wallets: &[WalletValidation]) -> Markup {
    let columns = [
        Column::Id("Wallet"),
        Column::Number("Realized"),
        Column::Number("Expected"),
        Column::Number("Delta"),
        Column::Number("Variance"),
        Column::Number("Positions"),
        Column::Words("Status"),
    ];
    let row = |wallet: &WalletValidation| {
        let label = wallet.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        vec![
            cell(format!("{}{label}", wallet.wallet)),
            cell(wallet.total.cents()),
            cell(wallet.expected.cents()),
            cell(wallet.delta.cents()),
            cell(wallet.variance_pct.map_or("–".to_owned(), |it| it.to_string())),
            cell(thousands(wallet.positions)),
            status(wallet.status),
        ]
    };
    let rows: Vec<_> = wallets.iter().map(row).collect();
    table(&columns, &rows)
}

fn status(status: WalletStatus) -> Markup {
    let (class, word) = match status {
        WalletStatus::Pass => ("good", "pass"),
        WalletStatus::Fail => ("bad", "fail"),
        WalletStatus::Skipped => ("dim", "skipped"),
    };
    html! { span class=(class) { (word) } }
}

/// As a length in a chart, which needs no more than a float's digits.
fn length(usd: &Usd) -> f64 {
    usd.six().parse().unwrap_or_default()
}

fn one(wallet: &WalletValidation) -> Markup {
    let amounts: Vec<f64> = wallet.pnl_by_position.iter().flatten().map(length).collect();
    let all = wallet.positions;
    let which = match all.saturating_sub(amounts.len() as u64) {
        0 => format!(
            "Realized P&L of all {all} resolved positions, from the largest gain to the largest loss."
        ),
        _ => format!(
            "Realized P&L of {} of {all} resolved positions, the largest gains and the largest losses.",
            amounts.len()
        ),
    };
    let (wins, losses) = (&wallet.wins, &wallet.losses);
    html! {
        h3 { "Wallet " span.id { (wallet.wallet) } }
        div.cards {
            (card(&wallet.total.cents(), "realized", ""))
            (card(&wallet.expected.cents(), "expected", ""))
            (card(&wins.pnl.cents(), &format!("won by {} positions", thousands(wins.count)), "good"))
            (card(&losses.pnl.cents(), &format!("lost by {} positions", thousands(losses.count)), "bad"))
        }
        @if !amounts.is_empty() {
            (figure(&Chart::Amounts(amounts), &which, "P&L by position; the tables below have the numbers"))
        }
        h3 { "Largest winners" } (ranking(&wallet.top_winners))
        h3 { "Largest losers" } (ranking(&wallet.top_losers))
        (explanations(wallet))
        (payouts::section(&wallet.payouts))
        (details(&wallet.details, &wallet.expected))
        p {
            "Outcome 0: " (thousands(wallet.outcomes.zero)) " positions, outcome 1: " (thousands(wallet.outcomes.one))
            ", others: " (thousands(wallet.outcomes.other)) ". Unresolved: " (thousands(wallet.unresolved)) "."
        }
        (data_quality(wallet))
    }
}

/// The definitions side by side, and the way from the expected to the computed total.
fn details(of: &PnlDetails, expected: &Usd) -> Markup {
    let totals = &of.definitions;
    let definition = |name: &str, total: &Usd| {
        let compared = if of.method == name { "compared" } else { "" };
        vec![cell(name), cell(total.cents()), cell(compared)]
    };
    let definitions = [
        definition("resolved", &totals.resolved),
        definition("certain", &totals.certain),
        definition("average-cost", &totals.average_cost),
        vec![
            cell("average-cost, in the subgraph's integers"),
            cell(totals.average_cost_subgraph.cents()),
            cell(""),
        ],
    ];
    let step = |(number, step): (usize, &WaterfallStep)| {
        vec![
            cell((number + 1).to_string()),
            cell(words(&step.cause)),
            cell(step.amount.cents()),
            cell(thousands(step.rows)),
            cell(&step.evidence.table),
            cell(step.evidence.tokens.join(", ")),
        ]
    };
    let columns = [
        Column::Number("Step"),
        Column::Words("Cause"),
        Column::Number("Amount"),
        Column::Number("Rows"),
        Column::Words("Where they stand"),
        Column::Id("Some tokens"),
    ];
    let steps: Vec<_> = of.waterfall.iter().enumerate().map(step).collect();
    html! {
        h3 { "By definition" }
        (table(&[Column::Words("Definition"), Column::Number("Realized P&L"), Column::Words("")], &definitions))
        p { "Fees: " (of.fees.total.cents()) " (" (of.fees.source) ")." }
        @if !steps.is_empty() {
            h3 { "From the expected to the computed total" }
            (figure(
                &Chart::Waterfall { from: length(expected), steps: of.waterfall.iter().map(|it| length(&it.amount)).collect() },
                "Each step begins where the one before it ended; the last one is what nothing explains.",
                "The steps from the expected to the computed total; the table below has the numbers"
            ))
            (table(&columns, &steps))
        }
    }
}

/// What is counted of a wallet's fills because it is odd.
fn data_quality(wallet: &WalletValidation) -> Markup {
    let odd = [
        ("duplicates", wallet.duplicates),
        ("changed", wallet.changed),
        ("odd side", wallet.odd_side),
        ("odd price", wallet.odd_price),
        ("odd size", wallet.odd_size),
        ("inexact", wallet.inexact),
        ("contradicting", wallet.contradicting),
        ("self contradicting", wallet.self_contradicting),
        ("tables disagree", wallet.tables_disagree),
        ("zero denominator", wallet.zero_denominator),
        ("undecidable", wallet.undecidable),
    ];
    html! {
        p.dim {
            "Counted and named: "
            @for (place, (name, count)) in odd.iter().enumerate() {
                @if place > 0 { ", " }
                (name) " " (thousands(*count))
            }
            "."
        }
    }
}

fn ranking(positions: &[Position]) -> Markup {
    let columns = [
        Column::Id("Condition"),
        Column::Number("Outcome"),
        Column::Words("Winner"),
        Column::Number("Net shares (micro)"),
        Column::Number("Cost basis (micro)"),
        Column::Number("Payout"),
        Column::Number("P&L"),
    ];
    let row = |it: &Position| {
        let class = if it.pnl.is_gain() { "good" } else { "bad" };
        vec![
            cell(&it.condition_id),
            cell(it.outcome_index.to_string()),
            cell(&it.winner),
            cell(it.net_shares_micro.commas()),
            cell(it.cost_basis_micro.commas()),
            cell(it.payout.as_ref().map_or("–".to_owned(), Usd::cents)),
            html! { span class=(class) { (it.pnl.cents()) } },
        ]
    };
    let rows: Vec<_> = positions.iter().map(row).collect();
    if rows.is_empty() {
        html! { p.dim { "None." } }
    } else {
        table(&columns, &rows)
    }
}

fn explanations(wallet: &WalletValidation) -> Markup {
    let columns =
        [Column::Words("What could explain a difference"), Column::Number("Count"), Column::Number("Worth")];
    let rows: Vec<_> = (wallet.explanations.iter())
        .map(|it| vec![cell(&it.cause), cell(thousands(it.count)), cell(it.worth.cents())])
        .collect();
    html! {
        @if !rows.is_empty() { (table(&columns, &rows)) }
        p { "Left unexplained: " (wallet.unexplained.cents()) }
    }
}
