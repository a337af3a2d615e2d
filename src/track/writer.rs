//! [`Writer`]: rows of many answers become few large inserts, acknowledged before the checkpoint speaks of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::source::Source;
use crate::store::catalogue::ListedRow;
use crate::store::staging::{NotFoundRow, RejectedRow, StagedRow};
use crate::store::{Store, StoreError};

use super::events::{TrackEvent, TrackEventKind, TrackListener};

/// Rows that are collected before an insert is worth its trip.
const LARGE: usize = 40_000;

/// How long rows wait for company before they are written.
const PATIENCE: Duration = Duration::from_millis(500);

/// What one answer gave, to be written together.
#[derive(Debug, Default)]
pub struct Delivery {
    /// The batch that was answered.
    pub batch: u64,
    /// Mappings.
    pub staged: Vec<StagedRow>,
    /// Tokens that are not known.
    pub not_found: Vec<NotFoundRow>,
    /// Claims without a proof.
    pub rejected: Vec<RejectedRow>,
    /// What a catalogue lists.
    pub listed: Vec<ListedRow>,
    /// Markets of a catalogue.
    pub markets: u64,
    /// Tokens of the workload that this resolves, siblings that were pending included.
    pub resolved: u64,
    /// Whether the batch was lent by another track, so that what was not found is none of this one's workload.
    pub lent: bool,
}

/// What is collected for the next insert.
#[derive(Debug, Default)]
pub struct Load {
    /// The batches whose answers are in it.
    pub batches: Vec<u64>,
    /// Mappings.
    pub staged: Vec<StagedRow>,
    /// Tokens that are not known.
    pub not_found: Vec<NotFoundRow>,
    /// Claims without a proof.
    pub rejected: Vec<RejectedRow>,
    /// What a catalogue lists.
    pub listed: Vec<ListedRow>,
    /// Markets of a catalogue.
    pub markets: u64,
    /// Pages that list any.
    pub pages: u64,
    /// Tokens of the workload that it resolves.
    pub resolved: u64,
    /// Of the tokens that are not known, those of the workload.
    pub own_not_found: u64,
    /// Of the claims without a proof, those of the workload.
    pub own_rejected: u64,
}

impl Load {
    /// Adds what one answer gave. Both tokens of a market stay in one insert.
    pub fn add(&mut self, delivery: Delivery) {
        self.batches.push(delivery.batch);
        if !delivery.lent {
            self.own_not_found += delivery.not_found.len() as u64;
            self.own_rejected += delivery.rejected.len() as u64;
        }
        self.staged.extend(delivery.staged);
        self.not_found.extend(delivery.not_found);
        self.rejected.extend(delivery.rejected);
        self.listed.extend(delivery.listed);
        self.markets += delivery.markets;
        self.pages += u64::from(delivery.markets > 0);
        self.resolved += delivery.resolved;
    }

    /// Whether there is nothing to write and nothing to report.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Rows to be written.
    pub fn rows(&self) -> usize {
        self.staged.len() + self.not_found.len() + self.rejected.len() + self.listed.len()
    }

    /// Whether it is time for an insert.
    pub fn is_large(&self) -> bool {
        self.rows() >= LARGE
    }
}

/// Writes one source's rows, through outages.
pub struct Writer {
    store: Store,
    source: Source,
    give_up_after: Duration,
    listener: Arc<dyn TrackListener>,
}

impl Writer {
    /// The writer of `source`; an outage of ClickHouse may last `give_up_after`.
    pub fn new(
        store: Store,
        source: Source,
        give_up_after: Duration,
        listener: Arc<dyn TrackListener>,
    ) -> Self {
        Self { store, source, give_up_after, listener }
    }

    /// Collects deliveries into large inserts until their senders are gone, and tells `acknowledged` of each that
    /// ClickHouse has.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn run(
        &self,
        mut deliveries: mpsc::Receiver<Delivery>,
        acknowledged: &(dyn Fn(&Load) + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut open = true;
        while open {
            let mut load = Load::default();
            let mut since: Option<tokio::time::Instant> = None;
            while !load.is_large() {
                let next = match since {
                    None => Ok(deliveries.recv().await),
                    Some(since) => timeout(PATIENCE.saturating_sub(since.elapsed()), deliveries.recv()).await,
                };
                match next {
                    Ok(Some(delivery)) => {
                        since.get_or_insert_with(tokio::time::Instant::now);
                        load.add(delivery);
                    }
                    Ok(None) => {
                        open = false;
                        break;
                    }
                    Err(_) => break,
                }
            }
            if !load.is_empty() {
                self.write(&load).await?;
                acknowledged(&load);
            }
        }
        Ok(())
    }

    /// Writes a load; when it returns, ClickHouse has acknowledged all of it.
    ///
    /// # Errors
    /// The last error, where the outage outlasted the limit or trying again cannot help.
    pub async fn write(&self, load: &Load) -> Result<(), StoreError> {
        let (store, track) = (&self.store, self.source.name());
        let staging = store.staging_table(&self.source.staging_table());
        let (not_found, rejected) =
            (store.staging_table("not_found"), store.staging_table("rejected_mappings"));
        if !load.staged.is_empty() {
            self.persist(|| store.insert(&staging, track, &load.staged)).await?;
        }
        if !load.listed.is_empty() {
            let catalogue = store.catalogue(self.source);
            self.persist(|| store.insert(&catalogue, track, &load.listed)).await?;
        }
        if !load.not_found.is_empty() {
            self.persist(|| store.insert(&not_found, track, &load.not_found)).await?;
        }
        if !load.rejected.is_empty() {
            self.persist(|| store.insert(&rejected, track, &load.rejected)).await?;
        }
        Ok(())
    }

    fn tell(&self, kind: TrackEventKind<'_>) {
        self.listener.on_track_event(&TrackEvent { source: self.source, kind });
    }

    /// Repeats `what` until it succeeds, for as long as an outage may last.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn persist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        what: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .without_max_times()
            .build();
        let mut failing: Option<Instant> = None;
        loop {
            match what().await {
                Ok(done) => {
                    if failing.is_some() {
                        self.tell(TrackEventKind::StoreBack);
                    }
                    return Ok(done);
                }
                Err(error) => {
                    let since = *failing.get_or_insert_with(|| {
                        self.tell(TrackEventKind::StoreDown(&error));
                        Instant::now()
                    });
                    let pause = pauses.next().unwrap_or(Duration::from_secs(10));
                    if !error.may_pass() || since.elapsed() + pause > self.give_up_after {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}
