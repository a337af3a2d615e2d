//! [`Payout`] and [`decide`]: what a condition pays for an outcome, and by which of the tables.

use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::money::exact;

/// What one share pays: a part of a USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout(pub(super) BigRational);

impl Payout {
    /// `numerator` of `denominator`; `None` where that is zero.
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        (denominator > 0).then(|| Self(BigRational::new(numerator.into(), denominator.into())))
    }

    /// All or nothing.
    pub fn of_winner(won: bool) -> Self {
        Self(if won { BigRational::one() } else { BigRational::zero() })
    }

    /// Whether this is all where a label says lost, or nothing where it says won. A part refutes nothing: there is no
    /// label for it.
    fn refutes(&self, label_says_won: Option<bool>) -> bool {
        match label_says_won {
            Some(true) => self.0.is_zero(),
            Some(false) => self.0.is_one(),
            None => false,
        }
    }

    /// Whether anything is paid.
    pub fn pays(&self) -> bool {
        self.0.is_positive()
    }

    /// `0`, `1`, `0.5`, or a fraction.
    pub fn exact(&self) -> String {
        exact(&self.0)
    }
}

/// What the resolutions table says of a condition, its newest row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// What each outcome is paid, of the denominator.
    pub numerators: Vec<u64>,
    /// The whole.
    pub denominator: u64,
    /// The winner's index, where the row has one below 2.
    pub winning_index: Option<u64>,
    /// The winner's label, or empty.
    pub winning_outcome: String,
}

/// What a condition pays for an outcome, and what is odd about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The payout; `None` where the condition has none.
    pub payout: Option<Payout>,
    /// The label of the winner, empty where nothing says so.
    pub winner: String,
    /// Whether either table has a row of the condition.
    pub listed: bool,
    /// Other rows of the condition in the same table decide otherwise; the newest counts.
    pub rows_disagree: bool,
    /// The row contradicts itself: the vector does not add up, or the index or the label names another winner.
    pub contradicts_itself: bool,
    /// The other table's label names another winner than the payout that counts.
    pub tables_disagree: bool,
    /// The vector has a denominator of zero: such a row decides nothing.
    pub zero_denominator: bool,
    /// A winner is named, but this token has no label to compare with.
    pub undecidable: bool,
    /// A catalogue names the winner, by its proven outcome index, since no table of resolutions has the condition.
    pub from_catalogue: bool,
}

/// The winner that a catalogue names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedWinner {
    /// Its outcome index, as the hash proves it.
    pub index: u8,
    /// Its label.
    pub label: String,
}

impl Decision {
    /// The decision with what a catalogue says of the winner, where nothing else decides: the resolutions lack the
    /// condition, and no winner's label can be compared with the one of the token at `index`.
    pub fn or_listed(self, index: u8, resolved: bool, listed: Option<&ListedWinner>) -> Self {
        match listed {
            Some(listed) if self.payout.is_none() && !resolved => Self {
                payout: Some(Payout::of_winner(listed.index == index)),
                winner: listed.label.clone(),
                listed: true,
                undecidable: false,
                from_catalogue: true,
                ..self
            },
            _ => self,
        }
    }
}

/// What the token at `index` with `label` is paid: by the payout vector, else the winning index, else the winner's
/// label, first the resolution's, then `winner` from the other table.
pub fn decide(index: u8, label: &str, resolution: Option<&Resolution>, winner: &str) -> Decision {
    let own_winner = resolution.map_or("", |resolution| &resolution.winning_outcome);
    let mut decision = Decision {
        winner: if own_winner.is_empty() { winner } else { own_winner }.to_owned(),
        listed: resolution.is_some() || !winner.is_empty(),
        ..Decision::default()
    };
    if let Some(resolution) = resolution {
        if let Some(numerator) = resolution.numerators.get(usize::from(index)) {
            decision.zero_denominator = resolution.denominator == 0;
            decision.payout = Payout::new(*numerator, resolution.denominator);
            decision.contradicts_itself = resolution.contradicts_itself();
        } else if let Some(winning) = resolution.winning_index {
            decision.payout = Some(Payout::of_winner(winning == u64::from(index)));
        }
        if let Some(payout) = &decision.payout {
            decision.contradicts_itself |= payout.refutes(says(own_winner, index, label));
            decision.tables_disagree = payout.refutes(says(winner, index, label));
        }
    }
    if decision.payout.is_none() && !decision.zero_denominator && !decision.winner.is_empty() {
        decision.payout = says(&decision.winner, index, label).map(Payout::of_winner);
        decision.undecidable = decision.payout.is_none();
    }
    decision
}

/// Whether a winner's label means that this token won; `None` where it says nothing about it.
fn says(winner: &str, index: u8, label: &str) -> Option<bool> {
    let winner = winner.to_lowercase();
    match (label.is_empty(), winner.as_str()) {
        (_, "") => None,
        (false, winner) => Some(label.to_lowercase() == winner),
        // Only a token without a label may take yes and no for indexes.
        (true, "yes") => Some(index == 0),
        (true, "no") => Some(index == 1),
        (true, _) => None,
    }
}

impl Resolution {
    /// Whether the vector does not add up to its denominator, or the index names another winner.
    fn contradicts_itself(&self) -> bool {
        let sum: u128 = self.numerators.iter().map(|it| u128::from(*it)).sum();
        let pays_most = |winning: u64| {
            let of_winner = usize::try_from(winning).ok().and_then(|it| self.numerators.get(it));
            of_winner == self.numerators.iter().max()
        };
        sum != u128::from(self.denominator) || !self.winning_index.is_none_or(pays_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(numerators: &[u64], denominator: u64, winning_index: Option<u64>) -> Resolution {
        Resolution { numerators: numerators.to_vec(), denominator, winning_index, ..Resolution::default() }
    }

    #[test]
    fn the_payout_vector_decides_then_the_index_then_the_label() {
        let paid = |decision: Decision| decision.payout.map(|payout| payout.exact());
        let half = vector(&[1, 1], 2, None);
        assert_eq!(paid(decide(0, "Yes", Some(&half), "No")).as_deref(), Some("0.5"));
        let third = vector(&[1, 2], 3, Some(1));
        assert_eq!(paid(decide(0, "", Some(&third), "")).as_deref(), Some("1/3"));
        let by_index = vector(&[], 0, Some(1));
        assert_eq!(paid(decide(1, "Up", Some(&by_index), "Up")).as_deref(), Some("1"));
        assert_eq!(paid(decide(0, "Lakers", None, "LAKERS")).as_deref(), Some("1"));
        assert_eq!(paid(decide(0, "Lakers", None, "Yes")).as_deref(), Some("0"), "a label is not an index");
        assert_eq!(paid(decide(0, "", None, "Yes")).as_deref(), Some("1"));
        assert_eq!(paid(decide(1, "", None, "no")).as_deref(), Some("1"));
        assert!(decide(1, "", None, "Lakers").undecidable);
        assert_eq!(paid(decide(1, "", None, "")), None);
    }

    #[test]
    fn rows_that_contradict_themselves_or_divide_by_zero_are_named() {
        assert!(decide(0, "", Some(&vector(&[1, 1], 1, None)), "").contradicts_itself);
        assert!(decide(0, "", Some(&vector(&[1, 0], 1, Some(1))), "").contradicts_itself);
        assert!(!decide(0, "", Some(&vector(&[1, 1], 2, Some(0))), "").contradicts_itself);
        let by_label = Resolution { winning_outcome: "Yes".to_owned(), ..vector(&[0, 1], 1, Some(1)) };
        assert!(decide(0, "Yes", Some(&by_label), "").contradicts_itself);
        assert!(!decide(0, "Up", Some(&vector(&[1, 0], 1, None)), "UP").tables_disagree);
        assert!(decide(0, "Up", Some(&vector(&[1, 0], 1, None)), "Down").tables_disagree);
        assert!(!decide(0, "Up", Some(&vector(&[1, 1], 2, None)), "Down").tables_disagree);
        let zero = decide(0, "Yes", Some(&vector(&[0, 0], 0, None)), "Yes");
        assert!(zero.zero_denominator && zero.payout.is_none());
    }
}
