//! [`TokenId`], [`ConditionId`] and [`Wallet`]: parsed once at the edge, never passed as bare strings.
//!
//! Token ids come in two generations that share one column. One is a hash ([`crate::ctf`] computes it); the other
//! carries its condition in its bits ([`structural`]).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod condition;
pub mod structural;
pub mod token;
mod wallet;

pub use condition::ConditionId;
pub use structural::{EventId, Module, StructuralCondition, StructuralToken};
pub use token::TokenId;
pub use wallet::{Address, Wallet};

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

as_text!(TokenId, ConditionId, EventId, Wallet, Address);
