//! What every track shares: the worker pool ([`engine`]), what is asked for (`batch_queue`, `page_queue`), how and
//! when (`requester`, [`quota`], `breaker`), what an answer is worth ([`claims`]), how it is written (`writer`),
//! where the track stands ([`checkpoint`]), and how tracks run side by side ([`rounds`]).

pub(crate) mod backoff;
pub(crate) mod batch_queue;
pub mod blocks;
pub(crate) mod breaker;
pub(crate) mod catalogue;
pub mod checkpoint;
pub mod claims;
pub mod engine;
pub mod events;
mod facts;
pub(crate) mod fingerprints;
pub mod gauges;
pub mod lookup;
mod lookup_work;
mod odd;
pub(crate) mod page_queue;
pub mod quota;
mod rates;
mod request_log;
pub(crate) mod requester;
pub(crate) mod retry_queue;
mod round;
pub mod rounds;
pub(crate) mod settings;
pub(crate) mod traded;
pub(crate) mod writer;

pub use gauges::{Gauges, UnderWay, read};
