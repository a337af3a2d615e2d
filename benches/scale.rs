//! What the five phases cost at the size of all of Polymarket, beside a plain aggregation of the fills, warm:
//!
//! ```text
//! cargo bench --bench scale                          # 3,000,000 traded tokens, five rounds
//! cargo bench --bench scale -- 600000 --rounds 1     # a quick reading
//! ```
//!
//! Every token is traded twice, nothing is mapped, all conditions are resolved. A round takes `setup`, `derive`, `merge`,
//! `verify` and `validate` in this order from empty tables, and the plain query before each of them and after the last;
//! medians are printed, and for each phase the processor time of this process, the server's not included.

use std::sync::Arc;
use std::time::Instant;

use backfill::cli::Cli;
use backfill::ctf;
use backfill::demo::load;
use backfill::embedded::{Server, ServerOptions};
use backfill::ids::{ConditionId, Wallet};
use backfill::phases::events::{PhaseEvent, PhaseListener};
use backfill::phases::validate::{Baseline, ValidateOptions};
use backfill::phases::verify::VerifyOptions;
use backfill::phases::{Context, derive, merge, setup, validate, verify};
use backfill::track::events::{TrackEvent, TrackListener};
use clap::Parser;
use clickhouse::{Client, Row};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

const TOKENS: u64 = 3_000_000;
const ROUNDS: usize = 5;
const CHUNK: u64 = 50_000;
const PLAIN: &str = "SELECT asset_id, count(), sum(price * size) FROM clob_fills GROUP BY asset_id";
const PHASES: [&str; 5] = ["setup", "derive", "merge", "verify", "validate"];
const WALLET: &str = "0x00000000000000000000000000000000000003e7";

/// Each token twice, by five thousand wallets, over two years.
const FILLS: &str = "INSERT INTO clob_fills SELECT toString(number), wallet, wallet, '', concat('0x', condition), token.1, \
    token.2, if(hash % 3 = 0, 'SELL', 'BUY'), (hash % 999 + 1) / 1000, (hash % 100000) * 10000, 0, \
    toDateTime(1704067200 + hash % 63072000, 'UTC'), '', '', 0, toDateTime(1767139200, 'UTC') FROM \
    (SELECT condition, arrayJoin([(first, 'Yes'), (second, 'No')]) AS token, arrayJoin([0, 1]) AS copy, \
        cityHash64(token.1, copy) AS hash, hash AS number, \
        concat('0x', leftPad(lower(hex(intDiv(hash, 7) % 5000)), 40, '0')) AS wallet FROM pairs)";
const RESOLUTIONS: &str = "INSERT INTO market_resolutions_final SELECT condition, [1, 0], 1, 2, 'Yes', 'chain', 1, \
    toDateTime(1767139200, 'UTC'), toDateTime(1767139200, 'UTC'), 0 FROM pairs";

/// Nobody looks.
struct Silent;

impl PhaseListener for Silent {
    fn on_phase_event(&self, _: &PhaseEvent<'_>) {}
}

impl TrackListener for Silent {
    fn on_track_event(&self, _: &TrackEvent<'_>) {}
}

#[derive(Row, Serialize)]
struct Pair {
    condition: String,
    first: String,
    second: String,
}

/// Conditions that look as random as real ones, with their tokens.
fn pairs(numbers: std::ops::Range<u64>) -> Vec<Pair> {
    let collateral = ctf::default_collaterals()[0].address;
    let pair = |number: u64| {
        let words = [1_u64, 2, 3, 4]
            .map(|word| (number * 4 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&words.concat());
        let condition = ConditionId::from_bytes(bytes);
        let token = |index| ctf::token_id(&condition, index, &collateral).to_string();
        Pair { condition: condition.to_string(), first: token(0), second: token(1) }
    };
    numbers.map(pair).collect()
}

async fn fill(client: &Client, tokens: u64) {
    let create = "CREATE TABLE pairs (condition String, first String, second String) ENGINE = MergeTree ORDER BY tuple()";
    client.query(create).execute().await.expect("a table");
    let conditions = tokens / 2;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut from = 0;
    while from < conditions {
        let chunks: Vec<_> = (0..cores)
            .map(|core| (from + core * CHUNK).min(conditions)..(from + (core + 1) * CHUNK).min(conditions))
            .map(|numbers| tokio::task::spawn_blocking(move || pairs(numbers)))
            .collect();
        let mut insert = client.insert::<Pair>("pairs").await.expect("an insert");
        for chunk in chunks {
            for pair in chunk.await.expect("pairs") {
                insert.write(&pair).await.expect("a row");
            }
        }
        insert.end().await.expect("rows");
        from += cores * CHUNK;
    }
    for sql in [FILLS, RESOLUTIONS, "DROP TABLE pairs SYNC", "OPTIMIZE TABLE clob_fills FINAL"] {
        client.query(sql).execute().await.expect("rows");
    }
}

/// The processor time of this process so far, in seconds.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a process");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    ticks as f64 / 100.0
}

async fn plain(client: &Client) -> f64 {
    let began = Instant::now();
    let answer = client.query(PLAIN).fetch_bytes("Null").expect("a query");
    { answer }.collect().await.expect("an answer");
    began.elapsed().as_secs_f64()
}

async fn phase(context: &Context, which: usize) {
    let wallet: Wallet = WALLET.parse().expect("a wallet");
    match which {
        0 => drop(setup::run(context, &setup::SetupOptions::default()).await.expect("a result")),
        1 => {
            let found = derive::run(context, &derive::DeriveOptions::default()).await.expect("a result");
            assert_eq!(found.inserted, found.unmapped, "every token follows from a condition");
        }
        2 => {
            let found = merge::run(context, &merge::MergeOptions::default()).await.expect("a result");
            assert_eq!(found.after.mapped, found.after.total);
        }
        3 => {
            let options = VerifyOptions { wallets: vec![wallet], gaps_file: None };
            assert_eq!(verify::run(context, &options).await.expect("a result").gap.coverage.unmapped, 0);
        }
        _ => {
            let baselines = vec![Baseline::new(wallet, backfill::pnl::Micro::whole(1_000_000).units())];
            let options = ValidateOptions { baselines, ..ValidateOptions::default() };
            assert_eq!(validate::run(context, &options).await.expect("a result").wallets.len(), 1);
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let after = words.iter().position(|word| word == "--rounds").and_then(|place| words.get(place + 1));
    let rounds = after.map_or(ROUNDS, |word| word.parse().expect("a number of rounds"));
    let tokens = words.first().and_then(|word| word.parse().ok()).unwrap_or(TOKENS);
    let folder = tempfile::tempdir().expect("a folder");
    let options = ServerOptions::new(folder.path().join("clickhouse"), env!("CARGO_BIN_EXE_backfill"));
    let server = Server::start(options, &|text| eprintln!("{text}")).await.expect("an engine");
    let client = Client::default().with_url(server.url());
    load::create_tables(&client, "bench").await.expect("tables");
    let client = client.with_database("bench");
    let began = Instant::now();
    fill(&client, tokens).await;
    println!("{tokens} tokens, {} fills, written in {:.1} s", tokens * 2, began.elapsed().as_secs_f64());
    let url = server.url();
    let tmp = folder.path().join("checkpoints").display().to_string();
    let arguments = [
        "backfill",
        "--clickhouse-url",
        &url,
        "--clickhouse-database",
        "bench",
        "--checkpoint-dir",
        &tmp,
        "verify",
    ];
    let settings = Cli::try_parse_from(arguments).expect("settings").settings.validate().expect("settings");
    let context =
        Context::connect(Arc::new(settings), Arc::new(Silent), CancellationToken::new(), Instant::now());
    let context = context.await.expect("a connection");
    let (mut raw, mut seconds, mut processor) =
        (Vec::new(), [const { Vec::new() }; 5], [const { Vec::new() }; 5]);
    plain(&client).await;
    for _ in 0..rounds {
        for sql in ["DROP DATABASE IF EXISTS staging SYNC", "TRUNCATE TABLE ctf_token_map"] {
            client.query(sql).execute().await.expect("empty tables");
        }
        for which in 0..PHASES.len() {
            raw.push(plain(&client).await);
            let (began, used) = (Instant::now(), processor_seconds());
            phase(&context, which).await;
            seconds[which].push(began.elapsed().as_secs_f64());
            processor[which].push(processor_seconds() - used);
        }
        raw.push(plain(&client).await);
    }
    let base = median(&raw);
    println!("{:<18} {:>9} {:>7} {:>12}", "", "median s", "ratio", "client CPU s");
    println!("{:<18} {base:>9.3} {:>7.2}", "GROUP BY asset_id", 1.0);
    for (which, name) in PHASES.iter().enumerate() {
        let (took, used) = (median(&seconds[which]), median(&processor[which]));
        println!("{name:<18} {took:>9.3} {:>7.2} {used:>12.2}", took / base);
    }
    let sum: f64 = seconds.iter().map(|of| median(of)).sum();
    println!("{:<18} {sum:>9.3} {:>7.2}", "all five", sum / base);
    server.stop().await;
}
