//! [`Model`]: a random world of fills and markets, and an oracle that adds it up in integers.

use std::collections::{BTreeMap, BTreeSet};

use backfill::ids::Wallet;
use backfill::pnl::Usd;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Fill, Tables, condition, spelled, token, wallet};

/// How many wallets trade.
pub const WALLETS: u8 = 3;
const TOKENS: u8 = 40;

/// A USD in these parts is exact for every denominator up to seven.
const PARTS: i128 = 420;

struct Market {
    mapped: bool,
    ambiguous: bool,
    label: &'static str,
    /// The label of the other outcome.
    other: &'static str,
    /// Whether the map has the other outcome, too.
    sibling: bool,
    index: u8,
    ending: Ending,
}

/// How a market's ending stands in the tables.
enum Ending {
    /// Nowhere.
    Open,
    /// A vector over a denominator; one of the two is this token's.
    Vector { own: i128, of: i128 },
    /// The winner's index alone.
    Index { won: bool },
    /// A label in the winners.
    Label { won: bool },
    /// A text in the winners that is neither label.
    Neither,
    /// A vector over zero.
    Zero,
    /// The vector, beside an older row and a label that say the contrary.
    Disputed { own: i128, of: i128 },
}

impl Market {
    /// Whether both labels are known, or, as for yes and no, follow from one or from none.
    fn has_labels(&self) -> bool {
        self.sibling || matches!(self.label, "" | "Yes" | "No")
    }

    /// What it pays to the token of its number, in [`PARTS`] of a USD; `None` where nobody can say.
    fn payout(&self) -> Option<i128> {
        match self.ending {
            Ending::Open | Ending::Zero | Ending::Neither => None,
            // A text is compared with two labels: one that is not known may be the same.
            Ending::Label { .. } if !self.has_labels() => None,
            Ending::Vector { own, of } | Ending::Disputed { own, of } => Some(own * (PARTS / of)),
            Ending::Index { won } | Ending::Label { won } => Some(if won { PARTS } else { 0 }),
        }
    }
}

/// A fill in integers: ten-thousandths of a USD, micro-shares.
#[derive(Clone)]
struct Trade {
    id: u64,
    wallet: u8,
    asset: Option<u8>,
    buy: bool,
    price_e4: i128,
    size: i128,
    ingested_at: u32,
}

/// What is true of a wallet.
pub struct Oracle {
    /// In [`PARTS`] of a ten-thousandth of a micro-USD.
    total: i128,
    pub resolved: usize,
    pub positions: usize,
    pub duplicates: u64,
    pub changed: u64,
    /// Fills of well-formed tokens without a map row.
    pub unmapped_fills: u64,
}

impl Oracle {
    /// Whether this is the total, to the last digit: a decimal, or a fraction where no decimal can tell it.
    pub fn agrees(&self, total: &Usd) -> bool {
        let text = total.exact();
        let (above, below) = text.split_once('/').unwrap_or((&text, "1"));
        let (whole, decimals) = above.split_once('.').unwrap_or((above, ""));
        let above: i128 = format!("{whole}{decimals}").parse().unwrap();
        let below = below.parse::<i128>().unwrap() * 10_i128.pow(decimals.len() as u32);
        above * PARTS * 10_000_000_000 == self.total * below
    }
}

/// A random world.
pub struct Model {
    markets: Vec<Market>,
    rows: Vec<Trade>,
}

fn below(rng: &mut ChaCha8Rng, sides: u64) -> u64 {
    rng.next_u64() % sides
}

impl Model {
    /// The world of this seed.
    pub fn random(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let markets = (0..TOKENS).map(|_| market(&mut rng)).collect();
        let mut rows = Vec::new();
        for id in 0..400 {
            let asset = below(&mut rng, u64::from(TOKENS) + 2);
            let trade = Trade {
                id,
                wallet: 1 + below(&mut rng, u64::from(WALLETS)) as u8,
                asset: (asset < u64::from(TOKENS)).then_some(asset as u8),
                buy: below(&mut rng, 3) > 0,
                price_e4: i128::from(below(&mut rng, 10_001)),
                size: i128::from(below(&mut rng, 5_000_000_000)),
                ingested_at: 1_700_000_000,
            };
            for copy in 0..below(&mut rng, 7).saturating_sub(4) as u32 {
                // Copies arrive before or after, never at the same second with other contents.
                let at =
                    [trade.ingested_at - 1 - copy, trade.ingested_at + 1 + copy][below(&mut rng, 2) as usize];
                let size = trade.size + i128::from(below(&mut rng, 2)) * 777;
                rows.push(Trade { ingested_at: at, size, ..trade.clone() });
            }
            rows.push(trade);
        }
        Self { markets, rows }
    }

    /// Writes the map and the endings.
    pub async fn load(&self, tables: &Tables) {
        for (number, market) in (0_u8..).zip(&self.markets) {
            let Market { index, label, other, .. } = *market;
            if market.sibling {
                tables.map(100 + number, number, 1 - index, other).await;
            }
            if market.mapped {
                tables.map(number, number, index, label).await;
            }
            if market.ambiguous {
                tables.map(number, number, 1 - index, label).await;
            }
            let vector = |own: i128, other: i128| if index == 0 { [own, other] } else { [other, own] };
            let winner = |won: bool| match (label, won, index) {
                ("", true, 0) | ("", false, 1) => "YES",
                ("", ..) => "no",
                (_, true, _) => label,
                (_, false, _) => other,
            };
            match market.ending {
                Ending::Open => {}
                Ending::Vector { own, of } => {
                    tables.resolve(number, &format!("{:?}", vector(own, of - own)), of as u8).await;
                }
                Ending::Index { won } => {
                    tables.resolve_by_index(number, u16::from(if won { index } else { 1 - index })).await;
                }
                Ending::Label { won } => tables.winner(number, winner(won)).await,
                Ending::Neither => tables.winner(number, "neither").await,
                Ending::Zero => tables.resolve(number, "[1, 1]", 0).await,
                Ending::Disputed { own, of } => {
                    let (new, old) = (vector(own, of - own), vector(of - own, own));
                    let condition = condition(number);
                    tables.resolution(&condition, &format!("{new:?}"), of as u8, 65_535, 1_700_000_001).await;
                    tables.resolution(&condition, &format!("{old:?}"), of as u8, 65_535, 1_600_000_000).await;
                    tables.winner(number, winner(2 * own < of)).await;
                }
            }
        }
    }

    /// The rows of the fills in another order and other batches for each seed.
    pub fn shuffled(&self, seed: u64) -> Vec<Vec<Fill>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows: Vec<Fill> = self.rows.iter().map(Trade::row).collect();
        for last in (1..rows.len()).rev() {
            rows.swap(last, below(&mut rng, last as u64 + 1) as usize);
        }
        let mut batches = Vec::new();
        while !rows.is_empty() {
            let size = (1 + below(&mut rng, 150) as usize).min(rows.len());
            batches.push(rows.split_off(rows.len() - size));
        }
        batches
    }

    /// What must come out for a wallet.
    pub fn oracle(&self, whose: &Wallet) -> Oracle {
        let mut newest: BTreeMap<u64, &Trade> = BTreeMap::new();
        let (mut rows, mut sizes) = (0, BTreeMap::<u64, BTreeSet<i128>>::new());
        for row in self.rows.iter().filter(|row| wallet(row.wallet) == *whose) {
            rows += 1;
            sizes.entry(row.id).or_default().insert(row.size);
            let known = newest.entry(row.id).or_insert(row);
            if row.ingested_at > known.ingested_at {
                *known = row;
            }
        }
        // Shares in micro-units, cash in ten-thousandths of those.
        let mut positions: BTreeMap<u8, (i128, i128)> = BTreeMap::new();
        let mut unmapped_fills = 0;
        for trade in newest.values() {
            let Some(number) = trade.asset else { continue };
            let market = &self.markets[usize::from(number)];
            if !market.mapped {
                unmapped_fills += 1;
                continue;
            }
            if market.ambiguous {
                continue;
            }
            let sign = if trade.buy { 1 } else { -1 };
            let sums = positions.entry(number).or_default();
            sums.0 += sign * trade.size;
            sums.1 -= sign * trade.size * trade.price_e4;
        }
        let resolved: Vec<i128> = positions
            .iter()
            .filter_map(|(number, (shares, cash))| {
                Some(shares * self.markets[usize::from(*number)].payout()? * 10_000 + cash * PARTS)
            })
            .collect();
        Oracle {
            total: resolved.iter().sum(),
            resolved: resolved.len(),
            positions: positions.len(),
            duplicates: rows - newest.len() as u64,
            changed: sizes.values().filter(|sizes| sizes.len() > 1).count() as u64,
            unmapped_fills,
        }
    }
}

fn market(rng: &mut ChaCha8Rng) -> Market {
    let mapped = below(rng, 6) > 0;
    let won = below(rng, 2) == 0;
    let of = 1 + i128::from(below(rng, 7));
    let own = i128::from(below(rng, of as u64 + 1));
    let index = below(rng, 2) as u8;
    let pair = [["", ""], ["Yes", "No"], ["Up", "Down"], ["Lakers", "Celtics"]][below(rng, 4) as usize];
    Market {
        mapped,
        ambiguous: mapped && below(rng, 12) == 0,
        label: pair[usize::from(index)],
        other: pair[1 - usize::from(index)],
        sibling: below(rng, 3) > 0,
        index,
        ending: match below(rng, 10) {
            0 => Ending::Open,
            1..4 => Ending::Vector { own, of },
            4 => Ending::Index { won },
            5 | 6 => Ending::Label { won },
            7 => Ending::Zero,
            8 => Ending::Neither,
            _ => Ending::Disputed { own, of },
        },
    }
}

impl Trade {
    fn row(&self) -> Fill {
        Fill {
            fill_id: format!("fill-{}", self.id),
            wallet: spelled(self.wallet),
            asset: self.asset.map_or_else(|| "0x1f".to_owned(), token),
            side: if self.buy { "BUY" } else { "SELL" }.to_owned(),
            price: format!("{}.{:04}", self.price_e4 / 10_000, self.price_e4 % 10_000),
            size: self.size.to_string(),
            ingested_at: self.ingested_at,
        }
    }
}
