//! [`Recorder`]: what the terminal is told, told to the run journal as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::terminal::Terminal;
use super::{Progress, run};
use crate::failure::{Exit, Failure};
use crate::journal::{Event, Journal, Sample};
use crate::phases::plan::{Plan, Step};
use crate::phases::run::{Outcome, StepEnd};
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

    /// Notes that a phase begins. A journal that cannot be written is told of, and costs nothing else.
    pub fn began(&self, phase: &str) {
        let (run, written) = self.journal.began(phase);
        self.told(written);
        lock(&self.runs).insert(phase.to_owned(), run);
    }

    /// Notes how a phase has ended, unless it was never begun.
    pub fn ended(&self, phase: &str, exit: Exit, seconds: f64, result: Value, error: Option<String>) {
        let Some(run) = lock(&self.runs).remove(phase) else { return };
        let (phase, at, exit) = (phase.to_owned(), Timestamp::now(), exit as u8);
        self.told(self.journal.append(&Event::Ended { phase, run, at, exit, seconds, result, error }));
    }

    /// Notes the whole of a phase: that it begins, and what comes of it.
    ///
    /// # Errors
    /// The phase's own.
    pub async fn phase<T>(
        &self,
        phase: &str,
        work: impl Future<Output = Result<T, Failure>>,
        told: impl Fn(&T) -> (Exit, Value),
    ) -> Result<T, Failure> {
        let began = Instant::now();
        self.began(phase);
        let result = work.await;
        let (exit, value, error) = match &result {
            Ok(result) => {
                let (exit, value) = told(result);
                (exit, value, None)
            }
            Err(failure) => (failure.exit(), Value::Null, Some(failure.to_string())),
        };
        self.ended(phase, exit, seconds_since(began), value, error);
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

impl Progress for Recorder {
    fn notice(&self, text: &str) {
        self.terminal.notice(text);
    }

    fn step(&self, text: &str) {
        self.terminal.step(text);
    }

    fn planned(&self, plan: &Plan) {
        self.terminal.planned(plan);
    }

    fn phase_began(&self, step: Step) {
        self.began(step.name());
        self.terminal.phase_began(step);
    }

    fn phase_ended(&self, end: &StepEnd) {
        let (exit, error) = match &end.outcome {
            Outcome::Done => (Exit::Done, None),
            Outcome::BelowThreshold => (Exit::BelowThreshold, None),
            Outcome::WorkLeft => (Exit::WorkLeft, None),
            Outcome::Interrupted => (Exit::Interrupted, None),
            Outcome::Failed(reason) => (Exit::Unusable, Some(reason.clone())),
            Outcome::LeftOut(_) | Outcome::NotReached => return self.terminal.phase_ended(end),
        };
        let result = end.result.as_ref().map_or(Value::Null, run::json);
        self.ended(end.step.name(), exit, end.seconds, result, error);
        self.terminal.phase_ended(end);
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
