//! [`Spoil`]: records of an answer of which one field is something else than documented.

use serde_json::{Value, json};

use crate::demo::universe::mix;

/// Which records are spoiled. It is a matter of the record and the seed: the same one is spoiled alike each time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spoil {
    /// Decides which record, which of its fields, and what stands there instead.
    pub seed: u64,
    /// Share of the records.
    pub rate: f64,
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
        let dice = record.to_string().bytes().fold(self.seed, |dice, byte| mix(dice ^ u64::from(byte)));
        if (dice >> 11) as f64 / (1_u64 << 53) as f64 >= self.rate {
            return;
        }
        let Some(fields) = record.as_object_mut() else { return };
        let pick = mix(dice) as usize;
        let Some(name) = fields.keys().nth(pick % fields.len().max(1)).cloned() else { return };
        match other(mix(dice ^ 1)) {
            Some(value) => fields.insert(name, value),
            None => fields.remove(&name),
        };
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
