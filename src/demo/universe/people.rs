//! [`People`]: wallets that do everything beside trading in a universe's markets: they split, merge, convert, redeem,
//! transfer and migrate, pay fees at exchanges of both generations, hold mirrors and combos, and leave losers unredeemed.
//!
//! What they do stands here as [`Deed`]s, in whole micro-units. What those come to is not said: whoever checks a P&L adds
//! them up by rules of its own.

use std::collections::BTreeMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::baseline::{RESERVED_MARKETS, random_wallet};
use super::dice::stream;
use super::market::{Kind, Payout};
use super::{Universe, neg_risk, second};
use crate::ids::{TokenId, Wallet};

/// The stream of the seed that people are made from.
const PEOPLE_STREAM: u64 = 4;
/// Deeds of each before the redemptions.
const DEEDS: u64 = 60;
/// Markets with two sides and nothing else that each trades in.
const PLAIN: usize = 5;

/// A token by its market's number and its outcome index.
pub type Side = (usize, u8);

/// Something that a wallet did, in a block of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Whose deed it is.
    pub wallet: Wallet,
    /// The block, which no other deed has.
    pub block: u64,
    /// What it was.
    pub what: What,
}

/// A fill of a wallet's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// The token.
    pub side: Side,
    /// Whether shares are bought.
    pub buys: bool,
    /// Micro-shares, before fees.
    pub shares: u64,
    /// Ten-thousandths of a USD a share.
    pub price_e4: u64,
    /// Micro-units of what the exchange takes: shares of a purchase at the first two exchanges, else cash.
    pub fee: u64,
    /// The exchange's number.
    pub exchange: usize,
}

impl Trade {
    /// Whether the fee is taken in shares.
    pub fn pays_in_shares(&self) -> bool {
        self.buys && self.exchange < 2
    }

    /// Micro-USD before fees, as the chain has them: whole.
    pub fn cash(&self) -> u64 {
        (u128::from(self.shares) * u128::from(self.price_e4) / 10_000) as u64
    }
}

/// What a wallet did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An order was filled.
    Trade(Trade),
    /// Cash became both sides of a market, or both sides became cash.
    Form {
        /// The market.
        market: usize,
        /// Whether it is a split.
        splits: bool,
        /// Micro-shares of each side.
        amount: u64,
        /// Whether it went through a collateral adapter.
        adapter: bool,
    },
    /// Cash became the YES of every market of an event of the second generation, or the reverse.
    Horizontal {
        /// The markets.
        event: Vec<usize>,
        /// Whether it is a split.
        splits: bool,
        /// Micro-shares of each.
        amount: u64,
    },
    /// The NO of some markets of an event became the YES of all others, and cash.
    Conversion {
        /// All markets of the event.
        event: Vec<usize>,
        /// Those whose NO went.
        gone: Vec<usize>,
        /// Micro-shares of each that went.
        amount: u64,
        /// Micro-shares of each that came: the market's fee is taken off.
        out: u64,
    },
    /// Shares of a resolved market were paid.
    Redemption {
        /// The market.
        market: usize,
        /// Micro-shares of each side.
        shares: [u64; 2],
    },
    /// Shares went to another wallet; of the two one is the deed's own.
    Transfer {
        /// The token.
        side: Side,
        /// Micro-shares.
        shares: u64,
        /// Who gave them.
        from: Wallet,
        /// Who got them.
        to: Wallet,
    },
    /// Shares moved to the mirror of their token.
    Migration {
        /// The legacy market.
        from: usize,
        /// The mirror's market.
        to: usize,
        /// The outcome.
        index: u8,
        /// Micro-shares.
        shares: u64,
    },
}

/// Wallets and all that they did, in the order of the blocks.
#[derive(Debug, Clone)]
pub struct People {
    /// The wallets.
    pub wallets: Vec<Wallet>,
    /// What they did.
    pub deeds: Vec<Deed>,
}

/// Where a wallet acts.
#[derive(Debug, Clone)]
struct Arena {
    /// Markets of two sides.
    plain: Vec<usize>,
    /// The questions of a negative-risk market.
    event: Vec<usize>,
    /// The first market of a block of the second generation.
    block: usize,
}

impl Universe {
    /// So many wallets of all kinds, from the seed, their deeds in blocks from `first_block` on, which is even. Fewer where
    /// the universe has neither a block of the second generation nor a negative-risk market of three questions.
    pub fn people(&self, count: usize, first_block: u64) -> People {
        let arenas = self.arenas(count);
        let mut rng = stream(self.options.seed, PEOPLE_STREAM);
        let wallets: Vec<Wallet> = arenas.iter().map(|_| random_wallet(&mut rng)).collect();
        let mut deeds = Vec::new();
        for (number, arena) in arenas.iter().enumerate() {
            let mut life = Life {
                universe: self,
                arena,
                wallets: &wallets,
                number,
                first_block,
                turn: 0,
                held: BTreeMap::new(),
                deeds: &mut deeds,
            };
            life.live(&mut rng);
        }
        deeds.sort_by_key(|deed: &Deed| deed.block);
        People { wallets, deeds }
    }

    fn arenas(&self, count: usize) -> Vec<Arena> {
        let blocks: Vec<usize> = (RESERVED_MARKETS..self.markets.len().saturating_sub(second::BLOCK))
            .step_by(second::BLOCK)
            .collect();
        let kind = |number: usize| self.market(number).map(|market| market.kind());
        let natives: Vec<usize> = blocks
            .iter()
            .copied()
            .filter(|first| kind(first + second::BLOCK - 1) == Some(Kind::Combo))
            .collect();
        let hashed = |first: &usize| kind(first + second::BLOCK - 1) != Some(Kind::Combo);
        let of_block = |first: usize, wrapped: bool| -> Vec<usize> {
            let all = first..first + second::BLOCK;
            all.filter(|number| self.market(*number).is_some_and(|it| it.neg_risk() == wrapped)).collect()
        };
        let hashed: Vec<usize> = blocks.iter().copied().filter(hashed).collect();
        let events: Vec<Vec<usize>> =
            hashed.iter().map(|first| of_block(*first, true)).filter(|event| event.len() > 2).collect();
        let plain: Vec<usize> = hashed.iter().flat_map(|first| of_block(*first, false)).collect();
        if natives.is_empty() || events.is_empty() || plain.len() < PLAIN {
            return Vec::new();
        }
        let arena = |number: usize| Arena {
            plain: (0..PLAIN).map(|nth| plain[(number * PLAIN + nth) % plain.len()]).collect(),
            event: events[number % events.len()].clone(),
            block: natives[number % natives.len()],
        };
        (0..count).map(arena).collect()
    }

    /// The token of a side.
    pub fn token_of(&self, side: Side) -> Option<TokenId> {
        Some(self.market(side.0)?.tokens()[usize::from(side.1)])
    }
}

/// One wallet's time.
struct Life<'a> {
    universe: &'a Universe,
    arena: &'a Arena,
    wallets: &'a [Wallet],
    number: usize,
    first_block: u64,
    turn: u64,
    held: BTreeMap<Side, u64>,
    deeds: &'a mut Vec<Deed>,
}

fn below(rng: &mut ChaCha8Rng, sides: u64) -> u64 {
    rng.next_u64() % sides.max(1)
}

impl Life<'_> {
    fn live(&mut self, rng: &mut ChaCha8Rng) {
        for _ in 0..DEEDS {
            match below(rng, 16) {
                0..=3 => self.buy(rng),
                4 | 5 => self.sell(rng),
                6 | 7 => self.split(rng),
                8 => self.merge(rng),
                9 | 10 => self.convert(rng),
                11 => self.convert_native(rng),
                12 => self.horizontal(rng),
                13 | 14 => self.transfer(rng),
                _ => self.migrate(rng),
            }
        }
        self.redeem(rng);
    }

    fn wallet(&self) -> Wallet {
        self.wallets[self.number]
    }

    /// The markets of this wallet's block of the second generation: legacy, mirror, native, an event of four, a combo.
    fn native(&self, place: usize) -> usize {
        self.arena.block + place
    }

    fn of_event(&self) -> Vec<usize> {
        (3..7).map(|place| self.native(place)).collect()
    }

    /// Writes a deed down in the next block of this wallet. Every other wallet has blocks of its own; two seconds go by
    /// between two deeds, but where `at_once`: then it stands in the second of the one before.
    fn did(&mut self, at_once: bool, what: What) {
        let stride = 2 * self.wallets.len() as u64;
        self.turn += u64::from(!at_once);
        let block = self.first_block + self.turn * stride + 2 * self.number as u64 + u64::from(at_once);
        self.deeds.push(Deed { wallet: self.wallet(), block, what });
    }

    fn add(&mut self, side: Side, shares: u64) {
        *self.held.entry(side).or_default() += shares;
    }

    fn take(&mut self, side: Side, shares: u64) {
        if let Some(held) = self.held.get_mut(&side) {
            *held = held.saturating_sub(shares);
        }
    }

    fn held(&self, side: Side) -> u64 {
        self.held.get(&side).copied().unwrap_or_default()
    }

    /// A side of any of the wallet's markets.
    fn any_side(&self, rng: &mut ChaCha8Rng) -> Side {
        let all: Vec<usize> = (self.arena.plain.iter().chain(&self.arena.event).copied())
            .chain((0..second::BLOCK).map(|place| self.native(place)))
            .collect();
        (all[below(rng, all.len() as u64) as usize], below(rng, 2) as u8)
    }

    /// A side that is held, and how much of it.
    fn any_held(&self, rng: &mut ChaCha8Rng) -> Option<(Side, u64)> {
        let held: Vec<(Side, u64)> =
            self.held.iter().filter(|(_, held)| **held > 0).map(|(side, held)| (*side, *held)).collect();
        held.get(below(rng, held.len() as u64) as usize).copied()
    }

    /// All of it, as often as not.
    fn part(rng: &mut ChaCha8Rng, of: u64) -> u64 {
        if below(rng, 2) == 0 { of } else { 1 + below(rng, of) }
    }

    fn exchange(&self, rng: &mut ChaCha8Rng, side: Side) -> usize {
        let native = self.universe.market(side.0).is_some_and(|market| market.kind() != Kind::Hash);
        if native { 5 } else { below(rng, 5) as usize }
    }

    fn trade(&self, rng: &mut ChaCha8Rng, side: Side, buys: bool, shares: u64) -> Trade {
        let price_e4 = 100 + below(rng, 9_801);
        let exchange = self.exchange(rng, side);
        let trade = Trade { side, buys, shares, price_e4, fee: 0, exchange };
        // Makers pay none.
        let most = if trade.pays_in_shares() { shares } else { trade.cash() } / 20;
        Trade { fee: if below(rng, 2) == 0 { 0 } else { below(rng, most) }, ..trade }
    }

    fn buy(&mut self, rng: &mut ChaCha8Rng) {
        let side = self.any_side(rng);
        let shares = 1_000_000 + below(rng, 400_000_000);
        let at_once = self.turn > 0 && self.traded_last() && below(rng, 3) == 0;
        let trade = self.trade(rng, side, true, shares);
        self.add(side, if trade.pays_in_shares() { shares - trade.fee } else { shares });
        self.did(at_once, What::Trade(trade));
    }

    /// Whether the wallet's last deed is a trade, alone in its second.
    fn traded_last(&self) -> bool {
        let own = |deed: &&Deed| deed.wallet == self.wallet();
        let last = self.deeds.iter().rev().find(own);
        last.is_some_and(|deed| matches!(deed.what, What::Trade(_)) && deed.block % 2 == 0)
    }

    fn sell(&mut self, rng: &mut ChaCha8Rng) {
        let Some((side, held)) = self.any_held(rng) else { return self.buy(rng) };
        let shares = Self::part(rng, held);
        let trade = self.trade(rng, side, false, shares);
        self.take(side, shares);
        self.did(false, What::Trade(trade));
    }

    /// Plain, negative-risk, native and mirrored markets.
    fn split(&mut self, rng: &mut ChaCha8Rng) {
        let (market, _) = self.any_side(rng);
        let (amount, adapter) = (1 + below(rng, 200_000_000), below(rng, 2) == 0);
        for index in [0, 1] {
            self.add((market, index), amount);
        }
        self.did(false, What::Form { market, splits: true, amount, adapter });
    }

    fn merge(&mut self, rng: &mut ChaCha8Rng) {
        let pairs: Vec<(usize, u64)> = (self.held.keys())
            .filter(|(_, index)| *index == 0)
            .map(|(market, _)| (*market, self.held((*market, 0)).min(self.held((*market, 1)))))
            .filter(|(_, both)| *both > 0)
            .collect();
        let Some((market, both)) = pairs.get(below(rng, pairs.len() as u64) as usize).copied() else {
            return self.split(rng);
        };
        let (amount, adapter) = (Self::part(rng, both), below(rng, 2) == 0);
        for index in [0, 1] {
            self.take((market, index), amount);
        }
        self.did(false, What::Form { market, splits: false, amount, adapter });
    }

    fn convert(&mut self, rng: &mut ChaCha8Rng) {
        let event = self.arena.event.clone();
        let with_no: Vec<usize> =
            event.iter().copied().filter(|market| self.held((*market, 1)) > 0).collect();
        if with_no.is_empty() {
            // To have something to convert the next time.
            let market = event[below(rng, event.len() as u64) as usize];
            let shares = 1_000_000 + below(rng, 400_000_000);
            let trade = Trade { fee: 0, ..self.trade(rng, (market, 1), true, shares) };
            self.add((market, 1), shares);
            return self.did(false, What::Trade(trade));
        }
        let count = 1 + below(rng, with_no.len() as u64) as usize;
        let gone = with_no[..count].to_vec();
        let least = gone.iter().map(|market| self.held((*market, 1))).min().unwrap_or_default();
        let amount = Self::part(rng, least);
        let out = amount - amount * neg_risk::FEE_BIPS / 10_000;
        self.converted(event, gone, amount, out);
    }

    fn convert_native(&mut self, rng: &mut ChaCha8Rng) {
        let event = self.of_event();
        let Some(market) = event.iter().copied().find(|market| self.held((*market, 1)) > 0) else {
            return self.buy(rng);
        };
        let amount = Self::part(rng, self.held((market, 1)));
        self.converted(event, vec![market], amount, amount);
    }

    fn converted(&mut self, event: Vec<usize>, gone: Vec<usize>, amount: u64, out: u64) {
        for market in &event {
            match gone.contains(market) {
                true => self.take((*market, 1), amount),
                false => self.add((*market, 0), out),
            }
        }
        self.did(false, What::Conversion { event, gone, amount, out });
    }

    fn horizontal(&mut self, rng: &mut ChaCha8Rng) {
        let event = self.of_event();
        let all = event.iter().map(|market| self.held((*market, 0))).min().unwrap_or_default();
        let splits = all == 0 || below(rng, 2) == 0;
        let amount = if splits { 1 + below(rng, 100_000_000) } else { Self::part(rng, all) };
        for market in &event {
            if splits { self.add((*market, 0), amount) } else { self.take((*market, 0), amount) }
        }
        self.did(false, What::Horizontal { event, splits, amount });
    }

    /// To or from somebody, strangers among them.
    fn transfer(&mut self, rng: &mut ChaCha8Rng) {
        let stranger = Wallet::from_bytes([0x77; 20]);
        match self.any_held(rng).filter(|_| below(rng, 2) == 0) {
            Some((side, held)) => {
                let (shares, from) = (Self::part(rng, held), self.wallet());
                self.take(side, shares);
                self.did(false, What::Transfer { side, shares, from, to: stranger });
            }
            None => {
                let (side, shares, to) = (self.any_side(rng), 1 + below(rng, 100_000_000), self.wallet());
                // Half of them from the next of these wallets, whose shares nobody keeps count of here: it may go short.
                let next = self.wallets[(self.number + 1) % self.wallets.len()];
                let from = if below(rng, 2) == 0 && next != to { next } else { stranger };
                self.add(side, shares);
                self.did(false, What::Transfer { side, shares, from, to });
            }
        }
    }

    fn migrate(&mut self, rng: &mut ChaCha8Rng) {
        let (from, to) = (self.native(0), self.native(1));
        let Some(index) = [0, 1].into_iter().find(|index| self.held((from, *index)) > 0) else {
            let shares = 1_000_000 + below(rng, 400_000_000);
            let trade = Trade { fee: 0, ..self.trade(rng, (from, 0), true, shares) };
            self.add((from, 0), shares);
            return self.did(false, What::Trade(trade));
        };
        let shares = Self::part(rng, self.held((from, index)));
        self.take((from, index), shares);
        self.add((to, index), shares);
        self.did(false, What::Migration { from, to, index, shares });
    }

    /// Most of what pays, and little of what does not, is redeemed.
    fn redeem(&mut self, rng: &mut ChaCha8Rng) {
        let markets: Vec<usize> = {
            let mut markets: Vec<usize> = self.held.keys().map(|(market, _)| *market).collect();
            markets.dedup();
            markets
        };
        for market in markets {
            let shares = [0, 1].map(|index| self.held((market, index)));
            let payout = self.universe.market(market).map(|it| it.payout());
            let pays = |index: u8| payout.and_then(|it| it.doubled(index)).is_some_and(|halves| halves > 0);
            let wins = [0, 1].into_iter().any(|index| pays(index) && shares[usize::from(index)] > 0);
            let chance = if wins { 3 } else { 1 };
            let open = payout.is_none_or(|it| it == Payout::Unresolved);
            if open || shares == [0, 0] || below(rng, 4) >= chance {
                continue;
            }
            self.held.insert((market, 0), 0);
            self.held.insert((market, 1), 0);
            self.did(false, What::Redemption { market, shares });
        }
    }
}
