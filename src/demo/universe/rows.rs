//! The rows of the other three tables: the token map with its broken rows, the resolutions and the winners.

use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};

use super::fills::spelled;
use super::market::{Kind, Listing, Market, Payout};
use super::text::Spelling;
use super::{Outcome, Universe, second};
use crate::ids::{ConditionId, TokenId};

/// The guide's map has 41,130 rows and 19,964 mapped tokens: so many rows beside them, for that many mapped.
const ROWS_BESIDE: usize = 41_130 - 19_964;
const ROWS_BESIDE_MAPPED: usize = 19_964;

/// When the map was last rebuilt, in Unix seconds.
const MAP_BUILT: u32 = 1_735_689_600;
/// A date in the future that some broken rows carry: 2033-05-18.
const FUTURE: u32 = 2_000_000_000;
/// When the resolutions were last written.
const RESOLUTIONS_BUILT: u32 = 1_760_000_000;

/// A row of `ctf_token_map`, its fields in the table's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clickhouse::Row)]
#[expect(missing_docs, reason = "the columns of the users' table, described with its DDL")]
pub struct MapRow {
    pub token_id: String,
    pub condition_id_norm: String,
    pub outcome_index: u8,
    pub outcome_label: String,
    pub source: String,
    pub fetched_at: u32,
}

/// A row of `market_resolutions_final`, its fields in the table's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clickhouse::Row)]
#[expect(missing_docs, reason = "the columns of the users' table, described with its DDL")]
pub struct ResolutionRow {
    #[serde(serialize_with = "as_fixed_string")]
    pub condition_id_norm: String,
    pub payout_numerators: Vec<u8>,
    pub payout_denominator: u8,
    pub outcome_count: u8,
    pub winning_outcome: String,
    pub source: String,
    pub version: u8,
    pub resolved_at: Option<u32>,
    pub updated_at: u32,
    pub winning_index: u16,
}

/// A row of `gamma_resolved`, its fields in the table's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clickhouse::Row)]
#[expect(missing_docs, reason = "the columns of the users' table, described with its DDL")]
pub struct WinnerRow {
    pub cid: String,
    pub winning_outcome: String,
    pub closed: u8,
    pub fetched_at: u32,
}

/// A `FixedString(64)` travels as 64 bytes without a length.
fn as_fixed_string<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(64)?;
    for at in 0..64 {
        tuple.serialize_element(&text.as_bytes().get(at).copied().unwrap_or(0))?;
    }
    tuple.end()
}

/// How many map rows of each kind stand beside the mapped tokens' own.
pub(super) struct Beside {
    pub(super) repeated: usize,
    pub(super) broken: usize,
    pub(super) untraded: usize,
    pub(super) wrong: usize,
}

impl Universe {
    pub(super) fn beside(&self) -> Beside {
        let mapped = self.options.mapped_tokens;
        let rows = mapped * ROWS_BESIDE / ROWS_BESIDE_MAPPED;
        let repeated = rows / 10;
        let broken = (rows / 2).min(self.options.traded_tokens - mapped);
        let untraded = (rows - repeated - broken).min(2 * (self.markets.len() - self.traded_markets));
        Beside { repeated, broken, untraded, wrong: self.options.wrong_map_rows.min(untraded) }
    }

    /// The rows of the token map: one usable row for each mapped token, some of them a second time, broken rows of
    /// tokens that have no other, and rows of tokens that nobody trades (a few of them wrong).
    pub fn map_rows(&self) -> impl Iterator<Item = MapRow> {
        let beside = self.beside();
        let mapped = || self.traded_tokens().filter(Outcome::mapped);
        let repeated = mapped().take(beside.repeated).map(|outcome| MapRow {
            fetched_at: MAP_BUILT - 86_400,
            source: "rebuild".to_owned(),
            ..usable_row(&outcome)
        });
        let broken = self
            .traded_tokens()
            .filter(|outcome| !outcome.mapped())
            .take(beside.broken)
            .enumerate()
            .map(|(nth, outcome)| self.broken_row(nth, &outcome));
        let untraded = self
            .markets()
            .skip(self.traded_markets)
            .flat_map(|market| [0, 1].map(|index| Outcome { market, index }))
            .take(beside.untraded)
            .enumerate()
            .map(move |(nth, outcome)| {
                let row = usable_row(&outcome);
                let outcome_index = if nth < beside.wrong { 1 - outcome.index } else { outcome.index };
                MapRow { outcome_index, ..row }
            });
        mapped().map(|outcome| usable_row(&outcome)).chain(repeated).chain(broken).chain(untraded)
    }

    /// A row that maps nothing: without a condition, with the zero condition, with an index that is none, or with
    /// text where an id should stand.
    fn broken_row(&self, nth: usize, outcome: &Outcome<'_>) -> MapRow {
        let row = MapRow {
            token_id: outcome.token().to_string(),
            condition_id_norm: String::new(),
            outcome_index: 0,
            outcome_label: String::new(),
            source: "legacy".to_owned(),
            fetched_at: if nth % 50 == 7 { FUTURE } else { MAP_BUILT },
        };
        match nth % 20 {
            1 => MapRow { condition_id_norm: "0".repeat(64), ..row },
            // The position in the text of a JSON string taken for an index, and one old market for any token.
            2 => MapRow {
                condition_id_norm: self
                    .market(0)
                    .map_or(String::new(), |market| market.condition().to_string()),
                outcome_index: 82,
                ..row
            },
            3 => MapRow { condition_id_norm: "unknown".to_owned(), ..row },
            4 => MapRow { condition_id_norm: "0x".to_owned(), ..row },
            _ => row,
        }
    }

    /// The rows of the resolutions: superseded older versions, and some that only name the winning index.
    pub fn resolutions(&self) -> impl Iterator<Item = ResolutionRow> {
        self.markets().filter(|market| market.listing().in_resolutions()).flat_map(|market| {
            let row = resolution_row(&market, market.payout());
            // Said otherwise at first; only the newest version counts.
            let stale = market.dice(11, 16) == 0;
            let first = stale.then(|| ResolutionRow {
                version: 0,
                updated_at: RESOLUTIONS_BUILT - 86_400,
                ..resolution_row(&market, contrary(market.payout()))
            });
            first.into_iter().chain([row])
        })
    }

    /// Every combo: its condition, and its legs, ascending.
    pub fn combos(&self) -> impl Iterator<Item = (ConditionId, Vec<TokenId>)> {
        let combos = self.markets().filter(|market| market.kind() == Kind::Combo);
        combos.map(|market| (market.condition(), second::legs(&self.markets, market.number())))
    }

    /// The rows of the winners: some twice, some that the resolutions contradict, some still open.
    pub fn winners(&self) -> impl Iterator<Item = WinnerRow> {
        self.markets().filter(|market| market.listing().in_winners()).flat_map(|market| {
            let row = winner_row(&market);
            // A look before the market closed.
            let early = (market.dice(12, 11) == 0).then(|| WinnerRow {
                winning_outcome: String::new(),
                closed: 0,
                fetched_at: row.fetched_at - 86_400,
                ..row.clone()
            });
            early.into_iter().chain([row])
        })
    }
}

fn usable_row(outcome: &Outcome<'_>) -> MapRow {
    let market = outcome.market;
    let spelling = match market.dice(13, 100) {
        0..3 => Spelling::Prefixed,
        3..5 => Spelling::Upper,
        _ => Spelling::Plain,
    };
    MapRow {
        token_id: outcome.token().to_string(),
        condition_id_norm: spelled(&market.condition(), spelling),
        outcome_index: outcome.index,
        outcome_label: if market.dice(14, 10) == 0 { String::new() } else { outcome.label().to_owned() },
        source: "legacy".to_owned(),
        fetched_at: MAP_BUILT,
    }
}

fn contrary(payout: Payout) -> Payout {
    match payout {
        Payout::Winner(winner) => Payout::Winner(1 - winner),
        Payout::Half | Payout::Unresolved => Payout::Winner(0),
    }
}

fn resolution_row(market: &Market<'_>, payout: Payout) -> ResolutionRow {
    let (numerators, denominator, winner) = match payout {
        Payout::Winner(0) => (vec![1, 0], 1, Some(0)),
        Payout::Winner(_) => (vec![0, 1], 1, Some(1)),
        Payout::Half | Payout::Unresolved => (vec![1, 1], 2, None),
    };
    // Older writers knew the winning index alone.
    let index_only = winner.is_some() && market.dice(15, 20) == 0;
    ResolutionRow {
        condition_id_norm: market.resolved_condition().to_string(),
        payout_numerators: if index_only { Vec::new() } else { numerators },
        payout_denominator: if index_only { 0 } else { denominator },
        outcome_count: 2,
        winning_outcome: winner.map_or(String::new(), |index| market.labels()[index].to_owned()),
        source: "onchain".to_owned(),
        version: 1,
        resolved_at: (market.dice(16, 10) > 0).then(|| market.start_time() + 9_000_000),
        updated_at: RESOLUTIONS_BUILT,
        winning_index: winner.map_or(u16::MAX, |index| index as u16),
    }
}

fn winner_row(market: &Market<'_>) -> WinnerRow {
    let winning = match (market.payout(), market.listing()) {
        // The resolutions have the last word: where both tables name a winner they may differ.
        (Payout::Winner(winner), Listing::Both) if market.dice(17, 50) == 0 => Some(1 - winner),
        (Payout::Winner(winner), _) => Some(winner),
        _ => None,
    };
    let label = winning.map_or("", |index| market.labels()[usize::from(index)]);
    WinnerRow {
        cid: spelled(&market.condition(), Spelling::Plain),
        winning_outcome: if market.dice(18, 20) == 0 { label.to_ascii_uppercase() } else { label.to_owned() },
        closed: u8::from(winning.is_some()),
        fetched_at: RESOLUTIONS_BUILT,
    }
}
