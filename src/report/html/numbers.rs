//! [`leaves`]: every value of a result as a person reads it, with its way through the result. What a value is, its type
//! says: serde names the amounts.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{self, Impossible};

use crate::pnl::{Micro, Usd};
use crate::report::text::{runtime, thousands};

/// A value of a result with its way through the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// `wallets 1 · wins · pnl`
    pub path: String,
    /// As a person reads it.
    pub shown: String,
}

/// Every value of a result, in the order in which it stands there; the phase's own name is left out.
pub fn leaves(result: &impl Serialize) -> Vec<Leaf> {
    let mut found = Vec::new();
    // Nothing in a result refuses to be walked through; what is found until then is told.
    let _ = result.serialize(Walker { path: String::new(), amount: Amount::Plain, found: &mut found });
    found
}

/// A field's name as words.
pub fn words(name: &str) -> String {
    name.replace('_', " ").replace(" pct", " %")
}

/// What the next number or text is.
#[derive(Debug, Clone, Copy)]
enum Amount {
    Plain,
    Usd,
    Micro,
    Percentage,
    Seconds,
}

/// Goes through a value and keeps its leaves.
struct Walker<'a> {
    path: String,
    amount: Amount,
    found: &'a mut Vec<Leaf>,
}

/// Never made: every value can be told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Untold(String);

impl ser::Error for Untold {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Walker<'_> {
    fn leaf(self, shown: String) -> Result<(), Untold> {
        self.found.push(Leaf { path: self.path, shown });
        Ok(())
    }

    fn below(&mut self, name: &str) -> Option<Walker<'_>> {
        let path = match (self.path.as_str(), name) {
            ("", "phase") => return None,
            ("", name) => words(name),
            (path, name) => format!("{path} · {}", words(name)),
        };
        Some(Walker { path, amount: Amount::Plain, found: self.found })
    }
}

/// Several values below one: the fields of an object, or the items of a list.
struct Below<'a> {
    walker: Walker<'a>,
    name: String,
    item: usize,
}

impl<'a> Below<'a> {
    fn of(walker: Walker<'a>) -> Self {
        Self { walker, name: String::new(), item: 0 }
    }
}

impl<'a> ser::Serializer for Walker<'a> {
    type Ok = ();
    type Error = Untold;
    type SerializeSeq = Below<'a>;
    type SerializeTuple = Below<'a>;
    type SerializeTupleStruct = Impossible<(), Untold>;
    type SerializeTupleVariant = Impossible<(), Untold>;
    type SerializeMap = Below<'a>;
    type SerializeStruct = Below<'a>;
    type SerializeStructVariant = Impossible<(), Untold>;

    fn serialize_bool(self, yes: bool) -> Result<(), Untold> {
        self.leaf(if yes { "yes" } else { "no" }.to_owned())
    }
    fn serialize_i8(self, number: i8) -> Result<(), Untold> {
        self.serialize_i64(number.into())
    }
    fn serialize_i16(self, number: i16) -> Result<(), Untold> {
        self.serialize_i64(number.into())
    }
    fn serialize_i32(self, number: i32) -> Result<(), Untold> {
        self.serialize_i64(number.into())
    }
    fn serialize_i64(self, number: i64) -> Result<(), Untold> {
        let sign = if number < 0 { "-" } else { "" };
        self.leaf(format!("{sign}{}", thousands(number.unsigned_abs())))
    }
    fn serialize_u8(self, number: u8) -> Result<(), Untold> {
        self.serialize_u64(number.into())
    }
    fn serialize_u16(self, number: u16) -> Result<(), Untold> {
        self.serialize_u64(number.into())
    }
    fn serialize_u32(self, number: u32) -> Result<(), Untold> {
        self.serialize_u64(number.into())
    }
    fn serialize_u64(self, number: u64) -> Result<(), Untold> {
        self.leaf(thousands(number))
    }
    fn serialize_f32(self, number: f32) -> Result<(), Untold> {
        self.serialize_f64(number.into())
    }
    fn serialize_f64(self, number: f64) -> Result<(), Untold> {
        let shown = match self.amount {
            Amount::Percentage => format!("{number:.2}%"),
            Amount::Seconds => runtime(number),
            _ => format!("{number:.1}"),
        };
        self.leaf(shown)
    }
    fn serialize_char(self, letter: char) -> Result<(), Untold> {
        self.leaf(letter.to_string())
    }
    fn serialize_str(self, text: &str) -> Result<(), Untold> {
        let amount = match self.amount {
            Amount::Usd => text.parse::<Usd>().ok().map(|usd| usd.cents()),
            Amount::Micro => text.parse::<Micro>().ok().map(|micro| micro.commas()),
            _ => None,
        };
        self.leaf(amount.unwrap_or_else(|| text.to_owned()))
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Untold> {
        self.leaf(format!("{} bytes", thousands(bytes.len() as u64)))
    }
    fn serialize_none(self) -> Result<(), Untold> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Untold> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Untold> {
        self.leaf("–".to_owned())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Untold> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Untold> {
        self.leaf(words(variant))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Untold> {
        let amount = match name {
            "Usd" => Amount::Usd,
            "Micro" => Amount::Micro,
            "Percentage" => Amount::Percentage,
            "Seconds" => Amount::Seconds,
            _ => Amount::Plain,
        };
        value.serialize(Self { amount, ..self })
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Untold> {
        self.below(variant).map_or(Ok(()), |below| value.serialize(below))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Below<'a>, Untold> {
        Ok(Below::of(self))
    }
    fn serialize_tuple(self, _: usize) -> Result<Below<'a>, Untold> {
        Ok(Below::of(self))
    }
    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Impossible<(), Untold>, Untold> {
        Err(Untold(name.to_owned()))
    }
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Untold>, Untold> {
        Err(Untold(name.to_owned()))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Below<'a>, Untold> {
        Ok(Below::of(self))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Below<'a>, Untold> {
        Ok(Below::of(self))
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Untold>, Untold> {
        Err(Untold(name.to_owned()))
    }
}

impl ser::SerializeSeq for Below<'_> {
    type Ok = ();
    type Error = Untold;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Untold> {
        self.item += 1;
        let path = format!("{} {}", self.walker.path, self.item);
        value.serialize(Walker { path, amount: Amount::Plain, found: self.walker.found })
    }
    fn end(self) -> Result<(), Untold> {
        Ok(())
    }
}

impl ser::SerializeTuple for Below<'_> {
    type Ok = ();
    type Error = Untold;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Untold> {
        ser::SerializeSeq::serialize_element(self, value)
    }
    fn end(self) -> Result<(), Untold> {
        Ok(())
    }
}

impl ser::SerializeMap for Below<'_> {
    type Ok = ();
    type Error = Untold;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Untold> {
        let mut told = Vec::new();
        key.serialize(Walker { path: String::new(), amount: Amount::Plain, found: &mut told })?;
        self.name = told.pop().map(|leaf| leaf.shown).unwrap_or_default();
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Untold> {
        let name = std::mem::take(&mut self.name);
        self.walker.below(&name).map_or(Ok(()), |below| value.serialize(below))
    }
    fn end(self) -> Result<(), Untold> {
        Ok(())
    }
}

impl ser::SerializeStruct for Below<'_> {
    type Ok = ();
    type Error = Untold;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Untold> {
        self.walker.below(name).map_or(Ok(()), |below| value.serialize(below))
    }
    fn end(self) -> Result<(), Untold> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Merge, PhaseResult, Validate, WalletValidation};
    use serde_json::json;

    fn told(result: &impl Serialize, path: &str) -> String {
        let found = leaves(result);
        let leaf = found.iter().find(|leaf| leaf.path == path);
        leaf.unwrap_or_else(|| panic!("{path}: {found:?}")).shown.clone()
    }

    #[test]
    fn values_are_shown_as_the_phases_show_them() {
        let track = json!({
            "phase": "dome", "total": 118_870, "coverage_pct": 95.0, "tokens_per_second": 2_841.25,
            "elapsed_seconds": 1_110.0,
        });
        let track = PhaseResult::read("dome", &track).unwrap();
        for (path, expected) in [
            ("total", "118,870"),
            ("coverage %", "95.00%"),
            ("tokens per second", "2841.2"),
            ("elapsed seconds", "18.5 minutes"),
            ("outcome", "done"),
        ] {
            assert_eq!(told(&track, path), expected, "{path}");
        }
        let wallet = json!({
            "wallet": "0x12.345678", "delta": "-697.390000",
            "top_winners": [{"net_shares_micro": "-42345678901", "payout": null}],
        });
        let wallet: WalletValidation = serde_json::from_value(wallet).unwrap();
        let validate = Validate { wallets: vec![wallet], ..Validate::default() };
        for (path, expected) in [
            ("wallets 1 · wallet", "0x12.345678"),
            ("wallets 1 · delta", "-$697.39"),
            ("wallets 1 · label", "–"),
            ("wallets 1 · top winners 1 · net shares micro", "-42,345,678,901"),
            ("wallets 1 · top winners 1 · payout", "–"),
            ("passed", "no"),
        ] {
            assert_eq!(told(&validate, path), expected, "{path}");
        }
    }

    #[test]
    fn every_value_is_found_with_its_way_but_the_phases_name() {
        let merge = json!({"phase": "merge", "staged": {"dome": 7, "goldsky": 8}});
        let merge: Merge = serde_json::from_value(merge).unwrap();
        let found = leaves(&merge);
        assert!(found.iter().any(|leaf| leaf.path == "staged · goldsky" && leaf.shown == "8"), "{found:?}");
        assert!(found.iter().all(|leaf| leaf.path != "phase"));
    }
}
