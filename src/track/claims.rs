//! [`classify`]: what an answer is worth. Every claim is proven by the hash or the bits that its token is, or it is not
//! believed.

use std::collections::{HashMap, HashSet};

use crate::ids::{ConditionId, TokenId};
use crate::proof::{Evidence, KnownConditions, Mapping, Proof, ProofPolicy, Prover, Refusal};
use crate::store::catalogue::ListedRow;
use crate::upstream::catalogue::{ListedToken, Listing};
use crate::upstream::{Answer, Claim};

/// A claim that is not believed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What was claimed.
    pub claim: Claim,
    /// Why that is not so.
    pub reason: Refusal,
}

/// An answer, sorted. Each token that was asked for is in exactly one of the parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Classified {
    /// Mappings to stage, siblings of what was asked included.
    pub mappings: Vec<Mapping>,
    /// Tokens that the API does not know.
    pub not_found: Vec<TokenId>,
    /// Tokens that are missing from an answer that speaks of markets nobody asked for: perhaps it was not ours.
    pub missing: Vec<TokenId>,
    /// Whether the answer names anything that was asked for, or nothing at all: else it is none.
    pub is_answer: bool,
    /// Tokens that are missing from an answer that says to ask again.
    pub again: Vec<TokenId>,
    /// Claims about tokens that were asked for, none of which has a proof.
    pub rejected: Vec<Rejection>,
}

impl Classified {
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

/// Sorts the `pages` of the answer about `tokens`, which were asked for together with `control`, a token that the source
/// is known to know.
pub fn classify(
    tokens: &[TokenId],
    control: Option<&TokenId>,
    pages: &[Answer],
    policy: &ProofPolicy,
) -> Classified {
    let asked: HashSet<&TokenId> = tokens.iter().chain(control).collect();
    let (markets, unasked): (Vec<_>, Vec<_>) = (pages.iter().flat_map(|page| &page.markets))
        // Some APIs answer with any market at all where they do not know the token. Never believed.
        .partition(|market| market.iter().any(|claim| asked.contains(&claim.token)));
    let mut proofs = Proofs::default();
    let claims = || markets.iter().copied().flatten();
    // Hashes first: a condition whose own token an answer proves is known when its mirrors are looked at.
    let (bits, hashes): (Vec<&Claim>, Vec<&Claim>) =
        claims().partition(|claim| claim.token.structural().is_some());
    let nothing = KnownConditions::default();
    hashes.into_iter().for_each(|claim| proofs.add(claim, &asked, policy.prover(&nothing)));
    let mut learned = KnownConditions::default();
    if !bits.is_empty() {
        proofs.mappings.values().for_each(|mapping| learned.insert(mapping.condition));
    }
    bits.into_iter().for_each(|claim| proofs.add(claim, &asked, policy.prover(&learned)));
    let Proofs { mappings, mut rejected } = proofs;
    let again = pages.last().is_some_and(|page| page.again);
    let is_answer = !markets.is_empty() || unasked.is_empty();
    let mut classified = Classified { is_answer, ..Classified::default() };
    for token in tokens {
        match rejected.remove(token) {
            _ if mappings.contains_key(token) => {}
            Some(rejection) => classified.rejected.push(rejection),
            None if !unasked.is_empty() => classified.missing.push(*token),
            None if again => classified.again.push(*token),
            None => classified.not_found.push(*token),
        }
    }
    classified.mappings = mappings.into_values().collect();
    // In an order of their own, so that the same answer always makes the same rows.
    classified.mappings.sort_unstable_by_key(|mapping| mapping.token);
    classified
}

/// What the claims of an answer came to, by their tokens.
#[derive(Default)]
struct Proofs {
    mappings: HashMap<TokenId, Mapping>,
    rejected: HashMap<TokenId, Rejection>,
}

impl Proofs {
    fn add(&mut self, claim: &Claim, asked: &HashSet<&TokenId>, prover: Prover<'_, '_>) {
        match prove_claim(claim, prover) {
            Ok(mapping) => {
                self.mappings.insert(claim.token, mapping);
            }
            Err(reason) if asked.contains(&claim.token) => {
                self.rejected.insert(claim.token, Rejection { claim: claim.clone(), reason });
            }
            Err(_) => {}
        }
    }
}

fn prove_claim(claim: &Claim, prover: Prover<'_, '_>) -> Result<Mapping, Refusal> {
    let condition: ConditionId = claim.condition.parse().map_err(|_| Refusal::Malformed)?;
    let likely = claim.outcome_index.map_or(0, |index| u8::from(index == 1));
    let proof = prover.examine(claim.token, &condition, likely)?;
    // A mirror has the labels of its legacy condition, which are not in the bits.
    let own = claim.token.structural().filter(|_| proof.evidence != Evidence::Mirror);
    let own = || own.map(|token| token.label()).unwrap_or_default().to_owned();
    let label = if claim.label.is_empty() { own() } else { claim.label.clone() };
    Ok(Mapping::new(claim.token, &proof, label))
}

/// The row of a token that a catalogue lists in a market of the condition `claimed`, and what that came to.
pub fn listed_row(
    market: &Listing,
    listed: &ListedToken,
    claimed: ConditionId,
    proof: Option<Proof<'_>>,
    fetched_at: u32,
) -> ListedRow {
    ListedRow {
        token_id: listed.token,
        condition_id_norm: proof.map_or(claimed, |proof| proof.condition),
        outcome_index: proof.map_or(0, |proof| proof.outcome_index),
        outcome_label: listed.label.clone(),
        winner: listed.winner,
        closed: market.closed,
        collateral: proof.map(|proof| proof.collateral).unwrap_or_default().to_owned(),
        evidence: proof.map(|proof| proof.evidence.name()).unwrap_or_default(),
        fetched_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctf;

    fn claim(token: TokenId, condition: ConditionId, index: i64) -> Claim {
        Claim { token, condition: condition.to_string(), outcome_index: Some(index), label: String::new() }
    }

    fn policy() -> ProofPolicy {
        ProofPolicy { collaterals: ctf::default_collaterals(), ..ProofPolicy::default() }
    }

    #[test]
    fn a_claim_with_a_proof_counts_wherever_it_stands_in_the_answer() {
        let policy = policy();
        let (right, wrong) = (ConditionId::from_bytes([7; 32]), ConditionId::from_bytes([8; 32]));
        let token = |index| ctf::token_id(&right, index, &policy.collaterals[0].address);
        let foreign: TokenId = "12345".parse().unwrap();
        let markets = vec![
            vec![claim(token(0), wrong, 0), claim(token(1), wrong, 1), claim(foreign, wrong, 1)],
            vec![claim(token(1), right, 1)],
        ];
        let classified =
            classify(&[token(0), token(1)], None, &[Answer { markets, ..Answer::default() }], &policy);
        let found: Vec<TokenId> = classified.mappings.iter().map(|it| it.token).collect();
        assert_eq!(found, [token(1)]);
        assert_eq!(classified.rejected.len(), 1);
        assert_eq!(
            (classified.rejected[0].claim.token, classified.rejected[0].reason),
            (token(0), Refusal::NoProof)
        );
    }

    #[test]
    fn a_condition_whose_own_token_an_answer_proves_is_known_to_its_mirrors_and_a_bare_claim_is_not() {
        let policy = policy();
        let (known, claimed) = (ConditionId::from_bytes([7; 32]), ConditionId::from_bytes([8; 32]));
        let own = ctf::token_id(&known, 0, &policy.collaterals[0].address);
        let mirrors = [known, claimed].map(|condition| condition.mirror().unwrap().token(1).unwrap());
        // The mirror stands before the token that makes its condition known.
        let markets = vec![
            vec![claim(mirrors[0], known, 0)],
            vec![claim(own, known, 0)],
            vec![claim(mirrors[1], claimed, 0)],
        ];
        let asked = [own, mirrors[0], mirrors[1]];
        let classified = classify(&asked, None, &[Answer { markets, ..Answer::default() }], &policy);
        let found: HashMap<TokenId, &Mapping> = classified.mappings.iter().map(|it| (it.token, it)).collect();
        let said = |token| (found[&token].condition, found[&token].outcome_index, found[&token].evidence);
        assert_eq!(said(own), (known, 0, Evidence::Proven));
        assert_eq!(said(mirrors[0]), (known, 1, Evidence::Mirror));
        assert_eq!(said(mirrors[1]), (claimed.mirror().unwrap().condition_id(), 1, Evidence::Structural));
        assert_eq!(found[&mirrors[1]].label, "No");
    }

    #[test]
    fn an_answer_that_names_nothing_that_was_asked_for_is_none_and_a_control_token_tells() {
        let policy = policy();
        let market = |byte| {
            let condition = ConditionId::from_bytes([byte; 32]);
            vec![claim(ctf::token_id(&condition, 0, &policy.collaterals[0].address), condition, 0)]
        };
        let (known, foreign, unknown) = (market(7), market(9), "12345".parse().unwrap());
        let control = known[0].token;
        let sort = |control, markets| {
            let pages = [Answer { markets, ..Answer::default() }];
            let classified = classify(&[unknown], control, &pages, &policy);
            (classified.is_answer, classified.missing.len(), classified.not_found.len())
        };
        assert_eq!(sort(None, vec![]), (true, 0, 1));
        assert_eq!(sort(None, vec![foreign.clone()]), (false, 1, 0));
        assert_eq!(sort(Some(&control), vec![foreign.clone()]), (false, 1, 0), "the filter is ignored");
        assert_eq!(sort(Some(&control), vec![known.clone(), foreign]), (true, 1, 0));
        assert_eq!(sort(Some(&control), vec![known]), (true, 0, 1), "it is heeded");
    }
}
