//! An SQD portal: blocks as JSON Lines, as far as it likes.

use std::fmt::Write;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use serde::Deserialize;

use super::provider::{ChainAnswer, ChainShared, write_fields};
use crate::chain::log::read_hex;
use crate::chain::{BlockRange, LogFilter, Word};
use crate::demo::chain_world::time_of;
use crate::ids::Address;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    #[serde(rename = "type")]
    kind: String,
    from_block: u64,
    to_block: Option<u64>,
    #[serde(default)]
    logs: Vec<Wanted>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    address: Vec<Address>,
    topic0: Vec<String>,
    topic1: Vec<String>,
    topic2: Vec<String>,
    topic3: Vec<String>,
}

/// Answers one request.
pub(super) fn answer(shared: &ChainShared, parts: &Parts, body: &[u8]) -> ChainAnswer {
    let path = parts.uri.path();
    match (&parts.method, path.strip_prefix("/datasets/polygon-mainnet")) {
        (&Method::GET, Some("/finalized-head")) => {
            ChainAnswer::ok(format!("{{\"number\":{},\"hash\":\"0x{:064x}\"}}", shared.head(), shared.head()))
        }
        (&Method::POST, Some("/finalized-stream")) => stream(shared, body),
        _ => ChainAnswer { status: StatusCode::NOT_FOUND, ..ChainAnswer::ok("not found".to_owned()) },
    }
}

fn refused(message: &str) -> ChainAnswer {
    ChainAnswer { status: StatusCode::BAD_REQUEST, ..ChainAnswer::ok(message.to_owned()) }
}

fn stream(shared: &ChainShared, body: &[u8]) -> ChainAnswer {
    let query: Query = match serde_json::from_slice(body) {
        Ok(query) => query,
        Err(error) => return refused(&format!("couldn't parse the query: {error}")),
    };
    let [wanted] = query.logs.as_slice() else { return refused("one log request is expected") };
    let Some(filter) = filter(wanted).filter(|_| query.kind == "evm") else { return refused("a bad topic") };
    let head = shared.head();
    if query.from_block > head {
        return ChainAnswer { status: StatusCode::NO_CONTENT, ..ChainAnswer::ok(String::new()) };
    }
    let mut to = query.to_block.unwrap_or(head).min(head);
    if let Some(most) = shared.habits.most_blocks {
        to = to.min(query.from_block + most - 1);
    }
    let Some(mut range) = BlockRange::new(query.from_block, to) else {
        return refused("toBlock is below fromBlock");
    };
    if let Some(most) = shared.habits.most_logs {
        range.to = enough(shared, range, most);
    }
    let logs = shared.logs(&filter, range);
    let mut body = String::with_capacity(900 * logs.len() + 200);
    // What a portal gives is final: nothing of it was taken back.
    let logs: Vec<_> = logs.into_iter().filter(|(_, removed)| !removed).map(|(log, _)| log).collect();
    for block in logs.chunk_by(|a, b| a.block == b.block) {
        header(&mut body, block[0].block);
        body.push_str(",\"logs\":[");
        for (place, log) in block.iter().enumerate() {
            body.push_str(if place == 0 { "{" } else { ",{" });
            write_fields(&mut body, log);
            // Writing into a String cannot fail.
            let _ = write!(body, ",\"logIndex\":{},\"transactionIndex\":0}}", log.log_index);
        }
        body.push_str("]}\n");
    }
    if logs.last().is_none_or(|log| log.block != range.to) {
        header(&mut body, range.to);
        body.push_str("}\n");
    }
    ChainAnswer { has_logs: true, ..ChainAnswer::ok(body) }
}

/// The block at which it has enough logs.
fn enough(shared: &ChainShared, range: BlockRange, most: usize) -> u64 {
    shared.world.logs(range).nth(most).map_or(range.to, |log| log.block.saturating_sub(1).max(range.from))
}

fn header(body: &mut String, block: u64) {
    let _ = write!(
        body,
        "{{\"header\":{{\"number\":{block},\"hash\":\"0x{block:064x}\",\"timestamp\":{}}}",
        time_of(block)
    );
}

fn filter(wanted: &Wanted) -> Option<LogFilter> {
    let word = |text: &String| {
        let mut word: Word = [0; 32];
        read_hex(text.strip_prefix("0x")?.as_bytes(), &mut word).then_some(word)
    };
    let topics = [&wanted.topic0, &wanted.topic1, &wanted.topic2, &wanted.topic3]
        .map(|values| values.iter().map(word).collect::<Option<Vec<Word>>>());
    let topics: Option<Vec<Vec<Word>>> = topics.into_iter().collect();
    Some(LogFilter::new(wanted.address.clone(), topics?))
}
