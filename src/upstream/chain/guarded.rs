//! [`Guarded`]: a reader whose words do not repeat what its URL keeps secret, are cleaned, and are short.

use futures_util::future::{BoxFuture, FutureExt};

use super::http::ProviderUrl;
use super::reader::{LogPage, LogReader, ProviderKind, ReadError};
use crate::chain::{BlockRange, LogFilter};
use crate::foreign;

/// Characters of a provider's words that are shown.
const SHOWN: usize = 160;

/// Characters of a record that is kept since it is no log.
const KEPT: usize = 1_000;

/// A reader behind a URL.
pub(super) struct Guarded<R> {
    pub(super) reader: R,
    pub(super) url: ProviderUrl,
}

/// What a provider says, fit to be shown.
pub(super) fn guard(url: &ProviderUrl, error: ReadError) -> ReadError {
    error.map_text(|text| foreign::said(&text, SHOWN, |text| url.without_secrets(text)))
}

impl<R> Guarded<R> {
    fn page(&self, mut page: LogPage) -> LogPage {
        for (why, record) in &mut page.unreadable {
            *why = foreign::said(why, SHOWN, |text| self.url.without_secrets(text));
            *record = foreign::said(record, KEPT, |text| self.url.without_secrets(text));
        }
        page
    }
}

impl<R: LogReader> LogReader for Guarded<R> {
    fn name(&self) -> &str {
        self.reader.name()
    }

    fn kind(&self) -> ProviderKind {
        self.reader.kind()
    }

    fn finalized(&self) -> BoxFuture<'_, Result<u64, ReadError>> {
        self.reader.finalized().map(|answer| answer.map_err(|error| guard(&self.url, error))).boxed()
    }

    fn latest(&self) -> BoxFuture<'_, Result<u64, ReadError>> {
        self.reader.latest().map(|answer| answer.map_err(|error| guard(&self.url, error))).boxed()
    }

    fn time_of(&self, block: u64) -> BoxFuture<'_, Result<u32, ReadError>> {
        self.reader.time_of(block).map(|answer| answer.map_err(|error| guard(&self.url, error))).boxed()
    }

    fn logs<'a>(
        &'a self,
        filter: &'a LogFilter,
        range: BlockRange,
        bound: bool,
    ) -> BoxFuture<'a, Result<LogPage, ReadError>> {
        let logs = self.reader.logs(filter, range, bound);
        logs.map(|answer| match answer {
            Ok(page) => Ok(self.page(page)),
            Err(error) => Err(guard(&self.url, error)),
        })
        .boxed()
    }
}
