//! [`Round`]: what a track takes up of the lists that others have left, and [`TakenUp`], which keeps two tracks of a
//! process from taking up the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::ids::TokenId;
use crate::store::rounds::RoundList;

/// A track takes up as much at once as it can ask for in this time: what it holds, no other track takes up.
const HELD: Duration = Duration::from_secs(1);

/// What a track looks through when its own list is at its end.
#[derive(Debug, Clone)]
pub struct Round {
    /// The lists of the other tracks.
    pub lists: Vec<RoundList>,
    /// What the tracks of this process have taken up and are not answered about yet.
    pub taken_up: Arc<TakenUp>,
    /// What this track got no usable answer for in an earlier round: it is not taken up again.
    pub missed: HashSet<TokenId>,
}

impl Round {
    /// Takes up those of the tokens that nobody else holds and that were not missed before.
    pub fn take_up(&self, tokens: impl Iterator<Item = TokenId>) -> Vec<TokenId> {
        let mut held = self.taken_up.0.lock();
        tokens.filter(|token| !self.missed.contains(token) && held.insert(token.fingerprint())).collect()
    }
}

/// The tokens of rounds that are under way, by their fingerprints.
#[derive(Debug, Default)]
pub struct TakenUp(Mutex<HashSet<u128>>);

impl TakenUp {
    /// The round that held these is at its end: what they came to stands in the tables.
    pub fn release<'a>(&self, tokens: impl IntoIterator<Item = &'a TokenId>) {
        let mut held = self.0.lock();
        for token in tokens {
            held.remove(&token.fingerprint());
        }
    }
}

/// How many tokens a track takes up at once: a full request at least, so that the slower track of two holds less.
pub fn portion(tokens_per_second: f64, full_request: usize, most: usize) -> usize {
    ((tokens_per_second * HELD.as_secs_f64()) as usize).max(full_request).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(numbers: &[u64]) -> Vec<TokenId> {
        numbers.iter().map(|number| number.to_string().parse().unwrap()).collect()
    }

    fn round(taken_up: &Arc<TakenUp>, missed: &[u64]) -> Round {
        let missed = tokens(missed).into_iter().collect();
        Round { lists: Vec::new(), taken_up: taken_up.clone(), missed }
    }

    proptest! {
        #[test]
        fn a_token_is_taken_up_by_one_track_at_a_time_and_by_none_that_missed_it(
            one in prop::collection::vec(1..60u64, 0..40),
            other in prop::collection::vec(1..60u64, 0..40),
            missed in prop::collection::vec(1..60u64, 0..10),
        ) {
            let taken_up = Arc::new(TakenUp::default());
            let first = round(&taken_up, &missed).take_up(tokens(&one).into_iter());
            let second = round(&taken_up, &[]).take_up(tokens(&other).into_iter());
            let distinct: HashSet<&TokenId> = first.iter().chain(&second).collect();
            prop_assert_eq!(distinct.len(), first.len() + second.len());
            prop_assert!(tokens(&missed).iter().all(|token| !first.contains(token)));
            for token in tokens(&one).into_iter().chain(tokens(&other)) {
                let missed_by_its_only_reader = tokens(&missed).contains(&token) && !tokens(&other).contains(&token);
                prop_assert!(distinct.contains(&token) || missed_by_its_only_reader);
            }
            taken_up.release(&first);
            let again = round(&taken_up, &[]).take_up(first.iter().copied());
            prop_assert_eq!(again, first);
        }
    }

    #[test]
    fn a_track_holds_what_it_can_ask_for_in_a_second_and_a_full_request_at_least() {
        assert_eq!(portion(900.0, 90, 20_000), 900);
        assert_eq!(portion(9.0, 90, 20_000), 90);
        assert_eq!(portion(1e9, 1_000, 20_000), 20_000);
    }
}
