//! A node's JSON-RPC.
//!
//! An answer of a node says nothing of what it leaves out, so its logs are bound by the caller to a head of the same
//! node, and ranges are never larger than it is known to take. Requests are sent one by one: some nodes refuse batches.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::http::{Client, End};
use super::reader::{LogPage, LogReader, ProviderKind, ReadError};
use super::refusal;
use crate::chain::contracts::CHAIN_ID;
use crate::chain::log::{Quantity, Record, hex};
use crate::chain::{BlockRange, Log, LogFilter};
use crate::upstream::Body;
use crate::upstream::record::misfit;

/// Blocks behind the head that are taken to be final, where a node does not say which are.
const BEHIND_HEAD: u64 = 64;

/// One node.
pub(super) struct Node {
    client: Client,
    /// Whether it does not know which block is final.
    no_finalized: AtomicBool,
    /// Whether it refuses several calls in one request.
    no_batches: AtomicBool,
}

#[derive(Deserialize)]
struct Envelope<T> {
    result: Option<T>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl Node {
    /// The node behind a client, if it is one of Polygon.
    pub(super) async fn open(client: Client) -> Result<Self, ReadError> {
        let node = Self { client, no_finalized: AtomicBool::new(false), no_batches: AtomicBool::new(false) };
        let Quantity(id) = node.ask("eth_chainId", &json!([])).await?;
        if id == CHAIN_ID {
            return Ok(node);
        }
        Err(ReadError::OtherChain { provider: node.client.name().to_owned(), id })
    }

    /// One call, whose result must be of a form.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<T, ReadError> {
        let body = self.call(method, params).await?;
        let envelope: Envelope<T> = serde_json::from_slice(&body).map_err(|error| {
            ReadError::Passing(format!("an answer to {method} of another form ({})", misfit(&error)))
        })?;
        match envelope {
            Envelope { error: Some(error), .. } => Err(refusal::of_error(error.code, &error.message, None)),
            Envelope { result: Some(result), .. } => Ok(result),
            Envelope { .. } => Err(ReadError::Passing(format!("an answer to {method} without a result"))),
        }
    }

    /// The body of a whole answer with status 200.
    async fn call(&self, method: &str, params: &Value) -> Result<Body, ReadError> {
        self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await
    }

    async fn send(&self, request: &Value) -> Result<Body, ReadError> {
        let response = self.client.post("", request).await?;
        if response.status != 200 {
            // Errors come with other statuses too, and their words say more than the status does.
            let inside = serde_json::from_slice::<Envelope<Value>>(&response.body).ok();
            return Err(match inside.and_then(|it| it.error) {
                Some(error) if response.status != 429 && !error.message.is_empty() => {
                    match refusal::of_error(error.code, &error.message, response.retry_after) {
                        // Words that say nothing leave it to the status.
                        ReadError::Passing(_) => {
                            refusal::of_status(response.status, &response.body, response.retry_after)
                        }
                        error => error,
                    }
                }
                _ => refusal::of_status(response.status, &response.body, response.retry_after),
            });
        }
        match response.end {
            End::Whole => Ok(response.body),
            End::Cut(why) => Err(ReadError::Passing(why)),
        }
    }

    async fn head(&self) -> Result<u64, ReadError> {
        #[derive(Deserialize)]
        struct Header {
            number: Quantity,
        }
        if !self.no_finalized.load(Ordering::Relaxed) {
            match self.ask::<Header>("eth_getBlockByNumber", &json!(["finalized", false])).await {
                Ok(header) => return Ok(header.number.0),
                Err(
                    error
                    @ (ReadError::Throttled { .. } | ReadError::Unreachable(_) | ReadError::Unusable(_)),
                ) => {
                    return Err(error);
                }
                // It does not know the word, or answers with nothing.
                Err(_) => self.no_finalized.store(true, Ordering::Relaxed),
            }
        }
        Ok(self.latest_block().await?.saturating_sub(BEHIND_HEAD))
    }

    async fn latest_block(&self) -> Result<u64, ReadError> {
        self.ask::<Quantity>("eth_blockNumber", &json!([])).await.map(|number| number.0)
    }

    async fn read(&self, filter: &LogFilter, range: BlockRange, bound: bool) -> Result<LogPage, ReadError> {
        let batched = bound && !self.no_batches.load(Ordering::Relaxed);
        if batched {
            let calls = json!([
                {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query(filter, range)]},
                {"jsonrpc": "2.0", "id": 2, "method": "eth_blockNumber", "params": []},
            ]);
            match self.send(&calls).await.and_then(|body| parse_both(&body, range)) {
                Ok(Some(page)) => return Ok(page.settle(filter, range)),
                // No list of two answers, or a refusal of the request: it may not know what a batch is.
                Ok(None) | Err(ReadError::TooWide(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let body = self.call("eth_getLogs", &json!([query(filter, range)])).await?;
        let page = parse(&body, range)?;
        if batched {
            self.no_batches.store(true, Ordering::Relaxed);
        }
        Ok(page.settle(filter, range))
    }
}

/// The parameter of `eth_getLogs`.
fn query(filter: &LogFilter, range: BlockRange) -> Value {
    let words = |values: &Vec<[u8; 32]>| match values.as_slice() {
        [] => Value::Null,
        values => values.iter().map(|topic| format!("0x{}", hex(topic))).collect(),
    };
    let mut query = json!({
        "fromBlock": format!("0x{:x}", range.from),
        "toBlock": format!("0x{:x}", range.to),
    });
    if !filter.addresses().is_empty() {
        query["address"] = filter.addresses().iter().map(ToString::to_string).collect();
    }
    if !filter.topics().is_empty() {
        query["topics"] = filter.topics().iter().map(words).collect();
    }
    query
}

/// Parses a whole answer at once; where one record is broken, record by record.
fn parse(body: &[u8], range: BlockRange) -> Result<LogPage, ReadError> {
    let mut page = LogPage { reaches: range.to, ..LogPage::default() };
    if let Ok(Envelope { result: Some(records), error: None }) =
        serde_json::from_slice::<Envelope<Vec<Record>>>(body)
    {
        page.logs.reserve(records.len());
        records.into_iter().for_each(|record| page.take(record.log(None), ""));
        return Ok(page);
    }
    // The records are made into values one by one: as one value a large answer would take many times its size.
    let envelope: Envelope<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        ReadError::Passing(format!("an answer that is not JSON-RPC ({})", misfit(&error)))
    })?;
    match envelope {
        Envelope { error: Some(error), .. } => Err(refusal::of_error(error.code, &error.message, None)),
        Envelope { result, .. } => {
            let list = result.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
            let list =
                list.ok_or_else(|| ReadError::Passing("an answer without a list of logs".to_owned()))?;
            list.into_iter().for_each(|record| page.take(Log::parse(record.get(), None), record.get()));
            Ok(page)
        }
    }
}

/// Parses the answers to both calls of a batch, in any order; `None` where that is not what it is.
fn parse_both(body: &[u8], range: BlockRange) -> Result<Option<LogPage>, ReadError> {
    #[derive(Deserialize)]
    struct Numbered {
        id: u64,
    }
    let Ok(answers) = serde_json::from_slice::<Vec<&RawValue>>(body) else { return Ok(None) };
    let is = |answer: &RawValue, id| {
        serde_json::from_str(answer.get()).is_ok_and(|numbered: Numbered| numbered.id == id)
    };
    let of = |id| answers.iter().find(|answer| is(answer, id)).map(|answer| answer.get());
    let (Some(logs), Some(head)) = (of(1), of(2)) else { return Ok(None) };
    let head: Option<Envelope<Quantity>> = serde_json::from_str(head).ok();
    let page = parse(logs.as_bytes(), range)?;
    Ok(Some(LogPage { head: head.and_then(|it| it.result).map(|head| head.0), ..page }))
}

impl LogReader for Node {
    fn name(&self) -> &str {
        self.client.name()
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Node
    }

    fn finalized(&self) -> BoxFuture<'_, Result<u64, ReadError>> {
        Box::pin(self.head())
    }

    fn latest(&self) -> BoxFuture<'_, Result<u64, ReadError>> {
        Box::pin(self.latest_block())
    }

    fn time_of(&self, block: u64) -> BoxFuture<'_, Result<u32, ReadError>> {
        #[derive(Deserialize)]
        struct Header {
            timestamp: Quantity,
        }
        Box::pin(async move {
            let params = json!([format!("0x{block:x}"), false]);
            let header: Header = self.ask("eth_getBlockByNumber", &params).await?;
            Ok(u32::try_from(header.timestamp.0).unwrap_or_default())
        })
    }

    fn logs<'a>(
        &'a self,
        filter: &'a LogFilter,
        range: BlockRange,
        bound: bool,
    ) -> BoxFuture<'a, Result<LogPage, ReadError>> {
        Box::pin(self.read(filter, range, bound))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chain::contracts;

    #[test]
    fn one_broken_record_costs_itself_alone() {
        let good = format!(
            r#"{{"address":"0x{}","topics":[],"data":"0x","transactionHash":"0x{}","blockNumber":"0x5","logIndex":"0x0"}}"#,
            "11".repeat(20),
            "22".repeat(32)
        );
        let removed = good.replace("\"topics\"", "\"removed\":true,\"topics\"");
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":[{good},{removed},{{"address":7}},null]}}"#);
        let page = parse(body.as_bytes(), BlockRange { from: 1, to: 9 }).unwrap();
        assert_eq!((page.logs.len(), page.removed, page.unreadable.len(), page.reaches), (1, 1, 2, 9));
        let refused = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}}"#;
        assert!(matches!(parse(refused, BlockRange { from: 1, to: 9 }), Err(ReadError::TooWide(_))));
        for body in ["", "<html>", "[]", "{}", "{\"result\":7}", "{\"result\":null}"] {
            let parsed = parse(body.as_bytes(), BlockRange { from: 1, to: 9 });
            assert!(matches!(parsed, Err(ReadError::Passing(_))), "{body}");
        }
    }

    #[test]
    fn a_query_names_contracts_and_topics_by_position() {
        let filter = LogFilter::new(
            vec![contracts::conditional_tokens()],
            vec![vec![[1; 32], [2; 32]], Vec::new(), vec![[3; 32]]],
        );
        let query = query(&filter, BlockRange { from: 16, to: 255 });
        assert_eq!((&query["fromBlock"], &query["toBlock"]), (&json!("0x10"), &json!("0xff")));
        assert_eq!(query["address"], json!(["0x4d97dcd97ec945f40cf65f87097ace5ea0476045"]));
        assert_eq!(query["topics"][0].as_array().unwrap().len(), 2);
        assert_eq!(query["topics"][1], Value::Null);
    }

    proptest! {
        #[test]
        fn no_answer_whatever_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let range = BlockRange { from: 1, to: 9 };
            let _ = parse(&body, range);
            let _ = parse(format!("{{\"result\":[{text}]}}").as_bytes(), range);
            let _ = parse(format!("{{\"result\":[{}]}}", json!(text)).as_bytes(), range);
        }
    }
}
