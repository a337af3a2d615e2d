//! [`ask_dome`]: what Dome says that wallets have made, instead of a figure that was written down once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::baselines::{Baseline, Listed};
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::phases::Context;
use crate::phases::events::{Activity, PhaseEvent};
use crate::pnl::Usd;
use crate::settings::Settings;
use crate::source::Source;
use crate::track::gauges::Gauges;
use crate::track::requester::Requester;
use crate::track::retry_queue::FailureKind;
use crate::upstream::SourceSettings;
use crate::upstream::UpstreamError;
use crate::upstream::dome::Dome;

/// Questions under way at once, as many as Dome's track has workers.
const AT_ONCE: usize = 16;

/// Asks Dome for the realized P&L of each wallet, within its limits, through faults and outages. A wallet that Dome
/// does not know is left out, with a notice.
///
/// # Errors
/// There is no key, Dome does not let us in or stays down, or it knows none of the wallets.
pub async fn ask_dome(context: &Context, wallets: Vec<Listed>) -> Result<Vec<Baseline>, Failure> {
    let settings = &context.settings;
    let reached = check(settings)?;
    context.begins(Activity::AskingExpectations);
    let asker = Asker {
        dome: Dome::new(reached, settings.work.request_timeout).map_err(unusable)?,
        requester: Requester::new(
            Arc::new(Gauges::new(Source::Dome, wallets.len() as u64, AT_ONCE, &reached.rate_limit)),
            context.progress.clone(),
            context.stop.clone(),
            &reached.rate_limit,
            settings.work.give_up_after,
        ),
        give_up_after: settings.work.give_up_after,
    };
    let answers: Vec<(Listed, Option<Usd>)> = stream::iter(wallets)
        .map(|listed| async {
            let mut expected: Option<Usd> = None;
            for proxy in listed.proxies() {
                if let Some(more) = asker.realized_pnl(&proxy).await? {
                    expected = Some(expected.unwrap_or_default() + more);
                }
            }
            Ok::<_, UpstreamError>((listed, expected))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
        .map_err(unusable)?;
    let mut baselines = Vec::new();
    for (listed, expected) in answers {
        match expected {
            Some(expected) => baselines.push(listed.baseline(expected)),
            None => context.progress.on_phase_event(&PhaseEvent::NothingExpected(listed.wallet)),
        }
    }
    match baselines.is_empty() {
        true => {
            Err(Failure::Unusable("Dome knows no P&L of any of the wallets; nothing to compare".to_owned()))
        }
        false => Ok(baselines),
    }
}

/// Whether Dome can be asked with these settings.
///
/// # Errors
/// The key is missing.
pub fn check(settings: &Settings) -> Result<&SourceSettings, Failure> {
    match settings.source(Source::Dome).filter(|dome| dome.api_key.is_some()) {
        Some(dome) => Ok(dome),
        None => Err(Failure::Usage(
            "--expected dome needs DOME_API_KEY: set it, or give --baselines FILE.csv with expected_pnl"
                .to_owned(),
        )),
    }
}

fn unusable(error: UpstreamError) -> Failure {
    Failure::Unusable(format!("{} could not be asked for the expected P&L: {error}", Source::Dome.title()))
}

struct Asker {
    dome: Dome,
    requester: Requester,
    give_up_after: Duration,
}

impl Asker {
    /// Asks for one wallet until there is an answer, or none to be had.
    async fn realized_pnl(&self, wallet: &Wallet) -> Result<Option<Usd>, UpstreamError> {
        let began = self.requester.now();
        let mut attempts = 0;
        loop {
            let ticket = self.requester.another_ticket().await;
            let answer = self.requester.ask(ticket, self.dome.realized_pnl(wallet)).await;
            let (ticket, error) = match answer {
                Ok(expected) => return Ok(expected),
                Err(failed) => failed,
            };
            let failure = self.requester.failed(ticket, &error, attempts, false);
            match failure.kind {
                // The quota knows for how long to be still.
                FailureKind::Throttled if !self.requester.is_stopped() => {}
                FailureKind::Passing
                    if !matches!(error, UpstreamError::Permanent(_))
                        && self.requester.now() + failure.pause < began + self.give_up_after =>
                {
                    tokio::time::sleep(failure.pause).await;
                }
                _ => return Err(error),
            }
            attempts += 1;
        }
    }
}
