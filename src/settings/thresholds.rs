//! [`Thresholds`]: what a map and its P&L must reach, and for whom.

use clap::Args;

use crate::ids::Wallet;
use crate::pnl::Usd;
use crate::values::Percent;

const THRESHOLDS: &str = "Thresholds";

/// The wallet that the guide validates.
const BASELINE_WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

/// What must be reached.
#[derive(Debug, Clone, Args)]
pub struct Thresholds {
    /// Percent of the traded tokens that must be mapped
    #[arg(long, env, global = true, default_value = "95", help_heading = THRESHOLDS, hide_short_help = true)]
    pub coverage_target: Percent,
    /// Resolved positions that the baseline wallet must have
    #[arg(long, env, global = true, default_value_t = 50, help_heading = THRESHOLDS, hide_short_help = true)]
    pub min_positions: u64,
    /// Percent by which a P&L may miss its expected value
    #[arg(long, env, global = true, default_value = "2", help_heading = THRESHOLDS, hide_short_help = true)]
    pub variance_limit: Percent,
    /// The wallet whose coverage and P&L are checked
    #[arg(long, env, global = true, default_value = BASELINE_WALLET, help_heading = THRESHOLDS, hide_short_help = true)]
    pub baseline_wallet: Wallet,
    /// That wallet's expected realized P&L in USD
    #[arg(long, env, global = true, default_value = "87030.51", allow_negative_numbers = true, help_heading = THRESHOLDS, hide_short_help = true)]
    pub expected_pnl: Usd,
}
