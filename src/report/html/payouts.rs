//! Where a wallet's payouts come from, and the positions about which a table contradicts the chain.

use maud::{Markup, html};

use super::part::{Column, cell, table};
use crate::report::text::thousands;
use crate::report::validate::payouts::{deciders, words};
use crate::results::{ChainContradiction, PayoutOrigins};

/// Who decided how many payouts, and what a table would have paid instead.
pub fn section(payouts: &PayoutOrigins) -> Markup {
    let found = &payouts.chain_contradictions;
    let columns = [
        Column::Id("Condition"),
        Column::Number("Outcome"),
        Column::Number("Chain pays"),
        Column::Number("Table pays"),
        Column::Words("Table"),
        Column::Number("Worth"),
    ];
    let row = |it: &ChainContradiction| {
        vec![
            cell(&it.condition_id),
            cell(it.outcome_index.to_string()),
            cell(&it.chain_pays),
            cell(&it.table_pays),
            cell(words(&it.table)),
            cell(it.amount.cents()),
        ]
    };
    let rows: Vec<_> = found.positions.iter().map(row).collect();
    let hidden = found.count.saturating_sub(found.positions.len() as u64);
    html! {
        @if let Some(deciders) = deciders(payouts) {
            h3 { "Payouts" }
            p { "Positions by who says what they pay: " (deciders) "." }
        }
        @if found.count > 0 {
            p {
                "A table contradicts the chain about " (thousands(found.count)) " positions; the chain counts, which adds "
                (found.amount.cents()) "."
            }
            (table(&columns, &rows))
            @if hidden > 0 { p.dim { "And " (thousands(hidden)) " more with smaller amounts." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::ChainContradictions;

    #[test]
    fn a_page_says_who_decided_and_lists_what_the_chain_overruled() {
        let mut payouts = PayoutOrigins::default();
        payouts.payouts_from.insert("resolutions".to_owned(), 5);
        assert_eq!(section(&payouts).into_string(), "", "one table alone is not worth saying");
        payouts.payouts_from.insert("chain".to_owned(), 1_200);
        let position = ChainContradiction {
            condition_id: "ab".repeat(32),
            outcome_index: 1,
            table: "winners".to_owned(),
            chain_pays: "0".to_owned(),
            table_pays: "<1>".to_owned(),
            ..ChainContradiction::default()
        };
        payouts.chain_contradictions =
            ChainContradictions { count: 3, positions: vec![position], ..ChainContradictions::default() };
        let page = section(&payouts).into_string();
        for part in [
            "1,200 the chain, 5 the resolutions table",
            &"ab".repeat(32),
            "the winners table",
            "&lt;1&gt;",
            "And 2 more",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
