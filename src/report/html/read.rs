//! [`Results`]: what the journal keeps of the last run of each phase, as the results that the phases printed.

use jiff::Timestamp;

use crate::journal::History;
use crate::results::{Derive, Merge, PhaseResult, Setup, Validate, Verify};
use crate::source::Source;

/// The last result of each phase that has one.
#[derive(Debug, Default)]
pub struct Results {
    /// The first measurement of all.
    pub first_setup: Option<Setup>,
    /// The last phase 0.
    pub setup: Option<Setup>,
    /// The last offline track.
    pub derive: Option<Derive>,
    /// The tracks, in the order of the sources.
    pub tracks: Vec<(Source, PhaseResult)>,
    /// The last phase 3.
    pub merge: Option<Box<Merge>>,
    /// The last phase 4.
    pub verify: Option<Box<Verify>>,
    /// The last phase 5.
    pub validate: Option<Box<Validate>>,
}

impl Results {
    /// Reads what a journal says.
    pub fn of(history: &History) -> Self {
        let mut results = Self::default();
        if let Some(PhaseResult::Setup(first)) = history
            .first_setup
            .as_ref()
            .and_then(|(_, value): &(Timestamp, _)| PhaseResult::read("setup", value))
        {
            results.first_setup = Some(first);
        }
        for phase in history.last.keys() {
            match result(history, phase) {
                Some(PhaseResult::Setup(it)) => results.setup = Some(it),
                Some(PhaseResult::Derive(it)) => results.derive = Some(it),
                Some(PhaseResult::Merge(it)) => results.merge = Some(it),
                Some(PhaseResult::Verify(it)) => results.verify = Some(it),
                Some(PhaseResult::Validate(it)) => results.validate = Some(it),
                Some(
                    PhaseResult::Track(_)
                    | PhaseResult::Catalogue(_)
                    | PhaseResult::Chain(_)
                    | PhaseResult::Flows(_),
                )
                | None => {}
            }
        }
        let track = |source: Source| Some((source, result(history, source.name())?));
        let asked = Source::ALL.into_iter().filter(|source| *source != Source::Derived);
        results.tracks = asked.filter_map(track).collect();
        results
    }
}

/// What the last run of a phase came to, where it came to something.
pub fn result(history: &History, phase: &str) -> Option<PhaseResult> {
    PhaseResult::read(phase, &history.last.get(phase)?.ended.as_ref()?.result)
}
