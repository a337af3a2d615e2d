//! What happened to a wallet's shares, in the order of its time: [`Trade`]s, and [`Flow`]s beside them.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Signed;

use super::{BadAmount, Micro};
use crate::ids::TokenId;

/// Decimals that micro-shares are counted with: ClickHouse's scale of a size.
pub(super) const SHARE_DECIMALS: u32 = 12;
/// Decimals that micro-USD are counted with: those of a price and those of a size together.
pub(super) const CASH_DECIMALS: u32 = 42;

/// All of a wallet's purchases, or all of its sales, of one token in one second.
///
/// A table of fills knows the second and not the order within it, so that a sum over the second is all that can be
/// told apart from the order in which rows arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// Unix seconds.
    pub time: u32,
    /// Micro-shares in parts of 10⁻¹², bought above zero and sold below.
    pub(super) shares: BigInt,
    /// Micro-USD in parts of 10⁻⁴², received above zero and paid below.
    pub(super) cash: BigInt,
}

impl Trade {
    /// A trade from the decimal texts of its micro-shares and micro-USD, signed as said at the fields.
    ///
    /// # Errors
    /// A text is no decimal, or has more decimals than are counted with.
    pub fn parse(time: u32, shares: &str, cash: &str) -> Result<Self, BadAmount> {
        Ok(Self { time, shares: fixed(shares, SHARE_DECIMALS)?, cash: fixed(cash, CASH_DECIMALS)? })
    }

    /// A trade of whole micro-units.
    pub fn whole(time: u32, shares: i128, cash: i128) -> Self {
        Self {
            time,
            shares: BigInt::from(shares) * ten_to(SHARE_DECIMALS),
            cash: BigInt::from(cash) * ten_to(CASH_DECIMALS),
        }
    }

    /// Whether shares were bought.
    pub fn is_purchase(&self) -> bool {
        self.shares.is_positive()
    }
}

/// Ten to the power of `exponent`.
pub(super) fn ten_to(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

/// A decimal text as an integer of so many decimals.
fn fixed(text: &str, decimals: u32) -> Result<BigInt, BadAmount> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let missing = (decimals as usize).checked_sub(fraction.len()).ok_or(BadAmount)?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    let signed = digits.strip_prefix('-').unwrap_or(&digits);
    let valid = !whole.trim_start_matches('-').is_empty() && signed.bytes().all(|it| it.is_ascii_digit());
    if !valid || digits.len() > 200 {
        return Err(BadAmount);
    }
    digits.parse().map_err(|_| BadAmount)
}

/// What a wallet did beside trading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowKind {
    /// Cash became as many shares of every outcome.
    Split,
    /// As many shares of every outcome became cash.
    Merge,
    /// Shares of a resolved condition were paid.
    Redemption,
    /// The NO of some questions of an event became the YES of all others, and cash.
    Conversion,
    /// Shares came from another wallet or went to one.
    Transfer,
    /// Shares moved from one token to its mirror in the other generation.
    Migration,
    /// An exchange took a fee of a fill, in cash or in shares.
    Fee,
}

impl FlowKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Split,
        Self::Merge,
        Self::Redemption,
        Self::Conversion,
        Self::Transfer,
        Self::Migration,
        Self::Fee,
    ];

    /// Its name in tables and objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Merge => "merge",
            Self::Redemption => "redemption",
            Self::Conversion => "conversion",
            Self::Transfer => "transfer",
            Self::Migration => "migration",
            Self::Fee => "fee",
        }
    }

    /// The kind of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One event of a wallet beside its fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Unix seconds.
    pub time: u32,
    /// Its block, and its place among the logs of that: the order within a second.
    pub place: (u64, u32),
    /// What it was.
    pub kind: FlowKind,
    /// The shares that came and went.
    pub legs: Vec<Leg>,
    /// Received less paid, in micro-USD.
    pub cash: Micro,
}

/// The shares of one token in a [`Flow`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The token.
    pub token: TokenId,
    /// Micro-shares received, below zero where they went.
    pub shares: Micro,
    /// What a share was worth then, in USD; known of transfers alone, and only where it was asked for.
    pub price: Option<Micro>,
}

impl Leg {
    /// Shares of a token, without a price.
    pub fn new(token: TokenId, shares: Micro) -> Self {
        Self { token, shares, price: None }
    }
}

/// What shares that came from another wallet cost, and what those that went brought in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TransferRule {
    /// Nothing.
    #[default]
    Free,
    /// What the last fill of the token before them paid.
    Market,
    /// Positions that have a transfer count nothing; they are named with their dollars.
    Exclude,
}

impl TransferRule {
    /// Its name, as it is written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Market => "market",
            Self::Exclude => "exclude",
        }
    }
}

impl Flow {
    /// What each leg brought in, in micro-USD, so that all legs together bring in the flow's cash.
    ///
    /// The chain names one amount of cash for all legs. Shares that change their form do so at what they are worth while
    /// nothing is known: of `n` outcomes that exclude each other a YES is worth 1/n and a NO the rest. So the legs
    /// of a split pay equal parts, and a conversion of `k` of `n` questions balances without a remainder: each NO
    /// brings in (n − 1)/n of what is handed out, each YES pays 1/n of it. The order of events has no part in it.
    pub(super) fn cash_of_legs(&self, rule: TransferRule) -> Vec<BigRational> {
        let count = BigRational::from_integer((self.legs.len().max(1) as u64).into());
        match self.kind {
            FlowKind::Conversion => self.cash_of_conversion(&count),
            FlowKind::Transfer if rule == TransferRule::Market => {
                let worth =
                    |leg: &Leg| leg.price.as_ref().map_or_else(zero, |price| -(&leg.shares.0 * &price.0));
                self.legs.iter().map(worth).collect()
            }
            _ => self.legs.iter().map(|_| &self.cash.0 / &count).collect(),
        }
    }

    fn cash_of_conversion(&self, count: &BigRational) -> Vec<BigRational> {
        let gone = self.legs.iter().filter(|leg| leg.shares.0.is_negative()).count();
        let came = self.legs.iter().filter(|leg| leg.shares.0.is_positive());
        let paid: BigRational = came.map(|leg| &leg.shares.0 / count).sum();
        // The chain's cash and what the YES are bought for, over all of the NO.
        let per_gone = (&self.cash.0 + paid) / BigRational::from_integer((gone.max(1) as u64).into());
        let of = |leg: &Leg| match leg.shares.0.is_positive() {
            true => -(&leg.shares.0 / count),
            false if leg.shares.0.is_negative() => per_gone.clone(),
            false => zero(),
        };
        self.legs.iter().map(of).collect()
    }
}

fn zero() -> BigRational {
    BigRational::from_integer(0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u8) -> TokenId {
        TokenId::from_be_bytes([number; 32])
    }

    fn conversion(gone: u8, questions: u8, amount: i128, out: i128) -> Flow {
        let leg = |number| match number < gone {
            true => Leg::new(token(number), Micro::whole(-amount)),
            false => Leg::new(token(number), Micro::whole(out)),
        };
        Flow {
            time: 1,
            place: (1, 1),
            kind: FlowKind::Conversion,
            legs: (0..questions).map(leg).collect(),
            cash: Micro::whole(i128::from(gone - 1) * out),
        }
    }

    #[test]
    fn a_conversions_legs_bring_in_its_cash_to_the_last_part() {
        for (gone, questions, amount, out) in [(1, 3, 100, 100), (2, 3, 1_000_000, 980_000), (4, 4, 7, 7)] {
            let flow = conversion(gone, questions, amount, out);
            let cash = flow.cash_of_legs(TransferRule::Free);
            assert_eq!(cash.iter().sum::<BigRational>(), flow.cash.0, "{gone} of {questions}");
            let no = BigRational::new((out * i128::from(questions - 1)).into(), questions.into());
            assert!(cash.iter().take(gone.into()).all(|it| *it == no), "{gone} of {questions}");
        }
    }

    #[test]
    fn decimals_are_read_whole_or_refused() {
        assert_eq!(Trade::parse(1, "-1.5", "0.000001").unwrap().shares, BigInt::from(-1_500_000_000_000_i64));
        assert_eq!(Trade::parse(1, "2", "3").unwrap(), Trade::whole(1, 2, 3));
        for bad in ["", "-", "1e5", "nan", ".5", "1.2.3", "--1", "0.0000000000001"] {
            assert_eq!(Trade::parse(1, bad, "0"), Err(BadAmount), "{bad:?}");
        }
    }
}
