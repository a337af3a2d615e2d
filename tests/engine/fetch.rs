//! Finding and fetching the engine: once for all processes, the pinned one or none, and messages that say what to do.

#![expect(clippy::unwrap_used, reason = "in the helpers of a test a panic is the report")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use backfill::embedded::{EmbeddedError, Engine, FetchError, Package, Search, fetch, locate};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha512};

/// Under this name [`one_of_many`] finds the folder of its test.
const FOLDER: &str = "BACKFILL_TEST_FETCH";

/// A package of a few bytes, an npm that hands it out, and an empty cache.
struct Shop {
    folder: tempfile::TempDir,
    package: Package,
}

impl Shop {
    /// A shop whose npm counts its calls, takes a moment, and leaves the archive in the folder that it runs in.
    fn new() -> Self {
        let shop = Self::with_member("package/libchdb.so");
        let (calls, archive) = (shop.path("calls"), shop.path("archive"));
        shop.npm(&format!(
            "echo \"$@\" >> '{}'; sleep 0.2; cp '{}' engine-1.tgz",
            calls.display(),
            archive.display()
        ));
        shop
    }

    fn with_member(member: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive");
        let gz = flate2::write::GzEncoder::new(File::create(&archive).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (path, content) in [("package/package.json", "{}"), (member, "engine")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        let package = Self::package(&archive);
        Self { folder, package }
    }

    fn package(archive: &Path) -> Package {
        let hash = Sha512::digest(fs::read(archive).unwrap());
        Package {
            name: "@example/engine".to_owned(),
            version: "1.0.0".to_owned(),
            integrity: format!("sha512-{}", BASE64_STANDARD.encode(hash)),
            archive_mb: 1,
            library_mb: 1,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn npm(&self, body: &str) {
        let path = self.path("bin/npm");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn fetch(&self) -> Result<PathBuf, FetchError> {
        fetch(&self.package, &self.path("bin/npm"), &self.path("cache"), &|_| {}).await
    }

    fn search(&self) -> Search {
        Search {
            named: None,
            cache: Some(self.path("cache")),
            programs: self.path("bin").into(),
            package: Some(self.package.clone()),
        }
    }

    /// What is in the cache but its lock.
    fn cached(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("cache")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "fetch.lock").collect()
    }
}

#[test]
fn ten_processes_at_once_fetch_once() {
    let shop = Shop::new();
    let this = std::env::current_exe().unwrap();
    let start = |_| {
        Command::new(&this)
            .args(["fetch::one_of_many", "--exact", "--ignored"])
            .env(FOLDER, shop.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..10).map(start).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let calls = fs::read_to_string(shop.path("calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "{calls}");
    assert!(calls.contains("@example/engine@1.0.0"), "{calls}");
    assert_eq!(shop.cached(), ["chdb-1.0.0"], "only the library is left");
}

#[tokio::test]
#[ignore = "what each process of ten_processes_at_once_fetch_once does; alone it has nothing to do"]
async fn one_of_many() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let package = Shop::package(&folder.join("archive"));
    let library = fetch(&package, &folder.join("bin/npm"), &folder.join("cache"), &|_| {}).await.unwrap();
    assert_eq!(fs::read(library).unwrap(), b"engine", "it is whole when it is found");
}

#[tokio::test]
async fn an_archive_other_than_the_pinned_one_is_refused_and_leaves_nothing_behind() {
    let shop = Shop::new();
    fs::write(shop.path("archive"), "something else").unwrap();
    let error = shop.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Integrity { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("@example/engine@1.0.0") && message.contains(&shop.package.integrity),
        "{message}"
    );
    assert_eq!(shop.cached(), [""; 0]);
}

#[tokio::test]
async fn an_archive_without_the_library_is_refused_and_leaves_nothing_behind() {
    let shop = Shop::with_member("package/libchdb.dylib");
    let archive = shop.path("archive");
    shop.npm(&format!("cp '{}' engine-1.tgz", archive.display()));
    let error = shop.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::NoLibrary { .. }), "{error}");
    assert_eq!(shop.cached(), [""; 0]);
}

#[tokio::test]
async fn what_npm_said_last_is_in_the_error() {
    let shop = Shop::new();
    shop.npm("echo 'npm error code ENOTFOUND' >&2; echo 'npm error network is down' >&2; exit 1");
    let message = shop.fetch().await.unwrap_err().to_string();
    assert!(message.contains("ENOTFOUND") && message.contains("network is down"), "{message}");
    assert!(message.contains("CLICKHOUSE_ENGINE"), "{message}");
    assert_eq!(shop.cached(), [""; 0]);

    // A full disk has no room for npm's words either.
    shop.npm("exit 228");
    let error = shop.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::DiskFull { .. }), "{error}");

    shop.npm("exit 0");
    let message = shop.fetch().await.unwrap_err().to_string();
    assert!(message.contains("left no archive"), "{message}");
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_is_never_used() {
    let shop = Shop::new();
    let half = shop.path("cache/fetch-killed");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("libchdb.so"), "eng").unwrap();
    let said = Mutex::new(Vec::new());
    let notices = |text: &str| said.lock().unwrap().push(text.to_owned());
    let engine = locate(&shop.search(), &notices).await.unwrap();
    assert_eq!(engine, Engine::Library(shop.path("cache/chdb-1.0.0/libchdb.so")));
    assert_eq!(fs::read(engine.path()).unwrap(), b"engine");
    assert_eq!(shop.cached(), ["chdb-1.0.0"], "its room is given back");
    let said = said.into_inner().unwrap();
    assert!(said[0].contains("Fetching the ClickHouse engine (1 MB, once) with npm"), "{said:?}");
    assert!(said[1].contains("unpacking"), "{said:?}");
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_the_lock_and_the_room() {
    let shop = Shop::new();
    let archive = shop.path("archive");
    let began = shop.path("began");
    shop.npm(&format!("touch '{}'; exec sleep 600", began.display()));
    tokio::select! {
        _ = shop.fetch() => panic!("this npm takes ten minutes"),
        () = async { while !began.exists() { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(shop.cached(), [""; 0]);
    shop.npm(&format!("cp '{}' engine-1.tgz", archive.display()));
    shop.fetch().await.expect("nobody holds the lock any more");
}

#[tokio::test]
async fn the_cache_comes_before_the_path_and_the_path_before_npm() {
    let shop = Shop::new();
    let binary = shop.path("bin/clickhouse");
    fs::write(&binary, "#!/bin/sh\necho 'ClickHouse local version 26.7.1.1.'\n").unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let found = || async { locate(&shop.search(), &|_| {}).await.unwrap() };
    assert_eq!(found().await, Engine::LocalBinary(binary.clone()));

    // What is called clickhouse and is not it is passed over.
    fs::write(&binary, "#!/bin/sh\nexit 1\n").unwrap();
    let library = Engine::Library(shop.path("cache/chdb-1.0.0/libchdb.so"));
    assert_eq!(found().await, library);

    fs::write(&binary, "#!/bin/sh\necho 'ClickHouse local version 26.7.1.1.'\n").unwrap();
    assert_eq!(found().await, library);
}

#[tokio::test]
async fn without_an_engine_and_npm_it_says_what_to_install() {
    let shop = Shop::new();
    fs::remove_file(shop.path("bin/npm")).unwrap();
    let message = locate(&shop.search(), &|_| {}).await.unwrap_err().to_string();
    for words in ["no npm", "apt-get install npm", "install ClickHouse", "CLICKHOUSE_ENGINE"] {
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[tokio::test]
async fn where_no_package_is_pinned_it_says_what_to_install() {
    let shop = Shop::new();
    let search = Search { package: None, ..shop.search() };
    let error = locate(&search, &|_| {}).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Fetch(FetchError::NoPackage { .. })), "{error}");
    let message = error.to_string();
    assert!(message.contains(std::env::consts::ARCH) && message.contains("CLICKHOUSE_ENGINE"), "{message}");
    assert!(!shop.path("calls").exists(), "nothing is fetched that cannot be checked");
}
