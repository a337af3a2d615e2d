//! What became final since the chain was read last: read alone, and beside the tracks of a run.

use backfill::demo::{StandIn, StandInOptions};
use backfill::source::Source;
use serde_json::Value;

use super::*;
use crate::common::leading_to;

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_new_is_read_and_holes_before_it_are_left() {
    let scene = Scene::new(56, 900, 30_000).await;
    let layout = scene.chain.layout();
    let (hole, middle) = (layout.first_block + 5_000, layout.first_block + 20_000);
    let provider = scene.provider(ChainHabits::portal()).await;
    provider.set_head(middle);
    let new = ChainOptions { new_only: true, ..ChainOptions::default() };
    let settings = Scene::settings(&[&provider]);
    let mut settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let from = hole.to_string();
    settings.extend(["--chain-from-block", &from]);
    let listener: chain::ChainListener = Arc::new(|_| {});
    chain::run(&scene.world.context(&settings).await, &ChainOptions::default(), &listener).await.unwrap();

    let nothing = scene.read(&[&provider], &new).await.0.unwrap();
    assert_eq!((nothing.logs, nothing.holes, nothing.outcome), (0, 0, Outcome::Done), "{nothing:?}");
    provider.set_head(layout.last_block());
    let read = scene.read(&[&provider], &new).await.0.unwrap();
    assert_eq!((read.from_block, read.holes, read.outcome), (middle + 1, 0, Outcome::Done), "{read:?}");
    let whole = scene.read_all(&[&provider]).await;
    assert!(whole.logs > 0, "the blocks before were left");
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reads_what_is_new_beside_its_tracks_and_maps_what_follows() {
    let scene = Scene::new(57, 900, 30_000).await;
    let provider = scene.provider(ChainHabits::portal()).await;
    let gamma = StandIn::start(scene.universe.clone(), StandInOptions::gamma()).await.unwrap();
    let run = || {
        let output = Command::new(BACKFILL)
            .args(["run", "--tracks", "gamma", "--to", "merge", "--format", "json", "--progress", "none"])
            .args(scene.world.arguments())
            .args(leading_to(Source::Gamma, &gamma))
            .args(Scene::settings(&[&provider]))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
        (output.status.code().unwrap(), result, told)
    };
    let phase = |result: &Value, name: &str| {
        let phases = result["phases"].as_array().unwrap();
        phases.iter().find(|it| it["phase"] == name).cloned()
    };
    let (code, result, told) = run();
    assert_eq!((code, phase(&result, "chain")), (0, None), "{told}");
    assert!(told.contains("a first full read"), "{told}");
    assert_eq!(provider.counters().requests, 0);

    provider.set_head(scene.chain.layout().first_block + 5_000);
    scene.read_all(&[&provider]).await;
    provider.set_head(scene.chain.layout().last_block());
    let (code, result, told) = run();
    assert_eq!(code, 0, "{told}");
    let chain = phase(&result, "chain").unwrap();
    assert_eq!(
        (&chain["holes"], &chain["finalized"]),
        (&0.into(), &scene.chain.layout().last_block().into())
    );
    let merged = phase(&result, "merge").unwrap();
    assert_eq!(merged["after"]["mapped"], merged["total_asset_ids"], "{merged}");
    scene.assert_whole().await;

    // That nobody gives it any more costs the run nothing but that.
    provider.set_outage(backfill::demo::stand_in::Outage::Unavailable);
    let (code, result, told) = run();
    assert_eq!((code, phase(&result, "chain")), (4, None), "{told}");
}
