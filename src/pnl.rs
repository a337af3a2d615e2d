//! Positions, payouts, realized P&L and variance (no I/O). All arithmetic is exact, on rationals; a figure is rounded
//! once, when it is shown.

mod money;

use std::fmt;

use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use crate::ids::Wallet;
use crate::values::Percent;
use money::exact;
pub use money::{BadAmount, Micro, Usd};

/// What one share pays: a part of a USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout(BigRational);

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

/// All fills of a wallet in one mapped token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The wallet.
    pub wallet: Wallet,
    /// The token.
    pub token_id: String,
    /// Its condition.
    pub condition_id: String,
    /// Its outcome index.
    pub outcome_index: u8,
    /// Its label, empty where none is known.
    pub label: String,
    /// Fills, each counted once.
    pub fills: u64,
    /// Bought less sold, in micro-shares.
    pub net_shares: Micro,
    /// Received less paid, in micro-USD.
    pub cashflow: Micro,
    /// What the condition pays.
    pub decision: Decision,
    /// What it would pay if the token were the condition's other outcome.
    pub otherwise: Option<Payout>,
    /// What second deliveries of its fills would add, were they counted.
    pub repeated: Repeated,
}

/// Second deliveries of fills, which are left out of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    /// How many.
    pub fills: u64,
    /// Bought less sold, in micro-shares.
    pub net_shares: Micro,
    /// Received less paid, in micro-USD.
    pub cashflow: Micro,
}

impl Default for Repeated {
    fn default() -> Self {
        Self { fills: 0, net_shares: Micro::whole(0), cashflow: Micro::whole(0) }
    }
}

/// What shares pay, in USD: `net_shares · payout / 1,000,000`.
fn paid(net_shares: &Micro, payout: &Payout) -> Usd {
    Usd(&net_shares.0 * &payout.0 / BigRational::from_integer(1_000_000.into()))
}

impl Position {
    /// What the shares are paid, in USD; `None` while the condition is unresolved.
    pub fn paid_out(&self) -> Option<Usd> {
        Some(paid(&self.net_shares, self.decision.payout.as_ref()?))
    }

    /// Realized P&L in USD: `(net_shares · payout + cashflow) / 1,000,000`; `None` while unresolved.
    pub fn realized(&self) -> Option<Usd> {
        Some(self.paid_out()? + self.cashflow.units())
    }

    /// What its realized P&L would be if the token were the condition's other outcome.
    pub fn realized_otherwise(&self) -> Option<Usd> {
        Some(paid(&self.net_shares, self.otherwise.as_ref()?) + self.cashflow.units())
    }

    /// What its second deliveries would add to the realized P&L; `None` while unresolved.
    pub fn realized_by_repeats(&self) -> Option<Usd> {
        let payout = self.decision.payout.as_ref()?;
        Some(paid(&self.repeated.net_shares, payout) + self.repeated.cashflow.units())
    }
}

/// How far a total is from what was expected: `(total − expected) ÷ |expected|`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variance(BigRational);

impl Variance {
    /// `None` where nothing was expected: then there is no variance.
    pub fn of(total: &Usd, expected: &Usd) -> Option<Self> {
        (!expected.is_zero()).then(|| Self((&total.0 - &expected.0) / expected.0.abs()))
    }

    /// Whether it is strictly below the limit, on either side.
    pub fn is_below(&self, limit: Percent) -> bool {
        let limit = BigRational::new(limit.numerator().into(), Percent::DENOMINATOR.into());
        self.0.abs() < limit
    }

    /// How far it is from the limit, in points of a percent with two decimals, and whether that is to spare.
    pub fn margin(&self, limit: Percent) -> (String, bool) {
        let limit = BigRational::new(limit.numerator().into(), 1_000_000.into());
        let left = limit - self.0.abs() * BigRational::from_integer(100.into());
        (Usd(left.abs()).plain_cents(), left.is_positive())
    }

    /// In percent with two decimals, rounded half away from zero: `-0.80`.
    pub fn percent(&self) -> String {
        Usd(&self.0 * BigRational::from_integer(100.into())).plain_cents()
    }
}

impl fmt::Display for Variance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn position(net: i128, cash: i128, payout: Option<Payout>) -> Position {
        Position {
            wallet: Wallet::from_bytes([1; 20]),
            token_id: "1".to_owned(),
            condition_id: "c".to_owned(),
            outcome_index: 0,
            label: String::new(),
            fills: 1,
            net_shares: Micro::whole(net),
            cashflow: Micro::whole(cash),
            decision: Decision { payout, ..Decision::default() },
            otherwise: None,
            repeated: Repeated::default(),
        }
    }

    #[test]
    fn the_guides_figures_come_out_to_the_cent() {
        let won = position(45_678_901_234, -42_345_678_901, Payout::new(1, 1));
        assert_eq!(won.realized().unwrap().cents(), "$3,333.22");
        assert_eq!(won.paid_out().unwrap().cents(), "$45,678.90");
        assert_eq!(won.cashflow.commas(), "-42,345,678,901");
        let lost = position(12_345_678_901, -10_234_567_890, Payout::new(0, 1));
        assert_eq!(lost.realized().unwrap().cents(), "-$10,234.57");
        let total = usd("124567.23") + usd("-38234.11");
        assert_eq!(total.cents(), "$86,333.12");
        let expected = usd("87030.51");
        assert_eq!((total.clone() - expected.clone()).cents(), "-$697.39");
        let variance = Variance::of(&total, &expected).unwrap();
        assert_eq!(variance.to_string(), "-0.80%");
        assert!(variance.is_below(Percent::whole(2)));
    }

    #[test]
    fn a_variance_at_the_limit_is_no_pass() {
        let variance = Variance::of(&usd("102"), &usd("100")).unwrap();
        assert!(!variance.is_below(Percent::whole(2)));
        assert!(Variance::of(&usd("-101.99"), &usd("-100")).unwrap().is_below(Percent::whole(2)));
        assert_eq!(Variance::of(&usd("1"), &usd("0.00")), None);
    }

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

    proptest! {
        #[test]
        fn realized_pnl_equals_integer_arithmetic(
            net in -1_000_000_000_000_i128..1_000_000_000_000, cash in -1_000_000_000_000_i128..1_000_000_000_000,
            numerator in 0_u64..5, denominator in 1_u64..5,
        ) {
            let realized = position(net, cash, Payout::new(numerator, denominator)).realized().unwrap();
            // In parts of 1/denominator micro-USD, rounded half away from zero to cents by integers alone.
            let exact = net * i128::from(numerator) + cash * i128::from(denominator);
            let cent = 10_000 * i128::from(denominator);
            let cents = (exact.abs() * 2 + cent) / (2 * cent) * exact.signum();
            let shown = realized.cents().replace(['$', ',', '.'], "");
            prop_assert_eq!(shown.parse::<i128>().unwrap(), cents);
        }
    }
}
