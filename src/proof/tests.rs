use proptest::prelude::*;

use super::*;
use crate::ctf::{default_collaterals, token_id};

const LEGACY: &str = "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7";
/// Its low half is that of [`LEGACY`].
const TWIN: &str = "b467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7";

fn id(text: &str) -> ConditionId {
    text.parse().unwrap()
}

fn known(conditions: &[&str]) -> KnownConditions {
    let mut known = KnownConditions::default();
    conditions.iter().for_each(|condition| known.insert(id(condition)));
    known
}

/// Condition, index and evidence of a claim, or why it is refused.
fn said(known: &KnownConditions, token: TokenId, condition: &str) -> Result<(String, u8, Evidence), Refusal> {
    let collaterals = default_collaterals();
    let prover = Prover::new(&collaterals, known);
    let proof = prover.examine(token, &id(condition), 0)?;
    Ok((proof.condition.to_string(), proof.outcome_index, proof.evidence))
}

#[test]
fn a_mirror_stands_under_its_legacy_condition_only_where_that_is_known() {
    let mirror = id(LEGACY).mirror().unwrap();
    let (token, own) = (mirror.token(1).unwrap(), mirror.condition_id().to_string());
    let nothing = KnownConditions::default();
    // A bare claim makes no condition known, whether it is right or keeps 128 bits right.
    for claimed in [LEGACY, TWIN, own.as_str()] {
        assert_eq!(said(&nothing, token, claimed), Ok((own.clone(), 1, Evidence::Structural)));
    }
    let one = known(&[LEGACY, &own]);
    for claimed in [LEGACY, own.as_str()] {
        assert_eq!(said(&one, token, claimed), Ok((LEGACY.to_owned(), 1, Evidence::Mirror)));
    }
    assert_eq!(said(&one, token, TWIN), Err(Refusal::OtherCondition));
    let other = "cd5f9f505e0c0182746aa65963f72f01e7463259e5ea9f56672c0fe3a37f348a";
    assert_eq!(said(&one, token, other), Err(Refusal::ContradictsBits));
    assert_eq!(said(&one, token, &"0".repeat(64)), Err(Refusal::Zero));
}

#[test]
fn two_known_conditions_with_one_half_are_ambiguous_until_a_module_says_which() {
    let mirror = id(LEGACY).mirror().unwrap();
    let token = mirror.token(0).unwrap();
    let mut both = known(&[LEGACY, TWIN, LEGACY]);
    assert_eq!(both.legacy_of(&mirror), Legacy::Ambiguous);
    for claimed in [LEGACY, TWIN] {
        assert_eq!(said(&both, token, claimed), Err(Refusal::Ambiguous));
    }
    assert!(both.register(&mirror, id(TWIN)));
    assert_eq!(said(&both, token, TWIN), Ok((TWIN.to_owned(), 0, Evidence::Mirror)));
    assert_eq!(said(&both, token, LEGACY), Err(Refusal::OtherCondition));
    // What is registered is recomputed.
    let other = id("cd5f9f505e0c0182746aa65963f72f01e7463259e5ea9f56672c0fe3a37f348a");
    assert!(!both.register(&mirror, other));
}

#[test]
fn a_hash_is_proven_under_either_spelling_of_its_condition() {
    let collaterals = default_collaterals();
    let token = token_id(&id(LEGACY), 1, &collaterals[0].address);
    let mirror = id(LEGACY).mirror().unwrap().condition_id().to_string();
    assert_eq!(
        said(&KnownConditions::default(), token, LEGACY),
        Ok((LEGACY.to_owned(), 1, Evidence::Proven))
    );
    assert_eq!(said(&KnownConditions::default(), token, &mirror), Err(Refusal::NoProof));
    assert_eq!(said(&known(&[LEGACY]), token, &mirror), Ok((LEGACY.to_owned(), 1, Evidence::Proven)));
    assert_eq!(said(&known(&[LEGACY]), token, TWIN), Err(Refusal::NoProof));
}

#[test]
fn negative_risk_mirrors_are_what_was_registered_and_guessed_only_where_that_is_asked_for() {
    let market = {
        let mut market = [0x5a; 32];
        market[31] = 0;
        market
    };
    let base = ConditionId::from_bytes(market).low_half();
    let legacy = ctf::neg_risk_condition(&market, 2).unwrap();
    let mirror = StructuralCondition::neg_risk(base, 4, 2).unwrap();
    let token = mirror.token(0).unwrap();
    let mut known = KnownConditions::default();
    assert!(!known.register(&mirror, legacy), "its market is not known");
    known.insert_market(market, 4);
    let own = mirror.condition_id().to_string();
    assert_eq!(said(&known, token, &legacy.to_string()), Ok((own.clone(), 0, Evidence::Structural)));
    known.guess_neg_risk_mirrors(true);
    assert_eq!(said(&known, token, &own), Ok((legacy.to_string(), 0, Evidence::Mirror)));
    known.guess_neg_risk_mirrors(false);
    assert!(!known.register(&mirror, ctf::neg_risk_condition(&market, 1).unwrap()), "another question");
    assert!(known.register(&mirror, legacy));
    assert_eq!(said(&known, token, &own), Ok((legacy.to_string(), 0, Evidence::Mirror)));
    // The arity is the number of questions, and "Other" has no legacy condition.
    assert!(!known.register(&StructuralCondition::neg_risk(base, 5, 2).unwrap(), legacy));
    let other = StructuralCondition::neg_risk(base, 4, 4).unwrap();
    assert_eq!(said(&known, other.token(0).unwrap(), LEGACY), Err(Refusal::ContradictsBits));
}

#[test]
fn a_combo_is_structural_and_proven_once_its_legs_are_known() {
    let leg = |base: u128| StructuralCondition::binary(base).token(0).unwrap();
    let legs = [leg(5), leg(9)];
    let combo = ctf::combo_condition(&legs).unwrap();
    let (token, own) = (combo.token(1).unwrap(), combo.condition_id().to_string());
    let mut known = KnownConditions::default();
    assert_eq!(said(&known, token, &own), Ok((own.clone(), 1, Evidence::Structural)));
    assert!(!known.insert_combo(&combo, &[leg(5), leg(8)]));
    assert!(known.insert_combo(&combo, &legs));
    assert_eq!(said(&known, token, &own), Ok((own, 1, Evidence::Proven)));
    assert_eq!(said(&known, token, LEGACY), Err(Refusal::ContradictsBits));
}

#[test]
fn the_first_claim_that_holds_counts_and_the_bits_decide_where_none_does() {
    let collaterals = default_collaterals();
    let nothing = KnownConditions::default();
    let prover = Prover::new(&collaterals, &nothing);
    let right = id(LEGACY);
    let wrong = id("cd5f9f505e0c0182746aa65963f72f01e7463259e5ea9f56672c0fe3a37f348a");
    let token = token_id(&right, 1, &collaterals[1].address);
    let choice = prover.choose(token, [(&wrong, 0), (&right, 0), (&right, 1)]).unwrap();
    assert_eq!((choice.place, choice.proof.outcome_index, choice.proof.collateral), (Some(1), 1, "neg_risk"));
    assert_eq!(prover.choose(token, [(&wrong, 0)]), Err(Refusal::NoProof));
    assert_eq!(prover.choose(token, []), Err(Refusal::NoProof));
    let native = StructuralCondition::binary(77);
    let choice = prover.choose(native.token(1).unwrap(), [(&wrong, 0), (&right, 0)]).unwrap();
    assert_eq!((choice.place, choice.proof.condition), (None, native.condition_id()));
}

proptest! {
    #[test]
    fn an_id_one_bit_off_a_structural_one_is_never_structural_but_by_the_rules(base: u128, bit in 0_usize..256) {
        let token = StructuralCondition::binary(base).token(0).unwrap();
        let mut bytes = token.to_be_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let off = TokenId::from_be_bytes(bytes);
        let own = StructuralCondition::binary(base).condition_id();
        let nothing = KnownConditions::default();
        let said = said(&nothing, off, &own.to_string());
        // Only another outcome of the same condition is of this condition.
        prop_assert_eq!(said.is_ok(), bit == 31 * 8, "{:?}", said);
    }
}
