//! [`FaultPlan`]: the faults seen in the wild, at a rate that is asked for and from a seed.
//!
//! A fault spoils one request; a lie is a wrong row in an answer that looks right. Lies are a matter of the market and
//! the seed: a wrong table entry is still wrong when it is asked again.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::demo::universe::{Kind, Market, mix};
use crate::ids::ConditionId;

/// What can go wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 429 with `Retry-After` in seconds; the next two requests get it too.
    ThrottledSeconds,
    /// 429 with `Retry-After` as an HTTP date; the next two requests get it too.
    ThrottledDate,
    /// 429 without `Retry-After`; the next two requests get it too.
    ThrottledBare,
    /// 500, 502, 503 or 504 with an HTML body.
    Status(u16),
    /// The connection is reset in the middle of the body.
    Reset,
    /// A body that ends too early, in an answer that is otherwise whole.
    CutShort,
    /// 200 with an error inside that a retry cures (`indexing_error` at Goldsky).
    ErrorInside,
    /// 200 with a timeout inside: fewer tokens may help.
    TimeoutInside,
    /// Nothing comes for a long time; then the answer does.
    Hang,
    /// Half of the answer comes, then nothing for a long time, then the rest.
    HangInBody,
    /// The answer has rows of tokens that nobody asked for, true ones.
    Unasked,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::ThrottledSeconds,
        Self::ThrottledDate,
        Self::ThrottledBare,
        Self::Status(500),
        Self::Status(502),
        Self::Status(503),
        Self::Status(504),
        Self::Reset,
        Self::CutShort,
        Self::ErrorInside,
        Self::TimeoutInside,
        Self::Hang,
        Self::HangInBody,
        Self::Unasked,
    ];

    /// Whether the requests after it are refused as well.
    fn comes_in_bursts(self) -> bool {
        matches!(self, Self::ThrottledSeconds | Self::ThrottledDate | Self::ThrottledBare)
    }
}

/// A wrong row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// The token with the condition of another market. For a token that the API does not know: the universe's first
    /// market, whatever was asked.
    WrongMarket,
    /// The outcomes exchanged: the indexes at Goldsky, the ids under the labels elsewhere.
    SwappedOutcomes,
    /// The other token of the market is a number that no condition makes.
    InventedToken,
    /// Outcome index 82 (Goldsky; the others have no indexes and exchange the outcomes).
    Index82,
    /// A legacy condition that nothing knows, whose last 128 bits are those that the token carries.
    UnknownHalf,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WrongMarket, Self::SwappedOutcomes, Self::InventedToken, Self::Index82];
}

/// Which faults and lies, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// Decides which request and which market is hit.
    pub seed: u64,
    /// Share of requests that meet a fault.
    pub rate: f64,
    /// The kinds, equally often.
    pub kinds: Vec<Fault>,
    /// Share of markets about which the API lies.
    pub lie_rate: f64,
    /// The kinds, equally often.
    pub lies: Vec<Lie>,
}

/// A legacy condition that does not exist, with the half that the market's tokens name.
pub(super) fn unknown_half(market: &Market<'_>) -> ConditionId {
    let mut bytes = *market.condition().as_bytes();
    if let Some(own) = market.tokens()[0].structural() {
        bytes[16..].copy_from_slice(&own.condition.base().to_be_bytes());
    }
    bytes[..8].copy_from_slice(&market.dice(41, u64::MAX).to_be_bytes());
    bytes[8..16].copy_from_slice(&market.dice(42, u64::MAX).to_be_bytes());
    ConditionId::from_bytes(bytes)
}

impl FaultPlan {
    /// No faults, no lies.
    pub fn none() -> Self {
        Self { seed: 0, rate: 0.0, kinds: Vec::new(), lie_rate: 0.0, lies: Vec::new() }
    }

    /// Every fault there is, at this rate; no lies.
    pub fn faults(seed: u64, rate: f64) -> Self {
        Self { seed, rate, kinds: Fault::ALL.to_vec(), lie_rate: 0.0, lies: Vec::new() }
    }

    /// Every fault and every lie there is, each at this rate.
    pub fn faults_and_lies(seed: u64, rate: f64) -> Self {
        Self { lie_rate: rate, lies: Lie::ALL.to_vec(), ..Self::faults(seed, rate) }
    }

    /// The lie told about a market, if one is.
    pub fn lie_about(&self, market: &Market<'_>) -> Option<Lie> {
        let dice = market.dice(self.seed ^ 0x6c69_6573, u64::MAX);
        let lie = self.lie_of(dice)?;
        // Of a token that names half of its condition a lie can keep that half.
        let halved = matches!(market.kind(), Kind::Mirror | Kind::Binary);
        let keeps = lie == Lie::WrongMarket && halved && mix(dice ^ 0x6861_6c66).is_multiple_of(2);
        Some(if keeps { Lie::UnknownHalf } else { lie })
    }

    /// The lie told about a token that the API does not know, if one is: the first market for anything.
    pub(super) fn lie_about_unknown(&self, fingerprint: u64) -> bool {
        self.lie_of(mix(fingerprint ^ self.seed)) == Some(Lie::WrongMarket)
    }

    fn lie_of(&self, dice: u64) -> Option<Lie> {
        if self.lies.is_empty() || unit(dice) >= self.lie_rate {
            return None;
        }
        self.lies.get(mix(dice) as usize % self.lies.len()).copied()
    }
}

/// Draws the faults of a plan, request by request.
#[derive(Debug)]
pub(super) struct FaultDice {
    rng: ChaCha8Rng,
    burst: Option<(Fault, u32)>,
}

/// Requests refused by one burst.
const BURST: u32 = 3;

impl FaultDice {
    pub(super) fn new(plan: &FaultPlan) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(plan.seed), burst: None }
    }

    /// The fault of the next request, if it meets one.
    pub(super) fn draw(&mut self, plan: &FaultPlan) -> Option<Fault> {
        if let Some((fault, left)) = self.burst.take() {
            self.burst = (left > 1).then_some((fault, left - 1));
            return Some(fault);
        }
        let (hit, kind, begin) = (self.rng.next_u64(), self.rng.next_u64(), self.rng.next_u64());
        let kinds = plan.kinds.len();
        if kinds == 0 || unit(hit) >= plan.rate {
            return None;
        }
        let fault = plan.kinds.get(kind as usize % kinds).copied()?;
        // A burst spoils three requests: begun on a third of its draws it comes as often as every other fault.
        if fault.comes_in_bursts() {
            if !begin.is_multiple_of(u64::from(BURST)) {
                return None;
            }
            self.burst = Some((fault, BURST - 1));
        }
        Some(fault)
    }
}

/// A number in 0..1 from 64 random bits.
fn unit(dice: u64) -> f64 {
    (dice >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn faults_come_at_the_rate_that_was_asked_for() {
        for rate in [0.05, 0.2] {
            let plan = FaultPlan::faults(7, rate);
            let mut dice = FaultDice::new(&plan);
            let requests = 100_000;
            let hits = (0..requests).filter(|_| dice.draw(&plan).is_some()).count();
            let measured = hits as f64 / f64::from(requests);
            assert!((measured - rate).abs() < 0.1 * rate, "{measured} of {rate}");
        }
        let mut dice = FaultDice::new(&FaultPlan::none());
        assert!((0..1_000).all(|_| dice.draw(&FaultPlan::none()).is_none()));
    }

    #[test]
    fn every_kind_of_fault_comes_about_equally_often() {
        let plan = FaultPlan::faults(3, 0.3);
        let mut dice = FaultDice::new(&plan);
        let mut counts: HashMap<Fault, u32> = HashMap::new();
        for _ in 0..200_000 {
            if let Some(fault) = dice.draw(&plan) {
                *counts.entry(fault).or_default() += 1;
            }
        }
        let average = counts.values().sum::<u32>() / Fault::ALL.len() as u32;
        for fault in Fault::ALL {
            let count = counts[&fault];
            assert!(count.abs_diff(average) < average / 5, "{fault:?}: {count} beside {average}");
        }
    }

    #[test]
    fn refusals_come_three_in_a_row() {
        let plan = FaultPlan { kinds: vec![Fault::ThrottledBare], ..FaultPlan::faults(5, 0.1) };
        let mut dice = FaultDice::new(&plan);
        let hits: Vec<bool> = (0..10_000).map(|_| dice.draw(&plan).is_some()).collect();
        let runs = hits.chunk_by(|a, b| a == b).filter(|run| run[0]);
        assert!(runs.clone().count() > 100);
        assert!(runs.map(|run| run.len()).all(|length| length % 3 == 0 || length > 3));
    }
}
