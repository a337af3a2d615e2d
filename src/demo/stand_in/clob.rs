//! Polymarket's CLOB: the list of all markets, page by page.
//!
//! The universe's markets come first. Behind them as many are generated as a test wants, each from its number and only
//! while its page is written, so that a list of any length costs nothing.

use std::fmt::Write;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::dome::{another, invented};
use super::faults::{Lie, unknown_half};
use super::reply::Answer;
use super::shared::Shared;
use crate::ctf;
use crate::demo::universe::{Api, Payout, mix};
use crate::ids::{ConditionId, TokenId};

/// Answers one request.
pub(super) fn answer(shared: &Shared, parts: &Parts) -> Answer {
    let refused = |status, message: &str| Answer::error(Api::Clob, status, message);
    if parts.method != Method::GET {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "Only GET is supported.");
    }
    match parts.uri.path() {
        "/markets" => {}
        "/time" => return Answer::ok(jiff::Timestamp::now().as_second().to_string()),
        _ => return refused(StatusCode::NOT_FOUND, "404 page not found"),
    }
    let query = parts.uri.query().unwrap_or_default();
    let cursor = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next_cursor");
    let texts = shared.options.list.texts;
    match cursor.map(|(_, cursor)| place(&cursor, texts)).unwrap_or(Some(0)) {
        Some(from) => page(shared, from),
        None => refused(StatusCode::BAD_REQUEST, "invalid next_cursor"),
    }
}

/// Where a cursor leads to; `None` where it is none.
fn place(cursor: &str, texts: bool) -> Option<u64> {
    if cursor.is_empty() {
        return Some(0);
    }
    let text = String::from_utf8(STANDARD.decode(cursor).ok()?).ok()?;
    if texts { text.strip_prefix("after-")?.parse().ok() } else { text.parse().ok() }
}

fn page(shared: &Shared, from: u64) -> Answer {
    let habits = shared.options.list;
    let own = shared.universe.market_count() as u64;
    let all = own + habits.generated;
    let to = from.saturating_add(habits.page).min(all);
    let mut body = String::with_capacity(900 * habits.page as usize);
    let (mut lies, mut count) = (0, 0);
    body.push_str("{\"data\":[");
    for number in from..to {
        let listed = if number < own { of_universe(shared, number) } else { Some(generated(number)) };
        let Some(listed) = listed else { continue };
        if count > 0 {
            body.push(',');
        }
        lies += u64::from(listed.lie);
        count += 1;
        write_market(&mut body, number, &listed);
    }
    let next = match to {
        to if to >= all => "-1".to_owned(),
        to if habits.texts => format!("after-{to}"),
        to => to.to_string(),
    };
    // Writing into a String cannot fail.
    let _ = write!(
        body,
        "],\"next_cursor\":\"{}\",\"limit\":{},\"count\":{count}}}",
        STANDARD.encode(next),
        habits.page
    );
    Answer { lies, ..Answer::ok(body) }
}

/// A market as it is listed.
struct Listed {
    condition: ConditionId,
    /// The tokens in the order of the list, each with its label and whether it won.
    tokens: [(TokenId, &'static str, bool); 2],
    closed: bool,
    lie: bool,
}

fn of_universe(shared: &Shared, number: u64) -> Option<Listed> {
    let market = shared.universe.market(number as usize).filter(|market| shared.has(market))?;
    let won = |index| market.payout() == Payout::Winner(index);
    let [first, second] = *market.tokens();
    let [yes, no] = market.labels();
    let mut listed = Listed {
        condition: market.condition(),
        tokens: [(first, yes, won(0)), (second, no, won(1))],
        closed: market.payout() != Payout::Unresolved,
        lie: false,
    };
    let lie = shared.options.faults.lie_about(&market);
    listed.lie = lie.is_some();
    match lie {
        Some(Lie::UnknownHalf) => listed.condition = unknown_half(&market),
        Some(Lie::WrongMarket) => listed.condition = another(shared, &market).condition(),
        Some(Lie::InventedToken) => listed.tokens[1].0 = invented(&market),
        // The list names no index: its order means nothing.
        Some(Lie::SwappedOutcomes | Lie::Index82) => listed.tokens.swap(0, 1),
        None => {}
    }
    Some(listed)
}

/// A market that nobody trades, from its number alone.
fn generated(number: u64) -> Listed {
    let mut bytes = [0; 32];
    for (part, salt) in bytes.chunks_exact_mut(8).zip(1_u64..) {
        part.copy_from_slice(&mix(number ^ salt << 56).to_be_bytes());
    }
    let condition = ConditionId::from_bytes(bytes);
    let collaterals = ctf::default_collaterals();
    let address = &collaterals[usize::from(number.is_multiple_of(4))].address;
    let (winner, closed) = (mix(number) & 1, mix(number) & 6 != 0);
    let token = |index: u8, label| {
        (ctf::token_id(&condition, index, address), label, closed && winner == u64::from(index))
    };
    Listed { condition, tokens: [token(0, "Yes"), token(1, "No")], closed, lie: false }
}

fn write_market(body: &mut String, number: u64, listed: &Listed) {
    let Listed { condition, tokens, closed, .. } = listed;
    // Writing into a String cannot fail.
    let _ = write!(
        body,
        "{{\"enable_order_book\":{open},\"active\":true,\"closed\":{closed},\"archived\":false,\
         \"accepting_orders\":{open},\"minimum_order_size\":5,\"minimum_tick_size\":0.01,\
         \"condition_id\":\"0x{condition}\",\"question_id\":\"0x{condition}\",\
         \"question\":\"Will event number {number} come about before the end of the year?\",\
         \"description\":\"This market resolves to Yes if event number {number} comes about.\",\
         \"market_slug\":\"will-event-number-{number}-come-about\",\"end_date_iso\":\"2026-12-31T00:00:00Z\",\
         \"neg_risk\":false,\"is_50_50_outcome\":false,\"tags\":[\"Demo\"],\"tokens\":[",
        open = !closed,
    );
    for (nth, (token, label, winner)) in tokens.iter().enumerate() {
        let comma = if nth == 0 { "" } else { "," };
        let price = if *winner { "1" } else { "0.5" };
        let _ = write!(
            body,
            "{comma}{{\"token_id\":\"{token}\",\"outcome\":\"{label}\",\"price\":{price},\"winner\":{winner}}}"
        );
    }
    body.push_str("]}");
}
