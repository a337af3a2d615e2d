//! `setup`.

use super::session::Session;
use crate::cli::SetupArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::setup::{self, SetupOptions};
use crate::results::Setup;

/// Measures, creates, lists and splits.
pub(super) async fn run(session: &Session, args: &SetupArgs) -> Result<Outcome, Failure> {
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
