//! Any one field of any one record replaced by any JSON value: every other record says what it said, for each source.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Which token is said to be of which condition, by an answer as its source reads it.
type Said = BTreeSet<(TokenId, String, String)>;

fn said(answer: &Answer) -> Said {
    let claims = answer.markets.iter().flatten();
    claims.map(|claim| (claim.token, claim.condition.clone(), claim.label.clone())).collect()
}

/// A source: how it writes a record of this number, how it puts records into an answer, and how it reads one.
struct Reader {
    name: &'static str,
    record: fn(u64) -> Value,
    frame: fn(Vec<Value>) -> Value,
    read: fn(&str) -> Result<Said, UpstreamError>,
}

fn token(number: u64) -> String {
    format!("{}", 1_000_000_000_000_u64 + number)
}

fn condition(number: u64) -> String {
    format!("0x{:064x}", 0xabc0_0000 + number)
}

/// What a catalogue's page says, as an answer would.
fn listed(page: &catalogue::CataloguePage) -> Said {
    let tokens = page.markets.iter().flat_map(|market| market.tokens.iter().map(move |it| (market, it)));
    tokens.map(|(market, it)| (it.token, market.condition.clone(), it.label.clone())).collect()
}

const READERS: [Reader; 5] = [
    Reader {
        name: "dome",
        record: |n| {
            json!({"condition_id": condition(n), "market_slug": "x", "side_a": {"id": token(2 * n), "label": "Yes"},
                   "side_b": {"id": token(2 * n + 1), "label": "No"}, "winning_side": null})
        },
        frame: |records| json!({"markets": records, "pagination": {"has_more": false, "pagination_key": null}}),
        read: |text| dome::answer(text).map(|answer| said(&answer)),
    },
    Reader {
        name: "goldsky",
        record: |n| {
            json!({"id": token(2 * n), "condition": {"id": condition(n)}, "complement": token(2 * n + 1),
                   "outcomeIndex": "0"})
        },
        frame: |records| json!({"data": {"tokenIdConditions": records}}),
        read: |text| goldsky::answer(text, &|text| text).map(|answer| said(&answer)),
    },
    Reader {
        name: "gamma",
        record: |n| {
            json!({"conditionId": condition(n), "version": "v1", "outcomes": "[\"Yes\",\"No\"]", "question": "?",
                   "clobTokenIds": json!([token(2 * n), token(2 * n + 1)]).to_string(), "positionIds": null})
        },
        frame: Value::from,
        read: |text| {
            let all: Vec<TokenId> = (0..40).map(|n| token(n).parse().expect("a token")).collect();
            gamma::answer(text, false, &all).map(|answer| said(&answer))
        },
    },
    Reader {
        name: "tokens",
        record: |n| {
            json!({"token_id": token(2 * n), "condition_id": condition(n), "structural_condition_id": null,
                   "outcome_index": 0, "clob_index": 1, "outcome": "Yes", "opposite_token_id": token(2 * n + 1),
                   "resolved": true, "final_price": 1.0, "title": "?", "market_slug": "x"})
        },
        frame: |records| json!({"data": records}),
        read: |text| tokens::answer(text).map(|answer| said(&answer)),
    },
    Reader {
        name: "clob",
        record: |n| {
            json!({"condition_id": condition(n), "closed": true,
                   "tokens": [{"token_id": token(2 * n), "outcome": "Yes", "winner": true},
                              {"token_id": token(2 * n + 1), "outcome": "No", "winner": false}]})
        },
        frame: |records| json!({"data": records, "next_cursor": "LTE="}),
        read: |text| clob::page(text).map(|page| listed(&page)),
    },
];

/// Every place in a value, as JSON pointers, the value itself left out.
fn places(value: &Value, above: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, child)| (name.clone(), child)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(nth, child)| (nth.to_string(), child)).collect()
        }
        _ => Vec::new(),
    };
    for (name, child) in children {
        let place = format!("{above}/{name}");
        places(child, &place, found);
        found.push(place);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("[\"x\",null]")),
        Just(json!(token(3))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(|it| json!(it)),
        ]
    })
}

proptest! {
    #[test]
    fn one_odd_field_costs_its_own_record_alone(
        reader in 0..READERS.len(), count in 1_u64..8, which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(), other in any_json(), whole in 0..20,
    ) {
        let Reader { name, record, frame, read } = &READERS[reader];
        let mut records: Vec<Value> = (0..count).map(record).collect();
        let odd = which.index(records.len());
        let mut found = Vec::new();
        places(&records[odd], "", &mut found);
        if whole == 0 {
            records[odd] = other;
        } else if let Some(field) = records[odd].pointer_mut(&found[place.index(found.len())]) {
            *field = other;
        }
        let rest: Vec<Value> = (0..count).filter(|n| *n != odd as u64).map(record).collect();
        let expected = read(&frame(rest).to_string()).expect("an honest answer is read");
        let said = read(&frame(records).to_string());
        prop_assert!(said.is_ok(), "{name}: {said:?}");
        prop_assert!(said.is_ok_and(|said| expected.is_subset(&said)), "{name}");
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,200}") {
        for Reader { read, frame, .. } in &READERS {
            let _ = read(&text);
            let _ = read(&frame(vec![json!(text)]).to_string());
        }
    }
}
