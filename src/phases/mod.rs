//! One file a subcommand. A phase is a short sequence of named steps that returns a typed result: it holds no SQL, no
//! HTTP and no printing.

mod audit;
pub mod chain;
pub mod clob;
mod combos;
pub mod derive;
pub(crate) mod doctor;
pub mod events;
mod exclusive;
pub mod flows;
pub mod lines;
pub mod merge;
pub(crate) mod plan;
pub mod prove;
mod results;
pub(crate) mod run;
mod run_options;
pub mod setup;
pub mod shares;
pub(crate) mod status;
pub(crate) mod steps;
pub mod track;
pub mod validate;
pub mod verify;
pub mod watch;

use std::sync::Arc;
use std::time::Instant;

use events::{Activity, PhaseEvent, PhaseListener};

use crate::proof::ProofPolicy;
use crate::settings::Settings;
use crate::store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

/// What claims are proven with: the settings' collaterals, and the conditions that are known by now.
pub(crate) async fn proof_policy(context: &Context) -> Result<ProofPolicy, StoreError> {
    let mut policy = ProofPolicy::new(context.settings.collaterals.clone());
    policy.guess_neg_risk_mirrors(context.settings.guess_neg_risk_mirrors);
    context.store.learn_known_conditions(&mut policy).await?;
    Ok(policy)
}

/// What every phase works with.
#[derive(Clone)]
pub struct Context {
    /// The settings.
    pub settings: Arc<Settings>,
    /// ClickHouse.
    pub store: Store,
    /// Who is told how it goes.
    pub progress: Arc<dyn PhaseListener>,
    /// The wish to end.
    pub stop: CancellationToken,
    /// When the process started.
    pub started: Instant,
}

impl Context {
    /// Connects to ClickHouse.
    ///
    /// # Errors
    /// Where there is none, or it does not let us in.
    pub async fn connect(
        settings: Arc<Settings>,
        progress: Arc<dyn PhaseListener>,
        stop: CancellationToken,
        started: Instant,
    ) -> Result<Self, StoreError> {
        let store = Store::connect(&settings.store, settings.work.give_up_after).await?;
        Ok(Self { settings, store, progress, stop, started }.as_of_now())
    }

    /// The same, in which an answer without a mapping counts if it is not older than `NOT_FOUND_TTL` at this moment.
    #[must_use]
    pub fn as_of_now(self) -> Self {
        let since = jiff::Timestamp::now().saturating_sub(self.settings.work.not_found_ttl);
        // A time to live that reaches back beyond all time is one without an end.
        let since = since.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Self { store: self.store.with_answers_since(since), ..self }
    }

    /// Tells that the next part of a phase begins.
    pub fn begins(&self, activity: Activity) {
        self.progress.on_phase_event(&PhaseEvent::Activity(activity));
    }

    /// The same, in which no source is believed any more not to know a token: each is asked again.
    #[must_use]
    pub fn retrying_not_found(self) -> Self {
        Self { store: self.store.with_answers_since(jiff::Timestamp::now()), ..self }
    }

    /// Seconds since the process started, to the millisecond.
    pub fn elapsed(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
    }
}
