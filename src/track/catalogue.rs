//! [`Crawl`]: drives one catalogue from its first page to its last. It does not know which source that is.
//!
//! What it shares with the [`Engine`](super::engine::Engine): the quota, the reading of failures and the breaker
//! ([`Line`]), the proof, the writer, the checkpoint. Its work is the catalogue's [`Pages`] instead of tokens: all of
//! what they list is kept, and what is traded and unmapped of it is staged.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::{Notify, mpsc};

use super::checkpoint::{Checkpoint, CheckpointFile, Progress};
use super::desk::Order;
use super::engine::{Plan, TrackError, unix_time};
use super::events::{TrackEvent, TrackEventKind, TrackListener};
use super::fingerprints::Fingerprints;
use super::judge::{Mapping, NO_PROOF, Rules};
use super::line::{End, Line, Look, lock, pause};
use super::pages::{Consequence, Page, PageGap, Pages, Position, Reception};
use super::quota::Slot;
use super::traded::Traded;
use super::writer::{Delivery, Load, Writer};
use super::{Ending, Gauges, TrackResult, add, floored_percent, rate, read, seconds};
use crate::ctf;
use crate::ids::ConditionId;
use crate::source::Source;
use crate::store::Store;
use crate::store::catalogue::{ListedRow, UNPROVEN_INDEX};
use crate::store::staging::RejectedRow;
use crate::upstream::UpstreamError;
use crate::upstream::catalogue::{Catalogue, CataloguePage, Listing};
use tokio_util::sync::CancellationToken;

/// What a catalogue's track did: the fields of every track, of which the workload is all unmapped traded tokens, and
/// the catalogue's own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CatalogueResult {
    /// As for every track.
    #[serde(flatten)]
    pub track: TrackResult,
    /// Pages that list markets, those of the runs that this one has gone on from included.
    pub pages: u64,
    /// Markets on them.
    pub markets: u64,
    /// Of the pages, those that earlier runs had.
    pub pages_resumed: u64,
    /// Pages without a usable answer; asked for again by the next run.
    pub pages_failed: u64,
    /// Tokens that this run saw listed under a market that the hash proves.
    pub proven: u64,
    /// Tokens that this run saw listed under a market that the hash does not prove.
    pub unproven: u64,
}

/// One catalogue at work.
pub struct Crawl {
    source: Source,
    catalogue: Box<dyn Catalogue>,
    store: Store,
    plan: Plan,
    file: CheckpointFile,
    gauges: Arc<Gauges>,
    listener: Arc<dyn TrackListener>,
    stop: CancellationToken,
    line: Line,
    pages: Mutex<Pages>,
    /// Every traded token, and which of them wait for their mapping.
    traded: Traded,
    /// Fingerprints of every token in this track's staging table: no token is staged twice.
    staged: Mutex<Fingerprints>,
    /// Waiting tokens that were listed without a proof.
    rejected: Mutex<HashSet<u128>>,
    /// Pages that are answered but not acknowledged.
    unwritten: Mutex<HashMap<u64, PageGap>>,
    /// Pages and markets that are written, by this run and those before it.
    written_pages: AtomicU64,
    written_markets: AtomicU64,
    proven: AtomicU64,
    unproven: AtomicU64,
    beginning: Checkpoint,
    resumed: u64,
}

/// What a page is worth.
#[derive(Default)]
struct Weighed {
    listed: Vec<ListedRow>,
    mappings: Vec<Mapping>,
    rejected: Vec<RejectedRow>,
}

impl Crawl {
    /// Takes the track's lock, reads its checkpoint and its table, and gets ready to run. A catalogue that was read to
    /// its end is read again from the beginning.
    ///
    /// # Errors
    /// [`TrackError`]; nothing was asked of the source then.
    pub async fn open(
        catalogue: Box<dyn Catalogue>,
        store: Store,
        plan: Plan,
        traded: Traded,
        folder: &std::path::Path,
        listener: Arc<dyn TrackListener>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, TrackError> {
        let source = catalogue.source();
        let file = CheckpointFile::lock(folder, source)?;
        let identity = catalogue.identity();
        let found = file.load(source, &identity)?;
        if let Err(error) = store.end_orphaned_inserts(source.name()).await {
            // Not every user may end queries, and mostly there is none to end.
            tracing::info!("{error}; going on");
        }
        let mut staged = Fingerprints::default();
        let known = store.staged_fingerprints(source).await?;
        let gauges = Arc::new(Gauges::new(source, traded.open_count(), plan.workers, &plan.rate_limit));
        add(&gauges.inserted, known.iter().collect::<HashSet<_>>().len() as u64);
        staged.extend(known);
        let resumed = traded.open().filter(|fingerprint| staged.contains(*fingerprint)).count() as u64;
        add(&gauges.processed, resumed);
        add(&gauges.resolved, resumed);
        // The tables are the truth: without rows there is nothing to go on from.
        let found = if store.has_listed(source).await? { found } else { None };
        let beginning = found.filter(|it| it.catalogue.as_ref().is_some_and(|position| !position.complete));
        let beginning = beginning.unwrap_or_else(|| {
            let fresh = Checkpoint::new(source, &identity, traded.open_count(), jiff::Timestamp::now());
            Checkpoint { catalogue: Some(Position::default()), ..fresh }
        });
        let position = beginning.catalogue.clone().unwrap_or_default();
        // Pages that are not read again have told of these.
        let rejected: HashSet<u128> =
            store.rejected_fingerprints(source, beginning.started_at).await?.into_iter().collect();
        let rejected = traded.open().filter(|it| rejected.contains(it)).collect();
        let line = Line::new(
            gauges.clone(),
            listener.clone(),
            stop.clone(),
            Arc::new(Notify::new()),
            &plan.rate_limit,
            plan.give_up_after,
        );
        Ok(Arc::new(Self {
            source,
            catalogue,
            store,
            plan,
            file,
            gauges,
            listener,
            stop,
            line,
            pages: Mutex::new(Pages::new(&position)),
            traded,
            staged: Mutex::new(staged),
            rejected: Mutex::new(rejected),
            unwritten: Mutex::default(),
            written_pages: AtomicU64::new(position.pages),
            written_markets: AtomicU64::new(position.markets),
            proven: AtomicU64::new(0),
            unproven: AtomicU64::new(0),
            beginning,
            resumed,
        }))
    }

    /// Works until the catalogue is read, the source or ClickHouse gives out, or a stop is asked for.
    ///
    /// # Errors
    /// [`TrackError`]; what was done until then is saved.
    pub async fn run(self: Arc<Self>) -> Result<CatalogueResult, TrackError> {
        self.tell(TrackEventKind::TrackBegan(self.gauges.clone()));
        let (deliveries, delivered) = mpsc::channel(16);
        let writer = tokio::spawn(self.clone().write(delivered));
        let workers: Vec<_> =
            (0..self.plan.workers).map(|_| tokio::spawn(self.clone().work(deliveries.clone()))).collect();
        drop(deliveries);
        for worker in workers {
            // A task that panicked has told so itself; its page is still under way and counts as open.
            let _ = worker.await;
        }
        let _ = writer.await;
        self.tell(TrackEventKind::TrackEnded);
        let at = Instant::now();
        let ended = self.line.why_ended();
        if let Some(End::Store(error)) = ended {
            return Err(error.into());
        }
        let ever_answered = lock(&self.pages).breaker().ever_answered();
        if let Some(End::Unusable(reason)) = ended
            && !ever_answered
        {
            return Err(TrackError::Unusable { track: self.source.name(), reason });
        }
        Ok(self.finish(at))
    }

    /// Counts, and saves for the last time.
    fn finish(&self, at: Instant) -> CatalogueResult {
        let (complete, pages_failed) = {
            let pages = lock(&self.pages);
            (pages.is_complete() && lock(&self.unwritten).is_empty(), pages.failed())
        };
        let ending = match (complete, self.stop.is_cancelled()) {
            (true, _) => Ending::Complete,
            (false, true) => Ending::Interrupted,
            _ => Ending::WorkLeft,
        };
        let total = self.traded.open_count();
        let (resolved, rejected) = {
            let staged = lock(&self.staged);
            let resolved = self.traded.open().filter(|it| staged.contains(*it)).count() as u64;
            (resolved, lock(&self.rejected).iter().filter(|it| !staged.contains(**it)).count() as u64)
        };
        // Only who has read all of it can say that something is not in it.
        let not_found = if complete { total - resolved - rejected } else { 0 };
        let processed = resolved + rejected + not_found;
        let inserted = read(&self.gauges.inserted);
        self.save(Progress { processed, inserted, not_found, rejected, failed: 0 });
        let took = at - self.gauges.began;
        let (proven, unproven) = (read(&self.proven), read(&self.unproven));
        let track = TrackResult {
            phase: self.source.name(),
            total,
            processed,
            inserted,
            not_found,
            rejected,
            failed: 0,
            coverage_pct: floored_percent(resolved, total),
            requests: read(&self.gauges.requests),
            throttled: read(&self.gauges.throttled),
            retries: read(&self.gauges.retries),
            resumed: self.resumed,
            ended_early: None,
            tokens_per_second: rate(proven + unproven, took),
            elapsed_seconds: seconds(at - self.plan.started),
            work_seconds: seconds(self.line.work()),
            track_seconds: seconds(took),
            resolved,
            source: self.source,
            ending,
        };
        CatalogueResult {
            track,
            pages: read(&self.written_pages),
            markets: read(&self.written_markets),
            pages_resumed: self.beginning.catalogue.as_ref().map_or(0, |position| position.pages),
            pages_failed,
            proven,
            unproven,
        }
    }

    fn tell(&self, kind: TrackEventKind<'_>) {
        self.listener.on_track_event(&TrackEvent { source: self.source, kind });
    }

    fn look(&self) -> Look<Page> {
        self.line.look(|| lock(&self.pages).is_done(), |now| -> Order<Page> { lock(&self.pages).take(now) })
    }

    /// One worker: takes a page, asks for it, delivers what it lists.
    async fn work(self: Arc<Self>, deliveries: mpsc::Sender<Delivery>) {
        while let Some((page, slot)) = self.line.next(|| self.look()).await {
            add(&self.gauges.active, 1);
            let answer = self.line.ask(slot, self.catalogue.page(&page.from)).await;
            self.gauges.active.fetch_sub(1, Ordering::Relaxed);
            let delivery = match answer {
                Ok(answer) => self.clone().answered(page, slot, answer).await,
                Err((slot, error)) => {
                    self.no_answer(page, slot, error);
                    None
                }
            };
            if let Some(delivery) = delivery
                && deliveries.send(delivery).await.is_err()
            {
                // The writer has ended, and with it the track.
                return;
            }
        }
    }

    /// Makes rows of a page, unless it cannot be what it says.
    async fn answered(self: Arc<Self>, page: Page, slot: Slot, answer: CataloguePage) -> Option<Delivery> {
        let CataloguePage { markets, next, .. } = answer;
        let count = markets.len();
        let (track, rules, at) = (self.clone(), self.plan.rules.clone(), unix_time());
        // A thousand markets are twenty milliseconds of hashing: not on the threads that wait for the network.
        let weighing = tokio::task::spawn_blocking(move || track.weigh(&markets, &rules, at));
        let Ok(weighed) = weighing.await else {
            self.no_answer(page, slot, UpstreamError::Broken("a page that cannot be weighed".to_owned()));
            return None;
        };
        // Before the page is taken off the others: a checkpoint in between has it twice, never not at all.
        lock(&self.unwritten).insert(page.number, page.gap(None));
        let (again, reception) = {
            let mut pages = lock(&self.pages);
            (pages.host_answered(), pages.answered(&page, count, next.as_ref()))
        };
        if again {
            self.line.answers_again();
        }
        if let Reception::Doubted(why) = reception {
            lock(&self.unwritten).remove(&page.number);
            self.no_answer(page, slot, UpstreamError::Broken(why.to_owned()));
            return None;
        }
        self.line.changed();
        let mut delivery = Delivery { batch: page.number, markets: count as u64, ..Delivery::default() };
        let mut staged = lock(&self.staged);
        let fresh: Vec<Mapping> =
            weighed.mappings.into_iter().filter(|it| staged.insert(it.token.fingerprint())).collect();
        drop(staged);
        delivery.resolved = fresh.len() as u64;
        delivery.staged = fresh.into_iter().map(|mapping| mapping.staged(self.source, at)).collect();
        let mut rejected = lock(&self.rejected);
        delivery.rejected =
            weighed.rejected.into_iter().filter(|it| rejected.insert(it.token_id.fingerprint())).collect();
        drop(rejected);
        delivery.listed = weighed.listed;
        Some(delivery)
    }

    /// Proves every token of every market: the labels and winners of a catalogue are believed only with its markets.
    fn weigh(&self, markets: &[Listing], rules: &Rules, at: u32) -> Weighed {
        let mut weighed = Weighed::default();
        let (mut proven, mut unproven) = (0, 0);
        for market in markets {
            let condition = market.condition.parse::<ConditionId>().ok().filter(|it| !it.is_zero());
            let derived = condition.map(|condition| ctf::derive(&condition, &rules.collaterals));
            for listed in &market.tokens {
                let proof = derived.and_then(|derived| derived.iter().find(|it| it.token == listed.token));
                let (outcome_index, collateral) = match &proof {
                    Some(proof) => (proof.outcome_index, proof.collateral.name.clone()),
                    None => (UNPROVEN_INDEX, String::new()),
                };
                let waits = self.traded.place(&listed.token).is_some_and(|place| self.traded.is_open(place));
                match (&proof, condition) {
                    (Some(_), Some(condition)) => {
                        proven += 1;
                        weighed.mappings.extend(waits.then(|| Mapping {
                            token: listed.token,
                            condition,
                            outcome_index,
                            label: listed.label.clone(),
                            collateral: collateral.clone(),
                        }));
                    }
                    _ => {
                        unproven += 1;
                        weighed.rejected.extend(waits.then(|| RejectedRow {
                            track: self.source.name(),
                            token_id: listed.token,
                            claimed_condition: market.condition.clone(),
                            claimed_index: String::new(),
                            claimed_label: listed.label.clone(),
                            reason: NO_PROOF.to_owned(),
                            rejected_at: at,
                        }));
                    }
                }
                weighed.listed.extend(condition.map(|condition_id_norm| ListedRow {
                    token_id: listed.token,
                    condition_id_norm,
                    outcome_index,
                    outcome_label: listed.label.clone(),
                    winner: listed.winner,
                    closed: market.closed,
                    collateral,
                    fetched_at: at,
                }));
            }
        }
        add(&self.proven, proven);
        add(&self.unproven, unproven);
        weighed
    }

    /// Decides what happens to a page without an answer, and whether the track goes on.
    fn no_answer(&self, page: Page, slot: Slot, error: UpstreamError) {
        let place = page.from.clone();
        // Never with the pages in hand: who looks for work holds the quota and then takes them.
        let breaker = *lock(&self.pages).breaker();
        let fault = self.line.fault(slot, &error, page.attempts(), &breaker);
        let mut pages = lock(&self.pages);
        let at_start = !pages.breaker().ever_answered();
        let failures = pages.breaker().failures_in_a_row().max(page.attempts());
        let consequence = pages.no_answer(page, fault, &error.to_string(), self.line.now(), pause(failures));
        let breaker = *pages.breaker();
        drop(pages);
        if consequence == Consequence::Failed {
            self.tell(TrackEventKind::PageFailed { place: &place, error: &error });
        }
        self.line.failed(error, at_start, &breaker);
    }

    /// Writes what is delivered, and saves the checkpoint behind each insert.
    async fn write(self: Arc<Self>, deliveries: mpsc::Receiver<Delivery>) {
        let writer =
            Writer::new(self.store.clone(), self.source, self.plan.give_up_after, self.listener.clone());
        if let Err(error) = writer.run(deliveries, &|load| self.acknowledged(load)).await {
            self.line.end(End::Store(error));
        }
    }

    /// The rows are there: now the gauges and the checkpoint may say so.
    fn acknowledged(&self, load: &Load) {
        self.line.acknowledged();
        let mut unwritten = lock(&self.unwritten);
        load.batches.iter().for_each(|page| {
            unwritten.remove(page);
        });
        drop(unwritten);
        add(&self.written_pages, load.pages);
        add(&self.written_markets, load.markets);
        let gauges = &self.gauges;
        add(&gauges.inserted, load.staged.len() as u64);
        add(&gauges.written, load.rows() as u64);
        add(&gauges.rejected, load.rejected.len() as u64);
        add(&gauges.resolved, load.resolved);
        add(&gauges.processed, load.resolved);
        self.save(Progress {
            processed: read(&gauges.processed),
            inserted: read(&gauges.inserted),
            not_found: 0,
            rejected: read(&gauges.rejected),
            failed: 0,
        });
    }

    /// Replaces the checkpoint. Where that fails (a full disk) the work goes on: the tables are the truth, and the
    /// next insert tries again.
    fn save(&self, progress: Progress) {
        // The pages first: one that is answered in between is in the unwritten ones already.
        let mut position = lock(&self.pages).position();
        position.gaps.extend(lock(&self.unwritten).values().cloned());
        position.gaps.sort_unstable();
        position.gaps.dedup();
        position.complete &= position.gaps.is_empty();
        position.pages = read(&self.written_pages);
        position.markets = read(&self.written_markets);
        let checkpoint = Checkpoint {
            progress,
            total: self.traded.open_count(),
            catalogue: Some(position),
            updated_at: jiff::Timestamp::now(),
            ..self.beginning.clone()
        };
        match self.file.save(&checkpoint) {
            Ok(()) => self.line.saved(checkpoint.updated_at),
            Err(error) => self.tell(TrackEventKind::CheckpointNotSaved(&error)),
        }
    }
}
