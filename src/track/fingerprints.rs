//! [`Fingerprints`]: which tokens are staged, in little more than the sixteen bytes that each of them takes.
//!
//! A hash set keeps up to half of its places empty and, while it grows, a copy of itself: over six million tokens
//! (three million and their siblings) that is twice as much as a track may use altogether.

use parking_lot::Mutex;

/// How many sorted runs there are: with millions of tokens each is still short enough that making room in it costs
/// nothing beside proving the token.
const RUNS: usize = 1 << RUN_BITS;
const RUN_BITS: u32 = 15;

/// Places by which a full run grows.
const GROWTH: usize = 16;

/// A set of token fingerprints ([`TokenId::fingerprint`](crate::ids::TokenId::fingerprint)).
#[derive(Debug)]
pub struct Fingerprints {
    runs: Vec<Vec<u128>>,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self { runs: vec![Vec::new(); RUNS] }
    }
}

/// The run of a fingerprint. Mixed, since ids that were filled in by hand may be consecutive numbers.
fn run_of(fingerprint: u128) -> usize {
    let folded = (fingerprint >> 64) as u64 ^ fingerprint as u64;
    // The upper bits of Fibonacci hashing.
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - RUN_BITS)) as usize
}

impl Fingerprints {
    /// Whether the token is in the set.
    pub fn contains(&self, fingerprint: u128) -> bool {
        self.runs[run_of(fingerprint)].binary_search(&fingerprint).is_ok()
    }

    /// Adds a token; `false` where it was there already.
    pub fn insert(&mut self, fingerprint: u128) -> bool {
        let run = &mut self.runs[run_of(fingerprint)];
        match run.binary_search(&fingerprint) {
            Ok(_) => false,
            Err(place) => {
                if run.len() == run.capacity() {
                    run.reserve_exact(GROWTH);
                }
                run.insert(place, fingerprint);
                true
            }
        }
    }
}

/// The tokens that a source has staged, shared by whoever stages and whoever asks.
#[derive(Debug, Default)]
pub struct StagedTokens(Mutex<Fingerprints>);

impl StagedTokens {
    /// Whether the token is staged.
    pub fn contains(&self, fingerprint: u128) -> bool {
        self.0.lock().contains(fingerprint)
    }

    /// Adds a token; `false` where it was there already.
    pub fn insert(&self, fingerprint: u128) -> bool {
        self.0.lock().insert(fingerprint)
    }

    /// Adds tokens, and says how many were not there yet.
    pub fn extend(&self, fingerprints: impl IntoIterator<Item = u128>) -> u64 {
        let mut staged = self.0.lock();
        fingerprints.into_iter().map(|it| u64::from(staged.insert(it))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn it_answers_as_a_hash_set_does(tokens in prop::collection::vec(prop_oneof![0..40u128, any::<u128>()], 0..300)) {
            let (mut set, mut oracle) = (Fingerprints::default(), HashSet::new());
            for token in tokens {
                prop_assert_eq!(set.contains(token), oracle.contains(&token));
                prop_assert_eq!(set.insert(token), oracle.insert(token));
                prop_assert!(set.contains(token));
            }
        }
    }

    #[test]
    fn consecutive_numbers_are_spread_over_the_runs() {
        let mut set = Fingerprints::default();
        for fingerprint in 0..1_000_000 {
            set.insert(fingerprint);
        }
        assert!(set.runs.iter().all(|run| run.len() < 100));
    }
}
