//! [`Spoil`]: records of an answer of which one field is something else than documented.

use serde_json::{Value, json};

use crate::demo::universe::mix;
use crate::ids::TokenId;

/// Which records are spoiled. It is a matter of the record and the seed: the same one is spoiled alike each time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spoil {
    /// Decides which record, which of its fields, and what stands there instead.
    pub seed: u64,
    /// Whose.
    pub whose: Whose,
}

/// The records that are spoiled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Whose {
    /// This share of all: one of the record's own fields is another value, or missing.
    Share(f64),
    /// Those that name this token: anything in them, at any depth, or they as a whole are any JSON value.
    Token(TokenId),
}

impl Spoil {
    /// The body with its records spoiled. What is no JSON with a list of objects in it stays as it is.
    pub(super) fn body(&self, body: &str) -> String {
        let Ok(mut json) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
        if let Some(records) = records(&mut json) {
            records.iter_mut().for_each(|record| self.record(record));
        }
        json.to_string()
    }

    fn record(&self, record: &mut Value) {
        let text = record.to_string();
        let dice = text.bytes().fold(self.seed, |dice, byte| mix(dice ^ u64::from(byte)));
        match self.whose {
            Whose::Share(rate) if (dice >> 11) as f64 / (1_u64 << 53) as f64 >= rate => {}
            Whose::Share(_) => field(record, mix(dice)),
            Whose::Token(token) if text.contains(&token.to_string()) => anything(record, self.seed),
            Whose::Token(_) => {}
        }
    }
}

/// One of the record's own fields is something else.
fn field(record: &mut Value, dice: u64) {
    let Some(fields) = record.as_object_mut() else { return };
    let Some(name) = fields.keys().nth(dice as usize % fields.len().max(1)).cloned() else { return };
    match other(mix(dice ^ 1)) {
        Some(value) => fields.insert(name, value),
        None => fields.remove(&name),
    };
}

/// Anything in the record is something else: a field at any depth, an item of a list, the record itself.
fn anything(record: &mut Value, dice: u64) {
    fn below(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(below).sum::<usize>(),
            Value::Object(fields) => fields.values().map(below).sum(),
            _ => 0,
        }
    }
    /// Replaces what is `left` places on, and says whether it was in here.
    fn replace(value: &mut Value, left: &mut usize, by: &Value) -> bool {
        if *left == 0 {
            *value = by.clone();
            return true;
        }
        *left -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|item| replace(item, left, by)),
            Value::Object(fields) => fields.values_mut().any(|item| replace(item, left, by)),
            _ => false,
        }
    }
    let mut place = mix(dice) as usize % below(record);
    replace(record, &mut place, &any_value(mix(dice ^ 1), 3));
}

/// Any JSON value.
fn any_value(dice: u64, depth: u32) -> Value {
    let next = |number: u64| mix(dice ^ mix(number));
    let (kind, size) = (next(1) % if depth == 0 { 6 } else { 8 }, next(2) % 4);
    match kind {
        0 => Value::Null,
        1 => json!(next(3) % 2 == 0),
        2 => json!(next(3) as i64 >> (next(4) % 64)),
        3 => json!(f64::from_bits(next(3))),
        4 => json!(format!("{:x}", next(3)).repeat(1 + size as usize)),
        5 => other(next(3)).unwrap_or_default(),
        6 => (0..size).map(|number| any_value(next(5 + number), depth - 1)).collect(),
        _ => {
            let named = |number| {
                (
                    ["id", "token_id", "a", ""][number as usize].to_owned(),
                    any_value(next(5 + number), depth - 1),
                )
            };
            Value::Object((0..size).map(named).collect())
        }
    }
}

/// Something that no field is; nothing for a field that is missing.
fn other(dice: u64) -> Option<Value> {
    let values = [
        Value::Null,
        json!(5),
        json!(-1.5),
        json!(true),
        json!(""),
        json!("null"),
        json!("[\"x\"]"),
        json!([]),
        json!([null, {"a": 1}]),
        json!({}),
        json!({"id": null}),
        json!("0x0000000000000000000000000000000000000000000000000000000000000000"),
    ];
    let place = dice as usize % (values.len() + 1);
    values.into_iter().nth(place)
}

/// The first list of objects in an answer.
fn records(json: &mut Value) -> Option<&mut Vec<Value>> {
    match json {
        Value::Array(list) if list.iter().all(Value::is_object) => Some(list),
        Value::Object(fields) => fields.values_mut().find_map(records),
        _ => None,
    }
}
