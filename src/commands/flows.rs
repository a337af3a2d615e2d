//! `flows`: reads what wallets did beside trading.

use std::sync::Arc;

use super::session::Session;
use super::validate::listed;
use crate::cli::chain::FlowsArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::chain::ChainListener;
use crate::phases::events::{PhaseEvent, PhaseListener};
use crate::phases::flows;
use crate::phases::validate::baselines::Listed;

/// Reads.
pub(super) async fn run(session: &Session, args: FlowsArgs) -> Result<Outcome, Failure> {
    let file = args.wallets.as_deref().or(args.baselines.as_deref());
    let wallets: Vec<_> = listed(&session.settings, file)?.iter().flat_map(Listed::proxies).collect();
    let recorder = session.recorder.clone();
    let listener: ChainListener = Arc::new(move |event| recorder.on_phase_event(&PhaseEvent::Chain(&event)));
    let work = async {
        let context = session.context().await?;
        flows::run(&context, &wallets, &listener).await
    };
    session.finish("flows", work).await
}
