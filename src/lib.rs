//! Fills `ctf_token_map`: which market and which outcome each traded Polymarket token stands for.
//!
//! This is the inside of one program, and no library with a promise: a module is public only where the binary, the
//! benches, the tests, the fuzz targets or the examples use it, so that the compiler finds what nobody uses. Whoever
//! reads begins with [`phases`], which say what is done, and [`ctf`], which says why a mapping can be proven.

#![warn(clippy::unwrap_used)]

pub(crate) mod atomic_file;
pub mod chain;
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are the help's texts, in which brackets mean that something may be left out"
)]
pub mod cli;
pub mod commands;
pub mod ctf;
#[cfg(feature = "demo")]
pub mod demo;
pub mod dotenv;
#[cfg(feature = "demo")]
pub mod embedded;
pub mod failure;
pub mod foreign;
pub mod ids;
pub mod journal;
pub mod logging;
pub mod outcome;
pub(crate) mod parallel;
pub mod phases;
pub mod pnl;
pub mod process_lock;
pub mod proof;
pub mod report;
pub mod results;
pub mod secret_sources;
pub mod settings;
pub mod source;
pub mod store;
pub mod track;
pub mod upstream;
pub mod values;
