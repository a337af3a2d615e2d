//! [`Engine`]: the worker pool that every track runs on, whatever it works through. It does not know which source that
//! is, nor whether batches of tokens or pages of a catalogue are asked for: a [`Work`] does.
//!
//! Workers take jobs as the `Requester` allows, and one writer turns their answers into large inserts and then saves
//! the checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, CheckpointError, CheckpointFile};
use super::events::{TrackEvent, TrackEventKind, TrackListener};
use super::gauges::{Gauges, UnderWay, WorkStart, add, read};
use super::odd::OddRecords;
use super::quota::TrackTime;
use super::requester::{Dispatch, MOST_WORKERS, Requester, StopReason, Ticket, workers_for};
use super::retry_queue::{Job, Missed, NextJob};
use super::writer::{AnswerRows, InsertBatch, Writer};
use crate::proof::ProofPolicy;
use crate::source::Source;
use crate::store::{Store, StoreError};
use crate::upstream::{OddRecord, UpstreamError};
use crate::values::RateLimit;

/// The latency for which a pool that sizes itself begins, until the first answers were timed: as long as a far host
/// takes, so that the first window of the limit is not lost to waiting.
const ASSUMED_LATENCY: Duration = Duration::from_millis(300);

/// How long a worker may be at one job before the operator is told.
const STALLED: Duration = Duration::from_secs(60);

/// How a track works.
#[derive(Debug, Clone)]
pub struct TrackConfig {
    /// Requests under way at once; where nothing is set, as many as the limit and the measured latency need.
    pub workers: Option<usize>,
    /// Tokens in a request, where the user wants fewer than fit.
    pub batch_size: Option<usize>,
    /// Whether the API was asked once a moment ago, which its limit counts.
    pub probed: bool,
    /// The API's limit.
    pub rate_limit: RateLimit,
    /// How long an outage may last.
    pub give_up_after: Duration,
    /// How claims are proven.
    pub policy: ProofPolicy,
    /// When the process started.
    pub started: Instant,
}

impl TrackConfig {
    /// Workers at the beginning.
    pub fn first_workers(&self) -> usize {
        self.workers.unwrap_or_else(|| workers_for(&self.rate_limit, ASSUMED_LATENCY))
    }
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

/// What an engine works through: a list of tokens, the pages of a catalogue.
pub trait Work: Send + Sync + 'static {
    /// What one job asks for.
    type Part: Clone + Send + Sync + 'static;
    /// What the source answers to it.
    type Answer: Send + 'static;

    /// Work for one worker.
    fn next(&self, now: TrackTime) -> NextJob<Job<Self::Part>>;

    /// Whether nothing can be asked any more.
    fn is_done(&self) -> bool;

    /// Whether less can be asked for than this part.
    fn can_shrink(&self, _: &Self::Part) -> bool {
        false
    }

    /// Where a job begins, for whoever watches it.
    fn start_of(&self, part: &Self::Part) -> WorkStart;

    /// Sends the requests that a job takes, the first with this ticket.
    ///
    /// # Errors
    /// What the source says, with the ticket of the request that it says so of.
    fn ask(
        &self,
        job: &Job<Self::Part>,
        ticket: Ticket,
    ) -> impl Future<Output = Result<Self::Answer, (Ticket, UpstreamError)>> + Send;

    /// Asks for something that costs little and shows whether the host answers.
    fn probe(&self) -> impl Future<Output = Result<(), UpstreamError>> + Send;

    /// Makes rows of an answer, and takes the job off the queue.
    ///
    /// # Errors
    /// Where the answer cannot be what it says: it is treated as a failed one.
    fn rows(
        self: Arc<Self>,
        job: &Job<Self::Part>,
        answer: Self::Answer,
    ) -> impl Future<Output = Result<AnswerRows, UpstreamError>> + Send;

    /// A job has no answer.
    fn no_answer(&self, job: Job<Self::Part>, error: &UpstreamError, missed: &Missed<'_>);

    /// Keeps the queue filled, where not all of the work is in it from the beginning.
    fn feed(self: Arc<Self>) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// These rows are acknowledged: the queue and the gauges may say so.
    fn written(&self, batch: &InsertBatch);

    /// Writes where the work stands, and the counters, into a checkpoint.
    fn record(&self, checkpoint: &mut Checkpoint);
}

/// One source at work.
pub struct Engine {
    /// The source.
    pub source: Source,
    /// ClickHouse.
    pub store: Store,
    /// How it works.
    pub config: TrackConfig,
    /// What it shows of itself.
    pub gauges: Arc<Gauges>,
    /// Its way to the source.
    pub requester: Requester,
    /// The wish to end.
    pub stop: CancellationToken,
    /// The checkpoint that it went on from.
    pub beginning: Checkpoint,
    /// Records of answers that could not be read.
    odd: OddRecords,
    file: CheckpointFile,
    listener: Arc<dyn TrackListener>,
}

impl Engine {
    /// An engine that has sent nothing yet and goes on from `beginning`, whose file it holds.
    pub fn new(
        store: Store,
        config: TrackConfig,
        mut gauges: Gauges,
        (file, beginning): (CheckpointFile, Checkpoint),
        listener: Arc<dyn TrackListener>,
        stop: CancellationToken,
    ) -> Self {
        gauges.workers_are_measured = config.workers.is_none();
        let gauges = Arc::new(gauges);
        let requester = Requester::new(
            gauges.clone(),
            listener.clone(),
            stop.clone(),
            &config.rate_limit,
            config.give_up_after,
        );
        requester.note_requests_at(file.request_log_path());
        if config.probed {
            requester.was_probed();
        }
        let odd = OddRecords::default();
        Self { source: gauges.source, store, config, gauges, requester, stop, beginning, odd, file, listener }
    }

    /// Takes the lock of a track and ends what a killed process of it left running.
    ///
    /// # Errors
    /// Another process has it.
    pub async fn lock(store: &Store, folder: &Path, source: Source) -> Result<CheckpointFile, TrackError> {
        let file = CheckpointFile::lock(folder, source)?;
        if let Err(error) = store.end_orphaned_inserts(source.name()).await {
            // Not every user may end queries, and mostly there is none to end.
            tracing::info!("{error}; going on");
        }
        Ok(file)
    }

    /// Tells whoever listens.
    pub fn tell(&self, kind: TrackEventKind<'_>) {
        self.listener.on_track_event(&TrackEvent { source: self.source, kind });
    }

    /// Counts the records of an answer that could not be read, and shows the first of all.
    pub fn count_odd(&self, records: &[OddRecord]) {
        for OddRecord { reason, sample, .. } in records.iter().filter(|record| self.odd.count(record)) {
            self.tell(TrackEventKind::OddRecord { reason, sample });
        }
    }

    /// How many such records there were, each counted once.
    pub fn odd_records(&self) -> u64 {
        self.odd.len()
    }

    /// The writer of its rows, through outages.
    pub fn writer(&self) -> Writer {
        Writer::new(self.store.clone(), self.source, self.config.give_up_after, self.listener.clone())
    }

    /// Works until nothing is left to ask, the source or ClickHouse gives out, or a stop is asked for. Everything that
    /// was answered is written then.
    pub async fn run<W: Work>(self: &Arc<Self>, work: &Arc<W>) {
        let (answers, answered) = mpsc::channel(16);
        let writer = tokio::spawn(self.clone().write(work.clone(), answered));
        let feeder = tokio::spawn(self.clone().feed(work.clone()));
        let watchdog = tokio::spawn(self.clone().watch());
        self.work_in_pool(work, answers).await;
        let _ = writer.await;
        feeder.abort();
        watchdog.abort();
        // What was cut off by a stop was waited for as well.
        for (_, cut) in self.gauges.under_way().drain() {
            self.gauges.note_wait(cut.since.elapsed());
        }
    }

    /// Keeps the workers at work until all of them are at their end. A pool of no set size grows as it is needed.
    async fn work_in_pool<W: Work>(self: &Arc<Self>, work: &Arc<W>, answers: mpsc::Sender<AnswerRows>) {
        let mut workers = JoinSet::new();
        let mut wanted = usize::try_from(read(&self.gauges.workers)).unwrap_or(MOST_WORKERS);
        let mut count = 0;
        loop {
            for number in count + 1..=wanted {
                workers.spawn(self.clone().work(number, work.clone(), answers.clone()));
            }
            count = wanted;
            self.gauges.workers.store(count as u64, Ordering::Relaxed);
            let joined = tokio::select! {
                joined = workers.join_next() => joined,
                more = self.requester.more_workers(), if self.config.workers.is_none() => {
                    wanted = more.max(count);
                    continue;
                }
            };
            match joined {
                None => return,
                Some(Ok(())) => {}
                // It panicked, which is a defect, and has told so itself. Its job stays open, which the others would
                // wait for.
                Some(Err(_)) => self.requester.stop(StopReason::Defect),
            }
        }
    }

    async fn feed<W: Work>(self: Arc<Self>, work: Arc<W>) {
        if let Err(error) = work.feed().await {
            self.requester.stop(StopReason::Store(error));
        }
    }

    /// One worker: takes what there is to do, asks, hands on the rows.
    async fn work<W: Work>(self: Arc<Self>, number: usize, work: Arc<W>, answers: mpsc::Sender<AnswerRows>) {
        while let Some(dispatch) = self.requester.next(|now| work.next(now), || work.is_done()).await {
            let rows = match dispatch {
                Dispatch::Ask(job, ticket) => self.ask(number, &work, job, ticket).await,
                Dispatch::Probe(ticket) => {
                    if let Err((ticket, error)) = self.requester.ask(ticket, work.probe()).await {
                        self.requester.failed(ticket, &error, 0, false);
                    }
                    None
                }
            };
            if let Some(rows) = rows
                && answers.send(rows).await.is_err()
            {
                // The writer has ended, and with it the track.
                return;
            }
        }
    }

    async fn ask<W: Work>(
        &self,
        worker: usize,
        work: &Arc<W>,
        job: Job<W::Part>,
        ticket: Ticket,
    ) -> Option<AnswerRows> {
        let under_way = UnderWay { at: work.start_of(&job.part), since: Instant::now(), told: false };
        self.gauges.under_way().insert(worker, under_way);
        add(&self.gauges.active, 1);
        let answer = work.ask(&job, ticket).await;
        self.gauges.active.fetch_sub(1, Ordering::Relaxed);
        let rows = match answer {
            Ok(answer) => work.clone().rows(&job, answer).await.map_err(|error| (ticket, error)),
            Err(failed) => Err(failed),
        };
        if let Some(done) = self.gauges.under_way().remove(&worker) {
            self.gauges.note_wait(done.since.elapsed());
        }
        match rows {
            Ok(rows) => {
                self.requester.changed();
                Some(rows)
            }
            Err((ticket, error)) => {
                let shrinks = work.can_shrink(&job.part);
                let failure = self.requester.failed(ticket, &error, job.attempts, shrinks);
                let why = error.to_string();
                work.no_answer(job, &error, &failure.missed(&why));
                self.requester.changed();
                None
            }
        }
    }

    /// Writes what is answered, and saves the checkpoint behind each insert.
    async fn write<W: Work>(self: Arc<Self>, work: Arc<W>, answers: mpsc::Receiver<AnswerRows>) {
        let acknowledged = |batch: &InsertBatch| {
            self.requester.acknowledged();
            add(&self.gauges.written, batch.rows() as u64);
            add(&self.gauges.inserted, batch.staged.len() as u64);
            work.written(batch);
            self.save(|checkpoint| work.record(checkpoint));
        };
        if let Err(error) = self.writer().run(answers, &acknowledged).await {
            self.requester.stop(StopReason::Store(error));
        }
    }

    /// Replaces the checkpoint. Where that fails (a full disk) the work goes on: the tables are the truth, and the
    /// next insert tries again.
    pub fn save(&self, record: impl FnOnce(&mut Checkpoint)) {
        let mut checkpoint = Checkpoint { updated_at: jiff::Timestamp::now(), ..self.beginning.clone() };
        record(&mut checkpoint);
        match self.file.save(&checkpoint) {
            Ok(()) => self.requester.saved(checkpoint.updated_at),
            Err(error) => self.tell(TrackEventKind::CheckpointNotSaved(&error)),
        }
    }

    /// Tells the operator of workers that make no headway.
    async fn watch(self: Arc<Self>) {
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        loop {
            beat.tick().await;
            for (worker, job) in self.gauges.under_way().iter_mut() {
                let time = job.since.elapsed();
                if time > STALLED && !job.told {
                    job.told = true;
                    self.tell(TrackEventKind::Stalled { worker: *worker, time, at: &job.at });
                }
            }
        }
    }
}

/// Now, in seconds since 1970, as the tables have it.
pub(super) fn unix_time() -> u32 {
    u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX)
}
