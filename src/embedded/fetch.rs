//! [`fetch`]: the engine, once for this user, with the user's own npm: whatever registry and proxy that is set to use
//! serves, since the archive's hash is pinned here.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha512};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::{FetchError, Notices};
use crate::foreign;

/// The version of the engine that this program is made for.
const VERSION: &str = "26.7.3-stable.1";

/// Where the engine is in an archive.
const MEMBER: &str = "package/libchdb.so";

/// How long the download may take: 178 MB over a slow line.
const DOWNLOAD: Duration = Duration::from_secs(3600);

/// How long to wait for another process that downloads and unpacks.
const TURN: Duration = Duration::from_secs(3600 + 600);

/// `ENOSPC`, 28, as npm exits with it: negative, in eight bits.
const NPM_DISK_FULL: i32 = 256 - 28;

/// What the temporary folders in the cache are called; a process that is killed leaves its own behind.
const WORK_PREFIX: &str = "fetch-";

/// An npm package that holds the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The hash of its archive as npm writes it, `sha512-` and base64: what is fetched is this or nothing.
    pub integrity: String,
    /// The size of the archive, MB.
    pub archive_mb: u32,
    /// The size of the library, MB.
    pub library_mb: u32,
}

impl Package {
    /// The package with the engine for this kind of machine, `None` where none is pinned.
    pub fn for_this_machine() -> Option<Self> {
        let pinned = cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"));
        pinned.then(|| Self {
            name: "@chdb/lib-linux-x64-gnu".to_owned(),
            version: VERSION.to_owned(),
            integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="
                .to_owned(),
            archive_mb: 178,
            library_mb: 566,
        })
    }

    /// What to say where none is pinned: the package that the user may fetch and name.
    pub(super) fn none_pinned() -> FetchError {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let name = match (os, arch) {
            ("linux", "aarch64") if cfg!(target_env = "gnu") => Some("lib-linux-arm64-gnu"),
            ("macos", "aarch64") => Some("lib-darwin-arm64"),
            ("macos", "x86_64") => Some("lib-darwin-x64"),
            _ => None,
        };
        FetchError::NoPackage { os, arch, package: name.map(|name| format!("@chdb/{name}@{VERSION}")) }
    }

    /// Where its library is in a cache.
    pub fn library_in(&self, cache: &Path) -> PathBuf {
        cache.join(format!("chdb-{}", self.version)).join("libchdb.so")
    }

    fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Says what was being done to what when the system refused.
    fn io_error(&self, doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
        let (path, needed_mb) = (path.to_owned(), self.archive_mb + self.library_mb);
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                FetchError::DiskFull { doing, path, needed_mb }
            }
            _ => FetchError::Io { doing, path, source },
        }
    }
}

/// Fetches `package` into `cache` with the program `npm`, and answers where its library is. Of many processes at once
/// one fetches, and the others wait for it.
///
/// # Errors
/// [`FetchError`]. Nothing half-done is left where it would be found.
pub async fn fetch(
    package: &Package,
    npm: &Path,
    cache: &Path,
    notices: Notices<'_>,
) -> Result<PathBuf, FetchError> {
    fs::create_dir_all(cache).map_err(package.io_error("cannot make the folder", cache))?;
    let turn = take_turn(package, cache, notices).await?;
    let library = package.library_in(cache);
    if library.is_file() {
        return Ok(library);
    }
    clear_leftovers(cache);
    let work = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(cache);
    let work = work.map_err(package.io_error("cannot make a folder in", cache))?;
    notices(&format!("Fetching the ClickHouse engine ({} MB, once) with npm ...", package.archive_mb));
    let archive = download(package, npm, &work).await?;
    notices(&format!("Checking and unpacking the ClickHouse engine ({} MB) ...", package.library_mb));
    let installing = {
        let (package, library) = (package.clone(), library.clone());
        // The lock and the folder go along: should nobody wait any more, the work still ends under its lock.
        move || {
            let installed = install(&package, &archive, &work, &library);
            drop((work, turn));
            installed
        }
    };
    let installed = tokio::task::spawn_blocking(installing).await;
    installed.map_err(|error| package.io_error("cannot unpack", &library)(io::Error::other(error)))??;
    Ok(library)
}

/// Takes the lock of the cache, waiting for whoever has it. The system lets go of it when its holder dies.
async fn take_turn(package: &Package, cache: &Path, notices: Notices<'_>) -> Result<File, FetchError> {
    let path = cache.join("fetch.lock");
    let lock = File::create(&path).map_err(package.io_error("cannot open", &path))?;
    let began = Instant::now();
    let mut told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(package.io_error("cannot lock", &path)(error)),
            Err(TryLockError::WouldBlock) if began.elapsed() >= TURN => {
                return Err(FetchError::Waiting { minutes: TURN.as_secs() / 60, lock: path });
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if !told {
            notices("Another process is fetching the ClickHouse engine; waiting for it ...");
            told = true;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Removes what a process that was killed has left: nobody else works here while we have the lock.
fn clear_leftovers(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX) && entry.path().is_dir() {
            // What cannot be removed takes room and does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

async fn download(package: &Package, npm: &Path, work: &TempDir) -> Result<PathBuf, FetchError> {
    let work = work.path();
    let failed = |reason: String| FetchError::Npm { package: package.spec(), reason };
    let log_path = work.join("npm.log");
    let log = File::create(&log_path).map_err(package.io_error("cannot write", &log_path))?;
    let mut child = Command::new(npm)
        // Offline, npm's own settings would have it try for minutes.
        .args(["pack", "--ignore-scripts", "--loglevel=error", "--fetch-retry-mintimeout=1000"])
        .args(["--fetch-retry-maxtimeout=5000", &package.spec()])
        .current_dir(work)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("{} cannot be started ({error})", npm.display())))?;
    let Ok(status) = timeout(DOWNLOAD, child.wait()).await else {
        let _ = child.kill().await;
        return Err(failed(format!("it took longer than {} minutes", DOWNLOAD.as_secs() / 60)));
    };
    let status = status.map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(match npm_words(&log_path) {
            // On a full disk npm cannot even write why it ends; its exit code is that error's number.
            words if words.is_empty() && status.code() == Some(NPM_DISK_FULL) => {
                let full = io::Error::from(io::ErrorKind::StorageFull);
                package.io_error("npm cannot write into", work)(full)
            }
            words => failed(format!("{status}, {words}")),
        });
    }
    fs::read_dir(work)
        .map_err(package.io_error("cannot read", work))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| failed("it ended well but left no archive".to_owned()))
}

/// What npm wrote, in one line. Its first lines name the cause, the last ones are the same in every failure.
fn npm_words(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| line.trim_start_matches("npm error").trim());
    let stack_or_boilerplate =
        |line: &str| line.starts_with("at ") || line.starts_with("A complete log of this");
    let lines = lines.filter(|line| line.len() > 1 && !stack_or_boilerplate(line));
    let words = lines.collect::<Vec<_>>().join(" / ");
    foreign::clean(&words, 800)
}

/// Checks the archive, and puts its library into place in one step.
fn install(package: &Package, archive: &Path, work: &TempDir, library: &Path) -> Result<(), FetchError> {
    let found = integrity(archive).map_err(package.io_error("cannot read", archive))?;
    if found != package.integrity {
        let pinned = package.integrity.clone();
        return Err(FetchError::Integrity { package: package.spec(), found, pinned });
    }
    let part = work.path().join("libchdb.so");
    unpack(package, archive, &part)?;
    // The temporary folder is in the cache, hence on its file system: the rename is one step.
    let folder = library.parent().unwrap_or(work.path());
    fs::create_dir_all(folder).map_err(package.io_error("cannot make the folder", folder))?;
    // Whatever the umask: what others could write is not loaded.
    for path in [part.as_path(), folder, folder.parent().unwrap_or(folder)] {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(package.io_error("cannot set the rights of", path))?;
    }
    fs::rename(&part, library).map_err(package.io_error("cannot write", library))
}

fn integrity(archive: &Path) -> io::Result<String> {
    let mut file = File::open(archive)?;
    let mut hash = Sha512::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("sha512-{}", BASE64_STANDARD.encode(hash.finalize()))),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn unpack(package: &Package, archive: &Path, part: &Path) -> Result<(), FetchError> {
    let file = File::open(archive).map_err(package.io_error("cannot read", archive))?;
    let mut entries = tar::Archive::new(flate2::read::GzDecoder::new(BufReader::new(file)));
    for entry in entries.entries().map_err(package.io_error("cannot unpack", archive))? {
        let mut entry = entry.map_err(package.io_error("cannot unpack", archive))?;
        if !entry.path().is_ok_and(|path| path == Path::new(MEMBER)) {
            continue;
        }
        let mut library = File::create(part).map_err(package.io_error("cannot write", part))?;
        io::copy(&mut entry, &mut library).map_err(package.io_error("cannot write", part))?;
        return library.sync_all().map_err(package.io_error("cannot write", part));
    }
    Err(FetchError::NoLibrary { package: package.spec(), member: MEMBER })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_called_that_and_told_what_is_needed() {
        let package = Package {
            name: "engine".to_owned(),
            version: "1".to_owned(),
            integrity: String::new(),
            archive_mb: 178,
            library_mb: 566,
        };
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let message = package.io_error("cannot write", Path::new("/cache/libchdb.so"))(full).to_string();
        assert!(message.contains("/cache/libchdb.so: the disk is full"), "{message}");
        assert!(message.contains("744 MB"), "{message}");
    }
}
