//! How fast the chain is read, near what its providers allow, and what staying at the head costs:
//!
//! ```text
//! cargo bench --bench chain              # all of it
//! cargo bench --bench chain -- whole     # three million logs from a portal without limits
//! cargo bench --bench chain -- limit     # a thousand ranges at a limit, from a portal's kind and a node's
//! cargo bench --bench chain -- new       # what a few new blocks cost behind little and much history
//! ```
//!
//! The real program runs as a process of its own against a genuine ClickHouse. The stand-in runs in this process, whose
//! own CPU time is given and taken off: on two cores it keeps the program waiting for half of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backfill::demo::stand_in::Window;
use backfill::demo::{ChainHabits, ChainLayout, ChainStandIn, ChainWorld};
use backfill::embedded::{Server, ServerOptions};
use backfill::track::quota::ceiling;
use backfill::values::RateLimit;
use serde_json::Value;

const BACKFILL: &str = env!("CARGO_BIN_EXE_backfill");

/// Conditions of all Polymarket: with their payouts three million logs.
const MARKETS: u64 = 1_500_000;

/// Blocks of the whole chain.
const BLOCKS: u64 = 94_000_000;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    if wanted("whole") || wanted("new") {
        whole().await;
    }
    if wanted("limit") {
        at_a_limit("portal", ChainHabits::portal()).await;
        at_a_limit("node", ChainHabits::node()).await;
    }
    if wanted("new") {
        new_blocks("little history", MARKETS / 100).await;
    }
}

struct Bench {
    folder: tempfile::TempDir,
    server: Server,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = ServerOptions {
            data: folder.path().join("clickhouse"),
            http_port: 0,
            tcp_port: None,
            config: None,
            engine: None,
            launcher: BACKFILL.into(),
        };
        let server = Server::start(options, &|text| eprintln!("{text}")).await.expect("an engine");
        Self { folder, server }
    }

    /// Reads what is missing; the result, and what it cost.
    fn read(&self, provider: &ChainStandIn, limit: &str) -> (Value, Cost) {
        let checkpoints = self.folder.path().join("checkpoints").display().to_string();
        run(Command::new(BACKFILL)
            .args(["chain", "--format", "json", "--progress", "none"])
            .args(["--clickhouse-url", &self.server.url(), "--checkpoint-dir", &checkpoints])
            .args(["--chain-url", &provider.url(), "--chain-rate-limit", limit]))
    }
}

/// All of Polymarket, from a portal without limits, and then a thousand blocks more.
async fn whole() {
    new_blocks("all history", MARKETS).await;
}

async fn new_blocks(name: &str, markets: u64) {
    let layout = ChainLayout { blocks: BLOCKS * markets / MARKETS, ..ChainLayout::default() };
    let world = Arc::new(ChainWorld::made_up(7, markets, layout));
    let habits =
        ChainHabits { head: Some(layout.last_block() - 1_000), gzip: false, ..ChainHabits::portal() };
    let (logs, bench) = (world.log_count(), Bench::start().await);
    let provider = ChainStandIn::start(world, habits).await.expect("a stand-in");
    let (result, cost) = bench.read(&provider, "100000/1s");
    assert_eq!(result["holes"], 0, "{result}");
    line(name, "first read", &result, &cost);
    println!("  {logs} logs, {:.0} a second of the wall", logs as f64 / cost.wall);
    provider.set_head(layout.last_block());
    let (result, cost) = bench.read(&provider, "100000/1s");
    line(name, "1,000 blocks more", &result, &cost);
    drop(provider);
    bench.server.stop().await;
}

/// A thousand ranges at a limit of 300 in 10 s.
async fn at_a_limit(name: &str, habits: ChainHabits) {
    let limit = "300/10s";
    let layout = ChainLayout { blocks: 10_000_000, ..ChainLayout::default() };
    let world = Arc::new(ChainWorld::made_up(8, 20_000, layout));
    let windows = vec![Window { requests: 300, per: Duration::from_secs(10) }];
    let latency = Duration::from_millis(150);
    let habits = ChainHabits { windows, latency, most_blocks: Some(10_000), gzip: false, ..habits };
    let bench = Bench::start().await;
    let provider = ChainStandIn::start(world, habits).await.expect("a stand-in");
    let first = layout.first_block;
    let checkpoints = bench.folder.path().join("checkpoints").display().to_string();
    let (result, cost) = run(Command::new(BACKFILL)
        .args(["chain", "--format", "json", "--progress", "none", "--chain-from-block", &first.to_string()])
        .args(["--clickhouse-url", &bench.server.url(), "--checkpoint-dir", &checkpoints])
        .args(["--chain-url", &provider.url(), "--chain-rate-limit", limit]));
    assert_eq!(result["holes"], 0, "{result}");
    line(name, "at 300/10s", &result, &cost);
    let needed = usize::try_from(layout.blocks.div_ceil(10_000)).expect("a count");
    let limit: RateLimit = limit.parse().expect("a limit");
    let best = (ceiling(&limit, needed) + latency).as_secs_f64();
    let seconds = result["work_seconds"].as_f64().expect("seconds");
    println!(
        "  needed {needed} requests: {best:.2} s at the best, {seconds:.2} s: ratio {:.3}, {} refused as too fast",
        best / seconds,
        provider.counters().throttled
    );
    drop(provider);
    bench.server.stop().await;
}

fn line(name: &str, what: &str, result: &Value, cost: &Cost) {
    println!(
        "{name:<16} {what:<18} {:>9} logs {:>6} requests {:>8.2} s wall {:>7.2} s less the stand-in's {:>6.2} s CPU on two cores, client {:>6.2} s CPU {:>6.1} MB",
        result["logs"],
        result["requests"],
        cost.wall,
        cost.wall - cost.own_cpu / 2.0,
        cost.own_cpu,
        cost.cpu,
        cost.peak_megabytes
    );
}

/// What a process cost, and this one meanwhile.
struct Cost {
    wall: f64,
    cpu: f64,
    own_cpu: f64,
    peak_megabytes: f64,
}

/// Runs the program, watching what the system says of it, and reads its JSON object.
fn run(command: &mut Command) -> (Value, Cost) {
    let (began, own) = (Instant::now(), Path::new("/proc/self"));
    let own_before = cpu_seconds(own).unwrap_or_default();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program");
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let mut cost = Cost { wall: 0.0, cpu: 0.0, own_cpu: 0.0, peak_megabytes: 0.0 };
    loop {
        cost.peak_megabytes = peak_megabytes(&proc).unwrap_or(cost.peak_megabytes);
        cost.cpu = cpu_seconds(&proc).unwrap_or(cost.cpu);
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    cost.wall = began.elapsed().as_secs_f64();
    cost.own_cpu = cpu_seconds(own).unwrap_or_default() - own_before;
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    (serde_json::from_slice(&output.stdout).expect("one object"), cost)
}

/// The largest resident size so far, as the kernel keeps it.
fn peak_megabytes(proc: &Path) -> Option<f64> {
    let status = std::fs::read_to_string(proc.join("status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// User and system time, in ticks of a hundredth of a second.
fn cpu_seconds(proc: &Path) -> Option<f64> {
    let stat = std::fs::read_to_string(proc.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
}
