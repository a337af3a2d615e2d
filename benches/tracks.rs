//! How near the tracks come to what the APIs' limits allow, and what that costs:
//!
//! ```text
//! cargo bench --bench tracks               # every tier at 50, 150 and 300 ms
//! cargo bench --bench tracks -- 150 dev    # only rows with these words
//! cargo bench --bench tracks -- memory     # three million tokens, without a limit to wait for
//! cargo bench --bench tracks -- million    # three million tokens at the published limit, ten minutes
//! cargo bench --bench tracks -- clob       # a catalogue of 1.5 million markets
//! cargo bench --bench tracks -- both       # Dome's free tier and Goldsky side by side, half of the tokens each
//! BACKFILL=… cargo bench --bench tracks    # another build of the program
//! ```
//!
//! The real program runs as a process of its own, against a genuine ClickHouse and stand-ins that count a request when
//! it arrives, over sliding windows, with latency and 20 % of jitter on it. The workload has one token a condition, so
//! no sibling saves a request. The ceiling is the earliest moment at which all windows let the last needed request be
//! sent, plus one latency. Seconds run from the first request sent to the last row acknowledged.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use backfill::demo::stand_in::{ListHabits, Window};
use backfill::demo::{StandIn, StandInOptions, Universe, UniverseOptions, load};
use backfill::embedded::{Server, ServerOptions};
use backfill::source::Source;
use backfill::track::quota::ceiling;
use backfill::values::RateLimit;
use serde_json::Value;

/// The program that is measured: this one, or an older build to compare with.
static BACKFILL: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::var_os("BACKFILL").unwrap_or_else(|| env!("CARGO_BIN_EXE_backfill").into()).into()
});

/// One row of the table.
struct Case {
    track: &'static str,
    tier: &'static str,
    limit: &'static str,
    /// Tokens that a full request takes.
    full: usize,
    tokens: usize,
}

const CASES: [Case; 10] = [
    Case { track: "dome", tier: "free", limit: "100/10s,10/1s", full: 90, tokens: 49_453 },
    Case { track: "dome", tier: "dev", limit: "500/10s,100/1s", full: 90, tokens: 49_453 },
    Case { track: "dome", tier: "pro", limit: "3000/10s,300/1s", full: 90, tokens: 49_453 },
    // The pool must grow: sixteen workers reach a fifth of this at 300 ms.
    Case { track: "dome", tier: "pro-large", limit: "3000/10s,300/1s", full: 90, tokens: 494_530 },
    Case { track: "tokens", tier: "public", limit: "800/10s", full: 50, tokens: 99_400 },
    Case { track: "goldsky", tier: "public", limit: "50/10s", full: 1_000, tokens: 49_453 },
    Case { track: "goldsky", tier: "ten-times", limit: "50/10s", full: 1_000, tokens: 494_530 },
    // 84 tokens a request; half of the markets are open, whose tokens are asked for twice.
    Case { track: "gamma", tier: "public", limit: "300/10s", full: 56, tokens: 49_453 },
    // Without a limit that would have to be waited for: memory, and whether the last million is as fast as the first.
    Case { track: "goldsky", tier: "memory", limit: "100000/1s", full: 1_000, tokens: 3_000_000 },
    Case { track: "goldsky", tier: "million", limit: "50/10s", full: 1_000, tokens: 3_000_000 },
];

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!(
        "{:<8} {:<10} {:>8} {:>8} {:>9} {:>9} {:>6} {:>11} {:>8} {:>5} {:>7} {:>8} {:>8}",
        "track",
        "tier",
        "tokens",
        "latency",
        "seconds",
        "ceiling",
        "ratio",
        "tokens/s",
        "requests",
        "429s",
        "cpu s",
        "peak MB",
        "process"
    );
    for case in CASES {
        for latency in [50, 150, 300] {
            let row = [case.track, case.tier, &latency.to_string()].map(str::to_owned);
            let wanted = match case.tier {
                // Only by their names, and once.
                "memory" | "million" => latency == 50 && words.iter().any(|word| word == case.tier),
                _ => words.iter().all(|word| row.contains(word)),
            };
            if wanted {
                measure(&case, Duration::from_millis(latency)).await;
            }
        }
    }
    if words.iter().any(|word| word == "both") {
        both(Duration::from_millis(150)).await;
    }
    if words.iter().any(|word| word == "clob") {
        catalogue(Duration::from_millis(150)).await;
    }
}

/// Markets of the catalogue: as many as the CLOB has in 2026.
const MARKETS: usize = 1_500_000;

/// The catalogue at its documented limit, with the guide's traded tokens among its markets. The ceiling is of the pages
/// that it has, plus one latency.
async fn catalogue(latency: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = UniverseOptions { fills: 200_000, ..UniverseOptions::default() };
    let universe = Arc::new(Universe::generate(options).expect("a universe"));
    let server = start_server(folder.path()).await;
    let client = clickhouse::Client::default().with_url(server.url());
    load::load(&client, "bench", &universe, load::LoadOptions::default()).await.expect("tables");
    let list = ListHabits { generated: (MARKETS - universe.market_count()) as u64, ..ListHabits::default() };
    let options = StandInOptions { list, latency, ..StandInOptions::clob() };
    let limit: RateLimit = "250/10s".parse().expect("a limit");
    let stand_in = StandIn::start(universe, options).await.expect("a stand-in");
    let (result, cost) = run(Command::new(&*BACKFILL)
        .args(["clob", "--clob-url", &stand_in.url()])
        .args(common_arguments(&server, folder.path())));
    let counters = stand_in.counters();
    assert_eq!(result["markets"], MARKETS, "{result}");
    let seconds = result["work_seconds"].as_f64().expect("seconds");
    let best = ceiling(&limit, MARKETS.div_ceil(1_000)) + latency;
    println!(
        "{:<8} {:<10} {:>8} {:>5} ms {:>9.3} {:>9.3} {:>6.3} {:>11.0} {:>8} {:>5} {:>7.2} {:>8.1} {:>7.2}s",
        "clob",
        "catalogue",
        MARKETS,
        latency.as_millis(),
        seconds,
        best.as_secs_f64(),
        best.as_secs_f64() / seconds,
        2.0 * MARKETS as f64 / seconds,
        counters.requests,
        counters.throttled,
        cost.cpu,
        cost.peak_megabytes,
        cost.wall,
    );
    stand_in.stop().await;
    server.stop().await;
}

async fn start_server(folder: &std::path::Path) -> Server {
    let options = ServerOptions {
        data: folder.join("clickhouse"),
        http_port: 0,
        tcp_port: None,
        config: None,
        engine: None,
        launcher: env!("CARGO_BIN_EXE_backfill").into(),
    };
    Server::start(options, &|text| eprintln!("{text}")).await.expect("an engine")
}

fn common_arguments(server: &Server, folder: &std::path::Path) -> Vec<String> {
    let common = [
        ("--clickhouse-url", server.url()),
        ("--clickhouse-database", "bench".to_owned()),
        ("--checkpoint-dir", folder.join("checkpoints").display().to_string()),
        ("--format", "json".to_owned()),
        ("--progress", "none".to_owned()),
    ];
    common.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// A universe of so many unmapped tokens that everybody knows, none of them another's sibling, in tables.
async fn one_token_a_condition(tokens: usize, folder: &std::path::Path) -> (Arc<Universe>, Server) {
    let options = UniverseOptions {
        traded_tokens: tokens,
        mapped_tokens: 0,
        fills: 0,
        baseline_wallets: 0,
        unknown_to_both: 0.0,
        unknown_to_dome: 0.0,
        unknown_to_goldsky: 0.0,
        siblings: false,
        ..UniverseOptions::default()
    };
    let options = UniverseOptions { fills: options.min_fills(), ..options };
    let universe = Arc::new(Universe::generate(options).expect("a universe"));
    let server = start_server(folder).await;
    let client = clickhouse::Client::default().with_url(server.url());
    load::load(&client, "bench", &universe, load::LoadOptions::default()).await.expect("tables");
    (universe, server)
}

/// A stand-in that keeps this limit.
async fn limited(source: Source, universe: Arc<Universe>, limit: &RateLimit, latency: Duration) -> StandIn {
    let windows = limit.0.iter().map(|it| Window { requests: it.requests, per: it.window }).collect();
    let options = StandInOptions::of(source).expect("an API");
    StandIn::start(universe, StandInOptions { windows, latency, ..options }).await.expect("a stand-in")
}

/// The arguments that lead a track to its stand-in.
fn leading_to(source: Source, stand_in: &StandIn, limit: &str) -> Vec<String> {
    let flags = match source {
        Source::Dome => ["--dome-api-url", "--dome-rate-limit"],
        Source::Goldsky => ["--goldsky-url", "--goldsky-rate-limit"],
        Source::Tokens => ["--tokens-url", "--tokens-rate-limit"],
        _ => ["--gamma-url", "--gamma-rate-limit"],
    };
    [flags[0], &stand_in.url(), flags[1], limit, "--dome-api-key", "demo"].map(str::to_owned).to_vec()
}

/// Two tracks of very different pace with half of the tokens each. The ceiling is of what both are allowed together.
async fn both(latency: Duration) {
    const TOKENS: usize = 49_453;
    const LIMITS: [(Source, &str, usize); 2] =
        [(Source::Dome, "100/10s,10/1s", 90), (Source::Goldsky, "50/10s", 1_000)];
    let folder = tempfile::tempdir().expect("a folder");
    let (universe, server) = one_token_a_condition(TOKENS, folder.path()).await;
    let (mut arguments, mut stand_ins) = (common_arguments(&server, folder.path()), Vec::new());
    for (source, limit, _) in LIMITS {
        let limits = limit.parse().expect("a limit");
        let stand_in = limited(source, universe.clone(), &limits, latency).await;
        arguments.extend(leading_to(source, &stand_in, limit));
        stand_ins.push(stand_in);
    }
    run(Command::new(&*BACKFILL).args(["setup", "--tracks", "dome,goldsky"]).args(&arguments));
    let (result, cost) = run(Command::new(&*BACKFILL)
        .args(["run", "--from", "tracks", "--to", "tracks", "--tracks", "dome,goldsky"])
        .args(&arguments));
    let seconds = result["phases"].as_array().expect("phases").iter();
    let seconds = seconds.filter_map(|it| it["track_seconds"].as_f64()).fold(0.0, f64::max);
    // The earliest moment by which both may have asked for all of the tokens together.
    let asked = |at: Duration| -> usize {
        let full = |(_, limit, full): &(Source, &str, usize)| {
            let limit: RateLimit = limit.parse().expect("a limit");
            (1..=TOKENS).take_while(|count| ceiling(&limit, *count) <= at).count() * full
        };
        LIMITS.iter().map(full).sum()
    };
    let best = (0..1_000).map(|tenth| Duration::from_millis(tenth * 100)).find(|at| asked(*at) >= TOKENS);
    let best = (best.expect("a moment") + latency).as_secs_f64();
    let counters: Vec<_> = stand_ins.iter().map(StandIn::counters).collect();
    println!(
        "{:<8} {:<10} {:>8} {:>5} ms {:>9.3} {:>9.3} {:>6.3} {:>11.0} {:>8} {:>5} {:>7.2} {:>8.1} {:>7.2}s",
        "both",
        "side",
        TOKENS,
        latency.as_millis(),
        seconds,
        best,
        best / seconds,
        TOKENS as f64 / seconds,
        counters.iter().map(|it| it.requests).sum::<u64>(),
        counters.iter().map(|it| it.throttled).sum::<u64>(),
        cost.cpu,
        cost.peak_megabytes,
        cost.wall,
    );
    for stand_in in stand_ins {
        stand_in.stop().await;
    }
    server.stop().await;
}

async fn measure(case: &Case, latency: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let (universe, server) = one_token_a_condition(case.tokens, folder.path()).await;
    let limit: RateLimit = case.limit.parse().expect("a limit");
    let source = Source::named(case.track).expect("a source");
    let stand_in = limited(source, universe, &limit, latency).await;
    let arguments = common_arguments(&server, folder.path());
    run(Command::new(&*BACKFILL).args(["setup", "--tracks", case.track]).args(&arguments));
    let mut millions = Vec::new();
    let (result, cost) = run_watched(
        Command::new(&*BACKFILL)
            .arg(case.track)
            .args(&arguments)
            .args(leading_to(source, &stand_in, case.limit)),
        || {
            // The moments at which the first request came, and the millionth, two millionth… token.
            let asked = stand_in.counters().tokens_asked;
            if asked > 0 && asked >= millions.len() as u64 * 1_000_000 {
                millions.push(Instant::now());
            }
        },
    );
    let counters = stand_in.counters();
    assert_eq!(result["processed"], case.tokens, "{result}");
    let seconds = result["work_seconds"].as_f64().expect("seconds");
    // Ids of fewer digits than 78 let a request hold a token more, so the count of full requests is the smaller one.
    let needed = (counters.requests as usize).min(case.tokens.div_ceil(case.full));
    let best = ceiling(&limit, needed) + latency;
    println!(
        "{:<8} {:<10} {:>8} {:>5} ms {:>9.3} {:>9.3} {:>6.3} {:>11.0} {:>8} {:>5} {:>7.2} {:>8.1} {:>7.2}s",
        case.track,
        case.tier,
        case.tokens,
        latency.as_millis(),
        seconds,
        best.as_secs_f64(),
        best.as_secs_f64() / seconds,
        case.tokens as f64 / seconds,
        counters.requests,
        counters.throttled,
        cost.cpu,
        cost.peak_megabytes,
        cost.wall,
    );
    if let [first, second, .., last_but_one, last] = millions[..] {
        let (first, last) = (second - first, last - last_but_one);
        println!(
            "the first million tokens took {:.2} s, the last {:.2} s: {:.3} times as long",
            first.as_secs_f64(),
            last.as_secs_f64(),
            last.as_secs_f64() / first.as_secs_f64()
        );
    }
    stand_in.stop().await;
    server.stop().await;
}

/// What a process cost.
struct Cost {
    wall: f64,
    cpu: f64,
    peak_megabytes: f64,
}

/// Runs the program and reads its JSON object.
fn run(command: &mut Command) -> (Value, Cost) {
    run_watched(command, || {})
}

/// Runs the program, watching what the system says of it and letting the caller look too, and reads its JSON object.
fn run_watched(command: &mut Command, mut look: impl FnMut()) -> (Value, Cost) {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program");
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let mut cost = Cost { wall: 0.0, cpu: 0.0, peak_megabytes: 0.0 };
    // Its object is far smaller than a pipe holds, so it never waits for us to read.
    loop {
        if let Some(peak) = peak_megabytes(&proc) {
            cost.peak_megabytes = peak;
        }
        cost.cpu = cpu_seconds(&proc).unwrap_or(cost.cpu);
        look();
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    cost.wall = began.elapsed().as_secs_f64();
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    (serde_json::from_slice(&output.stdout).expect("one object"), cost)
}

/// The largest resident size so far, as the kernel keeps it.
fn peak_megabytes(proc: &std::path::Path) -> Option<f64> {
    let status = std::fs::read_to_string(proc.join("status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// User and system time, in ticks of a hundredth of a second.
fn cpu_seconds(proc: &std::path::Path) -> Option<f64> {
    let stat = std::fs::read_to_string(proc.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split_whitespace().collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
}
