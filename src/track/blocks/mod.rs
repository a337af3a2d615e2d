//! Reading blocks: [`BlockReader`] asks one or more providers for the logs of many ranges, as many at once as their
//! limits allow, and hands over what was read. It knows nothing of what the logs mean.
//!
//! A range is over when an answer reaches its end; what is refused for its size is halved, what fails is asked for
//! again, what one provider does not have is asked of another, and what nobody gives is named at the end.

mod answer;
mod provider;
mod queue;
mod span;

pub use answer::{CannotBe, ReadLogs};
pub use provider::Provider;
pub use queue::{Avoided, FailedRange};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::chain::{BlockRange, LogFilter};
use crate::track::backoff::pause;
use crate::upstream::chain::{ProviderKind, ReadError};
use answer::TopCount;
use provider::Failure;
use queue::{NextRange, RangeJob, RangeQueue};

/// Answers that may wait to be taken: more would only take memory.
const WAITING_ANSWERS: usize = 4;

/// A range that was read.
#[derive(Debug)]
pub struct RangeRead {
    /// The blocks, all of them read.
    pub range: BlockRange,
    /// Who gave them.
    pub provider: Arc<str>,
    /// What stood there.
    pub logs: ReadLogs,
    /// Ranges that were handed over before, and turned out not to have been read in full: they come again.
    pub doubted: Vec<BlockRange>,
}

/// What happens to a provider, for whoever looks on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderEvent {
    /// It answers no longer; it is tried again and again.
    Down {
        /// The provider.
        provider: String,
        /// Its last failure.
        reason: String,
    },
    /// It answers again.
    Back {
        /// The provider.
        provider: String,
    },
    /// It is asked for nothing any more.
    GivenUp {
        /// The provider.
        provider: String,
        /// Why.
        reason: String,
    },
    /// It has thrown old blocks away.
    Pruned {
        /// The provider.
        provider: String,
        /// A range that it does not have.
        range: BlockRange,
        /// Its words.
        reason: String,
    },
    /// It cuts answers short without a word.
    CutsInSilence {
        /// The provider.
        provider: String,
        /// The range that had less than its halves.
        range: BlockRange,
    },
    /// A range is left for the next run.
    RangeFailed {
        /// The provider that was asked last.
        provider: String,
        /// The range.
        range: BlockRange,
        /// What was wrong last.
        reason: String,
    },
}

/// Listens to providers; called from the workers, so it must return at once.
pub type ProviderListener = Arc<dyn Fn(ProviderEvent) + Send + Sync>;

/// How blocks are read.
#[derive(Clone)]
pub struct ReadOptions {
    /// Which logs.
    pub filter: Arc<LogFilter>,
    /// Which logs cannot be true, whatever else is.
    pub cannot_be: CannotBe,
    /// Requests under way at once, at each provider.
    pub workers: usize,
    /// How long an outage of a provider may last.
    pub give_up_after: Duration,
}

/// Reads ranges from providers.
pub struct BlockReader {
    options: ReadOptions,
    providers: Arc<[Arc<Provider>]>,
    tops: Vec<Mutex<TopCount>>,
    queue: Mutex<RangeQueue>,
    /// Ranges that were handed over and are read again.
    doubted: Mutex<Vec<BlockRange>>,
    changed: Notify,
    stop: CancellationToken,
    listener: ProviderListener,
}

impl BlockReader {
    /// A reader of these ranges, each with the providers that are not to be asked for it.
    pub fn new(
        options: ReadOptions,
        providers: Arc<[Arc<Provider>]>,
        ranges: impl IntoIterator<Item = (BlockRange, Avoided)>,
        stop: CancellationToken,
        listener: ProviderListener,
    ) -> Arc<Self> {
        let mut queue = RangeQueue::new(ranges, providers.len());
        for provider in providers.iter() {
            if let Some(why) = provider.why_gone() {
                queue.without(provider.number, &why.to_string());
            }
        }
        let tops = providers.iter().map(|_| Mutex::default()).collect();
        Arc::new(Self {
            options,
            providers,
            tops,
            queue: Mutex::new(queue),
            doubted: Mutex::default(),
            changed: Notify::new(),
            stop,
            listener,
        })
    }

    /// Reads until everything is read or failed, or a stop is asked for. What was read comes out of the channel, in any
    /// order; whoever drops the channel ends the reading.
    pub fn start(self: &Arc<Self>) -> mpsc::Receiver<RangeRead> {
        let (sender, receiver) = mpsc::channel(WAITING_ANSWERS);
        for provider in self.providers.iter() {
            for _ in 0..self.options.workers.max(1) {
                tokio::spawn(self.clone().work(provider.clone(), sender.clone()));
            }
        }
        receiver
    }

    /// What could not be read, once the channel is closed.
    pub fn failed(&self) -> Vec<FailedRange> {
        self.queue().take_failed()
    }

    /// Blocks that are still to be asked for.
    pub fn open_blocks(&self) -> u64 {
        self.queue().open_blocks()
    }

    fn queue(&self) -> MutexGuard<'_, RangeQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubted(&self) -> MutexGuard<'_, Vec<BlockRange>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self: Arc<Self>, provider: Arc<Provider>, read: mpsc::Sender<RangeRead>) {
        let top = &self.tops[provider.number];
        while let Some(job) = self.next(&provider, &read).await {
            // Should this task end in a panic, the range comes back and is not waited for.
            let mut held = HeldJob { reader: &self, job: Some(job.clone()) };
            let (filter, cannot_be) = (self.options.filter.clone(), self.options.cannot_be);
            let outcome = answer::read(&provider, top, &filter, job.range, cannot_be).await;
            held.job = None;
            match outcome {
                Ok(logs) => {
                    let answered = self.answered(&provider, &job, logs);
                    if read.send(answered).await.is_err() {
                        break;
                    }
                }
                Err(error) => self.no_answer(&provider, job, &error),
            }
            self.changed.notify_waiters();
        }
        self.changed.notify_waiters();
    }

    /// The next range for this provider, once it may be asked; `None` when there is nothing left for it.
    async fn next(&self, provider: &Provider, read: &mpsc::Sender<RangeRead>) -> Option<RangeJob> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.stop.is_cancelled() || read.is_closed() || provider.why_gone().is_some() {
                return None;
            }
            let now = provider.now();
            // The turn first, so that no range is held while it is waited for.
            let wait = match provider.next_turn(now) {
                Some(turn) if turn <= now => {
                    let span = provider.span().blocks();
                    match self.queue().take(provider.number, span, provider.head(), now) {
                        NextRange::Ask(job) => return Some(job),
                        NextRange::WaitUntil(time) => Some(time.saturating_sub(now)),
                        NextRange::Wait => None,
                        NextRange::Done => return None,
                    }
                }
                _ if self.queue().is_done() => return None,
                Some(turn) => Some(turn - now),
                None => None,
            };
            let pause = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = self.stop.cancelled() => {}
                () = read.closed() => {}
                () = pause => {}
            }
        }
    }

    fn answered(&self, provider: &Provider, job: &RangeJob, logs: ReadLogs) -> RangeRead {
        if provider.is_there() {
            self.tell(ProviderEvent::Back { provider: provider.name().to_owned() });
        }
        let reaches = logs.reaches.min(job.range.to);
        let range = BlockRange { to: reaches, ..job.range };
        let rest = BlockRange::new(reaches + 1, job.range.to);
        match rest {
            None => provider.span().answered(range, logs.logs.len()),
            Some(_) => provider.span().stopped_after(range.blocks()),
        }
        self.queue().answered(job, rest);
        let doubted = std::mem::take(&mut *self.doubted());
        RangeRead { range, provider: provider.name().into(), logs, doubted }
    }

    fn no_answer(&self, provider: &Provider, job: RangeJob, error: &ReadError) {
        let reason = error.to_string();
        let range = job.range;
        match error {
            ReadError::Throttled { .. } => self.queue().returned(job),
            ReadError::TooWide(_) if range.blocks() > 1 => {
                self.is_there(provider);
                match provider.take_cut() {
                    Some((range, doubted)) => {
                        let provider = provider.name().to_owned();
                        self.tell(ProviderEvent::CutsInSilence { provider, range });
                        self.queue().add(&doubted);
                        self.doubted().extend(doubted);
                    }
                    None => provider.span().refused(range),
                }
                self.queue().returned(job);
            }
            ReadError::Pruned(_) => {
                self.is_there(provider);
                let name = provider.name().to_owned();
                self.tell(ProviderEvent::Pruned { provider: name, range, reason: reason.clone() });
                self.queue().not_from(job, provider.number, &reason);
            }
            ReadError::Behind(_) | ReadError::TooWide(_) => {
                self.is_there(provider);
                self.again(provider, job, &reason);
            }
            ReadError::Passing(_) | ReadError::Unreachable(_) => {
                self.again(provider, job, &reason);
                let pause = pause(provider.failures_in_a_row());
                match provider.failed(pause, self.options.give_up_after) {
                    Failure::One => {
                        // What broke twice may be too large: an answer that never ends in time looks the same.
                        if provider.reader.kind() == ProviderKind::Node || range.blocks() > 1_000 {
                            self.halve_after_failures(provider, range);
                        }
                    }
                    Failure::Down => {
                        self.tell(ProviderEvent::Down { provider: provider.name().to_owned(), reason });
                    }
                    Failure::GivenUp => self.give_up(provider, error.clone()),
                }
            }
            ReadError::Unusable(_) | ReadError::OtherChain { .. } => {
                self.queue().returned(job);
                self.give_up(provider, error.clone());
            }
        }
    }

    fn is_there(&self, provider: &Provider) {
        if provider.is_there() {
            self.tell(ProviderEvent::Back { provider: provider.name().to_owned() });
        }
    }

    fn halve_after_failures(&self, provider: &Provider, range: BlockRange) {
        if provider.failures_in_a_row() == 2 && range.blocks() > 1 {
            provider.span().refused(range);
        }
    }

    fn again(&self, provider: &Provider, job: RangeJob, reason: &str) {
        let (range, not_before) = (job.range, provider.now() + pause(job.attempts));
        if self.queue().failed(job, not_before, reason) {
            let (provider, reason) = (provider.name().to_owned(), reason.to_owned());
            self.tell(ProviderEvent::RangeFailed { provider, range, reason });
        }
    }

    fn give_up(&self, provider: &Provider, why: ReadError) {
        if provider.why_gone().is_none() {
            let reason = why.to_string();
            self.tell(ProviderEvent::GivenUp {
                provider: provider.name().to_owned(),
                reason: reason.clone(),
            });
            provider.gives_up(why);
            self.queue().without(provider.number, &reason);
        }
    }

    fn tell(&self, event: ProviderEvent) {
        (self.listener)(event);
    }
}

/// A range that comes back unless it was dealt with.
struct HeldJob<'a> {
    reader: &'a BlockReader,
    job: Option<RangeJob>,
}

impl Drop for HeldJob<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.reader.queue().failed(job, Duration::ZERO, "the answer could not be worked on");
            self.reader.changed.notify_waiters();
        }
    }
}
