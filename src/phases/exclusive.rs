//! Phases that no other process may be at, on whatever host it runs.

use super::Context;
use crate::failure::Failure;
use crate::process_lock::ProcessIdentity;
use crate::store::lease::{Lease, LeaseError};
use crate::store::traded::TradedSums;

/// The lease of phase 0.
pub const SETUP: &str = "setup";

/// The lease of phase 3.
pub const MERGE: &str = "merge";

/// The lease of adding up the fills.
const SUMS: &str = "sums";

impl Context {
    /// The sums of the fills by token: as they are kept, or made anew where the fills have changed. Where they cannot be
    /// kept, or another process makes them now, the fills themselves are read.
    ///
    /// # Errors
    /// ClickHouse fails.
    pub async fn traded_sums(&self) -> Result<TradedSums, Failure> {
        let kept = self.store.kept_sums().await?;
        if kept.is_kept() || !self.store.can_keep_sums().await? {
            return Ok(kept);
        }
        let making = async { Ok(self.store.make_sums().await?) };
        match self.exclusively(&[SUMS], &[], making).await {
            Err(Failure::Lease(LeaseError::Held(_) | LeaseError::Overtaken(_))) => Ok(kept),
            made => made,
        }
    }

    /// Runs `phase` while this process alone has the leases of `works`, and nobody one of `conflicting`. A lease that
    /// is lost, since ClickHouse could not be told for too long that we are alive, ends the work as a signal does.
    ///
    /// # Errors
    /// Another process is at work, or what the phase fails with.
    pub async fn exclusively<T>(
        &self,
        works: &[&str],
        conflicting: &[&str],
        phase: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let process = ProcessIdentity::current();
        let mut leases: Vec<Lease> = Vec::new();
        for work in works {
            match self.store.lease(work, conflicting, &process).await {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    release(leases).await;
                    return Err(error.into());
                }
            }
        }
        let watchdogs: Vec<_> = leases
            .iter()
            .map(|lease| {
                let (lost, stop) = (lease.lost().clone(), self.stop.clone());
                tokio::spawn(async move {
                    lost.cancelled().await;
                    stop.cancel();
                })
            })
            .collect();
        let result = phase.await;
        watchdogs.iter().for_each(tokio::task::JoinHandle::abort);
        release(leases).await;
        result
    }
}

/// Gives leases back. One that cannot be given back expires by itself.
async fn release(leases: Vec<Lease>) {
    for lease in leases {
        if let Err(error) = lease.release().await {
            tracing::info!("{error}; the lease expires by itself");
        }
    }
}
