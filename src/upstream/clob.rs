//! Polymarket's CLOB: the list of all its markets, each with its condition, its tokens, their labels and the winner.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalogue::{Catalogue, CataloguePage, ListedToken, Listing, PageCursor};
use super::probe::Probed;
use super::record::{Cost, Field, List, OddRecord, frame, read};
use super::{
    ApiInfo, Freshness, Http, OpenFn, PublicService, SettingInfo, SourceInfo, SourceSettings, UpstreamError,
};
use crate::source::Source;

/// What is known of it.
pub(super) static INFO: SourceInfo = SourceInfo {
    source: Source::Clob,
    title: "CLOB",
    service: "Catalogue",
    phase: "CLOB",
    api: Some(ApiInfo {
        url: SettingInfo {
            name: "CLOB_URL",
            default: "https://clob.polymarket.com",
            help: "Polymarket's CLOB, whose list of all markets is paged through",
        },
        rate_limit: SettingInfo {
            name: "CLOB_RATE_LIMIT",
            // Polymarket's table of limits (docs.polymarket.com/api-reference/rate-limits) names no limit of its own for
            // /markets, only 9,000/10s for the host; its earlier editions named 250/10s, which is kept.
            default: "250/10s",
            help: "Requests that the CLOB allows",
        },
        key: None,
        mode: None,
        public: PublicService {
            freshness: Freshness::Current,
            date: "2026-11-01",
            told: "it lists every market",
        },
        about: "The catalogue: read the list of all markets from Polymarket's CLOB, keep it, and stage what is unmapped of it",
        details: "Needs no key and no setup. All of it stands in STAGING_DATABASE.clob_markets afterwards, each token with \
                  its condition, label and winner: `merge --labels` fills empty labels of the map from it, and `validate` \
                  takes winners from it where no other table knows the condition. Interrupted, it goes on at the page \
                  where it was; at its end, the next run reads all of it again.",
        examples: "Examples:\n  backfill clob && backfill merge --labels\n  \
                   CLOB_RATE_LIMIT=100/10s backfill clob --progress plain",
        open: OpenFn::Catalogue(|settings, timeout| Ok(Box::new(Clob::new(settings, timeout)?))),
    }),
};

/// The cursor behind the last page: -1 in base64.
const END: &str = "LTE=";

/// `GET /markets`.
#[derive(Debug, Clone)]
pub struct Clob {
    http: Http,
}

impl Clob {
    /// The API at `settings.url`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(settings: &SourceSettings, timeout: Duration) -> Result<Self, UpstreamError> {
        let http = Http::new(settings.url.clone(), settings.api_key.clone(), "CLOB_URL", timeout)?;
        Ok(Self { http })
    }

    async fn markets(&self, place: &PageCursor) -> Result<CataloguePage, UpstreamError> {
        let body = self.http.send(self.http.get("/markets", &[("next_cursor", &cursor(place))])).await?;
        page(&String::from_utf8_lossy(&body))
    }
}

/// Reads a page of the list.
pub(super) fn page(text: &str) -> Result<CataloguePage, UpstreamError> {
    let page: Page<'_> = frame(text)?;
    if page.next_cursor.is_empty() {
        // It would lead to the beginning again.
        return Err(UpstreamError::Transient("a page without a cursor to the next one".to_owned()));
    }
    let (records, next) = (page.data.0.len(), behind(page.next_cursor)?);
    let mut read_page = CataloguePage { records, next, ..CataloguePage::default() };
    for record in page.data.0 {
        match read::<Market<'_>>(record) {
            Ok(market) => market.listing(record, &mut read_page),
            Err(odd) => read_page.odd.push(odd),
        }
    }
    Ok(read_page)
}

/// The cursor of a place: a number in base64, and nothing for the beginning.
fn cursor(place: &PageCursor) -> String {
    match place {
        PageCursor::At(0) => String::new(),
        PageCursor::At(offset) => STANDARD.encode(offset.to_string()),
        PageCursor::Text(text) => text.clone(),
    }
}

/// Where a cursor leads to. What is no number, or one that we would spell otherwise, is the server's own business.
fn behind(text: String) -> Result<Option<PageCursor>, UpstreamError> {
    if text == END {
        return Ok(None);
    }
    let number = STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
    let place = number.map(PageCursor::At).filter(|place| cursor(place) == text);
    place.map_or_else(|| PageCursor::text(text), Ok).map(Some)
}

impl Catalogue for Clob {
    fn source(&self) -> Source {
        Source::Clob
    }

    fn identity(&self) -> String {
        self.http.url().to_string()
    }

    fn page<'a>(&'a self, place: &'a PageCursor) -> BoxFuture<'a, Result<CataloguePage, UpstreamError>> {
        Box::pin(self.markets(place))
    }

    fn probe(&self) -> BoxFuture<'_, Probed> {
        // A page is a megabyte and more; the time is ten bytes.
        let understood = |body: &[u8]| {
            let seconds = std::str::from_utf8(body).ok().and_then(|text| text.trim().parse::<u64>().ok());
            let broken = || UpstreamError::Transient("an answer that is not the CLOB's time".to_owned());
            seconds.map(|_| "answers".to_owned()).ok_or_else(broken)
        };
        Box::pin(self.http.probe(self.http.get("/time", &[]), understood))
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: List<&'a RawValue>,
    next_cursor: String,
}

#[derive(Deserialize)]
struct Market<'a> {
    #[serde(borrow, default)]
    condition_id: Field<'a>,
    #[serde(borrow, default)]
    closed: Field<'a>,
    #[serde(borrow, default)]
    tokens: Field<'a>,
}

#[derive(Deserialize)]
struct Token<'a> {
    #[serde(borrow, default)]
    token_id: Field<'a>,
    #[serde(borrow, default)]
    outcome: Field<'a>,
    #[serde(borrow, default)]
    winner: Field<'a>,
}

impl Market<'_> {
    /// Some old markets have no tokens, or empty token ids: those say nothing.
    fn listing(&self, record: &RawValue, page: &mut CataloguePage) {
        let tokens: Option<List<Field<'_>>> = self.tokens.object();
        if tokens.is_none() && !self.tokens.is_null() {
            page.odd.push(OddRecord::new(record, Cost::Unnamed, "tokens is no list"));
        }
        let mut listed = Vec::new();
        for token in tokens.map(|list| list.0).unwrap_or_default() {
            let token: Option<Token<'_>> = token.object();
            let Some((Some(id), token)) = token.map(|it| (it.token_id.text_or_number(), it)) else {
                page.odd.push(OddRecord::new(record, Cost::Unnamed, "a token has no token_id"));
                continue;
            };
            let Ok(id) = id.parse() else { continue };
            let label = token.outcome.text();
            if label.is_none() {
                page.odd.push(OddRecord::new(record, Cost::Detail, "an outcome is no text"));
            }
            let label = label.unwrap_or_default();
            listed.push(ListedToken { token: id, label, winner: token.winner.is_true() });
        }
        match self.condition_id.text() {
            Some(condition) => {
                page.markets.push(Listing { condition, closed: self.closed.is_true(), tokens: listed });
            }
            None => {
                let tokens = listed.iter().map(|it| it.token).collect();
                page.odd.push(OddRecord::new(record, Cost::Tokens(tokens), "condition_id is no text"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_numbers_in_base64_or_stay_what_they_are() {
        assert_eq!(
            (cursor(&PageCursor::At(0)).as_str(), cursor(&PageCursor::At(1000)).as_str()),
            ("", "MTAwMA==")
        );
        let leads = |text: &str| behind(text.to_owned()).unwrap();
        assert_eq!(leads("MTAwMA=="), Some(PageCursor::At(1000)));
        assert_eq!(leads("LTE="), None);
        // "01000", "+5", "abc", no base64, and a number that is too large.
        for text in ["MDEwMDA=", "KzU=", "YWJj", "??", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk="] {
            assert_eq!(leads(text), Some(PageCursor::Text(text.to_owned())));
        }
        let told = behind("?".repeat(3_000_000)).unwrap_err().to_string();
        assert_eq!(told, "a page whose next cursor has 3000000 bytes, more than 1024");
    }
}
