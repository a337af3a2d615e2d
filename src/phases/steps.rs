//! The phases of a run as values: [`Stage`], [`Step`], which of them a [`Plan`] goes through and why, and how each ended.

use std::str::FromStr;

use crate::outcome::Outcome;
use crate::results::PhaseResult;
use crate::source::Source;

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
    /// The offline track, before anybody is asked.
    Derive,
    /// Phase 0.
    Setup,
    /// What is new on the chain, beside the tracks.
    Chain,
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
            Self::Chain => "chain",
            Self::Derive => "derive",
            _ => self.stage().name(),
        }
    }

    /// Where it stands in the order.
    pub const fn stage(self) -> Stage {
        match self {
            Self::Derive | Self::Setup => Stage::Setup,
            Self::Track(_) | Self::Chain => Stage::Tracks,
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
    /// What became final behind the last block that was read.
    NewBlocks {
        /// That block.
        read_up_to: u64,
    },
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
    /// The run was asked to do without it.
    NotAsked,
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
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The phase.
    pub step: Step,
    /// What happens to it.
    pub decision: Decision,
    /// What it comes to, where that was predicted.
    pub forecast: Option<Forecast>,
}

impl Planned {
    /// A phase without a forecast.
    pub const fn new(step: Step, decision: Decision) -> Self {
        Self { step, decision, forecast: None }
    }
}

/// What a phase will come to, as far as the tables tell before it is run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    /// Tokens that it works on, at most.
    pub tokens: u64,
    /// Full requests that these take, and how long they take at the source's limits, in seconds.
    pub requests: Option<(u64, f64)>,
    /// The tables that it writes.
    pub writes: Vec<String>,
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
#[derive(Debug, Clone, PartialEq)]
pub struct Plan(pub Vec<Planned>);

/// How a phase of a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was left out.
    LeftOut(Skip),
    /// It came to a result.
    Ended(Outcome),
    /// It came to none.
    Failed {
        /// The exit code's meaning.
        outcome: Outcome,
        /// What failed, on what, and what to do.
        message: String,
    },
    /// The run ended before it.
    NotReached,
}

/// A phase of a run at its end.
#[derive(Debug, Clone)]
pub struct StepEnd {
    /// The phase.
    pub step: Step,
    /// How it ended.
    pub end: End,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it came to, where it came that far.
    pub result: Option<PhaseResult>,
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
