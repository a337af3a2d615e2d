//! Twins of negative-risk markets: what the chain registered, and the guess where only the market is known.

use std::collections::BTreeMap;

use backfill::ctf;
use backfill::demo::load;
use backfill::ids::{ConditionId, StructuralCondition};
use backfill::phases::derive::{self, DeriveOptions, DeriveResult};
use backfill::phases::merge::{self, MergeOptions};
use backfill::phases::validate::{self, Baseline, ValidateOptions};

use crate::common::World;

const WALLET: &str = "0x2222222222222222222222222222222222222222";

/// Questions of the market.
const QUESTIONS: u16 = 3;

/// The market's id: the last byte is its questions'.
fn market() -> [u8; 32] {
    let mut market = [0x5a; 32];
    market[31] = 0;
    market
}

fn legacy(question: u16) -> ConditionId {
    ctf::neg_risk_condition(&market(), question as u8).unwrap()
}

fn mirror(question: u16) -> StructuralCondition {
    let base = ConditionId::from_bytes(market()).low_half();
    StructuralCondition::neg_risk(base, QUESTIONS, question).unwrap()
}

/// One wallet buys 4 shares of each question's YES at 0.25, and 2 of the first one's NO at 0.50. The legacy market paid
/// NO, YES, and both sides half: it made -1, 3, 1, and 1.
async fn world() -> World {
    let world = World::new().await;
    load::create_tables(&world.client(), &world.database).await.unwrap();
    let bought =
        (0..QUESTIONS).map(|question| (question, 0, "0.25", 4_000_000)).chain([(0, 1, "0.5", 2_000_000)]);
    for (nth, (question, index, price, size)) in bought.enumerate() {
        let token = mirror(question).token(index).unwrap();
        world
            .run(&format!(
                "INSERT INTO {{d}}.clob_fills (fill_id, proxy_wallet, asset_id, side, price, size, timestamp) \
                 VALUES ('{nth}', '{WALLET}', '{token}', 'BUY', {price}, {size}, now())"
            ))
            .await;
    }
    for (question, paid) in (0..QUESTIONS).zip(["[0, 1]", "[1, 0]", "[1, 1]"]) {
        let denominator = if paid == "[1, 1]" { 2 } else { 1 };
        world
            .run(&format!(
                "INSERT INTO {{d}}.market_resolutions_final (condition_id_norm, payout_numerators, payout_denominator, \
                 outcome_count, winning_index, updated_at, resolved_at) \
                 VALUES ('{}', {paid}, {denominator}, 2, 65535, now(), now())",
                legacy(question)
            ))
            .await;
    }
    world.context(&[]).await.store.create_chain_tables().await.unwrap();
    world
}

/// The market and its questions, as the chain tells them.
async fn prepare(world: &World, questions: u16) {
    let id = ConditionId::from_bytes(market());
    for question in 0..questions {
        world
            .run(&format!(
                "INSERT INTO {{s}}.neg_risk_markets VALUES ('{id}', 100, {question}, '{:064x}', 1, {question}, 'chain', now())",
                question + 1
            ))
            .await;
    }
}

async fn register(world: &World, question: u16, of: ConditionId) {
    world
        .run(&format!(
            "INSERT INTO {{s}}.chain_conditions VALUES ('{}', 2, '', '', '{of}', 2, {question}, '', 'chain', now())",
            mirror(question).condition_id()
        ))
        .await;
}

async fn derived(world: &World, more: &[&str], repair: bool) -> DeriveResult {
    let context = world.context(more).await;
    let result = derive::run(&context, &DeriveOptions::default()).await.unwrap();
    merge::run(&context, &MergeOptions { repair, ..MergeOptions::default() }).await.unwrap();
    result
}

/// Under which condition each token stands in the map.
async fn mapped(world: &World) -> BTreeMap<(u16, u8), String> {
    let sql = "SELECT token_id, condition_id_norm, outcome_index FROM {d}.ctf_token_map FINAL";
    let rows: Vec<(String, String, u8)> = world.all(sql).await;
    let of = |token: &str| {
        let own =
            |(question, index): &(u16, u8)| mirror(*question).token(*index).unwrap().to_string() == token;
        (0..QUESTIONS).flat_map(|question| [(question, 0), (question, 1)]).find(own).unwrap()
    };
    rows.iter()
        .map(|(token, condition, index)| {
            assert_eq!(of(token).1, *index);
            (of(token), condition.clone())
        })
        .collect()
}

/// Every token under what `condition` says of its question.
fn all_under(condition: impl Fn(u16) -> ConditionId) -> BTreeMap<(u16, u8), String> {
    let tokens = [(0, 0), (0, 1), (1, 0), (2, 0)];
    tokens.into_iter().map(|token| (token, condition(token.0).to_string())).collect()
}

/// What the wallet made, and its resolved positions.
async fn pnl(world: &World, more: &[&str]) -> (String, usize) {
    let options = ValidateOptions {
        baselines: vec![Baseline::new(WALLET.parse().unwrap(), "4".parse().unwrap())],
        ..ValidateOptions::default()
    };
    let result = validate::run(&world.context(more).await, &options).await.unwrap().wallets.remove(0);
    let resolved = result.positions.iter().filter(|position| position.realized().is_some()).count();
    (result.total.exact(), resolved)
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_mirrors_stand_under_their_legacy_condition_and_take_its_payouts() {
    let world = world().await;
    prepare(&world, QUESTIONS).await;
    for question in 0..QUESTIONS {
        register(&world, question, legacy(question)).await;
    }
    let result = derived(&world, &[], false).await;
    assert_eq!((result.inserted, result.mirrors, result.structural), (4, 4, 0));
    assert_eq!(mapped(&world).await, all_under(legacy));
    assert_eq!(pnl(&world, &[]).await, ("4".to_owned(), 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_guessed_is_a_mirror_where_that_is_asked_for_and_rewritten_once_it_is_registered() {
    let own = |question| mirror(question).condition_id();
    let asked = ["--guess-neg-risk-mirrors"];
    let guessed = world().await;
    prepare(&guessed, QUESTIONS).await;
    assert_eq!(derived(&guessed, &asked, false).await.mirrors, 4);
    assert_eq!(mapped(&guessed).await, all_under(legacy));
    assert_eq!(pnl(&guessed, &asked).await, ("4".to_owned(), 4));
    // Without being asked for, nothing is guessed; of a market with another number of questions neither.
    for (questions, more) in [(QUESTIONS, &[][..]), (QUESTIONS + 1, &asked)] {
        let world = world().await;
        prepare(&world, questions).await;
        let result = derived(&world, more, false).await;
        assert_eq!((result.mirrors, result.structural), (0, 4), "{questions}");
        assert_eq!(mapped(&world).await, all_under(own));
        assert_eq!(pnl(&world, more).await.1, 0, "no payout is said of these");
    }
    // Registered afterwards, one of them falsely: what recomputing does not give is not believed.
    let later = world().await;
    assert_eq!(derived(&later, &[], false).await.structural, 4);
    prepare(&later, QUESTIONS).await;
    register(&later, 0, legacy(0)).await;
    register(&later, 1, legacy(1)).await;
    register(&later, 2, legacy(1)).await;
    derived(&later, &[], true).await;
    let expected = all_under(|question| if question == 2 { own(question) } else { legacy(question) });
    assert_eq!(mapped(&later).await, expected);
    assert_eq!(pnl(&later, &[]).await, ("3".to_owned(), 3));
}
