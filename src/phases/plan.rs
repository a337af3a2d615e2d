//! [`Plan`]: which phases a run will go through, which it leaves out, and why. Decided from the tables, which are the
//! truth, so that a plan made after any interruption leads to where an undisturbed run ends.

use std::str::FromStr;

use super::Context;
use super::track;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::source::Source;
use crate::store::standing::Standing;

/// The stages in their order. The tracks are one: they run side by side and help each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Phase 0.
    Setup,
    /// Phases 1 and 2.
    Tracks,
    /// Phase 3.
    Merge,
    /// Phase 4.
    Verify,
    /// Phase 5.
    Validate,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Setup, Self::Tracks, Self::Merge, Self::Verify, Self::Validate];

    /// The word for it on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Tracks => "tracks",
            Self::Merge => "merge",
            Self::Verify => "verify",
            Self::Validate => "validate",
        }
    }
}

impl FromStr for Stage {
    type Err = String;

    /// A stage by its name, or the stage of a track by the track's.
    fn from_str(text: &str) -> Result<Self, String> {
        let stage = Self::ALL.into_iter().find(|stage| stage.name() == text);
        let track = || Source::tracks().any(|source| source.name() == text).then_some(Self::Tracks);
        stage
            .or_else(track)
            .ok_or_else(|| format!("expected one of {}, or a track", Self::ALL.map(Self::name).join(", ")))
    }
}

/// One phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Phase 0.
    Setup,
    /// One track.
    Track(Source),
    /// Phase 3.
    Merge,
    /// Phase 4.
    Verify,
    /// Phase 5.
    Validate,
}

impl Step {
    /// The command that runs this phase alone.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track(source) => source.name(),
            _ => self.stage().name(),
        }
    }

    /// Where it stands in the order.
    pub const fn stage(self) -> Stage {
        match self {
            Self::Setup => Stage::Setup,
            Self::Track(_) => Stage::Tracks,
            Self::Merge => Stage::Merge,
            Self::Verify => Stage::Verify,
            Self::Validate => Stage::Validate,
        }
    }
}

/// Why a phase is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// It measures, and repeating it is how anything new is found.
    Always,
    /// What it has to do is known when the phases before it are done.
    AfterOthers,
    /// So many of its tokens have no answer yet.
    Open {
        /// Without an answer.
        open: u64,
        /// All of its workload.
        total: u64,
    },
    /// It has nothing left of its own, and helps the other tracks; so many tokens that it did not find they may know.
    Helps(u64),
    /// So many staged tokens are not in the map, or have a row there that another would replace.
    Unmerged(u64),
}

/// Why a phase is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// The run begins later.
    BeforeFrom(Stage),
    /// The run ends earlier.
    AfterTo(Stage),
    /// The track cannot be used with these settings; the others take its share.
    NotUsable(String),
    /// Its workload is empty.
    NothingToAsk,
    /// Every token of its workload has an answer.
    AllAnswered(u64),
    /// Nothing is staged.
    NothingStaged,
    /// The map has every staged token.
    AllMerged(u64),
}

/// What happens to a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is run.
    Run(Due),
    /// It is left out.
    Leave(Skip),
}

/// A phase, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The phase.
    pub step: Step,
    /// What happens to it.
    pub decision: Decision,
}

/// Where a run begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first stage.
    pub from: Stage,
    /// The last one.
    pub to: Stage,
}

impl Default for Span {
    fn default() -> Self {
        Self { from: Stage::Setup, to: Stage::Validate }
    }
}

impl Span {
    /// Why a stage is outside, if it is.
    pub fn leaves_out(self, stage: Stage) -> Option<Skip> {
        match stage {
            _ if stage < self.from => Some(Skip::BeforeFrom(self.from)),
            _ if stage > self.to => Some(Skip::AfterTo(self.to)),
            _ => None,
        }
    }
}

/// The phases in the order in which they are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(pub Vec<Planned>);

/// The tracks of `sources` that can be asked with these settings, and why the others cannot.
pub fn usable(settings: &Settings, sources: &[Source]) -> (Vec<Source>, Vec<(Source, String)>) {
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for source in sources {
        match track::check(settings, *source) {
            Ok(()) => usable.push(*source),
            Err(reason) => unusable.push((*source, reason.to_string())),
        }
    }
    (usable, unusable)
}

/// Makes the plan of a run with these tracks. Asks the tables and changes nothing.
///
/// # Errors
/// A table that the run needs is missing, or ClickHouse fails.
pub async fn make(context: &Context, sources: &[Source], span: Span) -> Result<Plan, Failure> {
    context.store.require_fills_and_map().await?;
    let (usable, unusable) = usable(&context.settings, sources);
    let standing = context.store.standing(&usable).await?;
    let track = |source: &Source| match unusable.iter().find(|(of, _)| of == source) {
        Some((_, reason)) => Decision::Leave(Skip::NotUsable(reason.clone())),
        None => of_track(*source, standing.as_ref(), span),
    };
    let mut steps = vec![Planned { step: Step::Setup, decision: Decision::Run(Due::Always) }];
    steps.extend(sources.iter().map(|it| Planned { step: Step::Track(*it), decision: track(it) }));
    let merge =
        if span.from == Stage::Merge { of_merge(standing.as_ref()) } else { Decision::Run(Due::AfterOthers) };
    steps.push(Planned { step: Step::Merge, decision: merge });
    for step in [Step::Verify, Step::Validate] {
        steps.push(Planned { step, decision: Decision::Run(Due::Always) });
    }
    for planned in &mut steps {
        if let Some(skip) = span.leaves_out(planned.step.stage()) {
            planned.decision = Decision::Leave(skip);
        }
    }
    Ok(Plan(steps))
}

/// What a track is planned for. Where setup runs before it, only what is open now is sure: setup may find more.
fn of_track(source: Source, standing: Option<&Standing>, span: Span) -> Decision {
    let Some(standing) = standing else { return Decision::Run(Due::AfterOthers) };
    match tracks_are_done(standing) {
        true if span.from == Stage::Tracks => leave_track(source, standing),
        true => Decision::Run(Due::AfterOthers),
        false => due_track(source, standing),
    }
}

/// Whether no track has anything to ask. As long as one has, the others help it; and what one did not find the others
/// try, once each, which an interruption may have kept them from.
pub fn tracks_are_done(standing: &Standing) -> bool {
    standing.tracks.iter().all(|it| it.open() == 0 && it.untried == 0)
}

/// Why a track with work is run.
pub fn due_track(source: Source, standing: &Standing) -> Decision {
    Decision::Run(match standing.tracks.iter().find(|it| it.source == source) {
        Some(track) if track.open() > 0 => Due::Open { open: track.open(), total: track.tally.total },
        track => Due::Helps(track.map_or(0, |track| track.untried)),
    })
}

/// Why a track is left out when all are done.
pub fn leave_track(source: Source, standing: &Standing) -> Decision {
    let total = standing.tracks.iter().find(|it| it.source == source).map_or(0, |it| it.tally.total);
    Decision::Leave(if total == 0 { Skip::NothingToAsk } else { Skip::AllAnswered(total) })
}

/// What a merge has to do.
pub fn of_merge(standing: Option<&Standing>) -> Decision {
    match standing {
        None => Decision::Run(Due::Always),
        Some(standing) if standing.unmerged + standing.outranked > 0 => {
            Decision::Run(Due::Unmerged(standing.unmerged + standing.outranked))
        }
        Some(standing) if standing.staged == 0 => Decision::Leave(Skip::NothingStaged),
        Some(standing) => Decision::Leave(Skip::AllMerged(standing.staged)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_named_by_itself_or_by_a_track() {
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
        }
        for source in Source::tracks() {
            assert_eq!(source.name().parse(), Ok(Stage::Tracks));
        }
        assert!("merg".parse::<Stage>().unwrap_err().contains("setup, tracks, merge"));
    }

    #[test]
    fn what_is_outside_of_the_span_is_left_out() {
        let span = Span { from: Stage::Tracks, to: Stage::Merge };
        assert_eq!(span.leaves_out(Stage::Setup), Some(Skip::BeforeFrom(Stage::Tracks)));
        assert_eq!(span.leaves_out(Stage::Tracks), None);
        assert_eq!(span.leaves_out(Stage::Merge), None);
        assert_eq!(span.leaves_out(Stage::Verify), Some(Skip::AfterTo(Stage::Merge)));
    }
}
