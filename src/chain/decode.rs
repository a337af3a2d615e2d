//! [`decode`]: what a log says, checked by the hash that makes it.

use super::abi::{self, Words};
use super::event::{Decoded, Event, Rejection, market_id, payouts, question_id};
use super::log::{Log, Word};
use super::module_event::{self, Shape};
use super::{contracts, keccak256};
use crate::ids::{Address, ConditionId};

/// What a log says.
pub fn decode(log: &Log) -> Decoded {
    let Some(signature) = log.topics.first() else { return Decoded::Other };
    let modules = [contracts::binary_module(), contracts::neg_risk_module()];
    let with_combos = [modules[0], modules[1], contracts::combinatorial_module()];
    let (writers, read): (&[Address], fn(&Log) -> Decoded) = match *signature {
        contracts::CONDITION_PREPARATION => (&[contracts::conditional_tokens()], preparation),
        contracts::CONDITION_RESOLUTION => (&[contracts::conditional_tokens()], resolution),
        contracts::MARKET_PREPARED => (&[contracts::neg_risk_adapter()], |log| market(log).into()),
        contracts::QUESTION_PREPARED => (&[contracts::neg_risk_adapter()], |log| question(log).into()),
        contracts::MIGRATION_REGISTERED => (&modules, migration),
        contracts::EVENT_PREPARED => (&modules[1..], event_prepared),
        contracts::CONDITION_RESOLVED => (&with_combos, |log| module_event::resolved(log).into()),
        contracts::COMBO_PREPARED => (&with_combos[2..], |log| module_event::combo(log).into()),
        contracts::OTHER_DERIVABLE | contracts::REST_DERIVABLE => (&modules[1..], |_| Decoded::Implied),
        _ => return Decoded::Other,
    };
    if writers.contains(&log.address) { read(log) } else { Decoded::Rejected(Rejection::Contract) }
}

/// What both events of the CTF begin with, checked: condition, oracle, question.
fn prepared(log: &Log) -> Result<Option<(ConditionId, Address, Word)>, Rejection> {
    let &[_, condition, oracle, question] = log.topics.as_slice() else { return Err(Rejection::Shape) };
    let oracle = abi::address(&oracle).ok_or(Rejection::Shape)?;
    let slots = Words::new(&log.data).get(0).ok_or(Rejection::Shape)?;
    if keccak256(&[oracle.as_bytes(), &question, &slots]) != condition {
        return Err(Rejection::Hash);
    }
    let ours = slots == abi::word(2);
    Ok(ours.then(|| (ConditionId::from_bytes(condition), oracle, question)))
}

fn preparation(log: &Log) -> Decoded {
    match prepared(log) {
        Ok(Some((condition, oracle, question))) => {
            Decoded::Event(Event::Condition { condition, oracle, question })
        }
        Ok(None) => Decoded::Stranger,
        Err(rejection) => Decoded::Rejected(rejection),
    }
}

fn resolution(log: &Log) -> Decoded {
    match prepared(log) {
        Ok(Some((condition, ..))) => {
            let numerators = Words::new(&log.data).array(1).ok_or(Rejection::Shape);
            numerators.and_then(|words| payouts(condition, &words)).into()
        }
        Ok(None) => Decoded::Stranger,
        Err(rejection) => Decoded::Rejected(rejection),
    }
}

fn market(log: &Log) -> Result<Event, Rejection> {
    let &[_, market, oracle] = log.topics.as_slice() else { return Err(Rejection::Shape) };
    let words = Words::new(&log.data);
    let oracle = abi::address(&oracle).ok_or(Rejection::Shape)?;
    let (fee, text) = words.number(0).zip(words.bytes(1)).ok_or(Rejection::Shape)?;
    let fee_bips = u32::try_from(fee).map_err(|_| Rejection::Shape)?;
    if market_id(&oracle, fee, text) != market {
        return Err(Rejection::Hash);
    }
    Ok(Event::Market { market, fee_bips })
}

fn question(log: &Log) -> Result<Event, Rejection> {
    let &[_, market, question] = log.topics.as_slice() else { return Err(Rejection::Shape) };
    let index = Words::new(&log.data).number(0).ok_or(Rejection::Shape)?;
    let index = u8::try_from(index).map_err(|_| Rejection::Shape)?;
    if market[31] != 0 || question_id(&market, index) != question {
        return Err(Rejection::Hash);
    }
    Ok(Event::Question { market, index, question })
}

/// A binary twin shows in its bits. Of a negative-risk one only the event that is prepared with it says which market
/// its bits are those of.
fn migration(log: &Log) -> Decoded {
    match module_event::mirror(log) {
        Ok(Shape::Proven(mirror)) => Decoded::Event(Event::Mirrors(vec![mirror])),
        Ok(Shape::Unproven) => Decoded::Implied,
        Err(rejection) => Decoded::Rejected(rejection),
    }
}

fn event_prepared(log: &Log) -> Decoded {
    match module_event::neg_risk_mirrors(log) {
        Ok(mirrors) if mirrors.is_empty() => Decoded::Implied,
        Ok(mirrors) => Decoded::Event(Event::Mirrors(mirrors)),
        Err(rejection) => Decoded::Rejected(rejection),
    }
}

#[cfg(test)]
mod tests;
