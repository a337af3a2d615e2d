//! [`Baseline`] wallets: fills whose realized P&L the generator knows to the last micro-USD.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::dice::{BASELINE_STREAM, stream};
use super::market::{Labels, Listing, MarketCore, Payout};
use crate::ids::Wallet;

/// The guide's wallet: its 194 fills in 89 resolved positions are part of every universe that has baselines.
pub const BASELINE_WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

/// The first markets are reserved for baseline wallets: their payouts are chosen, both APIs know them.
pub(super) const RESERVED_MARKETS: usize = 160;

/// How the stated P&L follows from the fills. All prices have at most four decimals, all sizes are whole
/// micro-shares and multiples that make every product a whole number of micro-USD.
pub const PNL_FORMULA: &str = "sum over resolved positions of net_shares x payout + cashflow, in micro-USD; \
     net_shares = sum of +size (BUY) and -size (SELL), cashflow = sum of -price x size (BUY) and +price x size (SELL), \
     each distinct fill once, the copy with the newest ingested_at; payout 1, 0 or 1/2";

/// Fills and resolved positions of the guide's wallet.
const FIRST_FILLS: usize = 194;
const FIRST_POSITIONS: usize = 89;
/// Fills of the first wallet that are delivered twice; the last two of them changed in between.
const FIRST_COPIES: usize = 8;
/// Those of them that changed.
pub(super) const FIRST_CHANGES: usize = 2;
/// Fills and second deliveries of every other baseline wallet.
const OTHER_FILLS: usize = 30;
const OTHER_COPIES: usize = 2;
/// Reserved markets from here on are still open.
const FIRST_OPEN: usize = 130;
/// The market whose win closes the gap between what the dice gave and the P&L that is wanted.
const CLOSING: usize = 0;
const HALF: usize = 1;
const SOLD_OUT: usize = 2;
/// Micro-USD that are left for the closing win.
const CLOSING_GAP: i128 = 2_000_000_000;
/// Ordinary sizes are multiples of a hundredth of a share, so that with four decimals in the price every cashflow is
/// a whole number of micro-USD.
const SIZE_STEP: u64 = 10_000;

/// A wallet whose P&L is known.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// Its address.
    pub wallet: Wallet,
    /// Its distinct fills (second deliveries not counted).
    pub fills: usize,
    /// Its positions, the open ones included, in the order of their markets.
    pub positions: Vec<BaselinePosition>,
    /// Its realized P&L in micro-USD, by [`PNL_FORMULA`].
    pub pnl_micro: i128,
}

impl Baseline {
    /// How many of its positions have a payout.
    pub fn resolved_positions(&self) -> usize {
        self.positions.iter().filter(|position| position.pnl_micro.is_some()).count()
    }
}

/// All fills of a wallet in one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaselinePosition {
    /// The market's number.
    pub market: usize,
    /// The outcome index that is held.
    pub index: u8,
    /// Distinct fills.
    pub fills: usize,
    /// Micro-shares left.
    pub net_shares: i128,
    /// Micro-USD received less those paid.
    pub cashflow: i128,
    /// Realized P&L in micro-USD; `None` while the market is open.
    pub pnl_micro: Option<i128>,
}

/// One fill of a baseline wallet as it will stand in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedFill {
    pub(super) wallet: Wallet,
    pub(super) market: usize,
    pub(super) index: u8,
    pub(super) buy: bool,
    /// Ten-thousandths of a USD.
    pub(super) price_e4: u64,
    /// Micro-shares.
    pub(super) size: u64,
    /// What its `fill_id` is made of: second deliveries share it.
    pub(super) id: u64,
    /// Seconds that the row arrived later than the first copies do.
    pub(super) delay: u32,
}

impl PlannedFill {
    /// Signed micro-shares and ten-thousandths of micro-USD.
    fn effect(&self) -> Effect {
        let sign = if self.buy { 1 } else { -1 };
        let size = i128::from(self.size);
        Effect { net: sign * size, cash_e4: -sign * size * i128::from(self.price_e4) }
    }
}

struct Effect {
    net: i128,
    cash_e4: i128,
}

/// The baseline wallets and their rows.
pub(super) struct Plan {
    pub(super) baselines: Vec<Baseline>,
    pub(super) fills: Vec<PlannedFill>,
}

/// Second deliveries of this baseline wallet's fills.
pub(super) fn copies_of(number: usize) -> usize {
    if number == 0 { FIRST_COPIES } else { OTHER_COPIES }
}

/// Rows of the fills table that so many baseline wallets take.
pub(super) fn rows_of(wallets: usize) -> usize {
    match wallets {
        0 => 0,
        _ => FIRST_FILLS + FIRST_COPIES + (wallets - 1) * (OTHER_FILLS + OTHER_COPIES),
    }
}

/// Makes a reserved market what the baseline wallets need: known to both APIs, with the payout of its role.
pub(super) fn reserve(core: &mut MarketCore, number: usize) {
    core.known_to_dome = true;
    core.known_to_goldsky = true;
    core.labels = match number % 5 {
        3 => Labels::UpDown,
        4 => Labels::Teams,
        _ => Labels::YesNo,
    };
    let held = held_side(core);
    let wins = number == CLOSING || number == SOLD_OUT || (core.dice >> 20) % 100 < 56;
    core.payout = match number {
        HALF => Payout::Half,
        FIRST_OPEN.. => Payout::Unresolved,
        _ => Payout::Winner(if wins { held } else { 1 - held }),
    };
    core.listing = match (core.payout, number % 5) {
        (Payout::Unresolved, _) => Listing::Nowhere,
        // A winner that is only a label has to be a Yes or a No: tokens from Goldsky carry no label to compare with.
        (Payout::Winner(_), 0) if number != CLOSING => Listing::Winners,
        (Payout::Winner(_), 2) => Listing::Both,
        _ => Listing::Resolutions,
    };
}

/// The outcome that the first baseline wallet holds in a reserved market.
fn held_side(core: &MarketCore) -> u8 {
    match core.traded {
        0b01 => 0,
        0b10 => 1,
        _ => (core.dice >> 12 & 1) as u8,
    }
}

/// Plans so many baseline wallets.
pub(super) fn plan(seed: u64, wallets: usize, markets: &[MarketCore]) -> Plan {
    let mut rng = stream(seed, BASELINE_STREAM);
    let mut baselines = Vec::with_capacity(wallets);
    let mut rows = Vec::with_capacity(rows_of(wallets));
    for number in 0..wallets {
        let random = random_wallet(&mut rng);
        let (wallet, mut fills) = match number {
            // The constant parses; a test looks for the wallet by its name.
            0 => (BASELINE_WALLET.parse().unwrap_or(random), first_wallet(&mut rng, markets)),
            _ => (random, other_wallet(&mut rng, markets)),
        };
        for (fill, id) in fills.iter_mut().zip(rows.len() as u64..) {
            fill.wallet = wallet;
            fill.id = id;
        }
        let positions = positions(&fills, markets);
        let pnl_micro = positions.iter().filter_map(|position| position.pnl_micro).sum();
        baselines.push(Baseline { wallet, fills: fills.len(), positions, pnl_micro });
        let changes = if number == 0 { FIRST_CHANGES } else { 0 };
        let copies = second_deliveries(&fills, copies_of(number), changes);
        rows.extend(fills);
        rows.extend(copies);
    }
    Plan { baselines, fills: rows }
}

/// 194 fills in 89 positions: one closing win, a half, a position sold out, and what the dice give.
fn first_wallet(rng: &mut ChaCha8Rng, markets: &[MarketCore]) -> Vec<PlannedFill> {
    // 88 positions of two fills, one of one: 17 more fills make 194.
    let extra = FIRST_FILLS - (2 * (FIRST_POSITIONS - 1) + 1);
    let mut fills = Vec::with_capacity(FIRST_FILLS);
    for (market, core) in markets.iter().enumerate().take(FIRST_POSITIONS).skip(1) {
        let count = if market <= extra { 3 } else { 2 };
        let index = held_side(core);
        let first = random_fill(rng, market, index);
        let mut held = first.size;
        fills.push(PlannedFill { buy: true, ..first });
        for nth in 1..count {
            let mut fill = random_fill(rng, market, index);
            fill.buy = rng.next_u64() % 5 < 3;
            if market == SOLD_OUT {
                fill.buy = nth + 1 < count;
                fill.size = if fill.buy { fill.size } else { held };
            } else if !fill.buy {
                fill.size = (held / 2).next_multiple_of(SIZE_STEP);
            }
            held = if fill.buy { held + fill.size } else { held - fill.size };
            fills.push(fill);
        }
    }
    // Within one percent of the guide's figure, another one for each seed.
    let target = 87_030_505_000 - 850_000_000 + i128::from(rng.next_u64() % 1_700_000_001);
    scale_winners(&mut fills, markets, target - CLOSING_GAP);
    let gap = target - realized(&fills, markets);
    // Bought at one half, a win pays as much as it cost, whatever the size: micro-USD for micro-USD.
    let size = u64::try_from(2 * gap).unwrap_or(2 * SIZE_STEP);
    let index = markets.first().map_or(0, held_side);
    let closing = PlannedFill { price_e4: 5_000, size, buy: true, ..random_fill(rng, CLOSING, index) };
    fills.push(closing);
    fills
}

/// Scales the winning positions so that the whole comes close to `target` micro-USD from below.
fn scale_winners(fills: &mut [PlannedFill], markets: &[MarketCore], target: i128) {
    let wins: Vec<usize> = (0..FIRST_POSITIONS)
        .filter(|&number| number != SOLD_OUT)
        .filter(|&number| {
            markets.get(number).is_some_and(|core| core.payout == Payout::Winner(held_side(core)))
        })
        .collect();
    let (won, rest): (Vec<PlannedFill>, Vec<PlannedFill>) =
        fills.iter().partition(|fill| wins.contains(&fill.market));
    let gain = realized(&won, markets);
    let wanted = target - realized(&rest, markets);
    if gain <= 0 || wanted <= gain {
        return;
    }
    for fill in fills.iter_mut().filter(|fill| wins.contains(&fill.market)) {
        let steps = i128::from(fill.size / SIZE_STEP) * wanted / gain;
        fill.size = u64::try_from(steps).map_or(fill.size, |steps| steps * SIZE_STEP);
    }
}

/// Thirty fills in reserved markets, open ones among them.
fn other_wallet(rng: &mut ChaCha8Rng, markets: &[MarketCore]) -> Vec<PlannedFill> {
    let market_count = RESERVED_MARKETS.min(markets.len()) as u64;
    (0..OTHER_FILLS)
        .map(|_| {
            let market = (rng.next_u64() % market_count) as usize;
            let index = match markets[market].traded {
                0b11 => (rng.next_u64() & 1) as u8,
                _ => held_side(&markets[market]),
            };
            let buy = !rng.next_u64().is_multiple_of(4);
            PlannedFill { buy, ..random_fill(rng, market, index) }
        })
        .collect()
}

/// A fill of 10 to 400 shares at 3 to 97 cents.
fn random_fill(rng: &mut ChaCha8Rng, market: usize, index: u8) -> PlannedFill {
    PlannedFill {
        wallet: Wallet::from_bytes([0; 20]),
        market,
        index,
        buy: true,
        price_e4: 300 + rng.next_u64() % 9_401,
        size: (1_000 + rng.next_u64() % 39_001) * SIZE_STEP,
        id: 0,
        delay: 60,
    }
}

/// Copies of some fills. Most are the same to the letter; the last `changes` are stale: they arrived before the row
/// that counts and carry another size.
fn second_deliveries(fills: &[PlannedFill], copies: usize, changes: usize) -> Vec<PlannedFill> {
    let step = fills.len() / copies.max(1);
    (0..copies)
        .map(|nth| {
            let fill = fills[nth * step];
            if nth + changes < copies {
                PlannedFill { delay: fill.delay + (nth as u32 % 2) * 30, ..fill }
            } else {
                PlannedFill { delay: 0, size: fill.size + 7 * SIZE_STEP, ..fill }
            }
        })
        .collect()
}

pub(super) fn random_wallet(rng: &mut ChaCha8Rng) -> Wallet {
    let mut bytes = [0; 20];
    rng.fill_bytes(&mut bytes);
    Wallet::from_bytes(bytes)
}

/// The positions that distinct fills make.
fn positions(fills: &[PlannedFill], markets: &[MarketCore]) -> Vec<BaselinePosition> {
    let mut sorted: Vec<&PlannedFill> = fills.iter().collect();
    sorted.sort_by_key(|fill| (fill.market, fill.index));
    sorted
        .chunk_by(|a, b| (a.market, a.index) == (b.market, b.index))
        .map(|same| {
            let (market, index) = (same[0].market, same[0].index);
            let effects = || same.iter().map(|fill| fill.effect());
            let net_shares = effects().map(|effect| effect.net).sum();
            let cashflow = effects().map(|effect| effect.cash_e4).sum::<i128>() / 10_000;
            let doubled = markets[market].payout.doubled(index);
            let pnl_micro = doubled.map(|doubled| net_shares * i128::from(doubled) / 2 + cashflow);
            BaselinePosition { market, index, fills: same.len(), net_shares, cashflow, pnl_micro }
        })
        .collect()
}

fn realized(fills: &[PlannedFill], markets: &[MarketCore]) -> i128 {
    positions(fills, markets).iter().filter_map(|position| position.pnl_micro).sum()
}
