//! Amounts as results carry them. Each is a type, and serde knows its name, so that whoever shows a result need not guess
//! from a field's name or a number's decimals what it is.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::pnl::{Micro, Usd};

/// A number of percent, rounded down to two decimals where it is a share. In JSON a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
pub struct Percentage(pub f64);

impl Percentage {
    /// `part` of `total`, rounded down. Of nothing at all nothing is missing: 100.
    pub fn floored(part: u64, total: u64) -> Self {
        Self(floored_percent(part, total))
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}%", self.0)
    }
}

/// `part` of `total` in percent, rounded down to two decimals. Of nothing at all nothing is missing: 100.
pub fn floored_percent(part: u64, total: u64) -> f64 {
    if total == 0 {
        return 100.0;
    }
    (u128::from(part) * 10_000 / u128::from(total)) as f64 / 100.0
}

/// A time in seconds. In JSON a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
pub struct Seconds(pub f64);

/// Six decimals, as a text: `-10234.567890`.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("Usd", &self.six())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "usd", "pattern": "^-?[0-9]+\\.[0-9]{6}$" })
    }
}

/// Exact, as a text: `-42345678901`.
impl Serialize for Micro {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("Micro", &self.exact())
    }
}

impl<'de> Deserialize<'de> for Micro {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Micro {
    fn schema_name() -> Cow<'static, str> {
        "Micro".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "micro", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" })
    }
}
