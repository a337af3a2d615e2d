//! `clob`: the catalogue.

use super::session::Session;
use crate::cli::ClobArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::clob;
use crate::source::Source;

/// Reads the catalogue.
pub(super) async fn run(session: &Session, args: &ClobArgs) -> Result<Outcome, Failure> {
    session.serve_metrics(&args.metrics)?;
    let work = async {
        let context = session.context().await?;
        clob::run(&context).await
    };
    session.finish(Source::Clob.name(), work).await
}
