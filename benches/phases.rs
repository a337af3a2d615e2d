//! What the phases that read all fills cost beside a plain aggregation of them, on one server in one run:
//!
//! ```text
//! cargo bench --bench phases               # 38,945,566 fills, as many as the guide's installation has
//! cargo bench --bench phases -- 2000000    # fewer
//! ```
//!
//! Five rounds, in each the plain query, `validate` and `verify` one after the other; medians are printed. Rows read are
//! those that the server counts, and its memory is its peak resident size during the rounds.

use std::sync::Arc;
use std::time::Instant;

use backfill::cli::Cli;
use backfill::demo::{Universe, UniverseOptions, load};
use backfill::embedded::{Server, ServerOptions};
use backfill::ids::Wallet;
use backfill::phases::events::{PhaseEvent, PhaseListener};
use backfill::phases::validate::{Baseline, ValidateOptions};
use backfill::phases::verify::VerifyOptions;
use backfill::phases::{Context, validate, verify};
use backfill::track::events::{TrackEvent, TrackListener};
use clap::Parser;
use tokio_util::sync::CancellationToken;

const FILLS: u64 = 38_945_566;
const ROUNDS: usize = 5;
const PLAIN: &str = "SELECT asset_id, count(), sum(price * size) FROM clob_fills GROUP BY asset_id";

/// Nobody looks.
struct Silent;

impl PhaseListener for Silent {
    fn on_phase_event(&self, _: &PhaseEvent<'_>) {}
}

impl TrackListener for Silent {
    fn on_track_event(&self, _: &TrackEvent<'_>) {}
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fills = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(FILLS);
    let folder = tempfile::tempdir().expect("a folder");
    let universe = Universe::generate(UniverseOptions { fills, ..UniverseOptions::default() });
    let universe = universe.expect("a universe");
    let options = ServerOptions::new(folder.path().join("clickhouse"), env!("CARGO_BIN_EXE_backfill"));
    let server = Server::start(options, &|text| eprintln!("{text}")).await.expect("an engine");
    let client = clickhouse::Client::default().with_url(server.url());
    let began = Instant::now();
    load::load(&client, "bench", &universe, load::LoadOptions::default()).await.expect("tables");
    let client = client.with_database("bench");
    // As a table stands that nobody has written to for a while: the parts do not merge in the middle of a round.
    client.query("OPTIMIZE TABLE clob_fills").execute().await.expect("a merge");
    println!("{fills} fills written in {:.1} s", began.elapsed().as_secs_f64());
    let url = server.url();
    let arguments = ["backfill", "--clickhouse-url", &url, "--clickhouse-database", "bench", "verify"];
    let settings = Cli::try_parse_from(arguments).expect("settings").settings.validate().expect("settings");
    let context =
        Context::connect(Arc::new(settings), Arc::new(Silent), CancellationToken::new(), Instant::now());
    let context = context.await.expect("a connection");
    let baselines: Vec<Baseline> = universe
        .baselines()
        .iter()
        .map(|it| Baseline::new(it.wallet, backfill::pnl::Micro::whole(it.pnl_micro).units()))
        .collect();
    let wallets: Vec<Wallet> = baselines.iter().map(|baseline| baseline.wallet).collect();
    let of_wallets: u64 = universe.baselines().iter().map(|it| it.fills as u64).sum();
    println!("{} wallets with {of_wallets} fills", wallets.len());
    let status = format!("/proc/{}/status", server.pid());
    // Resets the kernel's record of the peak, so that loading does not count.
    let _ = std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5");
    let names = ["GROUP BY asset_id", "validate", "verify"];
    let mut costs: [Vec<(f64, u64)>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (which, costs) in costs.iter_mut().enumerate() {
            let (rows, began) = (rows_read(&client).await, Instant::now());
            match which {
                0 => {
                    let answer = client.query(PLAIN).fetch_bytes("Null").expect("a query");
                    { answer }.collect().await.expect("an answer");
                }
                1 => {
                    let baselines = baselines.clone();
                    let options = ValidateOptions {
                        baselines,
                        positions_file: None,
                        detail: false,
                        ..ValidateOptions::default()
                    };
                    assert!(validate::run(&context, &options).await.expect("a result").wallets.len() > 1);
                }
                _ => {
                    let options = VerifyOptions { wallets: wallets.clone(), gaps_file: None };
                    assert!(verify::run(&context, &options).await.expect("a result").gap.coverage.total > 0);
                }
            }
            let seconds = began.elapsed().as_secs_f64();
            costs.push((seconds, rows_read(&client).await - rows));
        }
    }
    let median = |costs: &[(f64, u64)]| {
        let mut seconds: Vec<f64> = costs.iter().map(|(seconds, _)| *seconds).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let plain = median(&costs[0]);
    println!("{:<18} {:>9} {:>7} {:>12}", "", "median s", "ratio", "rows read");
    for (name, costs) in names.iter().zip(&costs) {
        let seconds = median(costs);
        println!("{name:<18} {seconds:>9.3} {:>7.2} {:>12}", seconds / plain, costs[costs.len() - 1].1);
    }
    let peak = std::fs::read_to_string(status).expect("a process");
    let peak = peak.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    println!("the server's peak resident size: {}", peak.trim_start_matches("VmHWM:").trim());
    server.stop().await;
}

/// Rows that the server has read so far, by its own count.
async fn rows_read(client: &clickhouse::Client) -> u64 {
    let sql = "SELECT ifNull(sum(value), 0) FROM system.events WHERE event = 'SelectedRows'";
    client.query(sql).fetch_one().await.expect("the server's counters")
}
