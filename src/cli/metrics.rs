//! Where the metrics of a track or a run are seen, and for how long.

use std::time::Duration;

use clap::Args;

use crate::values::{HttpUrl, SecretParser};

/// Where a running track can be watched.
#[derive(Debug, Clone, Default, Args)]
pub struct MetricsArgs {
    /// Serve Prometheus metrics at http://ADDR/metrics while it runs, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
    /// Serve them for so long after the end, such as 1m: the last values are read then too
    #[arg(long, value_name = "TIME", value_parser = crate::values::duration, requires = "metrics")]
    pub metrics_linger: Option<Duration>,
    /// Send them to a Pushgateway at the end, such as http://127.0.0.1:9091/metrics/job/backfill
    #[arg(long, value_name = "URL", value_parser = SecretParser(str::parse::<HttpUrl>))]
    pub metrics_push: Option<HttpUrl>,
}
