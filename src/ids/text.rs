//! How ids are written and read: hex digits, and what a text is that is none.

use std::fmt;

/// Why a text is not an id of its kind: *malformed* in the sense of the definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind}: {text:?} ({expected})")]
pub struct MalformedId {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

impl MalformedId {
    pub(super) fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        // An id is at most 78 characters; whatever is longer is shown cut, since it may be a whole document.
        let shown: String = text.chars().take(90).collect();
        Self { kind, text: shown, expected }
    }
}

/// `N` bytes from exactly `2·N` hex digits, after an optional `0x`.
pub(super) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
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

pub(super) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    // At once, since a track writes some millions of them.
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    f.write_str(std::str::from_utf8(&text[..2 * bytes.len()]).unwrap_or_default())
}
