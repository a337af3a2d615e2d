//! [`look`]: where every phase stands, from the journal, the checkpoints and their locks. It asks nobody, and so also
//! works while tracks run and while ClickHouse is away; [`Coverage`](crate::store::coverage::Coverage) is asked for apart.

use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use crate::journal::{History, PhaseRun, Sample};
use crate::process_lock::{self, Holder};
use crate::source::Source;
use crate::track::checkpoint::{self, Checkpoint, CheckpointError};

/// How a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No run of it is in the journal.
    NeverRun,
    /// A process is at it.
    Running,
    /// Its process is gone without a word: it was killed, or its machine went down.
    Died,
    /// Done.
    Done,
    /// Done, below a threshold.
    BelowThreshold,
    /// Stopped with work left.
    WorkLeft,
    /// Interrupted by a signal.
    Interrupted,
    /// It could not do its work.
    Failed,
}

impl State {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverRun => "never run",
            Self::Running => "running",
            Self::Died => "killed",
            Self::Done => "done",
            Self::BelowThreshold => "below threshold",
            Self::WorkLeft => "work left",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    fn of(run: &PhaseRun) -> Self {
        match &run.ended {
            None if (Holder { pid: Some(run.pid) }).is_alive() => Self::Running,
            None => Self::Died,
            Some(end) => match end.exit {
                0 => Self::Done,
                3 => Self::BelowThreshold,
                4 => Self::WorkLeft,
                130 => Self::Interrupted,
                _ => Self::Failed,
            },
        }
    }
}

/// A phase as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseStatus {
    /// Its name.
    pub phase: String,
    /// How it stands.
    pub state: State,
    /// When it began or, at its end, when that was.
    pub at: Option<Timestamp>,
    /// How long it took, at its end.
    pub seconds: Option<f64>,
    /// Why it failed, where it did.
    pub error: Option<String>,
}

/// A track as it stands.
#[derive(Debug)]
pub struct TrackStatus {
    /// The track.
    pub source: Source,
    /// Its checkpoint, `None` where it has none.
    pub checkpoint: Result<Option<Checkpoint>, CheckpointError>,
    /// The process that is at it.
    pub pid: Option<i32>,
    /// What that process told last of how far it is.
    pub sample: Option<Sample>,
    /// Tokens a second, over the last seconds; `None` while it does not run.
    pub rate: Option<f64>,
}

/// How far a track is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// When it was.
    pub at: Timestamp,
    /// Tokens of its workload.
    pub total: u64,
    /// Of them, with an answer or given up.
    pub processed: u64,
    /// Tokens staged.
    pub inserted: u64,
    /// Tokens without a usable answer.
    pub failed: u64,
}

impl TrackStatus {
    /// The newer of what the checkpoint and the last sample say. What another track finds for this one is in the
    /// sample at once, and in the checkpoint when this one saves the next time.
    pub fn progress(&self) -> Option<Progress> {
        let saved = self.checkpoint.as_ref().ok().and_then(Option::as_ref).map(|it| Progress {
            at: it.updated_at,
            total: it.total,
            processed: it.progress.processed,
            inserted: it.progress.inserted,
            failed: it.progress.failed,
        });
        let told = self.sample.as_ref().map(|it| Progress {
            at: it.at,
            total: it.total,
            processed: it.processed,
            inserted: it.inserted,
            failed: it.failed,
        });
        [saved, told].into_iter().flatten().max_by_key(|it| it.at)
    }
}

/// Coverage as a phase found it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// When.
    pub at: Timestamp,
    /// Traded tokens.
    pub total: u64,
    /// Of them, mapped.
    pub mapped: u64,
}

/// Where everything stands.
#[derive(Debug)]
pub struct Status {
    /// The phases, in their order; a phase that has never run and need not is left out.
    pub phases: Vec<PhaseStatus>,
    /// The tracks that have a checkpoint, a process, or a run.
    pub tracks: Vec<TrackStatus>,
    /// The coverage that a phase found last.
    pub last_known: Option<Known>,
    /// The coverage that the first `setup` found.
    pub baseline: Option<Known>,
    /// Lines of the journal that could not be read.
    pub unreadable: u64,
}

/// What a journal and the files beside it say.
pub fn look(folder: &Path, history: &History) -> Status {
    let phases = order().filter_map(|phase| {
        let run = history.last.get(phase);
        (run.is_some() || is_due(phase, history)).then(|| phase_status(phase, run))
    });
    let phases = phases.collect();
    let tracks = Source::ALL.into_iter().filter(|source| *source != Source::Derived);
    let known = |track: &TrackStatus| {
        track.pid.is_some()
            || !matches!(track.checkpoint, Ok(None))
            || history.last.contains_key(track.source.name())
    };
    Status {
        phases,
        tracks: tracks.map(|source| track_status(folder, source, history)).filter(known).collect(),
        last_known: last_known(history),
        baseline: history.first_setup.as_ref().and_then(|(at, result)| {
            Some(Known {
                at: *at,
                total: count(result, "total_asset_ids")?,
                mapped: count(result, "mapped")?,
            })
        }),
        unreadable: history.unreadable,
    }
}

/// Every phase, in the order in which they are run.
fn order() -> impl Iterator<Item = &'static str> {
    let tracks = Source::ALL.into_iter().filter(|source| *source != Source::Derived).map(Source::name);
    ["setup", "derive"].into_iter().chain(tracks).chain(["merge", "verify", "validate"])
}

/// Whether a phase that never ran belongs to what is to be done: a track where the last `setup` gave it a share.
fn is_due(phase: &str, history: &History) -> bool {
    let setup = history.last.get("setup").and_then(|run| run.ended.as_ref());
    let share =
        |end: &crate::journal::PhaseEnd| end.result.get("tracks").and_then(|it| it.get(phase)).is_some();
    matches!(phase, "setup" | "merge" | "verify" | "validate") || setup.is_some_and(share)
}

fn phase_status(phase: &str, run: Option<&PhaseRun>) -> PhaseStatus {
    let ended = run.and_then(|run| run.ended.as_ref());
    PhaseStatus {
        phase: phase.to_owned(),
        state: run.map_or(State::NeverRun, State::of),
        at: ended.map(|end| end.at).or(run.map(|run| run.began)),
        seconds: ended.map(|end| end.seconds),
        error: ended.and_then(|end| end.error.clone()),
    }
}

fn track_status(folder: &Path, source: Source, history: &History) -> TrackStatus {
    let run = history.last.get(source.name());
    let holder = process_lock::last_holder(&checkpoint::lock_path(folder, source));
    // The lock's file keeps the last holder's id, be it one that has ended and whose id another process has now, or a
    // `setup` that only looked whether the track is free. The journal knows better, where that process writes it.
    let at_it = |pid: &i32| match run {
        Some(run) if run.pid == *pid => run.ended.is_none(),
        _ => !history.last.values().any(|run| run.pid == *pid),
    };
    let pid = holder.filter(|holder| holder.is_alive()).and_then(|holder| holder.pid).filter(at_it);
    let rate = pid.and(run).and_then(|run| {
        let last = run.samples.last()?;
        let since = run.samples.iter().rev().find(|sample| last.seconds - sample.seconds >= 5.0);
        let since = since.or(run.samples.first())?;
        let (seconds, tokens) =
            (last.seconds - since.seconds, last.processed.saturating_sub(since.processed));
        (seconds > 0.0).then(|| tokens as f64 / seconds)
    });
    let sample = pid.and(run).and_then(|run| run.samples.last()).cloned();
    TrackStatus { source, checkpoint: checkpoint::read(&checkpoint::path(folder, source)), pid, sample, rate }
}

fn count(result: &Value, name: &str) -> Option<u64> {
    result.get(name)?.as_u64()
}

/// The newest of what `setup`, `merge` and `verify` found.
fn last_known(history: &History) -> Option<Known> {
    let of = |phase: &str, read: fn(&Value) -> Option<(u64, u64)>| {
        let end = history.last.get(phase)?.ended.as_ref()?;
        let (total, mapped) = read(&end.result)?;
        Some(Known { at: end.at, total, mapped })
    };
    let setup = of("setup", |it| Some((count(it, "total_asset_ids")?, count(it, "mapped")?)));
    let merge = of("merge", |it| Some((count(it, "total_asset_ids")?, count(it.get("after")?, "mapped")?)));
    let verify =
        of("verify", |it| Some((count(it.get("global")?, "total")?, count(it.get("global")?, "mapped")?)));
    [setup, merge, verify].into_iter().flatten().max_by_key(|known| known.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Event, Journal};
    use crate::track::checkpoint::CheckpointFile;

    #[test]
    fn progress_is_the_newer_of_checkpoint_and_sample_and_a_lock_that_setup_took_is_no_track_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        journal.began("setup").1.unwrap();
        // As setup does it, from this very process.
        for source in Source::ALL {
            drop(CheckpointFile::lock(folder.path(), source).unwrap());
        }
        let look = || look(folder.path(), &History::of(folder.path()).unwrap());
        assert!(look().tracks.is_empty(), "{:?}", look().tracks);

        let (run, written) = journal.began("dome");
        written.unwrap();
        let file = CheckpointFile::lock(folder.path(), Source::Dome).unwrap();
        let now = Timestamp::now();
        let later = |seconds| now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        let mut checkpoint = Checkpoint::new(Source::Dome, "w", 10, now);
        checkpoint.progress.processed = 3;
        file.save(&checkpoint).unwrap();
        let sample = Sample {
            phase: "dome".to_owned(),
            run,
            at: later(1),
            seconds: 1.0,
            total: 10,
            processed: 5,
            inserted: 4,
            failed: 0,
            requests: 1,
            throttled: 0,
            retries: 0,
            allowed_per_second: 5.0,
        };
        journal.append(&Event::Sample(sample)).unwrap();
        let status = look();
        let [dome] = status.tracks.as_slice() else { panic!("{:?}", status.tracks) };
        assert_eq!(dome.pid, Some(std::process::id() as i32));
        assert_eq!(dome.progress().unwrap().processed, 5, "what others found for it, before it saves");
        checkpoint.progress.processed = 7;
        checkpoint.updated_at = later(2);
        file.save(&checkpoint).unwrap();
        assert_eq!(look().tracks[0].progress().unwrap().processed, 7);
    }
}
