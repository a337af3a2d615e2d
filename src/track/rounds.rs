//! [`run`]: tracks side by side. Each works through its own list; then, as long as something is left that another
//! track could not give and that a track which still answers was not asked for, there is a round of it.
//!
//! What is left is read from the tables, so that it does not matter whether the tracks run in one process or in
//! several terminals, nor how often they are interrupted.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::engine::TrackError;
use super::lookup::LookupTrack;
use crate::ids::TokenId;
use crate::results::Track;
use crate::source::Source;
use crate::store::rounds::{RoundList, RoundToken};

/// A track whose list may have something left.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The track.
    pub source: Source,
    /// Whether nobody asks for what it has not asked for itself.
    pub is_abandoned: bool,
    /// What it got no usable answer for.
    pub failed: HashSet<TokenId>,
}

impl Owner {
    /// What a round of `track` reads of its list.
    pub fn list(&self, track: Source) -> RoundList {
        let answered_only = !self.is_abandoned && self.failed.is_empty();
        RoundList { owner: self.source, track, answered_only }
    }

    /// Whether a token of its list is left to the others.
    fn has_left(&self, token: &RoundToken) -> bool {
        self.is_abandoned || token.asked.contains(&self.source) || self.failed.contains(&token.token)
    }
}

/// Who is to take up what is left: one track for each token.
#[derive(Clone)]
pub struct Round {
    track: Arc<LookupTrack>,
    /// The tracks whose lists are looked through.
    pub owners: Vec<Owner>,
    /// Every track that can be asked, and its pace.
    candidates: Vec<(Arc<LookupTrack>, f64)>,
}

impl Round {
    /// Whether the round's track takes up this token of `owner`.
    pub fn takes(&self, owner: &Owner, token: &RoundToken) -> bool {
        let source = self.track.source();
        owner.source != source && owner.has_left(token) && self.chosen(owner, token) == Some(source)
    }

    /// One of the tracks that were not asked for the token, by a hash of it, the faster ones more often.
    fn chosen(&self, owner: &Owner, token: &RoundToken) -> Option<Source> {
        let open = |track: &LookupTrack| {
            let source = track.source();
            source != owner.source && !token.asked.contains(&source) && !track.has_missed(&token.token)
        };
        let open: Vec<_> = self.candidates.iter().filter(|(track, _)| open(track)).collect();
        let all: f64 = open.iter().map(|(_, pace)| pace).sum();
        let mut place = dice(&token.token) * all;
        for (track, pace) in &open {
            place -= pace;
            if place < 0.0 {
                return Some(track.source());
            }
        }
        open.last().map(|(track, _)| track.source())
    }
}

/// A number in 0..1 that is the token's own.
fn dice(token: &TokenId) -> f64 {
    let mut hasher = std::hash::DefaultHasher::new();
    token.to_be_bytes().hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

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
    let candidates: Vec<(Arc<LookupTrack>, f64)> =
        tracks.iter().filter(|track| track.is_live()).map(|track| (track.clone(), track.pace())).collect();
    let owners: Vec<Owner> = Source::tracks()
        .map(|source| match tracks.iter().find(|track| track.source() == source) {
            Some(track) => Owner { source, is_abandoned: track.has_ended_early(), failed: track.failed() },
            None => Owner { source, is_abandoned: abandoned.contains(&source), failed: HashSet::new() },
        })
        .collect();
    let rounds: Vec<_> = candidates
        .iter()
        .map(|(track, _)| {
            let round =
                Round { track: track.clone(), owners: owners.clone(), candidates: candidates.clone() };
            tokio::spawn(track.clone().run_round(round))
        })
        .collect();
    let mut taken = 0;
    for round in rounds {
        taken += round.await?;
    }
    Ok(taken)
}
