//! What a track needs of an API that is a list to page through, not a look-up: [`Catalogue`].

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::probe::Probed;
use super::{OddRecord, UpstreamError};
use crate::foreign::LONGEST_CURSOR;
use crate::ids::TokenId;
use crate::source::Source;

/// A place in a catalogue: what stands behind it, up to the next place, is one page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PageCursor {
    /// So many markets from the beginning. The places of further pages can be computed.
    At(u64),
    /// A text that only the server understands: the next one is known when this page is there.
    Text(String),
}

/// One outcome's token in a catalogue, unproven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedToken {
    /// The token.
    pub token: TokenId,
    /// The outcome's label.
    pub label: String,
    /// Whether it has won.
    pub winner: bool,
}

/// One market of a catalogue, unproven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The condition, as the answer spells it.
    pub condition: String,
    /// Whether it is closed.
    pub closed: bool,
    /// Its tokens, those left out that are none.
    pub tokens: Vec<ListedToken>,
}

impl PageCursor {
    /// A cursor that only the server understands.
    ///
    /// # Errors
    /// It is longer than any that is followed: it would have to be kept, and sent with every request.
    pub(super) fn text(text: String) -> Result<Self, UpstreamError> {
        match text.len() {
            0..=LONGEST_CURSOR => Ok(Self::Text(text)),
            length => {
                let why = format!("a page whose next cursor has {length} bytes, more than {LONGEST_CURSOR}");
                Err(UpstreamError::Transient(why))
            }
        }
    }
}

/// One page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CataloguePage {
    /// The markets.
    pub markets: Vec<Listing>,
    /// How many records the page has, those included that could not be read.
    pub records: usize,
    /// Records of which something could not be read.
    pub odd: Vec<OddRecord>,
    /// Where the next page begins; `None` behind the last one.
    pub next: Option<PageCursor>,
}

/// An API that lists all of its markets, page by page.
pub trait Catalogue: Send + Sync {
    /// Which source this is.
    fn source(&self) -> Source;

    /// What tells this list from another: places in one mean nothing in the other.
    fn identity(&self) -> String;

    /// Sends one cheap request that shows whether it can be used.
    fn probe(&self) -> BoxFuture<'_, Probed>;

    /// Asks for the page at a place.
    fn page<'a>(&'a self, place: &'a PageCursor) -> BoxFuture<'a, Result<CataloguePage, UpstreamError>>;
}
