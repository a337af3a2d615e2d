//! The limit of an API is kept over restarts: requests are noted before they are sent, so that a process that is killed
//! tells the next one what the API's windows still count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::Scene;
use backfill::demo::stand_in::{RetryAfterStyle, Window};
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
    killed_and_started_again(Source::Dome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_look_up_killed_and_started_again_ten_times_is_not_either() {
    killed_and_started_again(Source::Tokens).await;
}

/// Kills a track ten times and runs it to its end. What comes too fast is refused, also by a source that would delay it.
async fn killed_and_started_again(source: Source) {
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
        options.retry_after = RetryAfterStyle::Seconds;
    };
    let scene = Scene::new(&universe, &[source], limited).await;
    let limit = format!("--{}-rate-limit", source.name());
    let scene = scene.with("--batch-size", "20").with(&limit, "60/20s,10/1s");
    let options = SetupOptions { shares: vec![Share { source, weight: 1 }], ..SetupOptions::default() };
    setup::run(&scene.world.context(&[]).await, &options).await.unwrap();
    let counters = || scene.stand_in(source).counters();
    let mut window = Duration::ZERO;
    for _ in 0..KILLS {
        let (before, more) = (counters().requests, dice.random_range(1..6));
        let began = Instant::now();
        let mut child = scene.start(&[source.name()]);
        let deadline = began + Duration::from_secs(120);
        while counters().requests < before + more {
            assert_eq!(child.try_wait().unwrap(), None, "it ended with work left");
            assert!(Instant::now() < deadline, "it does not ask");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        window += began.elapsed();
    }
    let (object, said) = scene.json(0, &[source.name()]).await;
    assert_eq!(object["processed"], object["total"], "{said}");
    let counters = counters();
    assert_eq!((counters.throttled, &object["throttled"]), (0, &0.into()), "{counters:?}");
    println!(
        "seed {seed}: {source:?}, {KILLS} kills in {:.1} s, {} requests, none refused",
        window.as_secs_f64(),
        counters.requests
    );
}
