//! Where the payouts come from, and what of the tables the chain contradicts.

use crate::report::text::{Page, thousands};
use crate::results::PayoutOrigins;

/// What a source of payouts is called.
pub(in crate::report) fn words(source: &str) -> &str {
    match source {
        "chain" => "the chain",
        "resolutions" => "the resolutions table",
        "winners" => "the winners table",
        "token_facts" => "the token look-up",
        "catalogue" => "the catalogue",
        other => other,
    }
}

/// Of how many positions which source has decided the payout, in the order of precedence; nothing where one table alone
/// decides all, which is not worth saying.
pub(in crate::report) fn deciders(payouts: &PayoutOrigins) -> Option<String> {
    let order = ["chain", "resolutions", "winners", "token_facts", "catalogue"];
    let from: Vec<(&str, u64)> = order
        .into_iter()
        .filter_map(|source| Some((source, *payouts.payouts_from.get(source)?)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let worth = from.len() > 1 || from.first().is_some_and(|(source, _)| *source == "chain");
    let part = |(source, count): &(&str, u64)| format!("{} {}", thousands(*count), words(source));
    worth.then(|| from.iter().map(part).collect::<Vec<_>>().join(", "))
}

/// The sections about payouts.
pub(super) fn sections(page: &mut Page, payouts: &PayoutOrigins) {
    if let Some(deciders) = deciders(payouts) {
        page.blank().line(format!("Positions by who says what they pay: {deciders}"));
    }
    let contradictions = &payouts.chain_contradictions;
    if contradictions.count == 0 {
        return;
    }
    page.blank().line(format!(
        "A table contradicts the chain about {} positions; the chain counts, which adds {}:",
        thousands(contradictions.count),
        contradictions.amount.cents()
    ));
    for it in &contradictions.positions {
        page.line(format!(
            "  {:>16}  {}... outcome {}: pays {} by the chain, {} by {}",
            it.amount.cents(),
            it.condition_id.chars().take(12).collect::<String>(),
            it.outcome_index,
            it.chain_pays,
            it.table_pays,
            words(&it.table)
        ));
    }
    let hidden = contradictions.count - contradictions.positions.len() as u64;
    if hidden > 0 {
        page.line(format!("  and {} more with smaller amounts", thousands(hidden)));
    }
}
