//! [`Labels`]: the two labels of a condition, and which of them a winner's text names.

use unicode_normalization::UnicodeNormalization;

/// What a winner's text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Nothing: there is no text.
    Nothing,
    /// The outcome of this index.
    Index(u8),
    /// Neither outcome for certain: it equals none of the two labels, or not both of them are known.
    Neither,
}

/// The two labels of a condition, by outcome index, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    folded: [String; 2],
    misplaced: bool,
}

/// A text as it is compared: without blanks around it, in one Unicode form, without case.
fn fold(text: &str) -> String {
    let bare = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    caseless::default_case_fold_str(&bare.nfd().collect::<String>()).nfc().collect()
}

/// Whether this label contradicts its place: on chain the first outcome is "Yes", the second "No".
pub fn is_misplaced(label: &str, index: u8) -> bool {
    matches!((fold(label).as_str(), index), ("yes", 1) | ("no", 0))
}

/// Whether two sources mean the same by these labels: case, blanks around and the Unicode form do not count.
pub fn is_same_label(one: &str, other: &str) -> bool {
    fold(one) == fold(other)
}

impl Labels {
    /// The labels of the outcomes 0 and 1, empty where they are unknown. A label that contradicts its place is not
    /// taken: either the label or the place is wrong.
    pub fn new(first: &str, second: &str) -> Self {
        let misplaced = is_misplaced(first, 0) || is_misplaced(second, 1);
        let mut folded = [(first, 0), (second, 1)]
            .map(|(label, index)| if is_misplaced(label, index) { String::new() } else { fold(label) });
        // One of yes and no is enough to know the other.
        if !misplaced && folded[0] == "yes" && folded[1].is_empty() {
            folded[1] = "no".to_owned();
        }
        if !misplaced && folded[1] == "no" && folded[0].is_empty() {
            folded[0] = "yes".to_owned();
        }
        Self { folded, misplaced }
    }

    /// Whether one of the labels was not taken, since it contradicts its place.
    pub fn misplaced(&self) -> bool {
        self.misplaced
    }

    /// Whether both labels are known.
    pub fn both_known(&self) -> bool {
        self.folded.iter().all(|label| !label.is_empty())
    }

    /// Which outcome a winner's text names: the one whose label it equals, where both are known and only one equals it.
    /// Only where neither is known, yes means the first outcome and no the second.
    pub fn named_by(&self, winner: &str) -> Named {
        let winner = fold(winner);
        let [first, second] = &self.folded;
        if winner.is_empty() {
            return Named::Nothing;
        }
        if first.is_empty() && second.is_empty() {
            return match winner.as_str() {
                "yes" if !self.misplaced => Named::Index(0),
                "no" if !self.misplaced => Named::Index(1),
                _ => Named::Neither,
            };
        }
        match (self.both_known(), *first == winner, *second == winner) {
            (true, true, false) => Named::Index(0),
            (true, false, true) => Named::Index(1),
            _ => Named::Neither,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_names_the_outcome_whose_label_it_equals_and_nothing_else() {
        let named = |first, second, winner| Labels::new(first, second).named_by(winner);
        for (first, second, winner, expected) in [
            ("Democratic", "Republican", "Democrat", Named::Neither),
            ("Over 2.5", "Under 2.5", "Over", Named::Neither),
            ("Golden State Warriors", "Lakers", "Warriors", Named::Neither),
            ("Atlético", "Real", "Atletico", Named::Neither),
            ("Atlético", "Real", "ATLE\u{301}TICO", Named::Index(0)),
            ("Straße", "Weg", "STRASSE", Named::Index(0)),
            ("Lakers", "Celtics", "Draw", Named::Neither),
            ("Lakers", "Celtics", "Yes", Named::Neither),
            ("Lakers", "Celtics", " celtics\u{a0}\n", Named::Index(1)),
            ("Lakers", "Lakers", "Lakers", Named::Neither),
            ("Lakers", "", "Lakers", Named::Neither),
            ("", "No", "yes", Named::Index(0)),
            ("Yes", "", "No", Named::Index(1)),
            ("", "", "NO", Named::Index(1)),
            ("", "", "Lakers", Named::Neither),
            ("No", "Yes", "Yes", Named::Neither),
            ("", "Yes", "Yes", Named::Neither),
            ("Yes", "No", " ", Named::Nothing),
        ] {
            assert_eq!(named(first, second, winner), expected, "{first:?} {second:?} {winner:?}");
        }
        assert!(Labels::new("No", "Yes").misplaced() && !Labels::new("Yes", "No").misplaced());
    }

    proptest! {
        #[test]
        fn a_text_in_any_case_and_between_blanks_names_its_label(
            first in "[\\p{L}\\p{N}][\\p{L}\\p{N} .'-]{0,12}[\\p{L}\\p{N}]", second in "[\\p{L}\\p{N}][\\p{L}\\p{N} .'-]{0,12}[\\p{L}\\p{N}]",
            blanks in "[ \t\u{a0}]{0,3}",
        ) {
            let labels = Labels::new(&first, &second);
            let expected = if fold(&first) == fold(&second) || labels.misplaced() { Named::Neither } else { Named::Index(0) };
            prop_assert_eq!(labels.named_by(&format!("{blanks}{first}{blanks}")), expected);
            let decomposed: String = first.nfd().collect();
            prop_assert_eq!(labels.named_by(&decomposed), expected);
        }
    }
}
