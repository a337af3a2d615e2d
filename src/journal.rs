//! [`Journal`]: what ran, when, and what came of it, a line of JSON each, in `run-journal.jsonl` beside the checkpoints.
//!
//! Several processes may write at once: each line is one append. A line that a crash has torn is passed over and counted.
//! Nothing in it decides anything: the tables are the truth, and a journal that is lost costs a look back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::foreign;

/// The journal's name in the folder of the checkpoints.
pub const NAME: &str = "run-journal.jsonl";

/// The id of one process, in every line of its log, in the journal and on its pages: when it started and which process
/// it is. The runs of its phases begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    /// The id of this process, which started `at`.
    pub fn of_process(at: Timestamp) -> Self {
        Self(format!("{}-{}", at.as_millisecond(), std::process::id()))
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which server and which tables a phase worked with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// ClickHouse's URL, without a password.
    pub server: String,
    /// The version that ClickHouse says it has; empty where it was not asked.
    pub server_version: String,
    /// The staging database.
    pub staging: String,
    /// The users' tables, each after the setting that names it.
    pub tables: BTreeMap<String, String>,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A phase begins.
    Began {
        /// The phase's name.
        phase: String,
        /// Which run of it.
        run: String,
        /// The process.
        pid: i32,
        /// When, in UTC.
        at: Timestamp,
        /// The program's version.
        version: String,
    },
    /// How far a track is.
    Sample(Sample),
    /// A phase has ended.
    Ended {
        /// The phase's name.
        phase: String,
        /// Which run of it.
        run: String,
        /// When, in UTC.
        at: Timestamp,
        /// The exit code of its cause.
        exit: u8,
        /// How long it took.
        seconds: f64,
        /// Its JSON result, null where it came to none.
        result: Value,
        /// Why it failed, where it did.
        error: Option<String>,
        /// Where it worked; empty in a journal of an older version.
        #[serde(default)]
        place: Place,
    },
}

/// How far a track is at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The track.
    pub phase: String,
    /// Which run of it.
    pub run: String,
    /// When, in UTC.
    pub at: Timestamp,
    /// Seconds since the track began.
    pub seconds: f64,
    /// Tokens of its workload.
    pub total: u64,
    /// Of them, with an answer or given up.
    pub processed: u64,
    /// Tokens staged.
    pub inserted: u64,
    /// Tokens without a usable answer.
    pub failed: u64,
    /// Requests sent.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// Batches asked again.
    pub retries: u64,
    /// Requests a second that the API's limit allows in the long run.
    pub allowed_per_second: f64,
}

/// Appends to a journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    run: RunId,
    runs: AtomicU32,
    place: OnceLock<Place>,
}

impl Journal {
    /// The journal in `folder`, which is made with the first line, written by this run.
    pub fn new(folder: &Path, run: RunId) -> Self {
        Self { path: folder.join(NAME), run, runs: AtomicU32::new(0), place: OnceLock::new() }
    }

    /// Says where the phases of this process work, once that is known.
    pub fn works_at(&self, place: Place) {
        // There is one server a process.
        let _ = self.place.set(place);
    }

    /// Where the phases of this process work.
    pub fn place(&self) -> Place {
        self.place.get().cloned().unwrap_or_default()
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends that a phase begins, and answers which run of it this is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn began(&self, phase: &str) -> (String, io::Result<()>) {
        let at = Timestamp::now();
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let run = format!("{}-{number}", self.run);
        let event = Event::Began {
            phase: phase.to_owned(),
            run: run.clone(),
            pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        (run, self.append(&event))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// The file cannot be written; what is written of the line is passed over by readers.
    pub fn append(&self, event: &Event) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = File::options().create(true).read(true).append(true).open(&self.path)?;
        let mut line = Vec::new();
        if is_torn(&mut file)? {
            line.push(b'\n');
        }
        line.extend_from_slice(foreign::json(&serde_json::to_string(event)?).as_bytes());
        line.push(b'\n');
        // One write, which the system appends as a whole.
        file.write_all(&line)
    }
}

/// Whether the last line lacks its end: a crash, or a full disk.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Every line of the journal in `folder`, and how many could not be read; none where there is no journal.
///
/// # Errors
/// The file cannot be read.
pub fn events(folder: &Path) -> io::Result<(Vec<Event>, u64)> {
    let bytes = match std::fs::read(folder.join(NAME)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (mut events, mut unreadable) = (Vec::new(), 0);
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            Err(_) => unreadable += 1,
        }
    }
    Ok((events, unreadable))
}

/// A phase's run, as the journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseRun {
    /// Which run.
    pub run: String,
    /// The process.
    pub pid: i32,
    /// The program's version.
    pub version: String,
    /// When it began, in UTC.
    pub began: Timestamp,
    /// The track's samples, in order.
    pub samples: Vec<Sample>,
    /// How it ended; `None` while it runs, or where it was killed.
    pub ended: Option<PhaseEnd>,
}

/// How a phase's run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseEnd {
    /// When, in UTC.
    pub at: Timestamp,
    /// The exit code of its cause.
    pub exit: u8,
    /// How long it took.
    pub seconds: f64,
    /// Its JSON result, null where it came to none.
    pub result: Value,
    /// Why it failed, where it did.
    pub error: Option<String>,
    /// Where it worked.
    pub place: Place,
}

/// What a journal says: the last run of each phase, and the first measurement.
#[derive(Debug, Default)]
pub struct History {
    path: PathBuf,
    /// How far the file is read: to the end of a line.
    read: u64,
    /// The last run of each phase, by the phase's name.
    pub last: BTreeMap<String, PhaseRun>,
    /// The result of the first `setup`: what was covered before anything was done.
    pub first_setup: Option<(Timestamp, Value)>,
    /// Lines that could not be read.
    pub unreadable: u64,
}

impl History {
    /// What the journal in `folder` says; nothing where there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let mut history = Self { path: folder.join(NAME), ..Self::default() };
        history.read_on()?;
        Ok(history)
    }

    /// Reads what was appended since; `true` where that was something. It costs as much as is new.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_on(&mut self) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length < self.read {
            // Somebody has begun a new one.
            *self = Self { path: std::mem::take(&mut self.path), ..Self::default() };
        }
        if length == self.read {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.take(length - self.read).read_to_end(&mut bytes)?;
        // What has no end yet is being written.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(event) => self.take(event),
                Err(_) => self.unreadable += 1,
            }
        }
        self.read += whole as u64;
        Ok(whole > 0)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Began { phase, run, pid, at, version } => {
                let samples = Vec::new();
                self.last.insert(phase, PhaseRun { run, pid, version, began: at, samples, ended: None });
            }
            Event::Sample(sample) => {
                if let Some(of) = self.last.get_mut(&sample.phase).filter(|it| it.run == sample.run) {
                    of.samples.push(sample);
                }
            }
            Event::Ended { phase, run, at, exit, seconds, result, error, place } => {
                if phase == "setup" && self.first_setup.is_none() && !result.is_null() {
                    self.first_setup = Some((at, result.clone()));
                }
                if let Some(of) = self.last.get_mut(&phase).filter(|it| it.run == run) {
                    of.ended = Some(PhaseEnd { at, exit, seconds, result, error, place });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(phase: &str, run: &str, mapped: u64) -> Event {
        Event::Ended {
            phase: phase.to_owned(),
            run: run.to_owned(),
            at: Timestamp::now(),
            exit: 0,
            seconds: 1.5,
            result: serde_json::json!({ "mapped": mapped }),
            error: None,
            place: Place::default(),
        }
    }

    fn journal_in(folder: &Path) -> Journal {
        Journal::new(folder, RunId::of_process(Timestamp::now()))
    }

    #[test]
    fn what_is_appended_is_read_a_torn_line_is_counted_and_the_last_run_counts() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal_in(&folder.path().join("new"));
        let mut history = History::of(&folder.path().join("new")).unwrap();
        assert!(!history.read_on().unwrap(), "there is none yet");
        let (first, written) = journal.began("setup");
        written.unwrap();
        assert!(history.read_on().unwrap() && history.last["setup"].ended.is_none());
        journal.append(&end("setup", &first, 1)).unwrap();
        File::options().append(true).open(journal.path()).unwrap().write_all(b"{\"event\":\"beg").unwrap();
        let (second, written) = journal.began("setup");
        written.unwrap();
        journal.append(&end("setup", &first, 7)).unwrap();
        journal.append(&end("setup", &second, 2)).unwrap();
        assert!(history.read_on().unwrap() && !history.read_on().unwrap());
        assert_ne!(first, second);
        assert_eq!(history.unreadable, 1);
        assert_eq!(history.last["setup"].ended.as_ref().unwrap().result["mapped"], 2);
        assert_eq!(history.first_setup.as_ref().unwrap().1["mapped"], 1);
        std::fs::write(journal.path(), "").unwrap();
        history.read_on().unwrap();
        assert!(history.last.is_empty(), "a new journal was begun");
    }

    #[test]
    fn many_who_write_at_once_tear_no_line() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let journal = journal_in(folder.path());
                scope.spawn(move || {
                    for nth in 0..100 {
                        journal.append(&end("setup", &format!("{writer}-{nth}"), nth * 100)).unwrap();
                    }
                });
            }
        });
        assert_eq!(History::of(folder.path()).unwrap().unreadable, 0);
        let text = std::fs::read_to_string(folder.path().join(NAME)).unwrap();
        assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 800);
    }
}
