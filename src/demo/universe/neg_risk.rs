//! What makes the ids of negative-risk markets and of their questions, so that each condition of the universe is the hash
//! that the contracts would compute.

use crate::chain::contracts;
use crate::chain::event::market_id;
use crate::ids::Address;

/// Who resolves a market: the adapter where it is a negative-risk one, else the main oracle of 2026.
pub fn oracle(neg_risk: bool) -> Address {
    const MAIN: [u8; 20] = [
        0x65, 0x07, 0x0b, 0xe9, 0x14, 0x77, 0x46, 0x0d, 0x8a, 0x7a, 0xee, 0xb9, 0x4e, 0xf9, 0x2f, 0xe0, 0x56,
        0xc2, 0xf2, 0xa7,
    ];
    if neg_risk { contracts::neg_risk_adapter() } else { Address::from_bytes(MAIN) }
}

/// Negative-risk markets have so many questions at the most: neighbours belong together.
const QUESTIONS: usize = 8;

/// The fee of every negative-risk market's conversions, in hundredths of a percent.
pub const FEE_BIPS: u64 = 100;

/// The text that makes a negative-risk market's id, with its oracle and its fee.
pub fn text(seed: u64, number: usize) -> String {
    format!("Event {} of the universe {seed}", number / QUESTIONS)
}

/// The negative-risk market that a market is a question of, and which.
pub fn market(seed: u64, number: usize) -> ([u8; 32], u8) {
    let market = market_id(&oracle(false), FEE_BIPS, text(seed, number).as_bytes());
    (market, (number % QUESTIONS) as u8)
}
