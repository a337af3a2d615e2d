//! The events of the second generation's modules.
//!
//! Which of their parameters are indexed was read from the contracts' sources; no log of them was seen. So a parameter
//! is looked for among the topics where the declaration puts it, and where a log has another number of topics in every
//! place that it could have: an id of this generation is known by its bits, and each event by its own check.

use super::abi::{self, Words};
use super::contracts;
use super::event::{Event, Mirror, Rejection, condition_id, payouts, question_id};
use super::log::{Log, Word};
use crate::ctf;
use crate::ids::{ConditionId, EventId, Module, StructuralCondition, TokenId};

/// Whether a mirror shows that it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Its bits are those of its twin.
    Proven(Mirror),
    /// Its bits are those of a market that the log does not name.
    Unproven,
}

/// The parameters of an event: the indexed ones from the topics, the others from the data, where each array leaves its
/// offset.
struct Parameters<'a> {
    topics: &'a [Word],
    data: Words<'a>,
    indexed: u8,
}

impl Parameters<'_> {
    /// The parameter at a place, counted from 0.
    fn get(&self, place: u32) -> Option<Word> {
        let before = (self.indexed & ((1 << place) - 1)).count_ones() as usize;
        if self.indexed >> place & 1 == 1 {
            self.topics.get(before).copied()
        } else {
            self.data.get(place as usize - before)
        }
    }

    /// The array at a place: always among the data, since of an indexed one only its hash is there.
    fn array(&self, place: u32) -> Option<Vec<Word>> {
        if self.indexed >> place & 1 == 1 {
            return None;
        }
        let before = (self.indexed & ((1 << place) - 1)).count_ones() as usize;
        self.data.array(place as usize - before)
    }
}

/// Reads an event of `count` parameters, first as it is declared (`declared` has a bit for each indexed parameter), then
/// in every other way that has as many topics. The first reading that checks counts; where none does, the reason of the
/// first.
fn read<T>(
    log: &Log,
    count: u32,
    declared: u8,
    check: impl Fn(&Parameters<'_>) -> Result<T, Rejection>,
) -> Result<T, Rejection> {
    let topics = log.topics.get(1..).unwrap_or_default();
    let fits = |indexed: &u8| indexed.count_ones() as usize == topics.len();
    let ways = std::iter::once(declared).chain((0..1 << count).filter(|it| *it != declared)).filter(fits);
    let mut reason = None;
    for indexed in ways {
        match check(&Parameters { topics, data: Words::new(&log.data), indexed }) {
            Ok(value) => return Ok(value),
            Err(rejection) => {
                reason.get_or_insert(rejection);
            }
        }
    }
    Err(reason.unwrap_or(Rejection::Shape))
}

/// A condition of this generation by its bits, of one of `modules`.
fn condition(
    word: Option<Word>,
    modules: &[Module],
) -> Result<(ConditionId, StructuralCondition), Rejection> {
    let condition = ConditionId::from_bytes(word.ok_or(Rejection::Shape)?);
    let structure = condition.structural().ok_or(Rejection::Bits)?;
    if modules.contains(&structure.module()) { Ok((condition, structure)) } else { Err(Rejection::Bits) }
}

/// `MigrationConditionRegistered`.
pub(super) fn mirror(log: &Log) -> Result<Shape, Rejection> {
    let module = if log.address == contracts::binary_module() { Module::Binary } else { Module::NegRisk };
    read(log, 2, 0b11, |parameters| {
        let (condition, structure) = condition(parameters.get(0), &[module])?;
        let legacy = ConditionId::from_bytes(parameters.get(1).ok_or(Rejection::Shape)?);
        if legacy.is_zero() {
            return Err(Rejection::Shape);
        }
        match module {
            Module::Binary if structure.base() != legacy.low_half() => Err(Rejection::Hash),
            Module::Binary => Ok(Shape::Proven(Mirror { condition, legacy })),
            Module::NegRisk | Module::Combo => Ok(Shape::Unproven),
        }
    })
}

/// `EventPrepared`: the questions of a legacy market and their twins; none where the event has no legacy market.
pub(super) fn neg_risk_mirrors(log: &Log) -> Result<Vec<Mirror>, Rejection> {
    read(log, 3, 0b001, |parameters| {
        let event = parameters.get(0).ok_or(Rejection::Shape)?;
        let count = parameters.get(1).and_then(|word| abi::number(&word)).ok_or(Rejection::Shape)?;
        let market = parameters.get(2).ok_or(Rejection::Shape)?;
        let (id, rest) = event.split_at(29);
        let id: [u8; 29] = id.try_into().map_err(|_| Rejection::Shape)?;
        let event = EventId::from_bytes(id).filter(|_| rest == [0; 3]).ok_or(Rejection::Bits)?;
        if market == [0; 32] {
            return Ok(Vec::new());
        }
        let adapter = contracts::neg_risk_adapter();
        let mut mirrors = Vec::new();
        for structure in event.conditions().filter(|it| !it.is_other()) {
            // A market has at most 256 questions: an index is one byte.
            let Ok(index) = u8::try_from(structure.condition_index()) else { return Err(Rejection::Bits) };
            let same = structure.module() == Module::NegRisk
                && structure.base() == ConditionId::from_bytes(market).low_half()
                && u64::from(structure.arity()) == count
                && market[31] == 0;
            if !same {
                return Err(Rejection::Hash);
            }
            let legacy = condition_id(&adapter, &question_id(&market, index));
            mirrors.push(Mirror { condition: structure.condition_id(), legacy });
        }
        Ok(mirrors)
    })
}

/// `ConditionResolved`: the result of two outcomes in parts of a million.
pub(super) fn resolved(log: &Log) -> Result<Event, Rejection> {
    let module = match log.address {
        address if address == contracts::binary_module() => Module::Binary,
        address if address == contracts::neg_risk_module() => Module::NegRisk,
        _ => Module::Combo,
    };
    read(log, 2, 0b01, |parameters| {
        let (condition, _) = condition(parameters.get(0), &[module])?;
        let result = parameters.array(1).ok_or(Rejection::Shape)?;
        let event = payouts(condition, &result)?;
        match &event {
            Event::Resolution { numerators: [first, second], .. }
                if *first + *second == ruint::aliases::U256::from(1_000_000) =>
            {
                Ok(event)
            }
            _ => Err(Rejection::Payout),
        }
    })
}

/// `CombinatorialConditionPrepared`: the legs whose hash is the condition.
pub(super) fn combo(log: &Log) -> Result<Event, Rejection> {
    read(log, 2, 0b01, |parameters| {
        let (condition, _) = condition(parameters.get(0), &[Module::Combo])?;
        let words = parameters.array(1).ok_or(Rejection::Shape)?;
        let legs: Vec<TokenId> = words.iter().map(|word| TokenId::from_be_bytes(*word)).collect();
        let hashed = ctf::combo_condition(&legs).map_err(|_| Rejection::Shape)?;
        if hashed.condition_id() != condition {
            return Err(Rejection::Hash);
        }
        Ok(Event::Combo { condition, legs })
    })
}
