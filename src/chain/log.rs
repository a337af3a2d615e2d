//! [`Log`]: one event's log, parsed from the JSON of a node (numbers as `0x…`) or of a portal (numbers as numbers).

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::foreign;
use crate::ids::Address;

/// 32 bytes: a topic, or a word of an event's data.
pub type Word = [u8; 32];

/// One log, unchecked: whatever a provider says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Log {
    /// The block it stands in.
    pub block: u64,
    /// Its place among the logs of that block.
    pub log_index: u32,
    /// The contract that wrote it.
    pub address: Address,
    /// The event's signature, then its indexed parameters: at most four.
    pub topics: Vec<Word>,
    /// The parameters that are not indexed.
    pub data: Vec<u8>,
    /// The transaction.
    pub tx_hash: Word,
    /// When its block was made, in seconds since 1970; 0 where the provider does not say so.
    pub time: u32,
}

impl Log {
    /// Whether the event is this one.
    pub fn is(&self, signature: &Word) -> bool {
        self.topics.first() == Some(signature)
    }
}

/// Why a record is no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It is no JSON, or a field is missing or of another type.
    #[error("not a log: {0}")]
    Unreadable(String),
    /// It was taken back when the chain was reorganised.
    #[error("taken back by the chain (removed: true)")]
    Removed,
}

impl Log {
    /// Parses one record; `block` is the block that it stands under, where the record does not say so itself.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn parse(json: &str, block: Option<u64>) -> Result<Self, LogError> {
        let record: Record = serde_json::from_str(json).map_err(unreadable)?;
        record.log(block)
    }
}

fn unreadable(error: impl fmt::Display) -> LogError {
    // serde's words repeat the record.
    LogError::Unreadable(foreign::clean(&error.to_string(), 200))
}

/// The fields of a log in either form. Parsed in one go: answers hold tens of thousands of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    address: Hex<20>,
    topics: Vec<Hex<32>>,
    data: HexBytes,
    #[serde(default)]
    block_number: Option<Quantity>,
    transaction_hash: Hex<32>,
    log_index: Quantity,
    #[serde(default)]
    block_timestamp: Option<Quantity>,
    #[serde(default)]
    removed: Option<bool>,
}

impl Record {
    /// The log of this record.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn log(self, block: Option<u64>) -> Result<Log, LogError> {
        if self.removed == Some(true) {
            return Err(LogError::Removed);
        }
        let block = match (self.block_number, block) {
            (Some(own), Some(above)) if own.0 != above => {
                return Err(LogError::Unreadable(format!("block {} under block {above}", own.0)));
            }
            (Some(own), _) => own.0,
            (None, Some(above)) => above,
            (None, None) => return Err(LogError::Unreadable("no blockNumber".to_owned())),
        };
        if self.topics.len() > 4 {
            return Err(LogError::Unreadable("more than four topics".to_owned()));
        }
        let log_index = u32::try_from(self.log_index.0)
            .map_err(|_| LogError::Unreadable("a logIndex above 2^32".to_owned()))?;
        Ok(Log {
            block,
            log_index,
            address: Address::from_bytes(self.address.0),
            topics: self.topics.into_iter().map(|topic| topic.0).collect(),
            data: self.data.0,
            tx_hash: self.transaction_hash.0,
            time: self.block_timestamp.and_then(|it| u32::try_from(it.0).ok()).unwrap_or_default(),
        })
    }
}

/// A number as providers write it: `7`, `"7"` or `"0x7"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quantity(pub u64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or one in hexadecimal digits after 0x")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                let number = match text.strip_prefix("0x") {
                    Some(digits) if digits.starts_with('+') => None,
                    Some(digits) => u64::from_str_radix(digits, 16).ok(),
                    None if text.starts_with('+') => None,
                    None => text.parse().ok(),
                };
                number.map(Quantity).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// Exactly `N` bytes after `0x`.
#[derive(Debug)]
struct Hex<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer)?;
        let mut bytes = [0; N];
        let whole = text.strip_prefix("0x").is_some_and(|digits| read_hex(digits.as_bytes(), &mut bytes));
        if !whole {
            return Err(de::Error::custom(format_args!("not {N} bytes in hexadecimal digits after 0x")));
        }
        Ok(Self(bytes))
    }
}

/// Any number of bytes after `0x`.
#[derive(Debug)]
struct HexBytes(Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer)?;
        let bytes = text.strip_prefix("0x").and_then(|digits| {
            let mut bytes = vec![0; digits.len() / 2];
            read_hex(digits.as_bytes(), &mut bytes).then_some(bytes)
        });
        bytes.map(Self).ok_or_else(|| de::Error::custom("not bytes in hexadecimal digits after 0x"))
    }
}

/// A text, borrowed where the input is.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Text::deserialize(deserializer).map(|text| text.0)
}

/// Fills `bytes` from exactly twice as many digits of either case.
pub(crate) fn read_hex(digits: &[u8], bytes: &mut [u8]) -> bool {
    const fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        }
    }
    if digits.len() != 2 * bytes.len() {
        return false;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else { return false };
        *byte = high << 4 | low;
    }
    true
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let pair = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_log_reads_the_same_from_a_node_and_from_a_portal() {
        let shared = format!(
            r#""address":"0x{}","topics":["0x{}"],"data":"0x0102","transactionHash":"0x{}""#,
            "4D".repeat(20),
            "ab".repeat(32),
            "cd".repeat(32)
        );
        let node = format!(r#"{{{shared},"blockNumber":"0x10","logIndex":"0x1b9","removed":false}}"#);
        let portal = format!(r#"{{{shared},"logIndex":441,"transactionIndex":0}}"#);
        let log = Log::parse(&node, None).unwrap();
        assert_eq!((log.block, log.log_index, log.data.as_slice()), (16, 441, &[1, 2][..]));
        assert_eq!(Log::parse(&portal, Some(16)).unwrap(), log);
        assert!(matches!(Log::parse(&portal, None), Err(LogError::Unreadable(_))));
        assert!(matches!(Log::parse(&node, Some(17)), Err(LogError::Unreadable(_))));
        let removed = node.replace("false", "true");
        assert_eq!(Log::parse(&removed, None), Err(LogError::Removed));
        assert_eq!(hex(&log.data), "0102");
    }

    proptest! {
        #[test]
        fn no_text_whatever_makes_the_parser_panic(text in ".{0,200}", number in any::<i64>()) {
            let _ = Log::parse(&text, None);
            let quoted = serde_json::json!({"address": text, "topics": [text], "data": number, "logIndex": text});
            let _ = Log::parse(&quoted.to_string(), Some(1));
            let _ = serde_json::from_value::<Quantity>(serde_json::json!(text));
        }
    }
}
