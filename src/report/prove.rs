//! What `prove` prints.

use serde_json::{Value, json};

use crate::ctf::Proof;
use crate::ids::{ConditionId, TokenId};
use crate::phases::prove::{Verdict, Verdicts};

/// The answer for a pair in a sentence.
pub fn text(token: &TokenId, condition: &ConditionId, proof: Option<Proof<'_>>) -> String {
    match proof {
        Some(proof) => format!(
            "proven: token {token}\n        is outcome {} of condition {condition}, backed by {}\n",
            proof.outcome_index, proof.collateral.name
        ),
        None => format!(
            "refuted: token {token}\n         is no outcome of condition {condition} with any collateral that is listed\n"
        ),
    }
}

/// The answer for a pair as an object.
pub fn json(token: &TokenId, condition: &ConditionId, proof: Option<Proof<'_>>) -> Value {
    let verdict = if proof.is_some() { Verdict::Proven } else { Verdict::Refuted };
    json!({
        "phase": "prove",
        "token_id": token,
        "condition_id": condition,
        "outcome_index": proof.map(|proof| proof.outcome_index),
        "collateral": proof.map(|proof| proof.collateral.name.as_str()),
        "verdict": verdict.name(),
    })
}

/// The counts for a file as an object.
pub fn counts(verdicts: &Verdicts, elapsed_seconds: f64) -> Value {
    json!({
        "phase": "prove",
        "rows": verdicts.rows(),
        "proven": verdicts.proven,
        "refuted": verdicts.refuted,
        "malformed": verdicts.malformed,
        "elapsed_seconds": elapsed_seconds,
    })
}
