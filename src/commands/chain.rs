//! `chain`: reads the chain.

use std::sync::Arc;

use super::session::Session;
use crate::cli::chain::ChainCommandArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::chain::{self, ChainListener};
use crate::phases::events::{PhaseEvent, PhaseListener};

/// Reads.
pub(super) async fn run(session: &Session, args: ChainCommandArgs) -> Result<Outcome, Failure> {
    let options = args.options(rand::random())?;
    let recorder = session.recorder.clone();
    let listener: ChainListener = Arc::new(move |event| recorder.on_phase_event(&PhaseEvent::Chain(&event)));
    let work = async {
        let context = session.context().await?;
        chain::run(&context, &options, &listener).await
    };
    session.finish("chain", work).await
}
