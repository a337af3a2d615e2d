//! [`TrackEvent`]: what a track tells while it works. Events carry values; whoever listens decides how they read.

use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::CheckpointError;
use super::gauges::{Gauges, WorkStart};
use crate::source::Source;
use crate::store::StoreError;
use crate::upstream::UpstreamError;
use crate::upstream::catalogue::PageCursor;
use crate::values::RateLimit;

/// Something that happened on a track.
#[derive(Debug)]
pub struct TrackEvent<'a> {
    /// The track.
    pub source: Source,
    /// What happened.
    pub kind: TrackEventKind<'a>,
}

/// What can happen on a track.
#[derive(Debug)]
pub enum TrackEventKind<'a> {
    /// It begins; its gauges show how it goes.
    TrackBegan(Arc<Gauges>),
    /// It asks for nothing any more.
    TrackEnded,
    /// A worker makes no headway.
    Stalled {
        /// The worker's number, from 1.
        worker: usize,
        /// For how long it has been at its batch.
        time: Duration,
        /// Where its batch begins.
        at: &'a WorkStart,
    },
    /// The API has stopped answering; one request at a time finds out when it is back.
    HostDown(&'a UpstreamError),
    /// The API answers again.
    HostBack,
    /// The API refuses requests for being too fast although its limit is kept.
    Throttled {
        /// The limit that is kept.
        limit: &'a RateLimit,
        /// How long nothing is sent.
        pause: Duration,
    },
    /// The API is not waited for any longer.
    GivingUp(GiveUpCause),
    /// The API lets us in no longer, in the middle of the work.
    EndsEarly(&'a UpstreamError),
    /// The API lets nobody in, and the track had nothing of its own to ask.
    CannotHelp(&'a UpstreamError),
    /// The track has ended before its work; the tracks beside it ask for what it has left.
    LeftToOthers {
        /// Why it has ended.
        why: &'a str,
    },
    /// What became of a workload that was left to the others.
    TakenOver {
        /// Tokens in the workload.
        total: u64,
        /// Of them, resolved.
        resolved: u64,
        /// Of them, answered by everybody without a mapping.
        unknown: u64,
        /// Of them, without an answer.
        open: u64,
    },
    /// The API knew none of the tokens that it was asked for.
    KnowsNothing {
        /// How many those were.
        tokens: u64,
    },
    /// Tokens got no usable answer after all retries.
    BatchFailed {
        /// How many.
        tokens: u64,
        /// What the last answer was.
        error: &'a UpstreamError,
    },
    /// A record of an answer could not be read, the first of this track; it costs nothing but itself.
    OddRecord {
        /// What could not be read.
        reason: &'a str,
        /// The beginning of the record.
        sample: &'a str,
    },
    /// A page of a catalogue got no usable answer after all retries.
    PageFailed {
        /// Where it begins.
        place: &'a PageCursor,
        /// What the last answer was.
        error: &'a UpstreamError,
    },
    /// The checkpoint could not be replaced; the rows are written.
    CheckpointNotSaved(&'a CheckpointError),
    /// ClickHouse fails; the rows wait.
    StoreDown(&'a StoreError),
    /// ClickHouse works again.
    StoreBack,
}

/// Why an API is not waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUpCause {
    /// It refused every request for being too fast, for longer than this.
    RefusesAll(Duration),
    /// It stayed down.
    StayedDown,
}

/// Listens to tracks.
pub trait TrackListener: Send + Sync {
    /// Something happened. Called from the workers: it must return at once.
    fn on_track_event(&self, event: &TrackEvent<'_>);
}
