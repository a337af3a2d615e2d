//! Makes a [`Universe`]: markets on all cores, then the exact counts, then the baseline wallets.

use rand::Rng;

use super::baseline::{self, RESERVED_MARKETS};
use super::dice::{MARKET_STREAM, stream};
use super::index::{HashIndex, condition_key};
use super::market::{Kind, Labels, Listing, MarketCore, Payout, mix, spread};
use super::{Universe, UniverseError, UniverseOptions, neg_risk, second};
use crate::chain::event::{condition_id, question_id};
use crate::ctf;
use crate::ids::{Address, ConditionId, TokenId};

/// The 32-bit words of randomness that a market takes.
const WORDS_PER_MARKET: u128 = 16;

/// How many markets of each kind.
struct Layout {
    paired: usize,
    traded: usize,
    all: usize,
}

impl Layout {
    fn of(options: &UniverseOptions) -> Self {
        let tokens = options.traded_tokens;
        // A tenth of the traded tokens has a sibling that nobody trades.
        let single = if options.siblings { tokens / 10 + (tokens - tokens / 10) % 2 } else { tokens };
        let paired = (tokens - single) / 2;
        let traded = paired + single;
        Self { paired, traded, all: traded + (tokens / 10).max(16) }
    }
}

impl Universe {
    /// Makes the universe of these options; the derivation of the token ids runs on all cores.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn generate(options: UniverseOptions) -> Result<Self, UniverseError> {
        options.check()?;
        let layout = Layout::of(&options);
        let mut markets = vec![PLACEHOLDER; layout.all];
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Blocks of markets that belong together are made by one thread.
        let share = layout.all.div_ceil(cores).next_multiple_of(second::BLOCK);
        std::thread::scope(|scope| {
            for (part, chunk) in markets.chunks_mut(share).enumerate() {
                let (options, layout) = (&options, &layout);
                scope.spawn(move || fill_chunk(options, layout, part * share, chunk));
            }
        });
        choose_mapped(&options, layout.traded, &mut markets);

        let tokens = markets.iter().flat_map(|core| core.tokens).map(|token| token.fingerprint() as u64);
        let by_token = HashIndex::of(2 * markets.len(), tokens);
        let by_condition =
            HashIndex::of(markets.len(), markets.iter().map(|core| condition_key(&core.condition)));
        let plan = baseline::plan(options.seed, options.baseline_wallets, &markets);
        Ok(Self {
            options,
            markets,
            paired: layout.paired,
            traded_markets: layout.traded,
            by_token,
            by_condition,
            baselines: plan.baselines,
            baseline_fills: plan.fills,
        })
    }
}

/// What a market is before its thread has made it.
const PLACEHOLDER: MarketCore = MarketCore {
    question: [0; 32],
    condition: ConditionId::from_bytes([0; 32]),
    tokens: [TokenId::from_be_bytes([0; 32]); 2],
    dice: 0,
    traded: 0,
    mapped: 0,
    known_to_dome: true,
    known_to_goldsky: true,
    labels: Labels::YesNo,
    payout: Payout::Unresolved,
    listing: Listing::Nowhere,
    neg_risk: false,
    condition_in_fills: false,
    kind: Kind::Hash,
    respelled: false,
};

fn fill_chunk(options: &UniverseOptions, layout: &Layout, first: usize, chunk: &mut [MarketCore]) {
    let collaterals = ctf::default_collaterals();
    let address_of = |name| collaterals.iter().find(|collateral| collateral.name == name).map(|c| c.address);
    // The two names are the defaults' own; without them the world would have no tokens, but nothing panics.
    let nowhere = Address::from_bytes([0; 20]);
    let addresses = ["usdc_e", "neg_risk"].map(|name| address_of(name).unwrap_or(nowhere));

    let mut rng = stream(options.seed, MARKET_STREAM);
    rng.set_word_pos(first as u128 * WORDS_PER_MARKET);
    for (core, number) in chunk.iter_mut().zip(first..) {
        let mut question = [0; 32];
        rng.fill_bytes(&mut question);
        core.question = question;
        core.dice = rng.next_u64();
        // With the question and the dice these make the 16 words of a market.
        let rest = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        describe(core, options, layout, number, rest);
        if core.neg_risk {
            let (market, index) = neg_risk::market(options.seed, number);
            core.question = question_id(&market, index);
        }
        core.condition = condition_id(&neg_risk::oracle(core.neg_risk), &core.question);
        core.kind = second::kind(options.v2_share, options.seed, layout.all, number);
        if core.kind != Kind::Hash {
            continue;
        }
        let collateral = &addresses[usize::from(core.neg_risk)];
        core.tokens = [0, 1].map(|index| ctf::token_id(&core.condition, index, collateral));
    }
    chunk.chunks_mut(second::BLOCK).for_each(second::complete);
}

/// Everything about a market but its ids.
fn describe(
    core: &mut MarketCore,
    options: &UniverseOptions,
    layout: &Layout,
    number: usize,
    rest: [u64; 3],
) {
    core.traded = match number {
        _ if number < layout.paired => 0b11,
        _ if number < layout.traded => 1 << (rest[0] & 1),
        _ => 0,
    };
    core.neg_risk = rest[0] >> 8 & 0b11 == 0;
    core.labels = match rest[1] % 100 {
        0..80 => Labels::YesNo,
        80..88 => Labels::UpDown,
        _ => Labels::Teams,
    };
    let place = spread(number, 0x9e37_79b9_7f4a_7c15, options.seed);
    let neither = options.unknown_to_both;
    let not_dome = neither + options.unknown_to_dome;
    let not_goldsky = not_dome + options.unknown_to_goldsky;
    core.known_to_dome = place >= not_dome;
    core.known_to_goldsky = place >= neither && !(not_dome..not_goldsky).contains(&place);
    core.condition_in_fills =
        spread(number, 0xc13f_a9a9_02a6_328f, options.seed) < options.condition_ids_in_fills;
    let resolved = spread(number, 0x91e1_0da5_c79e_7b1d, options.seed) < options.resolved;
    core.payout = match rest[2] % 100 {
        _ if !resolved => Payout::Unresolved,
        0..2 => Payout::Half,
        _ => Payout::Winner((rest[2] >> 32 & 1) as u8),
    };
    core.listing = match (core.payout, (rest[2] >> 40) % 100) {
        (Payout::Unresolved, 0..10) => Listing::OpenInWinners,
        (Payout::Unresolved, _) => Listing::Nowhere,
        (Payout::Half, _) | (_, 0..40) => Listing::Resolutions,
        (_, 40..85) => Listing::Both,
        _ => Listing::Winners,
    };
    if options.baseline_wallets > 0 && number < RESERVED_MARKETS {
        baseline::reserve(core, number);
    }
}

/// Gives exactly `mapped_tokens` traded tokens a map row: mostly both of a market, sometimes one of the two.
fn choose_mapped(options: &UniverseOptions, traded: usize, markets: &mut [MarketCore]) {
    let mut left = options.mapped_tokens;
    let order = Permutation::of(traded as u64, mix(options.seed ^ 0x6d61_7070_6564));
    for round in 0..2 {
        for place in 0..traded as u64 {
            let core = &mut markets[order.at(place) as usize];
            let one_only = round == 0 && core.dice % 10 < 3;
            for index in [0, 1] {
                let wanted = core.traded >> index & 1 == 1 && core.mapped >> index & 1 == 0;
                if wanted && left > 0 && !(one_only && core.mapped != 0) {
                    core.mapped |= 1 << index;
                    left -= 1;
                }
            }
            if left == 0 {
                return;
            }
        }
    }
}

/// The numbers below `size` in another order: an affine map modulo `size`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permutation {
    step: u64,
    start: u64,
    size: u64,
}

impl Permutation {
    pub(super) fn of(size: u64, seed: u64) -> Self {
        let size = size.max(1);
        let mut step = (mix(seed) % size).max(1);
        while greatest_common_divisor(step, size) != 1 {
            step = step % size + 1;
        }
        Self { step, start: mix(!seed) % size, size }
    }

    pub(super) fn at(&self, place: u64) -> u64 {
        let image = u128::from(place) * u128::from(self.step) + u128::from(self.start);
        (image % u128::from(self.size)) as u64
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
