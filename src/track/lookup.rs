//! [`LookupTrack`]: a source that is asked for tokens, at work on its own workload and then on rounds of what other
//! tracks have left.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::batch_queue::{Batch, BatchQueue};
use super::checkpoint::{Checkpoint, Progress};
use super::claims::{Classified, classify};
use super::engine::{Engine, TrackConfig, TrackError, Work, unix_time};
use super::events::{TrackEventKind, TrackListener, WorkStart};
use super::facts;
use super::fingerprints::StagedTokens;
use super::odd::take_unreadable;
use super::quota::TrackTime;
use super::requester::{StopReason, Ticket};
use super::retry_queue::{Job, Missed, NextJob, RetryDecision};
use super::rounds::Round;
use super::writer::{AnswerRows, InsertBatch};
use super::{Gauges, add, rate, read, seconds};
use crate::ids::TokenId;
use crate::outcome::Outcome;
use crate::proof::Mapping;
use crate::results::{Percentage, RoundCounts, Seconds, Track};
use crate::source::Source;
use crate::store::staging::{NotFoundRow, RejectedRow, StagedRow};
use crate::store::{Store, StoreError};
use crate::upstream::{Answer, NOBODY, TokenFacts, Upstream, UpstreamError};

/// Tokens that are read from a list at once.
const PAGE: u64 = 20_000;

/// One source that is asked for tokens.
pub struct LookupTrack {
    engine: Arc<Engine>,
    own: Arc<LookupWork>,
    resumed: u64,
    /// When its own list was at its end.
    own_ended: Mutex<TrackTime>,
    rounds: Mutex<RoundCounts>,
    /// Tokens of rounds that got no usable answer: they are not taken up again.
    unanswered: Mutex<HashSet<TokenId>>,
    /// Whether a round was interrupted.
    round_cut: AtomicBool,
    /// Why it could not go on, where the tracks beside it took over what it had left.
    left: Mutex<Option<String>>,
}

impl LookupTrack {
    /// Takes the track's lock, reads its checkpoint and its tables, and gets ready to run.
    ///
    /// # Errors
    /// [`TrackError`]; nothing was asked of the source then.
    pub async fn open(
        upstream: Box<dyn Upstream>,
        store: Store,
        config: TrackConfig,
        folder: &Path,
        listener: Arc<dyn TrackListener>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, TrackError> {
        let source = upstream.source();
        let file = Engine::lock(&store, folder, source).await?;
        let workload = store.workload(source).await?.ok_or(TrackError::NoWorkload(source.name()))?;
        let found = file.load(source, &workload.id)?;
        let staged = Arc::new(StagedTokens::default());
        staged.extend(store.staged_fingerprints(source).await?);
        let tally = store.tally(source).await?;
        let gauges = Gauges::new(source, tally.total, config.workers, &config.rate_limit);
        let resumed = tally.resolved + tally.not_found + tally.rejected;
        add(&gauges.processed, resumed);
        add(&gauges.resolved, tally.resolved);
        add(&gauges.inserted, tally.inserted);
        add(&gauges.not_found, tally.not_found);
        add(&gauges.rejected, tally.rejected);
        let mut limits = upstream.room();
        limits.tokens = config.batch_size.map_or(limits.tokens, |size| size.min(limits.tokens));
        let mut queue = BatchQueue::new(limits);
        queue.ask_last(found.iter().flat_map(Checkpoint::failed_tokens));
        let beginning = found
            .unwrap_or_else(|| Checkpoint::new(source, &workload.id, workload.total, jiff::Timestamp::now()));
        let engine = Engine::new(store, config, gauges, (file, beginning), listener, stop);
        let engine = Arc::new(engine);
        let own = Arc::new(LookupWork {
            engine: engine.clone(),
            upstream: upstream.into(),
            staged,
            beside: Mutex::default(),
            queue: Mutex::new(queue),
            round: None,
        });
        Ok(Arc::new(Self {
            engine,
            own,
            resumed,
            own_ended: Mutex::default(),
            rounds: Mutex::default(),
            unanswered: Mutex::default(),
            round_cut: AtomicBool::new(false),
            left: Mutex::default(),
        }))
    }

    /// Which source it is.
    pub fn source(&self) -> Source {
        self.engine.source
    }

    /// What it has staged, shared with the tracks beside it.
    pub fn staged(&self) -> Arc<StagedTokens> {
        self.own.staged.clone()
    }

    /// Passes over what the tracks beside this one stage: a market's two tokens may be in two workloads.
    pub fn set_peers(&self, staged: Vec<Arc<StagedTokens>>) {
        self.own.queue.lock().set_peers(staged.clone());
        *self.own.beside.lock() = staged;
    }

    /// Tokens a second that its limit lets it ask for.
    pub fn pace(&self) -> f64 {
        self.engine.gauges.allowed_per_second * self.own.queue.lock().limits().full() as f64
    }

    /// Whether it can be asked for more.
    pub fn is_live(&self) -> bool {
        !self.engine.requester.is_over()
    }

    /// Whether it has ended before its own list.
    pub fn has_ended_early(&self) -> bool {
        self.engine.requester.is_stopped() && !self.own.is_done()
    }

    /// The tokens of its own list that got no usable answer.
    pub fn failed(&self) -> HashSet<TokenId> {
        self.own.queue.lock().failed().iter().map(|gap| gap.first).collect()
    }

    /// Whether a round has asked for the token in vain.
    pub fn has_missed(&self, token: &TokenId) -> bool {
        self.unanswered.lock().contains(token)
    }

    /// Works through its own list.
    pub async fn run_own(&self) {
        self.engine.tell(TrackEventKind::TrackBegan(self.engine.gauges.clone()));
        self.engine.run(&self.own).await;
        *self.own_ended.lock() = self.engine.requester.now();
    }

    /// Works through a round, and says how many tokens it took up.
    pub async fn run_round(self: Arc<Self>, round: Round) -> u64 {
        let limits = self.own.queue.lock().limits();
        let mut queue = BatchQueue::new(limits);
        queue.set_peers(self.own.beside.lock().clone());
        let work = Arc::new(LookupWork {
            engine: self.engine.clone(),
            upstream: self.own.upstream.clone(),
            staged: self.own.staged.clone(),
            beside: Mutex::new(self.own.beside.lock().clone()),
            queue: Mutex::new(queue),
            round: Some(RoundWork { round, own: self.own.clone(), counts: Mutex::default() }),
        });
        self.engine.run(&work).await;
        let counts = work.round.as_ref().map(|it| *it.counts.lock()).unwrap_or_default();
        let queue = work.queue.lock();
        let cut = self.engine.stop.is_cancelled() && !queue.is_done();
        self.round_cut.fetch_or(cut, Ordering::Relaxed);
        self.unanswered.lock().extend(queue.failed().iter().map(|gap| gap.first));
        self.rounds.lock().add(&counts);
        counts.tokens
    }

    /// Notes that the tracks beside this one take over what it has left.
    pub fn leave_to_others(&self) {
        let Some(why) = self.engine.requester.stop_reason() else { return };
        self.engine.tell(TrackEventKind::LeftToOthers { why: &why });
        *self.left.lock() = Some(why);
    }

    /// Counts by the tables and saves for the last time, when the tracks `beside` it are at their end too. `settled`
    /// says whether one of them could ask for all that this one has left.
    ///
    /// # Errors
    /// ClickHouse failed, or the source could not be used and nobody took over.
    pub async fn finish(&self, beside: &[Source], settled: bool) -> Result<Track, TrackError> {
        let engine = &self.engine;
        engine.tell(TrackEventKind::TrackEnded);
        match engine.requester.take_stop_reason() {
            Some(StopReason::Store(error)) => return Err(error.into()),
            Some(StopReason::Unusable(reason)) if !engine.requester.ever_answered() => {
                if self.own.is_done() {
                    // Nothing of its own was left to ask: who only helps may fail.
                    engine.tell(TrackEventKind::CannotHelp(&reason));
                } else if !settled {
                    return Err(TrackError::Unusable { track: self.source().name(), reason });
                }
            }
            _ => {}
        }
        self.result(beside).await
    }

    async fn result(&self, beside: &[Source]) -> Result<Track, TrackError> {
        let (engine, gauges) = (&self.engine, &self.engine.gauges);
        let left = self.left.lock().clone();
        // What others were answered about tokens that were left to them counts like an answer of its own.
        let by: Vec<Source> = match left {
            Some(_) => beside.iter().copied().chain([self.source()]).collect(),
            None => vec![self.source()],
        };
        let tally = engine.store.tally_by(self.source(), &by).await?;
        let answered = tally.resolved + tally.not_found + tally.rejected;
        let failed = self.own.failed_for_good().min(tally.total.saturating_sub(answered));
        let stopped = engine.stop.is_cancelled();
        let outcome = match failed == 0 && answered == tally.total {
            true if !self.round_cut.load(Ordering::Relaxed) => Outcome::Done,
            _ if stopped => Outcome::Interrupted,
            _ => Outcome::WorkLeft,
        };
        let progress = Progress {
            processed: answered + failed,
            inserted: tally.inserted,
            not_found: tally.not_found,
            rejected: tally.rejected,
            failed,
        };
        engine.save(|checkpoint| {
            self.own.record(checkpoint);
            checkpoint.progress = progress;
        });
        if left.is_some() {
            engine.tell(TrackEventKind::TakenOver {
                total: tally.total,
                resolved: tally.resolved,
                unknown: tally.not_found + tally.rejected,
                open: tally.total.saturating_sub(answered),
            });
        }
        let own_took = *self.own_ended.lock();
        let took = match engine.requester.last_acknowledged() {
            Duration::ZERO => own_took,
            last => last,
        };
        let rounds = *self.rounds.lock();
        Ok(Track {
            phase: self.source().name().to_owned(),
            total: tally.total,
            processed: answered + failed,
            inserted: tally.inserted,
            not_found: tally.not_found,
            rejected: tally.rejected,
            failed,
            coverage_pct: Percentage::floored(tally.resolved, tally.total),
            requests: read(&gauges.requests),
            throttled: read(&gauges.throttled),
            retries: read(&gauges.retries),
            resumed: self.resumed,
            odd_records: engine.odd_records(),
            ended_early: left,
            round: (rounds.tokens > 0).then_some(rounds),
            tokens_per_second: rate((answered + failed).saturating_sub(self.resumed), own_took),
            elapsed_seconds: Seconds(seconds(gauges.began.duration_since(engine.config.started) + took)),
            work_seconds: Seconds(seconds(engine.requester.work())),
            track_seconds: Seconds(seconds(took)),
            resolved: tally.resolved,
            outcome,
        })
    }
}

impl RoundCounts {
    fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.resolved += other.resolved;
        self.not_found += other.not_found;
        self.rejected += other.rejected;
        self.failed += other.failed;
    }
}

/// A list of tokens and whoever is asked for them.
struct LookupWork {
    engine: Arc<Engine>,
    upstream: Arc<dyn Upstream>,
    /// Every token in this track's staging table: none is staged twice.
    staged: Arc<StagedTokens>,
    /// What the tracks beside it have staged.
    beside: Mutex<Vec<Arc<StagedTokens>>>,
    queue: Mutex<BatchQueue>,
    /// The round that it is, where it is not the track's own list.
    round: Option<RoundWork>,
}

struct RoundWork {
    round: Round,
    own: Arc<LookupWork>,
    counts: Mutex<RoundCounts>,
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
    fn failed_for_good(&self) -> u64 {
        let failed: Vec<TokenId> = self.queue.lock().failed().iter().map(|gap| gap.first).collect();
        failed.iter().filter(|token| !self.is_staged(token)).count() as u64
    }

    /// Waits for room in the queue; `false` where the track is over.
    async fn has_room(&self) -> bool {
        let requester = &self.engine.requester;
        let low = self.engine.config.workers * self.queue.lock().limits().tokens + PAGE as usize / 2;
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
        while self.has_room().await {
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

    /// Reads what is left of the lists of a round; `false` where the track was over before their end.
    async fn feed_round(&self, it: &RoundWork) -> Result<bool, StoreError> {
        let (writer, engine) = (self.engine.writer(), &self.engine);
        for owner in &it.round.owners {
            let mut after: Option<String> = None;
            loop {
                if !self.has_room().await {
                    return Ok(false);
                }
                let list = owner.list(engine.source);
                let page = writer.persist(|| engine.store.round_page(&list, after.as_deref(), PAGE)).await?;
                let tokens: Vec<TokenId> = page
                    .tokens
                    .iter()
                    .filter(|token| it.round.takes(owner, token))
                    .map(|it| it.token)
                    .collect();
                it.counts.lock().tokens += tokens.len() as u64;
                self.load(tokens);
                match page.last {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok(true)
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

    /// Makes rows of the mappings that are not staged yet and of what is told of them, and takes their tokens off the list.
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
    type Answer = Vec<Answer>;

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

    fn start_of(&self, tokens: &Vec<TokenId>) -> WorkStart {
        // A batch is made of at least one token.
        WorkStart::Token(tokens.first().copied().unwrap_or(NOBODY))
    }

    /// Asks for a batch, following an answer that says it has more.
    async fn ask(&self, batch: &Batch, mut ticket: Ticket) -> Result<Vec<Answer>, (Ticket, UpstreamError)> {
        let requester = &self.engine.requester;
        let mut pages: Vec<Answer> = Vec::new();
        loop {
            let more = pages.last().and_then(|page| page.more.as_deref());
            let answer = requester.ask(ticket, self.upstream.ask(&batch.part, more)).await?;
            let more = answer.more.clone();
            // A key that repeats itself would lead in a circle.
            let circle = more.is_some() && pages.last().is_some_and(|page| page.more == more);
            pages.push(answer);
            if circle || pages.len() > batch.part.len() + 1 {
                return Err((ticket, UpstreamError::Broken("an answer whose pages do not end".to_owned())));
            }
            if more.is_none() {
                return Ok(pages);
            }
            ticket = requester.another_ticket().await;
        }
    }

    async fn probe(&self) -> Result<(), UpstreamError> {
        self.upstream.ask(&[NOBODY], None).await.map(|_| ())
    }

    /// Sorts an answer and makes rows of it.
    async fn rows(
        self: Arc<Self>,
        batch: &Job<Vec<TokenId>>,
        pages: Vec<Answer>,
    ) -> Result<AnswerRows, UpstreamError> {
        let mut classified = classify(&batch.part, &pages, &self.engine.config.policy);
        pages.iter().for_each(|page| self.engine.count_odd(&page.odd));
        let unreadable = take_unreadable(&mut classified, &pages);
        let mut rows = AnswerRows { job: batch.number, ..AnswerRows::default() };
        rows.resolved = (batch.part.len() - classified.unresolved().count() - unreadable.len()) as u64;
        let doubted = classified.doubted().into_iter().chain(unreadable.iter().map(|it| it.token));
        let finally: HashSet<TokenId> = {
            let mut queue = self.queue.lock();
            queue.answered(batch);
            queue.load(classified.again.iter().copied());
            queue.doubt(doubted).finally.into_iter().collect()
        };
        self.without_mapping(&mut rows, &classified, &finally);
        let (now, track) = (unix_time(), self.engine.source.name());
        let lost = unreadable.into_iter().filter(|it| finally.contains(&it.token));
        rows.rejected.extend(lost.map(|it| it.row(track, now)));
        self.stage(&mut rows, classified.mappings, pages.into_iter().flat_map(|page| page.facts));
        Ok(rows)
    }

    fn no_answer(&self, batch: Batch, error: &UpstreamError, missed: &Missed<'_>) {
        let tokens = batch.part.len() as u64;
        if self.queue.lock().no_answer(batch, missed) == RetryDecision::Failed {
            self.count_failed(tokens, error);
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
