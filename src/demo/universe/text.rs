//! The words of the universe, and ids written fast enough for forty million rows.

/// Asset ids that no reading makes a token id of: empty, signed, padded, hex, too large, words.
pub(super) const MALFORMED: [&str; 24] = [
    "",
    "",
    "",
    "0x1f",
    "007",
    "+5",
    "-1",
    " 5",
    "5 ",
    "1e5",
    "NaN",
    "null",
    "undefined",
    "3.14",
    "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    "999999999999999999999999999999999999999999999999999999999999999999999999999999",
    "1157920892373161954235709850086879078532699846656405640394575840079131296399350",
    "21742633143463906290569050155826241533067272736897614950488156847949938836455n",
    "[object Object]",
    "\u{663}\u{664}",
    "12_000",
    "1,000",
    "token",
    "",
];

/// Team names, for markets whose outcomes are neither Yes and No nor Up and Down.
pub(super) const TEAMS: [&str; 32] = [
    "Lakers",
    "Celtics",
    "Warriors",
    "Bulls",
    "Heat",
    "Spurs",
    "Knicks",
    "Nuggets",
    "Bucks",
    "Suns",
    "Chiefs",
    "Eagles",
    "Bills",
    "Ravens",
    "Cowboys",
    "Packers",
    "Yankees",
    "Dodgers",
    "Mets",
    "Cubs",
    "Braves",
    "Astros",
    "Arsenal",
    "Chelsea",
    "Liverpool",
    "Barcelona",
    "Juventus",
    "Ajax",
    "Benfica",
    "Dortmund",
    "Porto",
    "Celtic",
];

/// How a condition id is written in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// 64 lower-case hex digits.
    Plain,
    /// `0x` and lower-case digits.
    Prefixed,
    /// Upper-case digits.
    Upper,
    /// `0x` and upper-case digits.
    PrefixedUpper,
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8], spelling: Spelling) -> String {
    let (prefix, digits): (&str, &[u8; 16]) = match spelling {
        Spelling::Plain => ("", b"0123456789abcdef"),
        Spelling::Prefixed => ("0x", b"0123456789abcdef"),
        Spelling::Upper => ("", b"0123456789ABCDEF"),
        Spelling::PrefixedUpper => ("0x", b"0123456789ABCDEF"),
    };
    let mut text = String::with_capacity(prefix.len() + 2 * bytes.len());
    text.push_str(prefix);
    for byte in bytes {
        text.push(char::from(digits[usize::from(byte >> 4)]));
        text.push(char::from(digits[usize::from(byte & 15)]));
    }
    text
}

/// A hash of a transaction or an order, `0x` and 64 digits; the eight bytes repeat so that the column compresses.
pub(super) fn hash_text(word: u64) -> String {
    let word = word.to_be_bytes();
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&word);
    }
    hex(&bytes, Spelling::Prefixed)
}
