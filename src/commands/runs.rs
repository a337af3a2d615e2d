//! `runs`: the journal as a table.

use super::session::Session;
use crate::cli::RunsArgs;
use crate::failure::Failure;
use crate::journal::{self, Event};
use crate::outcome::Outcome;
use crate::results::{PhaseRun, Runs, Seconds};

/// Lists what ran, the newest last.
pub(super) fn run(session: &Session, args: &RunsArgs) -> Result<Outcome, Failure> {
    let folder = &session.settings.work.checkpoint_dir;
    let (events, unreadable_lines) = journal::events(folder).map_err(|error| {
        Failure::File(format!("cannot read {}: {error}", folder.join(journal::NAME).display()))
    })?;
    let mut runs: Vec<PhaseRun> = Vec::new();
    for event in events {
        match event {
            Event::Began { phase, run, pid, at, version } => {
                runs.push(PhaseRun { phase, run, pid, version, began: at, ..PhaseRun::default() });
            }
            Event::Sample(_) => {}
            Event::Ended { phase, run, exit, seconds, result, error, .. } => {
                if let Some(of) = runs.iter_mut().rev().find(|it| it.phase == phase && it.run == run) {
                    (of.exit, of.seconds) = (Some(exit), Some(Seconds(seconds)));
                    (of.result, of.error) = (result, error);
                }
            }
        }
    }
    let old = runs.len().saturating_sub(args.last);
    runs.drain(..old);
    session.print_report(&Runs { phase: "runs".to_owned(), runs, unreadable_lines });
    session.ended(Outcome::Done)
}
