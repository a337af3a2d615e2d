//! The options of `chain`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::chain::BlockRange;
use crate::failure::Failure;
use crate::phases::chain::{ChainFiles, ChainOptions};
use crate::upstream::chain::ChainFile;
use crate::values::{SecretParser, duration};

/// `chain`
#[derive(Debug, Args)]
pub struct ChainCommandArgs {
    /// Stay at the head until Ctrl-C, reading what becomes final; TICK is the time between two looks at the head
    #[arg(long, value_name = "TICK", num_args = 0..=1, require_equals = true, default_missing_value = "15s", value_parser = duration)]
    pub follow: Option<Duration>,
    /// Ask a second provider for this share of what was read, above 0 and at most 1, and read again what differs
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub check: Option<f64>,
    /// Read blocks again that were read already, FROM..TO; can be given several times
    #[arg(long, value_name = "FROM..TO")]
    pub recheck: Vec<BlockRange>,
    /// Take conditions from a Parquet, CSV or TSV file, or one behind a URL, and ask no provider; several are possible
    ///
    /// Its columns are those of the public data set: id (137_BLOCK_LOGINDEX), condition_id, oracle, question_id,
    /// outcome_slot_count. Every row is checked by its hash.
    #[arg(long, value_name = "FILE|URL", value_parser = SecretParser(ChainFile::parse), conflicts_with_all = ["follow", "check", "recheck"])]
    pub preparations: Vec<ChainFile>,
    /// The same of payouts, with the column payout_numerators too
    #[arg(long, value_name = "FILE|URL", value_parser = SecretParser(ChainFile::parse), conflicts_with_all = ["follow", "check", "recheck"])]
    pub resolutions: Vec<ChainFile>,
    /// These blocks need not be read from a provider any more: the files hold all of their events
    #[arg(long, value_name = "FROM..TO")]
    pub covers: Option<BlockRange>,
}

impl ChainCommandArgs {
    /// What is to be done.
    ///
    /// # Errors
    /// `--covers` without a file.
    pub fn options(self, check_seed: u64) -> Result<ChainOptions, Failure> {
        let Self { follow, check, recheck, preparations, resolutions, covers } = self;
        let files = ChainFiles { preparations, resolutions, covers };
        if covers.is_some() && files.is_empty() {
            return Err(Failure::Usage(
                "--covers says what files hold: name them with --preparations and --resolutions".to_owned(),
            ));
        }
        Ok(ChainOptions { recheck, check, check_seed, follow, new_only: false, files })
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "expected a share above 0 and at most 1, such as 0.05".to_owned())
}

/// `flows`
#[derive(Debug, Args)]
pub struct FlowsArgs {
    /// Read these wallets (CSV with a column wallet; several proxies of one person in one line, joined with +) instead of
    /// BASELINE_WALLET
    #[arg(long, value_name = "FILE")]
    pub wallets: Option<PathBuf>,
    /// The same, as validate calls it
    #[arg(long, value_name = "FILE", conflicts_with = "wallets")]
    pub baselines: Option<PathBuf>,
}
