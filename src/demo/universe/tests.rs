//! The generator's promises, checked on the rows that it emits.

use std::collections::{HashMap, HashSet};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

use super::*;
use crate::ids::Wallet;

fn small(seed: u64) -> Universe {
    let options = UniverseOptions {
        seed,
        traded_tokens: 2_001,
        mapped_tokens: 400,
        fills: 6_000,
        wallets: 40,
        ..UniverseOptions::default()
    };
    Universe::generate(options).unwrap()
}

fn usable(row: &MapRow) -> bool {
    row.token_id.parse::<TokenId>().is_ok()
        && row.condition_id_norm.parse::<ConditionId>().is_ok_and(|condition| !condition.is_zero())
        && row.outcome_index < 2
}

/// The distinct fills: of copies the one that arrived last.
fn distinct(rows: impl Iterator<Item = FillRow>) -> HashMap<(String, String), FillRow> {
    let mut newest: HashMap<(String, String), FillRow> = HashMap::new();
    for row in rows {
        let key = (row.fill_id.clone(), row.proxy_wallet.to_lowercase());
        match newest.get(&key) {
            Some(kept) if kept.ingested_at >= row.ingested_at => {}
            _ => drop(newest.insert(key, row)),
        }
    }
    newest
}

#[test]
fn the_rows_have_exactly_the_counts_that_the_generator_states() {
    for seed in [1, 2, 3] {
        let universe = small(seed);
        let expected = universe.expected();
        let rows: Vec<FillRow> = universe.fills().collect();
        let traded: HashSet<TokenId> = rows.iter().filter_map(|row| row.asset_id.parse().ok()).collect();
        let usable: HashSet<TokenId> =
            universe.map_rows().filter(usable).map(|row| row.token_id.parse().unwrap()).collect();
        let mapped = traded.intersection(&usable).count();
        assert_eq!((traded.len(), mapped, rows.len()), (2_001, 400, 6_000));
        assert_eq!((expected.traded, expected.mapped, expected.unmapped), (2_001, 400, 1_601));
        assert_eq!(expected.fills, 6_000);

        let malformed = || rows.iter().filter(|row| row.asset_id.parse::<TokenId>().is_err());
        let malformed_ids: HashSet<&String> = malformed().map(|row| &row.asset_id).collect();
        assert_eq!(expected.malformed_fills, malformed().count() as u64);
        assert_eq!(expected.malformed_asset_ids, malformed_ids.len() as u64);
        assert!(malformed_ids.contains(&String::new()));

        let newest = distinct(rows.iter().cloned());
        assert_eq!(expected.distinct_fills, newest.len() as u64);
        let key = |row: &FillRow| (row.fill_id.clone(), row.proxy_wallet.to_lowercase());
        let changed: HashSet<_> =
            rows.iter().filter(|row| newest[&key(row)].size != row.size).map(key).collect();
        assert_eq!(expected.changed_fills, changed.len() as u64);
        assert!(expected.changed_fills > 2 && expected.distinct_fills < expected.fills);
        assert_eq!(expected.map_rows, universe.map_rows().count() as u64);
    }
}

#[test]
fn derivable_tokens_are_those_whose_condition_stands_in_some_row() {
    for seed in [4, 5, 6] {
        let universe = small(seed);
        let in_fills = universe.fills().filter_map(|row| row.condition_id.parse::<ConditionId>().ok());
        let in_map = universe.map_rows().filter(usable).map(|row| row.condition_id_norm.parse().unwrap());
        let in_resolutions = universe.resolutions().map(|row| row.condition_id_norm.parse().unwrap());
        let in_winners = universe.winners().map(|row| row.cid.parse().unwrap());
        let conditions: HashSet<ConditionId> =
            in_fills.chain(in_map).chain(in_resolutions).chain(in_winners).collect();
        let unmapped = || universe.traded_tokens().filter(|outcome| !outcome.mapped());
        let derivable = unmapped().filter(|outcome| conditions.contains(&outcome.market.condition())).count();
        assert_eq!(universe.expected().derivable, derivable as u64);
        assert!(derivable > 800 && derivable < 1_601, "{derivable}: work for derive and for the tracks");
    }
}

#[test]
fn coverage_can_reach_97_percent_and_the_shares_are_met() {
    for seed in [1, 2, 3] {
        let universe = small(seed);
        let expected = universe.expected();
        // The worst case: no track takes over what the other one does not find, and nothing is derived.
        let worst = expected.known_to_dome.min(expected.known_to_goldsky);
        assert!(expected.mapped + worst >= expected.traded * 97 / 100);
        assert!(
            expected.unknown_to_both * 1_000 >= expected.unmapped * 5,
            "about one percent is known to nobody"
        );
        assert!(expected.unknown_to_both * 1_000 <= expected.unmapped * 15);
        assert!(expected.known_to_dome < expected.unmapped - expected.unknown_to_both);
    }
}

#[test]
fn the_default_world_has_the_guides_sizes() {
    let universe = Universe::generate(UniverseOptions::default()).unwrap();
    let expected = universe.expected();
    assert_eq!((expected.traded, expected.mapped, expected.unmapped), (118_870, 19_964, 98_906));
    assert_eq!(expected.map_rows, 41_130);
    let all: HashSet<TokenId> = universe.markets().flat_map(|market| *market.tokens()).collect();
    assert_eq!(all.len(), 2 * universe.market_count(), "no token comes twice");
}

/// What a share pays, from the emitted tables alone: the newest resolution, else the newest winner's label.
fn payouts(universe: &Universe) -> impl Fn(Market<'_>, u8) -> Option<BigRational> {
    let mut resolutions: HashMap<String, ResolutionRow> = HashMap::new();
    for row in universe.resolutions() {
        if resolutions.get(&row.condition_id_norm).is_none_or(|kept| kept.updated_at < row.updated_at) {
            resolutions.insert(row.condition_id_norm.clone(), row);
        }
    }
    let mut winners: HashMap<String, WinnerRow> = HashMap::new();
    for row in universe.winners() {
        if winners.get(&row.cid).is_none_or(|kept| kept.fetched_at < row.fetched_at) {
            winners.insert(row.cid.clone(), row);
        }
    }
    move |market, index| {
        let condition = market.condition().to_string();
        if let Some(row) = resolutions.get(&condition) {
            if row.payout_numerators.is_empty() {
                return Some(BigRational::from(BigInt::from(u8::from(
                    row.winning_index == u16::from(index),
                ))));
            }
            let numerator = BigInt::from(row.payout_numerators[usize::from(index)]);
            return Some(BigRational::new(numerator, row.payout_denominator.into()));
        }
        let label = winners.get(&condition).map(|row| row.winning_outcome.to_lowercase())?;
        let wins = label == market.labels()[usize::from(index)].to_lowercase();
        (!label.is_empty()).then(|| if wins { BigRational::one() } else { BigRational::zero() })
    }
}

fn exact(decimal: f64) -> BigRational {
    let text = decimal.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    BigRational::new(digits, BigInt::from(10).pow(fraction.len() as u32))
}

#[test]
fn the_stated_pnl_is_what_the_emitted_rows_make() {
    for seed in [1, 2, 3] {
        let universe = small(seed);
        let payout = payouts(&universe);
        let mut positions: HashMap<(Wallet, TokenId), (BigRational, BigRational)> = HashMap::new();
        let mut fills: HashMap<Wallet, usize> = HashMap::new();
        for row in distinct(universe.fills()).into_values() {
            let wallet: Wallet = row.proxy_wallet.parse().unwrap();
            let (Some(_), Ok(token)) = (universe.baseline(&wallet), row.asset_id.parse()) else { continue };
            *fills.entry(wallet).or_default() += 1;
            let size = exact(row.size);
            let sign = if row.side == "BUY" { BigRational::one() } else { -BigRational::one() };
            let position =
                positions.entry((wallet, token)).or_insert((BigRational::zero(), BigRational::zero()));
            position.0 += &sign * &size;
            position.1 -= &sign * exact(row.price) * size;
        }
        assert_eq!(universe.baselines().len(), 11);
        for baseline in universe.baselines() {
            let mut pnl = BigRational::zero();
            let mut resolved = 0;
            for ((_, token), (net, cash)) in
                positions.iter().filter(|((wallet, _), _)| *wallet == baseline.wallet)
            {
                let outcome = universe.find(token).unwrap();
                if let Some(payout) = payout(outcome.market, outcome.index) {
                    pnl += net * payout + cash;
                    resolved += 1;
                }
            }
            assert_eq!(pnl, BigRational::from(BigInt::from(baseline.pnl_micro)), "{}", baseline.wallet);
            assert_eq!(resolved, baseline.resolved_positions());
            assert_eq!(fills[&baseline.wallet], baseline.fills);
        }
    }
}

#[test]
fn the_guides_wallet_has_194_fills_in_89_resolved_positions_of_every_kind() {
    let mut figures = HashSet::new();
    for seed in [1, 2, 3] {
        let universe = small(seed);
        let baseline = universe.baseline(&BASELINE_WALLET.parse().unwrap()).unwrap();
        assert_eq!((baseline.fills, baseline.resolved_positions(), baseline.positions.len()), (194, 89, 89));
        let pnl = |positions: &BaselinePosition| positions.pnl_micro.unwrap();
        let wins = baseline.positions.iter().filter(|position| pnl(position) > 0).count();
        assert!(wins > 20 && wins < 69, "{wins} winners");
        assert!(baseline.positions.iter().any(|position| position.net_shares == 0 && position.cashflow != 0));
        let market = |position: &BaselinePosition| universe.market(position.market).unwrap();
        let payouts: Vec<Payout> =
            baseline.positions.iter().map(|position| market(position).payout()).collect();
        assert!(payouts.contains(&Payout::Half));
        for position in &baseline.positions {
            let market = market(position);
            assert!(market.known_to(Api::Dome) && market.known_to(Api::Goldsky));
            assert!(market.traded(position.index));
        }
        let labels: HashSet<&str> =
            baseline.positions.iter().flat_map(|position| market(position).labels()).collect();
        assert!(labels.contains("Up") && labels.contains("Yes") && labels.len() > 10, "{labels:?}");
        let winners_only = |position: &&BaselinePosition| market(position).listing() == Listing::Winners;
        assert!(baseline.positions.iter().filter(winners_only).count() > 5);
        let guide = 87_030_510_000_i128;
        assert!((baseline.pnl_micro - guide).abs() * 50 < guide, "{} micro-USD", baseline.pnl_micro);
        figures.insert(baseline.pnl_micro);
    }
    assert_eq!(figures.len(), 3, "another figure for each seed");
}

#[test]
fn the_same_seed_makes_the_same_rows_in_any_partition() {
    let universe = small(9);
    let whole: Vec<FillRow> = universe.fills().collect();
    assert!(small(9).fills().eq(whole.iter().cloned()));
    let parts = [0..1, 1..231, 231..5_990, 5_990..9_999].into_iter().flat_map(|rows| universe.fills_in(rows));
    assert!(parts.eq(whole.iter().cloned()));
    assert!(small(10).fills().ne(whole));
}

#[test]
fn without_siblings_every_condition_has_one_traded_token() {
    let options = UniverseOptions {
        siblings: false,
        traded_tokens: 500,
        mapped_tokens: 0,
        fills: 2_000,
        ..Default::default()
    };
    let universe = Universe::generate(options).unwrap();
    let conditions: HashSet<ConditionId> =
        universe.traded_tokens().map(|outcome| outcome.market.condition()).collect();
    assert_eq!((conditions.len(), universe.traded_tokens().count()), (500, 500));
    let traded: HashSet<TokenId> = universe.fills().filter_map(|row| row.asset_id.parse().ok()).collect();
    assert_eq!(traded.len(), 500);
}

#[test]
fn tokens_are_found_by_id_and_are_the_hash_of_their_condition() {
    let universe = small(1);
    let collaterals = crate::ctf::default_collaterals();
    for market in universe.markets() {
        let collateral =
            collaterals.iter().find(|collateral| collateral.name == market.collateral()).unwrap();
        let token = |index| crate::ctf::token_id(&market.condition(), index, &collateral.address);
        assert_eq!([token(0), token(1)], *market.tokens());
        for index in [0, 1] {
            let found = universe.find(&market.tokens()[usize::from(index)]).unwrap();
            assert_eq!((found.market.number(), found.index), (market.number(), index));
        }
        assert_eq!(universe.find_condition(&market.condition()).unwrap().number(), market.number());
        assert_eq!(Market::number_in_slug(&market.slug()), Some(market.number()));
    }
    assert!(universe.find(&"1".parse().unwrap()).is_none());
    assert!(!universe.known_to(Api::Dome, &"1".parse().unwrap()));
}

#[test]
fn conditions_and_wallets_are_spelled_in_every_way() {
    let universe = small(1);
    let conditions: Vec<String> = universe.fills().map(|row| row.condition_id).collect();
    assert!(conditions.iter().any(String::is_empty));
    for prefix in ["0x", ""] {
        for upper in [true, false] {
            let like = |text: &&String| {
                let digits = text.strip_prefix("0x");
                digits.is_some() != prefix.is_empty()
                    && digits.unwrap_or(text).len() == 64
                    && text.contains(if upper { 'A' } else { 'a' })
            };
            assert!(conditions.iter().any(|text| like(&text)), "{prefix:?} upper {upper}");
        }
    }
    let lower = |wallet: &&String| **wallet == BASELINE_WALLET;
    let wallets: Vec<String> = universe
        .fills()
        .map(|row| row.proxy_wallet)
        .filter(|wallet| wallet.to_lowercase() == BASELINE_WALLET)
        .collect();
    assert_eq!(wallets.len(), 194 + 8);
    assert!(wallets.iter().filter(lower).count() < wallets.len(), "some are upper case");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let options = UniverseOptions { fills: 100, ..Default::default() };
    let least = options.min_fills();
    assert_eq!(
        Universe::generate(options.clone()).err(),
        Some(UniverseError::TooFewFills { fills: 100, least })
    );
    let options =
        UniverseOptions { traded_tokens: 100, mapped_tokens: 10, fills: 5_000, ..Default::default() };
    assert!(matches!(Universe::generate(options.clone()), Err(UniverseError::TooFewTokens { .. })));
    assert!(Universe::generate(UniverseOptions { baseline_wallets: 0, ..options.clone() }).is_ok());
    let options = UniverseOptions { mapped_tokens: 101, baseline_wallets: 0, ..options };
    assert!(matches!(Universe::generate(options.clone()), Err(UniverseError::TooManyMapped { .. })));
    assert_eq!(
        Universe::generate(UniverseOptions { unknown_to_both: 0.999, mapped_tokens: 0, ..options }).err(),
        Some(UniverseError::Share)
    );
}

#[test]
fn the_fewest_fills_that_are_said_to_be_enough_are_enough() {
    let options = UniverseOptions { traded_tokens: 400, mapped_tokens: 40, ..Default::default() };
    let options = UniverseOptions { fills: options.min_fills(), ..options };
    let universe = Universe::generate(options.clone()).unwrap();
    let traded: HashSet<TokenId> = universe.fills().filter_map(|row| row.asset_id.parse().ok()).collect();
    assert_eq!((traded.len(), universe.fills().count() as u64), (400, options.fills));
}

#[test]
fn a_fifth_of_the_second_generation_is_of_every_kind_and_its_pnl_is_known() {
    let options =
        UniverseOptions { traded_tokens: 4_000, mapped_tokens: 800, fills: 9_000, ..Default::default() };
    let universe = Universe::generate(UniverseOptions { v2_share: 0.2, ..options }).unwrap();
    let count = |kind| universe.markets().filter(|market| market.kind() == kind).count();
    let second = universe.market_count() - count(Kind::Hash);
    let share = second as f64 / universe.market_count() as f64;
    assert!((0.18..0.22).contains(&share), "{share}");
    for kind in [Kind::Mirror, Kind::Binary, Kind::NegRisk, Kind::Combo] {
        assert!(count(kind) > 20, "{kind:?}");
    }
    for market in universe.markets() {
        let native = |index: usize| market.tokens()[index].structural();
        match market.kind() {
            Kind::Hash => assert_eq!(native(0), None),
            Kind::Mirror => assert_eq!(native(1).map(|it| it.condition), market.condition().mirror()),
            _ => assert_eq!(native(0).map(|it| it.condition), market.condition().structural()),
        }
        for index in [0, 1] {
            let found = universe.find(&market.tokens()[usize::from(index)]).unwrap();
            assert_eq!((found.market.number(), found.index), (market.number(), index));
        }
    }
    let combos: Vec<_> = universe.combos().collect();
    assert_eq!(combos.len(), count(Kind::Combo));
    for (condition, legs) in &combos {
        assert_eq!(crate::ctf::combo_condition(legs).unwrap().condition_id(), *condition);
        let pays: Vec<Option<u8>> = legs
            .iter()
            .map(|leg| universe.find(leg).unwrap())
            .map(|leg| leg.market.payout().doubled(leg.index))
            .collect();
        let payout = universe.find_condition(condition).unwrap().payout().doubled(0);
        match payout {
            None => assert!(pays.contains(&None) && !pays.contains(&Some(0))),
            Some(0) => assert!(pays.contains(&Some(0))),
            Some(1) => assert!(pays.contains(&Some(1)) && !pays.contains(&None)),
            _ => assert!(pays.iter().all(|it| *it == Some(2))),
        }
    }
    // The baseline wallets hold some of each, in markets that all have their payout.
    let held: HashSet<String> = (universe.baselines()[0].positions.iter())
        .map(|position| format!("{:?}", universe.market(position.market).unwrap().kind()))
        .collect();
    assert!(held.len() > 2, "{held:?}");
    assert_eq!(universe.baselines()[0].resolved_positions(), 89);
    // Conditions are spelled with 62 digits, too.
    let spelled = |digits: usize| universe.fills().filter(|row| row.condition_id.len() == digits).count();
    assert!(spelled(62) > 20 && spelled(64) > 20);
    for row in universe.fills().filter(|row| !row.condition_id.is_empty()) {
        assert!(row.condition_id.parse::<ConditionId>().is_ok(), "{}", row.condition_id);
    }
}
