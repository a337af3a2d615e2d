//! The embedded server, against the genuine engine: what it keeps, what it refuses, how it ends.

#![expect(clippy::unwrap_used, reason = "in the helpers of a test a panic is the report")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backfill::embedded::{EmbeddedError, Engine, Search, Server, ServerOptions, locate};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

/// The program under test.
const BACKFILL: &str = env!("CARGO_BIN_EXE_backfill");

fn options(data: &Path) -> ServerOptions {
    ServerOptions::new(data, BACKFILL)
}

async fn start(data: &Path) -> Server {
    Server::start(options(data), &|text| eprintln!("{text}")).await.expect("the engine starts")
}

async fn refused(options: ServerOptions) -> EmbeddedError {
    Server::start(options, &|_| {}).await.expect_err("it is refused")
}

async fn run(url: &str, sql: &str) {
    let client = clickhouse::Client::default().with_url(url);
    client.query(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn count(url: &str, sql: &str) -> u64 {
    let client = clickhouse::Client::default().with_url(url);
    client.query(sql).fetch_one().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// `backfill clickhouse` in a process of its own.
struct Running {
    child: Child,
    url: String,
}

/// Starts `backfill clickhouse` and waits until it says where it listens.
fn backfill_clickhouse(data: &Path) -> Running {
    let mut child = Command::new(BACKFILL)
        .arg("clickhouse")
        .arg("--data")
        .arg(data)
        .args(["--port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("CLICKHOUSE_URL=")?.1.trim().to_owned()))
        .expect("it says where it listens");
    // A closed pipe must be no trouble to it either.
    Running { child, url }
}

/// The exit code, waited for with an end.
fn exit_code(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The process id of the one process whose parent this is, from the system's table.
#[cfg(target_os = "linux")]
fn child_of(parent: u32) -> Pid {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).unwrap().flatten();
    let all: String = threads
        .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default())
        .collect();
    let child = all.split_whitespace().next().expect("it has a child").parse().unwrap();
    Pid::from_raw(child).unwrap()
}

#[tokio::test]
async fn it_answers_queries_until_it_is_stopped() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path()).await;
    let (url, port, group) = (server.url(), server.http_port(), pid(server.pid()));
    assert_eq!(url, format!("http://127.0.0.1:{port}"));
    assert_eq!(count(&url, "SELECT sum(number) FROM numbers(1000)").await, 499_500);
    server.stop().await;
    assert_eq!(test_kill_process_group(group), Err(Errno::SRCH), "nothing is left of its process group");
    TcpListener::bind(("127.0.0.1", port)).expect("its port is free again");
}

#[tokio::test]
async fn a_running_server_does_not_end_because_somebody_waits_for_its_end() {
    let data = tempfile::tempdir().unwrap();
    let mut server = start(data.path()).await;
    let url = server.url();
    tokio::select! {
        words = server.wait() => panic!("it has ended: {words}"),
        // By then an engine whose standard input ended is gone; this takes the server a second.
        _ = count(&url, "SELECT count() FROM numbers(100) WHERE NOT ignore(sleepEachRow(0.01))") => {}
    }
    assert_eq!(count(&url, "SELECT count() FROM numbers(7)").await, 7);
    kill_process_group(pid(server.pid()), Signal::TERM).unwrap();
    let words = tokio::time::timeout(Duration::from_secs(30), server.wait()).await.expect("it is told");
    assert!(words.contains("SIGTERM") || words.contains("signal"), "{words}");
}

#[tokio::test]
async fn data_survives_a_kill_and_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path()).await;
    let url = server.url();
    run(&url, "CREATE TABLE kept (x UInt64) ENGINE = MergeTree ORDER BY x").await;
    run(&url, "INSERT INTO kept SELECT number FROM numbers(100000)").await;
    server.kill().await;
    let server = start(data.path()).await;
    assert_eq!(count(&server.url(), "SELECT count() FROM kept").await, 100_000);
    // A dropped server leaves its folder to the next at once.
    drop(server);
    let server = start(data.path()).await;
    assert_eq!(count(&server.url(), "SELECT uniqExact(x) FROM kept").await, 100_000);
    server.stop().await;
}

#[tokio::test]
async fn a_second_server_on_a_folder_and_a_taken_port_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let server = start(data.path()).await;

    // By another name it is the same folder.
    let link = other.path().join("link");
    std::os::unix::fs::symlink(data.path(), &link).unwrap();
    let error = refused(options(&link)).await;
    assert!(matches!(error, EmbeddedError::FolderInUse { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");

    let mut taken = options(other.path());
    taken.http_port = server.http_port();
    let error = refused(taken).await;
    assert!(matches!(error, EmbeddedError::PortTaken { .. }), "{error}");
    assert!(error.to_string().contains(&format!("port {}", server.http_port())), "{error}");

    assert_eq!(count(&server.url(), "SELECT count() FROM numbers(3)").await, 3, "the first is unharmed");
    server.stop().await;
}

#[tokio::test]
async fn the_native_protocol_and_a_configuration_serve_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let tcp_port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let config = folder.path().join("cluster.xml");
    let replica = format!("<replica><host>127.0.0.1</host><port>{tcp_port}</port></replica>");
    let shards = format!("<shard>{replica}</shard>").repeat(2);
    fs::write(&config, format!("<c><remote_servers><pair>{shards}</pair></remote_servers></c>")).unwrap();
    let mut options = options(&folder.path().join("it's a \\ folder"));
    options.tcp_port = Some(tcp_port);
    options.config = Some(config);
    let server = Server::start(options, &|_| {}).await.expect("it starts");
    run(&server.url(), "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x").await;
    run(&server.url(), "INSERT INTO t SELECT number FROM numbers(5)").await;
    // Without the preference for the local replica the rows come over the native protocol.
    let sql = "SELECT count() FROM cluster(pair, default.t) SETTINGS prefer_localhost_replica = 0";
    assert_eq!(count(&server.url(), sql).await, 10, "five rows of each shard");
    server.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn sigterm_ends_the_clickhouse_command_cleanly() {
    let data = tempfile::tempdir().unwrap();
    let mut command = backfill_clickhouse(data.path());
    assert_eq!(count(&command.url, "SELECT count() FROM numbers(3)").await, 3);
    let engine = child_of(command.child.id());
    kill_process(pid(command.child.id()), Signal::TERM).unwrap();
    assert_eq!(exit_code(&mut command.child), Some(0));
    assert_eq!(test_kill_process_group(engine), Err(Errno::SRCH), "the engine ended before the command did");
}

#[tokio::test]
async fn an_engine_ends_with_the_command_that_is_killed_and_the_next_has_its_data() {
    let data = tempfile::tempdir().unwrap();
    let mut command = backfill_clickhouse(data.path());
    run(&command.url, "CREATE TABLE kept (x UInt64) ENGINE = MergeTree ORDER BY x").await;
    run(&command.url, "INSERT INTO kept SELECT number FROM numbers(10)").await;
    let error = refused(options(data.path())).await;
    assert!(error.to_string().contains(&format!("process {}", command.child.id())), "{error}");
    command.child.kill().unwrap();
    command.child.wait().unwrap();
    // The orphan may live a moment longer; the next server waits for its end and does not meet it.
    let server = start(data.path()).await;
    assert_eq!(count(&server.url(), "SELECT count() FROM kept").await, 10);
    server.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = refused(options(&folder.path().join("file/data"))).await;
    assert!(error.to_string().contains("file/data"), "{error}");
}

#[tokio::test]
async fn what_is_named_as_the_engine_is_used_or_refused_without_a_fallback() {
    let folder = tempfile::tempdir().unwrap();
    let named = |path: PathBuf| {
        let mut options = options(&folder.path().join("data"));
        options.engine = Some(path);
        refused(options)
    };
    let missing = folder.path().join("missing/libchdb.so");
    let error = named(missing).await.to_string();
    assert!(error.contains("CLICKHOUSE_ENGINE") && error.contains("missing/libchdb.so"), "{error}");

    let error = named(folder.path().to_owned()).await.to_string();
    assert!(error.contains("CLICKHOUSE_ENGINE") && error.contains("not a file"), "{error}");

    let library = folder.path().join("libchdb.so");
    fs::write(&library, "not a library").unwrap();
    let error = named(library).await.to_string();
    assert!(error.contains("cannot load the ClickHouse engine"), "{error}");

    let binary = script(&folder.path().join("clickhouse"), "echo git version 2.51.0");
    let error = named(binary).await.to_string();
    assert!(error.contains("does not say a version of ClickHouse"), "{error}");
}

fn script(path: &Path, body: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// A `clickhouse` of another version: the genuine engine behind its command line. As `server` it does not look at its
/// standard input.
async fn clickhouse_of_version(folder: &Path, version: &str) -> PathBuf {
    let engine = locate(&Search::on_this_machine(None), &|_| {}).await.expect("there is an engine");
    let local = match &engine {
        Engine::Library(library) => format!("'{BACKFILL}' clickhouse-engine '{}'", library.display()),
        other => format!("'{}' local", other.path().display()),
    };
    let body = format!(
        r#"case "$1 $2" in
"local --version") echo "ClickHouse local version {version} (official build)." ;;
"local "*) shift; exec {local} "$@" ;;
"server "*) mkfifo "$0.fifo"; exec 3<>"$0.fifo"; rm "$0.fifo"
    exec {local} "$2" --query="SYSTEM START LISTEN HTTP; SELECT * FROM file('/dev/stdin', 'TSV', 'x String') FORMAT Null" <&3 ;;
esac"#
    );
    script(&folder.join("clickhouse"), &body)
}

#[tokio::test]
async fn a_clickhouse_binary_serves_as_local_and_an_older_one_as_server() {
    for version in ["26.6.1.1193", "25.3.2.39"] {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(&folder.path().join("data & more"));
        options.engine = Some(clickhouse_of_version(folder.path(), version).await);
        let server = Server::start(options.clone(), &|_| {}).await.expect("it starts");
        let (url, group) = (server.url(), pid(server.pid()));
        run(&url, "CREATE TABLE kept (x UInt64) ENGINE = MergeTree ORDER BY x").await;
        run(&url, "INSERT INTO kept SELECT number FROM numbers(10)").await;
        server.stop().await;
        assert_eq!(test_kill_process_group(group), Err(Errno::SRCH), "{version}: nothing is left of it");
        let server = Server::start(options, &|_| {}).await.expect("it starts again");
        assert_eq!(count(&server.url(), "SELECT count() FROM kept").await, 10, "{version}");
        server.kill().await;
    }
}
