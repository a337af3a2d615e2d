//! [`Failure`]: why a command ends other than well, and the exit code that each cause has.

use crate::embedded::EmbeddedError;
use crate::store::StoreError;
use crate::track::checkpoint::CheckpointError;
use crate::track::engine::TrackError;
use crate::upstream::UpstreamError;
use crate::values::BadSetting;

/// The exit codes, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// ClickHouse or an API cannot be used, a table is missing, a lock is held, a checkpoint cannot be used.
    Unusable = 1,
    /// The command line or a setting is wrong; nothing was touched.
    Usage = 2,
    /// Done, below a threshold.
    BelowThreshold = 3,
    /// Stopped with work left: run it again.
    WorkLeft = 4,
    /// Interrupted by a signal, saved.
    Interrupted = 130,
}

/// Why a command could not do its work: what failed, on what, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// ClickHouse.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A track.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The embedded server.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// An API, before any track began.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A setting.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// A file that was named.
    #[error("{0}")]
    File(String),
    /// Something else that keeps the command from its work.
    #[error("{0}")]
    Unusable(String),
    /// A signal came before the work was done.
    #[error("interrupted; what was done is saved, run the same command again to go on")]
    Interrupted,
    /// A signal came before a demo was at its end.
    #[error("interrupted; the demo's server and data are cleared away, so the next demo begins anew")]
    DemoInterrupted,
}

impl Failure {
    /// The exit code of this cause.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Setting(_) | Self::Usage(_) | Self::File(_) => Exit::Usage,
            Self::Interrupted | Self::DemoInterrupted => Exit::Interrupted,
            // An outage in the middle of the work outlasted its limit; the rest is for the next run.
            Self::Track(TrackError::Store(error)) if error.may_pass() => Exit::WorkLeft,
            _ => Exit::Unusable,
        }
    }
}
