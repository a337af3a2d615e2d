//! [`Writer`]: rows of many answers become few large inserts, acknowledged before the checkpoint speaks of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::source::Source;
use crate::store::catalogue::ListedRow;
use crate::store::facts::TokenFactsRow;
use crate::store::staging::{NotFoundRow, RejectedRow, StagedRow};
use crate::store::{Store, StoreError};

use super::backoff::pause;
use super::events::{TrackEvent, TrackEventKind, TrackListener};

/// Rows that are collected before an insert is worth its trip.
const LARGE: usize = 40_000;

/// How long rows wait for company before they are written.
const PATIENCE: Duration = Duration::from_millis(500);

/// What one answer gave, to be written together.
#[derive(Debug, Default)]
pub struct AnswerRows {
    /// The number of the job that was answered.
    pub job: u64,
    /// Mappings.
    pub staged: Vec<StagedRow>,
    /// Tokens that are not known.
    pub not_found: Vec<NotFoundRow>,
    /// Claims without a proof.
    pub rejected: Vec<RejectedRow>,
    /// What a catalogue lists.
    pub listed: Vec<ListedRow>,
    /// What is told of tokens beside their mappings.
    pub facts: Vec<TokenFactsRow>,
    /// Markets of a catalogue.
    pub markets: u64,
    /// Tokens of the list that this resolves, siblings that were pending included.
    pub resolved: u64,
}

/// What is collected for the next insert.
#[derive(Debug, Default)]
pub struct InsertBatch {
    /// The jobs whose answers are in it.
    pub jobs: Vec<u64>,
    /// Mappings.
    pub staged: Vec<StagedRow>,
    /// Tokens that are not known.
    pub not_found: Vec<NotFoundRow>,
    /// Claims without a proof.
    pub rejected: Vec<RejectedRow>,
    /// What a catalogue lists.
    pub listed: Vec<ListedRow>,
    /// What is told of tokens beside their mappings.
    pub facts: Vec<TokenFactsRow>,
    /// Markets of a catalogue.
    pub markets: u64,
    /// Pages that list any.
    pub pages: u64,
    /// Tokens of the list that it resolves.
    pub resolved: u64,
}

impl InsertBatch {
    /// Adds what one answer gave. Both tokens of a market stay in one insert.
    pub fn add(&mut self, rows: AnswerRows) {
        self.jobs.push(rows.job);
        self.staged.extend(rows.staged);
        self.not_found.extend(rows.not_found);
        self.rejected.extend(rows.rejected);
        self.listed.extend(rows.listed);
        self.facts.extend(rows.facts);
        self.markets += rows.markets;
        self.pages += u64::from(rows.markets > 0);
        self.resolved += rows.resolved;
    }

    /// Whether there is nothing to write and nothing to report.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Rows to be written.
    pub fn rows(&self) -> usize {
        self.staged.len() + self.not_found.len() + self.rejected.len() + self.listed.len() + self.facts.len()
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

    /// Collects answers into large inserts until their senders are gone, and tells `acknowledged` of each that
    /// ClickHouse has.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn run(
        &self,
        mut answers: mpsc::Receiver<AnswerRows>,
        acknowledged: &(dyn Fn(&InsertBatch) + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut open = true;
        while open {
            let mut batch = InsertBatch::default();
            let mut since: Option<tokio::time::Instant> = None;
            while !batch.is_large() {
                let next = match since {
                    None => Ok(answers.recv().await),
                    Some(since) => timeout(PATIENCE.saturating_sub(since.elapsed()), answers.recv()).await,
                };
                match next {
                    Ok(Some(rows)) => {
                        since.get_or_insert_with(tokio::time::Instant::now);
                        batch.add(rows);
                    }
                    Ok(None) => {
                        open = false;
                        break;
                    }
                    Err(_) => break,
                }
            }
            if !batch.is_empty() {
                self.write(&batch).await?;
                acknowledged(&batch);
            }
        }
        Ok(())
    }

    /// Writes a batch; when it returns, ClickHouse has acknowledged all of it.
    ///
    /// # Errors
    /// The last error, where the outage outlasted the limit or trying again cannot help.
    pub async fn write(&self, batch: &InsertBatch) -> Result<(), StoreError> {
        let (store, track) = (&self.store, self.source.name());
        let staging = store.staging_table(&self.source.staging_table());
        let (not_found, rejected) =
            (store.staging_table("not_found"), store.staging_table("rejected_mappings"));
        if !batch.staged.is_empty() {
            self.persist(|| store.insert(&staging, track, &batch.staged)).await?;
        }
        if !batch.facts.is_empty() {
            let facts = store.token_facts();
            self.persist(|| store.insert(&facts, track, &batch.facts)).await?;
        }
        if !batch.listed.is_empty() {
            let catalogue = store.catalogue(self.source);
            self.persist(|| store.insert(&catalogue, track, &batch.listed)).await?;
        }
        if !batch.not_found.is_empty() {
            self.persist(|| store.insert(&not_found, track, &batch.not_found)).await?;
        }
        if !batch.rejected.is_empty() {
            self.persist(|| store.insert(&rejected, track, &batch.rejected)).await?;
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
        let (mut failing, mut failures): (Option<Instant>, u32) = (None, 0);
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
                    failures += 1;
                    let pause = pause(failures);
                    if !error.may_pass() || since.elapsed() + pause > self.give_up_after {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}
