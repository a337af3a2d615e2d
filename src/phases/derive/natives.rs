//! Tokens of the second generation: what their bits say, under the legacy condition where that is known.

use std::collections::HashSet;

use crate::ctf;
use crate::ids::{StructuralCondition, TokenId};
use crate::proof::{Evidence, Mapping, Prover, Refusal};
use crate::track::traded::Traded;

/// The halves of legacy conditions that the open traded tokens can be the mirrors of.
pub(super) fn mirrored(traded: &Traded) -> HashSet<u128> {
    let conditions = traded.natives().iter().filter_map(|token| Some(token.structural()?.condition));
    conditions.filter(StructuralCondition::may_be_mirror).map(|condition| condition.base()).collect()
}

/// The mapping that the bits of `token` give.
///
/// # Errors
/// [`Refusal::Ambiguous`] where several known conditions can be the legacy one.
pub(super) fn mapping(token: TokenId, prover: Prover<'_, '_>, traded: &Traded) -> Result<Mapping, Refusal> {
    let (Some(parts), Some(proof)) = (token.structural(), prover.by_bits(token)) else {
        return Err(Refusal::NoProof);
    };
    let proof = proof?;
    let sibling = parts.condition.token(1 - parts.outcome_index);
    let place = |token: TokenId| traded.place(&token);
    let mut text = traded.outcome_label(place(token), sibling.and_then(place));
    if text.is_empty() && proof.evidence == Evidence::Mirror {
        // The legacy tokens have the same outcomes.
        let index = usize::from(parts.outcome_index);
        let collections = ctf::derive(&proof.condition, prover.collaterals());
        let labels = collections.pairs().map(|pair| pair.tokens.map(place));
        text = labels
            .map(|it| traded.outcome_label(it[index], it[1 - index]))
            .find(|it| !it.is_empty())
            .unwrap_or("");
    }
    let text = if text.is_empty() { parts.label() } else { text };
    Ok(Mapping::new(token, &proof, text.to_owned()))
}
