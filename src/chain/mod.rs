//! What the contracts on Polygon said, from the logs of their events (no I/O): conditions, payouts, mirrors, combos,
//! each checked by the hash that makes it, so that any provider of logs can be an untrusted one.
//!
//! [`Log`] is a log as a node or a portal gives it, [`decode`] makes an [`Event`] of it, [`LogFilter`] says which logs
//! are wanted, and [`Coverage`] which blocks have been read. What the hashes cannot show is what a provider leaves out,
//! and what a resolution pays: that is for a second provider to confirm.

pub mod abi;
pub mod contracts;
pub mod coverage;
pub mod dataset;
mod decode;
pub mod event;
pub mod filter;
pub mod flows;
pub mod log;
mod module_event;

pub use coverage::{BlockRange, Coverage};
pub use decode::decode;
pub use event::{Decoded, Event, Rejection};
pub use filter::LogFilter;
pub use log::{Log, LogError, Word};

/// Keccak-256 of the parts, one behind the other.
pub(crate) fn keccak256(parts: &[&[u8]]) -> Word {
    use tiny_keccak::Hasher;
    let mut hash = tiny_keccak::Keccak::v256();
    parts.iter().for_each(|part| hash.update(part));
    let mut digest = [0; 32];
    hash.finalize(&mut digest);
    digest
}
