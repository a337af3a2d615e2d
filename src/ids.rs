//! [`TokenId`], [`ConditionId`] and [`Wallet`]: parsed once at the edge, never passed as bare strings.

use std::fmt;
use std::str::FromStr;

use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an id of its kind: *malformed* in the sense of the definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind}: {text:?} ({expected})")]
pub struct MalformedId {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

impl MalformedId {
    fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        // An id is at most 78 characters; whatever is longer is shown cut, since it may be a whole document.
        let shown: String = text.chars().take(90).collect();
        Self { kind, text: shown, expected }
    }
}

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

    /// The low 128 bits of the id. Ids are hashes, so this is a fingerprint: two tokens share it by chance once
    /// in 2¹²⁸ pairs.
    pub fn low128(self) -> u128 {
        let limbs = self.0.as_limbs();
        u128::from(limbs[1]) << 64 | u128::from(limbs[0])
    }
}

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

/// A market's condition: 32 bytes, written as 64 lower-case hex digits; read with or without `0x` in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConditionId([u8; 32]);

impl ConditionId {
    const EXPECTED: &'static str = "64 hex digits, with or without 0x";

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
}

impl FromStr for ConditionId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        parse_hex(text).map(Self).ok_or_else(|| MalformedId::new("condition id", text, Self::EXPECTED))
    }
}

impl fmt::Display for ConditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

/// A wallet's address: `0x` and 40 hex digits, compared without case, written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wallet([u8; 20]);

impl Wallet {
    const EXPECTED: &'static str = "0x and 40 hex digits";

    /// The wallet of these bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Wallet {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("wallet", text, Self::EXPECTED);
        if !(text.starts_with("0x") || text.starts_with("0X")) {
            return Err(malformed());
        }
        parse_hex(text).map(Self).ok_or_else(malformed)
    }
}

impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        write_hex(&self.0, f)
    }
}

/// A contract address (a collateral token); the same form as a [`Wallet`], another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address([u8; 20]);

impl Address {
    const EXPECTED: &'static str = "0x and 40 hex digits";

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The address of these bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Address {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        parse_hex(text).map(Self).ok_or_else(|| MalformedId::new("address", text, Self::EXPECTED))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        write_hex(&self.0, f)
    }
}

/// `N` bytes from exactly `2·N` hex digits, after an optional `0x`.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text).as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    // At once, since a track writes some millions of them.
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    f.write_str(std::str::from_utf8(&text[..2 * bytes.len()]).unwrap_or_default())
}

/// Debug, and serde as the canonical text, for every id.
macro_rules! as_text {
    ($($id:ty),*) => {$(
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($id))
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(TokenId, ConditionId, Wallet, Address);

#[cfg(test)]
mod tests {
    use super::*;

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
    fn wallets_compare_without_case_and_need_their_prefix() {
        let lower = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";
        assert_eq!(lower.parse::<Wallet>(), lower.to_uppercase().parse::<Wallet>());
        assert!(lower[2..].parse::<Wallet>().is_err());
    }

    #[test]
    fn the_fingerprint_is_the_low_half() {
        let mut bytes = [0; 32];
        bytes[15] = 9;
        bytes[16] = 1;
        bytes[31] = 2;
        assert_eq!(TokenId::from_be_bytes(bytes).low128(), (1 << 120) + 2);
    }
}
