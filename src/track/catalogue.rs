//! [`CatalogueTrack`]: a catalogue, read from its first page to its last. It does not know which source that is. All of
//! what its pages list is kept, and what is traded and unmapped of it is staged.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, Progress};
use super::claims::listed_row;
use super::engine::{Engine, TrackConfig, TrackError, Work, unix_time};
use super::events::{TrackEventKind, TrackListener};
use super::fingerprints::StagedTokens;
use super::gauges::{Gauges, WorkStart, add, read};
use super::odd::Unreadable;
use super::page_queue::{CatalogueCursor, Page, PageQueue, Reception, Stretch};
use super::quota::TrackTime;
use super::rates::{rate, seconds};
use super::requester::{StopReason, Ticket};
use super::retry_queue::{Missed, NextJob, RetryDecision};
use super::traded::Traded;
use super::writer::{AnswerRows, InsertBatch};
use crate::ids::{ConditionId, TokenId};
use crate::outcome::Outcome;
use crate::proof::{KnownConditions, Mapping, Refusal};
use crate::results::{self, Percentage, Seconds, Track};
use crate::store::Store;
use crate::store::catalogue::ListedRow;
use crate::store::staging::{RejectedRow, StagedRow};
use crate::upstream::catalogue::{Catalogue, CataloguePage, Listing, PageCursor};
use crate::upstream::{Cost, OddRecord, UpstreamError};

/// One catalogue.
pub struct CatalogueTrack {
    engine: Arc<Engine>,
    work: Arc<CatalogueWork>,
    resumed: u64,
    inserted_before: u64,
}

struct CatalogueWork {
    engine: Arc<Engine>,
    catalogue: Box<dyn Catalogue>,
    queue: Mutex<PageQueue>,
    /// Every traded token, and which of them wait for their mapping.
    traded: Traded,
    /// Every token in this track's staging table: none is staged twice.
    staged: StagedTokens,
    /// Waiting tokens that were listed without a proof.
    rejected: Mutex<HashSet<u128>>,
    /// Pages and markets that are written, by this run and those before it.
    written_pages: AtomicU64,
    written_markets: AtomicU64,
    proven: AtomicU64,
    unproven: AtomicU64,
}

/// What tells a page from another one: the conditions on it.
fn content(markets: &[Listing]) -> u64 {
    let mut hasher = DefaultHasher::new();
    markets.iter().for_each(|market| market.condition.hash(&mut hasher));
    hasher.finish()
}

/// What a page is worth.
#[derive(Default)]
struct ProvenPage {
    listed: Vec<ListedRow>,
    mappings: Vec<Mapping>,
    rejected: Vec<RejectedRow>,
}

impl CatalogueTrack {
    /// Takes the track's lock, reads its checkpoint and its table, and gets ready to run. A catalogue that was read to
    /// its end is read again from the beginning.
    ///
    /// # Errors
    /// [`TrackError`]; nothing was asked of the source then.
    pub async fn open(
        catalogue: Box<dyn Catalogue>,
        store: Store,
        config: TrackConfig,
        traded: Traded,
        folder: &Path,
        listener: Arc<dyn TrackListener>,
        stop: CancellationToken,
    ) -> Result<Self, TrackError> {
        let source = catalogue.source();
        let file = Engine::lock(&store, folder, source).await?;
        let identity = catalogue.identity();
        let found = file.load(source, &identity)?;
        let (staged, total) = (StagedTokens::default(), traded.open_count());
        let gauges = Gauges::new(source, total, config.first_workers(), &config.rate_limit);
        let inserted_before = staged.extend(store.staged_fingerprints(source).await?);
        add(&gauges.inserted, inserted_before);
        let resumed = traded.open().filter(|fingerprint| staged.contains(*fingerprint)).count() as u64;
        add(&gauges.processed, resumed);
        add(&gauges.resolved, resumed);
        // The tables are the truth: without rows there is nothing to go on from.
        let found = if store.has_listed(source).await? { found } else { None };
        let beginning = found.filter(|it| it.catalogue.as_ref().is_some_and(|cursor| !cursor.complete));
        let beginning = beginning.unwrap_or_else(|| {
            let fresh = Checkpoint::new(source, &identity, total, jiff::Timestamp::now());
            Checkpoint { catalogue: Some(CatalogueCursor::default()), ..fresh }
        });
        let beginning = Checkpoint { total, ..beginning };
        let cursor = beginning.catalogue.clone().unwrap_or_default();
        // Pages that are not read again have told of these.
        let rejected: HashSet<u128> =
            store.rejected_fingerprints(source, beginning.started_at).await?.into_iter().collect();
        let rejected = traded.open().filter(|it| rejected.contains(it)).collect();
        let engine = Arc::new(Engine::new(store, config, gauges, (file, beginning), listener, stop));
        let work = Arc::new(CatalogueWork {
            engine: engine.clone(),
            catalogue,
            queue: Mutex::new(PageQueue::new(&cursor)),
            traded,
            staged,
            rejected: Mutex::new(rejected),
            written_pages: AtomicU64::new(cursor.pages),
            written_markets: AtomicU64::new(cursor.markets),
            proven: AtomicU64::new(0),
            unproven: AtomicU64::new(0),
        });
        Ok(Self { engine, work, resumed, inserted_before })
    }

    /// Works until the catalogue is read, the source or ClickHouse gives out, or a stop is asked for.
    ///
    /// # Errors
    /// [`TrackError`]; what was done until then is saved.
    pub async fn run(self) -> Result<results::Catalogue, TrackError> {
        let engine = &self.engine;
        engine.tell(TrackEventKind::TrackBegan(engine.gauges.clone()));
        engine.run(&self.work).await;
        engine.tell(TrackEventKind::TrackEnded);
        match engine.requester.take_stop_reason() {
            Some(StopReason::Store(error)) => Err(error.into()),
            Some(StopReason::Unusable(reason)) if !engine.requester.ever_answered() => {
                Err(TrackError::Unusable { track: engine.source.name(), reason })
            }
            _ => Ok(self.finish()),
        }
    }

    /// Counts, and saves for the last time.
    fn finish(&self) -> results::Catalogue {
        let (engine, work, gauges) = (&self.engine, &self.work, &self.engine.gauges);
        let took = engine.requester.now();
        let (complete, pages_failed) = {
            let queue = work.queue.lock();
            (queue.is_complete(), queue.failed())
        };
        let outcome = match (complete, engine.stop.is_cancelled()) {
            (true, _) => Outcome::Done,
            (false, true) => Outcome::Interrupted,
            _ => Outcome::WorkLeft,
        };
        let total = work.traded.open_count();
        let resolved = work.traded.open().filter(|it| work.staged.contains(*it)).count() as u64;
        let rejected = work.rejected.lock().iter().filter(|it| !work.staged.contains(**it)).count() as u64;
        // Only who has read all of it can say that something is not in it.
        let not_found = if complete { total - resolved - rejected } else { 0 };
        let processed = resolved + rejected + not_found;
        let inserted = read(&gauges.inserted);
        engine.save(|checkpoint| {
            work.record(checkpoint);
            checkpoint.progress = Progress { processed, inserted, not_found, rejected, failed: 0 };
        });
        let (proven, unproven) = (read(&work.proven), read(&work.unproven));
        let track = Track {
            phase: engine.source.name().to_owned(),
            outcome,
            total,
            processed,
            resolved_by_others: 0,
            inserted,
            inserted_of_own: resolved,
            inserted_before: self.inserted_before,
            not_found,
            rejected,
            failed: 0,
            coverage_pct: Percentage::floored(resolved, total),
            requests: read(&gauges.requests),
            throttled: read(&gauges.throttled),
            retries: read(&gauges.retries),
            longest_wait_seconds: Seconds(read(&gauges.longest_wait) as f64 / 1000.0),
            resumed: self.resumed,
            odd_records: engine.odd_records(),
            workers: read(&gauges.workers),
            ended_early: None,
            round: None,
            tokens_per_second: rate(proven + unproven, took),
            elapsed_seconds: Seconds(seconds(gauges.began.duration_since(engine.config.started) + took)),
            work_seconds: Seconds(seconds(engine.requester.work())),
            track_seconds: Seconds(seconds(took)),
            resolved,
        };
        gauges.settle(&track);
        results::Catalogue {
            track,
            pages: read(&work.written_pages),
            markets: read(&work.written_markets),
            pages_resumed: engine.beginning.catalogue.as_ref().map_or(0, |cursor| cursor.pages),
            pages_failed,
            proven,
            unproven,
        }
    }
}

impl CatalogueWork {
    /// The waiting tokens of records that could not be read.
    fn unreadable(&self, odd: &[OddRecord], at: u32) -> Vec<RejectedRow> {
        let mut rows = Vec::new();
        for record in odd {
            let Cost::Tokens(tokens) = &record.cost else { continue };
            let waits = |token: &&TokenId| self.traded.place(token).is_some_and(|it| self.traded.is_open(it));
            let lost = tokens.iter().filter(waits);
            let lost = lost.map(|token| Unreadable { token: *token, reason: record.reason.clone() });
            rows.extend(lost.map(|it| it.row(self.engine.source.name(), at)));
        }
        rows
    }

    /// Proves every token of every market: the labels and winners of a catalogue are believed only with its markets.
    fn prove(&self, markets: &[Listing], at: u32) -> ProvenPage {
        let mut page = ProvenPage::default();
        let nothing = KnownConditions::default();
        let prover = self.engine.config.policy.prover(&nothing);
        let (mut proven, mut refused) = (0, 0);
        for market in markets {
            let condition = market.condition.parse::<ConditionId>().ok().filter(|it| !it.is_zero());
            // The first token of a list is most often the first outcome.
            for (listed, likely) in market.tokens.iter().zip(0_u8..) {
                let proof = condition
                    .ok_or(Refusal::Malformed)
                    .and_then(|condition| prover.examine(listed.token, &condition, likely.min(1)));
                let waits = self.traded.place(&listed.token).is_some_and(|place| self.traded.is_open(place));
                match &proof {
                    Ok(proof) => {
                        proven += 1;
                        let mapping = || Mapping::new(listed.token, proof, listed.label.clone());
                        page.mappings.extend(waits.then(mapping));
                    }
                    Err(reason) => {
                        refused += 1;
                        page.rejected.extend(waits.then(|| RejectedRow {
                            track: self.engine.source.name(),
                            token_id: listed.token,
                            claimed_condition: market.condition.clone(),
                            claimed_index: String::new(),
                            claimed_label: listed.label.clone(),
                            reason: reason.to_string(),
                            rejected_at: at,
                        }));
                    }
                }
                let row = |condition| listed_row(market, listed, condition, proof.ok(), at);
                page.listed.extend(condition.map(row));
            }
        }
        add(&self.proven, proven);
        add(&self.unproven, refused);
        page
    }
}

impl Work for CatalogueWork {
    type Part = Stretch;
    type Answer = CataloguePage;

    fn next(&self, now: TrackTime) -> NextJob<Page> {
        self.queue.lock().next(now)
    }

    fn is_done(&self) -> bool {
        self.queue.lock().is_done()
    }

    fn start_of(&self, stretch: &Stretch) -> WorkStart {
        WorkStart::Page(stretch.from.clone())
    }

    async fn ask(&self, page: &Page, ticket: Ticket) -> Result<CataloguePage, (Ticket, UpstreamError)> {
        self.engine.requester.ask(ticket, self.catalogue.page(&page.part.from)).await
    }

    async fn probe(&self) -> Result<(), UpstreamError> {
        // What is cheaper, the time, is answered also where the list is not.
        self.catalogue.page(&PageCursor::At(0)).await.map(|_| ())
    }

    /// Makes rows of a page, unless it cannot be what it says.
    async fn rows(self: Arc<Self>, page: &Page, answer: CataloguePage) -> Result<AnswerRows, UpstreamError> {
        let CataloguePage { markets, records: count, next, odd } = answer;
        let content = content(&markets);
        self.engine.count_odd(&odd);
        let (work, at) = (self.clone(), unix_time());
        // A thousand markets are twenty milliseconds of hashing: not on the threads that wait for the network.
        let proven = tokio::task::spawn_blocking(move || work.prove(&markets, at)).await;
        let proven =
            proven.map_err(|_| UpstreamError::Transient("a page that cannot be proven".to_owned()))?;
        if let Reception::Doubted(why) = self.queue.lock().answered(page, count, content, next.as_ref()) {
            return Err(UpstreamError::Transient(why.to_owned()));
        }
        let mut rows = AnswerRows { job: page.number, markets: count as u64, ..AnswerRows::default() };
        let fresh = proven.mappings.into_iter().filter(|it| self.staged.insert(it.token.fingerprint()));
        rows.staged = fresh.map(|mapping| StagedRow::of(mapping, self.engine.source, at)).collect();
        rows.resolved = rows.staged.len() as u64;
        let mut rejected = self.rejected.lock();
        let without_proof = proven.rejected.into_iter().chain(self.unreadable(&odd, at));
        rows.rejected = without_proof.filter(|it| rejected.insert(it.token_id.fingerprint())).collect();
        rows.listed = proven.listed;
        Ok(rows)
    }

    fn no_answer(&self, page: Page, error: &UpstreamError, missed: &Missed<'_>) {
        let place = page.part.from.clone();
        if self.queue.lock().no_answer(page, missed) == RetryDecision::Failed {
            self.engine.tell(TrackEventKind::PageFailed { place: &place, error });
        }
    }

    fn written(&self, batch: &InsertBatch) {
        self.queue.lock().written(&batch.jobs);
        add(&self.written_pages, batch.pages);
        add(&self.written_markets, batch.markets);
        let gauges = &self.engine.gauges;
        add(&gauges.rejected, batch.rejected.len() as u64);
        add(&gauges.resolved, batch.resolved);
        add(&gauges.processed, batch.resolved);
    }

    fn record(&self, checkpoint: &mut Checkpoint) {
        let gauges = &self.engine.gauges;
        checkpoint.progress = Progress {
            processed: read(&gauges.processed),
            inserted: read(&gauges.inserted),
            not_found: 0,
            rejected: read(&gauges.rejected),
            failed: 0,
        };
        checkpoint.catalogue = Some(CatalogueCursor {
            pages: read(&self.written_pages),
            markets: read(&self.written_markets),
            ..self.queue.lock().cursor()
        });
    }
}
