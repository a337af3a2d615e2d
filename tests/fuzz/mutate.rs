//! [`mutate`]: another input of one or two: bytes changed anywhere, and where it is JSON a node replaced by any value.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// What breaks parsers, or means something to one of ours.
const WORDS: [&str; 46] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1e400",
    "NaN",
    "inf",
    "1.7976931348623157e308",
    "18446744073709551616",
    "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    "007",
    "+5",
    "0x",
    "0X12",
    "\"\"",
    "\"null\"",
    "\"[]\"",
    "[]",
    "{}",
    "[null]",
    "\\ud800",
    "\\u0000",
    "\u{feff}",
    "\u{202e}",
    "\r\n",
    "\n",
    "\t",
    "\"",
    "'",
    ",",
    ";",
    "=",
    "#",
    "/",
    "..",
    "%00",
    "\u{0}",
    "é",
    "💥",
    "Yes",
    "2026-02-30T25:61:61Z",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "500/10s,100/1s",
    "s3cret-0f-mine",
];

/// Makes another input of `one`, sometimes with a part of `other`.
pub fn mutate(one: &[u8], other: &[u8], dice: &mut ChaCha8Rng) -> Vec<u8> {
    if dice.random_bool(0.5)
        && let Some(changed) = change_json(one, other, dice)
    {
        return changed;
    }
    let mut bytes = one.to_vec();
    for _ in 0..dice.random_range(1..=4) {
        change_bytes(&mut bytes, other, dice);
    }
    bytes
}

fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], dice: &mut ChaCha8Rng) {
    let at = dice.random_range(0..=bytes.len());
    let until = (at + dice.random_range(0..=16)).min(bytes.len());
    match dice.random_range(0..8) {
        0 => drop(bytes.splice(at..until, [])),
        1 => drop(bytes.splice(at..until, word(dice).bytes())),
        2 => drop(bytes.splice(at..at, [dice.random::<u8>()])),
        3 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
        4 => bytes.truncate(at),
        5 => {
            let piece = bytes[at..until].repeat(dice.random_range(2..50));
            bytes.splice(at..at, piece);
        }
        6 => {
            let from = dice.random_range(0..=other.len());
            bytes.splice(at.., other[from..].iter().copied());
        }
        // Deep: what recurses by the input's depth ends here.
        _ => {
            let deep =
                ["[", "{\"a\":", "(", "\"{"][dice.random_range(0..4)].repeat(dice.random_range(1..5_000));
            bytes.splice(at..at, deep.bytes());
        }
    }
}

fn word(dice: &mut ChaCha8Rng) -> &'static str {
    WORDS[dice.random_range(0..WORDS.len())]
}

/// The input with one JSON node replaced, removed, doubled or put into a text; `None` where it holds no JSON. What
/// stands before the first brace (a head of HTTP, say) stays.
fn change_json(one: &[u8], other: &[u8], dice: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let start = one.iter().position(|byte| matches!(byte, b'{' | b'['))?;
    let (head, body) = one.split_at(start);
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let foreign = || serde_json::from_slice::<Value>(other).ok();
    let place = dice.random_range(0..count(&value));
    let change = dice.random_range(0..6);
    let any = any_value(dice, 3);
    let picked = foreign().map(|foreign| nth(&foreign, dice.random_range(0..count(&foreign))).clone());
    let mut left = place;
    at_node(&mut value, &mut left, &mut |node| match change {
        0 | 1 => *node = any.clone(),
        2 => *node = Value::String(node.to_string()),
        3 => {
            if let Value::Array(list) = node {
                let doubled = list.clone();
                list.extend(doubled);
            } else {
                *node = Value::Null;
            }
        }
        4 => match node {
            Value::Array(list) => drop(list.pop()),
            Value::Object(fields) => {
                let name = fields.keys().nth(place % fields.len().max(1)).cloned();
                fields.remove(&name.unwrap_or_default());
            }
            _ => *node = json!([node.clone()]),
        },
        _ => *node = picked.clone().unwrap_or(Value::Bool(true)),
    });
    let mut bytes = head.to_vec();
    serde_json::to_writer(&mut bytes, &value).ok()?;
    Some(bytes)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn nth(value: &Value, place: usize) -> &Value {
    if place == 0 {
        return value;
    }
    let mut left = place - 1;
    let children: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    for child in children {
        let size = count(child);
        if left < size {
            return nth(child, left);
        }
        left -= size;
    }
    value
}

/// Runs `change` on the node that is `left` nodes ahead.
fn at_node(value: &mut Value, left: &mut usize, change: &mut dyn FnMut(&mut Value)) -> bool {
    if *left == 0 {
        change(value);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|child| at_node(child, left, change)),
        Value::Object(fields) => fields.values_mut().any(|child| at_node(child, left, change)),
        _ => false,
    }
}

fn any_value(dice: &mut ChaCha8Rng, depth: u32) -> Value {
    match dice.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(dice.random()),
        2 => json!(dice.random::<i64>() >> dice.random_range(0..64)),
        3 => json!(f64::from_bits(dice.random::<u64>())),
        4 => Value::String(word(dice).to_owned()),
        5 => Value::String(word(dice).repeat(dice.random_range(0..40))),
        6 => (0..dice.random_range(0..4)).map(|_| any_value(dice, depth - 1)).collect(),
        _ => {
            let field = |dice: &mut ChaCha8Rng| (word(dice).to_owned(), any_value(dice, depth - 1));
            Value::Object((0..dice.random_range(0..4)).map(|_| field(dice)).collect::<Map<_, _>>())
        }
    }
}
