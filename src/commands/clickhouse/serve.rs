//! `clickhouse`: the embedded ClickHouse server, in this terminal, until it is told to end.

use std::path::PathBuf;

use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::embedded::{EmbeddedError, Notices, Server, ServerOptions};

/// A server that answers.
#[derive(Debug, Clone, Serialize)]
pub struct Serving {
    /// Where it answers.
    pub url: String,
    /// Where its data is, as the user named it.
    pub data: PathBuf,
    /// This process: what SIGTERM is sent to.
    pub pid: u32,
    /// The engine's process.
    pub engine_pid: u32,
}

/// How a server was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// In good order.
    Stopped,
    /// By a second signal, which did not wait for running queries.
    Killed,
    /// A signal came before it answered.
    NeverBegan,
}

/// Starts the server, tells `ready` about it, and serves until SIGINT or SIGTERM: the first ends it in good order, a
/// second at once.
///
/// # Errors
/// The server does not start, or ends by itself.
pub async fn serve(
    options: ServerOptions,
    notices: Notices<'_>,
    ready: impl FnOnce(&Serving),
) -> Result<Served, EmbeddedError> {
    let data = options.data.clone();
    let mut signals = Signals::new().map_err(|source| EmbeddedError::Io {
        doing: "cannot listen for signals to",
        path: data.clone(),
        source,
    })?;
    let mut server = tokio::select! {
        server = Server::start(options, notices) => server?,
        () = signals.next() => return Ok(Served::NeverBegan),
    };
    ready(&Serving { url: server.url(), data, pid: std::process::id(), engine_pid: server.pid() });
    tokio::select! {
        words = server.wait() => return Err(EmbeddedError::Ended { words }),
        () = signals.next() => notices("Ending the ClickHouse server ..."),
    }
    // A future that is dropped drops the server, which kills it.
    tokio::select! {
        () = server.stop() => Ok(Served::Stopped),
        () = signals.next() => Ok(Served::Killed),
    }
}

/// The signals that ask for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
