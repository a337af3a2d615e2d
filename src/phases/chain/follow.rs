//! Staying at the head: a request or two a tick, whatever stands behind it.

use std::time::{Duration, Instant};

use super::events::ChainEvent;
use super::{BlockRange, Reading};
use crate::failure::Failure;
use crate::outcome::Outcome;

impl Reading<'_> {
    /// Reads each new final block until a signal comes, as it is meant to, or an outage of all providers outlasts what
    /// outages may last. What stood open behind the head by then is left for the next run.
    pub(super) async fn follow(&mut self, tick: Duration) -> Result<Outcome, Failure> {
        let from = self.wanted().to + 1;
        let mut complete = self.missing().is_empty();
        let mut silent: Option<Instant> = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(tick) => {}
                () = self.context.stop.cancelled() => {
                    return Ok(if complete { Outcome::Done } else { Outcome::WorkLeft });
                }
            }
            match self.providers.refresh().await {
                Ok(()) => {
                    if silent.take().is_some() {
                        (self.listener)(ChainEvent::HeadBack);
                    }
                    self.read_new(from).await?;
                    // A tick that a signal has cut short leaves nothing but blocks that were new.
                    if !self.context.stop.is_cancelled() {
                        complete = self.missing().is_empty();
                    }
                }
                Err(error) => {
                    let since = *silent.get_or_insert_with(|| {
                        (self.listener)(ChainEvent::NoHead(error.to_string()));
                        Instant::now()
                    });
                    if since.elapsed() > self.context.settings.work.give_up_after {
                        return Ok(Outcome::WorkLeft);
                    }
                }
            }
        }
    }

    /// Reads what has become final since this block and is not covered.
    async fn read_new(&mut self, from: u64) -> Result<(), Failure> {
        let Some(new) = BlockRange::new(from, self.wanted().to) else { return Ok(()) };
        let missing = self.writer.ledger.coverage().missing(new);
        let blocks = missing.iter().map(BlockRange::blocks).sum();
        if blocks == 0 {
            return Ok(());
        }
        let logs = self.writer.written.logs;
        self.read(missing, blocks).await?;
        let logs = self.writer.written.logs - logs;
        (self.listener)(ChainEvent::Followed { block: new.to, logs });
        Ok(())
    }
}
