//! What `prove` prints.

use serde_json::{Value, json};

use crate::ids::{ConditionId, TokenId};
use crate::phases::prove::{Verdict, Verdicts};
use crate::proof::{Evidence, Proof, Refusal};

/// The answer for a pair in a sentence.
pub fn text(token: &TokenId, condition: &ConditionId, proof: Result<Proof<'_>, Refusal>) -> String {
    let proof = match proof {
        Ok(proof) => proof,
        Err(reason) => {
            return format!(
                "refuted: token {token}\n         does not belong to condition {condition}:\n         {reason}\n"
            );
        }
    };
    let verdict = proof.evidence.name();
    let indent = " ".repeat(verdict.len() + 2);
    let why = match proof.evidence {
        Evidence::Proven => format!(", backed by {}", proof.collateral),
        Evidence::Mirror => ", as the twin of the second generation that its bits name".to_owned(),
        Evidence::Structural => {
            ", which stands in its own bits; that there is such a market they do not show".to_owned()
        }
    };
    format!(
        "{verdict}: token {token}\n{indent}is outcome {} of condition {condition}{why}\n",
        proof.outcome_index
    )
}

/// The answer for a pair as an object.
pub fn json(token: &TokenId, condition: &ConditionId, proof: Result<Proof<'_>, Refusal>) -> Value {
    let verdict = proof.map_or(Verdict::Refuted, |proof| Verdict::Holds(proof.evidence));
    json!({
        "phase": "prove",
        "token_id": token,
        "condition_id": condition,
        "outcome_index": proof.ok().map(|proof| proof.outcome_index),
        "collateral": proof.ok().map(|proof| proof.collateral).filter(|name| !name.is_empty()),
        "verdict": verdict.name(),
        "reason": proof.err().map(|reason| reason.to_string()),
    })
}

/// The counts for a file as an object.
pub fn counts(verdicts: &Verdicts, elapsed_seconds: f64) -> Value {
    json!({
        "phase": "prove",
        "rows": verdicts.rows(),
        "proven": verdicts.proven,
        "mirror": verdicts.mirror,
        "structural": verdicts.structural,
        "refuted": verdicts.refuted,
        "malformed": verdicts.malformed,
        "elapsed_seconds": elapsed_seconds,
    })
}
