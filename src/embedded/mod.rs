//! [`Server`]: a genuine ClickHouse server on this machine, in a child process, from one library file.
//!
//! The child is this program once more, started with a hidden subcommand that loads the engine and runs it
//! ([`run_engine`]), or a `clickhouse` binary. It serves HTTP (and, where asked, the native protocol) on loopback until
//! its standard input ends, so it dies with its parent, however that dies.
//!
//! Tests share one engine a binary: it costs 260 MB and a second.
//!
//! ```no_run
//! # use backfill::embedded::{Server, ServerOptions};
//! static ENGINE: tokio::sync::OnceCell<Server> = tokio::sync::OnceCell::const_new();
//! # async fn example(launcher: &str, folder: &str) {
//! // launcher: env!("CARGO_BIN_EXE_backfill"); folder: one below env!("CARGO_TARGET_TMPDIR") for each process.
//! // A static is never dropped: the engine ends when this process does, with its standard input.
//! let server = ENGINE.get_or_init(async || {
//!     let options = ServerOptions::new(folder, launcher);
//!     Server::start(options, &|text| eprintln!("{text}")).await.expect("the engine starts")
//! });
//! # server.await;
//! # }
//! ```

mod engine;
mod error;
mod fetch;
mod folder;
mod launch;
mod locate;
mod options;
mod server;
mod supervise;

pub use engine::run_engine;
pub use error::{EmbeddedError, FetchError};
pub use fetch::{Package, fetch};
pub use locate::{Engine, Search, locate};
pub use options::ServerOptions;
pub use server::Server;

/// Who is told, line by line, what takes time: a download, waiting for another process.
pub type Notices<'a> = &'a (dyn Fn(&str) + Sync);
