//! Markets of the second generation, in blocks of eight that belong together: a legacy market, its mirror, a native one,
//! an event of three questions with its "Other", and a combo of some of them.

use super::market::{Kind, Labels, Listing, MarketCore, Payout, mix, spread};
use crate::ctf;
use crate::ids::{StructuralCondition, TokenId};

/// Markets of a block.
pub(super) const BLOCK: usize = 8;
/// The largest share of the second generation: all blocks, but for their legacy markets.
pub(super) const MOST: f64 = 0.875;

const KINDS: [Kind; BLOCK] = [
    Kind::Hash,
    Kind::Mirror,
    Kind::Binary,
    Kind::NegRisk,
    Kind::NegRisk,
    Kind::NegRisk,
    Kind::NegRisk,
    Kind::Combo,
];

/// What the market of this number is, of `all`, where `share` of them are of the second generation.
pub(super) fn kind(share: f64, seed: u64, all: usize, number: usize) -> Kind {
    let block = number / BLOCK;
    // The first block has roles among the baseline wallets, and the last one may be cut.
    let whole = block > 0 && (block + 1) * BLOCK <= all;
    if whole && spread(block, 0xd6e8_feb8_6659_fd93, seed) < share / MOST {
        KINDS[number % BLOCK]
    } else {
        Kind::Hash
    }
}

/// Makes the markets of a block of the second generation what they are together.
pub(super) fn complete(block: &mut [MarketCore]) {
    let [legacy, mirror, binary, questions @ .., combo] = block else { return };
    if combo.kind != Kind::Combo {
        return;
    }
    be_mirror(mirror, legacy);
    be_native(binary, StructuralCondition::binary(binary.condition.low_half()));
    if binary.payout == Payout::Half {
        binary.payout = Payout::Winner(0);
    }
    be_event(questions);
    let legs = [&*mirror, binary, &questions[0]].map(|leg| (leg.tokens, leg.payout));
    be_combo(combo, &legs);
}

fn be_mirror(core: &mut MarketCore, legacy: &mut MarketCore) {
    *core = MarketCore {
        condition: legacy.condition,
        dice: legacy.dice,
        labels: legacy.labels,
        payout: legacy.payout,
        // What is said of the condition stands in the legacy market's rows.
        listing: Listing::Nowhere,
        neg_risk: false,
        ..core.clone()
    };
    legacy.respelled = mix(legacy.dice).is_multiple_of(3);
    core.tokens = legacy.condition.mirror().map(tokens).unwrap_or(core.tokens);
}

fn be_native(core: &mut MarketCore, condition: StructuralCondition) {
    core.condition = condition.condition_id();
    core.tokens = tokens(condition);
    core.labels = Labels::YesNo;
    core.neg_risk = false;
}

fn tokens(condition: StructuralCondition) -> [TokenId; 2] {
    let nothing = TokenId::from_be_bytes([0; 32]);
    [0, 1].map(|index| condition.token(index).unwrap_or(nothing))
}

/// Three questions and "Other", of which one comes true: some events list all, some only what decides the rest.
fn be_event(questions: &mut [MarketCore]) {
    let (base, dice) = (questions[0].condition.low_half(), mix(questions[0].dice ^ 0x0065_7665_6e74));
    let resolved = questions[0].payout != Payout::Unresolved;
    let arity = questions.len() - 1;
    let winner = dice as usize % questions.len();
    let lists_all = dice >> 32 & 1 == 0;
    for (index, core) in questions.iter_mut().enumerate() {
        let condition = StructuralCondition::neg_risk(base, arity as u16, index as u16);
        let Some(condition) = condition else { continue };
        be_native(core, condition);
        // Where "Other" comes true, all of the real ones say NO.
        let decides = if winner == arity { index < arity } else { index == winner };
        core.payout = match resolved {
            false => Payout::Unresolved,
            true => Payout::Winner(u8::from(index != winner)),
        };
        core.listing =
            if resolved && (lists_all || decides) { Listing::Resolutions } else { Listing::Nowhere };
    }
}

/// One outcome of each leg, which pays what they pay together.
fn be_combo(core: &mut MarketCore, markets: &[([TokenId; 2], Payout)]) {
    let legs = legs_of(core.dice, markets.iter().map(|(tokens, _)| tokens));
    let doubled: Vec<Option<u8>> = (markets.iter().zip(0..))
        .map(|((_, payout), nth)| payout.doubled((core.dice >> nth & 1) as u8))
        .collect();
    let whole = |it: &Option<u8>| *it == Some(2);
    core.payout = if doubled.contains(&Some(0)) {
        Payout::Winner(1)
    } else if doubled.contains(&None) {
        Payout::Unresolved
    } else if doubled.iter().all(whole) {
        Payout::Winner(0)
    } else {
        // Only the mirror of a legacy market may pay a half.
        Payout::Half
    };
    let dice = core.dice;
    if let Ok(condition) = ctf::combo_condition(&legs) {
        be_native(core, condition);
    }
    core.dice = dice;
    core.listing = Listing::Nowhere;
}

/// The legs that a combo's dice choose, one of each market, ascending.
fn legs_of<'a>(dice: u64, markets: impl Iterator<Item = &'a [TokenId; 2]>) -> Vec<TokenId> {
    let mut legs: Vec<TokenId> =
        markets.zip(0..).map(|(tokens, nth)| tokens[(dice >> nth & 1) as usize]).collect();
    legs.sort_unstable();
    legs
}

/// The legs of the combo at this place among all markets.
pub(super) fn legs(markets: &[MarketCore], combo: usize) -> Vec<TokenId> {
    let first = combo + 1 - BLOCK;
    let legs = markets.get(first + 1..first + 4).unwrap_or_default();
    legs_of(markets.get(combo).map_or(0, |core| core.dice), legs.iter().map(|core| &core.tokens))
}
