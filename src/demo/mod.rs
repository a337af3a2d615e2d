//! The whole backfill on one machine: a generated [`Universe`] and [`StandIn`] servers for the APIs.
//!
//! The demo, the tests and the benchmarks run on these. Everything comes from a seed: the same options give the same
//! markets, rows, answers and baseline P&L on every machine.

pub mod chain_world;
pub mod load;
pub mod stand_in;
pub mod universe;
pub mod wallet_logs;

pub use chain_world::{ChainLayout, ChainWorld};
pub use stand_in::{ChainHabits, ChainStandIn, StandIn, StandInOptions};
pub use universe::{Universe, UniverseOptions};
