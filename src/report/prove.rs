//! What `prove` prints.

use super::Report;
use crate::outcome::Outcome;
use crate::results::{Proof, Proofs};

impl Report for Proof {
    fn outcome(&self) -> Outcome {
        Outcome::of_check(self.reason.is_none())
    }

    /// The answer in a sentence.
    fn text(&self) -> String {
        let (token, condition, verdict) = (&self.token_id, &self.condition_id, self.verdict.as_str());
        if let Some(reason) = &self.reason {
            return format!(
                "refuted: token {token}\n         does not belong to condition {condition}:\n         {reason}\n"
            );
        }
        let why = match (verdict, &self.collateral) {
            ("mirror", _) => ", as the twin of the second generation that its bits name".to_owned(),
            ("structural", _) => {
                ", which stands in its own bits; that there is such a market they do not show".to_owned()
            }
            (_, Some(collateral)) => format!(", backed by {collateral}"),
            (_, None) => String::new(),
        };
        let indent = " ".repeat(verdict.len() + 2);
        let index = self.outcome_index.map_or_else(String::new, |index| index.to_string());
        format!("{verdict}: token {token}\n{indent}is outcome {index} of condition {condition}{why}\n")
    }
}

impl Report for Proofs {
    fn outcome(&self) -> Outcome {
        Outcome::of_check(self.refuted == 0)
    }

    /// The table on standard output says it all.
    fn text(&self) -> String {
        String::new()
    }
}
