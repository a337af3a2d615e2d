//! `backfill validate`.

use std::path::{Path, PathBuf};

use super::session::Session;
use crate::cli::{ExpectedFrom, ValidateArgs};
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::Context;
use crate::phases::validate::baselines::{self, Listed};
use crate::phases::validate::positions_file::PositionsFile;
use crate::phases::validate::{self, Baseline, ValidateOptions, expected};
use crate::results::Validate;
use crate::settings::Settings;

/// Validates the wallets.
///
/// # Errors
/// A file or the key is missing, nothing was touched then; ClickHouse or Dome cannot be used.
pub async fn run(session: &Session, args: ValidateArgs) -> Result<Outcome, Failure> {
    let settings = &session.settings;
    let positions_file = args.positions.map(PositionsFile::new).transpose()?;
    let given = match args.expected {
        Some(ExpectedFrom::Dome) => {
            expected::check(settings)?;
            Err(listed(settings, args.baselines.as_deref())?)
        }
        None => Ok(baselines(settings, args.baselines.as_deref())?),
    };
    let work = async {
        let context = session.context().await?;
        let baselines = match given {
            Ok(baselines) => baselines,
            Err(wallets) => asked(session, &context, wallets, args.save_baselines).await?,
        };
        let options = ValidateOptions {
            baselines,
            positions_file,
            detail: args.detail,
            method: args.method,
            transfers: args.transfers,
            audit: args.audit,
        };
        Ok(Validate::from(&session.phase(validate::run(&context, &options)).await?))
    };
    session.finish("validate", work).await
}

/// What Dome expects of the wallets, which is written down too.
async fn asked(
    session: &Session,
    context: &Context,
    wallets: Vec<Listed>,
    file: Option<PathBuf>,
) -> Result<Vec<Baseline>, Failure> {
    let asked = session.phase(expected::ask_dome(context, wallets)).await?;
    let file = file.unwrap_or_else(|| session.settings.work.checkpoint_dir.join("baselines-dome.csv"));
    baselines::write(&file, &asked)?;
    session.progress.notice(&format!(
        "What Dome expects of {} wallet(s) is in {}, to be used again with --baselines",
        asked.len(),
        file.display()
    ));
    Ok(asked)
}

/// The wallets of a file, or the one of the settings.
///
/// # Errors
/// The file cannot be read.
pub fn listed(settings: &Settings, file: Option<&Path>) -> Result<Vec<Listed>, Failure> {
    match file {
        Some(file) => baselines::read_wallets(file),
        None => Ok(vec![Listed::new(settings.thresholds.baseline_wallet)]),
    }
}

/// The wallets of a file with what is expected of them, or the one of the settings.
///
/// # Errors
/// The file cannot be read, or nothing is expected of one of them.
pub fn baselines(settings: &Settings, file: Option<&Path>) -> Result<Vec<Baseline>, Failure> {
    match file {
        Some(file) => baselines::read(file),
        None => {
            let (wallet, expected) =
                (settings.thresholds.baseline_wallet, settings.thresholds.expected_pnl.clone());
            Ok(vec![Baseline::new(wallet, expected)])
        }
    }
}
