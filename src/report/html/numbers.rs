//! [`shown`]: a value of a JSON result as a person reads it, and [`leaves`]: all of them, each with its way through
//! the object. The same functions write the phases' pages, so that the report says what those said.

use serde_json::Value;

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
pub fn leaves(result: &Value) -> Vec<Leaf> {
    let mut found = Vec::new();
    walk(result, "", "", &mut found);
    found
}

fn walk(value: &Value, path: &str, name: &str, found: &mut Vec<Leaf>) {
    let join = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path} · {step}") };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !(path.is_empty() && *name == "phase")) {
                walk(value, &join(&words(name)), name, found);
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                walk(item, &format!("{path} {}", place + 1), name, found);
            }
        }
        _ => found.push(Leaf { path: path.to_owned(), shown: shown(name, value) }),
    }
}

/// A field's name as words.
pub fn words(name: &str) -> String {
    name.replace('_', " ").replace(" pct", " %")
}

/// A value of the field `name` as a person reads it: counts with commas, percentages with two decimals, money in cents,
/// micro-units with commas, seconds in words. Ids, names and reasons stay as they are.
pub fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(count), _, _) => thousands(count),
            (_, Some(count), _) => format!("-{}", thousands(count.unsigned_abs())),
            (_, _, Some(number)) => decimal(name, number),
            _ => number.to_string(),
        },
        Value::String(text) => amount(name, text).unwrap_or_else(|| text.clone()),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn decimal(name: &str, number: f64) -> String {
    if name.ends_with("_pct") {
        format!("{number:.2}%")
    } else if name.ends_with("seconds") {
        runtime(number)
    } else {
        format!("{number:.1}")
    }
}

/// Money has six decimals in a result, micro-units are named so.
fn amount(name: &str, text: &str) -> Option<String> {
    let (_, decimals) = text.split_once('.').unwrap_or_default();
    if name.ends_with("_micro") {
        return text.parse::<Micro>().ok().map(|micro| micro.commas());
    }
    let is_money = decimals.len() == 6 && decimals.bytes().all(|it| it.is_ascii_digit());
    text.parse::<Usd>().ok().filter(|_| is_money).map(|usd| usd.cents())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_shown_as_the_phases_show_them() {
        let cases = [
            ("total", json!(118_870), "118,870"),
            ("margin", json!(-1_234), "-1,234"),
            ("coverage_pct", json!(95.0), "95.00%"),
            ("delta", json!("-697.390000"), "-$697.39"),
            ("net_shares_micro", json!("-42345678901"), "-42,345,678,901"),
            ("elapsed_seconds", json!(1_110.0), "18.5 minutes"),
            ("tokens_per_second", json!(2_841.25), "2841.2"),
            ("wallet", json!("0x12.345678"), "0x12.345678"),
            ("unmapped_sample", json!("1234567890"), "1234567890"),
            ("label", json!(null), "–"),
            ("passed", json!(false), "no"),
        ];
        for (name, value, expected) in cases {
            assert_eq!(shown(name, &value), expected, "{name}");
        }
    }

    #[test]
    fn every_value_is_found_with_its_way() {
        let result = json!({"phase": "verify", "wallets": [{"fills": 7}, {"fills": 8}], "months": []});
        let found: Vec<_> =
            leaves(&result).into_iter().map(|it| format!("{} = {}", it.path, it.shown)).collect();
        assert_eq!(found, ["wallets 1 · fills = 7", "wallets 2 · fills = 8"]);
    }
}
