//! `merge`.

use super::session::Session;
use crate::cli::MergeArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::merge::{self, MergeOptions};
use crate::results::Merge;

/// Brings staging into production.
pub(super) async fn run(session: &Session, args: &MergeArgs) -> Result<Outcome, Failure> {
    let options = MergeOptions {
        dry_run: args.dry_run,
        repair: args.repair,
        labels: args.labels,
        metadata: args.metadata,
        resolutions: args.resolutions,
        check: args.check,
    };
    let work = async {
        let context = session.context().await?;
        Ok(Merge::from(&session.phase(merge::run(&context, &options)).await?))
    };
    session.finish("merge", work).await
}
