//! `verify`.

use super::session::Session;
use super::validate::listed;
use crate::cli::VerifyArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::verify::{self, VerifyOptions};
use crate::results::Verify;

/// Checks the coverage.
pub(super) async fn run(session: &Session, args: VerifyArgs) -> Result<Outcome, Failure> {
    let wallets = listed(&session.settings, args.baselines.as_deref())?;
    let options = VerifyOptions {
        wallets: wallets.into_iter().map(|listed| listed.wallet).collect(),
        gaps_file: args.gaps,
    };
    let work = async {
        let context = session.context().await?;
        Ok(Verify::from(&session.phase(verify::run(&context, &options)).await?))
    };
    session.finish("verify", work).await
}
