//! [`ServerOptions`]: what is started, and where.

use std::path::PathBuf;

/// What to start.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where the data lives; made where it is missing. One server a folder.
    pub data: PathBuf,
    /// The HTTP port; 0 lets the system choose.
    pub http_port: u16,
    /// The native protocol's port, where that is wanted (`remote()` and `Distributed` tables need it).
    pub tcp_port: Option<u16>,
    /// A ClickHouse configuration file, for `<remote_servers>`.
    pub config: Option<PathBuf>,
    /// The engine, where the user names one (`CLICKHOUSE_ENGINE`).
    pub engine: Option<PathBuf>,
    /// The backfill executable, which is started again with the hidden subcommand `clickhouse-engine`.
    pub launcher: PathBuf,
}

impl ServerOptions {
    /// HTTP alone, on a port that the system chooses, with whatever engine is found.
    pub fn new(data: impl Into<PathBuf>, launcher: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            http_port: 0,
            tcp_port: None,
            config: None,
            engine: None,
            launcher: launcher.into(),
        }
    }
}
