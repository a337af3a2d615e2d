//! Transactions as the chain has them, wallet by wallet: what they did comes out, and nothing is counted twice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ruint::aliases::U256;

use super::signatures as sig;
use super::*;
use crate::chain::abi::{address_word, word};
use crate::chain::contracts::{binary_module, conditional_tokens, neg_risk_adapter, neg_risk_module};
use crate::chain::{Log, Word, keccak256};
use crate::ctf::{default_collaterals, token_id};
use crate::ids::{Address, ConditionId, Module, StructuralCondition, TokenId, Wallet};
use crate::pnl::FlowKind;

fn wallet() -> Wallet {
    Wallet::from_bytes([0xaa; 20])
}

fn own() -> Address {
    Address::from_bytes([0xaa; 20])
}

fn nobody() -> Address {
    Address::from_bytes([0; 20])
}

/// A collateral adapter, as users have gone through since April 2026.
fn middleman() -> Address {
    Address::from_bytes([0xad; 20])
}

fn condition(number: u8) -> ConditionId {
    ConditionId::from_bytes([number; 32])
}

fn tokens(number: u8) -> [TokenId; 2] {
    [0, 1].map(|index| token_id(&condition(number), index, &default_collaterals()[0].address))
}

/// One transaction's logs, numbered as they come.
#[derive(Default)]
struct Transaction(Vec<Log>);

impl Transaction {
    fn log(mut self, address: Address, topics: Vec<Word>, data: Vec<Word>) -> Self {
        let log_index = 10 + self.0.len() as u32;
        let data = data.concat();
        self.0.push(Log { block: 7, log_index, address, topics, data, tx_hash: [7; 32], time: 9 });
        self
    }

    fn moves_at(self, at: Address, from: Address, to: Address, amounts: &[(TokenId, u64)]) -> Self {
        let count = amounts.len() as u64;
        let mut data = vec![word(64), word(64 + 32 * (count + 1)), word(count)];
        data.extend(amounts.iter().map(|(token, _)| token.to_be_bytes()));
        data.push(word(count));
        data.extend(amounts.iter().map(|(_, amount)| word(*amount)));
        let topics = vec![sig::TRANSFER_BATCH, address_word(&own()), address_word(&from), address_word(&to)];
        self.log(at, topics, data)
    }

    fn moves(self, from: Address, to: Address, amounts: &[(TokenId, u64)]) -> Self {
        self.moves_at(conditional_tokens(), from, to, amounts)
    }

    fn ctf(self, signature: Word, holder: Address, number: u8, amount: u64) -> Self {
        let topics = vec![signature, address_word(&holder), [0; 32], *condition(number).as_bytes()];
        let collateral = address_word(&default_collaterals()[0].address);
        let data = vec![collateral, word(96), word(amount), word(2), word(1), word(2)];
        self.log(conditional_tokens(), topics, data)
    }

    fn fill(self, maker: Address, token: TokenId, buys: bool, shares: u64, cash: u64, fee: u64) -> Self {
        let topics = vec![sig::ORDER_FILLED, [1; 32], address_word(&maker), address_word(&middleman())];
        let (gives, gets) =
            if buys { ([0; 32], token.to_be_bytes()) } else { (token.to_be_bytes(), [0; 32]) };
        let (given, got) = if buys { (cash, shares) } else { (shares, cash) };
        self.log(exchanges()[0], topics, vec![gives, gets, word(given), word(got), word(fee)])
    }

    fn flows(&self) -> Vec<(FlowKind, TokenId, i128, i128)> {
        self.flows_by(&BTreeMap::new())
    }

    fn flows_by(&self, fee_bips: &BTreeMap<Word, u32>) -> Vec<(FlowKind, TokenId, i128, i128)> {
        let collaterals = default_collaterals();
        let rules = FlowRules { collaterals: &collaterals, fee_bips };
        let logs: Vec<(&Log, FlowEvent)> =
            self.0.iter().filter_map(|log| Some((log, decode_flow(log, &default_collaterals())?))).collect();
        flows_of(wallet(), &logs, &rules)
            .iter()
            .map(|row| (row.kind, row.token, row.shares, row.cash))
            .collect()
    }
}

#[test]
fn a_split_is_a_split_whether_the_wallet_or_an_adapter_is_named() {
    let [yes, no] = tokens(1);
    let split = [(FlowKind::Split, yes, 100, -100), (FlowKind::Split, no, 100, 0)];
    let own_name = Transaction::default().moves(nobody(), own(), &[(yes, 100), (no, 100)]).ctf(
        sig::CTF_SPLIT,
        own(),
        1,
        100,
    );
    assert_eq!(own_name.flows(), split);
    let by_adapter = Transaction::default()
        .moves(nobody(), middleman(), &[(yes, 100), (no, 100)])
        .ctf(sig::CTF_SPLIT, middleman(), 1, 100)
        .moves(middleman(), own(), &[(yes, 100), (no, 100)]);
    assert_eq!(by_adapter.flows(), split);
    let strangers = Transaction::default().moves(nobody(), middleman(), &[(yes, 100), (no, 100)]).ctf(
        sig::CTF_SPLIT,
        middleman(),
        1,
        100,
    );
    assert_eq!(strangers.flows(), []);
}

#[test]
fn shares_of_a_fill_are_no_transfer_and_a_fee_in_shares_is_one_of_its_own() {
    let [yes, no] = tokens(1);
    let bought = Transaction::default()
        .moves(middleman(), own(), &[(yes, 98)])
        .fill(own(), yes, true, 100, 40, 2)
        .fill(middleman(), no, true, 100, 60, 1);
    assert_eq!(bought.flows(), [(FlowKind::Fee, yes, -2, 0)]);
    let sold =
        Transaction::default().moves(own(), middleman(), &[(yes, 50)]).fill(own(), yes, false, 50, 30, 1);
    assert_eq!(sold.flows(), [(FlowKind::Fee, yes, 0, -1)]);
}

#[test]
fn a_fee_since_april_2026_is_cash() {
    let [yes, _] = tokens(1);
    let topics =
        vec![sig::ORDER_FILLED_SINCE_APRIL_2026, [1; 32], address_word(&own()), address_word(&middleman())];
    let data = vec![
        word(0),
        yes.to_be_bytes(),
        word(50_000_000),
        word(100_000_000),
        word(1_750_000),
        [0; 32],
        [0; 32],
    ];
    let bought = Transaction::default().log(exchanges()[2], topics, data).moves(
        middleman(),
        own(),
        &[(yes, 100_000_000)],
    );
    assert_eq!(bought.flows(), [(FlowKind::Fee, yes, 0, -1_750_000)]);
}

#[test]
fn what_nothing_accounts_for_is_a_transfer() {
    let [yes, no] = tokens(1);
    let given = Transaction::default().moves(own(), middleman(), &[(yes, 5), (no, 7)]);
    let mut found = given.flows();
    found.sort();
    let mut expected = [(FlowKind::Transfer, yes, -5, 0), (FlowKind::Transfer, no, -7, 0)];
    expected.sort();
    assert_eq!(found, expected);
    let to_itself = Transaction::default().moves(own(), own(), &[(yes, 5)]);
    assert_eq!(to_itself.flows(), []);
    let others_contract =
        Transaction::default().moves_at(middleman(), middleman(), own(), &[(yes, 1_000_000)]);
    assert_eq!(others_contract.flows(), [], "a stranger's contract moves no shares");
    // A split of which a part is given on at once.
    let part = Transaction::default()
        .moves(nobody(), own(), &[(yes, 100), (no, 100)])
        .ctf(sig::CTF_SPLIT, own(), 1, 100)
        .moves(own(), middleman(), &[(no, 30)]);
    assert_eq!(part.flows().iter().filter(|it| it.1 == no).map(|it| it.2).sum::<i128>(), 70);
}

#[test]
fn a_redemption_pays_what_the_event_says_and_takes_what_was_held() {
    let [yes, no] = tokens(2);
    let topics = vec![
        sig::CTF_REDEMPTION,
        address_word(&middleman()),
        address_word(&default_collaterals()[0].address),
        [0; 32],
    ];
    let data = vec![*condition(2).as_bytes(), word(96), word(60), word(2), word(1), word(2)];
    let redeemed = Transaction::default()
        .moves(own(), middleman(), &[(yes, 60), (no, 10)])
        .moves(middleman(), nobody(), &[(yes, 60), (no, 10)])
        .log(conditional_tokens(), topics, data);
    let expected = [(FlowKind::Redemption, yes, -60, 60), (FlowKind::Redemption, no, -10, 0)];
    assert_eq!(redeemed.flows(), expected);
}

/// The tokens of a question of market `[9; 31] 00`.
fn question(number: u8, index: u8) -> TokenId {
    let mut question_id = [9; 32];
    question_id[31] = number;
    let condition = keccak256(&[neg_risk_adapter().as_bytes(), &question_id, &word(2)]);
    token_id(&ConditionId::from_bytes(condition), index, &default_collaterals()[1].address)
}

#[test]
fn a_conversion_turns_the_no_of_some_questions_into_the_yes_of_the_others_and_cash() {
    let mut market = [9; 32];
    market[31] = 0;
    let index_set = U256::from(0b101_u64).to_be_bytes();
    let topics = vec![sig::CONVERTED, address_word(&own()), market, index_set];
    let converted = Transaction::default()
        .moves(own(), neg_risk_adapter(), &[(question(0, 1), 1_000), (question(2, 1), 1_000)])
        .moves(neg_risk_adapter(), own(), &[(question(1, 0), 980), (question(3, 0), 980)])
        .log(neg_risk_adapter(), topics, vec![word(1_000)]);
    let kind = FlowKind::Conversion;
    let mut expected = vec![
        (kind, question(0, 1), -1_000, 980),
        (kind, question(2, 1), -1_000, 0),
        (kind, question(1, 0), 980, 0),
        (kind, question(3, 0), 980, 0),
    ];
    let mut found = converted.flows();
    assert_eq!(found[0], expected[0], "the cash of k − 1 is in part 0");
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_conversion_of_all_questions_pays_by_the_markets_fee_and_two_at_once_are_told_apart() {
    let mut market = [9; 32];
    market[31] = 0;
    let converted = |transaction: Transaction, set: u64, amount: u64| {
        let topics = vec![sig::CONVERTED, address_word(&own()), market, U256::from(set).to_be_bytes()];
        transaction.log(neg_risk_adapter(), topics, vec![word(amount)])
    };
    let gone = [(question(0, 1), 1_001), (question(1, 1), 1_001)];
    let all = converted(Transaction::default().moves(own(), neg_risk_adapter(), &gone), 0b11, 1_001);
    let cash = |flows: Vec<(FlowKind, TokenId, i128, i128)>| flows.iter().map(|it| it.3).sum::<i128>();
    assert_eq!(cash(all.flows_by(&BTreeMap::from([(market, 200)]))), 981, "the fee is cut to whole units");
    assert_eq!(cash(all.flows()), 1_001, "no fee is known");
    // Both give the YES of the third question.
    let gone = [(question(0, 1), 300), (question(1, 1), 200)];
    let twice = Transaction::default().moves(own(), neg_risk_adapter(), &gone);
    let twice = twice.moves(neg_risk_adapter(), own(), &[(question(2, 0), 500), (question(1, 0), 300)]);
    let twice = converted(
        converted(twice.moves(neg_risk_adapter(), own(), &[(question(0, 0), 200)]), 0b01, 300),
        0b10,
        200,
    );
    let flows = twice.flows_by(&BTreeMap::from([(market, 0)]));
    assert_eq!(cash(flows.clone()), 0);
    let yes: i128 = flows.iter().filter(|it| it.1 == question(2, 0)).map(|it| it.2).sum();
    assert_eq!(yes, 500);
    assert!(flows.iter().all(|it| it.0 == FlowKind::Conversion), "{flows:?}");
}

#[test]
fn the_second_generations_changes_come_out_by_the_same_rules() {
    let manager = FlowContracts::position_manager();
    let native = StructuralCondition::binary(77);
    let [yes, no] = [0, 1].map(|index| native.token(index).unwrap());
    let topics = vec![sig::MODULE_SPLIT, address_word(&middleman()), *native.condition_id().as_bytes()];
    let data = vec![address_word(&own()), address_word(&own()), word(40)];
    let split = Transaction::default().moves_at(manager, nobody(), own(), &[(yes, 40), (no, 40)]).log(
        binary_module(),
        topics,
        data,
    );
    assert_eq!(split.flows(), [(FlowKind::Split, yes, 40, -40), (FlowKind::Split, no, 40, 0)]);

    let event: Vec<StructuralCondition> =
        (0..=3).map(|at| StructuralCondition::new(Module::NegRisk, 5, 3, 0, at).unwrap()).collect();
    let all: Vec<(TokenId, u64)> = event.iter().map(|it| (it.token(0).unwrap(), 25)).collect();
    let mut id = *event[0].condition_id().as_bytes();
    id[29..].fill(0);
    let topics = vec![sig::HORIZONTAL_SPLIT, address_word(&middleman()), id];
    let horizontal = Transaction::default()
        .log(neg_risk_module(), topics, vec![address_word(&own()), word(25)])
        .moves_at(manager, nobody(), own(), &all);
    let cash: i128 = horizontal.flows().iter().map(|it| it.3).sum();
    assert_eq!((horizontal.flows().len(), cash), (4, -25));

    let [legacy, _] = tokens(3);
    let topics =
        vec![sig::MIGRATED, address_word(&own()), *native.condition_id().as_bytes(), yes.to_be_bytes()];
    let migrated = Transaction::default()
        .moves(own(), binary_module(), &[(legacy, 12)])
        .log(binary_module(), topics, vec![word(0), word(12)])
        .moves_at(manager, nobody(), own(), &[(yes, 12)]);
    assert_eq!(migrated.flows(), [(FlowKind::Migration, legacy, -12, 0), (FlowKind::Migration, yes, 12, 0)]);
}

#[test]
fn strangers_collaterals_and_conditions_of_many_slots_are_left_out() {
    let mut split = Transaction::default().ctf(sig::CTF_SPLIT, own(), 1, 100);
    split.0[0].data[12..32].fill(9);
    assert_eq!(decode_flow(&split.0[0], &default_collaterals()), None);
    let mut slots = Transaction::default().ctf(sig::CTF_SPLIT, own(), 1, 100);
    slots.0[0].data[191] = 4;
    assert_eq!(decode_flow(&slots.0[0], &default_collaterals()), None);
}

#[test]
fn the_filters_take_what_names_the_wallet_at_its_place_and_nothing_else() {
    let [holders, givers, getters] = stakeholder_filter(&[wallet()]);
    let [yes, no] = tokens(1);
    let all = Transaction::default()
        .ctf(sig::CTF_SPLIT, own(), 1, 1)
        .ctf(sig::CTF_SPLIT, middleman(), 1, 1)
        .moves(own(), middleman(), &[(yes, 1)])
        .moves(middleman(), own(), &[(no, 1)])
        .fill(own(), yes, true, 1, 1, 0)
        .fill(middleman(), yes, true, 1, 1, 0);
    let taken = |filter: &crate::chain::LogFilter| -> Vec<u32> {
        all.0.iter().filter(|log| filter.takes(log)).map(|log| log.log_index).collect()
    };
    assert_eq!([taken(&holders), taken(&givers), taken(&getters)], [vec![10], vec![12, 14], vec![13]]);
    assert!(all.0.iter().filter(|log| changes_filter().takes(log)).count() == 2);
}

proptest! {
    #[test]
    fn no_log_whatever_makes_the_decoder_panic(
        which in 0_usize..18, at in 0_usize..4, topics in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        data in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let signatures = [&sig::ALL_CHANGES[..], &[sig::TRANSFER_SINGLE, sig::TRANSFER_BATCH, sig::ORDER_FILLED, sig::ORDER_FILLED_SINCE_APRIL_2026]].concat();
        let address = [conditional_tokens(), neg_risk_adapter(), binary_module(), exchanges()[0]][at];
        let topics: Vec<Word> = std::iter::once(signatures[which]).chain(topics).collect();
        let log = Log { block: 1, log_index: 1, address, topics, data, tx_hash: [0; 32], time: 0 };
        if let Some(event) = decode_flow(&log, &default_collaterals()) {
            let (collaterals, fee_bips) = (default_collaterals(), BTreeMap::new());
            let _ = flows_of(wallet(), &[(&log, event)], &FlowRules { collaterals: &collaterals, fee_bips: &fee_bips });
        }
    }

    #[test]
    fn every_share_that_moved_is_accounted_for(
        amounts in prop::collection::vec((0_u8..3, 0_usize..2, 1_u64..1_000, any::<bool>()), 1..12), splits in prop::collection::vec((0_u8..3, 1_u64..500), 0..4),
    ) {
        // Random moves and splits: whatever they are taken for, their shares add up to what moved.
        let mut transaction = Transaction::default();
        let mut moved = BTreeMap::<TokenId, i128>::new();
        for (number, index, amount, came) in amounts {
            let token = tokens(number)[index];
            let (from, to) = if came { (middleman(), own()) } else { (own(), middleman()) };
            transaction = transaction.moves(from, to, &[(token, amount)]);
            *moved.entry(token).or_default() += if came { i128::from(amount) } else { -i128::from(amount) };
        }
        for (number, amount) in splits {
            transaction = transaction.ctf(sig::CTF_SPLIT, middleman(), number, amount);
        }
        let mut found = BTreeMap::<TokenId, i128>::new();
        for (_, token, shares, _) in transaction.flows() {
            *found.entry(token).or_default() += shares;
        }
        moved.retain(|_, shares| *shares != 0);
        found.retain(|_, shares| *shares != 0);
        prop_assert_eq!(found, moved);
    }
}
