//! Whatever a provider of the chain's logs answers, through its real client: a portal's lines, a node's JSON-RPC, and
//! errors of either, with status and headers.

use std::sync::Arc;
use std::time::Duration;

use backfill::chain::{BlockRange, LogFilter, decode};
use backfill::upstream::chain::{LogReader, ProviderKind, ReadError, open};
use tokio::runtime::Runtime;

use super::harness::{fuzz, looks};
use super::server::Liar;

/// It stands in the provider's URL, and in no message.
const KEY: &str = "s3cret-0f-mine";

/// Blocks around those of the corpus.
const RANGE: BlockRange = BlockRange { from: 90_000_000, to: 92_000_000 };

/// A provider that begins as one of this kind, and answers whatever it is told afterwards.
fn begun(kind: ProviderKind) -> (Liar, Arc<dyn LogReader>, Runtime) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let liar = Liar::start();
    liar.set_body(match kind {
        ProviderKind::Portal => br#"{"number":97900000,"hash":"0x66"}"#,
        ProviderKind::Node => br#"{"jsonrpc":"2.0","id":1,"result":"0x89"}"#,
    });
    let url = format!("{}/{KEY}", liar.url()).parse().unwrap();
    let reader = runtime.block_on(open(&url, Duration::from_secs(5))).unwrap();
    assert_eq!(reader.kind(), kind);
    (liar, reader, runtime)
}

/// Asks for everything that a reader can be asked for, and says what came of it.
async fn ask(reader: &dyn LogReader) -> String {
    let filter =
        LogFilter::new(vec!["0x4d97dcd97ec945f40cf65f87097ace5ea0476045".parse().unwrap()], Vec::new());
    let mut said = String::new();
    for bound in [false, true] {
        match reader.logs(&filter, RANGE, bound).await {
            Ok(page) => {
                assert!(page.reaches <= RANGE.to, "{page:?}");
                assert!(
                    page.logs.iter().all(|log| RANGE.contains(log.block) && filter.takes(log)),
                    "{page:?}"
                );
                assert!(page.logs.is_sorted(), "{page:?}");
                page.logs.iter().for_each(|log| said += &format!("{:?}", decode(log)));
                said += &format!("{} {}", page.unreadable.len(), page.removed);
            }
            Err(error) => said += &told(&error),
        }
    }
    for head in [reader.finalized().await, reader.latest().await] {
        said += &head.map_or_else(|error| told(&error), |_| "head".to_owned());
    }
    said
}

fn told(error: &ReadError) -> String {
    let text = error.to_string();
    assert!(!text.contains(KEY), "the key is shown: {text}");
    assert!(!text.chars().any(char::is_control), "control characters: {text:?}");
    text
}

fn bodies(name: &'static str, kind: ProviderKind) {
    let (liar, reader, runtime) = begun(kind);
    fuzz(name, |input| {
        liar.set_body(input);
        looks(&runtime.block_on(ask(reader.as_ref())))
    });
}

#[test]
fn chain_portal() {
    bodies("chain-portal", ProviderKind::Portal);
}

#[test]
fn chain_node() {
    bodies("chain-node", ProviderKind::Node);
}

/// Whole answers of either.
#[test]
fn chain_errors() {
    let readers = [ProviderKind::Portal, ProviderKind::Node].map(begun);
    fuzz("chain-errors", |input| {
        let said = readers.iter().map(|(liar, reader, runtime)| {
            liar.set_raw(input);
            runtime.block_on(ask(reader.as_ref()))
        });
        looks(&said.collect::<String>())
    });
}
