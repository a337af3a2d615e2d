//! `doctor`.

use super::session::Session;
use crate::cli::TracksArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::doctor;
use crate::report::Report;

/// Looks at everything; the journal is for what changes something.
pub(super) async fn run(session: &Session, tracks: &TracksArgs) -> Result<Outcome, Failure> {
    let tracks = (!tracks.is_silent()).then(|| tracks.tracks());
    let work = async { Ok(doctor::run(&session.settings, tracks.as_ref(), session.started).await) };
    let result = session.phase(work).await?;
    session.print_report(&result);
    session.ended(result.outcome())
}
