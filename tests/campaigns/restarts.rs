//! The limit of an API is kept over restarts: requests are noted before they are sent, so that a process that is killed
//! tells the next one what the API's windows still count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::Scene;
use backfill::demo::stand_in::Window;
use backfill::demo::{Universe, UniverseOptions};
use backfill::phases::setup::{self, SetupOptions};
use backfill::source::Source;
use backfill::store::workload::Share;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Kills within the time that one window looks back.
const KILLS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_track_killed_and_started_again_ten_times_is_never_refused_for_asking_too_fast() {
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(31);
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let options = UniverseOptions {
        seed,
        traded_tokens: 1_600,
        mapped_tokens: 300,
        fills: 4_000,
        baseline_wallets: 1,
        ..UniverseOptions::default()
    };
    let universe = Arc::new(Universe::generate(options).unwrap());
    let limited = |_, options: &mut backfill::demo::StandInOptions| {
        options.latency = Duration::from_millis(30);
        options.windows = vec![Window::per_seconds(60, 20), Window::per_seconds(10, 1)];
    };
    let scene = Scene::new(&universe, &[Source::Dome], limited).await;
    let scene = scene.with("--batch-size", "20").with("--dome-rate-limit", "60/20s,10/1s");
    let shares = vec![Share { source: Source::Dome, weight: 1 }];
    let options = SetupOptions { shares, ..SetupOptions::default() };
    setup::run(&scene.world.context(&[]).await, &options).await.unwrap();
    let counters = || scene.stand_in(Source::Dome).counters();
    for _ in 0..KILLS {
        let (before, more) = (counters().requests, dice.random_range(1..6));
        let mut child = scene.start(&["dome"]);
        let deadline = Instant::now() + Duration::from_secs(120);
        while counters().requests < before + more {
            assert_eq!(child.try_wait().unwrap(), None, "it ended with work left");
            assert!(Instant::now() < deadline, "it does not ask");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (object, said) = scene.json(0, &["dome"]).await;
    assert_eq!(object["processed"], object["total"], "{said}");
    let counters = counters();
    assert_eq!((counters.throttled, &object["throttled"]), (0, &0.into()), "{counters:?}");
    println!("seed {seed}: {KILLS} kills, {} requests, none refused", counters.requests);
}
