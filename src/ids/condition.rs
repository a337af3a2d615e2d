//! [`ConditionId`]: what a market asks, of either generation.

use std::fmt;
use std::str::FromStr;

use super::bits::is_condition;
use super::text::{MalformedId, parse_hex, write_hex};

/// A market's condition: 32 bytes, written as 64 lower-case hex digits; read with or without `0x` in any case.
///
/// A condition of the second generation has 31 bytes. It is kept as 32, the last of them zero, and read in 62 digits
/// too, where those are a valid one: a hash that lost its last two digits stays malformed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConditionId([u8; 32]);

impl ConditionId {
    const EXPECTED: &'static str =
        "64 hex digits, with or without 0x, or 62 that are a valid condition of the second generation";

    /// The condition id of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether all bytes are zero, which no market's condition is: such rows are broken.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }

    /// The low 128 bits, by which a mirror names the condition that it is the twin of.
    pub fn low_half(&self) -> u128 {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[16..]);
        u128::from_be_bytes(half)
    }
}

impl FromStr for ConditionId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let of_31_bytes = || {
            let mut bytes = [0; 32];
            bytes[..31].copy_from_slice(&parse_hex::<31>(text)?);
            is_condition(&bytes).then_some(Self(bytes))
        };
        parse_hex(text)
            .map(Self)
            .or_else(of_31_bytes)
            .ok_or_else(|| MalformedId::new("condition id", text, Self::EXPECTED))
    }
}

impl fmt::Display for ConditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

as_text!(ConditionId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::StructuralCondition;

    #[test]
    fn a_condition_id_parses_in_every_spelling_and_prints_in_one() {
        let plain = "6876ac2b6174778c973c118aac287c49057c4d5360f896729209fe985a2c07fb";
        for spelling in [plain.to_owned(), format!("0x{plain}"), format!("0X{}", plain.to_uppercase())] {
            assert_eq!(spelling.parse::<ConditionId>().unwrap().to_string(), plain);
        }
        for bad in ["", "0x", &plain[1..], &format!("{plain}0"), &plain.replace('6', "g"), &"é".repeat(32)] {
            assert!(bad.parse::<ConditionId>().is_err(), "{bad:?} must not parse");
        }
    }

    #[test]
    fn sixty_two_digits_are_a_condition_only_where_they_are_a_valid_one() {
        let native = "01d83c915cee8a5ec4b4b715d1ac911aa70000000000000000000000000000";
        for spelling in [native.to_owned(), format!("0x{native}00"), format!("0X{}", native.to_uppercase())] {
            assert_eq!(spelling.parse::<ConditionId>().unwrap().to_string(), format!("{native}00"));
        }
        let cut = &"6876ac2b6174778c973c118aac287c49057c4d5360f896729209fe985a2c07fb"[..62];
        // A hash that was cut, an arity, a condition index, another module, and zeros.
        let spoilt = [
            cut.to_owned(),
            native.replacen("a700", "a701", 1),
            format!("{}1", &native[..61]),
            format!("04{}", &native[2..]),
            "0".repeat(62),
        ];
        for bad in spoilt {
            assert!(bad.parse::<ConditionId>().is_err(), "{bad} must not parse");
        }
    }

    #[test]
    fn a_condition_and_its_mirror_are_one_condition() {
        let legacy: ConditionId =
            "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7".parse().unwrap();
        let mirror = legacy.mirror().unwrap().condition_id();
        assert_eq!(mirror.to_string(), format!("01fab2a089d52ed8f471d23c2812e743b7{}", "0".repeat(30)));
        assert!(legacy.is_same_as(&mirror) && mirror.is_same_as(&legacy) && mirror.is_same_as(&mirror));
        assert_eq!(mirror.mirror(), None);
        let other: ConditionId =
            "b467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7".parse().unwrap();
        assert!(
            other.is_same_as(&mirror) && !other.is_same_as(&legacy),
            "only the low half is in the mirror"
        );
        let combo = StructuralCondition::combo(legacy.low_half()).condition_id();
        assert!(!combo.is_same_as(&legacy) && !combo.is_same_as(&mirror));
    }
}
