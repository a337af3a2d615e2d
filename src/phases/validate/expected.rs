//! [`ask_dome`]: what Dome says that wallets have made, instead of a figure that was written down once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::baselines::{Baseline, Listed};
use crate::failure::Failure;
use crate::phases::Context;
use crate::phases::events::{Activity, PhaseEvent};
use crate::pnl::Usd;
use crate::settings::Settings;
use crate::source::Source;
use crate::track::quota::{Quota, TrackTime};
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
        quota: Mutex::new(Quota::new(&reached.rate_limit, AT_ONCE)),
        clock: Instant::now(),
        give_up_after: settings.work.give_up_after,
    };
    let answers: Vec<(Listed, Option<Usd>)> = stream::iter(wallets)
        .map(|listed| async {
            let expected = asker.realized_pnl(&listed).await?;
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
    quota: Mutex<Quota>,
    clock: Instant,
    give_up_after: Duration,
}

impl Asker {
    fn now(&self) -> TrackTime {
        self.clock.elapsed()
    }

    /// Runs `with` on the quota; none of its holders can panic between two changes that belong together.
    fn quota<T>(&self, with: impl FnOnce(&mut Quota) -> T) -> T {
        with(&mut self.quota.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn realized_pnl(&self, listed: &Listed) -> Result<Option<Usd>, UpstreamError> {
        let mut pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .without_max_times()
            .build();
        let began = Instant::now();
        loop {
            let now = self.now();
            let turn = self.quota(|quota| match quota.next(now) {
                next if next <= now => Ok(quota.take(now)),
                next => Err(next - now),
            });
            let slot = match turn {
                Ok(slot) => slot,
                Err(wait) => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
            };
            let answer = self.dome.realized_pnl(&listed.wallet).await;
            let now = self.now();
            let error = match answer {
                Ok(expected) => {
                    self.quota(|quota| quota.answered(slot, now));
                    return Ok(expected);
                }
                Err(error) => error,
            };
            self.quota(|quota| quota.broke(slot, now));
            match error {
                UpstreamError::Throttled { retry_after } => {
                    self.quota(|quota| quota.refused(slot, now, retry_after));
                }
                UpstreamError::Shut(_) | UpstreamError::BadRequest(_) | UpstreamError::TooLarge(_) => {
                    return Err(error);
                }
                UpstreamError::Timeout(_) | UpstreamError::Unreachable(_) | UpstreamError::Broken(_) => {
                    let pause = pauses.next().unwrap_or(Duration::from_secs(10));
                    if began.elapsed() + pause > self.give_up_after {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}
