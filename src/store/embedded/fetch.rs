//! Fetching the engine, once, with the user's own npm: whatever registry and proxy that is set to use serves.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha512};
use tokio::process::Command;

use super::tail;

/// How long the download may take: 178 MB over a slow line.
const DOWNLOAD: Duration = Duration::from_secs(3600);

/// An npm package that holds the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-512 of its archive, base64: what is fetched is this or nothing.
    pub sha512: String,
}

/// Why the engine could not be fetched; each says what to install or do.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No hash is pinned for this machine's kind.
    #[error(
        "no ClickHouse engine is pinned for this kind of machine ({} {}): install ClickHouse 26.6 or later, or set CLICKHOUSE_ENGINE to a libchdb.so or a clickhouse binary",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    NoPackage,
    /// Nothing to fetch with.
    #[error(
        "no ClickHouse engine is on this machine, and no npm to fetch one with: install npm (Debian: apt-get install npm), or ClickHouse 26.6 or later, or set CLICKHOUSE_ENGINE"
    )]
    NoNpm,
    /// No home directory.
    #[error("there is no cache folder for this user (is HOME set?): set HOME, or CLICKHOUSE_ENGINE")]
    NoCache,
    /// npm failed.
    #[error(
        "npm cannot fetch {package}: {reason}; check the network and npm's registry, or set CLICKHOUSE_ENGINE"
    )]
    Npm {
        /// What it was to fetch.
        package: String,
        /// Its last words.
        reason: String,
    },
    /// What came is not what was pinned.
    #[error(
        "the archive of {package} is not the pinned one (sha512 {found}): it was thrown away; check npm's registry and proxy"
    )]
    Integrity {
        /// The package.
        package: String,
        /// The hash of what came.
        found: String,
    },
    /// The cache cannot be written.
    #[error("{doing} {path}: {source}; is the disk full? 750 MB are needed", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::Io { doing, path, source }
}

impl Package {
    /// The package with the engine for this kind of machine, `None` where none is pinned.
    pub fn for_this_machine() -> Option<Self> {
        (std::env::consts::OS == "linux" && std::env::consts::ARCH == "x86_64" && cfg!(target_env = "gnu"))
            .then(|| Self {
                name: "@chdb/lib-linux-x64-gnu".to_owned(),
                version: "26.7.3-stable.1".to_owned(),
                sha512:
                    "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="
                        .to_owned(),
            })
    }

    /// Where its library stands in a cache.
    pub fn library_in(&self, cache: &Path) -> PathBuf {
        cache.join(format!("chdb-{}", self.version)).join("libchdb.so")
    }

    fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// Fetches `package` into `cache` and answers where its library is. Of many processes at once one fetches, and the
/// others wait for it.
///
/// # Errors
/// [`FetchError`]; nothing half-done is left where it would be found.
pub async fn fetch(
    package: &Package,
    npm: &Path,
    cache: &Path,
    notice: &(dyn Fn(&str) + Sync),
) -> Result<PathBuf, FetchError> {
    let library = package.library_in(cache);
    fs::create_dir_all(cache).map_err(io_error("cannot make the folder", cache))?;
    let lock_path = cache.join("fetch.lock");
    let lock = File::create(&lock_path).map_err(io_error("cannot open", &lock_path))?;
    if lock.try_lock().is_err() {
        notice("Another process fetches the ClickHouse engine; waiting for it");
        let waiting = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
        let locked = waiting.map_err(io::Error::other).and_then(|locked| locked);
        let _held = locked.map_err(io_error("cannot lock", &lock_path))?;
        return fetch_alone(package, npm, cache, notice, library).await;
    }
    fetch_alone(package, npm, cache, notice, library).await
}

async fn fetch_alone(
    package: &Package,
    npm: &Path,
    cache: &Path,
    notice: &(dyn Fn(&str) + Sync),
    library: PathBuf,
) -> Result<PathBuf, FetchError> {
    if library.is_file() {
        return Ok(library);
    }
    let work = tempfile::Builder::new().prefix("fetch-").tempdir_in(cache);
    let work = work.map_err(io_error("cannot make a folder in", cache))?;
    notice("Fetching the ClickHouse engine with npm (178 MB, once for this user) ...");
    let archive = download(package, npm, work.path()).await?;
    notice("Checking and unpacking the ClickHouse engine (566 MB) ...");
    let (package, unpacked) = (package.clone(), library.clone());
    let unpacking =
        tokio::task::spawn_blocking(move || unpack(&package, &archive, work.path(), &unpacked)).await;
    unpacking.map_err(|error| io_error("cannot unpack into", cache)(io::Error::other(error)))??;
    Ok(library)
}

async fn download(package: &Package, npm: &Path, folder: &Path) -> Result<PathBuf, FetchError> {
    let failed = |reason: String| FetchError::Npm { package: package.spec(), reason };
    let mut child = Command::new(npm)
        .args(["pack", "--silent", "--loglevel=error", &package.spec()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let stderr = child.stderr.take();
    let ending = async { (tail(stderr).await, child.wait().await) };
    let (words, status) = tokio::time::timeout(DOWNLOAD, ending)
        .await
        .map_err(|_| failed(format!("it takes longer than {} min", DOWNLOAD.as_secs() / 60)))?;
    let archive = fs::read_dir(folder)
        .map_err(io_error("cannot read", folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"));
    match (status, archive) {
        (Ok(status), Some(archive)) if status.success() => Ok(archive),
        (Ok(status), _) => Err(failed(format!("{status}, {words}"))),
        (Err(error), _) => Err(failed(error.to_string())),
    }
}

/// Checks the archive, and puts its library into place in one step.
fn unpack(package: &Package, archive: &Path, work: &Path, library: &Path) -> Result<(), FetchError> {
    let mut hash = Sha512::new();
    let mut file = File::open(archive).map_err(io_error("cannot read", archive))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(io_error("cannot read", archive))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    let found = BASE64_STANDARD.encode(hash.finalize());
    if found != package.sha512 {
        return Err(FetchError::Integrity { package: package.spec(), found });
    }
    let file = File::open(archive).map_err(io_error("cannot read", archive))?;
    let mut entries = tar::Archive::new(flate2::read::GzDecoder::new(BufReader::new(file)));
    let part = work.join("libchdb.so");
    for entry in entries.entries().map_err(io_error("cannot unpack", archive))? {
        let mut entry = entry.map_err(io_error("cannot unpack", archive))?;
        let is_library = entry.path().is_ok_and(|path| path.ends_with("libchdb.so"));
        if !is_library {
            continue;
        }
        let mut out = File::create(&part).map_err(io_error("cannot write", &part))?;
        io::copy(&mut entry, &mut out).map_err(io_error("cannot write", &part))?;
        out.sync_all().map_err(io_error("cannot write", &part))?;
        let folder = library.parent().unwrap_or(work);
        fs::create_dir_all(folder).map_err(io_error("cannot make the folder", folder))?;
        return fs::rename(&part, library).map_err(io_error("cannot write", library));
    }
    let reason = "its archive holds no libchdb.so".to_owned();
    Err(FetchError::Npm { package: package.spec(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// An npm that packs `archive` and writes a line each time it is called.
    fn npm(folder: &Path, body: &str) -> PathBuf {
        let path = folder.join("npm");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn archive(folder: &Path) -> (PathBuf, Package) {
        let path = folder.join("package.tgz");
        let gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        let mut header = tar::Header::new_gnu();
        header.set_size(6);
        header.set_cksum();
        tar.append_data(&mut header, "package/libchdb.so", &b"engine"[..]).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        let sha512 = BASE64_STANDARD.encode(Sha512::digest(fs::read(&path).unwrap()));
        (path, Package { name: "engine".to_owned(), version: "1".to_owned(), sha512 })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ten_at_once_fetch_once() {
        let folder = tempfile::tempdir().unwrap();
        let (archive, package) = archive(folder.path());
        let calls = folder.path().join("calls");
        let npm = npm(folder.path(), &format!("echo x >> {}; cp {} .", calls.display(), archive.display()));
        let cache = folder.path().join("cache");
        let fetches = (0..10).map(|_| async { fetch(&package, &npm, &cache, &|_| {}).await.unwrap() });
        let found = futures_util::future::join_all(fetches).await;
        assert!(found.iter().all(|library| fs::read(library).unwrap() == b"engine"));
        assert_eq!(fs::read_to_string(&calls).unwrap(), "x\n");
        let left: Vec<_> = fs::read_dir(&cache).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "only the library and the lock are left: {left:?}");
    }

    #[tokio::test]
    async fn what_is_not_the_pinned_archive_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let (archive, mut package) = archive(folder.path());
        package.sha512 = BASE64_STANDARD.encode([7; 64]);
        let npm = npm(folder.path(), &format!("cp {} .", archive.display()));
        let cache = folder.path().join("cache");
        let error = fetch(&package, &npm, &cache, &|_| {}).await.unwrap_err();
        assert!(matches!(error, FetchError::Integrity { .. }), "{error}");
        assert!(!package.library_in(&cache).exists());
    }

    #[tokio::test]
    async fn what_npm_says_is_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let (_, package) = archive(folder.path());
        let npm = npm(folder.path(), "echo 'npm error network is down' >&2; exit 1");
        let error = fetch(&package, &npm, &folder.path().join("cache"), &|_| {}).await.unwrap_err();
        assert!(error.to_string().contains("network is down"), "{error}");
    }
}
