//! What bad input, bad servers and bad files get, through the real program: one message, and the exit code of its cause.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{BACKFILL, World, small_universe, sources, stand_ins};
use backfill::cli::Cli;
use backfill::phases::setup::{SetupOptions, run as run_setup};
use backfill::source::Source;
use backfill::track::checkpoint::CheckpointFile;
use clap::CommandFactory;

const SECRET: &str = "s3cret-0f-mine";

/// Runs the program in `folder` with nothing of this process's environment, and with `settings` in its own.
async fn backfill(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let run = tokio::process::Command::new(BACKFILL)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("it ends").unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one message of a command that ended with `code`.
fn message(output: &Output, code: i32) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    let messages: Vec<&str> = text.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(messages.len(), 1, "one message: {text}");
    assert!(!text.contains("panicked"), "{text}");
    messages[0].to_owned()
}

/// A server that must not be asked anything.
fn tripwire() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A server that answers every request with these bytes, and counts the requests.
fn answering(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    // It ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let length = String::from_utf8_lossy(&head).to_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            // What is not read would reset the connection before the answer arrives.
            let _ = stream.read_exact(&mut vec![0; length.unwrap_or(0)]);
            if !head.is_empty() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (url, requests)
}

/// Where nobody listens.
fn closed() -> String {
    tripwire().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_ends_with_2_names_itself_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, url) = tripwire();
    let bad_url = format!("http://me:{SECRET}@:99999/");
    let cases = [
        ("WORKER_COUNT", "0"),
        ("WORKER_COUNT", "abc"),
        ("WORKER_COUNT", "-3"),
        ("WORKER_COUNT", ""),
        ("BATCH_SIZE", "0"),
        ("CLICKHOUSE_URL", &bad_url),
        ("CLICKHOUSE_URL", "127.0.0.1:8123"),
        ("DOME_API_URL", &bad_url),
        ("GOLDSKY_URL", "ftp://example.com"),
        ("DOME_RATE_LIMIT", "10"),
        ("GOLDSKY_RATE_LIMIT", "0/10s"),
        ("BASELINE_WALLET", "0x12"),
        ("EXPECTED_PNL", "much"),
        ("FILLS_TABLE", "fills; DROP TABLE x"),
        ("TOKEN_MAP_TABLE", "a.b.c"),
        ("STAGING_DATABASE", "a`b"),
        ("REQUEST_TIMEOUT", "0s"),
        ("GIVE_UP_AFTER", "soon"),
        ("COVERAGE_TARGET", "101"),
        ("COLLATERALS", "usdc=0x12"),
    ];
    for (name, value) in cases {
        let flag = format!("--{}={value}", name.to_lowercase().replace('_', "-"));
        let base = [("CLICKHOUSE_URL", url.as_str()), ("DOME_API_URL", &url), ("DOME_API_KEY", "k")];
        let settings: Vec<_> = base.into_iter().chain([(name, value)]).collect();
        for output in [
            backfill(folder.path(), &settings, &["dome"]).await,
            backfill(folder.path(), &base, &["dome", &flag]).await,
        ] {
            let message = message(&output, 2);
            let named = [name.to_owned(), format!("--{}", name.to_lowercase().replace('_', "-"))];
            assert!(named.iter().any(|name| message.contains(name)), "{name}={value}: {message}");
            assert!(output.stdout.is_empty() && !stderr(&output).contains(SECRET), "{message}");
        }
    }
    let settings = [("CLICKHOUSE_URL", url.as_str()), ("DOME_API_URL", &url)];
    let output = backfill(folder.path(), &settings, &["dome"]).await;
    assert!(message(&output, 2).contains("DOME_API_KEY"));
    assert!(listener.accept().is_err(), "nobody was asked");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_a_help_and_a_wrong_command_line_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::command();
    let commands = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let commands: Vec<&str> = commands.map(clap::Command::get_name).filter(|name| *name != "help").collect();
    assert!(commands.len() >= 18, "{commands:?}");
    for command in commands {
        let output = backfill(folder.path(), &[], &[command, "--help"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains("Usage:") && text.contains("backfill help settings"),
            "{text}"
        );
        assert!(text.contains("Examples:\n  backfill "), "{command} has no example");
    }
    let short = backfill(folder.path(), &[], &["dome", "-h"]).await.stdout;
    assert!(!String::from_utf8(short).unwrap().contains("--clickhouse-url"), "the settings are for --help");
    for arguments in [&["--help"][..], &["--version"]] {
        assert!(backfill(folder.path(), &[], arguments).await.status.success());
    }
    for arguments in [&[][..], &["merg"], &["setup", "--no-such-flag"], &["demo", "--faults", "2"]] {
        assert_eq!(backfill(folder.path(), &[], arguments).await.status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_a_clickhouse_cannot_be_used_has_a_message_of_its_own() {
    let world = World::new().await;
    let with_secret = closed().replace("http://", &format!("http://default:{SECRET}@"));
    let (html, _) = answering("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>");
    // What the port of the native protocol says to HTTP.
    let (native, _) =
        answering("HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program\r\n");
    let (garbage, _) = answering("SSH-2.0-OpenSSH_9.2\r\n");
    let url = world.url.as_str();
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("CLICKHOUSE_URL", &with_secret)], "no ClickHouse answers"),
        (&[("CLICKHOUSE_URL", url), ("CLICKHOUSE_PASSWORD", SECRET)], "CLICKHOUSE_PASSWORD"),
        (&[("CLICKHOUSE_URL", url), ("CLICKHOUSE_USER", "nobody")], "\"nobody\""),
        (&[("CLICKHOUSE_URL", url), ("CLICKHOUSE_DATABASE", "no_such")], "\"no_such\""),
        (&[("CLICKHOUSE_URL", &html)], "HTTP 200"),
        (&[("CLICKHOUSE_URL", &native)], "HTTP 400"),
        (&[("CLICKHOUSE_URL", &garbage)], "is not ClickHouse"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut messages = Vec::new();
    for (settings, expected) in cases {
        for command in [["setup", "-vv"], ["verify", "--log-format=json"]] {
            let output = backfill(folder.path(), settings, &command).await;
            let message = message(&output, 1);
            assert!(message.contains(expected), "{expected}: {message}");
            assert!(!stderr(&output).contains(SECRET) && output.stdout.is_empty(), "{message}");
            messages.push(message);
        }
    }
    messages.dedup();
    assert_eq!(messages.len(), 7, "both commands say the same, each cause something else: {messages:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_or_column_is_named_before_anything_is_written() {
    let world = World::new().await;
    let folder = world.folder.path().to_owned();
    let arguments = world.arguments();
    let run = async |command: &str| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain([command]).collect();
        backfill(&folder, &[], &arguments).await
    };
    for command in ["setup", "merge", "verify", "validate"] {
        let message = message(&run(command).await, 1);
        assert!(message.contains(&format!("{}.clob_fills", world.database)), "{message}");
        assert!(message.contains("FILLS_TABLE"), "{message}");
    }
    world.run("CREATE TABLE {d}.clob_fills (asset_id String) ENGINE = MergeTree ORDER BY asset_id").await;
    assert!(message(&run("setup").await, 1).contains("ctf_token_map"));
    world
        .run(
            "CREATE TABLE {d}.ctf_token_map (token_id String, condition_id_norm String, outcome String) \
             ENGINE = MergeTree ORDER BY token_id",
        )
        .await;
    for command in ["setup", "merge", "verify"] {
        let message = message(&run(command).await, 1);
        assert!(message.contains("outcome_index") && message.contains("ctf_token_map"), "{message}");
    }
    let made: u64 = world.one("SELECT count() FROM system.databases WHERE name = '{s}'").await;
    assert_eq!(made, 0, "no staging database was made");
    world.run("ALTER TABLE {d}.ctf_token_map ADD COLUMN outcome_index UInt8").await;
    assert_eq!(run("setup").await.status.code(), Some(0));
    // Before its workload is there a track says what to run.
    world.run("DROP DATABASE {s}").await;
    let output = run("goldsky").await;
    assert!(message(&output, 1).contains("setup"), "{}", stderr(&output));
}

/// A world whose tracks have work, from phase 0.
async fn with_work(seed: u64) -> (World, Arc<backfill::demo::Universe>) {
    let universe = small_universe(seed);
    let world = World::with(&universe).await;
    let options = SetupOptions::default();
    run_setup(&world.context(&[]).await, &options).await.unwrap();
    (world, universe)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_let_us_in_is_not_asked_again() {
    let (world, universe) = with_work(31).await;
    let (dome, _goldsky) = stand_ins(&universe, |_| {}).await;
    let (gone, _) = stand_ins(&universe, |options| options.gone = true).await;
    let (forbidden, asked) =
        answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    let arguments = world.arguments();
    // What the workers sent before the first answer came, and nothing after it.
    let workers = 16;
    let run = async |url: &str| {
        let settings = [("DOME_API_URL", url), ("DOME_API_KEY", SECRET), ("GIVE_UP_AFTER", "20s")];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["dome", "-vv"]).collect();
        let output = backfill(world.folder.path(), &settings, &arguments).await;
        assert!(!stderr(&output).contains(SECRET), "{}", stderr(&output));
        message(&output, 1)
    };
    let refused = run(&dome.url()).await;
    assert!(refused.contains("401") && refused.contains("DOME_API_KEY"), "{refused}");
    assert!((1..=workers).contains(&dome.counters().requests), "{:?}", dome.counters());
    let refused = run(&forbidden).await;
    assert!(refused.contains("403") && refused.contains("DOME_API_KEY"), "{refused}");
    assert!((1..=16).contains(&asked.load(Ordering::SeqCst)));
    let refused = run(&gone.url()).await;
    assert!(refused.contains("410"), "{refused}");
    assert!((1..=workers).contains(&gone.counters().requests), "{:?}", gone.counters());
    let refused = run(&closed()).await;
    assert!(refused.contains("unreachable"), "{refused}");
    let written: u64 = world.one("SELECT count() FROM {s}.clob_asset_map_dome").await;
    assert_eq!(written, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_at_work_and_a_checkpoint_that_cannot_be_used_stop_the_second_with_a_way_on() {
    let (world, universe) = with_work(32).await;
    let (_dome, goldsky) = stand_ins(&universe, |_| {}).await;
    let folder = world.folder.path().to_owned();
    let mut arguments = world.arguments();
    arguments.extend(["--goldsky-url".to_owned(), goldsky.url(), "goldsky".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let lock = CheckpointFile::lock(&folder, Source::Goldsky).unwrap();
    let held = message(&backfill(&folder, &[], &arguments).await, 1);
    assert!(held.contains(&std::process::id().to_string()), "{held}");
    let path = lock.path().to_owned();
    drop(lock);
    let form = |version: u32, track: &str, workload: &str| {
        format!(
            r#"{{"version": {version}, "track": "{track}", "workload": "{workload}", "total": 1, "processed": 0,
            "inserted": 0, "not_found": 0, "rejected": 0, "failed": 0, "last_token": null, "gaps": [],
            "started_at": "2025-11-12T00:00:00Z", "updated_at": "2025-11-12T00:00:00Z"}}"#
        )
    };
    let cases = [
        (String::new(), "damaged"),
        (form(1, "goldsky", "x")[..60].to_owned(), "damaged"),
        ("\u{0}\u{1}".repeat(40), "damaged"),
        (form(99, "goldsky", "x"), "version 99"),
        (form(1, "goldsky", "1-00"), "another workload"),
        (form(1, "dome", "1-00"), "another track"),
    ];
    for (content, expected) in cases {
        std::fs::write(&path, &content).unwrap();
        let output = backfill(&folder, &[], &arguments).await;
        let refused = message(&output, 1);
        assert!(refused.contains(expected) && refused.contains("rm "), "{expected}: {refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "the file is left as it is");
    }
    assert_eq!(goldsky.counters().requests, 0, "nobody was asked");
    std::fs::remove_file(&path).unwrap();
    let mut arguments = arguments;
    arguments.extend(["--goldsky-rate-limit", "100000/1s"]);
    assert_eq!(backfill(&folder, &[], &arguments).await.status.code(), Some(0), "and that is the way on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_never_printed_nor_written() {
    let (world, universe) = with_work(33).await;
    let (dome, goldsky) = stand_ins(&universe, |options| {
        options.api_key = Some(SECRET.to_owned());
        options.faults = backfill::demo::stand_in::FaultPlan::faults(3, 0.1);
        options.hang = Duration::from_secs(1);
    })
    .await;
    let mut arguments = world.arguments();
    let key = arguments_without_key(&sources(&dome, &goldsky));
    arguments.extend(key);
    for (command, format) in [("dome", "text"), ("goldsky", "json")] {
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend([command, "-vv", "--log-format", "json", "--format", format]);
        let settings = [("DOME_API_KEY", SECRET), ("GOLDSKY_API_KEY", SECRET)];
        let output = backfill(world.folder.path(), &settings, &arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(!stdout.contains(SECRET) && !stderr(&output).contains(SECRET));
        if format == "json" {
            let result: serde_json::Value = serde_json::from_str(&stdout).expect("one object");
            assert_eq!(result["processed"], result["total"]);
        }
    }
    let mut files = 0;
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(SECRET));
        files += 1;
    }
    assert!(files >= 2, "the checkpoints are there");
    assert!(dome.counters().answered > 0 && goldsky.counters().answered > 0, "the key was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_anything_that_a_run_prints_or_writes() {
    let universe = small_universe(34);
    let world = World::with(&universe).await;
    let (dome, goldsky) = stand_ins(&universe, |options| {
        options.api_key = Some(SECRET.to_owned());
        options.faults = backfill::demo::stand_in::FaultPlan::faults(5, 0.2);
        options.hang = Duration::from_secs(1);
    })
    .await;
    // A gateway that repeats the key it refuses.
    let (echo, _) = answering(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 40\r\nConnection: close\r\n\r\n{\"message\":\"no such key s3cret-0f-mine\"}",
    );
    let folder = world.folder.path();
    let mut arguments = world.arguments();
    arguments.extend(arguments_without_key(&sources(&dome, &goldsky)));
    let with_secret = world.url.replace("http://", &format!("http://default:{SECRET}@"));
    let settings = [("DOME_API_KEY", SECRET), ("GOLDSKY_API_KEY", SECRET)];
    let loud = ["-vv", "--log-file", "--variance-limit", "100"];
    let cases: [(&[&str], i32); 7] = [
        (&["setup"], 0),
        (&["dome", "--dome-api-url", &echo], 1),
        (&["run", "--tracks", "dome,goldsky", "--log-format", "json", "--derive=false"], 0),
        (&["run", "--tracks", "dome,goldsky", "--format", "json"], 0),
        (&["verify", "--clickhouse-url", &with_secret], 1),
        (&["verify", "--clickhouse-password", SECRET, "--log-format", "json"], 1),
        (&["merge", "--repair"], 0),
    ];
    for (command, code) in cases {
        let arguments: Vec<&str> =
            arguments.iter().map(String::as_str).chain(loud).chain(command.iter().copied()).collect();
        // A flag that is given twice is refused; the case's own wins.
        let arguments: Vec<&str> =
            match command.iter().position(|it| matches!(*it, "--dome-api-url" | "--clickhouse-url")) {
                None => arguments,
                Some(at) => {
                    let place = arguments.iter().position(|it| *it == command[at]).unwrap();
                    arguments
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| *i != place && *i != place + 1)
                        .map(|(_, it)| *it)
                        .collect()
                }
            };
        let output = backfill(folder, &settings, &arguments).await;
        assert_eq!(output.status.code(), Some(code), "{command:?}: {}", stderr(&output));
        if command.contains(&"--dome-api-url") {
            assert!(stderr(&output).contains("no such key ***"), "{}", stderr(&output));
        }
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            !stdout.contains(SECRET) && !stderr(&output).contains(SECRET),
            "{command:?}: {}",
            stderr(&output)
        );
    }
    let mut logs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(SECRET), "{}", path.display());
        // The times of requests are no log for people.
        let is_log = path.extension().is_some_and(|it| it == "log");
        if is_log && !path.to_string_lossy().ends_with("-requests.log") {
            logs += 1;
            assert!(!text.contains('\x1b'), "{} has control characters", path.display());
        }
    }
    assert_eq!(logs, 5, "setup, dome, run, verify and merge have their logs beside the checkpoints");
    let log = std::fs::read_to_string(folder.join("run.log")).unwrap();
    let (json, text): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| line.starts_with('{'));
    assert!(json.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{json:?}");
    assert!(log.contains("asked") && !json.is_empty() && !text.is_empty(), "every request is in it");
    assert!(dome.counters().answered > 0 && goldsky.counters().answered > 0, "the key was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_piped_has_no_control_characters() {
    let (world, universe) = with_work(35).await;
    let (dome, goldsky) = stand_ins(&universe, |_| {}).await;
    let mut arguments = world.arguments();
    arguments.extend(sources(&dome, &goldsky));
    for (term, progress) in [("xterm-256color", "bar"), ("dumb", "auto"), ("xterm-256color", "plain")] {
        for command in [&["goldsky"][..], &["run", "--tracks", "dome,goldsky"]] {
            let arguments: Vec<&str> = arguments
                .iter()
                .map(String::as_str)
                .chain(command.iter().copied())
                .chain(["--progress", progress, "-vv"])
                .collect();
            let output = backfill(world.folder.path(), &[("TERM", term)], &arguments).await;
            for stream in [&output.stdout, &output.stderr] {
                let odd = stream.iter().find(|byte| byte.is_ascii_control() && **byte != b'\n');
                assert_eq!(odd, None, "{term} {progress} {command:?}");
            }
            assert!(!output.stdout.is_empty());
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["goldsky", "-q"]).collect();
    let output = backfill(world.folder.path(), &[], &arguments).await;
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_pages_come_from_the_command_line_itself() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = backfill(folder.path(), &[("WORKER_COUNT", "no number")], &["completions", shell]).await;
        assert_ne!(output.status.code(), Some(0), "a setting that is none is still told");
        let output = backfill(folder.path(), &[], &["completions", shell]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("goldsky") && text.contains("dry-run"), "{shell}");
    }
    let page = String::from_utf8(backfill(folder.path(), &[], &["man"]).await.stdout).unwrap();
    assert!(page.contains(".TH backfill 1"), "{page}");
    assert!(backfill(folder.path(), &[], &["man", "--dir", "pages"]).await.status.success());
    for page in ["backfill.1", "backfill-run.1", "backfill-goldsky.1"] {
        assert!(folder.path().join("pages").join(page).is_file(), "{page}");
    }
}

/// The settings but the key, which shall come from the environment.
fn arguments_without_key(settings: &[String]) -> Vec<String> {
    let pairs = settings.chunks(2).filter(|pair| pair[0] != "--dome-api-key");
    pairs.flatten().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dotenv_is_read_and_the_environment_wins() {
    let folder = tempfile::tempdir().unwrap();
    let url = closed();
    let dotenv = folder.path().join(".env");
    std::fs::write(&dotenv, format!("WORKER_COUNT=abc\nCLICKHOUSE_URL={url}\n")).unwrap();
    assert!(message(&backfill(folder.path(), &[], &["setup"]).await, 2).contains("abc"));
    let output = backfill(folder.path(), &[("WORKER_COUNT", "4")], &["setup"]).await;
    assert!(message(&output, 1).contains(&url), "the URL is the file's, the count is not");
    std::fs::write(&dotenv, format!("DOME_API_KEY=\"{SECRET}\n")).unwrap();
    let output = backfill(folder.path(), &[], &["setup"]).await;
    assert!(message(&output, 2).contains(".env") && !stderr(&output).contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_nothing_or_to_nowhere_says_so_and_one_that_can_be_written_needs_no_clickhouse() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = message(&backfill(folder.path(), &[], &["report"]).await, 2);
    assert!(nothing.contains("no phase has run yet") && nothing.contains("CHECKPOINT_DIR"), "{nothing}");
    assert!(!folder.path().join("tmp").exists(), "nothing was touched");
    // A phase that cannot be run leaves its failure in the journal.
    let url = closed();
    let failed = message(&backfill(folder.path(), &[("CLICKHOUSE_URL", &url)], &["setup"]).await, 1);
    let nowhere = message(&backfill(folder.path(), &[], &["report", "-o", "none/report.html"]).await, 5);
    assert!(nowhere.contains("cannot write none/report.html"), "{nowhere}");
    let output = backfill(folder.path(), &[("CLICKHOUSE_URL", &url)], &["report", "--format", "json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["file"], "tmp/backfill-report.html");
    assert_eq!(result["phases"], serde_json::json!(["setup"]));
    let page = std::fs::read_to_string(folder.path().join("tmp/backfill-report.html")).unwrap();
    let reason = failed.strip_prefix("error: ").unwrap();
    assert!(page.contains(&reason.replace('&', "&amp;").replace('"', "&quot;")), "{reason}");
}
