//! Providers of the chain's logs: a portal, or a node's JSON-RPC. [`LogReader`] is what both can do, and [`open`] finds out
//! which of the two a URL leads to.

mod file;
mod guarded;
mod http;
mod node;
mod portal;
mod reader;
mod refusal;
mod settings;

pub use file::{ChainFile, FileError, FileFormat};
pub use http::ProviderUrl;
pub use reader::{LogPage, LogReader, ProviderKind, ReadError};
pub use settings::ChainSettings;

use std::sync::Arc;
use std::time::Duration;

use guarded::{Guarded, guard};
use http::Client;

/// Requests that [`open`] sends at the most: they count against the provider's limit.
pub const OPENING_REQUESTS: usize = 2;

/// Finds out by asking what answers at a URL.
///
/// # Errors
/// Nothing answers, neither kind does, or the node is one of another chain.
pub async fn open(url: &ProviderUrl, timeout: Duration) -> Result<Arc<dyn LogReader>, ReadError> {
    // One odd answer is a provider's bad moment; the same again and again is what it is.
    for _ in 1..LOOKS {
        match open_once(url, timeout).await {
            Err(ReadError::Unusable(_)) => tokio::time::sleep(BETWEEN_LOOKS).await,
            ended => return ended,
        }
    }
    open_once(url, timeout).await
}

/// How often a provider is asked what it is.
const LOOKS: u32 = 6;

/// The pause between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

async fn open_once(url: &ProviderUrl, timeout: Duration) -> Result<Arc<dyn LogReader>, ReadError> {
    let client = Client::new(url.clone(), timeout)?;
    let as_portal = portal::Portal::open(client.clone()).await.map_err(|error| guard(url, error));
    match as_portal {
        Ok(portal) => Ok(Arc::new(Guarded { reader: portal, url: url.clone() })),
        // Whoever cannot be reached is not reached the other way either.
        Err(error @ (ReadError::Unreachable(_) | ReadError::Throttled { .. })) => Err(error),
        Err(portal_error) => match node::Node::open(client).await.map_err(|error| guard(url, error)) {
            Ok(node) => Ok(Arc::new(Guarded { reader: node, url: url.clone() })),
            Err(error @ ReadError::OtherChain { .. }) => Err(error),
            // What went wrong the first time may have been a portal's bad moment.
            Err(_) if matches!(portal_error, ReadError::Passing(_) | ReadError::Behind(_)) => {
                Err(portal_error)
            }
            Err(error @ (ReadError::Throttled { .. } | ReadError::Passing(_))) => Err(error),
            Err(node_error) => Err(ReadError::Unusable(format!(
                "what answers at {} is neither a portal ({portal_error}) nor a node's JSON-RPC ({node_error}); check CHAIN_URL",
                url.name()
            ))),
        },
    }
}
