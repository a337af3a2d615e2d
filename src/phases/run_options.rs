//! [`RunOptions`]: what a run of several phases is to do, for its plan and for itself.

use super::steps::Span;
use super::{setup, track, validate, verify};

/// How the phases are run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Whether the run begins with the offline track.
    pub derive: bool,
    /// Phase 0; its shares name the tracks of the run.
    pub setup: setup::SetupOptions,
    /// Phases 1 and 2.
    pub track: track::TrackOptions,
    /// Phase 4.
    pub verify: verify::VerifyOptions,
    /// Phase 5.
    pub validate: validate::ValidateOptions,
    /// Where it begins and ends.
    pub span: Span,
}
