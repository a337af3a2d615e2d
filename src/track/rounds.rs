//! [`run`]: tracks side by side. Each works through its own list; then, as long as another list has something left that
//! it was not asked for, it works on rounds of that. It waits for nobody: of a list that its own track is still at work
//! on, it begins at the other end.
//!
//! What is left is read from the tables, so that it does not matter whether the tracks run in one process or in
//! several terminals, nor how often they are interrupted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::engine::TrackError;
use super::fingerprints::StagedTokens;
use super::lookup::LookupTrack;
use super::round::TakenUp;
use crate::process_lock::ProcessIdentity;
use crate::results::Track;
use crate::source::Source;
use crate::store::Store;
use crate::store::rounds::RoundList;

/// Between two looks at what the tracks of other processes have staged.
const LOOK: Duration = Duration::from_secs(2);

/// How far back such a look goes, in seconds: longer than an insert takes, and than most clocks differ.
const LOOK_BACK: u32 = 60;

/// Runs tracks side by side until nothing is left that one of them was not asked for. `abandoned` are tracks whose
/// lists nobody else asks for.
///
/// # Errors
/// Where a track broke, which would be a defect.
pub async fn run(
    tracks: &[Arc<LookupTrack>],
    abandoned: &[Source],
) -> Result<Vec<Result<Track, TrackError>>, tokio::task::JoinError> {
    let elsewhere: Arc<StagedTokens> = Arc::default();
    for track in tracks {
        let others = tracks.iter().filter(|other| other.source() != track.source());
        track.set_peers(others.map(|other| other.staged()).chain([elsewhere.clone()]).collect());
    }
    let follower = tracks.first().map(|track| {
        let of = Source::ALL.into_iter().filter(|it| tracks.iter().all(|track| track.source() != *it));
        tokio::spawn(follow(track.store().clone(), of.collect(), elsewhere))
    });
    let rounds = Arc::new(Rounds {
        tracks: tracks.to_vec(),
        abandoned: abandoned.to_vec(),
        taken_up: Arc::default(),
        turns: watch::Sender::new(Turns { at_work: tracks.len(), ..Turns::default() }),
    });
    let works: Vec<_> = tracks.iter().map(|it| tokio::spawn(rounds.clone().work(it.clone()))).collect();
    for work in works {
        work.await?;
    }
    follower.iter().for_each(tokio::task::JoinHandle::abort);
    let settled = tracks.iter().any(|track| track.is_live());
    let mut results = Vec::new();
    for track in tracks {
        let beside: Vec<Source> =
            tracks.iter().map(|it| it.source()).filter(|it| *it != track.source()).collect();
        results.push(track.finish(&beside, settled).await);
    }
    Ok(results)
}

/// Learns what the tracks of other processes stage, so that it is not asked for here.
async fn follow(store: Store, sources: Vec<Source>, staged: Arc<StagedTokens>) {
    let mut beat = tokio::time::interval(LOOK);
    loop {
        beat.tick().await;
        match store.staged_lately(&sources, LOOK_BACK).await {
            Ok(lately) => {
                staged.extend(lately);
            }
            // It costs requests, and whoever writes notices an outage.
            Err(error) => tracing::debug!("{error}"),
        }
    }
}

/// How far the tracks of a process are.
#[derive(Debug, Default)]
struct Turns {
    /// How often a list or a round has ended that may have left something.
    ended: u64,
    /// Tracks that can still be asked.
    at_work: usize,
    /// Of those, the ones that found nothing to take up since the last end.
    idle: usize,
    /// Nobody finds anything any more.
    over: bool,
}

impl Turns {
    fn end(&mut self) {
        self.ended += 1;
        self.idle = 0;
    }
}

/// The tracks of a process, which take up what the others leave.
struct Rounds {
    tracks: Vec<Arc<LookupTrack>>,
    abandoned: Vec<Source>,
    taken_up: Arc<TakenUp>,
    turns: watch::Sender<Turns>,
}

impl Rounds {
    async fn work(self: Arc<Self>, track: Arc<LookupTrack>) {
        // Also where it panics: nobody waits for it then.
        let _leaves = Leaves(&self);
        track.run_own().await;
        self.turns.send_modify(Turns::end);
        while track.is_live() {
            let seen = self.turns.borrow().ended;
            for other in self.tracks.iter().filter(|other| other.has_ended_early()) {
                other.leave_to_others();
            }
            let lists = self.lists(&track).await;
            if track.clone().run_round(lists, self.taken_up.clone()).await > 0 {
                self.turns.send_modify(Turns::end);
            } else if !self.has_more(seen).await {
                return;
            }
        }
    }

    /// The lists of the other tracks, as `track` is to look through them now.
    async fn lists(&self, track: &LookupTrack) -> Vec<RoundList> {
        let mut lists = Vec::new();
        for owner in Source::tracks().filter(|owner| *owner != track.source()) {
            let answered_only = match self.tracks.iter().find(|it| it.source() == owner) {
                Some(other) => other.has_every_answer(),
                None => !self.abandoned.contains(&owner) && !is_at_work_elsewhere(track.store(), owner).await,
            };
            lists.push(RoundList { owner, track: track.source(), answered_only });
        }
        lists
    }

    /// A track that found nothing to take up, having `seen` so many ends, waits for the next one; `false` where none
    /// will come.
    async fn has_more(&self, seen: u64) -> bool {
        self.turns.send_modify(|turns| {
            turns.idle += usize::from(turns.ended == seen);
            turns.over |= turns.idle >= turns.at_work;
        });
        let mut turns = self.turns.subscribe();
        // It cannot be closed: the sender is ours.
        turns.wait_for(|it| it.over || it.ended != seen).await.is_ok_and(|it| !it.over)
    }
}

/// A track that leaves its place.
struct Leaves<'a>(&'a Rounds);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.turns.send_modify(|turns| {
            turns.at_work -= 1;
            turns.end();
        });
    }
}

/// Whether another process is at work on a track's list. Where that cannot be told, nobody is taken to be.
async fn is_at_work_elsewhere(store: &Store, source: Source) -> bool {
    let holder = store.lease_holder(source.name(), &ProcessIdentity::current()).await;
    holder
        .unwrap_or_else(|error| {
            tracing::debug!("{error}");
            None
        })
        .is_some()
}
