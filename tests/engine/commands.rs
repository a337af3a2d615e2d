//! The embedded server: its data, its folder, its port, and how it ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::BACKFILL;
use backfill::embedded::{EmbeddedError, Search, Server, ServerOptions, locate};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

fn options(data: &Path) -> ServerOptions {
    ServerOptions {
        data: data.to_owned(),
        http_port: 0,
        tcp_port: None,
        config: None,
        engine: None,
        launcher: BACKFILL.into(),
    }
}

/// Fetches the engine where this machine has none yet, so that no test's bound includes a download.
async fn fetched() {
    locate(&Search::on_this_machine(None), &|text| eprintln!("{text}")).await.unwrap();
}

async fn start(data: &Path) -> Result<Server, EmbeddedError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Server::start(options(data), &|text| eprintln!("{text}")).await
}

/// `backfill clickhouse` on any port.
fn clickhouse(data: &Path) -> Command {
    clickhouse_at(data, 0)
}

fn clickhouse_at(data: &Path, port: u16) -> Command {
    let mut command = Command::new(BACKFILL);
    command.args(["clickhouse", "--format", "json", "--port", &port.to_string(), "--data"]).arg(data);
    // No `.env` of whoever runs the tests.
    command.current_dir(data.parent().unwrap()).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn ended(command: &mut Command) -> Output {
    tokio::time::timeout(Duration::from_secs(60), command.output()).await.expect("it ends").unwrap()
}

/// The one message of a command that ended with exit code 1.
fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let failed: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).expect("one object");
    assert_eq!(failed["exit"], 1, "{text}");
    let part = |name: &str| failed[name].as_str().unwrap_or_default().to_owned();
    format!("error: {}; {}", part("error"), part("advice"))
}

/// Waits for what `backfill clickhouse` prints when it is ready, and finds its engine: both process ids.
async fn ready(child: &mut Child) -> (Pid, u32) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(120), lines.next_line()).await;
    let line = line.expect("it starts in time").unwrap().expect("it prints where it is");
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    let own = child.id().unwrap();
    assert_eq!(told["pid"], own);
    let url = told["url"].as_str().unwrap();
    let client = clickhouse::Client::default().with_url(url);
    assert_eq!(client.query("SELECT 1").fetch_one::<u8>().await.unwrap(), 1);
    let engines = children(own);
    assert_eq!(engines.len(), 1, "one engine");
    (Pid::from_raw(own.cast_signed()).unwrap(), engines[0])
}

/// A line of `/proc/PID/stat` behind the name: the state, the parent's id, …
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_kill_and_the_folder_has_one_server_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = start(&data).await.unwrap();
    let client = clickhouse::Client::default().with_url(server.url());
    for sql in [
        "CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n",
        "INSERT INTO kept SELECT number FROM numbers(100000) SETTINGS async_insert = 0",
    ] {
        client.query(sql).execute().await.unwrap();
    }
    let refused = start(&data).await.unwrap_err();
    let own = std::process::id().to_string();
    assert!(matches!(&refused, EmbeddedError::FolderInUse { pid, .. } if *pid == own), "{refused}");
    let refused = message(&ended(&mut clickhouse(&data)).await);
    assert!(refused.contains(&format!("process {own}")) && refused.contains("--data"), "{refused}");
    let engine = server.pid();
    server.kill().await;
    assert_eq!(stat(engine), None, "killed and reaped");
    let server = start(&data).await.unwrap();
    let client = clickhouse::Client::default().with_url(server.url());
    let sum: (u64, u64) = client.query("SELECT count(), sum(n) FROM default.kept").fetch_one().await.unwrap();
    assert_eq!(sum, (100_000, 4_999_950_000));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named() {
    fetched().await;
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut command = clickhouse_at(&folder.path().join("data"), port);
    let message = message(&ended(&mut command).await);
    assert!(message.contains(&format!("port {port}")) && message.contains("--port"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_server_and_its_engine_in_good_order() {
    fetched().await;
    let folder = tempfile::tempdir().unwrap();
    // One folder for both: the second start needs what the first end left.
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = clickhouse(&folder.path().join("data")).spawn().unwrap();
        let (pid, engine) = ready(&mut child).await;
        kill_process(pid, signal).unwrap();
        let status =
            tokio::time::timeout(Duration::from_secs(30), child.wait()).await.expect("it ends").unwrap();
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert_eq!(stat(engine), None, "{signal:?}: the engine is gone, and no zombie");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_ends_with_its_server_however_that_dies() {
    fetched().await;
    let folder = tempfile::tempdir().unwrap();
    let mut child = clickhouse(&folder.path().join("data")).spawn().unwrap();
    let (pid, engine) = ready(&mut child).await;
    kill_process(pid, Signal::KILL).unwrap();
    child.wait().await.unwrap();
    // An orphan's entry is taken away by whoever adopts it, here or there late: a zombie has ended too.
    let deadline = Instant::now() + Duration::from_secs(30);
    while stat(engine).is_some_and(|(state, _)| state != 'Z') {
        assert!(Instant::now() < deadline, "the engine outlives its server");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (text, library) = (folder.path().join("engine"), folder.path().join("libchdb.so"));
    std::fs::write(&text, "no program").unwrap();
    std::fs::write(&library, "no library").unwrap();
    for engine in [&folder.path().join("nothing"), &text, &library] {
        let mut command = clickhouse(&folder.path().join("data"));
        let message = message(&ended(command.env("CLICKHOUSE_ENGINE", engine)).await);
        let named = message.contains("CLICKHOUSE_ENGINE") && message.contains(&engine.display().to_string());
        assert!(named, "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_and_without_npm_it_is_said_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = clickhouse(&folder.path().join("data"));
    command.env_clear().env("PATH", "").env("HOME", folder.path()).env("XDG_CACHE_HOME", folder.path());
    let message = message(&ended(&mut command).await);
    assert!(message.contains("install") && message.contains("CLICKHOUSE_ENGINE"), "{message}");
}
