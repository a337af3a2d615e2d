//! [`LogSource`]: logs of wallets from the providers of the chain, whole ranges or what is missing of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chain::{BlockRange, Coverage, Log, LogFilter};
use crate::failure::Failure;
use crate::phases::Context;
use crate::phases::chain::{ChainEvent, ChainListener, Providers};
use crate::results::ChainProvider;
use crate::track::blocks::{Avoided, BlockReader, ReadOptions};

/// Between two events of progress.
const BETWEEN: Duration = Duration::from_secs(30);

/// What was read of some ranges.
#[derive(Debug, Default)]
pub(in crate::phases) struct ReadLogs {
    /// The logs, each once, in order.
    pub(in crate::phases) logs: Vec<Log>,
    /// The blocks that nobody gave.
    pub(in crate::phases) missing: Vec<BlockRange>,
    /// Who gave the first of them.
    pub(in crate::phases) provider: String,
    /// Records that are no logs.
    pub(in crate::phases) unreadable: u64,
}

/// Reads logs, any filter and any ranges.
pub(in crate::phases) struct LogSource<'a> {
    context: &'a Context,
    listener: ChainListener,
    /// Who is asked.
    pub(in crate::phases) providers: Providers,
}

impl<'a> LogSource<'a> {
    /// Opens the providers of `CHAIN_URL`.
    ///
    /// # Errors
    /// None of them can be used, or the first block that is wanted lies above the last final one.
    pub(in crate::phases) async fn open(
        context: &'a Context,
        listener: &ChainListener,
    ) -> Result<Self, Failure> {
        let providers = Providers::open(context, listener).await?;
        let (first, head) = (context.settings.chain.from_block, providers.head());
        if first > head {
            return Err(Failure::Usage(format!(
                "CHAIN_FROM_BLOCK {first} is above the last final block, {head}; leave it out to read from the contracts' first block"
            )));
        }
        Ok(Self { context, listener: listener.clone(), providers })
    }

    /// From the first block that is wanted to the last final one.
    pub(in crate::phases) fn wanted(&self) -> BlockRange {
        BlockRange { from: self.context.settings.chain.from_block, to: self.providers.head() }
    }

    /// Reads what a filter takes in some ranges.
    ///
    /// # Errors
    /// No provider is left.
    pub(in crate::phases) async fn read(
        &self,
        filter: LogFilter,
        ranges: &[BlockRange],
    ) -> Result<ReadLogs, Failure> {
        let mut read = ReadLogs::default();
        if ranges.is_empty() {
            return Ok(read);
        }
        let options = ReadOptions {
            filter: Arc::new(filter),
            // Nothing in such a log is a hash of the rest.
            cannot_be: |_| false,
            workers: self.providers.workers,
            give_up_after: self.context.settings.work.give_up_after,
        };
        let listener = self.listener.clone();
        let told = Arc::new(move |event| listener(ChainEvent::Provider(event)));
        let jobs = ranges.iter().map(|range| (*range, Avoided::default()));
        let reader =
            BlockReader::new(options, self.providers.list.clone(), jobs, self.context.stop.clone(), told);
        let mut answers = reader.start();
        let blocks = ranges.iter().map(BlockRange::blocks).sum();
        let (mut covered, mut logs, mut last) = (Coverage::default(), BTreeMap::new(), Instant::now());
        while let Some(answer) = answers.recv().await {
            for doubted in &answer.doubted {
                covered.remove(*doubted);
            }
            covered.add(answer.range);
            if read.provider.is_empty() {
                read.provider = answer.provider.to_string();
            }
            read.unreadable += answer.logs.unreadable.len() as u64;
            logs.extend(answer.logs.logs.into_iter().map(|log| ((log.block, log.log_index), log)));
            if last.elapsed() >= BETWEEN {
                last = Instant::now();
                let left = reader.open_blocks();
                let (requests, _) = self.providers.requests();
                (self.listener)(ChainEvent::Progress { left, blocks, logs: logs.len() as u64, requests });
            }
        }
        read.logs = logs.into_values().collect();
        read.missing = ranges.iter().flat_map(|range| covered.missing(*range)).collect();
        self.somebody_left(&read)?;
        Ok(read)
    }

    fn somebody_left(&self, read: &ReadLogs) -> Result<(), Failure> {
        let gone: Vec<_> = self.providers.list.iter().filter_map(|it| it.why_gone()).collect();
        match gone.last() {
            Some(why) if gone.len() == self.providers.list.len() && !read.missing.is_empty() => {
                Err(Failure::Unusable(format!(
                    "no provider of the chain's logs can be used any more: {why}; run the same command again, what was read is kept"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Each provider as it was asked.
    pub(in crate::phases) fn told(&self) -> Vec<ChainProvider> {
        self.providers.told()
    }
}
