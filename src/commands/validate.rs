//! `backfill validate`.

use std::path::Path;

use super::Session;
use crate::cli::{ExpectedFrom, ValidateArgs};
use crate::failure::{Exit, Failure};
use crate::phases::validate::baselines::{self, Listed};
use crate::phases::validate::positions_file::PositionsFile;
use crate::phases::validate::{self, Baseline, ValidateOptions, expected};
use crate::report;
use crate::report::Progress;
use crate::settings::Settings;

/// Validates the wallets.
///
/// # Errors
/// A file or the key is missing, nothing was touched then; ClickHouse or Dome cannot be used.
pub async fn run(session: &Session, args: ValidateArgs) -> Result<Exit, Failure> {
    let settings = &session.settings;
    let positions_file = args.positions.map(PositionsFile::new).transpose()?;
    let given = match args.expected {
        Some(ExpectedFrom::Dome) => {
            expected::check(settings)?;
            Err(listed(settings, args.baselines.as_deref())?)
        }
        None => Ok(baselines(settings, args.baselines.as_deref())?),
    };
    let context = session.context().await?;
    let baselines = match given {
        Ok(baselines) => baselines,
        Err(wallets) => {
            let asked = session.phase(expected::ask_dome(&context, wallets)).await?;
            let file = args
                .save_baselines
                .unwrap_or_else(|| settings.work.checkpoint_dir.join("baselines-dome.csv"));
            baselines::write(&file, &asked)?;
            session.progress.notice(&format!(
                "What Dome expects of {} wallet(s) is in {}, to be used again with --baselines",
                asked.len(),
                file.display()
            ));
            asked
        }
    };
    let options = ValidateOptions { baselines, positions_file, detail: args.detail };
    let result = session.phase(validate::run(&context, &options)).await?;
    session.print(|| report::validate::text(&result), || report::validate::json(&result));
    Ok(if result.passes() { Exit::Done } else { Exit::BelowThreshold })
}

/// The wallets of a file, or the one of the settings.
///
/// # Errors
/// The file cannot be read.
pub fn listed(settings: &Settings, file: Option<&Path>) -> Result<Vec<Listed>, Failure> {
    match file {
        Some(file) => baselines::read_wallets(file),
        None => Ok(vec![Listed { wallet: settings.baseline_wallet, expected: None, label: None }]),
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
            let (wallet, expected) = (settings.baseline_wallet, settings.expected_pnl.clone());
            Ok(vec![Baseline { wallet, expected, label: None }])
        }
    }
}
