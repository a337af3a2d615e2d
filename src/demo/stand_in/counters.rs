//! [`Counters`]: what a stand-in has seen and said.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::ids::TokenId;

/// What a stand-in has seen and said since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that arrived, whatever became of them.
    pub requests: u64,
    /// Requests that were answered with rows (also with none, and with lies).
    pub answered: u64,
    /// Requests over the rate limit, refused or delayed: what a client with a right quota never causes.
    pub throttled: u64,
    /// Requests that met a planned fault (refusals for show included).
    pub faults: u64,
    /// Requests without a valid key.
    pub unauthorized: u64,
    /// Requests that were wrong in themselves: bad parameters, a bad query, a request line that is too long.
    pub bad_requests: u64,
    /// Rows that were lies.
    pub lies: u64,
    /// Tokens asked for in all requests together.
    pub tokens_asked: u64,
    /// The most tokens that one request asked for.
    pub max_tokens_per_request: u64,
    /// Times that a token was asked for again after an answer to it; counted with
    /// [`track_tokens`](super::StandInOptions::track_tokens) alone.
    pub asked_again: u64,
}

/// The counters behind their lock, and the tokens that were answered.
#[derive(Debug, Default)]
pub(super) struct Tally {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counters: Counters,
    answered_tokens: HashSet<u128>,
}

impl Tally {
    pub(super) fn read(&self) -> Counters {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).counters.clone()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner).counters);
    }

    /// Counts the tokens of a request.
    pub(super) fn asked(&self, tokens: &[TokenId], track: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let count = tokens.len() as u64;
        inner.counters.tokens_asked += count;
        inner.counters.max_tokens_per_request = inner.counters.max_tokens_per_request.max(count);
        if track {
            let again =
                tokens.iter().filter(|token| inner.answered_tokens.contains(&token.fingerprint())).count();
            inner.counters.asked_again += again as u64;
        }
    }

    /// Remembers which tokens have had a whole answer.
    pub(super) fn answered(&self, tokens: &[TokenId], track: bool) {
        if track {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.answered_tokens.extend(tokens.iter().map(|token| token.fingerprint()));
        }
    }
}
