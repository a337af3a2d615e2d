//! [`Outcome`]: how a phase or a command ended, and the exit code that says so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a phase or a command ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    #[default]
    Done,
    /// Done, below a threshold.
    BelowThreshold,
    /// Stopped with work left: run it again.
    WorkLeft,
    /// Interrupted by a signal, saved.
    Interrupted,
    /// The command line or a setting is wrong; nothing was touched.
    Usage,
    /// Done, and its result could not be written.
    NotWritten,
    /// ClickHouse or an API cannot be used, a table is missing, a lock is held, a checkpoint cannot be used.
    Failed,
}

impl Outcome {
    /// Every one of them.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::BelowThreshold,
        Self::WorkLeft,
        Self::Interrupted,
        Self::Usage,
        Self::NotWritten,
        Self::Failed,
    ];

    /// The exit code.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::BelowThreshold => 3,
            Self::WorkLeft => 4,
            Self::NotWritten => 5,
            Self::Interrupted => 130,
        }
    }

    /// What an exit code says; one that is none of ours is a failure.
    pub fn of_exit(code: u8) -> Self {
        Self::ALL.into_iter().find(|outcome| outcome.exit() == code).unwrap_or(Self::Failed)
    }

    /// Done, where a check passes.
    pub const fn of_check(passes: bool) -> Self {
        if passes { Self::Done } else { Self::BelowThreshold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_an_exit_code_of_its_own_and_is_read_back_from_it() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::of_exit(outcome.exit()), outcome);
        }
        assert_eq!(Outcome::of_exit(77), Outcome::Failed);
    }
}
