//! What the chain is used for: payouts before all tables, and the traded tokens that it does not know.

use backfill::phases::validate::{self, Baseline, ValidateOptions, ValidateResult};
use backfill::phases::verify::{self, VerifyOptions};
use backfill::pnl::Micro;
use backfill::report::Report;
use backfill::results::{Validate, Verify};

use super::*;

impl Scene {
    /// All tokens mapped from what was read of the chain, and nobody else asked.
    async fn map_all(&self) {
        let context = self.world.context(&[]).await;
        derive::run(&context, &DeriveOptions::default()).await.unwrap();
        merge::run(&context, &MergeOptions::default()).await.unwrap();
    }

    async fn validated(&self) -> ValidateResult {
        let baselines = self.universe.baselines().iter();
        let baselines =
            baselines.map(|it| Baseline::new(it.wallet, Micro::whole(it.pnl_micro).units())).collect();
        let options = ValidateOptions { baselines, ..ValidateOptions::default() };
        validate::run(&self.world.context(&[]).await, &options).await.unwrap()
    }

    async fn verified(&self) -> Verify {
        let context = self.world.context(&[]).await;
        Verify::from(&verify::run(&context, &VerifyOptions::default()).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_table_of_resolutions_the_chain_pays_what_the_oracle_knows() {
    let scene = Scene::new(49, 1_500, 40_000).await;
    scene.world.run("DROP TABLE {d}.market_resolutions_final").await;
    scene.world.run("DROP TABLE {d}.gamma_resolved").await;
    let provider = scene.provider(ChainHabits::portal()).await;
    scene.read_all(&[&provider]).await;
    scene.map_all().await;
    let found = scene.validated().await;
    for (wallet, known) in found.wallets.iter().zip(scene.universe.baselines()) {
        assert_eq!(wallet.total, wallet.baseline.expected, "{}", known.wallet);
        assert_eq!(wallet.resolved().count(), known.resolved_positions());
    }
    let result = Validate::from(&found);
    for (wallet, known) in result.wallets.iter().zip(scene.universe.baselines()) {
        let from = &wallet.payouts.payouts_from;
        assert_eq!(from["chain"], known.resolved_positions() as u64);
        assert_eq!(from.values().sum::<u64>(), from["chain"]);
        assert_eq!(wallet.payouts.chain_contradictions.count, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_contradicts_the_chain_is_overruled_and_listed_with_its_dollars() {
    let scene = Scene::new(50, 1_500, 40_000).await;
    let provider = scene.provider(ChainHabits::portal()).await;
    scene.read_all(&[&provider]).await;
    scene.map_all().await;
    // Ten conditions of the first wallet, each with one position and a winner, which the table now names the other way.
    let wallet = &scene.universe.baselines()[0];
    let alone = |market: usize| wallet.positions.iter().filter(|it| it.market == market).count() == 1;
    let mut expected = BTreeMap::new();
    for position in wallet.positions.iter().filter(|it| alone(it.market)) {
        let market = scene.universe.market(position.market).unwrap();
        let Payout::Winner(winner) = market.payout() else { continue };
        if expected.len() == 10 {
            break;
        }
        let condition = market.condition().to_string();
        let flipped = if winner == 0 { "[0, 1]" } else { "[1, 0]" };
        let winning = 1 - winner;
        scene
            .world
            .run(&format!(
                "INSERT INTO {{d}}.market_resolutions_final \
                 (condition_id_norm, payout_numerators, payout_denominator, winning_index, updated_at) \
                 VALUES ('{condition}', {flipped}, 1, {winning}, toDateTime(4000000000))"
            ))
            .await;
        let sign = if position.index == winner { 1 } else { -1 };
        expected.insert(condition, Micro::whole(sign * position.net_shares).units());
    }
    assert_eq!(expected.len(), 10);
    let result = Validate::from(&scene.validated().await);
    let first = &result.wallets[0];
    assert_eq!(first.total, first.expected, "the chain counts");
    let found = &first.payouts.chain_contradictions;
    assert_eq!(found.count, 10, "{found:?}");
    let listed: BTreeMap<_, _> =
        found.positions.iter().map(|it| (it.condition_id.clone(), it.amount.clone())).collect();
    assert_eq!(listed, expected);
    assert_eq!(found.amount, expected.into_values().sum());
    let page = result.text();
    assert!(
        !page.contains("contradicts the chain about 10 positions"),
        "of many wallets only the table is shown"
    );
    let page = Validate { detail: true, ..result.clone() }.text();
    assert!(page.contains("contradicts the chain about 10 positions"), "{page}");
    assert!(found.positions.iter().all(|it| page.contains(&it.amount.cents())), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_the_traded_tokens_whose_condition_the_chain_is_not_known_to_have() {
    let scene = Scene::new(51, 1_500, 60_000).await;
    assert_eq!(scene.verified().await.chain, None, "it was not read");
    let liar = scene.provider(ChainHabits { leaves_out: 0.02, ..ChainHabits::node() }).await;
    scene.assert_holes_are_named_and_closed(&liar).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_provider_cuts_short_in_silence_a_second_one_names_and_verify_its_tokens() {
    let scene = Scene::new(64, 1_500, 60_000).await;
    // So few logs that no answer looks like one that met a limit.
    let liar = scene.provider(ChainHabits { cuts_at_logs: Some(30), ..ChainHabits::node() }).await;
    scene.assert_holes_are_named_and_closed(&liar).await;
}

impl Scene {
    /// Verify names the traded tokens whose conditions a provider has left out, and a check by a second one closes every
    /// hole.
    async fn assert_holes_are_named_and_closed(&self, liar: &ChainStandIn) {
        let honest = self.provider(ChainHabits::node()).await;
        self.read_all(&[liar]).await;
        self.map_all().await;
        let known: Vec<String> = self.world.all("SELECT condition_id_norm FROM {s}.chain_conditions").await;
        let known: BTreeSet<String> = known.into_iter().collect();
        let unknown: BTreeSet<String> = (self.universe.traded_tokens())
            .filter(|it| !known.contains(&it.market.condition().to_string()))
            .map(|it| it.token().to_string())
            .collect();
        assert!(!unknown.is_empty());
        let found = self.verified().await;
        let chain = found.chain.clone().unwrap();
        assert_eq!((chain.unknown, chain.holes), (unknown.len() as u64, 0), "{chain:?}");
        assert_eq!(chain.read_up_to, self.chain.layout().last_block());
        assert!(chain.tokens.len() as u64 == chain.unknown.min(20), "{chain:?}");
        assert!(chain.tokens.iter().all(|it| unknown.contains(&it.token_id)));
        let page = found.text();
        assert!(chain.tokens.iter().all(|it| page.contains(&it.token_id)), "{page}");

        // Blocks that were taken out of the covered ones are a hole, and said to be one.
        let check = ChainOptions { check: Some(1.0), check_seed: 1, ..ChainOptions::default() };
        let checked = self.read(&[liar, &honest], &check).await.0.unwrap();
        assert!(checked.check.is_some_and(|it| it.missing > 0 && it.unconfirmed == 0));
        self.assert_whole().await;
        self.map_all().await;
        let closed = self.verified().await;
        assert_eq!(closed.chain.unwrap().unknown, 0);
        assert_eq!(closed.global.unmapped, 0);
    }
}
