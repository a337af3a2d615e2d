//! [`Settings`]: environment, `.env` and flags become one validated value; secrets print as `***`.
//!
//! Every setting is an environment variable and a flag of the same name, and the flag wins. Each part of the program
//! owns its own, as clap reads them; here they are put together.

mod thresholds;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::ctf::{self, Collateral};
use crate::source::Source;
use crate::store::{StoreArgs, StoreSettings};
use crate::track::settings::WorkSettings;
use crate::upstream::SourceSettings;
use crate::upstream::chain::ChainSettings;
use crate::upstream::settings::SourcesSettings;
use crate::values::BadSetting;

pub use thresholds::Thresholds;

/// The settings as clap reads them, from flags and the environment.
#[derive(Debug, Clone, Args)]
pub struct SettingsArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    sources: SourcesSettings,
    #[command(flatten)]
    chain: ChainSettings,
    /// The tokens that may back positions, as name=address with commas [default: usdc_e and neg_risk]
    #[arg(long, env, global = true, value_delimiter = ',', value_parser = collateral, help_heading = "Sources", hide_short_help = true)]
    collaterals: Vec<Collateral>,
    /// Take the mirrors of negative-risk markets for known where no event on chain registered them
    ///
    /// Their ids hold half of the market's id and the question's number. The guess is that the market with that half is
    /// the one; without it such tokens stay under the condition in their own bits.
    #[arg(long, env, global = true, help_heading = "Sources", hide_short_help = true)]
    guess_neg_risk_mirrors: bool,
    /// Legs of combos: [DATABASE.]TABLE.COLUMN, or a file with the legs of one combo a line; several with commas
    ///
    /// A combo's condition is the hash of its legs. What `backfill chain` has read needs not be told.
    #[arg(
        long,
        env,
        global = true,
        value_delimiter = ',',
        value_name = "TABLE.COLUMN|FILE",
        help_heading = "Sources",
        hide_short_help = true
    )]
    combos: Vec<String>,
    /// A libchdb.so or a clickhouse binary for the embedded server [default: found or fetched]
    #[arg(long, env, global = true, help_heading = "ClickHouse", hide_short_help = true)]
    clickhouse_engine: Option<PathBuf>,
    #[command(flatten)]
    work: WorkSettings,
    #[command(flatten)]
    thresholds: Thresholds,
}

fn collateral(text: &str) -> Result<Collateral, String> {
    text.trim().parse::<Collateral>().map_err(|error| error.to_string())
}

/// Everything that a user can set, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// ClickHouse.
    pub store: StoreSettings,
    /// The APIs.
    pub sources: SourcesSettings,
    /// The chain's logs.
    pub chain: ChainSettings,
    /// The tokens that may back positions.
    pub collaterals: Vec<Collateral>,
    /// Whether negative-risk mirrors that no event registered are taken for known.
    pub guess_neg_risk_mirrors: bool,
    /// Columns and files with the legs of combos.
    pub combos: Vec<String>,
    /// The engine of the embedded server, where the user names one.
    pub engine: Option<PathBuf>,
    /// How the tracks work.
    pub work: WorkSettings,
    /// What must be reached.
    pub thresholds: Thresholds,
}

impl Settings {
    /// How a source is reached, `None` for what is computed.
    pub fn source(&self, source: Source) -> Option<&SourceSettings> {
        self.sources.of(source)
    }
}

impl SettingsArgs {
    /// Where the tracks' checkpoints stand.
    pub fn checkpoint_dir(&self) -> &Path {
        &self.work.checkpoint_dir
    }

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// The first setting that cannot be used, named.
    pub fn validate(self) -> Result<Settings, BadSetting> {
        let collaterals =
            if self.collaterals.is_empty() { ctf::default_collaterals() } else { self.collaterals };
        Ok(Settings {
            store: self.store.validate()?,
            sources: self.sources,
            chain: self.chain,
            collaterals,
            guess_neg_risk_mirrors: self.guess_neg_risk_mirrors,
            combos: self.combos,
            engine: self.clickhouse_engine,
            work: self.work,
            thresholds: self.thresholds,
        })
    }
}
