//! What odd records cost: of an answer of which some record could not be read, the tokens that it may have been about.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;

use super::claims::Classified;
use crate::ids::TokenId;
use crate::store::staging::RejectedRow;
use crate::upstream::{Answer, Cost, OddRecord};

/// A token of which the answer says nothing that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The token.
    pub(super) token: TokenId,
    /// What could not be read.
    pub(super) reason: String,
}

impl Unreadable {
    /// The row that says so.
    pub(super) fn row(self, track: &'static str, rejected_at: u32) -> RejectedRow {
        RejectedRow {
            track,
            token_id: self.token,
            claimed_condition: String::new(),
            claimed_index: String::new(),
            claimed_label: String::new(),
            reason: self.reason,
            rejected_at,
        }
    }
}

/// Takes the tokens out of a classified that odd records may have been about: those that one names, and where one names none
/// every token that is missing.
pub(super) fn take_unreadable(classified: &mut Classified, pages: &[Answer]) -> Vec<Unreadable> {
    let odd: Vec<&OddRecord> = pages.iter().flat_map(|page| &page.odd).collect();
    let mut named: HashMap<TokenId, &str> = HashMap::new();
    for record in &odd {
        if let Cost::Tokens(tokens) = &record.cost {
            named.extend(tokens.iter().map(|token| (*token, record.reason.as_str())));
        }
    }
    let unnamed = odd.iter().find(|record| record.cost == Cost::Unnamed);
    if named.is_empty() && unnamed.is_none() {
        return Vec::new();
    }
    let mut unreadable = Vec::new();
    let mut take = |tokens: &mut Vec<TokenId>, unnamed: Option<&&OddRecord>| {
        tokens.retain(|token| {
            let own = named.get(token).map(|reason| (*reason).to_owned());
            let any =
                unnamed.map(|record| format!("a record of the answer names no token ({})", record.reason));
            let Some(reason) = own.or(any) else { return true };
            unreadable.push(Unreadable { token: *token, reason });
            false
        });
    };
    take(&mut classified.missing, unnamed);
    take(&mut classified.not_found, unnamed);
    // These are asked for again in another way, which may find them.
    take(&mut classified.again, None);
    unreadable
}

/// The odd records that a track has met, each counted once however often it comes.
#[derive(Debug, Default)]
pub(super) struct OddRecords(Mutex<HashSet<u64>>);

impl OddRecords {
    /// Counts a record; says whether it is the first one of all.
    pub(super) fn count(&self, record: &OddRecord) -> bool {
        let mut hasher = DefaultHasher::new();
        (&record.reason, &record.sample).hash(&mut hasher);
        let mut met = self.0.lock();
        met.insert(hasher.finish()) && met.len() == 1
    }

    /// How many were met.
    pub(super) fn len(&self) -> u64 {
        self.0.lock().len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u8) -> TokenId {
        TokenId::from_be_bytes([number; 32])
    }

    fn odd(cost: Cost) -> OddRecord {
        OddRecord { cost, reason: "condition is null".to_owned(), sample: String::new() }
    }

    #[test]
    fn a_record_that_names_its_tokens_costs_these_and_one_that_names_none_whatever_is_missing() {
        let classified = || Classified {
            not_found: vec![token(1), token(2)],
            missing: vec![token(3)],
            again: vec![token(4), token(5)],
            ..Classified::default()
        };
        let lost = |records: Vec<OddRecord>| {
            let mut classified = classified();
            let page = Answer { odd: records, ..Answer::default() };
            let unreadable = take_unreadable(&mut classified, &[page]);
            unreadable.into_iter().map(|it| it.token).collect::<HashSet<_>>()
        };
        let set = |numbers: &[u8]| numbers.iter().map(|number| token(*number)).collect::<HashSet<_>>();
        assert_eq!(lost(vec![odd(Cost::Detail)]), set(&[]));
        assert_eq!(lost(vec![odd(Cost::Tokens(vec![token(2), token(5), token(9)]))]), set(&[2, 5]));
        assert_eq!(lost(vec![odd(Cost::Unnamed)]), set(&[1, 2, 3]));
    }

    #[test]
    fn a_record_that_comes_again_is_counted_once() {
        let records = OddRecords::default();
        let other = OddRecord { sample: "x".to_owned(), ..odd(Cost::Detail) };
        let first = [odd(Cost::Detail), odd(Cost::Detail), other].map(|it| records.count(&it));
        assert_eq!((first, records.len()), ([true, false, false], 2));
    }
}
