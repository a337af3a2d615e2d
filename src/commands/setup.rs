//! `setup`.

use std::io::{IsTerminal, Write};

use super::session::Session;
use crate::cli::SetupArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::setup::{self, SetupOptions};
use crate::results::Setup;

/// Measures, creates, lists and splits.
pub(super) async fn run(session: &Session, args: &SetupArgs) -> Result<Outcome, Failure> {
    if args.reset && !args.yes {
        confirm(session).await?;
    }
    let work = async {
        let context = session.context().await?;
        if args.tracks.is_silent() {
            setup::tell_worn_out(&context);
        }
        let options = SetupOptions {
            shares: session.phase(args.tracks.tracks().resolve(&context)).await?,
            reset: args.reset,
            create_tables: args.create_tables,
            derive: args.derive,
        };
        Ok(Setup::from(&session.phase(setup::run(&context, &options)).await?))
    };
    session.finish("setup", work).await
}

/// Asks before everything that is staged is forgotten. Where nobody can be asked, `--yes` has to say it.
async fn confirm(session: &Session) -> Result<(), Failure> {
    let (staging, folder) = (&session.settings.store.names.staging, &session.settings.work.checkpoint_dir);
    let goes = format!(
        "--reset empties the staging tables of the database {staging} (all that is staged, not found or rejected) and puts \
         the checkpoints in {} aside; the map stays",
        folder.display()
    );
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::Usage(format!("{goes}. Add --yes where nobody can be asked")));
    }
    let _ = write!(std::io::stderr(), "{goes}. Go on? [y/N] ");
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = tokio::select! {
        answer = answer => answer.ok().and_then(Result::ok).unwrap_or_default(),
        () = session.stop.cancelled() => return Err(Failure::Interrupted),
    };
    match matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Failure::Usage("nothing was reset".to_owned())),
    }
}
