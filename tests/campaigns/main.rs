//! Processes that are killed at random moments, over and over. The suite runs a small number of seeds; `CRASH_RUNS=100`
//! runs the full campaign.

#[path = "../it/common/mod.rs"]
mod common;

mod crash;
mod restarts;
