//! An SQD portal: a stream of blocks as JSON Lines. The last block of an answer tells how far it reaches, also where the
//! answer was cut short, so nothing is believed to be read that was not.

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::http::{Client, End};
use super::reader::{LogPage, LogReader, ProviderKind, ReadError};
use super::refusal;
use crate::chain::log::{Record, hex};
use crate::chain::{BlockRange, Log, LogFilter};
use crate::upstream::record::misfit;

/// One portal.
pub(super) struct Portal {
    client: Client,
}

#[derive(Deserialize)]
struct Header {
    number: u64,
    #[serde(default)]
    timestamp: Option<u32>,
}

#[derive(Deserialize)]
struct Block<T> {
    header: Header,
    #[serde(default = "Vec::new")]
    logs: Vec<T>,
}

impl Portal {
    /// The portal behind a client, if it is one.
    pub(super) async fn open(client: Client) -> Result<Self, ReadError> {
        let portal = Self { client };
        portal.head().await.map(|_| portal)
    }

    async fn head(&self) -> Result<u64, ReadError> {
        let response = self.client.get("/finalized-head").await?;
        if response.status != 200 {
            return Err(refusal::of_status(response.status, &response.body, response.retry_after));
        }
        // A new portal has no final block yet and says null.
        let head: Option<Header> = serde_json::from_slice(&response.body)
            .map_err(|error| ReadError::Unusable(format!("no portal's head ({})", misfit(&error))))?;
        head.map(|head| head.number).ok_or_else(|| ReadError::Behind("it has no final block yet".to_owned()))
    }

    async fn read(&self, filter: &LogFilter, range: BlockRange) -> Result<LogPage, ReadError> {
        let response = self.client.post("/finalized-stream", &query(filter, range)).await?;
        match response.status {
            200 => {}
            204 => return Err(ReadError::Behind(format!("nothing there yet from block {}", range.from))),
            status => return Err(refusal::of_status(status, &response.body, response.retry_after)),
        }
        let page = parse(&response.body, range, &response.end)?;
        Ok(page.settle(filter, range))
    }
}

/// What is asked of the stream.
fn query(filter: &LogFilter, range: BlockRange) -> Value {
    let mut wanted = json!({});
    if !filter.addresses().is_empty() {
        wanted["address"] = filter.addresses().iter().map(ToString::to_string).collect();
    }
    for (place, values) in filter.topics().iter().enumerate().filter(|(_, values)| !values.is_empty()) {
        wanted[format!("topic{place}")] = values.iter().map(|topic| format!("0x{}", hex(topic))).collect();
    }
    json!({
        "type": "evm",
        "fromBlock": range.from,
        "toBlock": range.to,
        "logs": [wanted],
        "fields": {
            "block": {"number": true, "timestamp": true},
            "log": {"address": true, "topics": true, "data": true, "transactionHash": true, "logIndex": true},
        },
    })
}

/// Parses an answer line by line. A last line that was cut off is not there.
fn parse(body: &[u8], range: BlockRange, end: &End) -> Result<LogPage, ReadError> {
    let mut page = LogPage::default();
    let mut reached = None;
    let mut lines = body.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let unfinished = lines.peek().is_none() && (line.last() != Some(&b'\n') || *end != End::Whole);
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let number = match serde_json::from_slice::<Block<Record>>(line) {
            Ok(block) => {
                let number = block.header.number;
                let time = block.header.timestamp.unwrap_or_default();
                for record in block.logs {
                    page.take(record.log(Some(number)).map(|log| Log { time, ..log }), "");
                }
                number
            }
            Err(_) if unfinished => break,
            Err(_) => record_by_record(line, &mut page)?,
        };
        if !range.contains(number) || reached.is_some_and(|before| number <= before) {
            return Err(ReadError::Passing(format!(
                "an answer about block {number}, which is out of its order"
            )));
        }
        reached = Some(number);
    }
    match (reached, end) {
        (Some(reaches), _) => Ok(LogPage { reaches, ..page }),
        (None, End::Cut(why)) => Err(ReadError::Passing(why.clone())),
        (None, End::Whole) => Err(ReadError::Passing("an answer without a block".to_owned())),
    }
}

/// A line of which some record is broken: the others are as good as any.
fn record_by_record(line: &[u8], page: &mut LogPage) -> Result<u64, ReadError> {
    let block: Block<&RawValue> = serde_json::from_slice(line).map_err(|error| {
        let why = misfit(&error);
        ReadError::Passing(format!("an answer that is not the portal's JSON Lines ({why})"))
    })?;
    let time = block.header.timestamp.unwrap_or_default();
    for record in block.logs {
        let log = Log::parse(record.get(), Some(block.header.number));
        page.take(log.map(|log| Log { time, ..log }), record.get());
    }
    Ok(block.header.number)
}

impl LogReader for Portal {
    fn name(&self) -> &str {
        self.client.name()
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Portal
    }

    fn finalized(&self) -> BoxFuture<'_, Result<u64, ReadError>> {
        Box::pin(self.head())
    }

    fn latest(&self) -> BoxFuture<'_, Result<u64, ReadError>> {
        Box::pin(self.head())
    }

    fn time_of(&self, block: u64) -> BoxFuture<'_, Result<u32, ReadError>> {
        // Every answer says it: whoever asks was given one that does not.
        Box::pin(async move { Err(ReadError::Passing(format!("the portal says no time of block {block}"))) })
    }

    fn logs<'a>(
        &'a self,
        filter: &'a LogFilter,
        range: BlockRange,
        _bound: bool,
    ) -> BoxFuture<'a, Result<LogPage, ReadError>> {
        Box::pin(self.read(filter, range))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: BlockRange = BlockRange { from: 10, to: 30 };

    fn line(block: u64) -> String {
        format!(
            "{{\"header\":{{\"number\":{block},\"hash\":\"0x\",\"timestamp\":1}},\"logs\":[{{\"address\":\"0x{}\",\"topics\":[],\"data\":\"0x\",\"transactionHash\":\"0x{}\",\"logIndex\":0,\"transactionIndex\":0}}]}}\n",
            "11".repeat(20),
            "22".repeat(32)
        )
    }

    #[test]
    fn an_answer_reaches_as_far_as_its_last_whole_block() {
        let whole = format!("{}{}{{\"header\":{{\"number\":30}}}}\n", line(12), line(15));
        let page = parse(whole.as_bytes(), RANGE, &End::Whole).unwrap();
        assert_eq!((page.logs.len(), page.reaches), (2, 30));
        let two = format!("{}{}", line(12), line(15));
        for cut in 1..two.len() {
            let end = End::Cut("broke".to_owned());
            match parse(&two.as_bytes()[..cut], RANGE, &end) {
                Ok(page) => assert_eq!(page.reaches, if page.logs.len() == 2 { 15 } else { 12 }, "{cut}"),
                Err(error) => assert!(matches!(error, ReadError::Passing(_)) && cut < line(12).len()),
            }
        }
    }

    #[test]
    fn blocks_that_were_not_asked_for_or_come_again_make_no_answer() {
        for body in
            [line(9), line(31), format!("{}{}", line(12), line(12)), format!("{}{}", line(15), line(12))]
        {
            assert!(
                matches!(parse(body.as_bytes(), RANGE, &End::Whole), Err(ReadError::Passing(_))),
                "{body}"
            );
        }
        let broken = format!("{}<html>\n{}", line(12), line(15));
        assert!(parse(broken.as_bytes(), RANGE, &End::Whole).is_err());
        let odd = line(12).replace("\"data\":\"0x\"", "\"data\":7");
        let page = parse(odd.as_bytes(), RANGE, &End::Whole).unwrap();
        assert_eq!((page.logs.len(), page.unreadable.len(), page.is_odd()), (0, 1, true));
    }

    proptest! {
        #[test]
        fn no_answer_whatever_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,100}") {
            let _ = parse(&body, RANGE, &End::Whole);
            let _ = parse(format!("{{\"header\":{{\"number\":12}},\"logs\":[{text}]}}\n").as_bytes(), RANGE, &End::Whole);
        }
    }
}
