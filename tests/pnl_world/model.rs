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

/// What a market pays to the token of its number, in quarters of a USD; `None` where nobody can say.
struct Market {
    mapped: bool,
    ambiguous: bool,
    label: &'static str,
    index: u8,
    ending: Ending,
}

/// How a market's ending stands in the tables.
enum Ending {
    /// Nowhere.
    Open,
    /// A vector over a denominator; one of the two is this token's.
    Vector { quarters: i128 },
    /// The winner's index alone.
    Index { won: bool },
    /// A label in the winners.
    Label { won: bool },
    /// A vector over zero.
    Zero,
    /// The vector, beside an older row and a label that say the contrary.
    Disputed { quarters: i128 },
}

impl Market {
    fn quarters(&self) -> Option<i128> {
        match self.ending {
            Ending::Open | Ending::Zero => None,
            Ending::Vector { quarters } | Ending::Disputed { quarters } => Some(quarters),
            Ending::Index { won } | Ending::Label { won } => Some(if won { 4 } else { 0 }),
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
    pub total: Usd,
    pub resolved: usize,
    pub positions: usize,
    pub duplicates: u64,
    pub changed: u64,
    /// Fills of well-formed tokens without a map row.
    pub unmapped_fills: u64,
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
            let Market { index, label, .. } = *market;
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
                (_, false, _) => "the other one",
            };
            match market.ending {
                Ending::Open => {}
                Ending::Vector { quarters } => {
                    tables.resolve(number, &format!("{:?}", vector(quarters, 4 - quarters)), 4).await;
                }
                Ending::Index { won } => {
                    tables.resolve_by_index(number, u16::from(if won { index } else { 1 - index })).await;
                }
                Ending::Label { won } => tables.winner(number, winner(won)).await,
                Ending::Zero => tables.resolve(number, "[1, 1]", 0).await,
                Ending::Disputed { quarters } => {
                    let (new, old) = (vector(quarters, 4 - quarters), vector(4 - quarters, quarters));
                    let of = condition(number);
                    tables.resolution(&of, &format!("{new:?}"), 4, 65_535, 1_700_000_001).await;
                    tables.resolution(&of, &format!("{old:?}"), 4, 65_535, 1_600_000_000).await;
                    tables.winner(number, winner(quarters < 2)).await;
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
                Some(shares * self.markets[usize::from(*number)].quarters()? * 2_500 + cash)
            })
            .collect();
        let total: i128 = resolved.iter().sum();
        let sign = if total < 0 { "-" } else { "" };
        let digits = format!("{:011}", total.abs());
        let (whole, fraction) = digits.split_at(digits.len() - 10);
        Oracle {
            total: format!("{sign}{whole}.{fraction}").parse().unwrap(),
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
    let quarters = i128::from(below(rng, 5));
    Market {
        mapped,
        ambiguous: mapped && below(rng, 12) == 0,
        label: ["", "Yes", "Up", "Lakers"][below(rng, 4) as usize],
        index: below(rng, 2) as u8,
        ending: match below(rng, 9) {
            0 => Ending::Open,
            1..4 => Ending::Vector { quarters },
            4 => Ending::Index { won },
            5 | 6 => Ending::Label { won },
            7 => Ending::Zero,
            _ => Ending::Disputed { quarters },
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
