//! `status` and the run journal, through the real program: what ran is told, whatever else is away.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use crate::common::{BACKFILL, World, small_universe, stand_ins};
use backfill::demo::{StandIn, StandInOptions};
use serde_json::Value;

fn command(world: &World, dome: &StandIn) -> Command {
    let mut command = Command::new(BACKFILL);
    command
        .args(world.arguments())
        .args(["--dome-api-key", "s3cret-key", "--dome-api-url", &dome.url()])
        .args(["--dome-rate-limit", "100000/1s", "--progress", "none", "--format", "json"])
        .current_dir(world.folder.path())
        .stdin(Stdio::null());
    command
}

/// The one that asks for a key asks for this one.
fn with_key(options: &mut StandInOptions) {
    options.api_key = options.api_key.take().map(|_| "s3cret-key".to_owned());
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn phase<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["phases"].as_array().unwrap().iter().find(|it| it["phase"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_ran_what_came_of_it_and_what_is_known_while_clickhouse_is_away() {
    let universe = small_universe(41);
    let world = World::with(&universe).await;
    let (dome, _goldsky) = stand_ins(&universe, with_key).await;
    let run = |arguments: &[&str]| command(&world, &dome).args(arguments).output().unwrap();
    let nothing = object(&run(&["status"]));
    assert_eq!(
        (&phase(&nothing, "setup")["state"], &nothing["baseline"]),
        (&"never run".into(), &Value::Null)
    );
    assert_eq!(nothing["coverage"]["mapped"], universe.expected().mapped, "ClickHouse was asked");

    assert!(run(&["setup", "--dome-share", "100"]).status.success());
    let track = object(&run(&["dome"]));
    assert_eq!(run(&["verify", "--coverage-target", "100"]).status.code(), Some(3));
    assert_eq!(run(&["validate", "--baselines", "nowhere.csv"]).status.code(), Some(2));
    let status = object(&run(&["status"]));
    let states = ["setup", "dome", "goldsky", "merge", "verify", "validate"]
        .map(|name| phase(&status, name)["state"].as_str().unwrap());
    assert_eq!(states, ["done", "done", "never run", "never run", "below threshold", "never run"]);
    let dome_status = &status["tracks"][0];
    assert_eq!((&dome_status["track"], &dome_status["pid"]), (&"dome".into(), &Value::Null));
    assert_eq!(dome_status["checkpoint"]["processed"], track["processed"]);
    assert_eq!(status["baseline"]["mapped"], universe.expected().mapped);

    let away = command(&world, &dome).args(["status", "--clickhouse-password", "wrong"]).output().unwrap();
    let away = object(&away);
    assert!(away["clickhouse_away"].as_str().unwrap().contains("refuses the user"), "{away}");
    assert_eq!(away["last_known"]["mapped"], status["coverage"]["mapped"], "verify's number, with its age");
    let journal = std::fs::read_to_string(world.folder.path().join("run-journal.jsonl")).unwrap();
    assert!(!journal.contains("s3cret-key") && journal.lines().count() >= 6, "{journal}");
    let ended: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = |event: &&Value| event["event"] == "ended" && event["phase"] == "dome";
    let mut printed = track.clone();
    let run_id = printed.as_object_mut().unwrap().remove("run_id").unwrap();
    let of_dome = ended.iter().find(result).unwrap();
    assert_eq!(of_dome["result"], printed, "the result is the one that was printed");
    assert!(of_dome["run"].as_str().unwrap().starts_with(run_id.as_str().unwrap()), "{of_dome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_over_a_pipe_shows_a_running_track_and_no_control_characters() {
    let universe = small_universe(42);
    let world = World::with(&universe).await;
    let (dome, _goldsky) = stand_ins(&universe, with_key).await;
    assert!(command(&world, &dome).args(["setup", "--dome-share", "100"]).status().unwrap().success());
    // The track stays where it is until it is let on.
    dome.hold_after(5);
    let mut track =
        command(&world, &dome).args(["dome", "--batch-size", "20"]).stdout(Stdio::null()).spawn().unwrap();
    while dome.counters().requests < 6 {
        assert_eq!(track.try_wait().unwrap(), None, "the track is held back");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut watch = command(&world, &dome)
        .args(["status", "--watch", "--format", "text"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut page = String::new();
    for line in BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap) {
        page = page + &line + "\n";
        if line.starts_with("Dome track") {
            break;
        }
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
    dome.let_in();
    assert!(track.wait().unwrap().success());
    assert!(page.contains(&format!("process {} is at it", track.id())), "{page}");
    assert!(page.contains("dome      running"), "{page}");
    assert!(page.chars().all(|it| it == '\n' || !it.is_control()), "{page:?}");
}
