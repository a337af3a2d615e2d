//! How a check of `doctor` is told.

use crate::results::{Check, Health};

/// A check of this subject.
pub(super) fn check(subject: impl Into<String>, status: Health, detail: impl Into<String>) -> Check {
    Check { subject: subject.into(), status, detail: detail.into(), ..Check::default() }
}

pub(super) fn good(subject: impl Into<String>, detail: impl Into<String>) -> Check {
    check(subject, Health::Good, detail)
}

pub(super) fn note(subject: impl Into<String>, detail: impl Into<String>, advice: &str) -> Check {
    advised(check(subject, Health::Note, detail), advice)
}

/// The errors of this program say what happened and then, behind a semicolon, what to do.
pub(super) fn red(subject: impl Into<String>, message: &str, otherwise: &str) -> Check {
    let (detail, advice) = message.split_once("; ").unwrap_or((message, otherwise));
    advised(check(subject, Health::Bad, detail), advice)
}

pub(super) fn advised(check: Check, advice: &str) -> Check {
    Check { advice: Some(advice.to_owned()).filter(|advice| !advice.is_empty()), ..check }
}
