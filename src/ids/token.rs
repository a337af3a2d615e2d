//! [`TokenId`]: a number below 2²⁵⁶, of either generation.

use std::fmt;
use std::str::FromStr;

use ruint::aliases::U256;

use super::text::MalformedId;

/// An outcome token (ERC-1155 position id): a decimal integer below 2²⁵⁶ without sign or leading zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(U256);

impl TokenId {
    const EXPECTED: &'static str = "a decimal integer below 2^256 without sign or leading zeros";

    /// The token id whose big-endian bytes these are.
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// The id as 32 big-endian bytes.
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// How many decimal digits the id has, 1 to 78.
    pub fn digits(self) -> usize {
        self.to_string().len()
    }

    /// A token id from its canonical spelling, or from `0x` and at most 64 hex digits, as block explorers write it.
    ///
    /// # Errors
    /// The text is neither.
    pub fn from_any_spelling(text: &str) -> Result<Self, MalformedId> {
        let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
            return text.parse();
        };
        let malformed =
            || MalformedId::new("token id", text, "a decimal integer, or 0x and at most 64 hex digits");
        if !(1..=64).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        U256::from_str_radix(digits, 16).map(Self).map_err(|_| malformed())
    }

    /// All 256 bits of the id mixed into 128: the lower half plus `MULTIPLIER` times the upper half, modulo 2¹²⁸. Two
    /// ids share it by chance once in 2¹²⁸ pairs. The lower half alone would not do: in ids of the second generation it
    /// takes some hundred values. Nor would the two halves' XOR: a bit of the base there falls upon the outcome's.
    /// [`crate::store::sql::fingerprint`] is the same in SQL.
    pub fn fingerprint(self) -> u128 {
        let limbs = self.0.as_limbs();
        let half = |at: usize| u128::from(limbs[at + 1]) << 64 | u128::from(limbs[at]);
        half(2).wrapping_mul(MULTIPLIER).wrapping_add(half(0))
    }
}

/// 2¹²⁸ divided by the golden ratio, odd: spreads every bit of what it multiplies over all higher ones.
pub const MULTIPLIER: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;

impl FromStr for TokenId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("token id", text, Self::EXPECTED);
        let canonical = !text.is_empty()
            && text.len() <= 78
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        if !canonical {
            return Err(malformed());
        }
        U256::from_str_radix(text, 10).map(Self).map_err(|_| malformed())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

as_text!(TokenId);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::{Module, StructuralCondition};

    #[test]
    fn only_the_canonical_spelling_of_a_token_id_parses() {
        let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(largest.parse::<TokenId>().unwrap().to_string(), largest);
        assert_eq!("0".parse::<TokenId>().unwrap().to_string(), "0");
        let two_to_the_256 = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        for bad in ["", "007", "+5", "-1", " 5", "1e5", "0x1", "1_000", "٣", two_to_the_256, &"9".repeat(500)]
        {
            assert!(bad.parse::<TokenId>().is_err(), "{bad:?} must not parse");
        }
    }

    #[test]
    fn a_token_id_in_hexadecimal_is_read_where_every_spelling_is_welcome() {
        for (text, value) in [("0xfF", "255"), ("0X00ff", "255"), ("255", "255")] {
            assert_eq!(TokenId::from_any_spelling(text).unwrap().to_string(), value);
        }
        for bad in ["", "0x", "ff", "0x+1", "0x_1", "0255", &format!("0x{}", "0".repeat(65))] {
            assert!(TokenId::from_any_spelling(bad).is_err(), "{bad:?} must not parse");
        }
    }

    #[test]
    fn the_fingerprint_mixes_both_halves() {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes[15] = 9;
        bytes[16] = 1;
        bytes[31] = 2;
        let upper = (1_u128 << 120) + 9;
        let expected = upper.wrapping_mul(MULTIPLIER).wrapping_add((1 << 120) + 2);
        assert_eq!(TokenId::from_be_bytes(bytes).fingerprint(), expected);
    }

    /// Pseudo-random, always the same.
    fn mix(number: u64) -> u64 {
        let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn base(number: u64) -> u128 {
        u128::from(mix(2 * number)) << 64 | u128::from(mix(2 * number + 1))
    }

    fn both(condition: StructuralCondition) -> impl Iterator<Item = TokenId> {
        [0, 1].into_iter().filter_map(move |outcome| condition.token(outcome))
    }

    #[test]
    fn no_two_structured_ids_share_a_fingerprint() {
        let mut seen = HashSet::new();
        let mut count = 0;
        let mut see = |condition: StructuralCondition| {
            for token in both(condition) {
                count += 1;
                assert!(seen.insert(token.fingerprint()), "{token}");
            }
        };
        // A million of them, random.
        for number in 0..500_000 {
            let condition = match mix(number) % 3 {
                0 => StructuralCondition::binary(base(number)),
                1 => StructuralCondition::combo(base(number)),
                _ => {
                    let arity = 2 + (mix(number) >> 8) as u16 % 600;
                    let index = (mix(number) >> 32) as u16 % (arity + 1);
                    StructuralCondition::neg_risk(base(number), arity, index).unwrap()
                }
            };
            see(condition);
        }
        // Every id of an event of 500 questions.
        for index in 0..=500 {
            see(StructuralCondition::neg_risk(base(1_000_001), 500, index).unwrap());
        }
        // Bases that differ in one bit, anywhere, in every module.
        for module in [Module::Binary, Module::NegRisk, Module::Combo] {
            let of_all = base(1_000_002);
            for differing in (0..128).map(|bit| of_all ^ 1 << bit).chain([of_all]) {
                let arity = if module == Module::NegRisk { 2 } else { 0 };
                see(StructuralCondition::new(module, differing, arity, 0, 0).unwrap());
            }
        }
        assert_eq!((count, seen.len()), (1_001_776, 1_001_776));
    }

    proptest! {
        #[test]
        fn ids_that_differ_in_one_bit_have_two_fingerprints(bytes: [u8; 32], bit in 0_usize..256) {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            let (one, other) = (TokenId::from_be_bytes(bytes), TokenId::from_be_bytes(other));
            prop_assert_ne!(one.fingerprint(), other.fingerprint());
        }
    }
}
