//! `dome`, `goldsky`, `gamma`: one track.

use super::session::Session;
use crate::cli::TrackArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::track::{self, TrackOptions};
use crate::source::Source;

/// Asks one source for its share.
pub(super) async fn run(session: &Session, source: Source, args: &TrackArgs) -> Result<Outcome, Failure> {
    // What is missing is said before anything is touched.
    track::check(&session.settings, source)?;
    session.serve_metrics(&args.metrics)?;
    let options = TrackOptions::default();
    let work = async {
        let context = session.context().await?;
        let context = if args.retry_not_found { context.retrying_not_found() } else { context };
        let mut results = track::run(&context, &[source], &options).await?;
        let none = || Failure::Unusable("the track came to no result".to_owned());
        Ok(results.pop().ok_or_else(none)??)
    };
    session.finish(source.name(), work).await
}
