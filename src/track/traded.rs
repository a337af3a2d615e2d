//! [`Traded`]: every traded token in some twenty bytes, to be found by its id.

use std::collections::HashMap;

use crate::ids::TokenId;
use crate::store::conditions::{Stream, TradedToken};
use crate::store::traded::TradedSums;
use crate::store::{Store, StoreError};

/// The traded tokens, ordered by their fingerprints ([`TokenId::fingerprint`]), each with its label.
#[derive(Debug, Default)]
pub struct Traded {
    fingerprints: Vec<u128>,
    /// For each token the number of its label, and in the lowest bit whether it is open.
    marks: Vec<u32>,
    /// Labels are few ("Yes", "No", some teams), and tokens are many.
    labels: Vec<String>,
    numbers: HashMap<String, u32>,
    open: u64,
    natives: Vec<TokenId>,
}

impl Traded {
    /// Every traded token of the fills.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(store: &Store, sums: &TradedSums) -> Result<Self, StoreError> {
        Self::of(store.traded_tokens(sums).await?).await
    }

    /// The tokens of `rows`, which are ordered by their fingerprints.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn of(mut rows: Stream<TradedToken>) -> Result<Self, StoreError> {
        let mut traded = Self::default();
        while let Some(row) = rows.next().await? {
            traded.push(row.fingerprint, &row.label, row.open);
            traded.natives.extend(row.native.parse::<TokenId>().ok().filter(|_| row.open));
        }
        Ok(traded)
    }

    /// Adds a token, whose fingerprint must not be below the last one's.
    pub fn push(&mut self, fingerprint: u128, label: &str, open: bool) {
        debug_assert!(self.fingerprints.last().is_none_or(|last| *last <= fingerprint));
        let number = match self.numbers.get(label) {
            Some(number) => *number,
            None => {
                let number = self.labels.len() as u32;
                self.labels.push(label.to_owned());
                self.numbers.insert(label.to_owned(), number);
                number
            }
        };
        self.fingerprints.push(fingerprint);
        self.marks.push(number << 1 | u32::from(open));
        self.open += u64::from(open);
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// How many of them are open.
    pub fn open_count(&self) -> u64 {
        self.open
    }

    /// The open tokens of the second generation, whose bits say what they are.
    pub fn natives(&self) -> &[TokenId] {
        &self.natives
    }

    /// The fingerprints of the tokens that are open.
    pub fn open(&self) -> impl Iterator<Item = u128> {
        let open = |(fingerprint, mark): (&u128, &u32)| (mark & 1 == 1).then_some(*fingerprint);
        self.fingerprints.iter().zip(&self.marks).filter_map(open)
    }

    /// Where a token stands, `None` for one that is not traded.
    pub fn place(&self, token: &TokenId) -> Option<usize> {
        self.fingerprints.binary_search(&token.fingerprint()).ok()
    }

    /// Whether the token at `place` waits for its mapping.
    pub fn is_open(&self, place: usize) -> bool {
        self.marks.get(place).is_some_and(|mark| mark & 1 == 1)
    }

    /// The label of the token at `place`, empty where it has none.
    pub fn label(&self, place: usize) -> &str {
        let number = self.marks.get(place).map(|mark| (mark >> 1) as usize);
        number.and_then(|number| self.labels.get(number)).map_or("", String::as_str)
    }
}

impl Traded {
    /// A token's label: its own fills', else the other of "Yes" and "No" where its sibling is one of them, else none.
    pub fn outcome_label(&self, own: Option<usize>, sibling: Option<usize>) -> &str {
        let label_at = |place: Option<usize>| place.map_or("", |place| self.label(place));
        match (label_at(own), label_at(sibling)) {
            ("", sibling) if sibling.eq_ignore_ascii_case("yes") => "No",
            ("", sibling) if sibling.eq_ignore_ascii_case("no") => "Yes",
            (own, _) => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_with_its_label_and_no_other_is() {
        // Small numbers, whose fingerprints are as they are ordered.
        let token = |number: u8| number.to_string().parse::<TokenId>().unwrap();
        let mut traded = Traded::default();
        for (number, label, open) in [(3, "Yes", true), (5, "", false), (7, "Yes", false)] {
            traded.push(token(number).fingerprint(), label, open);
        }
        let place = |number| traded.place(&token(number));
        assert_eq!(
            (place(3), place(4), place(5), place(7), place(9)),
            (Some(0), None, Some(1), Some(2), None)
        );
        assert_eq!([0, 1, 2, 3].map(|place| traded.label(place)), ["Yes", "", "Yes", ""]);
        assert_eq!([0, 1, 2, 3].map(|place| traded.is_open(place)), [true, false, false, false]);
        assert_eq!((traded.len(), traded.open_count()), (3, 1));
    }
}
