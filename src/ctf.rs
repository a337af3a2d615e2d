//! Token ids from condition ids: derive and prove (no I/O).
//!
//! A token id is not assigned, it is computed, by Gnosis' Conditional Tokens contract (`CTHelpers.sol`). So a claimed
//! mapping "this token is that outcome of that condition" can be proven or refuted without asking anybody.

use std::fmt;
use std::str::FromStr;

use halo2curves::bn256::Fq;
use halo2curves::ff::{Field, FromUniformBytes, PrimeField};
use halo2curves::ff_ext::Legendre;
use tiny_keccak::{Hasher, Keccak};

use crate::ids::{Address, ConditionId, Module, StructuralCondition, TokenId};

/// A token that backs positions: the address that went into the hash, and the name it has in our tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collateral {
    /// The name that rows are stamped with, such as `usdc_e`.
    pub name: String,
    /// The contract's address on Polygon.
    pub address: Address,
}

/// Why a text is not `name=address`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected name=address, a name of lower-case letters, digits and _, and an address of 0x and 40 hex digits"
)]
pub struct BadCollateral;

impl FromStr for Collateral {
    type Err = BadCollateral;

    fn from_str(text: &str) -> Result<Self, BadCollateral> {
        let (name, address) = text.split_once('=').ok_or(BadCollateral)?;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(BadCollateral);
        }
        Ok(Self { name: name.to_owned(), address: address.parse().map_err(|_| BadCollateral)? })
    }
}

impl fmt::Display for Collateral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.address)
    }
}

/// USDC.e, which backs ordinary markets.
const USDC_E: [u8; 20] = [
    0x27, 0x91, 0xbc, 0xa1, 0xf2, 0xde, 0x46, 0x61, 0xed, 0x88, 0xa3, 0x0c, 0x99, 0xa7, 0xa9, 0x44, 0x9a,
    0xa8, 0x41, 0x74,
];

/// The wrapped collateral that backs negative-risk markets.
const NEG_RISK: [u8; 20] = [
    0x3a, 0x3b, 0xd7, 0xbb, 0x95, 0x28, 0xe1, 0x59, 0x57, 0x7f, 0x7c, 0x2e, 0x68, 0x5c, 0xc8, 0x1a, 0x76,
    0x50, 0x02, 0xe2,
];

/// Both collaterals that Polymarket uses.
pub fn default_collaterals() -> Vec<Collateral> {
    let collateral =
        |name: &str, address| Collateral { name: name.to_owned(), address: Address::from_bytes(address) };
    vec![collateral("usdc_e", USDC_E), collateral("neg_risk", NEG_RISK)]
}

fn keccak256<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let mut hash = Keccak::v256();
    parts.iter().for_each(|part| hash.update(part));
    let mut digest = [0; 32];
    hash.finalize(&mut digest);
    digest
}

/// One outcome of a condition, before any collateral: the costly half of a token id, shared by all collaterals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionId([u8; 32]);

impl CollectionId {
    /// The collection of the first outcome (index 0), or of the second.
    pub fn of(condition: &ConditionId, second: bool) -> Self {
        let mut index_set = [0; 32];
        index_set[31] = 1 << u8::from(second);
        let hash = keccak256([condition.as_bytes(), &index_set]);
        let mut wide = [0; 64];
        // Little-endian, and reduced modulo the field's prime: a hash may be larger.
        wide.iter_mut().zip(hash.iter().rev()).for_each(|(to, from)| *to = *from);
        let mut x = Fq::from_uniform_bytes(&wide);
        loop {
            x += Fq::ONE;
            // On the curve y² = x³ + 3 where that has a root; -1 says that it has none.
            if (x.square() * x + Fq::from(3)).legendre() != -1 {
                break;
            }
        }
        let mut id: [u8; 32] = x.to_repr().into();
        id.reverse();
        // The contract stores the parity of y here, which it chose by this very bit.
        id[0] ^= (hash[0] >> 7) << 6;
        Self(id)
    }

    /// The token of this collection that `collateral` backs.
    pub fn token(&self, collateral: &Address) -> TokenId {
        TokenId::from_be_bytes(keccak256([collateral.as_bytes(), &self.0]))
    }
}

/// The token of an outcome: index 0, or for every other index 1, since markets are binary.
pub fn token_id(condition: &ConditionId, outcome_index: u8, collateral: &Address) -> TokenId {
    CollectionId::of(condition, outcome_index != 0).token(collateral)
}

/// Who prepares the conditions of negative-risk markets: the NegRiskAdapter on Polygon.
pub const NEG_RISK_ADAPTER: Address = Address::from_bytes([
    0xd9, 0x1e, 0x80, 0xcf, 0x2e, 0x7b, 0xe2, 0xe1, 0x62, 0xc6, 0x51, 0x3c, 0xed, 0x06, 0xf1, 0xdd, 0x0d,
    0xa3, 0x52, 0x96,
]);

/// The condition that an oracle prepares for a question with so many outcomes.
pub fn condition_id(oracle: &Address, question: &[u8; 32], outcomes: u8) -> ConditionId {
    let mut slots = [0; 32];
    slots[31] = outcomes;
    ConditionId::from_bytes(keccak256([oracle.as_bytes(), question, &slots]))
}

/// The condition of a negative-risk market's question, whose id is the market's with the question's number in its last
/// byte; `None` for a market whose last byte is taken.
pub fn neg_risk_condition(market: &[u8; 32], question: u8) -> Option<ConditionId> {
    let mut id = *market;
    (id[31] == 0).then(|| {
        id[31] = question;
        condition_id(&NEG_RISK_ADAPTER, &id, 2)
    })
}

/// The most legs that a combo may have.
pub const MOST_LEGS: usize = 50;

/// Why positions are no legs of a combo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLegs {
    /// There are none, or too many.
    #[error("a combo has 1 to {MOST_LEGS} legs, not {0}")]
    Count(usize),
    /// One is not above the one before it.
    #[error("the legs of a combo ascend, each once; leg {0} does not")]
    Order(usize),
}

/// The condition of the combo of these legs: module 3, its base the low 128 bits of
/// `keccak256(abi.encode(uint256 3, abi.encode(uint256[] legs)))`. Legs are positions of the second generation; what
/// they are is not looked at here.
///
/// # Errors
/// [`BadLegs`].
pub fn combo_condition(legs: &[TokenId]) -> Result<StructuralCondition, BadLegs> {
    if legs.is_empty() || legs.len() > MOST_LEGS {
        return Err(BadLegs::Count(legs.len()));
    }
    if let Some(place) = legs.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(BadLegs::Order(place + 2));
    }
    let word = |number: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(number as u64).to_be_bytes());
        word
    };
    // The array: where it begins, its length, its items. Around it: the module, where the bytes begin, their length.
    let mut array = vec![word(32), word(legs.len())];
    array.extend(legs.iter().map(|leg| leg.to_be_bytes()));
    let head = [word(Module::Combo as usize), word(64), word(32 * array.len())];
    let hash = keccak256([head.as_flattened(), array.as_flattened()]);
    Ok(StructuralCondition::combo(ConditionId::from_bytes(hash).low_half()))
}

/// Both collections of a condition, from which the tokens of every collateral follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collections<'a> {
    by_index: [CollectionId; 2],
    collaterals: &'a [Collateral],
}

/// Both tokens of a condition with one collateral: siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The tokens of outcome index 0 and 1.
    pub tokens: [TokenId; 2],
    /// The collateral that backs both.
    pub collateral: &'a Collateral,
}

/// A token that was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derived<'a> {
    /// The token.
    pub token: TokenId,
    /// Its outcome index, 0 or 1.
    pub outcome_index: u8,
    /// The collateral that backs it.
    pub collateral: &'a Collateral,
}

impl<'a> Collections<'a> {
    /// The two tokens of each collateral, computed when they are asked for.
    pub fn pairs(&self) -> impl Iterator<Item = Pair<'a>> {
        let by_index = self.by_index;
        self.collaterals.iter().map(move |collateral| Pair {
            tokens: by_index.map(|collection| collection.token(&collateral.address)),
            collateral,
        })
    }

    /// The tokens of both outcomes with every collateral, each computed when it is asked for.
    pub fn iter(&self) -> impl Iterator<Item = Derived<'a>> {
        let (by_index, collaterals) = (self.by_index, self.collaterals);
        [0, 1].into_iter().flat_map(move |outcome_index| {
            let collection = by_index[usize::from(outcome_index)];
            collaterals.iter().map(move |collateral| Derived {
                token: collection.token(&collateral.address),
                outcome_index,
                collateral,
            })
        })
    }
}

/// All tokens that a condition can have. The costly half is done once for all collaterals; nothing is allocated.
pub fn derive<'a>(condition: &ConditionId, collaterals: &'a [Collateral]) -> Collections<'a> {
    let by_index = [CollectionId::of(condition, false), CollectionId::of(condition, true)];
    Collections { by_index, collaterals }
}

/// What makes a token of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The outcome index, 0 or 1.
    pub outcome_index: u8,
    /// The collateral.
    pub collateral: &'a Collateral,
}

/// Which outcome of `condition`, backed by which of the collaterals, `token` is; `None` where it is none of them.
pub fn prove<'a>(
    token: &TokenId,
    condition: &ConditionId,
    collaterals: &'a [Collateral],
) -> Option<Proof<'a>> {
    prove_claim(token, condition, 0, collaterals)
}

/// As [`prove`], looking at the `likely` outcome first: the right guess saves half of the work, a wrong one changes
/// nothing.
pub fn prove_claim<'a>(
    token: &TokenId,
    condition: &ConditionId,
    likely: u8,
    collaterals: &'a [Collateral],
) -> Option<Proof<'a>> {
    let likely = likely.min(1);
    [likely, 1 - likely].into_iter().find_map(|outcome_index| {
        let collection = CollectionId::of(condition, outcome_index == 1);
        let collateral = collaterals.iter().find(|it| collection.token(&it.address) == *token)?;
        Some(Proof { outcome_index, collateral })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use num_traits::{One, Zero};
    use proptest::prelude::*;
    use sha3::Digest;

    /// Real tokens: condition, token, outcome index, collateral.
    const VECTORS: [(&str, &str, u8, &str); 11] = [
        (
            "dd22472e552920b8438158ea7238bfadfa4f736aa4cee91a6b86c39ead110917",
            "21742633143463906290569050155826241533067272736897614950488156847949938836455",
            0,
            "neg_risk",
        ),
        (
            "dd22472e552920b8438158ea7238bfadfa4f736aa4cee91a6b86c39ead110917",
            "48331043336612883890938759509493159234755048973500640148014422747788308965732",
            1,
            "neg_risk",
        ),
        (
            "6876ac2b6174778c973c118aac287c49057c4d5360f896729209fe985a2c07fb",
            "14557944883400223565643640243919774851380876937588843424705199812983475639104",
            0,
            "usdc_e",
        ),
        (
            "6876ac2b6174778c973c118aac287c49057c4d5360f896729209fe985a2c07fb",
            "57567439101367774829602299916701968079591032322820664013819223989961583069589",
            1,
            "usdc_e",
        ),
        (
            "592b8a416cbe36aa7bb40df85a61685ebd54ebbd2d55842f1bb398cae4f40dfc",
            "57564352641769637293436658960633624379577489846300950628596680893489126052038",
            1,
            "usdc_e",
        ),
        (
            "6c4d221b3cf2c8d17467c70a8aa3c714e30299b6e57cd3e4269dc8a41d2b0cd8",
            "30698649476690694814108493145041085718609914990967907518412053225237708492787",
            0,
            "usdc_e",
        ),
        (
            "6c4d221b3cf2c8d17467c70a8aa3c714e30299b6e57cd3e4269dc8a41d2b0cd8",
            "43362318061877762261164265810725209343672429810065542703856317173848260953021",
            1,
            "usdc_e",
        ),
        (
            "126a15ffc84104e2108b2d58f663882b0d181ce87c1b38365f84595e3468a8a5",
            "100692454852111554543566408317343992183089175047294038924849685473863331659441",
            0,
            "neg_risk",
        ),
        (
            "126a15ffc84104e2108b2d58f663882b0d181ce87c1b38365f84595e3468a8a5",
            "48688325334414023818352236528729803878794259844697047777108156846840050119382",
            1,
            "neg_risk",
        ),
        (
            "4f05dbc6273b89aed46bb79a961c1d8771c01925d92d439e9a81fa6241900661",
            "75783394880030392863380883800697645018418815910449662777195626260206142035810",
            0,
            "usdc_e",
        ),
        (
            "aa08b43f2e39a28c52278738d456dfce516fcd966d43f157aab3727457cd4b6c",
            "40671034664065625078050343379339320067070367341089437265715901074008336896448",
            1,
            "usdc_e",
        ),
    ];

    #[test]
    fn real_tokens_are_proven_and_a_wrong_pair_is_refuted() {
        let collaterals = default_collaterals();
        for (condition, token, index, collateral) in VECTORS {
            let proof = prove(&token.parse().unwrap(), &condition.parse().unwrap(), &collaterals).unwrap();
            assert_eq!((proof.outcome_index, proof.collateral.name.as_str()), (index, collateral));
        }
        let token = "101071082387121029316203543703191838956447974754518255789281179566651789604680";
        let condition = "e3b423dfad8c22ff75c9899c4e8176f628cf4ad4caa00481764d320e7415f7a9";
        assert_eq!(prove(&token.parse().unwrap(), &condition.parse().unwrap(), &collaterals), None);
    }

    /// Real tokens of October 2026, still hashes: condition, token, outcome index, collateral.
    const LATE_VECTORS: [(&str, &str, u8, &str); 4] = [
        (
            "cd5f9f505e0c0182746aa65963f72f01e7463259e5ea9f56672c0fe3a37f348a",
            "25070934348813416902477876984955073880416401960631253331845590271167412497744",
            0,
            "usdc_e",
        ),
        (
            "cd5f9f505e0c0182746aa65963f72f01e7463259e5ea9f56672c0fe3a37f348a",
            "111614563957165270026378011809694313565736745512637881727398424401624030147043",
            1,
            "usdc_e",
        ),
        (
            "7976b8dbacf9077eb1453a62bcefd6ab2df199acd28aad276ff0d920d6992892",
            "4394372887385518214471608448209527405727552777602031099972143344338178308080",
            0,
            "neg_risk",
        ),
        (
            "7976b8dbacf9077eb1453a62bcefd6ab2df199acd28aad276ff0d920d6992892",
            "112680630004798425069810935278212000865453267506345451433803052322987302357330",
            1,
            "neg_risk",
        ),
    ];

    /// Conditions with a mirror, and their own tokens.
    const MIRRORED: [(&str, [&str; 2]); 2] = [
        (
            "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7",
            [
                "32338220190071351435772801779725302244575775216413325951443816017994629993401",
                "25659310674993675562345759665114759892400026242514633218387667107987341231962",
            ],
        ),
        (
            "5db999fad322cea2914535aae5517060c3f80ad6d8c0231cde2124a434d16846",
            [
                "55115078421062885512539156303747803058407616201213034911037320915726138659123",
                "1910830010387565971650098373488592514702818137344973088263643820608151819241",
            ],
        ),
    ];

    #[test]
    fn real_tokens_of_this_autumn_are_still_hashes_over_the_same_collaterals() {
        let collaterals = default_collaterals();
        let mirrored = MIRRORED.iter().flat_map(|(condition, tokens)| {
            (0..).zip(tokens).map(move |(index, token)| (*condition, *token, index, "usdc_e"))
        });
        for (condition, token, index, collateral) in LATE_VECTORS.into_iter().chain(mirrored) {
            let token: TokenId = token.parse().unwrap();
            assert_eq!(token.structural(), None);
            let proof = prove(&token, &condition.parse().unwrap(), &collaterals).unwrap();
            assert_eq!((proof.outcome_index, proof.collateral.name.as_str()), (index, collateral));
        }
    }

    #[test]
    fn no_token_is_a_hash_over_the_newest_dollar() {
        // What Polymarket's own page says of the collateral since 2026 gives this id, which nobody trades.
        let condition = MIRRORED[0].0.parse().unwrap();
        let pusd: Address = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB".parse().unwrap();
        let token = token_id(&condition, 0, &pusd);
        let text = "75552629844249764067060224094305573682412859798713643911722997839974988867283";
        assert_eq!(token.to_string(), text);
        assert_eq!(prove(&token, &condition, &default_collaterals()), None);
        assert_eq!(token.structural(), None);
    }

    #[test]
    fn a_condition_is_the_hash_of_oracle_question_and_outcomes() {
        let oracle = "0x65070be91477460d8a7aeeb94ef92fe056c2f2a7".parse().unwrap();
        let question = "8fa725f0bd0b1f3fc6a2d07be5145fdd80d4a738feda70177dfdaddab49c61fd";
        let question: ConditionId = question.parse().unwrap();
        let condition = condition_id(&oracle, question.as_bytes(), 2);
        let expected = "be20fcfd54937c2a48a7b8521ca349e6a2c4373566328ebb950a8c35ab1be3d9";
        assert_eq!(condition.to_string(), expected);
    }

    #[test]
    fn a_combo_is_the_hash_of_its_legs() {
        let leg = |condition: u8, outcome: u8| {
            let mut bytes = [0; 32];
            (bytes[0], bytes[30], bytes[31]) = (1, condition, outcome);
            TokenId::from_be_bytes(bytes)
        };
        let combo = combo_condition(&[leg(1, 0), leg(2, 1)]).unwrap();
        let expected = format!("032def24bfb0c5c57fb236fac08b94236a{}", "0".repeat(30));
        assert_eq!(combo.condition_id().to_string(), expected);
        assert_eq!(combo_condition(&[]), Err(BadLegs::Count(0)));
        assert_eq!(combo_condition(&[leg(2, 1), leg(1, 0)]), Err(BadLegs::Order(2)));
        assert_eq!(combo_condition(&[leg(1, 0), leg(2, 1), leg(2, 1)]), Err(BadLegs::Order(3)));
        let many: Vec<TokenId> = (0..=50).map(|number| leg(number, 0)).collect();
        assert_eq!(combo_condition(&many), Err(BadLegs::Count(51)));
        assert!(combo_condition(&many[..50]).is_ok());
    }

    #[test]
    fn real_tokens_are_derived_from_their_conditions() {
        let collaterals = default_collaterals();
        for (condition, token, index, collateral) in VECTORS {
            let condition: ConditionId = condition.parse().unwrap();
            let derived = derive(&condition, &collaterals);
            assert_eq!(derived.iter().count(), 4);
            let found: Vec<_> = derived.iter().filter(|it| it.token.to_string() == token).collect();
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].outcome_index, found[0].collateral.name.as_str()), (index, collateral));
        }
    }

    #[test]
    fn a_token_of_a_collateral_that_is_not_listed_looks_refuted() {
        let (condition, token, ..) = VECTORS[0];
        let (token, condition) = (token.parse().unwrap(), condition.parse().unwrap());
        assert_eq!(prove(&token, &condition, &default_collaterals()[..1]), None);
        assert_eq!(prove(&token, &condition, &[]), None);
    }

    fn keccak_by_sha3(parts: [&[u8]; 2]) -> [u8; 32] {
        let mut hash = sha3::Keccak256::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    }

    /// The four steps of the contract as they are written down, with big integers and Euler's criterion.
    fn slow_token(condition: &[u8; 32], index: u8, collateral: &[u8; 20]) -> BigUint {
        let p: BigUint =
            "21888242871839275222246405745257275088696311157297823662689037894645226208583".parse().unwrap();
        let mut index_set = [0; 32];
        index_set[31] = 1 << index;
        let h = BigUint::from_bytes_be(&keccak_by_sha3([condition, &index_set]));
        let mut x = &h % &p;
        loop {
            x = (x + 1u8) % &p;
            let y_squared = (x.modpow(&3u8.into(), &p) + 3u8) % &p;
            let euler = y_squared.modpow(&((&p - 1u8) / 2u8), &p);
            if euler.is_zero() || euler.is_one() {
                break;
            }
        }
        if h.bit(255) {
            x ^= BigUint::one() << 254;
        }
        let mut id = [0; 32];
        let bytes = x.to_bytes_be();
        id[32 - bytes.len()..].copy_from_slice(&bytes);
        BigUint::from_bytes_be(&keccak_by_sha3([collateral, &id]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn token_ids_are_those_of_a_slow_and_obvious_computation(
            condition: [u8; 32], collateral: [u8; 20], index in 0u8..2,
        ) {
            let token =
                token_id(&ConditionId::from_bytes(condition), index, &Address::from_bytes(collateral));
            prop_assert_eq!(token.to_string(), slow_token(&condition, index, &collateral).to_string());
        }

        #[test]
        fn what_is_derived_is_proven_and_nothing_else_is(condition: [u8; 32], other: [u8; 32]) {
            let collaterals = default_collaterals();
            let (condition, other) = (ConditionId::from_bytes(condition), ConditionId::from_bytes(other));
            prop_assume!(condition != other);
            for derived in derive(&condition, &collaterals).iter() {
                let proof = prove(&derived.token, &condition, &collaterals);
                prop_assert_eq!(proof, Some(Proof { outcome_index: derived.outcome_index, collateral: derived.collateral }));
                prop_assert_eq!(prove(&derived.token, &other, &collaterals), None);
            }
        }
    }
}
