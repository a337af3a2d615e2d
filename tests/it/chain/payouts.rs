//! `merge --resolutions`: what the chain paid, in the users' own table.

use backfill::phases::merge::MergeResult;

use super::*;

impl Scene {
    async fn merged(&self, dry_run: bool) -> Result<MergeResult, Failure> {
        let options = MergeOptions { resolutions: true, dry_run, ..MergeOptions::default() };
        let context = self.world.context(&[]).await;
        derive::run(&context, &DeriveOptions::default()).await.unwrap();
        merge::run(&context, &options).await
    }

    /// What the table says of each condition, apart from those that were there before.
    async fn rows(&self) -> Vec<(String, String, String)> {
        let sql = "SELECT toString(condition_id_norm), toString(payout_numerators), toString(payout_denominator) \
                   FROM {d}.market_resolutions_final ORDER BY 1, 2";
        self.world.all(sql).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_chain_paid_stands_in_the_resolutions_once_however_often_it_is_merged() {
    let scene = Scene::new(54, 900, 20_000).await;
    let before = scene.merged(false).await.unwrap_err();
    assert!(before.to_string().contains("backfill chain"), "{before}");
    let provider = scene.provider(ChainHabits::portal()).await;
    scene.read_all(&[&provider]).await;
    let listed: u64 =
        scene.world.one("SELECT uniqExact(condition_id_norm) FROM {d}.market_resolutions_final").await;
    let rows_before = scene.rows().await.len();
    let lacking: u64 = scene
        .world
        .one(
            "SELECT count() FROM (SELECT DISTINCT condition_id_norm AS c FROM {s}.chain_resolutions) \
              WHERE c NOT IN (SELECT toString(condition_id_norm) FROM {d}.market_resolutions_final)",
        )
        .await;
    assert!(lacking > 0 && listed > 0);
    let dry = scene.merged(true).await.unwrap().resolutions.unwrap();
    assert_eq!((dry.added, dry.unfit), (lacking, 0));
    assert_eq!(scene.rows().await.len(), rows_before);
    let merged = scene.merged(false).await.unwrap().resolutions.unwrap();
    assert_eq!(merged.added, lacking);
    let rows = scene.rows().await;
    assert_eq!(rows.len() as u64, rows_before as u64 + lacking);
    let again = scene.merged(false).await.unwrap().resolutions.unwrap();
    assert_eq!((again.added, scene.rows().await), (0, rows));
    // A half in the smallest numbers, and every condition that the chain has resolved.
    let halves: u64 = scene
        .world
        .one("SELECT countIf(payout_numerators = [1, 1] AND payout_denominator = 2) FROM {d}.market_resolutions_final")
        .await;
    let known = scene.universe.markets().filter(|it| it.payout() == Payout::Half).count() as u64;
    assert!(halves >= known.min(1), "{halves} of {known}");
    let all: u64 = scene
        .world
        .one(
            "SELECT count() FROM {s}.chain_resolutions WHERE condition_id_norm NOT IN \
              (SELECT toString(condition_id_norm) FROM {d}.market_resolutions_final)",
        )
        .await;
    assert_eq!(all, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_own_types_are_written_and_what_does_not_fit_is_listed() {
    let scene = Scene::new(55, 600, 20_000).await;
    let provider = scene.provider(ChainHabits::portal()).await;
    scene.read_all(&[&provider]).await;
    let odd = "ab".repeat(32);
    scene
        .world
        .run(&format!(
            "INSERT INTO {{s}}.chain_resolutions (condition_id_norm, payout_numerators, block, log_index) \
             VALUES ('{odd}', [333333, 666667], 5, 1)"
        ))
        .await;
    let conditions = scene.chain.resolutions() + 1;
    for (types, unfit) in [
        ("condition_id_norm String, payout_numerators Array(UInt8), payout_denominator UInt8", 1),
        ("condition_id_norm FixedString(66), payout_numerators Array(Int64), payout_denominator Int64", 0),
        (
            "condition_id_norm String, payout_numerators Array(String), payout_denominator String, winning_index Nullable(Int8)",
            0,
        ),
        (
            "condition_id_norm String, payout_numerators String, payout_denominator Float64, updated_at DateTime64(3)",
            0,
        ),
        (
            "condition_id_norm String, payout_numerators Array(Decimal(38, 6)), payout_denominator Decimal(38, 6), winning_index UInt16",
            0,
        ),
        (
            "condition_id_norm LowCardinality(String), payout_numerators Array(UInt256), payout_denominator UInt256",
            0,
        ),
    ] {
        scene.world.run("DROP TABLE {d}.market_resolutions_final SYNC").await;
        scene
            .world
            .run(&format!(
                "CREATE TABLE {{d}}.market_resolutions_final ({types}) ENGINE = MergeTree ORDER BY tuple()"
            ))
            .await;
        let merged = scene.merged(false).await.unwrap().resolutions.unwrap();
        assert_eq!((merged.added, merged.unfit), (conditions - unfit, unfit), "{types}");
        assert_eq!(merged.unfit_shown.len() as u64, unfit);
        assert!(merged.unfit_shown.iter().all(|it| *it == format!("{odd}: [333333,666667]")), "{merged:?}");
        let again = scene.merged(false).await.unwrap().resolutions.unwrap();
        assert_eq!((again.added, again.unfit), (0, unfit), "{types}");
    }
}
