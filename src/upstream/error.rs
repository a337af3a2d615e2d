//! [`UpstreamError`]: why an API gave no answer, in the kinds that are treated differently.

use std::time::Duration;

/// Why there is no answer, in the kinds that the engine treats differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Asked too fast.
    #[error("rate limited (429)")]
    Throttled {
        /// How long the server wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
    /// The request or its answer is too large: ask for less.
    #[error("too large: {0}")]
    TooLarge(String),
    /// No whole answer in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// Nobody is there: no connection could be made.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Something broke that may work the next time: a 5xx, a reset, a body cut short, an answer of another form.
    #[error("{0}")]
    Transient(String),
    /// The request itself is refused; the same request would be again.
    #[error("the request was refused: {0}")]
    BadRequest(String),
    /// We are not let in, or the service is gone: nothing that is asked will be answered.
    #[error("{0}")]
    Permanent(String),
}

/// What an error means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Asked too fast: wait.
    Throttled,
    /// Ask for less at once.
    TooLarge,
    /// It may work the next time.
    Passing,
    /// This request alone is refused; others may be answered.
    ThisRequest,
    /// Nothing that is asked will be answered.
    Permanent,
}

impl UpstreamError {
    /// What this means for whoever asked.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Throttled { .. } => ErrorClass::Throttled,
            Self::TooLarge(_) => ErrorClass::TooLarge,
            Self::Timeout(_) | Self::Unreachable(_) | Self::Transient(_) => ErrorClass::Passing,
            Self::BadRequest(_) => ErrorClass::ThisRequest,
            Self::Permanent(_) => ErrorClass::Permanent,
        }
    }

    /// What to do about it: what its own message says behind a semicolon, else what helps with its kind.
    pub fn advice(&self) -> String {
        let text = self.to_string();
        let own = text.split_once("; ").map(|(_, advice)| advice);
        let of_kind = match self {
            Self::Throttled { .. } => "someone else uses its limit: wait, or lower its RATE_LIMIT",
            Self::TooLarge(_) => "lower BATCH_SIZE",
            Self::Timeout(_) => "it is slow or hangs: try again, or raise REQUEST_TIMEOUT",
            Self::Unreachable(_) => "check its URL, this machine's network and its proxy settings",
            Self::Transient(_) | Self::BadRequest(_) | Self::Permanent(_) => {
                "try again; where it stays, check its URL"
            }
        };
        own.unwrap_or(of_kind).to_owned()
    }

    /// The kinds by a word each, for counting.
    pub const REASONS: [&'static str; 7] =
        ["throttled", "too_large", "timeout", "unreachable", "broken", "refused", "shut"];

    /// The place of this kind in [`UpstreamError::REASONS`].
    pub const fn reason(&self) -> usize {
        match self {
            Self::Throttled { .. } => 0,
            Self::TooLarge(_) => 1,
            Self::Timeout(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Transient(_) => 4,
            Self::BadRequest(_) => 5,
            Self::Permanent(_) => 6,
        }
    }
}
