//! Any one field of any one record of an answer is any JSON value: every other record is staged, and the run ends well.
//!
//! `BACKFILL_ODD_FIELDS=100 cargo test --test it odd_fields -- --nocapture` tries as many of each source.

use std::collections::BTreeSet;
use std::sync::Arc;

use backfill::demo::stand_in::{Spoil, Whose};
use backfill::demo::{Universe, UniverseOptions};
use backfill::ids::TokenId;
use backfill::source::Source;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::Scene;

/// What a source staged, and the tokens of the record that was spoiled.
async fn spoiled(universe: &Arc<Universe>, source: Source, seed: u64) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let unmapped: Vec<_> = universe.traded_tokens().filter(|outcome| !outcome.mapped()).collect();
    let chosen = unmapped[dice.random_range(0..unmapped.len())];
    // Of a record nothing is asked: only what is somebody else's is.
    let own: BTreeSet<TokenId> = chosen.market.tokens().iter().copied().collect();
    let spoil = Spoil { seed: dice.random(), whose: Whose::Token(chosen.token()) };
    let scene = Scene::new(universe, &[source], |_, options| {
        options.spoil = Some(spoil);
        options.list.page = 50;
    })
    .await;
    if source != Source::Clob {
        scene.json(0, &["setup", "--tracks", source.name()]).await;
    }
    let (track, said) = scene.json(0, &[source.name()]).await;
    let what = format!("{} seed {seed}, {}\n{said}", source.name(), chosen.token());
    assert_eq!((&track["failed"], &track["processed"]), (&0.into(), &track["total"]), "{what}");
    let staged = format!("SELECT DISTINCT token_id FROM {{s}}.{}", source.staging_table());
    let staged: BTreeSet<String> = scene.world.all::<String>(&staged).await.into_iter().collect();
    let lost: Vec<TokenId> = (unmapped.iter().map(|outcome| outcome.token()))
        .filter(|token| scene.stand_in(source).knows(token) && !own.contains(token))
        .filter(|token| !staged.contains(&token.to_string()))
        .collect();
    assert!(lost.is_empty(), "lost {lost:?}: {what}");
    // A catalogue lists every other market, too.
    if source == Source::Clob {
        let listed: BTreeSet<String> =
            scene.world.all::<String>("SELECT token_id FROM {s}.clob_markets").await.into_iter().collect();
        let missing = universe.markets().flat_map(|market| *market.tokens());
        let missing: Vec<TokenId> =
            missing.filter(|token| !own.contains(token) && !listed.contains(&token.to_string())).collect();
        assert!(missing.is_empty(), "not listed {missing:?}: {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_odd_field_costs_no_other_record_of_any_source() {
    let tries = std::env::var("BACKFILL_ODD_FIELDS").ok().and_then(|it| it.parse().ok()).unwrap_or(2);
    let options = UniverseOptions {
        seed: 171,
        traded_tokens: 400,
        mapped_tokens: 60,
        fills: 1_000,
        ..UniverseOptions::default()
    };
    let universe = Arc::new(Universe::generate(options).unwrap());
    for source in Source::ALL.into_iter().filter(|source| source.info().api.is_some()) {
        for seed in 0..tries {
            spoiled(&universe, source, seed).await;
        }
        println!("{}: {tries} odd fields, no other record lost", source.name());
    }
}
