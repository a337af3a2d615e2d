//! [`look`]: where every phase stands, from the journal, the checkpoints and their locks. It asks nobody, and so also
//! works while tracks run and while ClickHouse is away; [`Coverage`](crate::store::coverage::Coverage) is asked for apart.

use std::path::Path;

use jiff::Timestamp;

use crate::journal::{History, PhaseEnd, PhaseRun, Sample};
use crate::outcome::Outcome;
use crate::process_lock::{self, Holder};
use crate::results::{
    Known, Percentage, PhaseResult, PhaseStatus, Saved, Seconds, State, Status, TrackProgress, TrackStatus,
};
use crate::source::Source;
use crate::track::checkpoint::{self, Checkpoint};

/// What a journal and the files beside it say, as of `now`.
pub fn look(folder: &Path, history: &History, now: Timestamp) -> Status {
    let phases = order().filter_map(|phase| {
        let run = history.last.get(phase);
        (run.is_some() || is_due(phase, history)).then(|| phase_status(phase, run))
    });
    let phases = phases.collect();
    let sources = Source::ALL.into_iter().filter(|source| *source != Source::Derived);
    let tracks = sources.filter_map(|source| track_status(folder, source, history));
    Status {
        phase: "status".to_owned(),
        phases,
        tracks: tracks.collect(),
        last_known: last_known(history, now),
        baseline: history.first_setup.as_ref().and_then(|(at, result)| {
            let (total, mapped) = PhaseResult::read("setup", result)?.coverage()?;
            Some(known(*at, total, mapped, now))
        }),
        unreadable_lines: history.unreadable,
        now,
        ..Status::default()
    }
}

/// Coverage that somebody found at `at`.
pub fn known(at: Timestamp, total: u64, mapped: u64, now: Timestamp) -> Known {
    let age_seconds = now.duration_since(at).as_secs().max(0);
    Known { total, mapped, coverage_pct: Percentage::floored(mapped, total), at, age_seconds }
}

/// Every phase, in the order in which they are run.
fn order() -> impl Iterator<Item = &'static str> {
    let tracks = Source::ALL.into_iter().filter(|source| *source != Source::Derived).map(Source::name);
    ["setup", "derive"].into_iter().chain(tracks).chain(["merge", "verify", "validate"])
}

/// Whether a phase that never ran belongs to what is to be done: a track where the last `setup` gave it a share.
fn is_due(phase: &str, history: &History) -> bool {
    let setup = history.last.get("setup").and_then(|run| run.ended.as_ref());
    let share = |end: &PhaseEnd| match PhaseResult::read("setup", &end.result) {
        Some(PhaseResult::Setup(setup)) => setup.tracks.contains_key(phase),
        _ => false,
    };
    matches!(phase, "setup" | "merge" | "verify" | "validate") || setup.is_some_and(share)
}

fn state(run: &PhaseRun) -> State {
    match &run.ended {
        None if (Holder { pid: Some(run.pid) }).is_alive() => State::Running,
        None => State::Killed,
        Some(end) => Outcome::of_exit(end.exit).into(),
    }
}

fn phase_status(phase: &str, run: Option<&PhaseRun>) -> PhaseStatus {
    let ended = run.and_then(|run| run.ended.as_ref());
    PhaseStatus {
        phase: phase.to_owned(),
        state: run.map_or(State::NeverRun, state),
        at: ended.map(|end| end.at).or(run.map(|run| run.began)),
        seconds: ended.map(|end| Seconds(end.seconds)),
        error: ended.and_then(|end| end.error.clone()),
    }
}

/// A track that has a checkpoint, a process, or a run.
fn track_status(folder: &Path, source: Source, history: &History) -> Option<TrackStatus> {
    let run = history.last.get(source.name());
    let pid = at_it(folder, source, history);
    let checkpoint = checkpoint::read(&checkpoint::path(folder, source));
    if pid.is_none() && run.is_none() && matches!(checkpoint, Ok(None)) {
        return None;
    }
    let sample = pid.and(run).and_then(|run| run.samples.last());
    let saved = checkpoint.as_ref().ok().and_then(Option::as_ref);
    Some(TrackStatus {
        track: source.name().to_owned(),
        pid,
        tokens_per_second: pid.and(run).and_then(|run| rate(&run.samples)),
        progress: progress(saved, sample),
        saved: saved.map(|it| {
            let failed = it.gaps.iter().filter(|gap| gap.failure.is_some()).count();
            Saved {
                at: it.updated_at,
                not_found: it.progress.not_found,
                rejected: it.progress.rejected,
                batches_failed: failed as u64,
                batches_open: (it.gaps.len() - failed) as u64,
            }
        }),
        checkpoint: match &checkpoint {
            Ok(checkpoint) => serde_json::json!(checkpoint),
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        },
    })
}

/// The process that is at a track.
fn at_it(folder: &Path, source: Source, history: &History) -> Option<i32> {
    let holder = process_lock::last_holder(&checkpoint::lock_path(folder, source))?;
    // The lock's file keeps the last holder's id, be it one that has ended and whose id another process has now, or a
    // `setup` that only looked whether the track is free. The journal knows better, where that process writes it.
    let at_it = |pid: &i32| match history.last.get(source.name()) {
        Some(run) if run.pid == *pid => run.ended.is_none(),
        _ => !history.last.values().any(|run| run.pid == *pid),
    };
    Some(holder).filter(|holder| holder.is_alive())?.pid.filter(at_it)
}

/// Tokens a second over the last seconds.
fn rate(samples: &[Sample]) -> Option<f64> {
    let last = samples.last()?;
    let since = samples.iter().rev().find(|sample| last.seconds - sample.seconds >= 5.0);
    let since = since.or(samples.first())?;
    let (seconds, tokens) = (last.seconds - since.seconds, last.processed.saturating_sub(since.processed));
    (seconds > 0.0).then(|| tokens as f64 / seconds)
}

/// The newer of what the checkpoint and the last sample say. What another track finds for this one is in the sample at
/// once, and in the checkpoint when this one saves the next time.
fn progress(saved: Option<&Checkpoint>, sample: Option<&Sample>) -> Option<TrackProgress> {
    let saved = saved.map(|it| TrackProgress {
        at: it.updated_at,
        total: it.total,
        processed: it.progress.processed,
        inserted: it.progress.inserted,
        failed: it.progress.failed,
    });
    let told = sample.map(|it| TrackProgress {
        at: it.at,
        total: it.total,
        processed: it.processed,
        inserted: it.inserted,
        failed: it.failed,
    });
    [saved, told].into_iter().flatten().max_by_key(|it| it.at)
}

/// The newest of what `setup`, `merge` and `verify` found.
fn last_known(history: &History, now: Timestamp) -> Option<Known> {
    let of = |phase: &str| {
        let end = history.last.get(phase)?.ended.as_ref()?;
        let (total, mapped) = PhaseResult::read(phase, &end.result)?.coverage()?;
        Some(known(end.at, total, mapped, now))
    };
    ["setup", "merge", "verify"].into_iter().filter_map(of).max_by_key(|known| known.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Event, Journal, RunId};
    use crate::track::checkpoint::CheckpointFile;

    #[test]
    fn progress_is_the_newer_of_checkpoint_and_sample_and_a_lock_that_setup_took_is_no_track_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path(), RunId::of_process(Timestamp::now()));
        journal.began("setup").1.unwrap();
        // As setup does it, from this very process.
        for source in Source::ALL {
            drop(CheckpointFile::lock(folder.path(), source).unwrap());
        }
        let look = || look(folder.path(), &History::of(folder.path()).unwrap(), Timestamp::now());
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
        assert_eq!(dome.progress.unwrap().processed, 5, "what others found for it, before it saves");
        checkpoint.progress.processed = 7;
        checkpoint.updated_at = later(2);
        file.save(&checkpoint).unwrap();
        assert_eq!(look().tracks[0].progress.unwrap().processed, 7);
    }
}
