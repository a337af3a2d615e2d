//! [`decide`]: what a condition pays for an outcome, by the first source that says so for certain.

use super::labels::{Labels, Named};
use super::payout::{Payout, PayoutVector};

/// What decided a payout, in the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayoutSource {
    /// The chain's own event.
    Chain,
    /// The table of resolutions.
    Resolutions,
    /// The table of winners.
    Winners,
    /// What a source of tokens told beside its mapping.
    TokenFacts,
    /// A catalogue, by the winner's proven index.
    Catalogue,
}

impl PayoutSource {
    /// Every source, in the order of precedence.
    pub const ALL: [Self; 5] =
        [Self::Chain, Self::Resolutions, Self::Winners, Self::TokenFacts, Self::Catalogue];

    /// Its name in JSON and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Resolutions => "resolutions",
            Self::Winners => "winners",
            Self::TokenFacts => "token_facts",
            Self::Catalogue => "catalogue",
        }
    }
}

/// What the resolutions table says of a condition, its newest row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// What each outcome is paid.
    pub vector: PayoutVector,
    /// The winner's index, where the row has one below 2.
    pub winning_index: Option<u8>,
    /// The winner's label, or empty.
    pub winning_outcome: String,
    /// Whether the row says when the condition was resolved.
    pub dated: bool,
}

/// The winner that a catalogue names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedWinner {
    /// Its outcome index, as the hash proves it.
    pub index: u8,
    /// Its label.
    pub label: String,
}

/// Everything that is known of how a condition ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The labels of its two outcomes.
    pub labels: Labels,
    /// The payouts that the chain reported.
    pub chain: Option<PayoutVector>,
    /// The newest row of the resolutions.
    pub resolution: Option<Resolution>,
    /// The winner's label in the table of winners, empty where it has none.
    pub winner: String,
    /// What a source of tokens says that each outcome is paid.
    pub facts: [Option<Payout>; 2],
    /// The winner that a catalogue names.
    pub listed: Option<ListedWinner>,
}

/// What a condition pays for an outcome, and what is odd about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The payout; `None` where nothing decides it.
    pub payout: Option<Payout>,
    /// What decided it.
    pub source: Option<PayoutSource>,
    /// The label of the winner, empty where nothing says so.
    pub winner: String,
    /// Whether any source has the condition.
    pub listed: bool,
    /// Other rows of the condition in the same table decide otherwise; the newest counts.
    pub rows_disagree: bool,
    /// The row contradicts itself: the vector does not add up, or the index or the label names another winner.
    pub contradicts_itself: bool,
    /// Another source names another winner than the payout that counts.
    pub tables_disagree: bool,
    /// What a table says instead, where the chain decides: the first table that contradicts it.
    pub contradiction: Option<(PayoutSource, Payout)>,
    /// The vector has a denominator of zero and no other column decides: such a row is no resolution.
    pub zero_denominator: bool,
    /// A winner is named, but its text is not exactly one of the two labels, and nothing else decides.
    pub undecidable: bool,
    /// A label of the condition contradicts its place, and was not taken.
    pub misplaced_label: bool,
}

/// What the outcome at `index` is paid: by the first source, in the order of [`PayoutSource`], that says so for certain. A
/// source that does not is passed over, never guessed at.
pub fn decide(index: u8, evidence: &Evidence) -> Decision {
    let Evidence { labels, chain, resolution, winner, facts, listed } = evidence;
    let by_text = labels.named_by(winner);
    let row = resolution.as_ref().map(|row| row.read(labels)).unwrap_or_default();
    let won = |winning: u8| Payout::of_winner(winning == index);
    let said = [
        chain.as_ref().and_then(|vector| vector.payout(index)),
        row.payout(index),
        index_of(by_text).map(won),
        facts.get(usize::from(index)).cloned().flatten(),
        listed.as_ref().map(|listed| won(listed.index)),
    ];
    let first = PayoutSource::ALL.into_iter().zip(&said).find_map(|(source, it)| Some((source, it.clone()?)));
    let own_text = resolution.as_ref().map_or("", |row| &row.winning_outcome);
    let name = [own_text, winner.as_str(), listed.as_ref().map_or("", |it| &it.label)];
    let (source, payout) = first.map_or((None, None), |(source, payout)| (Some(source), Some(payout)));
    let refuted = |by: &Option<Payout>| match (&payout, by) {
        (Some(payout), Some(by)) => payout.refutes(by),
        _ => false,
    };
    let contradicts = |by: &Option<Payout>, exact: bool| {
        by.clone().filter(|it| match &payout {
            Some(paid) => paid.refutes(it) || (exact && paid.differs(it)),
            None => false,
        })
    };
    let of_resolutions = || Some((PayoutSource::Resolutions, contradicts(&said[1], row.vector.is_some())?));
    let of_winners = || Some((PayoutSource::Winners, contradicts(&said[2], false)?));
    let by_chain = source == Some(PayoutSource::Chain);
    let contradiction = by_chain.then(|| of_resolutions().or_else(of_winners)).flatten();
    let unclear = by_text == Named::Neither || row.text == Some(Named::Neither);
    Decision {
        listed: chain.is_some()
            || resolution.is_some()
            || !winner.is_empty()
            || said.iter().any(Option::is_some),
        contradicts_itself: row.contradicts_itself,
        // The chain, the resolutions and the winners; the others only fill what those leave open.
        tables_disagree: said.iter().take(3).any(refuted),
        zero_denominator: row.zero_denominator && payout.is_none(),
        undecidable: unclear && payout.is_none(),
        misplaced_label: labels.misplaced(),
        winner: name.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned(),
        rows_disagree: false,
        contradiction,
        source,
        payout,
    }
}

fn index_of(named: Named) -> Option<u8> {
    match named {
        Named::Index(index) => Some(index),
        Named::Nothing | Named::Neither => None,
    }
}

/// What one row of the resolutions says.
#[derive(Debug, Default)]
struct RowSays<'a> {
    vector: Option<&'a PayoutVector>,
    index: Option<u8>,
    text: Option<Named>,
    contradicts_itself: bool,
    zero_denominator: bool,
}

impl RowSays<'_> {
    fn payout(&self, index: u8) -> Option<Payout> {
        match (self.vector, self.index) {
            (Some(vector), _) => vector.payout(index),
            (None, winning) => winning.map(|winning| Payout::of_winner(winning == index)),
        }
    }
}

impl Resolution {
    /// A row decides by its vector; else by its index, where something else in the row supports that, since a column of
    /// indexes may be 0 for want of anything better; else by its text.
    fn read(&self, labels: &Labels) -> RowSays<'_> {
        let text = labels.named_by(&self.winning_outcome);
        let named = index_of(text);
        let zero_denominator = self.vector.is_listed() && self.vector.is_over_zero();
        if self.vector.pays() {
            let other_index = self.winning_index.is_some_and(|winning| !self.vector.pays_most(winning));
            let refuted = named.is_some_and(|winning| {
                self.vector.payout(winning).is_some_and(|payout| payout.refutes(&Payout::of_winner(true)))
            });
            let contradicts_itself = !self.vector.adds_up() || other_index || refuted;
            return RowSays {
                vector: Some(&self.vector),
                index: None,
                text: Some(text),
                contradicts_itself,
                zero_denominator,
            };
        }
        // A vector that is there and pays nobody is a placeholder, and so is its denominator.
        let supported = self.dated || !(self.vector.is_over_zero() || self.vector.is_listed());
        let (index, contradicts_itself) = match (self.winning_index, named) {
            // What may be the default of its column yields to the text.
            (Some(0), Some(1)) if !supported => (Some(1), false),
            (Some(winning), Some(named)) if winning != named => (None, true),
            (Some(winning), Some(_)) => (Some(winning), false),
            // A text that is none of two known labels supports no index, a text that cannot be compared does.
            (Some(winning), None) if supported || (text == Named::Neither && !labels.both_known()) => {
                (Some(winning), false)
            }
            (_, named) => (named, false),
        };
        RowSays { vector: None, index, text: Some(text), contradicts_itself, zero_denominator }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(labels: [&str; 2], resolution: Option<Resolution>, winner: &str) -> Evidence {
        let labels = Labels::new(labels[0], labels[1]);
        Evidence { labels, resolution, winner: winner.to_owned(), ..Evidence::default() }
    }

    fn row(
        numerators: &[u64],
        denominator: u64,
        winning_index: Option<u8>,
        text: &str,
    ) -> Option<Resolution> {
        let vector = PayoutVector::whole(numerators, denominator);
        Some(Resolution { vector, winning_index, winning_outcome: text.to_owned(), dated: false })
    }

    fn paid(index: u8, evidence: &Evidence) -> Option<String> {
        decide(index, evidence).payout.map(|payout| payout.exact())
    }

    /// What both outcomes are paid.
    fn both(evidence: &Evidence) -> [Option<String>; 2] {
        [0, 1].map(|index| paid(index, evidence))
    }

    const TEAMS: [&str; 2] = ["Lakers", "Celtics"];
    const YES: [&str; 2] = ["Yes", "No"];

    fn won(index: usize) -> [Option<String>; 2] {
        [0, 1].map(|it| Some(if it == index { "1" } else { "0" }.to_owned()))
    }

    #[test]
    fn the_payout_vector_decides_then_the_index_then_the_label() {
        assert_eq!(
            both(&evidence(YES, row(&[1, 1], 2, None, ""), "No")),
            [Some("0.5".into()), Some("0.5".into())]
        );
        assert_eq!(paid(0, &evidence(["", ""], row(&[1, 2], 3, Some(1), ""), "")).as_deref(), Some("1/3"));
        assert_eq!(both(&evidence(YES, row(&[], 0, Some(1), "No"), "")), won(1));
        assert_eq!(both(&evidence(TEAMS, None, "LAKERS")), won(0));
        assert_eq!(both(&evidence(["", ""], None, "Yes")), won(0));
        assert_eq!(both(&evidence(["", ""], None, "")), [None, None]);
        assert!(decide(1, &evidence(["", ""], None, "Lakers")).undecidable);
    }

    #[test]
    fn a_text_that_is_neither_label_decides_nothing_and_the_next_source_is_asked() {
        for text in ["Democrat", "Yes", "Draw", "Laker", "Los Angeles Lakers"] {
            let mut evidence = evidence(TEAMS, None, text);
            let decision = decide(0, &evidence);
            assert!(decision.undecidable && decision.payout.is_none() && decision.listed, "{text}");
            evidence.listed = Some(ListedWinner { index: 1, label: "Celtics".to_owned() });
            assert_eq!(both(&evidence), won(1), "{text}");
            assert_eq!(decide(0, &evidence).source, Some(PayoutSource::Catalogue));
            evidence.facts = [Some(Payout::of_winner(true)), Some(Payout::of_winner(false))];
            assert_eq!(
                (both(&evidence), decide(0, &evidence).source),
                (won(0), Some(PayoutSource::TokenFacts))
            );
        }
    }

    #[test]
    fn a_placeholder_is_no_resolution() {
        let nothing = [None, None];
        for row in [
            row(&[], 0, Some(0), ""),
            row(&[0, 0], 0, Some(0), ""),
            row(&[0, 0], 1, Some(0), ""),
            row(&[], 0, None, ""),
        ] {
            assert_eq!(both(&evidence(YES, row.clone(), "")), nothing, "{row:?}");
            assert_eq!(both(&evidence(YES, row.clone(), "No")), won(1), "the next source is asked: {row:?}");
        }
        // Nothing in the row supports the index, whatever it is.
        assert_eq!(both(&evidence(YES, row(&[], 0, Some(1), ""), "")), nothing);
        // A label, a denominator, a date.
        assert_eq!(both(&evidence(YES, row(&[], 0, Some(1), "No"), "")), won(1));
        assert_eq!(both(&evidence(["", ""], row(&[], 0, Some(0), "Lakers"), "")), won(0));
        assert_eq!(both(&evidence(YES, row(&[], 1, Some(0), ""), "")), won(0));
        let dated = Resolution { dated: true, ..row(&[], 0, Some(0), "").unwrap() };
        assert_eq!(both(&evidence(YES, Some(dated), "")), won(0));
        // The text says otherwise than a 0 that nothing supports, or than an index that somebody must have written.
        assert_eq!(both(&evidence(YES, row(&[], 0, Some(0), "No"), "")), won(1));
        let contrary = evidence(YES, row(&[], 0, Some(1), "Yes"), "");
        assert!(decide(0, &contrary).contradicts_itself && both(&contrary) == nothing);
        // A text that is none of the two known labels supports no index.
        assert_eq!(both(&evidence(TEAMS, row(&[], 0, Some(0), "Draw"), "")), nothing);
    }

    #[test]
    fn rows_that_contradict_themselves_or_each_other_are_named() {
        let contradicts = |row| decide(0, &evidence(YES, row, "")).contradicts_itself;
        assert!(contradicts(row(&[1, 1], 1, None, "")));
        assert!(contradicts(row(&[1, 0], 1, Some(1), "")));
        assert!(!contradicts(row(&[1, 1], 2, Some(0), "")));
        assert!(contradicts(row(&[0, 1], 1, Some(1), "Yes")));
        let disagree = |row, winner| decide(0, &evidence(["Up", "Down"], row, winner)).tables_disagree;
        assert!(!disagree(row(&[1, 0], 1, None, ""), "UP"));
        assert!(disagree(row(&[1, 0], 1, None, ""), "Down"));
        assert!(!disagree(row(&[1, 1], 2, None, ""), "Down"), "a half refutes no label");
        let zero = decide(0, &evidence(["", ""], row(&[1, 0], 0, None, ""), ""));
        assert!(zero.zero_denominator && zero.payout.is_none());
        let mut chain = evidence(YES, row(&[1, 0], 1, None, ""), "Yes");
        chain.chain = Some(PayoutVector::whole(&[0, 7], 7));
        assert_eq!((both(&chain), decide(0, &chain).tables_disagree), (won(1), true));
        let said = |evidence: &Evidence| decide(0, evidence).contradiction.map(|(by, it)| (by, it.exact()));
        assert_eq!(said(&chain), Some((PayoutSource::Resolutions, "1".to_owned())));
        chain.resolution = None;
        assert_eq!(said(&chain), Some((PayoutSource::Winners, "1".to_owned())));
        // A vector is exact, so that also a half contradicts; a millionth is how a table rounds.
        let mut half = evidence(YES, row(&[1, 1], 2, None, ""), "Yes");
        half.chain = Some(PayoutVector::whole(&[1, 0], 1));
        assert_eq!(said(&half), Some((PayoutSource::Resolutions, "0.5".to_owned())));
        let mut third = evidence(YES, row(&[333_333, 666_667], 1_000_000, None, ""), "");
        third.chain = Some(PayoutVector::whole(&[1, 2], 3));
        assert_eq!(said(&third), None);
    }

    proptest! {
        /// Whatever the labels, the texts and the index are: never both lost, never both won.
        #[test]
        fn one_outcome_at_most_wins_and_one_at_most_loses(
            labels in prop::array::uniform2("(?i:|Yes|No|Up|Down|Über|A b)[ ]?|\\PC{0,6}"),
            own in "(?i:|Yes|No|Up|Down|Über|A b|Draw)[ ]?|\\PC{0,6}", winner in "(?i:|Yes|No|Up|Down|Über|A b|Draw)[ ]?|\\PC{0,6}",
            has_row: bool, index in 0_u8..4, dated: bool, denominator in 0_u64..2,
        ) {
            let vector = PayoutVector::whole(&[], denominator);
            let winning_index = Some(index).filter(|index| *index < 2);
            let resolution = has_row.then_some(Resolution { vector, winning_index, winning_outcome: own, dated });
            let evidence = evidence([&labels[0], &labels[1]], resolution, &winner);
            let paid = both(&evidence);
            let decided = paid.iter().flatten().count();
            prop_assert!(decided == 0 || paid == won(0) || paid == won(1), "{:?}", paid);
        }
    }
}
