//! [`Engine`]: drives one source through its workload. It does not know which source that is.
//!
//! A reader keeps the [`Desk`] filled from the workload, `WORKER_COUNT` workers take batches from it as the [`Quota`]
//! allows, and one writer turns their answers into large inserts and then saves the checkpoint. Where the source has
//! nothing left, its workers help the tracks beside it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::breaker::Passage;
use super::checkpoint::{Checkpoint, CheckpointError, CheckpointFile, Gap, Progress};
use super::desk::{Batch, Consequence, Desk, Order, Tried};
use super::events::{TrackEvent, TrackEventKind, TrackListener, WorkStart};
use super::fingerprints::Fingerprints;
use super::judge::{Rules, Verdict, judge};
use super::line::{End, Line, Look, lock, pause};
use super::quota::{Moment, Slot};
use super::writer::{Delivery, Load, Writer};
use super::{Ending, Gauges, TrackResult, UnderWay, add, floored_percent, rate, read, seconds};
use crate::ids::TokenId;
use crate::source::Source;
use crate::store::staging::{NotFoundRow, RejectedRow};
use crate::store::workload::Workload;
use crate::store::{Store, StoreError};
use crate::upstream::{Answer, Upstream, UpstreamError};
use crate::values::RateLimit;
use tokio_util::sync::CancellationToken;

/// Tokens that are read from the workload at once.
const PAGE: u64 = 20_000;

/// How long a worker may be at one batch before the operator is told.
const STALLED: Duration = Duration::from_secs(60);

/// How a track works.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Requests under way at once.
    pub workers: usize,
    /// Tokens in a request, where the user wants fewer than fit.
    pub batch_size: Option<usize>,
    /// Whether the API was asked once a moment ago, which its limit counts.
    pub probed: bool,
    /// The API's limit.
    pub rate_limit: RateLimit,
    /// How long an outage may last.
    pub give_up_after: Duration,
    /// How claims are proven.
    pub rules: Rules,
    /// When the process started.
    pub started: Instant,
}

/// Why a track could not be run at all, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// `setup` has not run for this track.
    #[error("the {0} track has no workload: run `backfill setup` first")]
    NoWorkload(&'static str),
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// ClickHouse failed at the start, or for longer than an outage may last.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source does not let us in, or is not there.
    #[error("the {track} track cannot use its API: {reason}")]
    Unusable {
        /// The track.
        track: &'static str,
        /// What the source says.
        reason: UpstreamError,
    },
}

/// One source at work on its workload.
pub struct Engine {
    source: Source,
    upstream: Box<dyn Upstream>,
    store: Store,
    plan: Plan,
    file: CheckpointFile,
    gauges: Arc<Gauges>,
    listener: Arc<dyn TrackListener>,
    stop: CancellationToken,
    line: Line,
    desk: Mutex<Desk>,
    /// Fingerprints of every token in this track's staging table: no token is staged twice.
    staged: Mutex<Fingerprints>,
    /// Batches that are answered but not acknowledged.
    unwritten: Mutex<HashMap<u64, Gap>>,
    /// Work came, went or ended: whoever waits looks again.
    changed: Arc<Notify>,
    /// The tracks beside this one.
    peers: OnceLock<Vec<Weak<Engine>>>,
    beginning: Checkpoint,
    resumed: u64,
    /// Whether its workers are there to help.
    working: AtomicBool,
    /// Whether nobody shall take anything from its desk any more.
    closed: AtomicBool,
    /// Why it could not go on, where the tracks beside it took over what it had left.
    left: OnceLock<String>,
}

/// A batch and whose it is.
struct Task {
    batch: Batch,
    /// The track that lent it, where it is not our own.
    lender: Option<Arc<Engine>>,
}

impl Engine {
    /// Takes the track's lock, reads its checkpoint and its tables, and gets ready to run.
    ///
    /// # Errors
    /// [`TrackError`]; nothing was asked of the source then.
    pub async fn open(
        upstream: Box<dyn Upstream>,
        store: Store,
        plan: Plan,
        folder: &std::path::Path,
        listener: Arc<dyn TrackListener>,
        stop: CancellationToken,
        changed: Arc<Notify>,
    ) -> Result<Arc<Self>, TrackError> {
        let source = upstream.source();
        let file = CheckpointFile::lock(folder, source)?;
        let workload = store.workload(source).await?.ok_or(TrackError::NoWorkload(source.name()))?;
        let found = file.load(source, &workload.id)?;
        if let Err(error) = store.end_orphaned_inserts(source.name()).await {
            // Not every user may end queries, and mostly there is none to end.
            tracing::info!("{error}; going on");
        }
        let mut staged = Fingerprints::default();
        staged.extend(store.staged_fingerprints(source).await?);
        let tally = store.tally(source).await?;
        let gauges = Gauges::new(source, tally.total, plan.workers, &plan.rate_limit);
        let resumed = tally.resolved + tally.not_found + tally.rejected;
        add(&gauges.processed, resumed);
        add(&gauges.resolved, tally.resolved);
        add(&gauges.inserted, tally.inserted);
        add(&gauges.not_found, tally.not_found);
        add(&gauges.rejected, tally.rejected);
        let mut room = upstream.room();
        room.tokens = plan.batch_size.map_or(room.tokens, |size| size.min(room.tokens));
        let beginning = found.unwrap_or_else(|| new_checkpoint(source, &workload));
        let gauges = Arc::new(gauges);
        let line = Line::new(
            gauges.clone(),
            listener.clone(),
            stop.clone(),
            changed.clone(),
            &plan.rate_limit,
            plan.give_up_after,
        );
        if plan.probed {
            line.was_probed();
        }
        Ok(Arc::new(Self {
            source,
            upstream,
            store,
            plan,
            file,
            gauges,
            listener,
            stop,
            line,
            desk: Mutex::new(Desk::new(room)),
            staged: Mutex::new(staged),
            unwritten: Mutex::default(),
            changed,
            peers: OnceLock::new(),
            beginning,
            resumed,
            working: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            left: OnceLock::new(),
        }))
    }

    /// Names the tracks that run beside this one: whoever ends first helps the others.
    pub fn beside(&self, peers: Vec<Weak<Engine>>) {
        // Set once, before the tracks run; a second call would change nothing.
        let _ = self.peers.set(peers);
    }

    fn tell(&self, kind: TrackEventKind<'_>) {
        self.listener.on_track_event(&TrackEvent { source: self.source, kind });
    }

    fn writer(&self) -> Writer {
        Writer::new(self.store.clone(), self.source, self.plan.give_up_after, self.listener.clone())
    }

    /// What this track shows of itself.
    pub fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }

    /// Works until the workload is done, the source or ClickHouse gives out, or a stop is asked for, and says when the
    /// last row was acknowledged.
    ///
    /// # Errors
    /// [`TrackError`]; what was done until then is saved.
    pub async fn run(self: Arc<Self>) -> Result<Instant, TrackError> {
        self.tell(TrackEventKind::TrackBegan(self.gauges.clone()));
        let (deliveries, delivered) = mpsc::channel(16);
        let writer = tokio::spawn(self.clone().write(delivered));
        let reader = tokio::spawn(self.clone().fill());
        let watchdog = tokio::spawn(self.clone().watch());
        let mut workers: JoinSet<()> =
            (1..=self.plan.workers).map(|number| self.clone().work(number, deliveries.clone())).collect();
        drop(deliveries);
        while let Some(worker) = workers.join_next().await {
            if worker.is_err() {
                // It panicked, which is a defect, and has told so itself. Its batch counts as open, which the others
                // would wait for.
                self.end(End::Outage);
            }
        }
        let _ = writer.await;
        self.working.store(false, Ordering::Relaxed);
        let ended = self.line.why_ended();
        if let Some(End::Unusable(_) | End::Outage) = &ended {
            self.leave_to_others(ended.as_ref()).await;
        }
        // What was not found by a track that came to its end the others may still try.
        self.closed.store(ended.is_some(), Ordering::Relaxed);
        self.line.changed();
        reader.abort();
        watchdog.abort();
        self.tell(TrackEventKind::TrackEnded);
        let at = Instant::now();
        if let Some(End::Store(error)) = ended {
            return Err(error.into());
        }
        if let Some(End::Unusable(reason)) = ended {
            let (ever_answered, done) = {
                let desk = lock(&self.desk);
                (desk.breaker().ever_answered(), desk.is_done())
            };
            if !ever_answered && done {
                // Nothing of its own was left to ask: who only helps may fail.
                self.tell(TrackEventKind::CannotHelp(&reason));
            } else if !ever_answered && !self.is_settled() {
                return Err(TrackError::Unusable { track: self.source.name(), reason });
            }
        }
        Ok(at)
    }

    /// Waits while the tracks beside this one, which cannot go on itself, ask for what it has left.
    async fn leave_to_others(&self, ended: Option<&End>) {
        if self.stop.is_cancelled() || !self.others().any(|peer| peer.is_working()) {
            return;
        }
        let why = match ended {
            Some(End::Unusable(reason)) => reason.to_string(),
            _ => "its API stayed down".to_owned(),
        };
        self.tell(TrackEventKind::LeftToOthers { why: &why });
        let _ = self.left.set(why);
        lock(&self.desk).abandon();
        self.line.changed();
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let helped = !self.stop.is_cancelled() && self.others().any(|peer| peer.is_working());
            if !helped || self.is_settled() || self.closed.load(Ordering::Relaxed) {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Whether every token is answered by whoever could be asked.
    fn is_settled(&self) -> bool {
        // One desk at a time: see `nothing_is_left`.
        let working: Vec<Source> =
            self.others().filter(|peer| peer.is_working()).map(|peer| peer.source).collect();
        let desk = lock(&self.desk);
        let tried = !working.into_iter().any(|peer| desk.has_second_tries(peer));
        self.left.get().is_some() && desk.is_done() && tried
    }

    /// Whether it can help the tracks beside it.
    fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed) && !self.is_over()
    }

    /// Counts by the tables and saves for the last time. Where tracks run side by side, all of them have to be at
    /// their end, this one's `at`: what one has left to another is counted when that one has written it.
    ///
    /// # Errors
    /// ClickHouse cannot be asked.
    pub async fn finish(&self, at: Instant) -> Result<TrackResult, TrackError> {
        // What others were answered about tokens that were left to them counts like an answer of its own.
        let by: Vec<Source> = match self.left.get() {
            Some(_) => self.others().map(|peer| peer.source).chain([self.source]).collect(),
            None => vec![self.source],
        };
        let tally = self.store.tally_by(self.source, &by).await?;
        let (done, gaps) = {
            let desk = lock(&self.desk);
            (desk.is_done(), desk.gaps())
        };
        let failed: u64 = gaps.iter().filter(|gap| gap.failure.is_some()).map(|gap| gap.tokens as u64).sum();
        let answered = tally.resolved + tally.not_found + tally.rejected;
        let ending = match (done, self.stop.is_cancelled()) {
            (true, _) if failed == 0 && answered == tally.total => Ending::Complete,
            (false, true) => Ending::Interrupted,
            _ => Ending::WorkLeft,
        };
        let progress = Progress {
            processed: answered + failed,
            inserted: tally.inserted,
            not_found: tally.not_found,
            rejected: tally.rejected,
            failed,
        };
        self.save(progress);
        if self.left.get().is_some() {
            self.tell(TrackEventKind::TakenOver {
                total: tally.total,
                resolved: tally.resolved,
                unknown: tally.not_found + tally.rejected,
                open: tally.total.saturating_sub(answered),
            });
        }
        let took = at - self.gauges.began;
        let this_run = (answered + failed).saturating_sub(self.resumed);
        Ok(TrackResult {
            phase: self.source.name(),
            total: tally.total,
            processed: answered + failed,
            inserted: tally.inserted,
            not_found: tally.not_found,
            rejected: tally.rejected,
            failed,
            coverage_pct: floored_percent(tally.resolved, tally.total),
            requests: read(&self.gauges.requests),
            throttled: read(&self.gauges.throttled),
            retries: read(&self.gauges.retries),
            resumed: self.resumed,
            ended_early: self.left.get().cloned(),
            tokens_per_second: rate(this_run, took),
            elapsed_seconds: seconds(at - self.plan.started),
            work_seconds: seconds(self.line.work()),
            track_seconds: seconds(took),
            resolved: tally.resolved,
            source: self.source,
            ending,
        })
    }

    /// Keeps the desk filled.
    async fn fill(self: Arc<Self>) {
        let low = self.plan.workers * lock(&self.desk).room().tokens + PAGE as usize / 2;
        let writer = self.writer();
        let mut after: Option<String> = None;
        if self.others().next().is_some() {
            // What an earlier run did not find, and was interrupted before another track could try.
            match writer.persist(|| self.store.unresolved(self.source)).await {
                Ok(unfound) => {
                    let mut desk = lock(&self.desk);
                    for it in unfound {
                        desk.not_found_by(
                            it.token,
                            Tried::by(it.asked.into_iter().filter(|by| *by != self.source)),
                        );
                    }
                }
                Err(error) => {
                    self.closed.store(true, Ordering::Relaxed);
                    return self.end(End::Store(error));
                }
            }
        }
        // For as long as somebody asks for what is read.
        while !self.stop.is_cancelled() && !self.closed.load(Ordering::Relaxed) {
            let changed = self.changed.notified();
            if lock(&self.desk).pending() >= low {
                changed.await;
                continue;
            }
            let page = writer.persist(|| self.store.workload_page(self.source, after.as_deref(), PAGE)).await;
            match page {
                Ok(page) => {
                    // What was staged since the page was read, or is not yet acknowledged, is in memory only.
                    let (known, open): (Vec<_>, Vec<_>) =
                        page.open.into_iter().partition(|token| self.is_staged(token));
                    add(&self.gauges.processed, known.len() as u64);
                    add(&self.gauges.resolved, known.len() as u64);
                    let mut desk = lock(&self.desk);
                    desk.load(open);
                    if page.last.is_none() {
                        desk.all_read();
                    }
                    drop(desk);
                    self.changed.notify_waiters();
                    match page.last {
                        Some(last) => after = Some(last),
                        None => return,
                    }
                }
                Err(error) => {
                    self.closed.store(true, Ordering::Relaxed);
                    return self.end(End::Store(error));
                }
            }
        }
    }

    /// Whether this track, or one that runs beside it, has the token staged.
    fn is_staged(&self, token: &TokenId) -> bool {
        let fingerprint = token.fingerprint();
        lock(&self.staged).contains(fingerprint)
            || self.others().any(|peer| lock(&peer.staged).contains(fingerprint))
    }

    fn others(&self) -> impl Iterator<Item = Arc<Engine>> {
        self.peers.get().into_iter().flatten().filter_map(Weak::upgrade)
    }

    fn is_over(&self) -> bool {
        self.line.is_over()
    }

    fn end(&self, end: End) {
        self.line.end(end);
    }

    /// One worker: takes what there is to do, asks, delivers.
    async fn work(self: Arc<Self>, number: usize, deliveries: mpsc::Sender<Delivery>) {
        while let Some((task, slot)) = self.line.next(|| self.look()).await {
            if let Some(first) = task.batch.tokens.first() {
                let since = Instant::now();
                self.gauges.under_way().insert(number, UnderWay { token: *first, since, told: false });
            }
            add(&self.gauges.active, 1);
            let answer = self.ask(&task, slot).await;
            self.gauges.active.fetch_sub(1, Ordering::Relaxed);
            let delivery = match answer {
                Ok(pages) => Some(self.answered(task, &pages)),
                Err(error) => self.no_answer(task, error),
            };
            if let Some(delivery) = delivery
                && deliveries.send(delivery).await.is_err()
            {
                // The writer has ended, and with it the track.
                return;
            }
            self.gauges.under_way().remove(&number);
        }
    }

    /// One look at the quota and the desk, and, where that is done, at the desks beside it.
    fn look(&self) -> Look<Task> {
        self.line.look(
            || self.nothing_is_left(),
            |now| {
                let order = lock(&self.desk).take(now);
                match order {
                    Order::Ask(batch) => Order::Ask(Task { batch, lender: None }),
                    Order::WaitUntil(moment) => Order::WaitUntil(moment),
                    Order::Wait => Order::Wait,
                    Order::Done => self.borrow(now),
                }
            },
        )
    }

    /// Work of the tracks beside this one, also of those that cannot go on.
    fn borrow(&self, now: Moment) -> Order<Task> {
        let (room, passage) = {
            let desk = lock(&self.desk);
            (desk.room(), desk.breaker().passage(now))
        };
        match passage {
            // What is borrowed is asked of the same host.
            Passage::Until(_) | Passage::Wait if self.nothing_is_left() => return Order::Done,
            Passage::Until(moment) => return Order::WaitUntil(moment),
            Passage::Wait => return Order::Wait,
            Passage::Free | Passage::Probe => {}
        }
        let mut others_work = false;
        for lender in self.lenders() {
            let mut desk = lock(&lender.desk);
            if let Some(mut batch) = desk.lend(room, self.source) {
                drop(desk);
                lock(&self.desk).borrowed(&mut batch, passage);
                return Order::Ask(Task { batch, lender: Some(lender) });
            }
            others_work |= !desk.is_done() || desk.has_second_tries(self.source);
        }
        if others_work { Order::Wait } else { Order::Done }
    }

    fn lenders(&self) -> impl Iterator<Item = Arc<Engine>> {
        self.others().filter(|lender| !lender.closed.load(Ordering::Relaxed))
    }

    /// Whether neither this track nor one beside it has anything that could be asked here.
    fn nothing_is_left(&self) -> bool {
        // One desk at a time: two tracks that each held their own and wanted the other's would wait for ever.
        let done = lock(&self.desk).is_done();
        done && self.lenders().all(|lender| {
            let desk = lock(&lender.desk);
            desk.is_done() && !desk.has_second_tries(self.source)
        })
    }

    /// Asks for a batch, following an answer that says it has more.
    async fn ask(&self, task: &Task, mut slot: Slot) -> Result<Vec<Answer>, (Slot, UpstreamError)> {
        let mut pages: Vec<Answer> = Vec::new();
        loop {
            let more = pages.last().and_then(|page| page.more.as_deref());
            let answer = self.line.ask(slot, self.upstream.ask(&task.batch.tokens, more)).await?;
            let more = answer.more.clone();
            // A key that repeats itself would lead in a circle.
            let circle = more.is_some() && pages.last().is_some_and(|page| page.more == more);
            pages.push(answer);
            if circle || pages.len() > task.batch.tokens.len() + 1 {
                return Err((slot, UpstreamError::Broken("an answer whose pages do not end".to_owned())));
            }
            if more.is_none() {
                return Ok(pages);
            }
            slot = self.line.another_slot().await;
        }
    }

    /// Sorts an answer and makes rows of it.
    fn answered(&self, task: Task, pages: &[Answer]) -> Delivery {
        let Task { batch, lender } = task;
        let verdict = judge(&batch, pages, &self.plan.rules);
        if lock(&self.desk).host_answered() {
            self.line.answers_again();
        }
        let delivery = match lender {
            None => self.own_answer(&batch, verdict),
            Some(lender) => self.lent_answer(&lender, &batch, verdict),
        };
        self.changed.notify_waiters();
        delivery
    }

    fn own_answer(&self, batch: &Batch, verdict: Verdict) -> Delivery {
        let mut delivery = Delivery { batch: batch.number, ..Delivery::default() };
        let gap = Gap {
            first: batch.tokens[0],
            last: batch.tokens[batch.tokens.len() - 1],
            tokens: batch.tokens.len(),
            failure: None,
        };
        lock(&self.unwritten).insert(batch.number, gap);
        let unresolved = verdict.unresolved().count();
        delivery.resolved = (batch.tokens.len() - unresolved) as u64;
        let doubted = verdict.doubted();
        {
            let mut desk = lock(&self.desk);
            let finally = desk.answered(batch.number, doubted).into_iter().collect();
            desk.load(verdict.again.iter().copied());
            self.without_mapping(&mut delivery, &verdict, &finally);
            // Under the same lock: in between, the tracks beside this one would take it to be at its end.
            if self.others().next().is_some() {
                desk.did_not_find(delivery.not_found.iter().map(|row| row.token_id));
                desk.did_not_find(delivery.rejected.iter().map(|row| row.token_id));
            }
        }
        self.stage(&mut delivery, verdict.mappings);
        delivery
    }

    /// What we did not find of another track's tokens that track asks itself, or else the next one.
    fn lent_answer(&self, lender: &Engine, batch: &Batch, verdict: Verdict) -> Delivery {
        let mut delivery = Delivery { batch: 0, lent: true, ..Delivery::default() };
        let resolved = (batch.tokens.len() - verdict.unresolved().count()) as u64;
        {
            let mut desk = lock(&lender.desk);
            let doubts = desk.doubt(verdict.doubted());
            let finally: HashSet<TokenId> = doubts.finally.into_iter().collect();
            self.without_mapping(&mut delivery, &verdict, &finally);
            let unfound = verdict.not_found.iter().chain(&finally).copied();
            desk.handed_back(batch, self.source, unfound, doubts.again.into_iter().chain(verdict.again));
        }
        // What its own track has not found is counted as processed already.
        if !batch.is_second_try() {
            let left = if lender.left.get().is_some() {
                delivery.not_found.len() + delivery.rejected.len()
            } else {
                0
            };
            add(&lender.gauges.processed, resolved + left as u64);
        }
        add(&lender.gauges.resolved, resolved);
        self.stage(&mut delivery, verdict.mappings);
        delivery
    }

    /// Makes rows of what has no mapping: tokens that the source does not know, and, of the doubted ones, those that
    /// are so `finally`.
    fn without_mapping(&self, delivery: &mut Delivery, verdict: &Verdict, finally: &HashSet<TokenId>) {
        let (now, track) = (unix_time(), self.source.name());
        let unknown = verdict.missing.iter().filter(|token| finally.contains(token));
        delivery.not_found = (verdict.not_found.iter().chain(unknown))
            .map(|token| NotFoundRow { track, token_id: *token, asked_at: now })
            .collect();
        let refuted = verdict.rejected.iter().filter(|it| finally.contains(&it.claim.token));
        delivery.rejected = refuted
            .map(|it| RejectedRow {
                track,
                token_id: it.claim.token,
                claimed_condition: it.claim.condition.clone(),
                claimed_index: it.claim.outcome_index.map(|index| index.to_string()).unwrap_or_default(),
                claimed_label: it.claim.label.clone(),
                reason: it.reason.to_owned(),
                rejected_at: now,
            })
            .collect();
    }

    /// Makes rows of the mappings that are not staged yet, and takes their tokens off every list.
    fn stage(&self, delivery: &mut Delivery, mappings: Vec<super::judge::Mapping>) {
        let fetched_at = unix_time();
        let mut staged = lock(&self.staged);
        let fresh: Vec<_> =
            mappings.into_iter().filter(|mapping| staged.insert(mapping.token.fingerprint())).collect();
        drop(staged);
        {
            let mut desk = lock(&self.desk);
            delivery.resolved += fresh.iter().filter(|mapping| desk.known(&mapping.token)).count() as u64;
        }
        for peer in self.others() {
            let mut desk = lock(&peer.desk);
            let known = fresh.iter().filter(|mapping| desk.known(&mapping.token)).count() as u64;
            add(&peer.gauges.processed, known);
            add(&peer.gauges.resolved, known);
        }
        let row = |mapping: super::judge::Mapping| mapping.staged(self.source, fetched_at);
        delivery.staged = fresh.into_iter().map(row).collect();
    }

    /// Decides what happens to a batch without an answer, and whether the track goes on.
    fn no_answer(&self, task: Task, (slot, error): (Slot, UpstreamError)) -> Option<Delivery> {
        let Task { batch, lender } = task;
        let breaker = *lock(&self.desk).breaker();
        let at_start = !breaker.ever_answered();
        let fault = self.line.fault(slot, &error, Desk::attempts(&batch), &breaker);
        let failures = breaker.failures_in_a_row().max(Desk::attempts(&batch));
        if let Some(lender) = lender {
            let breaker = {
                let mut desk = lock(&self.desk);
                desk.no_answer_to_borrowed(&batch, fault, self.line.now(), pause(failures));
                *desk.breaker()
            };
            let blamed = !matches!(error, UpstreamError::Throttled { .. } | UpstreamError::Unreachable(_));
            lock(&lender.desk).not_answered_elsewhere(&batch, self.source, blamed);
            self.line.failed(error, at_start, &breaker);
            return None;
        }
        let mut desk = lock(&self.desk);
        let tokens = batch.tokens.len() as u64;
        let consequence = desk.no_answer(batch, fault, &error.to_string(), self.line.now(), pause(failures));
        let breaker = *desk.breaker();
        drop(desk);
        if let Consequence::Failed(_) = consequence {
            add(&self.gauges.failed, tokens);
            add(&self.gauges.processed, tokens);
            self.tell(TrackEventKind::BatchFailed { tokens, error: &error });
        }
        self.line.failed(error, at_start, &breaker);
        None
    }

    /// Writes what is delivered, and saves the checkpoint behind each insert.
    async fn write(self: Arc<Self>, deliveries: mpsc::Receiver<Delivery>) {
        let writer = self.writer();
        if let Err(error) = writer.run(deliveries, &|load| self.acknowledged(load)).await {
            self.end(End::Store(error));
        }
    }

    /// The rows are there: now the gauges and the checkpoint may say so.
    fn acknowledged(&self, load: &Load) {
        self.line.acknowledged();
        let mut unwritten = lock(&self.unwritten);
        load.batches.iter().for_each(|batch| {
            unwritten.remove(batch);
        });
        drop(unwritten);
        let gauges = &self.gauges;
        let (not_found, rejected) = (load.own_not_found, load.own_rejected);
        add(&gauges.inserted, load.staged.len() as u64);
        add(&gauges.written, load.rows() as u64);
        add(&gauges.not_found, not_found);
        add(&gauges.rejected, rejected);
        add(&gauges.resolved, load.resolved);
        add(&gauges.processed, load.resolved + not_found + rejected);
        self.save(Progress {
            processed: read(&gauges.processed),
            inserted: read(&gauges.inserted),
            not_found: read(&gauges.not_found),
            rejected: read(&gauges.rejected),
            failed: read(&gauges.failed),
        });
    }

    /// Replaces the checkpoint. Where that fails (a full disk) the work goes on: the tables are the truth, and the
    /// next insert tries again.
    fn save(&self, progress: Progress) {
        let (last_token, mut gaps) = {
            let desk = lock(&self.desk);
            (desk.last_taken(), desk.gaps())
        };
        gaps.extend(lock(&self.unwritten).values().cloned());
        gaps.sort_unstable_by_key(|gap| gap.first);
        let checkpoint = Checkpoint {
            progress,
            last_token: last_token.or(self.beginning.last_token),
            gaps,
            updated_at: jiff::Timestamp::now(),
            ..self.beginning.clone()
        };
        match self.file.save(&checkpoint) {
            Ok(()) => self.line.saved(checkpoint.updated_at),
            Err(error) => self.tell(TrackEventKind::CheckpointNotSaved(&error)),
        }
    }

    /// Tells the operator of workers that make no headway.
    async fn watch(self: Arc<Self>) {
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        loop {
            beat.tick().await;
            for (worker, batch) in self.gauges.under_way().iter_mut() {
                let stalled = batch.since.elapsed();
                if stalled > STALLED && !batch.told {
                    batch.told = true;
                    self.tell(TrackEventKind::Stalled {
                        worker: *worker,
                        time: stalled,
                        at: WorkStart::Token(&batch.token),
                    });
                }
            }
        }
    }
}

pub(super) fn unix_time() -> u32 {
    u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX)
}

fn new_checkpoint(source: Source, workload: &Workload) -> Checkpoint {
    Checkpoint::new(source, &workload.id, workload.total, jiff::Timestamp::now())
}
