//! Where the engine is: the setting, the user's cache, the PATH, else fetched.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::fetch::{Package, fetch};
use super::{EmbeddedError, FetchError};

/// What can run ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// `libchdb.so`.
    Library(PathBuf),
    /// A `clickhouse` binary whose `local` can listen (26.6 and later).
    Binary(PathBuf),
}

/// Finds the engine: `named` by the user, in the user's cache, a new enough `clickhouse` on the PATH; else fetches it
/// with the user's npm.
///
/// # Errors
/// What the user named is not there, or nothing is found and nothing can be fetched.
pub async fn locate(named: Option<&Path>, notice: &(dyn Fn(&str) + Sync)) -> Result<Engine, EmbeddedError> {
    if let Some(path) = named {
        return name_engine(path).await;
    }
    let cache = cache_folder()?;
    let package = Package::for_this_machine();
    if let Some(library) = package.as_ref().map(|package| package.library_in(&cache))
        && library.is_file()
    {
        return Ok(Engine::Library(library));
    }
    if let Some(binary) = on_path("clickhouse")
        && can_listen(&binary).await
    {
        return Ok(Engine::Binary(binary));
    }
    let package = package.ok_or(FetchError::NoPackage)?;
    let npm = on_path("npm").ok_or(FetchError::NoNpm)?;
    fetch(&package, &npm, &cache, notice).await.map(Engine::Library).map_err(EmbeddedError::from)
}

async fn name_engine(path: &Path) -> Result<Engine, EmbeddedError> {
    let unusable =
        |reason: &str| EmbeddedError::NoSuchEngine { path: path.to_owned(), reason: reason.to_owned() };
    if !path.is_file() {
        return Err(unusable("there is no such file"));
    }
    if path.extension().is_some_and(|extension| extension == "so" || extension == "dylib") {
        return Ok(Engine::Library(path.to_owned()));
    }
    if can_listen(path).await {
        return Ok(Engine::Binary(path.to_owned()));
    }
    Err(unusable("it is neither a libchdb.so nor a clickhouse binary of version 26.6 or later"))
}

/// `clickhouse local` learned to listen in 26.6.
async fn can_listen(binary: &Path) -> bool {
    let output = tokio::process::Command::new(binary)
        .args(["local", "--version"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(Ok(output)) = tokio::time::timeout(std::time::Duration::from_secs(20), output).await else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let mut numbers = version.unwrap_or_default().split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (26, 6)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// The user's cache, where one fetch serves every checkout and every process.
fn cache_folder() -> Result<PathBuf, FetchError> {
    let folders = directories::ProjectDirs::from("", "", "backfill").ok_or(FetchError::NoCache)?;
    Ok(folders.cache_dir().to_owned())
}
