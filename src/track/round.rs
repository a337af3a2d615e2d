//! [`Round`]: which track takes up which of the tokens that others have left. Pure.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::ids::TokenId;
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
#[derive(Debug, Clone)]
pub struct Round {
    /// The track whose round it is.
    pub track: Source,
    /// The tracks whose lists are looked through.
    pub owners: Vec<Owner>,
    /// Every track that can be asked.
    pub candidates: Vec<Candidate>,
}

/// A track that can be asked.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The track.
    pub source: Source,
    /// Tokens a second that it can be asked for.
    pub pace: f64,
    /// What it was asked for in an earlier round without an answer.
    pub missed: Arc<HashSet<TokenId>>,
}

impl Round {
    /// Whether the round's track takes up this token of `owner`.
    pub fn takes(&self, owner: &Owner, token: &RoundToken) -> bool {
        owner.source != self.track && owner.has_left(token) && self.chosen(owner, token) == Some(self.track)
    }

    /// One of the tracks that were not asked for the token, by a hash of it, the faster ones more often.
    fn chosen(&self, owner: &Owner, token: &RoundToken) -> Option<Source> {
        let open = |it: &&Candidate| {
            it.source != owner.source
                && !token.asked.contains(&it.source)
                && !it.missed.contains(&token.token)
        };
        let open: Vec<&Candidate> = self.candidates.iter().filter(open).collect();
        let mut place = dice(&token.token) * open.iter().map(|it| it.pace).sum::<f64>();
        for candidate in &open {
            place -= candidate.pace;
            if place < 0.0 {
                return Some(candidate.source);
            }
        }
        open.last().map(|it| it.source)
    }
}

/// A number in 0..1 that is the token's own.
fn dice(token: &TokenId) -> f64 {
    let mut hasher = std::hash::DefaultHasher::new();
    token.to_be_bytes().hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACKS: [Source; 3] = [Source::Dome, Source::Goldsky, Source::Gamma];

    fn candidate(source: Source, pace: f64) -> Candidate {
        Candidate { source, pace, missed: Arc::default() }
    }

    fn rounds(owner: Owner, candidates: Vec<Candidate>) -> impl Fn(&RoundToken) -> Vec<Source> {
        move |token| {
            let takes = |track: &Candidate| {
                let round = Round {
                    track: track.source,
                    owners: vec![owner.clone()],
                    candidates: candidates.clone(),
                };
                round.takes(&owner, token).then_some(track.source)
            };
            candidates.iter().filter_map(takes).collect()
        }
    }

    proptest! {
        #[test]
        fn a_token_is_taken_up_by_one_track_that_was_not_asked_for_it_and_by_none_where_all_were(
            number in 1..u64::MAX, asked in 0..8usize, is_abandoned in any::<bool>(), paces in [0.1..9.0f64, 0.1..9.0, 0.1..9.0],
        ) {
            let owner = Owner { source: Source::Dome, is_abandoned, failed: HashSet::new() };
            let candidates = TRACKS.iter().zip(paces).map(|(source, pace)| candidate(*source, pace)).collect();
            let asked: Vec<Source> = (0..3).filter(|bit| asked >> bit & 1 == 1).map(|bit| TRACKS[bit]).collect();
            let token = RoundToken { token: number.to_string().parse().unwrap(), asked: asked.clone() };
            let taken = rounds(owner, candidates)(&token);
            let left = is_abandoned || asked.contains(&Source::Dome);
            let others = TRACKS[1..].iter().any(|it| !asked.contains(it));
            prop_assert_eq!(taken.len(), usize::from(left && others));
            prop_assert!(taken.iter().all(|it| !asked.contains(it) && *it != Source::Dome));
        }
    }

    #[test]
    fn what_is_left_is_split_by_the_pace_of_those_who_can_be_asked() {
        let owner = Owner { source: Source::Dome, is_abandoned: true, failed: HashSet::new() };
        let taken = rounds(owner, vec![candidate(Source::Goldsky, 3.0), candidate(Source::Gamma, 1.0)]);
        let goldsky = (1..=10_000u64)
            .map(|n| RoundToken { token: n.to_string().parse().unwrap(), asked: Vec::new() })
            .filter(|token| taken(token) == [Source::Goldsky])
            .count();
        assert!((7_300..7_700).contains(&goldsky), "{goldsky}");
    }

    #[test]
    fn what_failed_with_its_own_track_is_left_and_what_was_missed_is_not_asked_for_again() {
        let token: TokenId = "7".parse().unwrap();
        let owner = Owner { source: Source::Dome, is_abandoned: false, failed: [token].into() };
        let asked = RoundToken { token, asked: Vec::new() };
        let goldsky = candidate(Source::Goldsky, 1.0);
        assert_eq!(rounds(owner.clone(), vec![goldsky.clone()])(&asked), [Source::Goldsky]);
        let missed = Candidate { missed: Arc::new([token].into()), ..goldsky };
        assert_eq!(rounds(owner, vec![missed])(&asked), []);
    }
}
