//! Polymarket's CLOB: the list of all its markets, each with its condition, its tokens, their labels and the winner.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::catalogue::{Catalogue, CataloguePage, ListedToken, Listing, Place};
use super::probe::Probed;
use super::{ApiInfo, Http, OpenFn, SettingInfo, SourceInfo, SourceSettings, UpstreamError};
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
        // A page may take most of a second, and 25 of them are allowed in one.
        workers: 16,
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

    async fn markets(&self, place: &Place) -> Result<CataloguePage, UpstreamError> {
        let body = self.http.send(self.http.get("/markets", &[("next_cursor", &cursor(place))])).await?;
        let page: Page = serde_json::from_slice(&body).map_err(|error| {
            UpstreamError::Broken(format!("an answer that is not the documented JSON ({error})"))
        })?;
        if page.next_cursor.is_empty() {
            // It would lead to the beginning again.
            return Err(UpstreamError::Broken("a page without a cursor to the next one".to_owned()));
        }
        let markets = page.data.into_iter().map(Market::listing).collect();
        Ok(CataloguePage { markets, next: behind(page.next_cursor) })
    }
}

/// The cursor of a place: a number in base64, and nothing for the beginning.
fn cursor(place: &Place) -> String {
    match place {
        Place::At(0) => String::new(),
        Place::At(offset) => STANDARD.encode(offset.to_string()),
        Place::Cursor(text) => text.clone(),
    }
}

/// Where a cursor leads to. What is no number, or one that we would spell otherwise, is the server's own business.
fn behind(text: String) -> Option<Place> {
    if text == END {
        return None;
    }
    let number = STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
    let place = number.map(Place::At).filter(|place| cursor(place) == text);
    Some(place.unwrap_or(Place::Cursor(text)))
}

impl Catalogue for Clob {
    fn source(&self) -> Source {
        Source::Clob
    }

    fn identity(&self) -> String {
        self.http.url().to_string()
    }

    fn page<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<CataloguePage, UpstreamError>> {
        Box::pin(self.markets(place))
    }

    fn probe(&self) -> BoxFuture<'_, Probed> {
        // A page is a megabyte and more; the time is ten bytes.
        let understood = |body: &[u8]| {
            let seconds = std::str::from_utf8(body).ok().and_then(|text| text.trim().parse::<u64>().ok());
            let broken = || UpstreamError::Broken("an answer that is not the CLOB's time".to_owned());
            seconds.map(|_| "answers".to_owned()).ok_or_else(broken)
        };
        Box::pin(self.http.probe(self.http.get("/time", &[]), understood))
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Market>,
    next_cursor: String,
}

#[derive(Deserialize)]
struct Market {
    condition_id: String,
    #[serde(default)]
    closed: bool,
    tokens: Option<Vec<Token>>,
}

#[derive(Deserialize)]
struct Token {
    token_id: String,
    outcome: String,
    #[serde(default)]
    winner: bool,
}

impl Market {
    /// Some old markets have empty token ids: such a token says nothing.
    fn listing(self) -> Listing {
        let token = |it: Token| {
            Some(ListedToken { token: it.token_id.parse().ok()?, label: it.outcome, winner: it.winner })
        };
        Listing {
            condition: self.condition_id,
            closed: self.closed,
            tokens: self.tokens.unwrap_or_default().into_iter().filter_map(token).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_numbers_in_base64_or_stay_what_they_are() {
        assert_eq!((cursor(&Place::At(0)).as_str(), cursor(&Place::At(1000)).as_str()), ("", "MTAwMA=="));
        let leads = |text: &str| behind(text.to_owned());
        assert_eq!(leads("MTAwMA=="), Some(Place::At(1000)));
        assert_eq!(leads("LTE="), None);
        // "01000", "+5", "abc", no base64, and a number that is too large.
        for text in ["MDEwMDA=", "KzU=", "YWJj", "??", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk="] {
            assert_eq!(leads(text), Some(Place::Cursor(text.to_owned())));
        }
    }
}
