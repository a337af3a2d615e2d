//! Staying at the head: a request or two a tick, whatever stands behind it.

use std::time::Duration;

use super::events::ChainEvent;
use super::{BlockRange, Reading};
use crate::failure::Failure;

/// Between two looks at the head: about ten blocks.
const TICK: Duration = Duration::from_secs(15);

impl Reading<'_> {
    /// Reads each new final block until a signal comes. What stands open behind the head is left for the next run.
    pub(super) async fn follow(&mut self) -> Result<(), Failure> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = self.context.stop.cancelled() => return Ok(()),
            }
            self.tick().await?;
        }
    }

    /// Reads what has become final since the last look.
    async fn tick(&mut self) -> Result<(), Failure> {
        let before = self.wanted().to;
        self.providers.refresh().await;
        let Some(new) = BlockRange::new(before + 1, self.wanted().to) else { return Ok(()) };
        let logs = self.writer.written.logs;
        let missing = self.writer.ledger.coverage().missing(new);
        self.read(missing, new.blocks()).await?;
        let logs = self.writer.written.logs - logs;
        (self.listener)(ChainEvent::Followed { block: new.to, logs });
        Ok(())
    }
}
