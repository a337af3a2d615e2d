//! The options of `chain`.

use clap::Args;

use crate::chain::BlockRange;

/// `chain`
#[derive(Debug, Args)]
pub struct ChainCommandArgs {
    /// Stay at the head until Ctrl-C, reading what becomes final
    #[arg(long)]
    pub follow: bool,
    /// Ask a second provider for this share of what was read, above 0 and at most 1, and read again what differs
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub check: Option<f64>,
    /// Read blocks again that were read already, FROM..TO; can be given several times
    #[arg(long, value_name = "FROM..TO")]
    pub recheck: Vec<BlockRange>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "expected a share above 0 and at most 1, such as 0.05".to_owned())
}
