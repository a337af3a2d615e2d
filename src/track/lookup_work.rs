//! [`LookupWork`]: a list of tokens as an engine works through it: a track's own, or a round over what others left.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::batch_queue::{Batch, BatchQueue};
use super::checkpoint::{Checkpoint, Progress};
use super::claims::{Classified, classify};
use super::engine::{Engine, Work, unix_time};
use super::events::TrackEventKind;
use super::facts;
use super::fingerprints::StagedTokens;
use super::gauges::{WorkStart, add, read};
use super::odd::take_unreadable;
use super::quota::TrackTime;
use super::requester::Ticket;
use super::retry_queue::{Job, Missed, NextJob, RetryDecision};
use super::round::{Round, portion};
use super::writer::{AnswerRows, InsertBatch};
use crate::ids::TokenId;
use crate::proof::Mapping;
use crate::results::RoundCounts;
use crate::store::StoreError;
use crate::store::staging::{NotFoundRow, RejectedRow, StagedRow};
use crate::upstream::{Answer, PROBE_TOKEN, TokenFacts, Upstream, UpstreamError};

/// Tokens that are read from a list at once.
const PAGE: u64 = 20_000;

/// A token that the source is known to know. Asked for together with doubted ones, it tells an answer to the question
/// from whatever comes where the question is ignored.
#[derive(Default)]
pub(super) struct Control {
    token: Mutex<Option<TokenId>>,
    /// Whether the source asks in more than one way for what it did not find, which a token that is found would keep
    /// it from.
    is_off: AtomicBool,
}

/// What came back for a batch.
pub(super) struct LookupAnswer {
    pages: Vec<Answer>,
    /// What was asked for beside the batch.
    control: Option<TokenId>,
}

/// A list of tokens and whoever is asked for them.
pub(super) struct LookupWork {
    pub(super) engine: Arc<Engine>,
    pub(super) upstream: Arc<dyn Upstream>,
    /// Every token in this track's staging table: none is staged twice.
    pub(super) staged: Arc<StagedTokens>,
    /// What the tracks beside it have staged.
    pub(super) beside: Mutex<Vec<Arc<StagedTokens>>>,
    pub(super) queue: Mutex<BatchQueue>,
    pub(super) control: Arc<Control>,
    /// The round that it is, where it is not the track's own list.
    pub(super) round: Option<RoundWork>,
}

pub(super) struct RoundWork {
    round: Round,
    own: Arc<LookupWork>,
    counts: Mutex<RoundCounts>,
    /// What was taken up.
    held: Mutex<Vec<TokenId>>,
}

impl RoundWork {
    pub(super) fn new(round: Round, own: Arc<LookupWork>) -> Self {
        Self { round, own, counts: Mutex::default(), held: Mutex::default() }
    }

    /// Gives free what was taken up, and says what it came to.
    pub(super) fn end(&self) -> RoundCounts {
        self.round.taken_up.release(self.held.lock().iter());
        *self.counts.lock()
    }

    /// Takes up what nobody else has of these tokens.
    fn take_up(&self, tokens: &[TokenId]) -> Vec<TokenId> {
        let tokens = self.round.take_up(tokens.iter().copied());
        self.counts.lock().tokens += tokens.len() as u64;
        self.held.lock().extend(&tokens);
        tokens
    }
}

impl LookupWork {
    /// Counts tokens that need not be asked for, since somebody has staged them meanwhile.
    fn count_resolved(&self, tokens: u64) {
        match &self.round {
            None => {
                add(&self.engine.gauges.processed, tokens);
                add(&self.engine.gauges.resolved, tokens);
            }
            Some(it) => it.counts.lock().resolved += tokens,
        }
    }

    fn count_failed(&self, tokens: u64, error: &UpstreamError) {
        match &self.round {
            None => {
                add(&self.engine.gauges.failed, tokens);
                add(&self.engine.gauges.processed, tokens);
            }
            Some(it) => it.counts.lock().failed += tokens,
        }
        self.engine.tell(TrackEventKind::BatchFailed { tokens, error });
    }

    fn is_staged(&self, token: &TokenId) -> bool {
        let fingerprint = token.fingerprint();
        self.staged.contains(fingerprint) || self.beside.lock().iter().any(|it| it.contains(fingerprint))
    }

    /// Tokens without a usable answer that nobody else has resolved meanwhile.
    pub(super) fn failed_for_good(&self) -> u64 {
        let failed: Vec<TokenId> = self.queue.lock().failed().iter().map(|gap| gap.first).collect();
        failed.iter().filter(|token| !self.is_staged(token)).count() as u64
    }

    /// Waits until less than so many tokens are pending; `false` where the track is over.
    async fn has_room(&self, low: usize) -> bool {
        let requester = &self.engine.requester;
        requester.wait_until(|| requester.is_over() || self.queue.lock().pending() < low).await;
        !requester.is_over()
    }

    fn load(&self, tokens: Vec<TokenId>) {
        // What was staged since the page was read, or is not yet acknowledged, is in memory only.
        let (staged, open): (Vec<_>, Vec<_>) = tokens.into_iter().partition(|token| self.is_staged(token));
        self.count_resolved(staged.len() as u64);
        self.queue.lock().load(open);
        self.engine.requester.changed();
    }

    /// Reads the track's own list; `false` where the track was over before its end.
    async fn feed_own(&self) -> Result<bool, StoreError> {
        let (writer, engine) = (self.engine.writer(), &self.engine);
        let mut after: Option<String> = None;
        let low = || {
            let workers = usize::try_from(read(&engine.gauges.workers)).unwrap_or(usize::MAX);
            workers * self.queue.lock().limits().tokens + PAGE as usize / 2
        };
        while self.has_room(low()).await {
            let page = || engine.store.workload_page(engine.source, after.as_deref(), PAGE);
            let page = writer.persist(page).await?;
            self.load(page.open);
            match page.last {
                Some(last) => after = Some(last),
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Reads what is left of the lists of a round; `false` where the track was over before their end. It takes up no
    /// more than it can ask for soon: the rest may be settled by then, or taken up by another track.
    async fn feed_round(&self, it: &RoundWork) -> Result<bool, StoreError> {
        let (writer, engine) = (self.engine.writer(), &self.engine);
        let full = self.queue.lock().limits().full();
        let portion = portion(engine.gauges.allowed_per_second * full as f64, full, PAGE as usize);
        for list in &it.round.lists {
            let mut before: Option<String> = None;
            loop {
                let page = writer.persist(|| engine.store.round_page(list, before.as_deref(), PAGE)).await?;
                for tokens in page.tokens.chunks(portion) {
                    if !self.has_room(portion).await {
                        return Ok(false);
                    }
                    let open: Vec<TokenId> =
                        tokens.iter().filter(|token| !self.is_staged(token)).copied().collect();
                    self.load(it.take_up(&open));
                }
                match page.first {
                    _ if engine.requester.is_over() => return Ok(false),
                    Some(first) => before = Some(first),
                    None => break,
                }
            }
        }
        Ok(true)
    }

    /// What to ask for beside a batch with doubted tokens, where there is room in the request.
    fn control_for(&self, batch: &Batch) -> Option<TokenId> {
        let has_room = {
            let queue = self.queue.lock();
            queue.has_doubts(batch) && batch.part.len() < queue.limits().full()
        };
        if !has_room || self.control.is_off.load(Ordering::Relaxed) {
            return None;
        }
        self.control.token.lock().filter(|token| !batch.part.contains(token))
    }

    fn learn_control(&self, batch: &Batch, pages: &[Answer], classified: &Classified) {
        if pages.iter().any(|page| page.again) {
            self.control.is_off.store(true, Ordering::Relaxed);
        }
        let found =
            classified.mappings.iter().map(|mapping| mapping.token).find(|it| batch.part.contains(it));
        let mut control = self.control.token.lock();
        *control = found.or(*control);
    }

    /// Keeps tokens for the next run whose answers name only what nobody asked for, again and again.
    fn leave_unanswered(&self, classified: &Classified, finally: &mut HashSet<TokenId>) {
        let unanswered: Vec<TokenId> =
            classified.missing.iter().filter_map(|token| finally.take(token)).collect();
        if unanswered.is_empty() {
            return;
        }
        let error = UpstreamError::Transient("an answer that names only what nobody asked for".to_owned());
        let count = unanswered.len() as u64;
        self.queue.lock().fail(unanswered, &error.to_string());
        self.count_failed(count, &error);
    }

    /// Makes rows of what has no mapping: tokens that the source does not know, and, of the doubted ones, those that
    /// are so `finally`.
    fn without_mapping(&self, rows: &mut AnswerRows, classified: &Classified, finally: &HashSet<TokenId>) {
        let (now, track) = (unix_time(), self.engine.source.name());
        let unknown = classified.missing.iter().filter(|token| finally.contains(token));
        rows.not_found = (classified.not_found.iter().chain(unknown))
            .map(|token| NotFoundRow { track, token_id: *token, asked_at: now })
            .collect();
        let refuted = classified.rejected.iter().filter(|it| finally.contains(&it.claim.token));
        rows.rejected = refuted
            .map(|it| RejectedRow {
                track,
                token_id: it.claim.token,
                claimed_condition: it.claim.condition.clone(),
                claimed_index: it.claim.outcome_index.map(|index| index.to_string()).unwrap_or_default(),
                claimed_label: it.claim.label.clone(),
                reason: it.reason.to_string(),
                rejected_at: now,
            })
            .collect();
    }

    /// Makes rows of the mappings that are not staged yet and of what is told of them, and takes their tokens off the
    /// list.
    fn stage(&self, rows: &mut AnswerRows, mappings: Vec<Mapping>, told: impl Iterator<Item = TokenFacts>) {
        let fetched_at = unix_time();
        let fresh: Vec<Mapping> =
            mappings.into_iter().filter(|mapping| self.staged.insert(mapping.token.fingerprint())).collect();
        {
            let mut queue = self.queue.lock();
            rows.resolved +=
                fresh.iter().filter(|mapping| queue.remove_resolved(&mapping.token)).count() as u64;
        }
        rows.facts = facts::rows(self.engine.source, &fresh, told, fetched_at);
        rows.staged = fresh.into_iter().map(|it| StagedRow::of(it, self.engine.source, fetched_at)).collect();
    }
}

impl Work for LookupWork {
    type Part = Vec<TokenId>;
    type Answer = LookupAnswer;

    fn next(&self, now: TrackTime) -> NextJob<Batch> {
        let (job, beside) = {
            let mut queue = self.queue.lock();
            (queue.next(now), queue.take_staged_beside())
        };
        self.count_resolved(beside);
        job
    }

    fn is_done(&self) -> bool {
        self.queue.lock().is_done()
    }

    fn can_shrink(&self, tokens: &Vec<TokenId>) -> bool {
        tokens.len() > 1
    }

    fn start_of(&self, tokens: &Vec<TokenId>) -> WorkStart {
        // A batch is made of at least one token.
        WorkStart::Token(tokens.first().copied().unwrap_or(PROBE_TOKEN))
    }

    /// Asks for a batch, following an answer that says it has more.
    async fn ask(&self, batch: &Batch, mut ticket: Ticket) -> Result<LookupAnswer, (Ticket, UpstreamError)> {
        let requester = &self.engine.requester;
        let control = self.control_for(batch);
        let asked: Vec<TokenId> = batch.part.iter().copied().chain(control).collect();
        let mut pages: Vec<Answer> = Vec::new();
        loop {
            let more = pages.last().and_then(|page| page.more.as_deref());
            let answer = requester.ask(ticket, self.upstream.ask(&asked, more)).await?;
            let more = answer.more.clone();
            // A key that repeats itself would lead in a circle.
            let circle = more.is_some() && pages.last().is_some_and(|page| page.more == more);
            pages.push(answer);
            if circle || pages.len() > batch.part.len() + 1 {
                return Err((
                    ticket,
                    UpstreamError::Transient("an answer whose pages do not end".to_owned()),
                ));
            }
            if more.is_none() {
                return Ok(LookupAnswer { pages, control });
            }
            ticket = requester.another_ticket().await;
        }
    }

    async fn probe(&self) -> Result<(), UpstreamError> {
        self.upstream.ask(&[PROBE_TOKEN], None).await.map(|_| ())
    }

    /// Sorts an answer and makes rows of it.
    async fn rows(
        self: Arc<Self>,
        batch: &Job<Vec<TokenId>>,
        answer: LookupAnswer,
    ) -> Result<AnswerRows, UpstreamError> {
        let LookupAnswer { pages, control } = answer;
        let mut classified = classify(&batch.part, control.as_ref(), &pages, &self.engine.config.policy);
        self.learn_control(batch, &pages, &classified);
        pages.iter().for_each(|page| self.engine.count_odd(&page.odd));
        let unreadable = take_unreadable(&mut classified, &pages);
        let mut rows = AnswerRows { job: batch.number, ..AnswerRows::default() };
        rows.resolved = (batch.part.len() - classified.unresolved().count() - unreadable.len()) as u64;
        let doubted = classified.doubted().into_iter().chain(unreadable.iter().map(|it| it.token));
        let mut finally: HashSet<TokenId> = {
            let mut queue = self.queue.lock();
            queue.answered(batch);
            queue.load(classified.again.iter().copied());
            queue.doubt(doubted).finally.into_iter().collect()
        };
        if !classified.is_answer {
            self.leave_unanswered(&classified, &mut finally);
        }
        self.without_mapping(&mut rows, &classified, &finally);
        let (now, track) = (unix_time(), self.engine.source.name());
        let lost = unreadable.into_iter().filter(|it| finally.contains(&it.token));
        rows.rejected.extend(lost.map(|it| it.row(track, now)));
        self.stage(&mut rows, classified.mappings, pages.into_iter().flat_map(|page| page.facts));
        Ok(rows)
    }

    fn no_answer(&self, batch: Batch, error: &UpstreamError, missed: &Missed<'_>) {
        let (tokens, is_staged) =
            (batch.part.len() as u64, batch.part.iter().all(|token| self.is_staged(token)));
        if self.queue.lock().no_answer(batch, missed) == RetryDecision::Failed {
            match is_staged {
                // The answer about its sibling has named it meanwhile.
                true => self.count_resolved(tokens),
                false => self.count_failed(tokens, error),
            }
        }
    }

    async fn feed(self: Arc<Self>) -> Result<(), StoreError> {
        let all_read = match &self.round {
            None => self.feed_own().await?,
            Some(it) => self.feed_round(it).await?,
        };
        if all_read {
            self.queue.lock().all_read();
            self.engine.requester.changed();
        }
        Ok(())
    }

    fn written(&self, batch: &InsertBatch) {
        self.queue.lock().written(&batch.jobs);
        let (not_found, rejected) = (batch.not_found.len() as u64, batch.rejected.len() as u64);
        match &self.round {
            None => {
                let gauges = &self.engine.gauges;
                add(&gauges.not_found, not_found);
                add(&gauges.rejected, rejected);
                add(&gauges.resolved, batch.resolved);
                add(&gauges.processed, batch.resolved + not_found + rejected);
            }
            Some(it) => {
                let mut counts = it.counts.lock();
                counts.not_found += not_found;
                counts.rejected += rejected;
                counts.resolved += batch.resolved;
            }
        }
    }

    fn record(&self, checkpoint: &mut Checkpoint) {
        // The position is that of the track's own list, also while it works on a round.
        let own = self.round.as_ref().map_or(self, |it| &it.own);
        let gauges = &self.engine.gauges;
        checkpoint.progress = Progress {
            processed: read(&gauges.processed),
            inserted: read(&gauges.inserted),
            not_found: read(&gauges.not_found),
            rejected: read(&gauges.rejected),
            failed: read(&gauges.failed),
        };
        let queue = own.queue.lock();
        checkpoint.last_token = queue.last_taken().or(checkpoint.last_token);
        checkpoint.gaps = queue.gaps();
    }
}
