//! The options of the demo.

use clap::{Args, ValueEnum};

use super::{MetricsArgs, TracksArgs, WithReportArgs};

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Distinct tokens in the fills
    #[arg(long, default_value_t = 118_870, value_parser = clap::value_parser!(u32).range(2_000..=10_000_000))]
    pub tokens: u32,
    /// Rows of the fills table
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(5_000..=1_000_000_000))]
    pub fills: u64,
    /// The universe's seed: the same seed makes the same universe
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of all answers that are bad, from 0 to 0.9; a tenth as many markets are lied about
    #[arg(long, default_value_t = 0.0, value_parser = fault_rate)]
    pub faults: f64,
    /// The guide's plain way: nothing is derived first, the tracks are asked for everything
    #[arg(long)]
    pub plain: bool,
    /// Which tracks
    #[command(flatten)]
    pub tracks: TracksArgs,
    /// Dome's published tier
    #[arg(long, value_enum, default_value = "dev")]
    pub dome_tier: DomeTier,
    /// Share of the markets whose tokens are of the second generation, from 0 to 0.875
    #[arg(long, default_value_t = 0.15, value_parser = v2_share)]
    pub v2_share: f64,
    /// Leave everything running at the end, until Ctrl-C, to look at
    #[arg(long)]
    pub keep: bool,
    /// A report
    #[command(flatten)]
    pub with_report: WithReportArgs,
    /// Metrics
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

fn v2_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=0.875).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 0.875".to_owned())
}

fn fault_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.0..=0.9).contains(rate));
    rate.ok_or_else(|| "expected a number from 0 to 0.9".to_owned())
}

/// The limits that Dome publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DomeTier {
    /// 10 per second, 100 per 10 s
    Free,
    /// 100 per second, 500 per 10 s
    Dev,
    /// 300 per second, 3,000 per 10 s
    Pro,
}

impl DomeTier {
    /// The tier's windows, as `DOME_RATE_LIMIT` writes them.
    pub const fn rate_limit(self) -> &'static str {
        match self {
            Self::Free => "100/10s,10/1s",
            Self::Dev => "500/10s,100/1s",
            Self::Pro => "3000/10s,300/1s",
        }
    }
}
