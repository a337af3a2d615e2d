//! [`PhaseEvent`]: what a phase tells while it works. Events carry values; whoever listens decides how they read.

use super::chain::events::ChainEvent;
use super::steps::{Plan, Step, StepEnd};
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::source::Source;
use crate::track::checkpoint::CheckpointError;
use crate::track::events::TrackListener;
use crate::upstream::PublicService;

/// Something that happened in a phase.
#[derive(Debug)]
pub enum PhaseEvent<'a> {
    /// The next part of a phase begins.
    Activity(Activity),
    /// A run of several phases begins.
    Planned(&'a Plan),
    /// A phase of the run begins.
    Began(Step),
    /// A phase of the run has ended, or is left out.
    Ended(&'a StepEnd),
    /// A source is left out of the tracks.
    SourceLeftOut {
        /// The source.
        source: Source,
        /// Why it cannot be asked.
        why: &'a Failure,
    },
    /// The public service of a source is not what it was.
    WornOut {
        /// The source.
        source: Source,
        /// What is known of its public service.
        public: &'a PublicService,
    },
    /// A track of the run cannot be used; the others take its share.
    ShareTaken {
        /// Why it cannot be used.
        reason: &'a str,
    },
    /// A track's checkpoint cannot be read; its failed tokens count as never asked.
    FailuresUnknown(&'a CheckpointError),
    /// So many lines of `--combos` hold no legs of a combo, and are left out.
    CombosLeftOut(u64),
    /// So many rows of the table of flows say nothing of this wallet that can be counted, and are left out.
    FlowsLeftOut(Wallet, u64),
    /// The chain was not read yet, so that a run reads nothing of it.
    ChainNotRead,
    /// The chain is being read.
    Chain(&'a ChainEvent),
    /// The source that is asked for expected P&L knows none of this wallet, which is left out.
    NothingExpected(Wallet),
}

/// A part of a phase that takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Each source is asked once.
    AskingSources,
    /// The coverage is measured.
    MeasuringCoverage,
    /// The staging tables are created.
    CreatingStaging,
    /// The unmapped tokens are listed.
    ListingUnmapped,
    /// The workload is split between the tracks.
    SplittingWorkload,
    /// The traded tokens are listed.
    ListingTraded,
    /// Tokens are computed from the known conditions.
    ComputingTokens,
    /// A catalogue is read.
    ReadingCatalogue,
    /// The staging tables are compared.
    ComparingStaging,
    /// The map and what is staged are proven.
    Proving,
    /// The map's wrong rows are replaced.
    ReplacingWrongRows,
    /// Copies of rows are removed from the map.
    RemovingCopies,
    /// Staged rows are written to the map.
    Merging,
    /// The map is read as its readers see it.
    CheckingMap,
    /// Labels are filled and corrected.
    WritingLabels,
    /// The chain's payouts are written into the resolutions.
    WritingPayouts,
    /// Questions and slugs of the map are being filled.
    WritingMetadata,
    /// Positions are added up.
    AddingUpPositions,
    /// Dome is asked what it expects.
    AskingExpectations,
}

/// Listens to phases, and to the tracks that they run.
pub trait PhaseListener: TrackListener {
    /// Something happened.
    fn on_phase_event(&self, event: &PhaseEvent<'_>);
}
