//! What a user can set of the chain.

use clap::Args;

use super::ProviderUrl;
use crate::chain::contracts::FIRST_BLOCK;
use crate::values::{RateLimit, SecretParser};

/// Where a portal gives Polygon's logs without a key.
const PORTAL: &str = "https://portal.sqd.dev/datasets/polygon-mainnet";

/// How the chain is read.
#[derive(Debug, Clone, Args)]
pub struct ChainSettings {
    /// Where the chain's logs are read: an SQD portal, or nodes' JSON-RPC, several with commas
    #[arg(id = "chain_url", long = "chain-url", env = "CHAIN_URL", global = true, value_name = "CHAIN_URL", value_delimiter = ',', value_parser = SecretParser(str::parse::<ProviderUrl>), default_value = PORTAL, help_heading = "Chain", hide_short_help = true, hide_env_values = true)]
    pub urls: Vec<ProviderUrl>,
    /// Requests that each of these providers allows
    #[arg(
        id = "chain_rate_limit",
        long = "chain-rate-limit",
        env = "CHAIN_RATE_LIMIT",
        global = true,
        value_name = "CHAIN_RATE_LIMIT",
        default_value = "20/10s",
        help_heading = "Chain",
        hide_short_help = true
    )]
    pub rate_limit: RateLimit,
    /// The first block that is read
    #[arg(id = "chain_from_block", long = "chain-from-block", env = "CHAIN_FROM_BLOCK", global = true, value_name = "CHAIN_FROM_BLOCK", default_value_t = FIRST_BLOCK, help_heading = "Chain", hide_short_help = true)]
    pub from_block: u64,
}
