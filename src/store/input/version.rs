//! [`Version`]: the column that decides which of two rows of one key stays, and how a row is put above others.

use super::table::RawColumn;
use super::types::{ColumnType, Kind};
use crate::store::table::quoted;

/// The column by which the map's engine keeps the newest row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Version {
    /// Its name, unquoted.
    pub(in crate::store) name: String,
    /// Its type's name.
    pub(in crate::store) type_name: String,
    /// What is added to a value to be above it, as an expression over `{}`.
    next: String,
    /// The largest value above which there is none, as an expression.
    largest: String,
    /// What a row has that nothing stands above of, where that is a clock's.
    now: Option<String>,
}

impl Version {
    /// `None` for a type that ClickHouse takes for no version.
    pub(in crate::store) fn of(column: &RawColumn) -> Option<Self> {
        let of = ColumnType::parse(&column.type_name);
        let (next, largest, now) = match of.kind {
            Kind::Integer { signed, bits } => {
                let name = if signed { format!("Int{bits}") } else { format!("UInt{bits}") };
                let unsigned = |bits: u32| format!("bitNot(toUInt{bits}(0))");
                let largest = if signed {
                    // The largest number of the type: all bits but the first.
                    format!("reinterpretAs{name}(bitShiftRight({}, 1))", unsigned(u32::from(bits)))
                } else {
                    unsigned(u32::from(bits))
                };
                (format!("CAST({{}} + 1 AS {name})"), largest, None)
            }
            Kind::Date => {
                ("({} + 1)".to_owned(), "toDate('2149-06-06')".to_owned(), Some("today()".to_owned()))
            }
            Kind::DateTime => (
                "toDateTime(toUInt32({}) + 1)".to_owned(),
                "toDateTime(4294967295)".to_owned(),
                Some("now()".to_owned()),
            ),
            Kind::DateTime64(scale) => {
                // The next unit that is not below the column's own.
                let add = match scale {
                    0..=2 => "addSeconds",
                    3..=5 => "addMilliseconds",
                    6..=8 => "addMicroseconds",
                    _ => "addNanoseconds",
                };
                // One of nine decimals ends in 2262, the others in 2299.
                let largest = if scale == 9 { "2262-04-11 00:00:00" } else { "2299-12-31 00:00:00" };
                (
                    format!("{add}({{}}, 1)"),
                    format!("toDateTime64('{largest}', {scale}, 'UTC')"),
                    Some(format!("now64({scale})")),
                )
            }
            _ => return None,
        };
        let (name, type_name) = (column.name.clone(), column.type_name.clone());
        Some(Self { name, type_name, next, largest, now })
    }

    /// A value above `newest`, and above the clock where it is one.
    pub(in crate::store) fn above(&self, newest: &str) -> String {
        let next = self.next.replace("{}", newest);
        match &self.now {
            Some(now) => format!("if({newest} >= {now}, {next}, {now})"),
            None => next,
        }
    }

    /// Whether it tells when a row was written.
    pub(in crate::store) fn is_clock(&self) -> bool {
        self.now.is_some()
    }

    /// Whether nothing can be put above `newest`.
    pub(in crate::store) fn is_exhausted(&self, newest: &str) -> String {
        format!("{newest} >= {}", self.largest)
    }

    /// The column, quoted.
    pub(in crate::store) fn column(&self) -> String {
        quoted(&self.name)
    }
}
