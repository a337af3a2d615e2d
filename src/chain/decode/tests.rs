use proptest::prelude::*;

use ruint::aliases::U256;

use super::*;
use crate::chain::contracts::*;
use crate::chain::event::{Mirror, condition_id};
use crate::ctf;
use crate::ids::{EventId, StructuralCondition, TokenId};

/// The two logs of a real market as a node gives them; a portal says the same with other numbers and no block.
const NODE: [&str; 2] = [
    r#"{"address":"0x4d97dcd97ec945f40cf65f87097ace5ea0476045","topics":["0xab3760c3bd2bb38b5bcf54dc79802ed67338b4cf29f3054ded67ed24661e4177","0xbe20fcfd54937c2a48a7b8521ca349e6a2c4373566328ebb950a8c35ab1be3d9","0x00000000000000000000000065070be91477460d8a7aeeb94ef92fe056c2f2a7","0x8fa725f0bd0b1f3fc6a2d07be5145fdd80d4a738feda70177dfdaddab49c61fd"],"data":"0x0000000000000000000000000000000000000000000000000000000000000002","blockNumber":"0x56c8cc0","blockHash":"0x1d","transactionHash":"0x00000000000000000000000000000000000000000000000000000000000000aa","transactionIndex":"0x0","logIndex":"0x1","removed":false}"#,
    r#"{"address":"0x4d97dcd97ec945f40cf65f87097ace5ea0476045","topics":["0xb44d84d3289691f71497564b85d4233648d9dbae8cbdbb4329f301c3a0185894","0xbe20fcfd54937c2a48a7b8521ca349e6a2c4373566328ebb950a8c35ab1be3d9","0x00000000000000000000000065070be91477460d8a7aeeb94ef92fe056c2f2a7","0x8fa725f0bd0b1f3fc6a2d07be5145fdd80d4a738feda70177dfdaddab49c61fd"],"data":"0x00000000000000000000000000000000000000000000000000000000000000020000000000000000000000000000000000000000000000000000000000000040000000000000000000000000000000000000000000000000000000000000000200000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001","blockNumber":"0x570246f","blockHash":"0x1d","transactionHash":"0x00000000000000000000000000000000000000000000000000000000000000bb","transactionIndex":"0x0","logIndex":"0x1b9","removed":false}"#,
];

/// A node's record as a portal writes it, and the block that it stands under.
fn portal(node: &str) -> (serde_json::Value, u64) {
    let mut record: serde_json::Value = serde_json::from_str(node).unwrap();
    let number = |field: &serde_json::Value| u64::from_str_radix(&field.as_str().unwrap()[2..], 16).unwrap();
    let block = number(&record["blockNumber"]);
    let (index, transaction) = (number(&record["logIndex"]), number(&record["transactionIndex"]));
    let fields = record.as_object_mut().unwrap();
    ["blockNumber", "blockHash", "removed"].iter().for_each(|field| {
        fields.remove(*field);
    });
    fields.insert("logIndex".to_owned(), index.into());
    fields.insert("transactionIndex".to_owned(), transaction.into());
    (record, block)
}

#[test]
fn the_two_logs_of_a_real_market_end_in_its_tokens_and_its_payout() {
    for as_portal in [false, true] {
        let logs = NODE.map(|node| {
            if as_portal {
                let (record, block) = portal(node);
                Log::parse(&record.to_string(), Some(block)).unwrap()
            } else {
                Log::parse(node, None).unwrap()
            }
        });
        assert_eq!((logs[0].block, logs[1].block, logs[1].log_index), (91_000_000, 91_235_439, 441));
        let Decoded::Event(Event::Condition { condition, .. }) = decode(&logs[0]) else { panic!() };
        assert_eq!(condition.to_string(), "be20fcfd54937c2a48a7b8521ca349e6a2c4373566328ebb950a8c35ab1be3d9");
        let usdc_e = &ctf::default_collaterals()[..1];
        let tokens: Vec<String> =
            ctf::derive(&condition, usdc_e).iter().map(|it| it.token.to_string()).collect();
        assert_eq!(
            tokens,
            [
                "70060007759742302808850203923230495967841006347410479320265457231119910877637",
                "94252409631375149642232709930779092548259642333831512866206597068377247772631",
            ]
        );
        let paid = Event::Resolution { condition, numerators: [U256::ZERO, U256::from(1)] };
        assert_eq!(decode(&logs[1]), Decoded::Event(paid));
        assert!(logs.iter().all(|log| everything().takes(log)));
    }
}

#[test]
fn a_changed_word_of_what_the_hash_covers_is_refused() {
    let real = Log::parse(NODE[1], None).unwrap();
    for place in 1..4 {
        let mut log = real.clone();
        log.topics[place][31] ^= 1;
        assert_eq!(decode(&log), Decoded::Rejected(Rejection::Hash), "topic {place}");
    }
    let mut dirty = real.clone();
    dirty.topics[2][0] = 1;
    assert_eq!(decode(&dirty), Decoded::Rejected(Rejection::Shape), "an address of more than 20 bytes");
    let mut elsewhere = real.clone();
    elsewhere.address = neg_risk_adapter();
    assert_eq!(decode(&elsewhere), Decoded::Rejected(Rejection::Contract));
    let mut nothing = real.clone();
    nothing.data[127] = 0;
    nothing.data[159] = 0;
    assert_eq!(decode(&nothing), Decoded::Rejected(Rejection::Payout), "nobody is paid");
    let mut cut = real.clone();
    cut.data.truncate(150);
    assert_eq!(decode(&cut), Decoded::Rejected(Rejection::Shape));
    let mut bare = real;
    bare.topics.pop();
    assert_eq!(decode(&bare), Decoded::Rejected(Rejection::Shape));
}

fn log(address: Address, topics: Vec<Word>, data: &[Word]) -> Log {
    Log { block: 9, log_index: 1, address, topics, data: data.concat(), tx_hash: [0; 32], time: 0 }
}

#[test]
fn conditions_with_other_slot_counts_are_strangers() {
    let (oracle, question) = ([7; 20], [8; 32]);
    let condition = keccak256(&[&oracle, &question, &abi::word(3)]);
    let topics =
        vec![CONDITION_PREPARATION, condition, abi::address_word(&Address::from_bytes(oracle)), question];
    assert_eq!(decode(&log(conditional_tokens(), topics.clone(), &[abi::word(3)])), Decoded::Stranger);
    let two = log(conditional_tokens(), topics, &[abi::word(2)]);
    assert_eq!(decode(&two), Decoded::Rejected(Rejection::Hash));
}

#[test]
fn a_market_is_the_hash_of_its_parts_and_its_questions_stand_in_its_last_byte() {
    let oracle = Address::from_bytes([5; 20]);
    let text = b"Who will win the election of 2028, and by how much?";
    let market = market_id(&oracle, 100, text);
    let mut padded = text.to_vec();
    padded.resize(64, 0);
    let [first, second] = [&padded[..32], &padded[32..]].map(|it| it.try_into().unwrap());
    let data = [abi::word(100), abi::word(64), abi::word(text.len() as u64), first, second];
    let topics = vec![MARKET_PREPARED, market, abi::address_word(&oracle)];
    let prepared = log(neg_risk_adapter(), topics, &data);
    assert_eq!(decode(&prepared), Decoded::Event(Event::Market { market, fee_bips: 100 }));
    let mut dearer = prepared;
    dearer.data[31] += 1;
    assert_eq!(decode(&dearer), Decoded::Rejected(Rejection::Hash));

    let question = question_id(&market, 3);
    let data = [abi::word(3), abi::word(64), abi::word(0)];
    let asked = log(neg_risk_adapter(), vec![QUESTION_PREPARED, market, question], &data);
    assert_eq!(decode(&asked), Decoded::Event(Event::Question { market, index: 3, question }));
    let mut other = asked;
    other.topics[2] = question_id(&market, 4);
    assert_eq!(decode(&other), Decoded::Rejected(Rejection::Hash));
}

/// The same event with its parameters indexed in every way: the first of them as topics, the others as data.
fn every_way(address: Address, signature: Word, parameters: &[Word], rest: &[Word]) -> Vec<Log> {
    (0u32..1 << parameters.len())
        .map(|indexed| {
            let is_topic = |place: &usize| indexed >> place & 1 == 1;
            let topics = (0..parameters.len()).filter(is_topic).map(|place| parameters[place]);
            let mut data: Vec<Word> = (0..parameters.len())
                .filter(|place| !is_topic(place))
                .map(|place| parameters[place])
                .collect();
            // The offset of the array behind them.
            if !rest.is_empty() {
                data.push(abi::word(32 * (data.len() as u64 + 1)));
                data.extend_from_slice(rest);
            }
            log(address, std::iter::once(signature).chain(topics).collect(), &data)
        })
        .collect()
}

#[test]
fn mirrors_are_found_wherever_their_parameters_stand() {
    let legacy: ConditionId =
        "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7".parse().unwrap();
    let twin = StructuralCondition::binary(legacy.low_half()).condition_id();
    let mirrors = Event::Mirrors(vec![Mirror { condition: twin, legacy }]);
    let parameters = [*twin.as_bytes(), *legacy.as_bytes()];
    for log in every_way(binary_module(), MIGRATION_REGISTERED, &parameters, &[]) {
        assert_eq!(decode(&log), Decoded::Event(mirrors.clone()), "{log:?}");
    }
    let mut other = *legacy.as_bytes();
    other[31] ^= 1;
    for log in every_way(binary_module(), MIGRATION_REGISTERED, &[*twin.as_bytes(), other], &[]) {
        assert!(matches!(decode(&log), Decoded::Rejected(_)), "{log:?}");
    }
}

#[test]
fn an_event_of_a_legacy_market_gives_the_twin_of_each_of_its_questions() {
    let mut market = [0x5a; 32];
    market[31] = 0;
    let base = ConditionId::from_bytes(market).low_half();
    let first = StructuralCondition::neg_risk(base, 3, 0).unwrap();
    let mut event = [0; 32];
    event[..29].copy_from_slice(first.event().as_bytes());
    for log in every_way(neg_risk_module(), EVENT_PREPARED, &[event, abi::word(3), market], &[]) {
        let Decoded::Event(Event::Mirrors(mirrors)) = decode(&log) else { panic!("{log:?}") };
        assert_eq!(mirrors.len(), 3);
        for (index, mirror) in (0u8..).zip(&mirrors) {
            let expected = StructuralCondition::neg_risk(base, 3, index.into()).unwrap();
            assert_eq!(mirror.condition, expected.condition_id());
            let legacy = condition_id(&neg_risk_adapter(), &question_id(&market, index));
            assert_eq!(mirror.legacy, legacy);
        }
    }
    let native = log(neg_risk_module(), vec![EVENT_PREPARED, event], &[abi::word(3), [0; 32]]);
    assert_eq!(decode(&native), Decoded::Implied);
    let mut stranger = market;
    stranger[20] ^= 1;
    let other = log(neg_risk_module(), vec![EVENT_PREPARED, event], &[abi::word(3), stranger]);
    assert_eq!(decode(&other), Decoded::Rejected(Rejection::Hash));
    assert!(EventId::from_bytes(event[..29].try_into().unwrap()).is_some());
}

#[test]
fn combos_are_checked_by_the_hash_of_their_legs_and_results_by_their_sum() {
    let leg = |middle: u8, last: u8| {
        let mut leg = [0; 32];
        (leg[0], leg[30], leg[31]) = (1, middle, last);
        leg
    };
    let condition: ConditionId =
        format!("032def24bfb0c5c57fb236fac08b94236a{}", "0".repeat(30)).parse().unwrap();
    let legs = [leg(1, 0), leg(2, 1)];
    let tail = [abi::word(2), legs[0], legs[1]];
    let combo = Event::Combo { condition, legs: legs.map(TokenId::from_be_bytes).to_vec() };
    for log in every_way(combinatorial_module(), COMBO_PREPARED, &[*condition.as_bytes()], &tail) {
        assert_eq!(decode(&log), Decoded::Event(combo.clone()));
    }
    let swapped = [abi::word(2), legs[1], legs[0]];
    for log in every_way(combinatorial_module(), COMBO_PREPARED, &[*condition.as_bytes()], &swapped) {
        assert!(matches!(decode(&log), Decoded::Rejected(_)));
    }
    let result = |first, second| [abi::word(2), abi::word(first), abi::word(second)];
    for log in every_way(
        combinatorial_module(),
        CONDITION_RESOLVED,
        &[*condition.as_bytes()],
        &result(250_000, 750_000),
    ) {
        let numerators = [250_000, 750_000].map(U256::from);
        assert_eq!(decode(&log), Decoded::Event(Event::Resolution { condition, numerators }));
    }
    for (first, second) in [(1, 1), (0, 0), (u64::MAX, 1)] {
        let topics = vec![CONDITION_RESOLVED, *condition.as_bytes()];
        let data: Vec<Word> = std::iter::once(abi::word(32)).chain(result(first, second)).collect();
        let log = log(combinatorial_module(), topics, &data);
        assert_eq!(decode(&log), Decoded::Rejected(Rejection::Payout));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_log_whatever_makes_it_panic(
        event in 0usize..11, contract in 0usize..6,
        topics in proptest::collection::vec(any::<[u8; 32]>(), 0..5),
        data in proptest::collection::vec(any::<u8>(), 0..400), small in proptest::collection::vec(0u64..300, 0..12),
    ) {
        let filter = everything();
        let address = filter.addresses().get(contract).copied().unwrap_or(Address::from_bytes([1; 20]));
        let signature = filter.topics()[0].get(event).copied().unwrap_or([0; 32]);
        let topics: Vec<Word> = std::iter::once(signature).chain(topics).collect();
        let words: Vec<Word> = small.into_iter().map(abi::word).collect();
        let mut log = Log { block: 0, log_index: 0, address, topics, data, tx_hash: [0; 32], time: 0 };
        let _ = decode(&log);
        log.data = words.concat();
        let _ = decode(&log);
    }

    #[test]
    fn a_log_with_any_one_byte_changed_is_never_another_condition(
        which in 0usize..2, place in 0usize..400, flip in 1u8..=255,
    ) {
        let mut log = Log::parse(NODE[which], None).unwrap();
        let of_topics = 32 * 3;
        if place < of_topics {
            log.topics[1 + place / 32][place % 32] ^= flip;
        } else if let Some(byte) = log.data.get_mut(place - of_topics) {
            *byte ^= flip;
        }
        let real = "be20fcfd54937c2a48a7b8521ca349e6a2c4373566328ebb950a8c35ab1be3d9";
        match decode(&log) {
            Decoded::Event(Event::Condition { condition, .. } | Event::Resolution { condition, .. }) => {
                prop_assert_eq!(condition.to_string(), real);
            }
            Decoded::Rejected(_) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
