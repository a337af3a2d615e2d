//! [`Stop`]: the wish to end in good order, handed from the signals to whatever is at work.

use tokio::sync::watch;

/// Set once, seen by every clone.
#[derive(Debug, Clone)]
pub struct Stop {
    sender: watch::Sender<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { sender: watch::Sender::new(false) }
    }
}

impl Stop {
    /// Asks everybody to finish what is in hand and end.
    pub fn set(&self) {
        self.sender.send_replace(true);
    }

    /// Whether that was asked.
    pub fn is_set(&self) -> bool {
        *self.sender.borrow()
    }

    /// Until that is asked.
    pub async fn asked(&self) {
        // The sender lives in self, so waiting cannot fail.
        let _ = self.sender.subscribe().wait_for(|stop| *stop).await;
    }
}
