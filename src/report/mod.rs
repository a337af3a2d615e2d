//! What a person or a program reads. Phases and tracks tell what happens as events and return results; this module
//! alone decides how those look. [`Report`] is a result as a page, an object and an exit code.

mod chain;
mod clob;
mod config;
mod derive;
mod doctor;
pub mod events;
pub(crate) mod fit;
mod flows;
pub mod html;
pub(crate) mod live;
mod merge;
pub(crate) mod metrics;
mod prove;
pub(crate) mod recorder;
pub(crate) mod run;
mod setup;
pub(crate) mod status;
pub mod terminal;
pub(crate) mod text;
pub(crate) mod track;
mod validate;
mod verify;
mod watch;

use serde::Serialize;
use serde_json::Value;

use crate::outcome::Outcome;
use crate::results::PhaseResult;

/// What a command came to.
pub trait Report: Serialize {
    /// How it ended.
    fn outcome(&self) -> Outcome;

    /// The page for people.
    fn text(&self) -> String;

    /// The object for programs.
    fn json(&self) -> Value {
        // Names are texts and numbers are finite: nothing in a result can fail to be written.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The same call of whichever result it is.
macro_rules! of_each {
    ($result:expr, $call:ident) => {
        match $result {
            PhaseResult::Setup(it) => it.$call(),
            PhaseResult::Derive(it) => it.$call(),
            PhaseResult::Track(it) => it.$call(),
            PhaseResult::Catalogue(it) => it.$call(),
            PhaseResult::Chain(it) => it.$call(),
            PhaseResult::Flows(it) => it.$call(),
            PhaseResult::Merge(it) => it.$call(),
            PhaseResult::Verify(it) => it.$call(),
            PhaseResult::Validate(it) => it.$call(),
        }
    };
}

impl Report for PhaseResult {
    fn outcome(&self) -> Outcome {
        of_each!(self, outcome)
    }

    fn text(&self) -> String {
        of_each!(self, text)
    }
}
