//! `chain`: conditions, payouts, markets and combos from the chain's own events.
//!
//! What is not covered is read, from whoever gives it; what was read is written and then noted as covered. So it can be
//! interrupted, killed or pointed at another provider at any time, and goes on with what is missing.

mod check;
pub mod events;
mod follow;
mod import;
mod open;
pub mod rows;
pub(super) mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use events::{ChainEvent, ChainListener};
pub use import::ChainFiles;
pub use open::Providers;

use tokio_util::sync::CancellationToken;

use super::Context;
use crate::chain::contracts::{self, FIRST_BLOCK};
use crate::chain::{BlockRange, Decoded, Log, LogFilter, decode};
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::process_lock::ProcessIdentity;
use crate::results::{Chain, ChainCheck, Seconds};
use crate::track::blocks::{Avoided, BlockReader, Provider, ReadOptions};
use write::{ChainWriter, WRITER};

/// Between two events of progress.
const BETWEEN: Duration = Duration::from_secs(30);

/// How the chain is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChainOptions {
    /// Ranges that were read and are to be read once more.
    pub recheck: Vec<BlockRange>,
    /// The share of what was read, above 0 and at most 1, that a second provider is asked for.
    pub check: Option<f64>,
    /// Decides which ranges are checked.
    pub check_seed: u64,
    /// Stay at the head until a signal comes, and look at it once in so long.
    pub follow: Option<Duration>,
    /// Only what is new behind the last block that was read; what is missing before it is left for another time.
    pub new_only: bool,
    /// Files that are taken in; where there are any, no provider is asked.
    pub files: ChainFiles,
}

/// Reads what is not covered up to the last final block.
///
/// # Errors
/// No provider can be used, another process reads, or ClickHouse fails.
pub async fn run(
    context: &Context,
    options: &ChainOptions,
    listener: &ChainListener,
) -> Result<Chain, Failure> {
    let store = &context.store;
    store.create_chain_tables().await?;
    let lease = store.lease(WRITER, &[], &ProcessIdentity::current()).await?;
    let result = run_until_lost(context, options, listener, lease.lost()).await;
    if lease.lost().is_cancelled() {
        return result;
    }
    // Also after a failure: whoever comes next need not wait. Where this fails the lease expires by itself.
    let released = lease.release().await;
    let result = result?;
    released?;
    Ok(result)
}

/// The work of [`run`] under a lease that is held already, until that is lost: whoever holds it by then reads, so this
/// ends at once, however long what it waits for may take.
///
/// # Errors
/// As [`run`], and that the lease was lost.
pub async fn run_until_lost(
    context: &Context,
    options: &ChainOptions,
    listener: &ChainListener,
    lost: &CancellationToken,
) -> Result<Chain, Failure> {
    let work = async {
        match options.files.is_empty() {
            true => read(context, options, listener).await,
            false => import::import(context, &options.files, listener).await,
        }
    };
    tokio::select! {
        biased;
        () = lost.cancelled() => Err(lease_lost()),
        result = work => result,
    }
}

async fn read(context: &Context, options: &ChainOptions, listener: &ChainListener) -> Result<Chain, Failure> {
    let mut reading = Reading::open(context, listener).await?;
    if options.new_only {
        reading.first = reading.writer.ledger.coverage().last().map_or(reading.first, |last| last + 1);
    }
    reading.uncover(&options.recheck).await?;
    let check = match options.check {
        Some(share) => Some(reading.check(share, options.check_seed).await?),
        None => None,
    };
    reading.read_missing().await?;
    let ended = match options.follow {
        Some(tick) if !context.stop.is_cancelled() => Some(reading.follow(tick).await?),
        _ => None,
    };
    reading.result(check, ended).await
}

/// The last block of the chain that was read; `None` where none was.
///
/// # Errors
/// ClickHouse fails.
pub(super) async fn read_up_to(context: &Context) -> Result<Option<u64>, Failure> {
    if !context.store.has_chain().await? {
        return Ok(None);
    }
    let ledger = context.store.range_ledger(&contracts::everything().hash()).await?;
    Ok(ledger.coverage().last())
}

/// What all steps work with.
struct Reading<'a> {
    context: &'a Context,
    listener: ChainListener,
    filter: Arc<LogFilter>,
    /// The first block that is wanted.
    first: u64,
    providers: Providers,
    writer: ChainWriter,
    began: Instant,
    /// Providers that have left something out of these ranges.
    distrusted: Vec<(BlockRange, String)>,
}

impl<'a> Reading<'a> {
    async fn open(context: &'a Context, listener: &ChainListener) -> Result<Self, Failure> {
        let (store, settings) = (&context.store, &context.settings);
        store.end_orphaned_inserts(WRITER).await?;
        let filter = Arc::new(contracts::everything());
        let ledger = store.range_ledger(&filter.hash()).await?;
        let providers = Providers::open(context, listener).await?;
        let (first, head) = (settings.chain.from_block, providers.head());
        if first > head {
            return Err(Failure::Usage(format!(
                "CHAIN_FROM_BLOCK {first} is above the last final block, {head}; the contracts' first block is {FIRST_BLOCK}"
            )));
        }
        if let Some(covered) = ledger.coverage().last() {
            for provider in providers.list.iter().filter(|provider| provider.head() < covered) {
                let (provider, head) = (provider.name().to_owned(), provider.head());
                listener(ChainEvent::BehindCoverage { provider, head, covered });
            }
        }
        let writer = ChainWriter::new(store.clone(), ledger, settings.work.give_up_after, listener.clone());
        Ok(Self {
            context,
            listener: listener.clone(),
            filter,
            first,
            providers,
            writer,
            began: Instant::now(),
            distrusted: Vec::new(),
        })
    }

    /// The blocks that are wanted.
    fn wanted(&self) -> BlockRange {
        BlockRange { from: self.first, to: self.providers.head().max(self.first) }
    }

    fn missing(&self) -> Vec<BlockRange> {
        // Where nothing is new the head is below the first block that is wanted.
        let wanted = BlockRange::new(self.first, self.providers.head());
        wanted.map_or_else(Vec::new, |wanted| self.writer.ledger.coverage().missing(wanted))
    }

    async fn uncover(&mut self, ranges: &[BlockRange]) -> Result<(), Failure> {
        if !ranges.is_empty() {
            self.writer.uncover(ranges).await?;
        }
        Ok(())
    }

    /// Reads every wanted block that is not covered.
    async fn read_missing(&mut self) -> Result<(), Failure> {
        let missing = self.missing();
        let blocks: u64 = missing.iter().map(BlockRange::blocks).sum();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            let (ranges, from, to) = (missing.len() as u64, first.from, last.to);
            (self.listener)(ChainEvent::Planned { ranges, blocks, from, to });
        }
        self.read(missing, blocks).await
    }

    /// Reads ranges and writes what they hold. Those that a provider has left something out of are asked of others.
    async fn read(&mut self, ranges: Vec<BlockRange>, blocks: u64) -> Result<(), Failure> {
        if ranges.is_empty() {
            return Ok(());
        }
        let jobs: Vec<(BlockRange, Avoided)> =
            ranges.into_iter().flat_map(|range| self.with_avoided(range)).collect();
        let reader = self.reader(jobs);
        let answers = reader.start();
        let began = self.writer.written.blocks;
        let (listener, providers) = (self.listener.clone(), self.providers.list.clone());
        let mut last = Instant::now();
        let told = move |written: &write::Written| {
            if last.elapsed() < BETWEEN {
                return;
            }
            last = Instant::now();
            let requests = providers.iter().map(|provider| provider.requests()).sum();
            let left = blocks.saturating_sub(written.blocks - began);
            listener(ChainEvent::Progress { left, blocks, logs: written.logs, requests });
        };
        self.writer.run(answers, told).await?;
        self.nobody_left()
    }

    fn reader(&self, jobs: Vec<(BlockRange, Avoided)>) -> Arc<BlockReader> {
        let options = ReadOptions {
            filter: self.filter.clone(),
            cannot_be,
            workers: self.providers.workers,
            give_up_after: self.context.settings.work.give_up_after,
        };
        let listener = self.listener.clone();
        let listener = Arc::new(move |event| listener(ChainEvent::Provider(event)));
        BlockReader::new(options, self.providers.list.clone(), jobs, self.context.stop.clone(), listener)
    }

    /// Cuts a range where another set of providers is to be avoided.
    fn with_avoided(&self, range: BlockRange) -> Vec<(BlockRange, Avoided)> {
        let mut parts = Vec::new();
        let mut rest: crate::chain::Coverage = [range].into_iter().collect();
        for (distrusted, name) in &self.distrusted {
            let Some(part) = distrusted.meet(&range).filter(|part| rest.has(*part)) else { continue };
            let of = self.numbers(|provider| provider.name() == name);
            // Where there is nobody else it is better asked of than not.
            let avoided =
                if of.len() < self.providers.list.len() { Avoided::of(of) } else { Avoided::default() };
            rest.remove(part);
            parts.push((part, avoided));
        }
        parts.extend(rest.ranges().map(|range| (range, Avoided::default())));
        parts.sort_unstable_by_key(|(range, _)| range.from);
        parts
    }

    fn numbers(&self, which: impl Fn(&Provider) -> bool) -> Vec<usize> {
        let list = self.providers.list.iter().enumerate();
        list.filter(|(_, provider)| which(provider)).map(|(number, _)| number).collect()
    }

    /// Whether no provider is left that was ever of any use.
    fn nobody_left(&self) -> Result<(), Failure> {
        let gone: Vec<_> = self.providers.list.iter().filter_map(|provider| provider.why_gone()).collect();
        match gone.last() {
            Some(why) if gone.len() == self.providers.list.len() && self.writer.written.ranges == 0 => {
                Err(Failure::Unusable(format!("no provider of the chain's logs can be used any more: {why}")))
            }
            _ => Ok(()),
        }
    }

    async fn result(self, check: Option<ChainCheck>, followed: Option<Outcome>) -> Result<Chain, Failure> {
        let wanted = self.wanted();
        let missing = self.missing();
        let counts = self.context.store.chain_counts().await?;
        let (requests, throttled) = self.providers.requests();
        let written = self.writer.written;
        let worked = self.writer.last_acknowledged().unwrap_or(self.began) - self.began;
        Ok(Chain {
            phase: "chain".to_owned(),
            outcome: match (followed, missing.is_empty(), self.context.stop.is_cancelled()) {
                (Some(outcome), ..) => outcome,
                (None, true, _) => Outcome::Done,
                (None, false, true) => Outcome::Interrupted,
                (None, false, false) => Outcome::WorkLeft,
            },
            from_block: wanted.from,
            to_block: missing.first().map_or(wanted.to, |gap| gap.from.saturating_sub(1)),
            finalized: self.providers.head(),
            ranges: written.ranges,
            requests,
            throttled,
            logs: written.logs,
            conditions: counts.conditions,
            resolutions: counts.resolutions,
            combos: counts.combos,
            markets: counts.markets,
            rejected: written.rejected,
            strangers: written.strangers,
            removed: written.removed,
            contradicting: counts.contradicting,
            holes: missing.len() as u64,
            providers: self.providers.told(),
            files: Vec::new(),
            check,
            work_seconds: Seconds((worked.as_secs_f64() * 1000.0).round() / 1000.0),
            elapsed_seconds: Seconds(self.context.elapsed()),
        })
    }
}

/// Whether a log cannot be true: the contracts compute the ids that these events name.
fn cannot_be(log: &Log) -> bool {
    matches!(decode(log), Decoded::Rejected(_))
}

fn lease_lost() -> Failure {
    Failure::Unusable(
        "ClickHouse could not be told for too long that this process is alive; another one may read the chain by now, so this one ends".to_owned(),
    )
}
