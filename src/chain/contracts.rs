//! The contracts whose events are read, and the events by the hash of their signatures.

use super::filter::LogFilter;
use super::log::{Word, read_hex};
use crate::ids::Address;

/// Bytes of a hexadecimal literal; a literal of another length is told by the tests.
fn bytes<const N: usize>(digits: &str) -> [u8; N] {
    let mut bytes = [0; N];
    read_hex(digits.as_bytes(), &mut bytes);
    bytes
}

macro_rules! addresses {
    ($($(#[$doc:meta])* $name:ident = $digits:literal;)+) => {$(
        $(#[$doc])*
        pub fn $name() -> Address {
            Address::from_bytes(bytes($digits))
        }
    )+};
}

addresses! {
    /// Gnosis' Conditional Tokens (CTF): conditions and their payouts. Shared with strangers.
    conditional_tokens = "4d97dcd97ec945f40cf65f87097ace5ea0476045";
    /// The adapter of negative-risk markets.
    neg_risk_adapter = "d91e80cf2e7be2e162c6513ced06f1dd0da35296";
    /// Protocol V2's binary questions.
    binary_module = "1000008dd9001b968442c1000017eae6e0da00ba";
    /// Protocol V2's negative-risk events.
    neg_risk_module = "200000900045e3b6259600682756002200028933";
    /// Protocol V2's combos.
    combinatorial_module = "30000034706c7d8e12009dab006be20000c031a8";
}

/// The first block in which any of these contracts can have written.
pub const FIRST_BLOCK: u64 = 4_023_686;

/// Polygon's chain id.
pub const CHAIN_ID: u64 = 137;

pub(in crate::chain) const fn word(digits: &str) -> Word {
    const fn nibble(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            _ => digit - b'a' + 10,
        }
    }
    let (digits, mut word, mut at) = (digits.as_bytes(), [0; 32], 0);
    while at < 32 {
        word[at] = nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]);
        at += 1;
    }
    word
}

/// `ConditionPreparation(bytes32 conditionId*, address oracle*, bytes32 questionId*, uint256 outcomeSlotCount)`
pub const CONDITION_PREPARATION: Word =
    word("ab3760c3bd2bb38b5bcf54dc79802ed67338b4cf29f3054ded67ed24661e4177");
/// `ConditionResolution(bytes32 conditionId*, address oracle*, bytes32 questionId*, uint256 outcomeSlotCount,
/// uint256[] payoutNumerators)`
pub const CONDITION_RESOLUTION: Word =
    word("b44d84d3289691f71497564b85d4233648d9dbae8cbdbb4329f301c3a0185894");
/// `MarketPrepared(bytes32 market*, address oracle*, uint256 feeBips, bytes data)`
pub const MARKET_PREPARED: Word = word("f059ab16d1ca60e123eab60e3c02b68faf060347c701a5d14885a8e1def7b3a8");
/// `QuestionPrepared(bytes32 market*, bytes32 question*, uint256 index, bytes data)`
pub const QUESTION_PREPARED: Word = word("aac410f87d423a922a7b226ac68f0c2eaf5bf6d15e644ac0758c7f96e2c253f7");
/// `MigrationConditionRegistered(bytes31 v2Condition*, bytes32 legacyCondition*)`
pub const MIGRATION_REGISTERED: Word =
    word("0da49435dfd3b856758ee0b1a2500f1e8062fed24dd654594af9fa163cc5bcb4");
/// `EventPrepared(bytes29 event*, uint256 conditionCount, bytes32 legacyMarket)`
pub const EVENT_PREPARED: Word = word("9bdf886b29ff2e03765aa003845c79f3700b39f9628db119aeeaac5d0fd73306");
/// `ConditionResolved(bytes31 condition*, uint256[] result)`, the result in parts of 1,000,000.
pub const CONDITION_RESOLVED: Word = word("e560c1a2847d4cf2e66de11fe592605556989449f38cc3ab96e2e287daa68caa");
/// `CombinatorialConditionPrepared(bytes31 condition*, uint256[] legs)`
pub const COMBO_PREPARED: Word = word("51c89d7ee51515f7235e928930da7f81be08212bc14870a6a37c64744492db96");
/// `SyntheticConditionDerivableAsYes(bytes29 event*, bytes31 condition*)`: follows from the other payouts of its event.
pub const OTHER_DERIVABLE: Word = word("5bea118d92630445b0b401b6883731630ed870edf2f259980efe977dfc128b36");
/// `RemainingConditionsDerivableAsNo(bytes29 event*)`: follows from the other payouts of its event.
pub const REST_DERIVABLE: Word = word("7b4e633936952f2babe4b4b548a8ccb384cdfdf1a95247fbacd18e387b490502");

/// Every event that conditions, payouts, markets and combos are read from, at the contracts that write them.
pub fn everything() -> LogFilter {
    LogFilter::new(
        vec![
            conditional_tokens(),
            neg_risk_adapter(),
            binary_module(),
            neg_risk_module(),
            combinatorial_module(),
        ],
        vec![vec![
            CONDITION_PREPARATION,
            CONDITION_RESOLUTION,
            MARKET_PREPARED,
            QUESTION_PREPARED,
            MIGRATION_REGISTERED,
            EVENT_PREPARED,
            CONDITION_RESOLVED,
            COMBO_PREPARED,
            OTHER_DERIVABLE,
            REST_DERIVABLE,
        ]],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::keccak256;

    #[test]
    fn events_are_the_hashes_of_their_signatures() {
        for (signature, topic) in [
            ("ConditionPreparation(bytes32,address,bytes32,uint256)", CONDITION_PREPARATION),
            ("ConditionResolution(bytes32,address,bytes32,uint256,uint256[])", CONDITION_RESOLUTION),
            ("MarketPrepared(bytes32,address,uint256,bytes)", MARKET_PREPARED),
            ("QuestionPrepared(bytes32,bytes32,uint256,bytes)", QUESTION_PREPARED),
            ("MigrationConditionRegistered(bytes31,bytes32)", MIGRATION_REGISTERED),
            ("EventPrepared(bytes29,uint256,bytes32)", EVENT_PREPARED),
            ("ConditionResolved(bytes31,uint256[])", CONDITION_RESOLVED),
            ("CombinatorialConditionPrepared(bytes31,uint256[])", COMBO_PREPARED),
            ("SyntheticConditionDerivableAsYes(bytes29,bytes31)", OTHER_DERIVABLE),
            ("RemainingConditionsDerivableAsNo(bytes29)", REST_DERIVABLE),
        ] {
            assert_eq!(keccak256(&[signature.as_bytes()]), topic, "{signature}");
        }
        let written = |address: Address| address.to_string();
        assert_eq!(written(conditional_tokens()), "0x4d97dcd97ec945f40cf65f87097ace5ea0476045");
        assert_eq!(written(combinatorial_module()), "0x30000034706c7d8e12009dab006be20000c031a8");
    }
}
