//! Fills `ctf_token_map`: which market and which outcome each traded Polymarket token stands for.

#![warn(clippy::unwrap_used)]

pub mod atomic_file;
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are the help's texts, in which brackets mean that something may be left out"
)]
pub mod cli;
pub mod commands;
pub mod ctf;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "demo")]
pub mod embedded;
pub mod failure;
pub mod ids;
pub mod journal;
pub mod logging;
pub mod outcome;
pub mod parallel;
pub mod phases;
pub mod pnl;
pub mod process_lock;
pub mod proof;
pub mod report;
pub mod results;
pub mod settings;
pub mod source;
pub mod store;
pub mod track;
pub mod upstream;
pub mod values;
