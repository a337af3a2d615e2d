//! Ids of the second generation (Protocol V2's PositionManager): the condition stands in the bits.
//!
//! ```text
//! bits 255..248   8   module           1 binary, 2 negative risk, 3 combinatorial
//! bits 247..120 128   base hash
//! bits 119..104  16   arity
//! bits 103..40   64   reserved, zero
//! bits  39..24   16   resolution chain 0 = Polygon
//! bits  23..8    16   condition index
//! bits   7..0     8   outcome index    0 = YES, 1 = NO
//! ```
//!
//! A condition is an id with its lowest byte zero, an event an id with its lowest three bytes zero. The rules are
//! strict: reserved bits zero, outcome at most 1; modules 1 and 3 have arity 0 and condition index 0; module 2 has an
//! arity of at least 2 and a condition index of at most the arity (equal to it: the synthetic "Other"). A hash passes
//! for one of these about once in 2⁸⁰, so what an id is follows from the id alone.

use std::fmt;
use std::str::FromStr;

use super::bits::{is_condition, two};
use super::condition::ConditionId;
use super::text::{MalformedId, parse_hex, write_hex};
use super::token::TokenId;

/// Which contract an id of the second generation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Module {
    /// A question with two outcomes.
    Binary = 1,
    /// One question of an event of which one comes true.
    NegRisk = 2,
    /// A bet on several positions at once (a combo).
    Combo = 3,
}

impl Module {
    /// The word for it in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::NegRisk => "neg_risk",
            Self::Combo => "combo",
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Binary),
            2 => Some(Self::NegRisk),
            3 => Some(Self::Combo),
            _ => None,
        }
    }
}

/// A valid condition of the second generation, by its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StructuralCondition {
    module: Module,
    base: u128,
    arity: u16,
    resolution_chain: u16,
    condition_index: u16,
}

impl StructuralCondition {
    /// The condition of these parts, `None` where the module's rules do not allow them.
    pub fn new(
        module: Module,
        base: u128,
        arity: u16,
        resolution_chain: u16,
        condition_index: u16,
    ) -> Option<Self> {
        let condition = Self { module, base, arity, resolution_chain, condition_index };
        is_condition(&condition.bytes()).then_some(condition)
    }

    /// A binary condition on Polygon; as a mirror its base is the low half of the legacy condition.
    pub const fn binary(base: u128) -> Self {
        Self { module: Module::Binary, base, arity: 0, resolution_chain: 0, condition_index: 0 }
    }

    /// A combo's condition on Polygon; [`crate::ctf::combo_condition`] computes its base from its legs.
    pub const fn combo(base: u128) -> Self {
        Self { module: Module::Combo, base, arity: 0, resolution_chain: 0, condition_index: 0 }
    }

    /// Question `condition_index` of a negative-risk event on Polygon with `arity` questions.
    pub fn neg_risk(base: u128, arity: u16, condition_index: u16) -> Option<Self> {
        Self::new(Module::NegRisk, base, arity, 0, condition_index)
    }

    /// The parts of `condition`, `None` where its bits break a rule.
    pub fn decode(condition: &ConditionId) -> Option<Self> {
        let bytes = condition.as_bytes();
        if !is_condition(bytes) {
            return None;
        }
        let mut base = [0; 16];
        base.copy_from_slice(&bytes[1..17]);
        Some(Self {
            module: Module::of(bytes[0])?,
            base: u128::from_be_bytes(base),
            arity: two(bytes, 17),
            resolution_chain: two(bytes, 27),
            condition_index: two(bytes, 29),
        })
    }

    /// The condition id, its last byte zero.
    pub fn condition_id(&self) -> ConditionId {
        ConditionId::from_bytes(self.bytes())
    }

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = self.module as u8;
        bytes[1..17].copy_from_slice(&self.base.to_be_bytes());
        bytes[17..19].copy_from_slice(&self.arity.to_be_bytes());
        bytes[27..29].copy_from_slice(&self.resolution_chain.to_be_bytes());
        bytes[29..31].copy_from_slice(&self.condition_index.to_be_bytes());
        bytes
    }

    /// The token of an outcome, 0 (YES) or 1 (NO); `None` for every other.
    pub fn token(&self, outcome_index: u8) -> Option<TokenId> {
        let mut bytes = self.bytes();
        bytes[31] = outcome_index;
        (outcome_index <= 1).then(|| TokenId::from_be_bytes(bytes))
    }

    /// The event that the condition is a question of: shared by all conditions of a negative-risk event.
    pub fn event(&self) -> EventId {
        let mut event = [0; 29];
        event.copy_from_slice(&self.bytes()[..29]);
        EventId(event)
    }

    /// The module.
    pub const fn module(&self) -> Module {
        self.module
    }

    /// The base hash.
    pub const fn base(&self) -> u128 {
        self.base
    }

    /// How many questions a negative-risk event has, "Other" not counted; 0 in the other modules.
    pub const fn arity(&self) -> u16 {
        self.arity
    }

    /// Where it is resolved; 0 is Polygon, and others do not exist yet.
    pub const fn resolution_chain(&self) -> u16 {
        self.resolution_chain
    }

    /// Which question of its event it is, from 0.
    pub const fn condition_index(&self) -> u16 {
        self.condition_index
    }

    /// Whether it is the synthetic "Other" of a negative-risk event.
    pub const fn is_other(&self) -> bool {
        matches!(self.module, Module::NegRisk) && self.condition_index == self.arity
    }

    /// Whether it may be the mirror of a legacy condition: binary, and on Polygon, where those are.
    pub const fn may_be_mirror(&self) -> bool {
        matches!(self.module, Module::Binary) && self.resolution_chain == 0
    }
}

/// A valid token of the second generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StructuralToken {
    /// Its condition.
    pub condition: StructuralCondition,
    /// Its outcome index: 0 is YES, 1 is NO.
    pub outcome_index: u8,
}

impl StructuralToken {
    /// What the bits of `token` say, `None` where they break a rule.
    pub fn decode(token: TokenId) -> Option<Self> {
        let mut bytes = token.to_be_bytes();
        let outcome_index = std::mem::take(&mut bytes[31]);
        if outcome_index > 1 {
            return None;
        }
        let condition = StructuralCondition::decode(&ConditionId::from_bytes(bytes))?;
        Some(Self { condition, outcome_index })
    }

    /// The outcome's label: "Yes" or "No" in modules 1 and 2. A combo's outcomes carry no label of their own.
    pub const fn label(&self) -> &'static str {
        match (self.condition.module, self.outcome_index) {
            (Module::Combo, _) => "",
            (_, 0) => "Yes",
            _ => "No",
        }
    }
}

impl TokenId {
    /// What the bits of the id say, `None` where it is no valid id of the second generation: then it is a hash, or
    /// nothing at all.
    pub fn structural(self) -> Option<StructuralToken> {
        StructuralToken::decode(self)
    }
}

impl ConditionId {
    /// What the bits of the id say, `None` where it is no valid condition of the second generation: then it is a hash.
    pub fn structural(&self) -> Option<StructuralCondition> {
        StructuralCondition::decode(self)
    }

    /// The second-generation twin of a condition that is a hash; `None` for one that is of the second generation.
    pub fn mirror(&self) -> Option<StructuralCondition> {
        self.structural().is_none().then(|| StructuralCondition::binary(self.low_half()))
    }

    /// Whether both are spellings of one condition: equal, or one is the mirror of the other.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let mirrors = |legacy: &Self, of: &Self| legacy.mirror().is_some_and(|it| it.condition_id() == *of);
        self == other || mirrors(self, other) || mirrors(other, self)
    }
}

/// What all conditions of a negative-risk event share: 29 bytes, written as 58 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; 29]);

impl EventId {
    const EXPECTED: &'static str = "58 hex digits of a valid event, with or without 0x";

    /// The event of these bytes, `None` where no valid condition belongs to it.
    pub fn from_bytes(bytes: [u8; 29]) -> Option<Self> {
        Self(bytes).first_condition().map(|_| Self(bytes))
    }

    /// The 29 bytes.
    pub const fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }

    fn first_condition(&self) -> Option<StructuralCondition> {
        let mut condition = [0; 32];
        condition[..29].copy_from_slice(&self.0);
        ConditionId::from_bytes(condition).structural()
    }

    /// Every condition of the event in the order of their index, "Other" last.
    pub fn conditions(&self) -> impl Iterator<Item = StructuralCondition> {
        let first = self.first_condition();
        let last = first.map_or(0, |first| first.arity);
        (0..=last).filter_map(move |condition_index| Some(StructuralCondition { condition_index, ..first? }))
    }
}

impl FromStr for EventId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let event = parse_hex(text).and_then(Self::from_bytes);
        event.ok_or_else(|| MalformedId::new("event id", text, Self::EXPECTED))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

as_text!(EventId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn real_native_tokens_carry_their_condition() {
        let natives = [
            (
                "01d83c915cee8a5ec4b4b715d1ac911aa7",
                "834369838335332281222091626449713794621251551518727511203689528701902389248",
            ),
            (
                "017791f201d5a788e0039e511fc1900e5f",
                "663574927012476832975694178961957910328055987427402067619466963999000625152",
            ),
            (
                "017089ce3ba22aaa0a4cba8250b8c8e1eb",
                "651150819117105875331414918119047680898421632356043490229292782433651916800",
            ),
        ];
        for (prefix, yes) in natives {
            let condition: ConditionId = format!("{prefix}{}", "0".repeat(30)).parse().unwrap();
            let parts = condition.structural().unwrap();
            assert_eq!((parts.module(), parts.arity(), parts.condition_index()), (Module::Binary, 0, 0));
            let no = format!("{}{}", &yes[..74], yes[74..].parse::<u8>().unwrap() + 1);
            for (index, text, label) in [(0, yes, "Yes"), (1, no.as_str(), "No")] {
                let token: TokenId = text.parse().unwrap();
                let decoded = token.structural().unwrap();
                assert_eq!(
                    (decoded.condition, decoded.outcome_index, decoded.label()),
                    (parts, index, label)
                );
                assert_eq!(parts.token(index), Some(token));
            }
        }
    }

    #[test]
    fn mirrors_name_the_low_half_of_their_legacy_condition() {
        let mirrors = [
            (
                "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7",
                "895257453734540292493143124621755605615887197499956109032745153687078305792",
            ),
            (
                "5db999fad322cea2914535aae5517060c3f80ad6d8c0231cde2124a434d16846",
                "798559951534518479645224261511384773234863312866932338530531601041078616064",
            ),
        ];
        for (legacy, yes) in mirrors {
            let legacy: ConditionId = legacy.parse().unwrap();
            let token: TokenId = yes.parse().unwrap();
            assert_eq!(legacy.structural(), None);
            assert_eq!(legacy.mirror().unwrap().token(0), Some(token));
            assert_eq!(token.structural().unwrap().condition.base(), legacy.low_half());
        }
    }

    #[test]
    fn an_id_of_another_layout_is_no_structural_one() {
        let token = "8501497159083948713316135768103773293754490207922884688769443031624417212426";
        assert_eq!(token.parse::<TokenId>().unwrap().structural(), None);
    }

    #[test]
    fn an_event_has_its_questions_and_other() {
        let question = StructuralCondition::neg_risk(77, 3, 1).unwrap();
        let event = question.event();
        assert_eq!(event.to_string().parse::<EventId>().unwrap(), event);
        let all: Vec<_> = event.conditions().map(|it| (it.condition_index(), it.is_other())).collect();
        assert_eq!(all, [(0, false), (1, false), (2, false), (3, true)]);
        assert!(event.conditions().all(|it| it.event() == event));
        assert!("00".repeat(29).parse::<EventId>().is_err());
    }

    fn condition() -> impl Strategy<Value = StructuralCondition> {
        let neg_risk = (any::<u128>(), prop_oneof![2..600_u16, 2..=u16::MAX], any::<u16>(), any::<u16>())
            .prop_map(|(base, arity, chain, index)| {
                StructuralCondition::new(Module::NegRisk, base, arity, chain, index.min(arity)).unwrap()
            });
        let other = (prop_oneof![Just(Module::Binary), Just(Module::Combo)], any::<u128>(), any::<u16>())
            .prop_map(|(module, base, chain)| StructuralCondition::new(module, base, 0, chain, 0).unwrap());
        prop_oneof![neg_risk, other]
    }

    /// The rules once more, as arithmetic on the number.
    fn valid(bytes: [u8; 32]) -> bool {
        let two = |at: usize| u32::from(bytes[at]) * 256 + u32::from(bytes[at + 1]);
        let reserved = bytes[19..27].iter().all(|byte| *byte == 0);
        let rules = match bytes[0] {
            1 | 3 => two(17) == 0 && two(29) == 0,
            2 => two(17) >= 2 && two(29) <= two(17),
            _ => false,
        };
        reserved && bytes[31] < 2 && rules
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn ids_come_back_as_they_were_made(condition in condition(), outcome in 0_u8..2) {
            let token = condition.token(outcome).unwrap();
            prop_assert_eq!(token.structural(), Some(StructuralToken { condition, outcome_index: outcome }));
            let id = condition.condition_id();
            prop_assert_eq!(id.structural(), Some(condition));
            let text = id.to_string();
            prop_assert_eq!(text.parse::<ConditionId>().unwrap(), id);
            prop_assert_eq!(text[..62].parse::<ConditionId>().unwrap(), id);
            let place = usize::from(condition.condition_index());
            prop_assert_eq!(condition.event().conditions().nth(place), Some(condition));
            prop_assert_eq!(EventId::from_bytes(*condition.event().as_bytes()), Some(condition.event()));
        }

        #[test]
        fn one_bit_off_is_judged_by_the_rules_alone(condition in condition(), outcome in 0_u8..2, bit in 0_usize..256) {
            let mut bytes = condition.token(outcome).unwrap().to_be_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(TokenId::from_be_bytes(bytes).structural().is_some(), valid(bytes));
        }

        #[test]
        fn other_modules_and_outcomes_are_never_structural(condition in condition(), module in prop_oneof![Just(0_u8), 4..=255_u8], outcome in 2..=255_u8) {
            let mut bytes = *condition.condition_id().as_bytes();
            prop_assert_eq!(condition.token(outcome), None);
            bytes[31] = outcome;
            prop_assert_eq!(TokenId::from_be_bytes(bytes).structural(), None);
            bytes[31] = 0;
            bytes[0] = module;
            prop_assert_eq!(TokenId::from_be_bytes(bytes).structural(), None);
            prop_assert_eq!(ConditionId::from_bytes(bytes).structural(), None);
        }
    }
}
