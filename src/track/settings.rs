//! [`WorkSettings`]: how the tracks work: how much at once, how long they wait, and where they keep their place.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::values::{BadSetting, bad, duration};

const WORK: &str = "Work";

/// How the tracks work.
#[derive(Debug, Clone, Args)]
pub struct WorkSettings {
    /// Requests under way at once, in each track [default: as many as the limit and the measured latency need]
    #[arg(long, env, global = true, value_parser = worker_count, help_heading = WORK, hide_short_help = true)]
    pub worker_count: Option<NonZeroUsize>,
    /// How long one answer may take
    #[arg(long, env, global = true, default_value = "30s", value_parser = duration, help_heading = WORK, hide_short_help = true)]
    pub request_timeout: Duration,
    /// How long an outage may last before the work is left for the next run
    #[arg(long, env, global = true, default_value = "15m", value_parser = duration, help_heading = WORK, hide_short_help = true)]
    pub give_up_after: Duration,
    /// How long a source is believed not to know a token; a run after that asks for it again
    #[arg(long, env, global = true, default_value = "24h", value_parser = duration, help_heading = WORK, hide_short_help = true)]
    pub not_found_ttl: Duration,
    /// Tokens in one request [default: as many as one request of that API takes]
    #[arg(long, env, global = true, value_parser = batch_size, help_heading = WORK, hide_short_help = true)]
    pub batch_size: Option<NonZeroUsize>,
    /// Where the tracks' checkpoints stand
    #[arg(long, env, global = true, default_value = "tmp", help_heading = WORK, hide_short_help = true)]
    pub checkpoint_dir: PathBuf,
}

fn worker_count(text: &str) -> Result<NonZeroUsize, BadSetting> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroUsize| count.get() <= 1024)
        .ok_or_else(|| bad("expected a whole number from 1 to 1024"))
}

fn batch_size(text: &str) -> Result<NonZeroUsize, BadSetting> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroUsize| count.get() <= 100_000)
        .ok_or_else(|| bad("expected a whole number from 1 to 100000"))
}
