//! `backfill run`, the real program: its plan, what it leaves out, how it is interrupted and resumed, its metrics.

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Scene, small_universe};
use backfill::demo::Universe;
use backfill::pnl::Usd;
use backfill::source::Source;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;

const TRACKS: [Source; 2] = [Source::Dome, Source::Goldsky];

/// The guide's two tracks on a universe of its own. P&L is another test's subject.
async fn scene(universe: &Arc<Universe>, latency: Duration) -> Scene {
    let scene = Scene::new(universe, &TRACKS, |_, options| options.latency = latency).await;
    scene.with("--variance-limit", "100").with("--coverage-target", "50")
}

impl Scene {
    /// Runs to its end and answers the object.
    async fn run(&self, arguments: &[&str]) -> Value {
        self.json(0, arguments).await.0
    }

    /// Begins a run and interrupts it when it has staged more than so many tokens.
    async fn interrupted(&self, more: u64, signal: rustix::process::Signal) -> Output {
        let before = self.staged().await;
        let child = self
            .command(&[
                "run",
                "--tracks",
                "dome,goldsky",
                "--derive=false",
                "--batch-size",
                "10",
                "--worker-count",
                "2",
                "--format",
                "json",
            ])
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        let output = tokio::spawn(child.wait_with_output());
        while self.staged().await <= before + more {
            assert!(!output.is_finished(), "it ended before it could be interrupted");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rustix::process::kill_process(pid, signal).unwrap();
        tokio::time::timeout(Duration::from_secs(60), output).await.expect("it ends").unwrap().unwrap()
    }

    async fn staged(&self) -> u64 {
        let sql = "SELECT sum(total_rows) FROM system.tables WHERE database = '{s}' \
                   AND name IN ('clob_asset_map_dome', 'clob_asset_map_goldsky')";
        self.world.one::<Option<u64>>(sql).await.unwrap_or_default()
    }

    /// What the map says, and of which tokens nobody knew anything.
    async fn tables(&self) -> (BTreeSet<(String, String, u8)>, u64) {
        let map = "SELECT token_id, lower(replace(condition_id_norm, '0x', '')), outcome_index FROM {d}.ctf_token_map \
                   WHERE match(condition_id_norm, '[1-9a-fA-F]') AND outcome_index < 2";
        let rows: Vec<(String, String, u8)> = self.world.all(map).await;
        let left = "SELECT uniqExact(token_id) FROM {s}.not_found WHERE token_id NOT IN \
                    (SELECT token_id FROM {s}.clob_asset_map_dome UNION ALL SELECT token_id FROM {s}.clob_asset_map_goldsky)";
        (rows.into_iter().collect(), self.world.one(left).await)
    }
}

/// What became of each phase behind `derive`, in order.
fn results(object: &Value) -> Vec<(&str, &str)> {
    let summary = object["summary"].as_array().unwrap();
    let all = summary.iter().map(|it| (it["phase"].as_str().unwrap(), it["result"].as_str().unwrap()));
    all.filter(|(phase, _)| *phase != "derive").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_twice_and_resumed_it_ends_as_an_undisturbed_run_does() {
    let universe = small_universe(41);
    let undisturbed = scene(&universe, Duration::ZERO).await;
    undisturbed.run(&["run", "--tracks", "dome,goldsky", "--derive=false"]).await;
    let disturbed = scene(&universe, Duration::from_millis(20)).await;
    for (more, signal) in [(0, rustix::process::Signal::INT), (500, rustix::process::Signal::TERM)] {
        let output = disturbed.interrupted(more, signal).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{errors}");
        assert!(errors.contains("run the same command again"), "it says how to go on: {errors}");
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["passed"], false);
        let results = results(&object);
        assert!(results.iter().any(|(_, result)| *result == "interrupted"), "{results:?}");
        assert_eq!(
            results[3..],
            [("merge", "not reached"), ("verify", "not reached"), ("validate", "not reached")]
        );
    }
    let page = disturbed.world.folder.path().join("report.html");
    let report = format!("--report={}", page.display());
    let object = disturbed
        .run(&["run", "--tracks", "dome,goldsky", "--derive=false", "--batch-size", "20", &report])
        .await;
    assert_eq!(object["passed"], true);
    let page = std::fs::read_to_string(page).unwrap();
    let total = object["phases"].as_array().unwrap().iter().find(|it| it["phase"] == "validate").unwrap();
    let total: Usd = total["wallets"][0]["total"].as_str().unwrap().parse().unwrap();
    let total = total.cents();
    assert!(page.trim_end().ends_with("</html>"), "it is whole");
    assert!(page.contains(&total), "and of all of it: {total}");
    let resumed: u64 =
        object["phases"].as_array().unwrap().iter().filter_map(|it| it["resumed"].as_u64()).sum();
    assert!(resumed > 500 / 2, "it went on where it was: {resumed}");
    let (one, other) = (undisturbed.tables().await, disturbed.tables().await);
    let missing: Vec<_> = one.0.difference(&other.0).take(3).collect();
    assert_eq!(one.0.len(), other.0.len(), "missing: {missing:?}");
    assert!(one == other, "the same tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_leaves_at_once_and_the_data_is_still_right() {
    let universe = small_universe(46);
    let undisturbed = scene(&universe, Duration::ZERO).await;
    undisturbed.run(&["run", "--tracks", "dome,goldsky", "--derive=false"]).await;
    // Longer than anybody waits: who ended has not waited for the answers.
    let disturbed = scene(&universe, Duration::from_secs(3600)).await;
    let arguments =
        ["run", "--tracks", "dome,goldsky", "--derive=false", "--format", "json", "--request-timeout", "10h"];
    let child = disturbed.command(&arguments).spawn().unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    let output = tokio::spawn(child.wait_with_output());
    while disturbed.stand_in(Source::Dome).counters().requests == 0 {
        assert!(!output.is_finished(), "it ended before it could be interrupted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The first is answered by waiting; whichever of the following is the second ends it.
    while !output.is_finished() {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let output = output.await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(output.stdout.is_empty(), "it has not waited for a summary");
    assert!(String::from_utf8_lossy(&output.stderr).contains("again to leave at once"));
    let resumed = Scene::on(disturbed.world, &universe, &TRACKS, |_, _| {}).await;
    let resumed = resumed.with("--variance-limit", "100").with("--coverage-target", "50");
    resumed.run(&["run", "--tracks", "dome,goldsky", "--derive=false"]).await;
    assert!(undisturbed.tables().await == resumed.tables().await, "the same tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_comes_first_and_a_dry_run_touches_nothing() {
    let scene = scene(&small_universe(42), Duration::ZERO).await;
    let object = scene.run(&["run", "--tracks", "dome,goldsky", "--dry-run"]).await;
    let actions: Vec<_> = object["plan"].as_array().unwrap().iter().map(|it| &it["action"]).collect();
    assert!(actions.iter().all(|action| *action == "run") && actions.len() == 7, "{object}");
    let databases: u64 = scene.world.one("SELECT count() FROM system.databases WHERE name = '{s}'").await;
    assert_eq!(databases, 0, "nothing was made");
    assert_eq!(std::fs::read_dir(scene.world.folder.path()).unwrap().count(), 0);
    assert_forecasts_come_true(&object["plan"], &scene.run(&["run", "--tracks", "dome,goldsky"]).await);
    let other = self::scene(&small_universe(42), Duration::ZERO).await;
    let text =
        String::from_utf8(other.output(&["run", "--tracks", "dome,goldsky", "--to", "dome"]).await.stdout)
            .unwrap();
    assert!(text.starts_with("PLAN\n"), "{text}");
    assert!(text.contains("merge     skip  the run ends with tracks"), "{text}");
    let summary = text.split("SUMMARY").nth(1).expect("a summary at the end");
    assert!(summary.contains("dome      done") && summary.contains("verify    skipped"), "{summary}");
}

/// A plan that was made before anything ran, and the run: tokens are what was planned, and requests at least so many.
fn assert_forecasts_come_true(plan: &Value, object: &Value) {
    let planned =
        |name: &str| plan.as_array().unwrap().iter().find(|it| it["phase"] == name).unwrap().clone();
    let ran = |name: &str| {
        object["phases"].as_array().unwrap().iter().find(|it| it["phase"] == name).unwrap().clone()
    };
    let (derive, setup, merge) = (planned("derive"), planned("setup"), planned("merge"));
    assert!(derive["tokens"].as_u64() > Some(0), "{derive}");
    assert_eq!(derive["tokens"], ran("derive")["inserted"]);
    assert_eq!(setup["tokens"], ran("setup")["listed"]);
    for track in ["dome", "goldsky"] {
        let (planned, ran) = (planned(track), ran(track));
        assert_eq!(planned["tokens"], ran["total"], "{planned} {ran}");
        assert!(
            planned["requests"].as_u64() > Some(0)
                && planned["requests"].as_u64() <= ran["requests"].as_u64()
        );
        assert!(planned["seconds_at_limits"].is_number(), "{planned}");
    }
    assert!(ran("merge")["added_traded"].as_u64() <= merge["tokens"].as_u64(), "{merge}");
    assert!(merge["writes"][0].as_str().unwrap().ends_with(".ctf_token_map"), "{merge}");
    assert_eq!(planned("verify")["writes"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_already_is_left_out_with_its_reason_and_stays_right() {
    let scene = scene(&small_universe(43), Duration::ZERO).await;
    let first = scene.run(&["run", "--tracks", "dome,goldsky", "--derive=false", "--to", "merge"]).await;
    let done = [("setup", "done"), ("dome", "done"), ("goldsky", "done"), ("merge", "done")];
    assert_eq!(results(&first)[..4], done);
    let before = scene.tables().await;
    let second = scene.run(&["run", "--tracks", "dome,goldsky", "--from", "merge"]).await;
    assert_eq!(
        results(&second),
        [
            ("setup", "skipped"),
            ("dome", "skipped"),
            ("goldsky", "skipped"),
            ("merge", "skipped"),
            ("verify", "done"),
            ("validate", "done")
        ]
    );
    let notes: Vec<_> =
        second["summary"].as_array().unwrap().iter().map(|it| it["note"].as_str().unwrap()).collect();
    assert_eq!(notes[..2], ["the run begins with merge"; 2]);
    assert!(notes[4].starts_with("the map has all "), "{notes:?}");
    assert_eq!(scene.tables().await, before);
    // A staged token that the map has not: the merge is due again.
    scene.world.run("ALTER TABLE {d}.ctf_token_map DELETE WHERE token_id IN (SELECT token_id FROM {s}.clob_asset_map_dome LIMIT 1) SETTINGS mutations_sync = 1").await;
    let third = scene.run(&["run", "--tracks", "dome,goldsky", "--from", "merge", "--to", "merge"]).await;
    assert_eq!(results(&third)[3], ("merge", "done"));
    assert_eq!(scene.tables().await, before);
    // Every answer is there and nothing is left that another track could know: the tracks are left out.
    scene.world.run("INSERT INTO {d}.ctf_token_map (token_id, condition_id_norm, outcome_index) SELECT token_id, repeat('1', 64), 0 FROM {s}.not_found").await;
    let fourth = scene.run(&["run", "--tracks", "dome,goldsky", "--derive=false", "--to", "merge"]).await;
    assert_eq!(results(&fourth)[1..4], [("dome", "skipped"), ("goldsky", "skipped"), ("merge", "skipped")]);
    let bad = scene.output(&["run", "--tracks", "dome,goldsky", "--from", "merge", "--to", "setup"]).await;
    assert_eq!(bad.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_phase_that_fails_is_the_last_and_the_summary_comes_all_the_same() {
    let scene = scene(&small_universe(44), Duration::ZERO).await;
    let nowhere = ["--dome-api-url", "http://127.0.0.1:1", "--goldsky-url", "http://127.0.0.1:1"];
    let output = scene
        .output(&[&["run", "--tracks", "dome,goldsky", "--format", "json"], &nowhere[..]].concat())
        .await;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = results(&object);
    assert_eq!(results[1..3], [("dome", "failed"), ("goldsky", "failed")]);
    assert_eq!(results[3], ("merge", "done"), "what was derived before");
    assert!(!results.iter().any(|(_, result)| *result == "not reached"), "{results:?}");
    assert_eq!(object["missing_tracks"], serde_json::json!(["dome", "goldsky"]));
    assert_eq!(object["outcome"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_cannot_be_used_is_taken_over_by_the_other_which_says_so() {
    let scene = scene(&small_universe(44), Duration::ZERO).await;
    let arguments = [
        "run",
        "--tracks",
        "dome,goldsky",
        "--derive=false",
        "--format",
        "json",
        "--dome-api-url",
        "http://127.0.0.1:1",
    ];
    let output = scene.output(&arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("The Dome track cannot go on"), "{errors}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let track = |name: &str| {
        object["phases"].as_array().unwrap().iter().find(|it| it["phase"] == name).unwrap().clone()
    };
    let (dome, goldsky) = (track("dome"), track("goldsky"));
    assert!(dome["ended_early"].as_str().unwrap().contains("unreachable"), "{dome}");
    assert_eq!((&dome["processed"], &dome["inserted"]), (&dome["total"], &0.into()), "{dome}");
    assert!(
        goldsky["inserted"].as_u64() > dome["total"].as_u64(),
        "it has staged the tokens of both: {goldsky}"
    );
    assert!(goldsky.get("ended_early").is_none());
    assert_eq!(scene.stand_in(Source::Dome).counters().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_with_work_left_ends_the_run_with_4_after_what_is_staged_was_merged_and_checked() {
    let scene = scene(&small_universe(48), Duration::from_millis(300)).await;
    let arguments =
        ["run", "--tracks", "dome,goldsky", "--derive=false", "--batch-size", "20", "--worker-count", "2"];
    let run = scene.json(4, &arguments);
    // Both services end in the middle: nobody is left to take over.
    let ends = async {
        for source in TRACKS {
            let stand_in = scene.stand_in(source);
            while stand_in.counters().answered == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            stand_in.end_service();
        }
    };
    let ((object, said), ()) = tokio::join!(run, ends);
    let results = results(&object);
    assert_eq!(results[1..4], [("dome", "work left"), ("goldsky", "work left"), ("merge", "done")], "{said}");
    assert!(results[4..].iter().all(|(_, result)| ["done", "below"].contains(result)), "{results:?}");
    let phases = object["phases"].as_array().unwrap();
    let merged = phases.iter().find(|it| it["phase"] == "merge").unwrap();
    assert!(merged["added"].as_u64() > Some(0), "what was answered by then: {merged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_could_only_help_and_cannot_is_no_failure() {
    let scene = scene(&small_universe(47), Duration::ZERO).await;
    let shares = ["run", "--derive=false", "--dome-share", "0", "--to", "merge", "--format", "json"];
    let output = scene.output(&[&shares[..], &["--dome-api-url", "http://127.0.0.1:1"]].concat()).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("The Dome track cannot help: unreachable"), "{errors}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results(&object)[1..4], [("dome", "done"), ("goldsky", "done"), ("merge", "done")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_track_can_be_scraped_and_an_address_that_is_taken_ends_with_2() {
    let scene = scene(&small_universe(45), Duration::from_millis(30)).await;
    scene.run(&["setup"]).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = scene.output(&["dome", "--metrics", &address]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--metrics"), "it says what to change");
    assert_eq!(scene.staged().await, 0, "nothing was touched");
    let arguments = ["dome", "--batch-size", "10", "--worker-count", "4", "--metrics", "127.0.0.1:0"];
    let mut child = scene.command(&arguments).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it says where its metrics are");
        if let Some(address) = line.strip_prefix("Metrics: ") {
            break address.to_owned();
        }
    };
    // What it says from here on has to be taken from it, or it would wait.
    let rest = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let output = tokio::spawn(child.wait_with_output());
    let page = loop {
        assert!(!output.is_finished(), "it ended before it could be scraped");
        if let Ok(answer) = reqwest::get(&address).await {
            let page = answer.text().await.unwrap();
            if sample(&page, "backfill_rows_written_total").is_some_and(|rows| rows > 0.0)
                && sample(&page, "backfill_checkpoint_age_seconds").is_some()
            {
                break page;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let value = |name: &str| sample(&page, name).unwrap_or_else(|| panic!("{name} is missing: {page}"));
    assert!(value("backfill_processed_tokens") <= value("backfill_workload_tokens"));
    assert!(value("backfill_requests_total") >= value("backfill_request_duration_seconds_count"));
    assert!(value("backfill_request_duration_seconds_count") > 0.0);
    assert!(value("backfill_request_duration_seconds_sum") >= 0.03, "an answer takes as long as that");
    assert!(value("backfill_quota_use_ratio") >= 0.0);
    assert!(value("backfill_checkpoint_age_seconds") < 60.0);
    assert_eq!(value("backfill_workers"), 4.0);
    assert_eq!(value("backfill_running"), 1.0);
    assert!(page.contains(r#"backfill_retries_total{track="dome",reason="timeout"} 0"#), "{page}");
    assert!(page.ends_with("# EOF\n"));
    let output = tokio::time::timeout(Duration::from_secs(60), output).await.unwrap().unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0));
    rest.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_that_are_pushed_at_the_end_are_the_numbers_of_the_page() {
    let scene = scene(&small_universe(46), Duration::ZERO).await;
    scene.run(&["setup"]).await;
    let (pushed, mut pages) = tokio::sync::mpsc::unbounded_channel::<String>();
    let take = move |page: String| {
        let pushed = pushed.clone();
        async move { pushed.send(page).unwrap() }
    };
    let gateway = axum::Router::new().route("/metrics/job/backfill", axum::routing::put(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics/job/backfill", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, gateway).await });
    let (dome, _) = scene.json(0, &["dome", "--metrics-push", &url]).await;
    let page = pages.recv().await.unwrap();
    for name in ["processed", "resolved", "inserted", "not_found", "rejected"] {
        let told = sample(&page, &format!("backfill_{name}_tokens"));
        assert_eq!(told, dome[name].as_f64(), "{name}: {dome}\n{page}");
    }
    assert_eq!(sample(&page, "backfill_requests_total"), dome["requests"].as_f64());
    assert!(sample(&page, "backfill_quota_use_ratio").unwrap() <= 1.0, "{page}");
    // Who cannot push has done the work all the same.
    let (_, said) = scene.json(0, &["dome", "--metrics-push", "http://127.0.0.1:9/"]).await;
    assert!(said.contains("could not be pushed"), "{said}");
}

/// The first sample of this name for the Dome track.
fn sample(page: &str, name: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.starts_with(&format!("{name}{{track=\"dome\"")))?;
    line.rsplit(' ').next()?.parse().ok()
}
