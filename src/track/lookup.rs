//! [`LookupTrack`]: a source that is asked for tokens, at work on its own workload and then on rounds of what other
//! tracks have left.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::batch_queue::BatchQueue;
use super::checkpoint::{Checkpoint, Progress};
use super::engine::{Engine, TrackConfig, TrackError, Work};
use super::events::{TrackEventKind, TrackListener};
use super::fingerprints::StagedTokens;
use super::gauges::{Gauges, add, read};
use super::lookup_work::{LookupWork, RoundWork};
use super::quota::TrackTime;
use super::rates::{rate, seconds};
use super::requester::StopReason;
use super::round::{Round, TakenUp};
use crate::ids::TokenId;
use crate::outcome::Outcome;
use crate::results::{Percentage, RoundCounts, Seconds, Track};
use crate::source::Source;
use crate::store::Store;
use crate::store::rounds::RoundList;
use crate::upstream::Upstream;

/// So many tokens that a source does not know, and none that it does, are worth a word.
const KNOWS_NOTHING: u64 = 10;

/// One source that is asked for tokens.
pub struct LookupTrack {
    engine: Arc<Engine>,
    own: Arc<LookupWork>,
    resumed: u64,
    /// Tokens that earlier runs had staged.
    inserted_before: u64,
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
        let counts = store.workload_counts(source).await?;
        let gauges = Gauges::new(source, counts.total, config.first_workers(), &config.rate_limit);
        let resumed = counts.resolved + counts.not_found + counts.rejected;
        add(&gauges.processed, resumed);
        add(&gauges.resolved, counts.resolved);
        add(&gauges.inserted, counts.inserted);
        add(&gauges.not_found, counts.not_found);
        add(&gauges.rejected, counts.rejected);
        let mut limits = upstream.request_limits();
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
            control: Arc::default(),
            round: None,
        });
        Ok(Arc::new(Self {
            engine,
            own,
            resumed,
            inserted_before: counts.inserted,
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

    /// Where its rows go.
    pub fn store(&self) -> &Store {
        &self.engine.store
    }

    /// Whether it can be asked for more.
    pub fn is_live(&self) -> bool {
        !self.engine.requester.is_over()
    }

    /// Whether it has ended before its own list.
    pub fn has_ended_early(&self) -> bool {
        self.engine.requester.is_stopped() && !self.own.is_done()
    }

    /// Whether every token of its own list has an answer.
    pub fn has_every_answer(&self) -> bool {
        self.own.is_done() && self.own.queue.lock().failed().is_empty()
    }

    /// Works through its own list.
    pub async fn run_own(&self) {
        self.engine.tell(TrackEventKind::TrackBegan(self.engine.gauges.clone()));
        self.engine.run(&self.own).await;
        *self.own_ended.lock() = self.engine.requester.now();
    }

    /// Works through a round over these lists, and says how many tokens it took up.
    pub async fn run_round(self: Arc<Self>, lists: Vec<RoundList>, taken_up: Arc<TakenUp>) -> u64 {
        let limits = self.own.queue.lock().limits();
        let mut queue = BatchQueue::new(limits);
        queue.set_peers(self.own.beside.lock().clone());
        let round = Round { lists, taken_up, missed: self.unanswered.lock().clone() };
        let work = Arc::new(LookupWork {
            engine: self.engine.clone(),
            upstream: self.own.upstream.clone(),
            staged: self.own.staged.clone(),
            beside: Mutex::new(self.own.beside.lock().clone()),
            queue: Mutex::new(queue),
            control: self.own.control.clone(),
            round: Some(RoundWork::new(round, self.own.clone())),
        });
        self.engine.run(&work).await;
        let counts = work.round.as_ref().map(RoundWork::end).unwrap_or_default();
        let queue = work.queue.lock();
        let cut = self.engine.stop.is_cancelled() && !queue.is_done();
        self.round_cut.fetch_or(cut, Ordering::Relaxed);
        self.unanswered.lock().extend(queue.failed().iter().map(|gap| gap.first));
        add_counts(&mut self.rounds.lock(), &counts);
        counts.tokens
    }

    /// Notes, once, that the tracks beside this one take over what it has left.
    pub fn leave_to_others(&self) {
        let mut left = self.left.lock();
        if left.is_none()
            && let Some(why) = self.engine.requester.stop_reason()
        {
            self.engine.tell(TrackEventKind::LeftToOthers { why: &why });
            *left = Some(why);
        }
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
        let counts = engine.store.workload_counts_by(self.source(), &by).await?;
        let answered = counts.resolved + counts.not_found + counts.rejected;
        let failed = self.own.failed_for_good().min(counts.total.saturating_sub(answered));
        let stopped = engine.stop.is_cancelled();
        let outcome = match failed == 0 && answered == counts.total {
            true if !self.round_cut.load(Ordering::Relaxed) => Outcome::Done,
            _ if stopped => Outcome::Interrupted,
            _ => Outcome::WorkLeft,
        };
        let progress = Progress {
            processed: answered + failed,
            inserted: counts.inserted,
            not_found: counts.not_found,
            rejected: counts.rejected,
            failed,
        };
        engine.save(|checkpoint| {
            self.own.record(checkpoint);
            checkpoint.progress = progress;
        });
        if left.is_some() {
            engine.tell(TrackEventKind::TakenOver {
                total: counts.total,
                resolved: counts.resolved,
                unknown: counts.not_found + counts.rejected,
                open: counts.total.saturating_sub(answered),
            });
        }
        if counts.inserted == 0 && counts.not_found >= KNOWS_NOTHING {
            engine.tell(TrackEventKind::KnowsNothing { tokens: counts.not_found });
        }
        let own_took = *self.own_ended.lock();
        let took = match engine.requester.last_acknowledged() {
            Duration::ZERO => own_took,
            last => last,
        };
        let rounds = *self.rounds.lock();
        let result = Track {
            phase: self.source().name().to_owned(),
            total: counts.total,
            processed: answered + failed,
            resolved_by_others: counts.resolved.saturating_sub(counts.inserted_of_own),
            inserted: counts.inserted,
            inserted_of_own: counts.inserted_of_own,
            inserted_before: self.inserted_before,
            not_found: counts.not_found,
            rejected: counts.rejected,
            failed,
            coverage_pct: Percentage::floored(counts.resolved, counts.total),
            requests: read(&gauges.requests),
            throttled: read(&gauges.throttled),
            retries: read(&gauges.retries),
            longest_wait_seconds: Seconds(read(&gauges.longest_wait) as f64 / 1000.0),
            resumed: self.resumed,
            odd_records: engine.odd_records(),
            workers: read(&gauges.workers),
            ended_early: left,
            round: (rounds.tokens > 0).then_some(rounds),
            tokens_per_second: rate((answered + failed).saturating_sub(self.resumed), own_took),
            elapsed_seconds: Seconds(seconds(gauges.began.duration_since(engine.config.started) + took)),
            work_seconds: Seconds(seconds(engine.requester.work())),
            track_seconds: Seconds(seconds(took)),
            resolved: counts.resolved,
            outcome,
        };
        gauges.settle(&result);
        Ok(result)
    }
}

fn add_counts(counts: &mut RoundCounts, more: &RoundCounts) {
    counts.tokens += more.tokens;
    counts.resolved += more.resolved;
    counts.not_found += more.not_found;
    counts.rejected += more.rejected;
    counts.failed += more.failed;
}
