//! [`DataFolder`]: the folder of one server, held against every other.
//!
//! Beside the engine's own `store/` it has `backfill.lock` (held for the life of the server, with the holder's process
//! id in it), `backfill-http-port` (written by the engine once it listens) and `backfill-engine.log` (its standard
//! error since its last start).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::EmbeddedError;
use super::error::io_error;
use crate::foreign;
use crate::process_lock::ProcessLock;

/// How long the engine of a process that died may take to end after it.
const ORPHAN: Duration = Duration::from_secs(30);

/// A data folder that is ours for as long as this lives.
#[derive(Debug)]
pub(super) struct DataFolder {
    /// Absolute.
    root: PathBuf,
    lock: ProcessLock,
}

impl DataFolder {
    /// Makes the folder where it is missing, and takes it for this process. An engine that has outlived its parent is
    /// waited for: its standard input has ended, so it is about to end.
    pub(super) async fn open(path: &Path) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(path).map_err(io_error("cannot make the folder", path))?;
        let root = fs::canonicalize(path).map_err(io_error("cannot find the folder", path))?;
        if root.to_str().is_none() {
            return Err(EmbeddedError::NotUtf8 { path: root });
        }
        let lock_path = root.join("backfill.lock");
        let deadline = Instant::now() + ORPHAN;
        loop {
            let taken = ProcessLock::take(&lock_path).map_err(io_error("cannot lock", &lock_path))?;
            let holder = match taken {
                Ok(lock) => return Ok(Self { root, lock }),
                Err(holder) => holder,
            };
            if holder.is_alive() || Instant::now() >= deadline {
                return Err(EmbeddedError::FolderInUse { folder: root, pid: holder.name() });
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where the engine keeps its tables.
    pub(super) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Where the engine runs, and what may be in the way of its start is kept.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the engine writes its HTTP port.
    pub(super) fn port_file(&self) -> PathBuf {
        self.root.join("backfill-http-port")
    }

    /// What the engine writes to its standard error.
    pub(super) fn log_path(&self) -> PathBuf {
        self.root.join("backfill-engine.log")
    }

    /// The port that the engine wrote, once it has.
    pub(super) fn written_port(&self) -> Option<u16> {
        // Without its line end the number may be half written.
        fs::read_to_string(self.port_file()).ok()?.strip_suffix('\n')?.parse().ok()
    }

    /// Forgets the port of an earlier engine, which would be taken for this one's (and be in its way).
    pub(super) fn forget_port(&self) -> Result<(), EmbeddedError> {
        match fs::remove_file(self.port_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("cannot remove", &self.port_file())(error))
            }
            _ => Ok(()),
        }
    }

    /// An empty log for the engine's standard error.
    pub(super) fn new_log(&self) -> Result<File, EmbeddedError> {
        File::create(self.log_path()).map_err(io_error("cannot write", &self.log_path()))
    }

    /// The lock once more, for the engine to inherit: should it outlive this process, the folder stays taken.
    pub(super) fn shared_lock(&self) -> Result<File, EmbeddedError> {
        self.lock.share().map_err(io_error("cannot share the lock of", &self.root))
    }
}

/// The end of a log, in one line, for a message: the engine's own errors where it wrote some.
pub(super) fn last_words(log: &Path) -> String {
    const WINDOW: u64 = 16 * 1024;
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
        file.take(WINDOW).read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        return format!("its log {} cannot be read: {error}", log.display());
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> = lines.iter().copied().filter(|line| line.contains("Exception: ")).collect();
    let telling = if errors.is_empty() { &lines } else { &errors };
    let telling = telling[telling.len().saturating_sub(4)..].join(" / ");
    match telling.is_empty() {
        true => "it wrote nothing".to_owned(),
        false => foreign::clean(&telling, 800),
    }
}
