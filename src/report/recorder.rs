//! [`Recorder`]: what the terminal is told, told to the run journal as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::Report;
use super::terminal::Terminal;
use crate::failure::Failure;
use crate::journal::{Event, Journal, Place, Sample};
use crate::outcome::Outcome;
use crate::phases::events::{PhaseEvent, PhaseListener};
use crate::phases::steps::{End, StepEnd};
use crate::source::Source;
use crate::track::events::{TrackEvent, TrackEventKind, TrackListener};
use crate::track::{Gauges, read};

/// Samples of a track at the first pace, one a second; after so many each next one takes twice as long.
const SAMPLES: u32 = 600;

/// Tells the terminal and the journal.
pub struct Recorder {
    terminal: Arc<Terminal>,
    journal: Arc<Journal>,
    runs: Mutex<HashMap<String, String>>,
    samplers: Mutex<HashMap<Source, Sampler>>,
}

/// A track that is looked at each second.
struct Sampler {
    gauges: Arc<Gauges>,
    began: Instant,
    task: tokio::task::JoinHandle<()>,
}

impl Recorder {
    /// Tells `terminal` and `journal`.
    pub fn new(terminal: Arc<Terminal>, journal: Journal) -> Self {
        Self { terminal, journal: Arc::new(journal), runs: Mutex::default(), samplers: Mutex::default() }
    }

    /// Says where this process works: what ends from now on is noted with it.
    pub fn works_at(&self, place: Place) {
        let Place { server, server_version, staging, .. } = &place;
        tracing::info!(target: "backfill::step", server, server_version, staging, "is connected");
        self.journal.works_at(place);
    }

    /// Notes that a phase begins. A journal that cannot be written is told of, and costs nothing else.
    pub fn began(&self, phase: &str) {
        let (run, written) = self.journal.began(phase);
        self.told(written);
        tracing::info!(target: "backfill::result", phase, run, "began");
        lock(&self.runs).insert(phase.to_owned(), run);
    }

    /// Notes how a phase has ended, unless it was never begun.
    pub fn ended(&self, phase: &str, outcome: Outcome, seconds: f64, result: Value, error: Option<String>) {
        let Some(run) = lock(&self.runs).remove(phase) else { return };
        let (phase, at, exit) = (phase.to_owned(), Timestamp::now(), outcome.exit());
        let (place, code) = (self.journal.place(), exit);
        tracing::info!(
            target: "backfill::result", phase, run, exit = code, seconds, error, result = %result, "ended"
        );
        self.told(self.journal.append(&Event::Ended { phase, run, at, exit, seconds, result, error, place }));
    }

    /// Notes the whole of a phase: that it begins, and what comes of it.
    ///
    /// # Errors
    /// The phase's own.
    pub async fn phase<T: Report>(
        &self,
        phase: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        self.began(phase);
        let result = work.await;
        let (outcome, value, error) = match &result {
            Ok(result) => (result.outcome(), result.json(), None),
            Err(failure) => (failure.outcome(), Value::Null, Some(failure.to_string())),
        };
        self.ended(phase, outcome, seconds_since(began), value, error);
        result
    }

    fn told(&self, written: std::io::Result<()>) {
        if let Err(error) = written {
            self.terminal.notice(&format!(
                "cannot write the run journal {}: {error}; status and report will miss this, the work goes on",
                self.journal.path().display()
            ));
        }
    }
}

/// To the millisecond.
fn seconds_since(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

fn sample(gauges: &Gauges, run: String, began: Instant) -> Event {
    Event::Sample(Sample {
        phase: gauges.source.name().to_owned(),
        run,
        at: Timestamp::now(),
        seconds: seconds_since(began),
        total: gauges.total,
        processed: read(&gauges.processed),
        inserted: read(&gauges.inserted),
        failed: read(&gauges.failed),
        requests: read(&gauges.requests),
        throttled: read(&gauges.throttled),
        retries: read(&gauges.retries),
        allowed_per_second: gauges.allowed_per_second,
    })
}

/// Looks at a track each second, later less often, until it is ended. What cannot be written was told at the beginning.
async fn look(journal: Arc<Journal>, gauges: Arc<Gauges>, run: String, began: Instant) {
    let mut pace = Duration::from_secs(1);
    loop {
        for _ in 0..SAMPLES {
            let _ = journal.append(&sample(&gauges, run.clone(), began));
            tokio::time::sleep(pace).await;
        }
        pace *= 2;
    }
}

impl PhaseListener for Recorder {
    fn on_phase_event(&self, event: &PhaseEvent<'_>) {
        match event {
            PhaseEvent::Began(step) => self.began(step.name()),
            PhaseEvent::Ended(end) => self.phase_ended(end),
            _ => {}
        }
        self.terminal.on_phase_event(event);
    }
}

impl TrackListener for Recorder {
    fn on_track_event(&self, event: &TrackEvent<'_>) {
        match &event.kind {
            TrackEventKind::TrackBegan(gauges) => self.track_began(gauges.clone()),
            TrackEventKind::TrackEnded => self.track_ended(event.source),
            _ => {}
        }
        self.terminal.on_track_event(event);
    }
}

impl Recorder {
    fn phase_ended(&self, end: &StepEnd) {
        let (outcome, error) = match &end.end {
            End::Ended(outcome) => (*outcome, None),
            End::Failed { outcome, message } => (*outcome, Some(message.clone())),
            End::LeftOut(_) | End::NotReached => return,
        };
        let result = end.result.as_ref().map_or(Value::Null, Report::json);
        self.ended(end.step.name(), outcome, end.seconds, result, error);
    }

    fn track_began(&self, gauges: Arc<Gauges>) {
        let run = lock(&self.runs).get(gauges.source.name()).cloned();
        if let Some(run) = run {
            let began = Instant::now();
            let task = tokio::spawn(look(self.journal.clone(), gauges.clone(), run, began));
            lock(&self.samplers).insert(gauges.source, Sampler { gauges, began, task });
        }
    }

    fn track_ended(&self, source: Source) {
        let sampler = lock(&self.samplers).remove(&source);
        if let Some(Sampler { gauges, began, task }) = sampler {
            task.abort();
            let run = lock(&self.runs).get(source.name()).cloned().unwrap_or_default();
            self.told(self.journal.append(&sample(&gauges, run, began)));
        }
    }
}

/// No holder can panic between two changes that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
