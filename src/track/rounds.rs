//! [`run`]: tracks side by side. Each works through its own list; then, as long as something is left that another
//! track could not give and that a track which still answers was not asked for, there is a round of it.
//!
//! What is left is read from the tables, so that it does not matter whether the tracks run in one process or in
//! several terminals, nor how often they are interrupted.

use std::collections::HashSet;
use std::sync::Arc;

use super::engine::TrackError;
use super::lookup::LookupTrack;
use super::round::{Candidate, Owner, Round};
use crate::results::Track;
use crate::source::Source;

/// Runs tracks side by side until nothing is left that one of them was not asked for. `abandoned` are tracks whose
/// lists nobody else asks for.
///
/// # Errors
/// Where a track broke, which would be a defect.
pub async fn run(
    tracks: &[Arc<LookupTrack>],
    abandoned: &[Source],
) -> Result<Vec<Result<Track, TrackError>>, tokio::task::JoinError> {
    for track in tracks {
        let others = tracks.iter().filter(|other| other.source() != track.source());
        track.set_peers(others.map(|other| other.staged()).collect());
    }
    let own: Vec<_> =
        tracks.iter().cloned().map(|it| tokio::spawn(async move { it.run_own().await })).collect();
    for track in own {
        track.await?;
    }
    let live = |track: &&Arc<LookupTrack>| track.is_live();
    for track in tracks.iter().filter(|it| it.has_ended_early()) {
        if tracks.iter().any(|other| live(&other)) {
            track.leave_to_others();
        }
    }
    while round(tracks, abandoned).await? > 0 {}
    let settled = tracks.iter().any(|track| live(&track));
    let mut results = Vec::new();
    for track in tracks {
        let beside: Vec<Source> =
            tracks.iter().map(|it| it.source()).filter(|it| *it != track.source()).collect();
        results.push(track.finish(&beside, settled).await);
    }
    Ok(results)
}

/// One round of every track that can still be asked, and how many tokens they took up.
async fn round(tracks: &[Arc<LookupTrack>], abandoned: &[Source]) -> Result<u64, tokio::task::JoinError> {
    let live: Vec<&Arc<LookupTrack>> = tracks.iter().filter(|track| track.is_live()).collect();
    let candidates: Vec<Candidate> = live.iter().map(|track| track.candidate()).collect();
    let owners: Vec<Owner> = Source::tracks()
        .map(|source| match tracks.iter().find(|track| track.source() == source) {
            Some(track) => Owner { source, is_abandoned: track.has_ended_early(), failed: track.failed() },
            None => Owner { source, is_abandoned: abandoned.contains(&source), failed: HashSet::new() },
        })
        .collect();
    let rounds: Vec<_> = live
        .into_iter()
        .map(|track| {
            let (owners, candidates) = (owners.clone(), candidates.clone());
            let round = Round { track: track.source(), owners, candidates };
            tokio::spawn(track.clone().run_round(round))
        })
        .collect();
    let mut taken = 0;
    for round in rounds {
        taken += round.await?;
    }
    Ok(taken)
}
