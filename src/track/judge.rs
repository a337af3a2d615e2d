//! [`judge`]: what an answer is worth. Every claim is proven by the hash that its token is, or it is not believed.

use std::collections::{HashMap, HashSet};

use crate::ctf::{self, Collateral};
use crate::ids::{ConditionId, TokenId};
use crate::source::Source;
use crate::store::merge::UNPROVEN;
use crate::store::staging::StagedRow;
use crate::upstream::{Answer, Claim};

/// A mapping that the hash proves, or one that was accepted without a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The token.
    pub token: TokenId,
    /// Its condition.
    pub condition: ConditionId,
    /// Its outcome index, 0 or 1, as the proof gives it.
    pub outcome_index: u8,
    /// The label of the answer.
    pub label: String,
    /// The collateral's name, empty where nothing is proven.
    pub collateral: String,
}

impl Mapping {
    /// The row of it that `source` stages.
    pub fn staged(self, source: Source, fetched_at: u32) -> StagedRow {
        StagedRow {
            token_id: self.token,
            condition_id_norm: self.condition,
            outcome_index: self.outcome_index,
            outcome_label: self.label,
            source: match self.collateral.as_str() {
                "" => format!("{}{UNPROVEN}", source.label()),
                _ => source.label().to_owned(),
            },
            fetched_at,
            collateral: self.collateral,
        }
    }
}

/// A claim that is not believed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What was claimed.
    pub claim: Claim,
    /// Why that is not so.
    pub reason: &'static str,
}

/// An answer, sorted. Each token that was asked for is in exactly one of the parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Mappings to stage, siblings of what was asked included.
    pub mappings: Vec<Mapping>,
    /// Tokens that the API does not know.
    pub not_found: Vec<TokenId>,
    /// Tokens that are missing from an answer that speaks of markets nobody asked for: perhaps it was not ours.
    pub missing: Vec<TokenId>,
    /// Tokens that are missing from an answer that says to ask again.
    pub again: Vec<TokenId>,
    /// Claims about tokens that were asked for, none of which has a proof.
    pub rejected: Vec<Rejection>,
}

impl Verdict {
    /// Every token that was asked for and has no mapping.
    pub fn unresolved(&self) -> impl Iterator<Item = TokenId> {
        let rejected = self.rejected.iter().map(|rejection| rejection.claim.token);
        rejected.chain([&self.missing, &self.not_found, &self.again].into_iter().flatten().copied())
    }

    /// Those that may have one all the same.
    pub fn doubted(&self) -> Vec<TokenId> {
        let rejected = self.rejected.iter().map(|rejection| rejection.claim.token);
        rejected.chain(self.missing.iter().copied()).collect()
    }
}

/// Why a claim of a condition is refused that the hash does not prove.
pub const NO_PROOF: &str = "no outcome of this condition has this token, with any collateral listed";

/// How claims are proven.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The tokens that may back positions.
    pub collaterals: Vec<Collateral>,
    /// Whether to stage what has no proof, marked as such.
    pub accept_unproven: bool,
}

/// Sorts the `pages` of the answer about `tokens`.
pub fn judge(tokens: &[TokenId], pages: &[Answer], rules: &Rules) -> Verdict {
    let asked: HashSet<&TokenId> = tokens.iter().collect();
    let mut mappings: HashMap<TokenId, Mapping> = HashMap::new();
    let mut rejected: HashMap<TokenId, Rejection> = HashMap::new();
    let mut unasked = false;
    for market in pages.iter().flat_map(|page| &page.markets) {
        if !market.iter().any(|claim| asked.contains(&claim.token)) {
            // Some APIs answer with any market at all where they do not know the token. Never believed.
            unasked = true;
            continue;
        }
        for claim in market {
            match weigh(claim, rules) {
                // Without a proof a claim is accepted for what was asked alone, and never against one that has one.
                Ok(mapping) if mapping.collateral.is_empty() => {
                    if asked.contains(&claim.token) {
                        mappings.entry(claim.token).or_insert(mapping);
                    }
                }
                Ok(mapping) => {
                    mappings.insert(claim.token, mapping);
                }
                Err(reason) if asked.contains(&claim.token) => {
                    rejected.insert(claim.token, Rejection { claim: claim.clone(), reason });
                }
                Err(_) => {}
            }
        }
    }
    let again = pages.last().is_some_and(|page| page.again);
    let mut verdict = Verdict::default();
    for token in tokens {
        match rejected.remove(token) {
            _ if mappings.contains_key(token) => {}
            Some(rejection) => verdict.rejected.push(rejection),
            None if unasked => verdict.missing.push(*token),
            None if again => verdict.again.push(*token),
            None => verdict.not_found.push(*token),
        }
    }
    verdict.mappings = mappings.into_values().collect();
    // In an order of their own, so that the same answer always makes the same rows.
    verdict.mappings.sort_unstable_by_key(|mapping| mapping.token);
    verdict
}

fn weigh(claim: &Claim, rules: &Rules) -> Result<Mapping, &'static str> {
    let condition: ConditionId = claim.condition.parse().map_err(|_| "the condition is malformed")?;
    if condition.is_zero() {
        return Err("the condition is zero");
    }
    let mapping = |outcome_index, collateral: &str| Mapping {
        token: claim.token,
        condition,
        outcome_index,
        label: claim.label.clone(),
        collateral: collateral.to_owned(),
    };
    let likely = claim.outcome_index.map_or(0, |index| u8::from(index == 1));
    if let Some(proof) = ctf::prove_claim(&claim.token, &condition, likely, &rules.collaterals) {
        return Ok(mapping(proof.outcome_index, &proof.collateral.name));
    }
    match claim.outcome_index {
        Some(index @ (0 | 1)) if rules.accept_unproven => Ok(mapping(index as u8, "")),
        _ => Err(NO_PROOF),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_proof_only_what_was_asked_is_accepted_and_never_against_a_proof() {
        let rules = Rules { collaterals: ctf::default_collaterals(), accept_unproven: true };
        let (right, wrong) = (ConditionId::from_bytes([7; 32]), ConditionId::from_bytes([8; 32]));
        let token = |index| ctf::token_id(&right, index, &rules.collaterals[0].address);
        let claim = |token, condition: ConditionId, index| Claim {
            token,
            condition: condition.to_string(),
            outcome_index: Some(index),
            label: String::new(),
        };
        let foreign: TokenId = "12345".parse().unwrap();
        let markets = vec![
            vec![claim(token(0), wrong, 0), claim(token(1), wrong, 1), claim(foreign, wrong, 1)],
            vec![claim(token(1), right, 1)],
        ];
        let verdict = judge(&[token(0), token(1)], &[Answer { markets, ..Answer::default() }], &rules);
        let found: HashMap<TokenId, &Mapping> = verdict.mappings.iter().map(|it| (it.token, it)).collect();
        assert_eq!((found[&token(0)].condition, found[&token(0)].collateral.as_str()), (wrong, ""));
        assert_eq!(found[&token(1)].condition, right, "the proven one, although it came last");
        assert!(!found.contains_key(&foreign));
    }
}
