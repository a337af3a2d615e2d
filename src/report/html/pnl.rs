//! Realized P&L: each wallet against what was expected of it, by position, and what would explain a difference.

use maud::{Markup, html};
use serde_json::Value;

use super::chart::{Chart, figure};
use super::numbers::words;
use super::part::{Column, at, card, cell, items, length, table, told};
use super::result;
use crate::journal::History;

/// What is counted of a wallet's fills because it is odd.
const ODDITIES: [&str; 11] = [
    "duplicates",
    "changed",
    "odd_side",
    "odd_price",
    "odd_size",
    "inexact",
    "contradicting",
    "self_contradicting",
    "tables_disagree",
    "zero_denominator",
    "undecidable",
];

/// The wallets in a table, then each that has a chart of its own.
pub fn section(history: &History) -> Markup {
    let Some(validate) = result(history, "validate") else { return html! {} };
    let wallets = items(validate, &["wallets"]);
    let charted = wallets.iter().filter(|wallet| at(wallet, &["pnl_by_position"]).is_array());
    html! {
        h2 { "Realized P&L" }
        (compared(wallets))
        @for wallet in charted { (one(wallet)) }
    }
}

fn compared(wallets: &[Value]) -> Markup {
    let columns = [
        Column::Id("Wallet"),
        Column::Number("Realized"),
        Column::Number("Expected"),
        Column::Number("Delta"),
        Column::Number("Variance"),
        Column::Number("Positions"),
        Column::Words("Status"),
    ];
    let row = |wallet: &Value| {
        let label = at(wallet, &["label"]).as_str().map(|label| format!(" ({label})")).unwrap_or_default();
        let mut row = vec![cell(format!("{}{label}", told(wallet, &["wallet"])))];
        let names = ["total", "expected", "delta", "variance_pct", "positions"];
        row.extend(names.map(|name| cell(told(wallet, &[name]))));
        row.push(status(wallet));
        row
    };
    let rows: Vec<_> = wallets.iter().map(row).collect();
    table(&columns, &rows)
}

fn status(wallet: &Value) -> Markup {
    let class = match at(wallet, &["status"]).as_str() {
        Some("pass") => "good",
        Some("fail") => "bad",
        _ => "dim",
    };
    html! { span class=(class) { (told(wallet, &["status"])) } }
}

fn one(wallet: &Value) -> Markup {
    let positions = items(wallet, &["pnl_by_position"]);
    let amounts: Vec<f64> =
        positions.iter().filter_map(Value::as_str).filter_map(|it| it.parse().ok()).collect();
    let all = at(wallet, &["positions"]).as_u64().unwrap_or_default();
    let left_out = all.saturating_sub(amounts.len() as u64);
    let which = match left_out {
        0 => format!(
            "Realized P&L of all {all} resolved positions, from the largest gain to the largest loss."
        ),
        _ => format!(
            "Realized P&L of {} of {all} resolved positions, the largest gains and the largest losses.",
            amounts.len()
        ),
    };
    html! {
        h3 { "Wallet " span.id { (told(wallet, &["wallet"])) } }
        div.cards {
            (card(&told(wallet, &["total"]), "realized", ""))
            (card(&told(wallet, &["expected"]), "expected", ""))
            (card(&told(wallet, &["wins", "pnl"]), &format!("won by {} positions", told(wallet, &["wins", "count"])), "good"))
            (card(&told(wallet, &["losses", "pnl"]), &format!("lost by {} positions", told(wallet, &["losses", "count"])), "bad"))
        }
        @if !amounts.is_empty() {
            (figure(&Chart::Amounts(amounts), &which, "P&L by position; the tables below have the numbers"))
        }
        h3 { "Largest winners" } (ranking(items(wallet, &["top_winners"])))
        h3 { "Largest losers" } (ranking(items(wallet, &["top_losers"])))
        (explanations(wallet))
        p {
            "Outcome 0: " (told(wallet, &["outcomes", "0"])) " positions, outcome 1: " (told(wallet, &["outcomes", "1"]))
            ", others: " (told(wallet, &["outcomes", "other"])) ". Unresolved: " (told(wallet, &["unresolved"])) "."
        }
        p.dim {
            "Counted and named: "
            @for (place, name) in ODDITIES.iter().enumerate() {
                @if place > 0 { ", " }
                (words(name)) " " (told(wallet, &[name]))
            }
            "."
        }
    }
}

fn ranking(positions: &[Value]) -> Markup {
    let columns = [
        Column::Id("Condition"),
        Column::Number("Outcome"),
        Column::Words("Winner"),
        Column::Number("Net shares (micro)"),
        Column::Number("Cost basis (micro)"),
        Column::Number("Payout"),
        Column::Number("P&L"),
    ];
    let row = |position: &Value| {
        let gained = length(position, &["pnl"]) > 0.0;
        let names =
            ["condition_id", "outcome_index", "winner", "net_shares_micro", "cost_basis_micro", "payout"];
        let mut row: Vec<Markup> = names.iter().map(|name| cell(told(position, &[name]))).collect();
        row.push(html! { span class=(if gained { "good" } else { "bad" }) { (told(position, &["pnl"])) } });
        row
    };
    let rows: Vec<_> = positions.iter().map(row).collect();
    if rows.is_empty() {
        html! { p.dim { "None." } }
    } else {
        table(&columns, &rows)
    }
}

fn explanations(wallet: &Value) -> Markup {
    let columns =
        [Column::Words("What could explain a difference"), Column::Number("Count"), Column::Number("Worth")];
    let row = |it: &Value| ["cause", "count", "worth"].map(|name| cell(told(it, &[name]))).to_vec();
    let rows: Vec<_> = items(wallet, &["explanations"]).iter().map(row).collect();
    html! {
        @if !rows.is_empty() { (table(&columns, &rows)) }
        p { "Left unexplained: " (told(wallet, &["unexplained"])) }
    }
}
