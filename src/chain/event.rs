//! [`Event`]: what the contracts say, with the hashes that make its ids; what a log is worth is a [`Decoded`].

use std::fmt;

use ruint::aliases::U256;

use super::abi;
use super::keccak256;
use super::log::Word;
use crate::ids::{Address, ConditionId, TokenId};

/// What the contracts said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A condition of the first generation was prepared: its id is the hash of the other two and 2 outcomes.
    Condition {
        /// The condition.
        condition: ConditionId,
        /// Who will resolve it.
        oracle: Address,
        /// The question.
        question: Word,
    },
    /// A condition was resolved. Outcome i pays `numerators[i]` ÷ their sum, which is not zero.
    ///
    /// Of the first generation the hash shows that the condition is what it says; nothing shows that it paid this.
    Resolution {
        /// The condition.
        condition: ConditionId,
        /// One number an outcome.
        numerators: [U256; 2],
    },
    /// A negative-risk market: its id is the hash of its oracle, its fee and its text.
    Market {
        /// The market, its last byte zero.
        market: Word,
        /// The fee of a conversion, in hundredths of a percent.
        fee_bips: u32,
    },
    /// A question of a negative-risk market: its id is the market's with the index in the last byte.
    Question {
        /// The market.
        market: Word,
        /// Which of its questions, from 0.
        index: u8,
        /// The question.
        question: Word,
    },
    /// Conditions of the second generation that are twins of conditions of the first. More than one where a whole
    /// negative-risk event is registered.
    Mirrors(Vec<Mirror>),
    /// A combo: its condition is the hash of its legs.
    Combo {
        /// The condition.
        condition: ConditionId,
        /// The positions that must all come true, ascending.
        legs: Vec<TokenId>,
    },
}

/// A condition of the second generation and its twin of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirror {
    /// The condition of the second generation.
    pub condition: ConditionId,
    /// Its twin of the first, which payouts and labels hang on.
    pub legacy: ConditionId,
}

/// Why a log is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rejection {
    /// A parameter is missing, or is no value of its type.
    Shape,
    /// The hash of its parameters is not the id that it names.
    Hash,
    /// The id breaks the rules of the second generation's bits.
    Bits,
    /// The event is not one of the contract that is said to have written it.
    Contract,
    /// The payouts are not numbers that could be paid.
    Payout,
}

impl Rejection {
    /// The word for it in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::Hash => "hash",
            Self::Bits => "bits",
            Self::Contract => "contract",
            Self::Payout => "payout",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a log comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Something to keep.
    Event(Event),
    /// A stranger's condition: another number of outcomes. Nobody trades it at Polymarket.
    Stranger,
    /// Something true that follows from other events, or that another event says with a proof.
    Implied,
    /// An event that is not read here.
    Other,
    /// Not to be believed.
    Rejected(Rejection),
}

impl From<Result<Event, Rejection>> for Decoded {
    fn from(result: Result<Event, Rejection>) -> Self {
        match result {
            Ok(event) => Self::Event(event),
            Err(rejection) => Self::Rejected(rejection),
        }
    }
}

/// The id of a condition of the first generation with two outcomes.
pub fn condition_id(oracle: &Address, question: &Word) -> ConditionId {
    ConditionId::from_bytes(keccak256(&[oracle.as_bytes(), question, &abi::word(2)]))
}

/// The id of a negative-risk market.
pub fn market_id(oracle: &Address, fee_bips: u64, text: &[u8]) -> Word {
    // abi.encode(oracle, feeBips, bytes): the last part is filled up to whole words.
    let padding = vec![0; text.len().next_multiple_of(32) - text.len()];
    let mut id = keccak256(&[
        &abi::address_word(oracle),
        &abi::word(fee_bips),
        &abi::word(96),
        &abi::word(text.len() as u64),
        text,
        &padding,
    ]);
    id[31] = 0;
    id
}

/// A question of a negative-risk market.
pub fn question_id(market: &Word, index: u8) -> Word {
    let mut question = *market;
    question[31] = index;
    question
}

/// A resolution, where the numbers could be paid.
pub(super) fn payouts(condition: ConditionId, words: &[Word]) -> Result<Event, Rejection> {
    let &[first, second] = words else { return Err(Rejection::Payout) };
    let numerators = [abi::uint(&first), abi::uint(&second)];
    match numerators[0].checked_add(numerators[1]) {
        Some(sum) if !sum.is_zero() => Ok(Event::Resolution { condition, numerators }),
        _ => Err(Rejection::Payout),
    }
}
