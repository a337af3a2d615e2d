//! `report`: one HTML file of what the journal tells, by itself or at the end of a run.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::session::Session;
use crate::atomic_file;
use crate::cli::{ReportArgs, WithReportArgs};
use crate::failure::Failure;
use crate::journal::{self, History};
use crate::outcome::Outcome;
use crate::phases::status;
use crate::report::html;

/// What the file is called where no other name is given.
pub(super) const NAME: &str = "backfill-report.html";

/// Writes the report, and says where it is.
pub(super) fn run(session: &Session, args: &ReportArgs) -> Result<Outcome, Failure> {
    let folder = &session.settings.work.checkpoint_dir;
    let file = args.output.clone().unwrap_or_else(|| folder.join(NAME));
    let history = write(folder, &file)?;
    let phases: Vec<&String> = history.last.keys().collect();
    session.print(
        || format!("The report is in {}\n", file.display()),
        || json!({"phase": "report", "file": file, "phases": phases, "unreadable_lines": history.unreadable, "elapsed_seconds": session.elapsed()}),
    );
    session.ended(Outcome::Done)
}

/// Writes the report of a run that wants one, to `default` where it names no file.
///
/// # Errors
/// It cannot be written; the run has come to its own end by then.
pub(super) fn wanted(
    session: &Session,
    folder: &Path,
    args: &WithReportArgs,
    default: &Path,
) -> Result<(), Failure> {
    let Some(file) = &args.report else { return Ok(()) };
    let file: PathBuf = file.clone().unwrap_or_else(|| default.to_owned());
    write(folder, &file)?;
    session.progress.notice(&format!("The report is in {}", file.display()));
    Ok(())
}

fn write(folder: &Path, file: &Path) -> Result<History, Failure> {
    let journal = folder.join(journal::NAME);
    let history = History::of(folder)
        .map_err(|error| Failure::File(format!("cannot read {}: {error}", journal.display())))?;
    if history.last.is_empty() {
        return Err(Failure::Usage(format!(
            "no phase has run yet: there is nothing in {}; run one, or name its folder with CHECKPOINT_DIR",
            journal.display()
        )));
    }
    let now = Timestamp::now();
    let page = html::page(&history, &status::look(folder, &history, now), now);
    atomic_file::replace(file, |file| file.write_all(page.as_bytes()))
        .map_err(|error| Failure::NotWritten { place: file.display().to_string(), error })?;
    Ok(history)
}
