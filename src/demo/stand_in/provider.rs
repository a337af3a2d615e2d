//! [`ChainHabits`]: how a provider of the chain's logs behaves, and what it gives of the world's logs by that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::faults::{FaultDice, FaultPlan};
use super::limiter::{Limiter, Window};
use super::listener::Switch;
use crate::chain::log::hex;
use crate::chain::{BlockRange, Log, LogFilter};
use crate::demo::chain_world::ChainWorld;

/// Which provider a stand-in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// An SQD portal.
    Portal,
    /// A node's JSON-RPC.
    Node,
}

/// How a provider behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainHabits {
    /// Which it is.
    pub kind: ChainKind,
    /// The port on loopback; 0 for a free one.
    pub port: u16,
    /// The rate limit.
    pub windows: Vec<Window>,
    /// The time of one answer.
    pub latency: Duration,
    /// What goes wrong with requests.
    pub faults: FaultPlan,
    /// How long a hanging answer hangs.
    pub hang: Duration,
    /// The chain that a node says it is of.
    pub chain_id: u64,
    /// Whether a node knows the word `finalized`.
    pub knows_finalized: bool,
    /// The last block; `None` for the last one of the world.
    pub head: Option<u64>,
    /// Blocks that a node takes at once; a portal stops there.
    pub most_blocks: Option<u64>,
    /// Logs that a node gives at once; a portal stops there.
    pub most_logs: Option<usize>,
    /// Logs at which a node cuts its answers without a word.
    pub cuts_at_logs: Option<usize>,
    /// Blocks behind which a node leaves the rest of a range out without a word.
    pub cuts_at_blocks: Option<u64>,
    /// Share of the blocks with logs whose last log this provider leaves out, always the same ones.
    pub leaves_out: f64,
    /// Share of the logs that are changed in one bit, others with each request.
    pub falsifies: f64,
    /// Share of the logs beside which a node gives one that was taken back.
    pub removed: f64,
    /// Share of the requests that a server answers that is so many blocks behind.
    pub behind: (f64, u64),
    /// The first block that it still has, and whether it says so where it has not.
    pub pruned_below: Option<(u64, bool)>,
    /// Whether a node answers several calls in one request.
    pub takes_batches: bool,
    /// Whether it packs its answers.
    pub gzip: bool,
    /// Whether it refuses whoever does not say who it is.
    pub wants_user_agent: bool,
}

impl ChainHabits {
    /// An honest portal without a limit.
    pub fn portal() -> Self {
        Self {
            kind: ChainKind::Portal,
            port: 0,
            windows: Vec::new(),
            latency: Duration::ZERO,
            faults: FaultPlan::none(),
            hang: Duration::from_secs(120),
            chain_id: 137,
            knows_finalized: true,
            head: None,
            most_blocks: None,
            most_logs: Some(20_000),
            cuts_at_logs: None,
            cuts_at_blocks: None,
            leaves_out: 0.0,
            falsifies: 0.0,
            removed: 0.0,
            behind: (0.0, 0),
            pruned_below: None,
            takes_batches: true,
            gzip: true,
            wants_user_agent: true,
        }
    }

    /// An honest public node, which takes 10,000 blocks at once.
    pub fn node() -> Self {
        Self { kind: ChainKind::Node, most_blocks: Some(10_000), most_logs: Some(10_000), ..Self::portal() }
    }
}

/// What a provider has seen and said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainCounters {
    /// Requests.
    pub requests: u64,
    /// Of them, refused for being too fast.
    pub throttled: u64,
    /// Of them, met by a fault.
    pub faults: u64,
    /// Of them, refused for the size of their range.
    pub too_wide: u64,
    /// Logs that were given.
    pub logs: u64,
    /// Of them, changed.
    pub falsified: u64,
    /// Logs that were left out without a word.
    pub left_out: u64,
}

/// What all requests of a provider share.
pub(super) struct ChainShared {
    pub(super) world: Arc<ChainWorld>,
    pub(super) habits: ChainHabits,
    pub(super) head: AtomicU64,
    pub(super) limiter: Mutex<Limiter>,
    pub(super) fault_dice: Mutex<FaultDice>,
    pub(super) dice: Mutex<ChaCha8Rng>,
    pub(super) counters: Mutex<ChainCounters>,
    pub(super) switch: Switch,
}

/// An answer before it goes out, with how it may go wrong on the way.
pub(super) struct ChainAnswer {
    pub(super) status: StatusCode,
    pub(super) body: String,
    /// Whether a body that is cut short still reads as one: a portal's lines.
    pub(super) has_logs: bool,
}

impl ChainAnswer {
    pub(super) fn ok(body: String) -> Self {
        Self { status: StatusCode::OK, body, has_logs: false }
    }
}

impl ChainShared {
    pub(super) fn count(&self, change: impl FnOnce(&mut ChainCounters)) {
        change(&mut lock(&self.counters));
    }

    /// A number from 0 up to 1.
    fn roll(&self) -> f64 {
        (lock(&self.dice).next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The head of whoever answers this request.
    pub(super) fn head(&self) -> u64 {
        let head = self.head.load(Ordering::SeqCst);
        let (share, blocks) = self.habits.behind;
        if share > 0.0 && self.roll() < share { head.saturating_sub(blocks) } else { head }
    }

    /// The logs of a range that this provider gives, the false ones and those taken back among them (`true`).
    pub(super) fn logs(&self, filter: &LogFilter, range: BlockRange) -> Vec<(Log, bool)> {
        let mut logs = Vec::new();
        let mut left_out = 0;
        for log in self.world.logs(range).filter(|log| filter.takes(log)) {
            if self.habits.leaves_out > 0.0 && share_of(log.block) < self.habits.leaves_out {
                left_out += 1;
                continue;
            }
            if self.habits.removed > 0.0 && self.roll() < self.habits.removed {
                let log_index = log.log_index + 1_000;
                logs.push((Log { log_index, ..log.clone() }, true));
            }
            logs.push((log, false));
        }
        let mut falsified = 0;
        if self.habits.falsifies > 0.0 {
            for (log, _) in &mut logs {
                if self.roll() < self.habits.falsifies {
                    falsified += 1;
                    self.falsify(log);
                }
            }
        }
        self.count(|counters| {
            counters.logs += logs.len() as u64;
            counters.falsified += falsified;
            counters.left_out += left_out;
        });
        logs
    }

    /// Changes one bit of what the hash covers.
    fn falsify(&self, log: &mut Log) {
        let dice = lock(&self.dice).next_u64();
        let places = log.topics.len().saturating_sub(1).max(1);
        if let Some(topic) = log.topics.get_mut(1 + dice as usize % places) {
            let byte = 12 + (dice >> 16) as usize % 20;
            topic[byte] ^= 1 << ((dice >> 32) % 8);
        }
    }

    pub(super) fn too_fast(&self) -> Option<Duration> {
        lock(&self.limiter).admit(Instant::now()).err()
    }
}

/// A number from 0 up to 1 that a block decides.
fn share_of(block: u64) -> f64 {
    (crate::demo::universe::mix(block ^ 0x6c65_6176_6573) >> 11) as f64 / (1_u64 << 53) as f64
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a log's fields that both kinds of provider spell alike.
pub(super) fn write_fields(body: &mut String, log: &Log) {
    body.push_str("\"address\":\"");
    body.push_str(&log.address.to_string());
    body.push_str("\",\"topics\":[");
    for (place, topic) in log.topics.iter().enumerate() {
        body.push_str(if place == 0 { "\"0x" } else { ",\"0x" });
        body.push_str(&hex(topic));
        body.push('"');
    }
    body.push_str("],\"data\":\"0x");
    body.push_str(&hex(&log.data));
    body.push_str("\",\"transactionHash\":\"0x");
    body.push_str(&hex(&log.tx_hash));
    body.push('"');
}
