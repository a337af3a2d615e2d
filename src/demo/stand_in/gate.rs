//! [`Gate`]: lets so many requests in and keeps the others waiting, so that a test can choose its moment.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Open, unless it was told how many more to let in.
#[derive(Debug)]
pub(super) struct Gate {
    arrived: AtomicU64,
    /// The number of the first request that has to wait.
    closed_from: watch::Sender<u64>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { arrived: AtomicU64::new(0), closed_from: watch::Sender::new(u64::MAX) }
    }

    /// Waits, as the caller's request, until it may go on.
    pub(super) async fn pass(&self) {
        let number = self.arrived.fetch_add(1, Ordering::SeqCst);
        // An error would mean that the sender is gone, and it is ours.
        let _ = self.closed_from.subscribe().wait_for(|closed_from| number < *closed_from).await;
    }

    /// Closes behind the next `more` requests.
    pub(super) fn close_after(&self, more: u64) {
        self.closed_from.send_replace(self.arrived.load(Ordering::SeqCst) + more);
    }

    pub(super) fn open(&self) {
        self.closed_from.send_replace(u64::MAX);
    }
}
