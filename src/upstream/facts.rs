//! [`TokenFacts`]: what an API tells of a token beside its mapping, and what follows from it for the other outcome.

use crate::ids::TokenId;

/// What an API tells of a token beside its mapping: unproven, for labels, reports and as the last word on payouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// The token.
    pub token: TokenId,
    /// The outcome's label, empty where the answer has none.
    pub label: String,
    /// What a share of the outcome pays, in millionths of a dollar: 0, 500,000 or 1,000,000. Any other price of a
    /// resolved market says nothing.
    pub payout: Option<u32>,
    /// Whether the market is resolved.
    pub resolved: bool,
    /// The market's question.
    pub title: String,
    /// The market's slug.
    pub slug: String,
}

/// What both outcomes of a condition pay together, in millionths.
pub(super) const PAYS_ALL: u32 = 1_000_000;

/// The label of the other outcome, where it follows from the one.
pub(super) fn other_label(label: &str) -> Option<&'static str> {
    const PAIRS: [[&str; 2]; 3] = [["Yes", "No"], ["Up", "Down"], ["Over", "Under"]];
    let of_pair = |[one, other]: [&'static str; 2]| match label {
        _ if label == one => Some(other),
        _ if label == other => Some(one),
        _ => None,
    };
    PAIRS.into_iter().find_map(of_pair)
}

/// The price of a resolved token in millionths, if it is exactly 0, a half or 1: any other is none that the oracle pays.
pub(super) fn payout(price: &str) -> Option<u32> {
    let plain = if price.contains('.') { price.trim_end_matches('0').trim_end_matches('.') } else { price };
    match plain {
        "0" => Some(0),
        "0.5" => Some(500_000),
        "1" => Some(PAYS_ALL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_pays_only_where_it_is_exactly_nothing_a_half_or_all() {
        for (price, pays) in [("1.0", 1_000_000), ("1", 1_000_000), ("0", 0), ("0.00", 0), ("0.50", 500_000)]
        {
            assert_eq!(payout(price), Some(pays), "{price}");
        }
        for price in ["0.9995", "10", "0.50000000000000000001", "-0", "1e0", "5e-1", "", "true", "00"] {
            assert_eq!(payout(price), None, "{price}");
        }
    }
}
