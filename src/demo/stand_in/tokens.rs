//! The token look-up of Polymarket's Data API: rows in no order, tokens that it does not know left out, an index on chain
//! beside one in the order book, and error bodies of its own.

use std::collections::BTreeSet;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::dome::{another, invented};
use super::faults::{Lie, unknown_half};
use super::reply::{Answer, data_api_error};
use super::shared::Shared;
use crate::demo::universe::{Api, Outcome, Payout, mix};
use crate::ids::{ConditionId, TokenId};

/// Tokens and conditions in a request, at most.
const MOST_TOKENS: usize = 50;
const MOST_CONDITIONS: usize = 10;

/// Answers one request.
pub(super) fn answer(shared: &Shared, parts: &Parts, unasked: bool) -> Answer {
    if parts.method != Method::GET {
        return Answer::error(Api::Tokens, StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    }
    if parts.uri.path() != "/v2/tokens" {
        return Answer::error(Api::Tokens, StatusCode::NOT_FOUND, "not found");
    }
    match asked(shared, parts.uri.query().unwrap_or_default()) {
        Ok(tokens) => rows(shared, tokens, unasked),
        Err((parameter, message)) => Answer {
            status: StatusCode::BAD_REQUEST,
            ..Answer::ok(data_api_error(StatusCode::BAD_REQUEST, message, Some(parameter)))
        },
    }
}

/// The tokens of a request: those that it names, or those of the conditions that it names.
fn asked(shared: &Shared, query: &str) -> Result<Vec<TokenId>, (&'static str, &'static str)> {
    let of = |wanted: &str| -> Vec<String> {
        let values = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
        values.flat_map(|(_, value)| value.split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let (tokens, conditions) = (of("token_id"), of("condition"));
    match (tokens.is_empty(), conditions.is_empty()) {
        (true, true) | (false, false) => {
            Err(("token_id", "exactly one of token_id and condition is required"))
        }
        (false, true) => {
            let distinct: BTreeSet<&String> = tokens.iter().collect();
            if distinct.len() > MOST_TOKENS {
                return Err(("token_id", "at most 50 distinct ids"));
            }
            let parsed: Result<Vec<TokenId>, _> = distinct.into_iter().map(|id| id.parse()).collect();
            parsed.map_err(|_| ("token_id", "a token id is a decimal number"))
        }
        (true, false) => {
            let parsed: Result<BTreeSet<ConditionId>, _> = conditions.iter().map(|id| id.parse()).collect();
            let parsed = parsed.map_err(|_| ("condition", "a condition id has 64 hex digits"))?;
            if parsed.len() > MOST_CONDITIONS {
                return Err(("condition", "at most 10 conditions"));
            }
            let markets = parsed.iter().filter_map(|id| shared.universe.find_condition(id));
            Ok(markets.flat_map(|market| *market.tokens()).collect())
        }
    }
}

fn rows(shared: &Shared, asked: Vec<TokenId>, unasked: bool) -> Answer {
    let universe = &shared.universe;
    let plan = &shared.options.faults;
    let mut lies = 0;
    let mut rows: Vec<(u64, Value)> = Vec::new();
    for token in &asked {
        let known = universe.find(token).filter(|outcome| shared.has(&outcome.market));
        let row = match known {
            Some(outcome) => {
                let lie = plan.lie_about(&outcome.market);
                lies += u64::from(lie.is_some());
                Some(row(shared, &outcome, lie))
            }
            None if plan.lie_about_unknown(token.fingerprint() as u64) => {
                lies += 1;
                for_unknown(shared, token)
            }
            None => None,
        };
        rows.extend(row.map(|row| (mix(token.fingerprint() as u64), row)));
    }
    if unasked {
        let all = universe.market_count() as u64;
        let start = asked.first().map_or(0, |token| token.fingerprint() as u64);
        for nth in 0..3 {
            let market = universe.market((mix(start ^ nth) % all) as usize);
            let outcome = market.map(|market| Outcome { market, index: (nth % 2) as u8 });
            rows.extend(outcome.map(|outcome| (mix(start ^ nth << 8), row(shared, &outcome, None))));
        }
    }
    rows.sort_by_key(|(place, _)| *place);
    let data: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    Answer { asked, lies, ..Answer::ok(json!({"data": data}).to_string()) }
}

/// The universe's first market under a token that it knows nothing of.
fn for_unknown(shared: &Shared, token: &TokenId) -> Option<Value> {
    let market = shared.universe.market(0)?;
    let mut row = row(shared, &Outcome { market, index: 0 }, None);
    row["token_id"] = token.to_string().into();
    Some(row)
}

fn row(shared: &Shared, outcome: &Outcome<'_>, lie: Option<Lie>) -> Value {
    let market = outcome.market;
    let (mut named, mut index, mut opposite) = (market, u64::from(outcome.index), outcome.sibling());
    let mut unknown = None;
    match lie {
        None => {}
        Some(Lie::UnknownHalf) => unknown = Some(unknown_half(&market)),
        Some(Lie::WrongMarket) => named = another(shared, &market),
        Some(Lie::SwappedOutcomes) => index = 1 - index,
        Some(Lie::InventedToken) => opposite = invented(&market),
        Some(Lie::Index82) => index = 82,
    }
    // Where its trading has ended without a resolution yet, there is a price that pays nothing.
    let (resolved, price) = match market.payout() {
        Payout::Unresolved if market.dice(0x0070_7269_6365, 3) == 0 => (false, json!(0.9995)),
        Payout::Unresolved => (false, Value::Null),
        payout => (true, json!(f64::from(payout.doubled(outcome.index).unwrap_or(0)) / 2.0)),
    };
    // The place in the order book is another matter than the index on chain.
    let clob_index = if market.first_side() == 0 { outcome.index } else { 1 - outcome.index };
    let structural = outcome.token().structural();
    let own = structural.map(|token| format!("0x{}", token.condition.condition_id()));
    json!({
        "token_id": outcome.token().to_string(),
        "condition_id": format!("0x{}", unknown.unwrap_or_else(|| named.condition())),
        "structural_condition_id": own,
        "module": structural.map_or("v1_ctf", |token| token.condition.module().name()),
        "outcome_index": index,
        "clob_index": clob_index,
        "outcome": outcome.label(),
        "opposite_token_id": opposite.to_string(),
        "resolved": resolved,
        "final_price": price,
        "title": named.title(),
        "market_slug": named.slug(),
        "closed": market.payout() != Payout::Unresolved,
        "neg_risk": named.neg_risk(),
        "neg_risk_market_id": Value::Null,
        "question_index": Value::Null,
        "event_id": (named.number() / 4).to_string(),
        "event_slug": format!("event-{}", named.number() / 4),
    })
}
