//! Opening the providers: which kind each is, and how far it knows the chain.

use std::sync::Arc;
use std::time::Duration;

use super::events::{ChainEvent, ChainListener};
use crate::failure::Failure;
use crate::phases::Context;
use crate::results::ChainProvider;
use crate::track::blocks::Provider;
use crate::upstream::chain::{self, LogReader, ProviderUrl, ReadError};

/// How often a provider is tried that fails in a way that may pass.
const TRIES: u32 = 8;

/// The same where nobody is there at all.
const UNREACHABLE_TRIES: u32 = 3;

/// Requests under way at once, at each provider, where the user sets nothing. At two requests a second and some seconds
/// an answer they keep the default limit busy, and their answers take little memory.
const WORKERS: usize = 8;

/// The providers that can be used.
pub struct Providers {
    /// Each with its head.
    pub list: Arc<[Arc<Provider>]>,
    /// Requests under way at once, at each.
    pub workers: usize,
}

impl Providers {
    /// Opens every provider of `CHAIN_URL` and asks for its head.
    ///
    /// # Errors
    /// None of them can be used, one is of another chain, or one is no provider at all.
    pub async fn open(context: &Context, listener: &ChainListener) -> Result<Self, Failure> {
        let settings = &context.settings;
        let workers = settings.work.worker_count.map_or(WORKERS, std::num::NonZeroUsize::get);
        let opening = settings.chain.urls.iter().map(|url| open(url, settings.work.request_timeout));
        let opened = futures_util::future::join_all(opening).await;
        let (mut list, mut last) = (Vec::new(), None);
        for (url, opened) in settings.chain.urls.iter().zip(opened) {
            match opened {
                Ok((reader, head)) => {
                    let provider = Provider::new(list.len(), reader, &settings.chain.rate_limit, workers);
                    provider.set_head(head);
                    listener(ChainEvent::Opened {
                        provider: provider.name().to_owned(),
                        kind: provider.kind().name(),
                        head,
                    });
                    list.push(Arc::new(provider));
                }
                // A wrong setting is not worked around.
                Err(error @ (ReadError::Unusable(_) | ReadError::OtherChain { .. })) => {
                    return Err(Failure::Unusable(error.to_string()));
                }
                Err(error) => {
                    let (provider, reason) = (url.name().to_owned(), error.to_string());
                    last = Some(format!("{provider}: {reason}"));
                    listener(ChainEvent::NotOpened { provider, reason });
                }
            }
        }
        if list.is_empty() {
            let reason = last.unwrap_or_else(|| "CHAIN_URL names none".to_owned());
            return Err(Failure::Unusable(format!(
                "no provider of the chain's logs can be used ({reason}); check CHAIN_URL, or run the same command again later"
            )));
        }
        Ok(Self { list: list.into(), workers })
    }

    /// The last final block that any of them knows.
    pub fn head(&self) -> u64 {
        self.list.iter().map(|provider| provider.head()).max().unwrap_or_default()
    }

    /// Asks each for its head once more. One that does not answer keeps the head that it had.
    ///
    /// # Errors
    /// None of them has answered: why the last one did not.
    pub async fn refresh(&self) -> Result<(), ReadError> {
        let answers = futures_util::future::join_all(self.list.iter().map(|it| it.refresh_head())).await;
        let mut failure = Ok(());
        for answer in answers {
            match answer {
                Ok(()) => return Ok(()),
                error => failure = error,
            }
        }
        failure
    }

    /// Each as it was asked.
    pub(in crate::phases) fn told(&self) -> Vec<ChainProvider> {
        let told = |provider: &Arc<Provider>| ChainProvider {
            name: provider.name().to_owned(),
            kind: provider.kind().name().to_owned(),
            head: provider.head(),
            requests: provider.requests(),
            throttled: provider.throttled(),
        };
        self.list.iter().map(told).collect()
    }

    /// Requests of all, and how many were refused for being too fast.
    pub fn requests(&self) -> (u64, u64) {
        self.list.iter().fold((0, 0), |(requests, throttled), provider| {
            (requests + provider.requests(), throttled + provider.throttled())
        })
    }
}

/// Opens one provider, patiently where its failure may pass.
async fn open(url: &ProviderUrl, timeout: Duration) -> Result<(Arc<dyn LogReader>, u64), ReadError> {
    let mut tries = 0;
    loop {
        let opened = async {
            let reader = chain::open(url, timeout).await?;
            let head = reader.finalized().await?;
            Ok((reader, head))
        };
        let error = match opened.await {
            Ok(opened) => return Ok(opened),
            Err(error @ (ReadError::Unusable(_) | ReadError::OtherChain { .. })) => return Err(error),
            Err(error) => error,
        };
        tries += 1;
        let most = if matches!(error, ReadError::Unreachable(_)) { UNREACHABLE_TRIES } else { TRIES };
        if tries >= most {
            return Err(error);
        }
        let pause = match &error {
            ReadError::Throttled { retry_after: Some(pause) } => (*pause).min(Duration::from_secs(30)),
            _ => Duration::from_millis(100) * 2u32.pow(tries.min(5)),
        };
        tokio::time::sleep(pause).await;
    }
}
