//! [`Failure`]: why a command ends other than well, and the exit code that each cause has.

use crate::outcome::Outcome;
use crate::store::StoreError;
use crate::store::lease::LeaseError;
use crate::track::checkpoint::CheckpointError;
use crate::track::engine::TrackError;
use crate::upstream::UpstreamError;
use crate::values::BadSetting;

/// Why a command could not do its work: what failed, on what, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// ClickHouse.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process of some host is at work.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A track.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What stands beside the pipeline: the embedded server.
    #[cfg(feature = "demo")]
    #[error(transparent)]
    Beside(Box<dyn std::error::Error + Send + Sync>),
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
    /// The result is there and could not be written.
    #[error(
        "cannot write {place}: {error}; the work itself is saved, make room and run the same command again"
    )]
    NotWritten {
        /// Where to.
        place: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Something else that keeps the command from its work.
    #[error("{0}")]
    Unusable(String),
    /// A signal came before the work was done.
    #[error("interrupted; what was done is saved, run the same command again to go on")]
    Interrupted,
    /// A signal came before a demo was at its end.
    #[cfg(feature = "demo")]
    #[error("interrupted; the demo's server and data are cleared away, so the next demo begins anew")]
    DemoInterrupted,
}

impl Failure {
    /// How a command ends that fails so.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Setting(_) | Self::Usage(_) | Self::File(_) => Outcome::Usage,
            Self::Interrupted => Outcome::Interrupted,
            #[cfg(feature = "demo")]
            Self::DemoInterrupted => Outcome::Interrupted,
            Self::NotWritten { .. } => Outcome::NotWritten,
            // An outage in the middle of the work outlasted its limit; the rest is for the next run.
            Self::Track(TrackError::Store(error)) if error.may_pass() => Outcome::WorkLeft,
            _ => Outcome::Failed,
        }
    }
}
