//! The options of `watch`.

use std::time::Duration;

use clap::Args;

use crate::values::duration;

/// `watch`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// From the beginning of a tick to the beginning of the next
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub every: Duration,
    /// How far behind the newest fill is read again, since rows arrive late
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub overlap: Duration,
    /// Between two passes over all fills, which prove that nothing was missed
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub full_every: Duration,
    /// The column of the fills that says when a row came, a DateTime [default: ingested_at]
    #[arg(long, value_name = "COLUMN")]
    pub watermark: Option<String>,
    /// /healthz answers 503 where no tick has come to its end for so long
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub max_lag: Duration,
    /// Also read the chain in each tick, before tokens are derived
    #[arg(long)]
    pub chain: bool,
    /// End after so many ticks
    #[arg(long, value_name = "COUNT")]
    pub ticks: Option<u64>,
}
