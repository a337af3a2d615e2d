//! [`locate`]: where the engine is. The setting, the user's cache, the PATH; else it is fetched.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::io_error;
use super::{EmbeddedError, FetchError, Notices, Package, fetch};

/// `clickhouse local` learned `SYSTEM START LISTEN` in this version.
const LOCAL_LISTENS: Version = Version { major: 26, minor: 6 };

/// How long a binary may take to say its version.
const VERSION_ANSWER: Duration = Duration::from_secs(20);

/// What runs ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// `libchdb.so`.
    Library(PathBuf),
    /// A `clickhouse` binary whose `local` can listen: 26.6 and later.
    LocalBinary(PathBuf),
    /// An older `clickhouse` binary, which needs a configuration and `server`.
    ServerBinary(PathBuf),
}

impl Engine {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Library(path) | Self::LocalBinary(path) | Self::ServerBinary(path) => path,
        }
    }
}

/// Where to look.
#[derive(Debug, Clone)]
pub struct Search {
    /// What the user names (`CLICKHOUSE_ENGINE`): this or nothing.
    pub named: Option<PathBuf>,
    /// The folder in the user's cache, where one fetch serves every checkout.
    pub cache: Option<PathBuf>,
    /// The folders for programs, as in `PATH`.
    pub programs: OsString,
    /// The package that has the engine, where one is pinned.
    pub package: Option<Package>,
}

impl Search {
    /// This user's cache (`XDG_CACHE_HOME` is obeyed) and PATH, and the package for this kind of machine.
    pub fn on_this_machine(named: Option<PathBuf>) -> Self {
        Self {
            named,
            cache: directories::BaseDirs::new().map(|folders| folders.cache_dir().join("backfill")),
            programs: env::var_os("PATH").unwrap_or_default(),
            package: Package::for_this_machine(),
        }
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let executable = |path: &PathBuf| {
            path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        let candidate = env::split_paths(&self.programs).map(|folder| folder.join(name)).find(executable)?;
        std::path::absolute(candidate).ok()
    }
}

/// Finds the engine: named by the user, in the user's cache, `clickhouse` on the PATH; else fetches it with the user's
/// npm.
///
/// # Errors
/// What the user names cannot be used; or nothing is found and nothing can be fetched.
pub async fn locate(search: &Search, notices: Notices<'_>) -> Result<Engine, EmbeddedError> {
    if let Some(path) = &search.named {
        return named_engine(path).await;
    }
    let cached = search.package.as_ref().zip(search.cache.as_deref());
    if let Some(library) = cached.map(|(package, cache)| package.library_in(cache))
        && library.is_file()
    {
        // It runs with all rights of this user.
        let folders = [library.as_path()].into_iter().chain(library.ancestors().skip(1).take(2));
        for path in folders {
            let reason = |reason| EmbeddedError::UnusableEngine { path: library.clone(), reason };
            only_ours(path, rustix::process::geteuid().as_raw()).map_err(reason)?;
        }
        return Ok(Engine::Library(library));
    }
    if let Some(binary) = search.program("clickhouse") {
        match version(&binary).await {
            Ok(version) => return Ok(binary_engine(binary, version)),
            Err(reason) => notices(&format!("Passing over {}: {reason}", binary.display())),
        }
    }
    let package = search.package.as_ref().ok_or_else(Package::none_pinned)?;
    let cache = search.cache.as_deref().ok_or(FetchError::NoCache)?;
    let npm = search.program("npm").ok_or(FetchError::NoNpm)?;
    Ok(Engine::Library(fetch(package, &npm, cache, notices).await?))
}

/// Whether nobody but user `us` and the superuser can write a file or folder; if others can, what to do.
fn only_ours(path: &Path, us: u32) -> Result<(), String> {
    let found = path.metadata().map_err(|error| error.to_string())?;
    if ![us, 0].contains(&found.uid()) || found.mode() & 0o022 != 0 {
        return Err(format!(
            "others than this user can write {}, and could put other code there; remove that folder, and the engine is fetched again",
            path.display()
        ));
    }
    Ok(())
}

async fn named_engine(path: &Path) -> Result<Engine, EmbeddedError> {
    let unusable = |reason: String| EmbeddedError::UnusableEngine { path: path.to_owned(), reason };
    let path = std::path::absolute(path).map_err(io_error("cannot find", path))?;
    match path.metadata() {
        Err(error) => return Err(unusable(error.to_string())),
        Ok(metadata) if !metadata.is_file() => return Err(unusable("it is not a file".to_owned())),
        Ok(_) if is_library(&path) => return Ok(Engine::Library(path)),
        Ok(_) => {}
    }
    let version = version(&path).await.map_err(unusable)?;
    Ok(binary_engine(path, version))
}

fn binary_engine(binary: PathBuf, version: Version) -> Engine {
    if version >= LOCAL_LISTENS { Engine::LocalBinary(binary) } else { Engine::ServerBinary(binary) }
}

/// Whether a file is to be loaded, not started, by its name: `.so`, `.so.1`, `.dylib`.
pub(super) fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".so") || name.ends_with(".dylib") || name.contains(".so.")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u32,
    minor: u32,
}

/// Asks a `clickhouse` binary for its version; where it does not say one, why.
async fn version(binary: &Path) -> Result<Version, String> {
    let asking = Command::new(binary)
        .args(["local", "--version"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match timeout(VERSION_ANSWER, asking).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("it cannot be started ({error})")),
        Err(_) => return Err(format!("it did not say its version within {} s", VERSION_ANSWER.as_secs())),
    };
    parse_version(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| "it does not say a version of ClickHouse".to_owned())
}

/// Reads `ClickHouse local version 26.6.1.1193 (official build).`
fn parse_version(text: &str) -> Option<Version> {
    let (_, after) = text.split_once("ClickHouse")?.1.split_once("version ")?;
    let mut numbers = after.trim_start_matches('v').split(|it: char| !it.is_ascii_digit());
    Some(Version { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_listens_through_local_from_26_6_on() {
        let engine = |text: &str| binary_engine("clickhouse".into(), parse_version(text).unwrap());
        let local = Engine::LocalBinary("clickhouse".into());
        let server = Engine::ServerBinary("clickhouse".into());
        assert_eq!(engine("ClickHouse local version 26.6.1.1193 (official build).\n"), local);
        assert_eq!(engine("ClickHouse local version 27.1.2.3.\n"), local);
        assert_eq!(engine("ClickHouse local version 26.5.9.1 (official build).\n"), server);
        assert_eq!(engine("ClickHouse local version 9.10.1.1.\n"), server);
        for other in ["", "ClickHouse", "git version 26.6.1", "ClickHouse local version x"] {
            assert_eq!(parse_version(other), None, "{other}");
        }
    }

    #[test]
    fn what_others_can_write_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libchdb.so");
        std::fs::write(&library, "").unwrap();
        let us = library.metadata().unwrap().uid();
        let set = |mode| std::fs::set_permissions(&library, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o644);
        assert_eq!(only_ours(&library, us), Ok(()));
        for mode in [0o664, 0o646, 0o666] {
            set(mode);
            assert!(only_ours(&library, us).unwrap_err().contains("can write"), "{mode:o}");
        }
        set(0o644);
        if us != 0 {
            assert!(only_ours(&library, us + 1).unwrap_err().contains("can write"));
        }
    }

    #[test]
    fn a_library_is_known_by_its_name() {
        for library in ["/a/libchdb.so", "libchdb.so.26", "libchdb.dylib"] {
            assert!(is_library(Path::new(library)), "{library}");
        }
        for binary in ["/usr/bin/clickhouse", "/opt/lib.so/clickhouse", "clickhouse-26.6"] {
            assert!(!is_library(Path::new(binary)), "{binary}");
        }
    }
}
