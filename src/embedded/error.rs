//! [`EmbeddedError`] and [`FetchError`]: why there is no embedded server, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// How to get an engine without this program's help.
macro_rules! other_ways {
    () => {
        "install ClickHouse so that `clickhouse` is on the PATH (https://clickhouse.com/docs/install), or set \
         CLICKHOUSE_ENGINE to a libchdb.so or a clickhouse binary"
    };
}

/// Why the engine could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No hash is pinned for this kind of machine.
    #[error(
        "no ClickHouse engine is on this machine, and none is pinned for {os} {arch}{}; {}",
        match package {
            Some(package) => format!(
                ": unpack libchdb.so from the archive that `npm pack {package}` fetches and set CLICKHOUSE_ENGINE to it"
            ),
            None => String::new(),
        },
        other_ways!()
    )]
    NoPackage {
        /// The operating system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
        /// The npm package that has the engine for it, where there is one.
        package: Option<String>,
    },
    /// Nothing to fetch with.
    #[error(
        "no ClickHouse engine is on this machine, and no npm to fetch one with: install npm (Debian: apt-get install \
         npm); or {}",
        other_ways!()
    )]
    NoNpm,
    /// No home folder.
    #[error("this user has no cache folder for the ClickHouse engine: set HOME or XDG_CACHE_HOME; or {}", other_ways!())]
    NoCache,
    /// npm failed.
    #[error("npm cannot fetch {package}: {reason}; check the network and npm's registry and proxy, or {}", other_ways!())]
    Npm {
        /// What it was to fetch.
        package: String,
        /// Its last words.
        reason: String,
    },
    /// What came is not what is pinned.
    #[error(
        "the archive of {package} that npm fetched is not the pinned one (it is {found}, pinned is {pinned}): it was \
         thrown away; check npm's registry and proxy, or {}",
        other_ways!()
    )]
    Integrity {
        /// The package.
        package: String,
        /// The hash of what came.
        found: String,
        /// The hash that is pinned.
        pinned: String,
    },
    /// The archive has another content than it should.
    #[error("the archive of {package} holds no {member}: report this, and meanwhile {}", other_ways!())]
    NoLibrary {
        /// The package.
        package: String,
        /// What was looked for.
        member: &'static str,
    },
    /// Another process has been fetching for too long.
    #[error(
        "another process has been fetching the ClickHouse engine for {minutes} minutes (it holds {}): end it and try again",
        .lock.display()
    )]
    Waiting {
        /// How long this process waited.
        minutes: u64,
        /// The lock that the other one holds.
        lock: PathBuf,
    },
    /// The cache cannot be written or read.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The cache is full.
    #[error(
        "{doing} {}: the disk is full; fetching the ClickHouse engine needs {needed_mb} MB there: free some, or set \
         XDG_CACHE_HOME to a folder on another disk",
        .path.display()
    )]
    DiskFull {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the archive and the library take together, MB.
        needed_mb: u32,
    },
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No engine was found, and none could be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What the user names as the engine is none.
    #[error("CLICKHOUSE_ENGINE is {}: {reason}; name a libchdb.so or a clickhouse binary, or unset it", .path.display())]
    UnusableEngine {
        /// What is named.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The library is not the engine, or does not fit this machine.
    #[error(
        "cannot load the ClickHouse engine {}: {reason}; delete that file if it is in a cache folder (it is fetched \
         again), or set CLICKHOUSE_ENGINE to another",
        .library.display()
    )]
    Unloadable {
        /// The library.
        library: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// Something on this machine does not work.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The engine takes paths as text.
    #[error("the path {} is not UTF-8, which ClickHouse needs: choose another folder (--data)", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Another server has the folder.
    #[error(
        "the folder {} is in use by the ClickHouse server of process {pid}: use that server, end it, or choose another \
         folder (--data)",
        .folder.display()
    )]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
        /// The process that holds it, `?` where it did not say.
        pid: String,
    },
    /// Something else listens on the port.
    #[error(
        "port {port} is taken on 127.0.0.1: end what listens there, or choose another port (--port; 0 for any)"
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The port is one that this user may not have, or loopback does not work.
    #[error("cannot listen on port {port} of 127.0.0.1: {source}; choose another port (--port; 0 for any)")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The engine ended instead of answering.
    #[error("the ClickHouse engine {} ended at its start ({words})", .engine.display())]
    DiedAtStart {
        /// The engine.
        engine: PathBuf,
        /// How it ended, and what it wrote last.
        words: String,
    },
    /// The engine does not answer.
    #[error(
        "the ClickHouse engine did not answer within {seconds} s of its start and was ended (its last words: {words}); \
         see what else this machine is busy with"
    )]
    Silent {
        /// How long it was given.
        seconds: u64,
        /// What it wrote last.
        words: String,
    },
    /// A running engine ended without being asked to.
    #[error("the ClickHouse engine has ended by itself ({words}); its data is kept, start it again")]
    Ended {
        /// How it ended, and what it wrote last.
        words: String,
    },
}

/// Says what was being done to what when the system refused.
pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.to_owned();
    move |source| EmbeddedError::Io { doing, path, source }
}
