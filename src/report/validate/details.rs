//! What a page says of a wallet's P&L beside its total: the definitions, fees, signs, and the way from the expected to
//! the computed total.

use super::super::text::{Page, thousands};
use crate::pnl::Usd;
use crate::results::{AuditTotals, DefinitionGap, PnlDetails, WaterfallStep};

/// Width of a line's words before its amount.
const WORDS: usize = 44;

/// The sections of a wallet's page.
pub(super) fn sections(page: &mut Page, details: &PnlDetails, expected: &Usd, total: &Usd) {
    definitions(page, details);
    waterfall(page, details, expected, total);
    if let Some(found) = &details.audit {
        audit(page, found);
    }
}

fn audit(page: &mut Page, found: &AuditTotals) {
    page.blank().line("[6] Audit of the Fills against the Chain").rule().blank();
    page.line(format!(
        "{} fills on the chain, {} in the table",
        thousands(found.chain_fills),
        thousands(found.table_fills)
    ));
    for defect in &found.findings {
        amount(page, &words(&defect.cause), &defect.amount, &format!("{} fills", thousands(defect.fills)));
        for one in &defect.first {
            page.line(format!("  {one}"));
        }
    }
    if found.findings.is_empty() {
        page.line("✅ Every fill is in both, with the same price, size and side");
    }
}

fn amount(page: &mut Page, words: &str, amount: &Usd, rest: &str) {
    let line = format!("{words:<WORDS$} {:>16}  {rest}", amount.cents());
    page.line(line.trim_end());
}

fn definitions(page: &mut Page, details: &PnlDetails) {
    page.blank().line("[4] Definitions of Realized P&L").rule().blank();
    let totals = &details.definitions;
    for (name, words, total) in [
        ("resolved", "resolved: every resolved position", &totals.resolved),
        ("certain", "certain: and what no payout can change", &totals.certain),
        ("average-cost", "average-cost: sales and redemptions", &totals.average_cost),
    ] {
        let compared = if details.method == name { "← compared" } else { "" };
        amount(page, words, total, compared);
    }
    for (from, gaps) in [
        ("From resolved to certain:", &details.differences.certain),
        ("From resolved to average-cost:", &details.differences.average_cost),
    ] {
        if gaps.is_empty() {
            continue;
        }
        page.line(from);
        for DefinitionGap { cause, amount: worth, positions } in gaps {
            let positions = format!("{} positions", thousands(*positions));
            amount(page, &format!("  {}", words(cause)), worth, &positions);
        }
    }
    let cut = totals.average_cost_subgraph.clone() - totals.average_cost.clone();
    if !cut.is_zero() {
        page.line(format!("Polymarket's subgraph cuts at every step, which comes to {} USD.", cut.six()));
    }
    fees(page, details);
    signs(page, details);
}

fn fees(page: &mut Page, details: &PnlDetails) {
    let source = match details.fees.source.as_str() {
        "fills" => "from the fills' own column, taken off",
        "chain" => "from the chain's fill events, taken off",
        "estimate" => "an estimate by the rates in the fills, not taken off",
        _ => "not known: no column of the fills and no flows have them",
    };
    amount(page, "Fees", &details.fees.total, source);
    page.line("Rebates and rewards: not known, no source gives them.");
}

fn signs(page: &mut Page, details: &PnlDetails) {
    let signs = &details.signs;
    if signs.below_zero > 0 {
        page.line(format!(
            "⚠️  {} positions sold {} shares more than they bought (worth {} at the payout): a split, a conversion or \
             fills are missing; `backfill flows` reads the first two",
            thousands(signs.below_zero),
            signs.missing_shares_micro.units().plain_cents(),
            signs.missing_worth.cents()
        ));
    }
    if signs.both_sold > 0 {
        page.line(format!(
            "⚠️  {} conditions sold more of both outcomes than they bought: a split is missing",
            thousands(signs.both_sold)
        ));
    }
    if let (Some(last), true) = (signs.last_fill, signs.held_at_the_end > 0) {
        let stopped = jiff::Timestamp::from_second(last.into()).map_or(String::new(), |it| it.to_string());
        page.line(format!(
            "The wallet's fills stop at {stopped}, with shares of {} open positions held",
            thousands(signs.held_at_the_end)
        ));
    }
}

fn waterfall(page: &mut Page, details: &PnlDetails, expected: &Usd, total: &Usd) {
    page.blank().line("[5] From the Expected to the Computed P&L").rule().blank();
    amount(page, "Expected", expected, "");
    for step in &details.waterfall {
        amount(page, &format!("  {}", words(&step.cause)), &step.amount, &evidence(step));
    }
    amount(page, "Computed", total, "");
}

fn evidence(step: &WaterfallStep) -> String {
    let rows = if step.rows > 0 { format!("{} rows", thousands(step.rows)) } else { String::new() };
    let table = match step.evidence.table.as_str() {
        "" => String::new(),
        table => format!(", {table}"),
    };
    let short = |token: &String| match token.len() {
        0..=12 => token.clone(),
        _ => format!("{}…", token.chars().take(11).collect::<String>()),
    };
    let tokens: Vec<String> = step.evidence.tokens.iter().map(short).collect();
    let tokens = if tokens.is_empty() { String::new() } else { format!(": {}", tokens.join(", ")) };
    format!("{rows}{table}{tokens}").trim_start_matches(", ").to_owned()
}

/// A cause in the words of a page.
fn words(cause: &str) -> String {
    let told = match cause {
        "losers_not_redeemed" => "losers that were never redeemed",
        "winners_not_redeemed" => "winners that were not redeemed",
        "sales_in_open_markets" => "sales in open markets",
        "sales_beyond_holdings" => "sales of more than was held",
        "fees" => "fees",
        "transfers" => "transfers",
        "splits_merges_and_conversions" => "splits, merges and conversions",
        "certain_in_open_markets" => "certain in open markets",
        "subgraph_rounding" => "the subgraph's cuts",
        "unmapped_sold_out" => "unmapped tokens, sold out",
        "unmapped_if_lost" => "unmapped tokens, if they lost",
        "unmapped_if_won" => "unmapped tokens, if they won",
        "ambiguous_if_lost" => "ambiguous tokens, if they lost",
        "ambiguous_if_won" => "ambiguous tokens, if they won",
        "malformed_asset_ids" => "fills of malformed asset ids",
        "unresolved_if_lost" => "without a resolution, if they lost",
        "unresolved_if_won" => "without a resolution, if they won",
        "second_deliveries" => "second deliveries, were they counted",
        "wrong_outcome" => "mapped to the wrong outcome",
        "contradicting_resolutions" => "contradicting resolutions",
        "estimated_fees" => "fees, estimated",
        "excluded_by_transfers" => "left out for their transfers",
        "missing_fills" => "fills that the table lacks",
        "fills_unknown_to_the_chain" => "fills that the chain does not have",
        "doubled_fills" => "fills that the table has twice",
        "fills_with_another_price_or_size" => "fills with another price or size",
        "fills_for_the_wrong_side" => "fills for the wrong side",
        "rounding_of_the_expected" => "rounding of the expected figure",
        "unexplained" => "unexplained",
        other => other,
    };
    told.to_owned()
}
