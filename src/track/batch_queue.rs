//! [`BatchQueue`]: which tokens are asked for together, and which are settled. Pure: it is told the time and does no
//! I/O, and so every promise about who asks for what can be tested without a network.
//!
//! A token is in one of four places: not yet read from its list, pending, in a job that waits to be tried again, or in
//! one that is under way. So no two workers ever ask for the same token, and none is passed over.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::checkpoint::Gap;
use super::fingerprints::StagedTokens;
use super::quota::TrackTime;
use super::retry_queue::{FailureKind, Job, Missed, NextJob, RetryDecision, RetryQueue};
use crate::ids::TokenId;
use crate::upstream::RequestLimits;

/// Tokens that are asked for together.
pub type Batch = Job<Vec<TokenId>>;

/// How often a single token is asked for before it is kept as failed.
const ATTEMPTS: u32 = 7;

/// How often a batch is asked for before it is halved.
const ATTEMPTS_OF_BATCH: u32 = 3;

/// How often a token is asked for whose claims have no proof, or whose absence is doubted.
const DOUBTS: u8 = 6;

/// Doubted tokens, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DoubtOutcome {
    /// To be asked once more.
    pub again: Vec<TokenId>,
    /// Doubted too often.
    pub finally: Vec<TokenId>,
}

/// One list of tokens in memory: a window of it, and what was begun.
#[derive(Debug)]
pub struct BatchQueue {
    pending: VecDeque<TokenId>,
    /// The same tokens as in `pending`, less those that were resolved since.
    open: HashSet<u128>,
    /// Tokens that an earlier run could not get an answer for: asked for last.
    failed_before: HashSet<TokenId>,
    deferred: VecDeque<TokenId>,
    jobs: RetryQueue<Vec<TokenId>>,
    doubted: HashMap<TokenId, u8>,
    failed: Vec<Gap>,
    limits: RequestLimits,
    all_read: bool,
    last_taken: Option<TokenId>,
    /// What the tracks beside this one have staged: it need not be asked for.
    beside: Vec<Arc<StagedTokens>>,
    staged_beside: u64,
}

impl BatchQueue {
    /// An empty queue whose requests take so much.
    pub fn new(limits: RequestLimits) -> Self {
        Self {
            pending: VecDeque::new(),
            open: HashSet::new(),
            failed_before: HashSet::new(),
            deferred: VecDeque::new(),
            jobs: RetryQueue::default(),
            doubted: HashMap::new(),
            failed: Vec::new(),
            limits,
            all_read: false,
            last_taken: None,
            beside: Vec::new(),
            staged_beside: 0,
        }
    }

    /// Passes over what these stage while it is pending.
    pub fn set_peers(&mut self, beside: Vec<Arc<StagedTokens>>) {
        self.beside = beside;
    }

    /// Asks for these tokens last: an earlier run got no answer for them.
    pub fn ask_last(&mut self, tokens: impl IntoIterator<Item = TokenId>) {
        self.failed_before.extend(tokens);
    }

    /// Adds tokens that were read from the list.
    pub fn load(&mut self, tokens: impl IntoIterator<Item = TokenId>) {
        for token in tokens {
            if self.open.insert(token.fingerprint()) {
                if self.failed_before.contains(&token) {
                    self.deferred.push_back(token);
                } else {
                    self.pending.push_back(token);
                }
            }
        }
    }

    /// Nothing more will be read.
    pub fn all_read(&mut self) {
        self.all_read = true;
    }

    /// What a request takes at the moment.
    pub fn limits(&self) -> RequestLimits {
        self.limits
    }

    /// How many tokens are pending: what the reader keeps filled.
    pub fn pending(&self) -> usize {
        self.open.len()
    }

    /// How many pending tokens the tracks beside this one have staged since the last call.
    pub fn take_staged_beside(&mut self) -> u64 {
        std::mem::take(&mut self.staged_beside)
    }

    /// Takes out a token that is resolved; `true` where it was pending and now need not be asked for.
    pub fn remove_resolved(&mut self, token: &TokenId) -> bool {
        // Only single tokens are ever kept as failed.
        self.failed.retain(|gap| gap.first != *token);
        self.open.remove(&token.fingerprint())
    }

    /// Whether every token has an answer or is kept as failed.
    pub fn is_done(&self) -> bool {
        self.all_read && self.open.is_empty() && self.jobs.is_idle()
    }

    /// Work for one worker.
    pub fn next(&mut self, now: TrackTime) -> NextJob<Batch> {
        let batch = self.jobs.take_due(now).or_else(|| self.next_pending());
        match (batch, self.jobs.next_due()) {
            (Some(batch), _) => NextJob::Ask(self.jobs.begin(batch)),
            (None, _) if self.is_done() => NextJob::Done,
            (None, Some(ready)) => NextJob::WaitUntil(ready),
            (None, None) => NextJob::Wait,
        }
    }

    /// As many pending tokens as one request takes.
    fn next_pending(&mut self) -> Option<Batch> {
        let tokens = self.take_pending();
        self.last_taken = tokens.last().copied().or(self.last_taken);
        (!tokens.is_empty()).then(|| self.jobs.job(tokens, 0))
    }

    /// Takes pending tokens, from the front, that fit into one request.
    fn take_pending(&mut self) -> Vec<TokenId> {
        let (mut tokens, mut bytes, limits) = (Vec::new(), 0, self.limits);
        if self.all_read && self.pending.is_empty() {
            self.pending.append(&mut self.deferred);
        }
        while tokens.len() < limits.tokens {
            let Some(token) = self.pending.pop_front() else { break };
            let fingerprint = token.fingerprint();
            if !self.open.contains(&fingerprint) {
                continue;
            }
            if self.beside.iter().any(|staged| staged.contains(fingerprint)) {
                self.open.remove(&fingerprint);
                self.staged_beside += 1;
                continue;
            }
            let cost = if limits.bytes == usize::MAX { 0 } else { token.digits() + limits.overhead };
            if !tokens.is_empty() && bytes + cost > limits.bytes {
                self.pending.push_front(token);
                break;
            }
            bytes += cost;
            self.open.remove(&fingerprint);
            tokens.push(token);
        }
        tokens
    }

    /// Counts a doubt about each of these tokens. Those that were not doubted too often are pending again; of the
    /// others what was said last is final.
    pub fn doubt(&mut self, tokens: impl IntoIterator<Item = TokenId>) -> DoubtOutcome {
        let mut outcome = DoubtOutcome::default();
        for token in tokens {
            let doubts = self.doubted.entry(token).or_default();
            *doubts += 1;
            if *doubts < DOUBTS {
                outcome.again.push(token);
            } else {
                self.doubted.remove(&token);
                outcome.finally.push(token);
            }
        }
        self.load(outcome.again.iter().copied());
        outcome
    }

    /// Whether a token of the batch is doubted.
    pub fn has_doubts(&self, batch: &Batch) -> bool {
        !self.doubted.is_empty() && batch.part.iter().any(|token| self.doubted.contains_key(token))
    }

    /// The batch has its answer, which is still to be written.
    pub fn answered(&mut self, batch: &Batch) {
        self.jobs.answered(batch.number);
    }

    /// The rows of these batches are acknowledged.
    pub fn written(&mut self, numbers: &[u64]) {
        self.jobs.written(numbers);
    }

    /// The batch has no answer.
    pub fn no_answer(&mut self, batch: Batch, missed: &Missed<'_>) -> RetryDecision {
        let size = batch.part.len();
        if missed.kind == FailureKind::TooLarge && size > 1 {
            // No later batch is as large again.
            self.limits.tokens = self.limits.tokens.min(size.div_ceil(2).max(1));
        }
        let at_once = matches!(missed.kind, FailureKind::TooLarge | FailureKind::Refused);
        let attempts = if size > 1 { ATTEMPTS_OF_BATCH } else { ATTEMPTS };
        let batch = match missed.kind {
            FailureKind::Refused => batch,
            FailureKind::TooLarge if size > 1 => batch,
            _ => match self.jobs.try_again(batch, missed, attempts) {
                Some(batch) => batch,
                None => return RetryDecision::Retried,
            },
        };
        self.jobs.end(batch.number);
        if size > 1 {
            // One token may break it: its neighbours shall not fail with it.
            self.halve(&batch, if at_once { missed.now } else { missed.now + missed.pause });
            return RetryDecision::Halved;
        }
        self.fail(batch.part, missed.why);
        RetryDecision::Failed
    }

    fn halve(&mut self, batch: &Batch, ready: TrackTime) {
        let (left, right) = batch.part.split_at(batch.part.len() / 2);
        for half in [left, right] {
            // They had one of their chances already.
            let half = self.jobs.job(half.to_vec(), 1);
            self.jobs.wait(half, ready);
        }
    }

    /// Keeps tokens for the next run, each for itself.
    pub fn fail(&mut self, tokens: impl IntoIterator<Item = TokenId>, why: &str) {
        for token in tokens {
            self.failed.push(Gap { first: token, last: token, tokens: 1, failure: Some(why.to_owned()) });
        }
    }

    /// Tokens without a usable answer after all retries.
    pub fn failed(&self) -> &[Gap] {
        &self.failed
    }

    /// The position in the list's order.
    pub fn last_taken(&self) -> Option<TokenId> {
        self.last_taken
    }

    /// What stands open before the position: batches that were begun and are not written, and what failed.
    pub fn gaps(&self) -> Vec<Gap> {
        let open = self.jobs.open().filter_map(|batch| {
            let (first, last) = (*batch.part.first()?, *batch.part.last()?);
            Some(Gap { first, last, tokens: batch.part.len(), failure: None })
        });
        let mut gaps: Vec<Gap> = self.failed.iter().cloned().chain(open).collect();
        gaps.sort_unstable_by_key(|gap| gap.first);
        gaps
    }
}

#[cfg(test)]
mod tests;
