//! A node's JSON-RPC.

use std::fmt::Write;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::provider::{ChainAnswer, ChainShared, write_fields};
use crate::chain::log::{Quantity, read_hex};
use crate::chain::{BlockRange, LogFilter, Word};
use crate::demo::chain_world::time_of;
use crate::demo::universe::mix;
use crate::ids::Address;

/// How nodes word that a range is too large: status, code, words.
const REFUSALS: [(u16, i64, &str); 9] = [
    (200, -32602, "invalid params"),
    (200, -32005, "limit exceeded"),
    (200, -32005, "query returned more than 10000 results"),
    (200, -32000, "block range is too wide"),
    (200, -32000, "too many results, please narrow your filter"),
    (200, -32602, "Log response size exceeded. Use a smaller block range"),
    (400, -32600, "eth_getLogs is limited to a 10,000 range"),
    (413, -32000, ""),
    (400, -32701, "exceed maximum block range: 10000"),
];

#[derive(Deserialize)]
struct Call {
    id: Value,
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    from_block: Quantity,
    to_block: Quantity,
    #[serde(default)]
    address: Vec<Address>,
    #[serde(default)]
    topics: Vec<Option<Vec<String>>>,
}

/// Answers one request.
pub(super) fn answer(shared: &ChainShared, body: &[u8]) -> ChainAnswer {
    // One server answers all of a request.
    let head = shared.head();
    if let Ok(calls) = serde_json::from_slice::<Vec<Call>>(body) {
        if !shared.habits.takes_batches {
            return error(&Value::Null, 400, -32600, "batch requests are not supported");
        }
        let answers: Vec<String> = calls.iter().map(|it| one(shared, it, head).body).collect();
        return ChainAnswer { has_logs: true, ..ChainAnswer::ok(format!("[{}]", answers.join(","))) };
    }
    match serde_json::from_slice::<Call>(body) {
        Ok(call) => one(shared, &call, head),
        Err(_) => error(&Value::Null, 400, -32700, "parse error"),
    }
}

/// Answers one call.
fn one(shared: &ChainShared, call: &Call, head: u64) -> ChainAnswer {
    let done = |result: Value| {
        ChainAnswer::ok(json!({"jsonrpc": "2.0", "id": call.id, "result": result}).to_string())
    };
    match call.method.as_str() {
        "eth_chainId" => done(json!(format!("0x{:x}", shared.habits.chain_id))),
        "eth_blockNumber" => done(json!(format!("0x{head:x}"))),
        "eth_getBlockByNumber" => match call.params.first().and_then(Value::as_str) {
            Some("finalized") if shared.habits.knows_finalized => {
                done(json!({"number": format!("0x{head:x}"), "hash": "0x"}))
            }
            Some(number) if number.starts_with("0x") => {
                let block = u64::from_str_radix(&number[2..], 16).unwrap_or_default();
                done(json!({"number": number, "timestamp": format!("0x{:x}", time_of(block))}))
            }
            _ => error(&call.id, 200, -32602, "hex string without 0x prefix"),
        },
        "eth_getLogs" => match call.params.first().map(Filter::deserialize) {
            Some(Ok(filter)) => logs(shared, &call.id, &filter, head),
            _ => error(&call.id, 200, -32602, "invalid argument 0"),
        },
        _ => error(&call.id, 200, -32601, "the method does not exist"),
    }
}

fn error(id: &Value, status: u16, code: i64, message: &str) -> ChainAnswer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}});
    ChainAnswer { status, ..ChainAnswer::ok(body.to_string()) }
}

/// A refusal for the size of a range, each range in other words.
fn too_wide(shared: &ChainShared, id: &Value, range: BlockRange) -> ChainAnswer {
    shared.count(|counters| counters.too_wide += 1);
    let (status, code, message) = REFUSALS[mix(range.from ^ range.to) as usize % REFUSALS.len()];
    error(id, status, code, message)
}

fn logs(shared: &ChainShared, id: &Value, wanted: &Filter, head: u64) -> ChainAnswer {
    let habits = &shared.habits;
    let Some(filter) = filter(wanted) else { return error(id, 200, -32602, "a bad topic") };
    let Some(mut range) = BlockRange::new(wanted.from_block.0, wanted.to_block.0) else {
        return error(id, 200, -32000, "invalid block range params");
    };
    if habits.most_blocks.is_some_and(|most| range.blocks() > most) {
        return too_wide(shared, id, range);
    }
    if habits.most_logs.is_some_and(|most| shared.world.count(range) > most) {
        return too_wide(shared, id, range);
    }
    if let Some((first, says_so)) = habits.pruned_below.filter(|(first, _)| range.from < *first) {
        if says_so {
            return error(id, 200, -32000, "missing trie node 6b1fa2 (path ) state is not available");
        }
        range.from = first.min(range.to);
    }
    // Whoever is behind has nothing to say of the blocks above its head, and says nothing.
    range.to = range.to.min(head).max(range.from);
    if let Some(most) = habits.cuts_at_blocks.filter(|most| range.blocks() > *most) {
        range.to = range.from + most - 1;
    }
    let mut logs = shared.logs(&filter, range);
    if let Some(most) = habits.cuts_at_logs {
        logs.truncate(most);
    }
    let mut body = String::with_capacity(1_000 * logs.len() + 100);
    // Writing into a String cannot fail.
    let _ = write!(body, "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":[");
    for (place, (log, removed)) in logs.iter().enumerate() {
        body.push_str(if place == 0 { "{" } else { ",{" });
        write_fields(&mut body, log);
        let _ = write!(
            body,
            ",\"blockNumber\":\"0x{:x}\",\"blockHash\":\"0x{:064x}\",\"transactionIndex\":\"0x0\",\"logIndex\":\"0x{:x}\",\"removed\":{removed}}}",
            log.block, log.block, log.log_index
        );
    }
    body.push_str("]}");
    ChainAnswer { has_logs: true, ..ChainAnswer::ok(body) }
}

fn filter(wanted: &Filter) -> Option<LogFilter> {
    let word = |text: &String| {
        let mut word: Word = [0; 32];
        read_hex(text.strip_prefix("0x")?.as_bytes(), &mut word).then_some(word)
    };
    let values =
        |values: &Option<Vec<String>>| values.iter().flatten().map(word).collect::<Option<Vec<Word>>>();
    let topics: Option<Vec<Vec<Word>>> = wanted.topics.iter().map(values).collect();
    Some(LogFilter::new(wanted.address.clone(), topics?))
}
