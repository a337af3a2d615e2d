//! Rounds: a track whose own list is at its end takes up what the others have left, and waits for nobody.

use std::time::{Duration, Instant};

use backfill::source::Source;
use serde_json::Value;

use crate::common::{Scene, small_universe};

/// Tokens of Dome's list that have neither a mapping nor Goldsky's word that it does not know them.
const OPEN: &str = "SELECT count() FROM {s}.unmapped_tokens_dome WHERE asset_id NOT IN (\
    SELECT token_id FROM {s}.clob_asset_map_goldsky UNION ALL SELECT token_id FROM {s}.clob_asset_map_dome \
    UNION ALL SELECT token_id FROM {s}.not_found WHERE track = 'goldsky')";

/// Tokens that Goldsky does not know, of its own list and of Dome's.
const UNKNOWN: &str = "SELECT uniqExact(token_id) FROM {s}.not_found WHERE track = 'goldsky'";

/// Dome, which answers nobody until it is let, in full requests of 90, and Goldsky; the tokens are split between them.
async fn scene(seed: u64, latency: Duration) -> Scene {
    let universe = small_universe(seed);
    let sources = [Source::Dome, Source::Goldsky];
    let scene = Scene::new(&universe, &sources, |source, options| {
        options.track_tokens = true;
        if source == Source::Dome {
            options.latency = latency;
        }
    })
    .await;
    let scene = scene.with("--request-timeout", "60s").with("--worker-count", "2");
    scene.json(0, &["setup", "--tracks", "dome,goldsky"]).await;
    scene.stand_in(Source::Dome).hold_after(0);
    scene
}

/// Waits until Goldsky was answered about all that Dome has left.
async fn goldsky_has_helped(scene: &Scene) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while scene.world.one::<u64>(OPEN).await > 0 {
        assert!(Instant::now() < deadline, "Goldsky waits for Dome");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn count(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fast_track_takes_up_what_a_slow_one_was_not_asked_yet_and_waits_for_nobody() {
    let scene = scene(91, Duration::ZERO).await;
    let dome = scene.stand_in(Source::Dome);
    let run = scene.json(0, &["run", "--from", "tracks", "--to", "tracks", "--tracks", "dome,goldsky"]);
    let helped = async {
        goldsky_has_helped(&scene).await;
        dome.let_in();
    };
    let ((object, said), ()) = tokio::join!(run, helped);
    let phase =
        |name: &str| object["phases"].as_array().unwrap().iter().find(|it| it["phase"] == name).unwrap();
    let (slow, fast) = (phase("dome"), phase("goldsky"));
    assert_eq!((&slow["processed"], &slow["failed"]), (&slow["total"], &0.into()), "{said}");
    assert!(count(&fast["round"], "tokens") > count(slow, "total") / 3, "{fast}");
    // What was under way when it was held, and what nobody else knew: both workers' first requests, and no more.
    let unknown: u64 = scene.world.one(UNKNOWN).await;
    let asked = dome.counters().tokens_asked;
    assert!(asked <= unknown + 2 * 90, "{asked} were asked of Dome, {unknown} are unknown to Goldsky");
    for source in [Source::Dome, Source::Goldsky] {
        assert_eq!(scene.stand_in(source).counters().asked_again, 0, "{source:?} was asked twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_another_terminal_too_a_track_helps_one_that_is_still_at_work() {
    // Dome takes its time, so that what is staged beside it spares it most of its requests.
    let scene = scene(92, Duration::from_millis(400)).await;
    let dome = scene.stand_in(Source::Dome);
    let mut slow = scene.command(&["dome", "--format", "json", "--batch-size", "20"]);
    let slow = tokio::spawn(slow.spawn().unwrap().wait_with_output());
    let deadline = Instant::now() + Duration::from_secs(120);
    while dome.counters().requests == 0 {
        assert!(Instant::now() < deadline && !slow.is_finished(), "Dome is not asked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (fast, said) = scene.json(0, &["goldsky"]).await;
    assert_eq!(scene.world.one::<u64>(OPEN).await, 0, "{said}");
    assert_eq!((&fast["total"], &fast["failed"]), (&fast["processed"], &0.into()), "its counts stay its own");
    dome.let_in();
    let output = slow.await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let slow: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&slow["processed"], &slow["failed"]), (&slow["total"], &0.into()));
    assert!(count(&fast["round"], "tokens") > count(&slow, "total") / 3, "{fast}");
    let (asked, unknown) = (dome.counters().tokens_asked, scene.world.one::<u64>(UNKNOWN).await);
    assert!(asked < unknown + count(&slow, "total") / 2, "{asked} were asked of Dome, {unknown} had to be");
}
