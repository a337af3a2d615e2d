//! What an answer tells of tokens beside their mappings, as rows.

use std::collections::HashMap;

use crate::ids::TokenId;
use crate::proof::Mapping;
use crate::source::Source;
use crate::store::facts::TokenFactsRow;
use crate::upstream::TokenFacts;

/// What `source` tells of the tokens of these mappings: of tokens without one nothing is kept.
pub(super) fn rows(
    source: Source,
    mappings: &[Mapping],
    facts: impl Iterator<Item = TokenFacts>,
    fetched_at: u32,
) -> Vec<TokenFactsRow> {
    let mut facts: HashMap<TokenId, TokenFacts> = facts.map(|it| (it.token, it)).collect();
    let row = |mapping: &Mapping| {
        let told = facts.remove(&mapping.token)?;
        Some(TokenFactsRow {
            token_id: mapping.token,
            condition_id_norm: mapping.condition,
            outcome_label: told.label,
            payout: told.payout.map(i64::from),
            resolved: told.resolved,
            title: told.title,
            slug: told.slug,
            source: source.label(),
            fetched_at,
        })
    };
    mappings.iter().filter_map(row).collect()
}
