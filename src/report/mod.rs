//! What a person or a program reads. Phases and tracks know nothing of the terminal: they tell what happens to a
//! [`Progress`] and return results, and this module alone decides how those look.

pub mod clob;
pub mod derive;
pub mod doctor;
pub mod events;
pub mod html;
pub mod live;
pub mod merge;
pub mod metrics;
pub mod prove;
pub mod recorder;
pub mod run;
pub mod setup;
pub mod status;
pub mod terminal;
pub mod text;
pub mod track;
pub mod validate;
pub mod verify;

use crate::phases::plan::{Plan, Step};
use crate::phases::run::StepEnd;
use crate::track::events::TrackListener;

/// What is told while work is going on.
pub trait Progress: TrackListener {
    /// Something the operator should know, a line.
    fn notice(&self, text: &str);

    /// A step of a phase begins.
    fn step(&self, text: &str);

    /// A run of several phases begins.
    fn planned(&self, _plan: &Plan) {}

    /// A phase of the run begins.
    fn phase_began(&self, _step: Step) {}

    /// A phase of the run has ended, or is left out.
    fn phase_ended(&self, _end: &StepEnd) {}
}
