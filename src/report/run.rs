//! What several phases in one process print.

use serde_json::{Value, json};

use super::{merge, setup, track, validate, verify};
use crate::phases::run::PhaseResult;

/// The page that the phase prints on its own.
pub fn text(result: &PhaseResult) -> String {
    match result {
        PhaseResult::Setup(result) => setup::text(result),
        PhaseResult::Track(result) => track::text(result),
        PhaseResult::Merge(result) => merge::text(result),
        PhaseResult::Verify(result) => verify::text(result),
        PhaseResult::Validate(result) => validate::text(result),
    }
}

/// The object that the phase prints on its own.
pub fn json(result: &PhaseResult) -> Value {
    match result {
        PhaseResult::Setup(result) => setup::json(result),
        PhaseResult::Track(result) => json!(result),
        PhaseResult::Merge(result) => merge::json(result),
        PhaseResult::Verify(result) => verify::json(result),
        PhaseResult::Validate(result) => validate::json(result),
    }
}
