//! The three definitions on wallets small enough to be added up by hand, and on random ones against integers.

use proptest::prelude::*;

use super::*;
use crate::ids::{ConditionId, TokenId, Wallet};

fn token(number: u8) -> TokenId {
    TokenId::from_be_bytes([number; 32])
}

/// Whole USD as micro-units.
fn usd(whole: f64) -> i128 {
    (whole * 1_000_000.0).round() as i128
}

/// A position in the `number`th token, an outcome of the `number / 2`th condition, from trades in order:
/// shares above zero bought, below sold, each at a price.
fn position(number: u8, payout: Option<Payout>, trades: &[(f64, f64)]) -> Position {
    let whole: Vec<Trade> = (trades.iter().zip(100..))
        .map(|((shares, price), time)| Trade::whole(time, usd(*shares), usd(-shares * price)))
        .collect();
    Position {
        wallet: Wallet::from_bytes([7; 20]),
        token_id: token(number),
        condition_id: ConditionId::from_bytes([number / 2 + 1; 32]),
        outcome_index: number % 2,
        label: String::new(),
        fills: trades.len() as u64,
        net_shares: Micro::whole(trades.iter().map(|(shares, _)| usd(*shares)).sum()),
        cashflow: Micro::whole(trades.iter().map(|(shares, price)| usd(-shares * price)).sum()),
        trades: whole,
        charged: Charged::default(),
        flows: FlowSums::default(),
        excluded: false,
        decision: Decision { payout, ..Decision::default() },
        otherwise: None,
        repeated: Repeated::default(),
    }
}

fn won() -> Option<Payout> {
    Some(Payout::of_winner(true))
}

fn lost() -> Option<Payout> {
    Some(Payout::of_winner(false))
}

fn flow(time: u32, kind: FlowKind, legs: &[(u8, f64)], cash: f64) -> Flow {
    let legs = legs.iter().map(|(number, shares)| Leg::new(token(*number), Micro::whole(usd(*shares))));
    Flow { time, place: (1, time), kind, legs: legs.collect(), cash: Micro::whole(usd(cash)) }
}

/// The totals in cents: resolved, certain, average cost.
fn totals(mut positions: Vec<Position>, flows: &[Flow], redemptions: Redemptions) -> [String; 3] {
    assert_eq!(add_flows(&mut positions, flows, TransferRule::Free), 0);
    let appraisal = appraise(&positions, flows, redemptions);
    let definitions = &appraisal.definitions;
    let sum = |gaps: &[Gap]| gaps.iter().map(|gap| gap.amount.clone()).sum::<Usd>();
    let resolved = definitions.resolved.clone();
    assert_eq!(resolved.clone() + sum(&appraisal.to_certain), definitions.certain);
    assert_eq!(resolved + sum(&appraisal.to_average_cost), definitions.average_cost);
    [&definitions.resolved, &definitions.certain, &definitions.average_cost].map(Usd::plain_cents)
}

#[test]
fn a_position_sold_out_in_an_open_market_is_certain() {
    let all = totals(vec![position(0, None, &[(100.0, 0.40), (-100.0, 0.60)])], &[], Redemptions::Assumed);
    assert_eq!(all, ["0.00", "20.00", "20.00"]);
}

#[test]
fn a_pair_is_certain_whether_it_is_held_or_merged() {
    let pair = || vec![position(0, None, &[(1_000.0, 0.50)]), position(1, None, &[(1_000.0, 0.40)])];
    assert_eq!(totals(pair(), &[], Redemptions::Assumed), ["0.00", "100.00", "0.00"]);
    let merged = [flow(200, FlowKind::Merge, &[(0, -1_000.0), (1, -1_000.0)], 1_000.0)];
    assert_eq!(totals(pair(), &merged, Redemptions::Known), ["0.00", "100.00", "100.00"]);
    let short = vec![position(0, None, &[(1_000.0, 0.50)]), position(1, None, &[(999.0, 0.40)])];
    assert_eq!(totals(short, &[], Redemptions::Assumed), ["0.00", "0.00", "0.00"]);
}

#[test]
fn a_fee_in_cash_is_paid_on_top_and_average_cost_does_not_know_it() {
    let bought = vec![position(0, won(), &[(100.0, 0.50)])];
    let fee = [flow(100, FlowKind::Fee, &[(0, 0.0)], -1.75)];
    assert_eq!(totals(bought, &fee, Redemptions::Assumed), ["48.25", "48.25", "50.00"]);
}

#[test]
fn a_loser_that_was_never_redeemed_is_no_loss_by_average_cost() {
    let bought = || vec![position(0, lost(), &[(100.0, 0.40)])];
    assert_eq!(totals(bought(), &[], Redemptions::Assumed), ["-40.00", "-40.00", "0.00"]);
    let appraisal = appraise(&bought(), &[], Redemptions::Assumed);
    let gap = &appraisal.to_average_cost[0];
    assert_eq!((gap.difference, gap.amount.cents()), (Difference::LosersNotRedeemed, "$40.00".into()));
    let redeemed = [flow(300, FlowKind::Redemption, &[(0, -100.0)], 0.0)];
    assert_eq!(totals(bought(), &redeemed, Redemptions::Known), ["-40.00", "-40.00", "-40.00"]);
}

#[test]
fn a_sale_without_a_purchase_counts_by_cash_and_not_by_average_cost() {
    let sold = vec![position(0, lost(), &[(-100.0, 0.70)])];
    assert_eq!(totals(sold, &[], Redemptions::Assumed), ["70.00", "70.00", "0.00"]);
}

#[test]
fn a_split_that_is_sold_on_one_side_comes_out_alike_by_cash_and_by_average_cost() {
    let split = [flow(50, FlowKind::Split, &[(0, 100.0), (1, 100.0)], -100.0)];
    let redeemed = flow(900, FlowKind::Redemption, &[(1, -100.0)], 100.0);
    let positions = || vec![position(0, lost(), &[(-100.0, 0.60)]), position(1, won(), &[])];
    assert_eq!(totals(positions(), &split, Redemptions::Assumed), ["60.00"; 3]);
    let all = [split[0].clone(), redeemed];
    assert_eq!(totals(positions(), &all, Redemptions::Known), ["60.00"; 3]);
    // Before the market resolves, the side that was sold is certain: half of a USD each was paid for it.
    let open = vec![position(0, None, &[(-100.0, 0.60)]), position(1, None, &[])];
    assert_eq!(totals(open, &split, Redemptions::Known), ["0.00", "10.00", "10.00"]);
}

#[test]
fn a_conversion_moves_cost_to_the_other_questions() {
    // NO of the first two of three questions, 100 each at 0.50 and 0.60, become 100 YES of the third and 100 in cash.
    let bought = |payouts: [Option<Payout>; 3]| {
        let [first, second, third] = payouts;
        vec![
            position(1, first, &[(100.0, 0.50)]),
            position(3, second, &[(100.0, 0.60)]),
            position(4, third, &[]),
        ]
    };
    let convert = [flow(300, FlowKind::Conversion, &[(1, -100.0), (3, -100.0), (4, 100.0)], 100.0)];
    // The third question wins: its YES pays 100, all in all 90 for 110 paid and 200 received.
    let all = totals(bought([won(), won(), won()]), &convert, Redemptions::Assumed);
    assert_eq!(all, ["90.00"; 3]);
    // The first wins: YES of the third pays nothing and is never redeemed, which cost 10 by average cost.
    let all = totals(bought([lost(), won(), lost()]), &convert, Redemptions::Assumed);
    assert_eq!(all, ["-10.00", "-10.00", "0.00"]);
}

#[test]
fn a_migration_moves_the_cost_to_the_mirror() {
    // A mirror is the same outcome of the same condition.
    let mut mirror = position(8, won(), &[(-40.0, 0.90)]);
    mirror.condition_id = position(0, None, &[]).condition_id;
    let held = vec![position(0, won(), &[(100.0, 0.50)]), mirror];
    let moved = [flow(100, FlowKind::Migration, &[(0, -50.0), (8, 50.0)], 0.0)];
    assert_eq!(totals(held, &moved, Redemptions::Assumed), ["46.00"; 3]);
}

#[test]
fn shares_from_another_wallet_cost_what_the_rule_says() {
    let position = || vec![position(0, won(), &[(-100.0, 0.70)])];
    let mut given = flow(50, FlowKind::Transfer, &[(0, 100.0)], 0.0);
    assert_eq!(totals(position(), &[given.clone()], Redemptions::Assumed), ["70.00", "70.00", "0.00"]);
    given.legs[0].price = Some("0.25".parse().unwrap());
    let by = |rule| {
        let mut positions = position();
        add_flows(&mut positions, std::slice::from_ref(&given), rule);
        appraise(&positions, &[], Redemptions::Assumed).definitions.resolved.plain_cents()
    };
    assert_eq!([by(TransferRule::Market), by(TransferRule::Exclude)], ["45.00", "0.00"]);
}

#[test]
fn a_redemption_proves_a_payout_that_no_table_has() {
    let bought = vec![position(0, None, &[(100.0, 0.40)])];
    let redeemed = [flow(300, FlowKind::Redemption, &[(0, -100.0)], 100.0)];
    assert_eq!(totals(bought, &redeemed, Redemptions::Known), ["0.00", "60.00", "60.00"]);
}

proptest! {
    #[test]
    fn once_every_position_is_closed_the_definitions_agree(
        trades in prop::collection::vec((1_i128..1_000_000_000, 0_i128..1_000_000, 0_u8..2), 1..30),
        splits in prop::collection::vec((1_i128..1_000_000_000, 0_u32..40), 0..5),
    ) {
        // Purchases and splits at random times, then everything is sold at random prices.
        let mut positions = vec![position(0, won(), &[]), position(1, lost(), &[])];
        for (time, (shares, price, side)) in (1_u32..).zip(&trades) {
            let cash = -(shares * price / 1_000_000);
            add(&mut positions[usize::from(*side)], Trade::whole(time, *shares, cash));
        }
        let splits: Vec<Flow> = splits.iter().map(|(shares, time)| {
            let legs = [0, 1].map(|number| Leg::new(token(number), Micro::whole(*shares))).to_vec();
            let cash = Micro::whole(-shares);
            Flow { time: *time, place: (1, 1), kind: FlowKind::Split, legs, cash }
        }).collect();
        let split: i128 = splits.iter().map(|it| it.legs[0].shares.exact().parse::<i128>().unwrap()).sum();
        for (position, (_, price, _)) in positions.iter_mut().zip(trades.iter().cycle()) {
            let held: i128 = position.net_shares.exact().parse::<i128>().unwrap() + split;
            add(position, Trade::whole(1_000, -held, held * price / 1_000_000));
        }
        add_flows(&mut positions, &splits, TransferRule::Free);
        let definitions = appraise(&positions, &splits, Redemptions::Known).definitions;
        prop_assert_eq!(&definitions.resolved, &definitions.certain);
        prop_assert_eq!(&definitions.resolved, &definitions.average_cost);
    }
}

fn add(position: &mut Position, trade: Trade) {
    let whole = |parts: &num_bigint::BigInt, decimals| {
        Micro(num_rational::BigRational::new(parts.clone(), history::ten_to(decimals)))
    };
    position.net_shares.0 += whole(&trade.shares, history::SHARE_DECIMALS).0;
    position.cashflow.0 += whole(&trade.cash, history::CASH_DECIMALS).0;
    position.trades.push(trade);
}
