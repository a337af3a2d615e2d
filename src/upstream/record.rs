//! Reading an answer record by record: what cannot be read of one costs that record alone, never its neighbours.
//!
//! The frame of an answer is read with [`frame`]; its records stay [`RawValue`]s, each of which [`read`] reads for itself,
//! and of a record each [`Field`] likewise. So a null, a missing field or one of another type is met where it stands.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::UpstreamError;
use crate::foreign::{self, LONGEST_TEXT};
use crate::ids::TokenId;

/// Characters of a record that are shown.
const SAMPLE: usize = 160;

/// A record of an answer of which something could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddRecord {
    /// What that costs.
    pub cost: Cost,
    /// What could not be read.
    pub reason: String,
    /// The beginning of the record.
    pub sample: String,
}

/// What an unreadable part of a record costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cost {
    /// Nothing but a label or another detail: its claims stand.
    Detail,
    /// What it says of these tokens.
    Tokens(Vec<TokenId>),
    /// It does not name its tokens: each that is missing from the answer may be one of them.
    Unnamed,
}

/// The frame of an answer, such as the object around its records.
///
/// # Errors
/// It is not the documented JSON: the answer as a whole says nothing.
pub(super) fn frame<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, UpstreamError> {
    serde_json::from_str(text).map_err(|error| {
        UpstreamError::Transient(format!("an answer that is not the documented JSON ({})", misfit(&error)))
    })
}

/// What is wrong with it, and where. serde's own words repeat the text, in which a key may stand, at any length.
pub(super) fn misfit(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Io | Category::Syntax => "it is no JSON",
        Category::Data => "a field is missing or of another type",
        Category::Eof => "it is cut off",
    };
    format!("{what}: line {}, column {}", error.line(), error.column())
}

/// One record; what is no such object, or names a field twice, is an odd one that does not name its tokens.
pub(super) fn read<'a, T: Deserialize<'a>>(record: &'a RawValue) -> Result<T, OddRecord> {
    serde_json::from_str(record.get())
        .map_err(|_| OddRecord::new(record, Cost::Unnamed, "it is no object with the documented fields"))
}

impl OddRecord {
    /// An odd record that costs `cost`.
    pub(super) fn new(record: &RawValue, cost: Cost, reason: impl Into<String>) -> Self {
        Self { cost, reason: reason.into(), sample: foreign::clean(record.get(), SAMPLE) }
    }
}

/// A list of an answer, or one inside of a record: at most [`MOST_ITEMS`] of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List<T>(pub(super) Vec<T>);

/// Ten times as many items as the longest honest list: in memory a million empty ones take many times the bytes of the
/// answer.
const MOST_ITEMS: usize = 10_000;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST_ITEMS} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    if list.len() == MOST_ITEMS {
                        return Err(de::Error::invalid_length(MOST_ITEMS + 1, &self));
                    }
                    list.push(item);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Items(PhantomData)).map(Self)
    }
}

/// A field of a record, whatever stands in it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Field<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl<'a> Field<'a> {
    /// Whether there is nothing: the field is missing or null.
    pub(super) fn is_null(self) -> bool {
        self.0.is_none()
    }

    /// The value, if it can be read as a `T`.
    fn as_a<T: Deserialize<'a>>(self) -> Option<T> {
        serde_json::from_str(self.0?.get()).ok()
    }

    /// The text in it, cleaned and cut to [`LONGEST_TEXT`] characters.
    pub(super) fn text(self) -> Option<String> {
        self.whole_text().map(|text| foreign::clean(&text, LONGEST_TEXT))
    }

    /// The text in it as it stands there, for what is not kept.
    pub(super) fn whole_text(self) -> Option<String> {
        self.as_a()
    }

    /// A text, or what a number looks like: ids and indexes are written as either.
    pub(super) fn text_or_number(self) -> Option<String> {
        let is_number = |value: &str| value.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let number = || self.0.map(RawValue::get).filter(|value| is_number(value)).map(str::to_owned);
        self.text().or_else(number)
    }

    /// The whole number in it, be it one or a text.
    pub(super) fn integer(self) -> Option<i64> {
        self.text_or_number()?.parse().ok()
    }

    /// Whether it is true, as a word or as a text.
    pub(super) fn is_true(self) -> bool {
        self.as_a::<bool>().or_else(|| self.text()?.parse().ok()).unwrap_or_default()
    }

    /// The token in it: a text of digits, or a number.
    pub(super) fn token(self) -> Option<TokenId> {
        self.text_or_number()?.parse().ok()
    }

    /// The object in it.
    pub(super) fn object<T: Deserialize<'a>>(self) -> Option<T> {
        self.as_a()
    }

    /// The list in it, be it one or the JSON of one inside a text. Nothing, an empty text and a null inside one are an
    /// empty list. What of the list is no text is `None`.
    pub(super) fn texts(self) -> Option<Vec<Option<String>>> {
        let Some(value) = self.0 else { return Some(Vec::new()) };
        let inside = self.whole_text();
        let list = inside.as_deref().unwrap_or(value.get()).trim();
        if list.is_empty() || list == "null" {
            return Some(Vec::new());
        }
        let items: List<Field<'_>> = serde_json::from_str(list).ok()?;
        Some(items.0.into_iter().map(Field::text_or_number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow, default)]
        a: Field<'a>,
        #[serde(borrow, default)]
        b: Field<'a>,
    }

    fn record(text: &str) -> Record<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn each_field_is_read_for_itself() {
        let it = record(r#"{"a":"text","other":[1]}"#);
        assert_eq!((it.a.text().as_deref(), it.b.is_null()), (Some("text"), true));
        let it = record(r#"{"a":null,"b":{"c":1}}"#);
        assert!(it.a.is_null() && !it.b.is_null() && it.b.text().is_none());
        // Half of a surrogate pair is no text, and costs no other field.
        let it = record(r#"{"a":"\ud800","b":" x"}"#);
        assert_eq!((it.a.text(), it.b.text().as_deref()), (None, Some(" x")));
    }

    #[test]
    fn ids_and_indexes_are_texts_or_numbers_of_any_length() {
        let digits = "9".repeat(77);
        for text in [format!(r#"{{"a":{digits},"b":1}}"#), format!(r#"{{"a":"{digits}","b":"1"}}"#)] {
            let it = record(&text);
            assert_eq!((it.a.token().unwrap().to_string(), it.b.integer()), (digits.clone(), Some(1)));
        }
        let it = record(r#"{"a":1.5,"b":true}"#);
        assert_eq!((it.a.integer(), it.a.token(), it.b.integer()), (None, None, None));
        assert!(it.b.is_true() && !it.a.is_true());
    }

    #[test]
    fn lists_stand_in_arrays_or_in_texts() {
        let of = |text: &str| record(text).a.texts();
        let both = Some(vec![Some("x".to_owned()), None]);
        assert_eq!(of(r#"{"a":["x",null]}"#), both);
        assert_eq!(of(r#"{"a":"[\"x\",null]"}"#), both);
        for nothing in
            [r#"{"a":null}"#, "{}", r#"{"a":""}"#, r#"{"a":"[]"}"#, r#"{"a":"null"}"#, r#"{"a":[]}"#]
        {
            assert_eq!(of(nothing), Some(Vec::new()), "{nothing}");
        }
        for odd in [r#"{"a":5}"#, r#"{"a":"[1"}"#, r#"{"a":{"x":1}}"#, r#"{"a":true}"#] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}
