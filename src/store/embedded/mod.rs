//! [`Server`]: a genuine ClickHouse server on this machine, in a child process, from one library file.
//!
//! The child is this program once more, started with a hidden subcommand that loads the engine and runs it
//! ([`engine`]), or a `clickhouse` binary. It serves HTTP (and, where asked, the native protocol) on loopback until
//! its standard input ends, so it dies with its parent, however that dies.

pub mod engine;
mod fetch;
mod locate;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdin, Command};

pub use fetch::{FetchError, Package};
pub use locate::{Engine, locate};

/// How long the engine may take to answer for the first time. It mostly takes a second.
const FIRST_ANSWER: Duration = Duration::from_secs(90);

/// How long the engine may take to write down what it has when it is asked to end.
const LAST_WORK: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where the data lives; made where it is missing.
    pub data: PathBuf,
    /// The HTTP port; 0 lets the system choose.
    pub http_port: u16,
    /// The native protocol's port, where that is wanted.
    pub tcp_port: Option<u16>,
    /// A ClickHouse configuration file, for clusters.
    pub config: Option<PathBuf>,
    /// The engine, where the user names one.
    pub engine: Option<PathBuf>,
    /// The backfill executable, which is started again to hold the engine.
    pub launcher: PathBuf,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No engine was found, and none could be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// `CLICKHOUSE_ENGINE` names nothing that can be used.
    #[error("CLICKHOUSE_ENGINE: {path}: {reason}; name a libchdb.so or a clickhouse binary, or unset it", path = .path.display())]
    NoSuchEngine {
        /// What it names.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something on this machine does not work.
    #[error("{doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another server has the folder.
    #[error("the folder {folder} is in use by the ClickHouse server of process {pid}: end that one, or choose another folder with --data", folder = .folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
        /// The process that holds it, `?` where it did not say.
        pid: String,
    },
    /// The engine ended instead of answering.
    #[error("the ClickHouse engine does not start: {0}")]
    Dead(String),
    /// The engine does not answer.
    #[error("the ClickHouse engine does not answer on port {port} within {} s; see what else this machine is busy with", FIRST_ANSWER.as_secs())]
    Silent {
        /// The port.
        port: u16,
    },
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.to_owned();
    move |source| EmbeddedError::Io { doing, path, source }
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Its end ends the engine. Kept apart from the child, whose `wait` would close it.
    stdin: Option<ChildStdin>,
    http_port: u16,
    errors: PathBuf,
    /// The folder is ours for as long as this is open.
    _lock: File,
}

impl Server {
    /// Finds the engine (or fetches it, once), starts it and waits until it answers.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub async fn start(
        options: ServerOptions,
        notice: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(&options.data).map_err(io_error("cannot make the folder", &options.data))?;
        let data = fs::canonicalize(&options.data).map_err(io_error("cannot find", &options.data))?;
        let lock = lock(&data)?;
        let engine = locate(options.engine.as_deref(), notice).await?;
        let (port_file, errors) = (data.join("backfill-http-port"), data.join("backfill-engine.log"));
        let _ = fs::remove_file(&port_file);
        let log = File::create(&errors).map_err(io_error("cannot write", &errors))?;
        let mut command = match &engine {
            Engine::Library(library) => {
                let mut command = Command::new(&options.launcher);
                command.arg("clickhouse-engine").arg(library);
                command
            }
            Engine::Binary(binary) => {
                let mut command = Command::new(binary);
                command.arg("local");
                command
            }
        };
        command.arg(format!("--path={}", data.join("store").display()));
        command.arg("--listen_host=127.0.0.1").arg(format!("--http_port={}", options.http_port));
        if let Some(port) = options.tcp_port {
            command.arg(format!("--tcp_port={port}"));
        }
        if let Some(config) = &options.config {
            command.arg(format!("--config-file={}", config.display()));
        }
        command.arg(format!("--query={}", script(&port_file, options.tcp_port.is_some())));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            // A terminal's Ctrl-C shall reach us, and we end the engine in good order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io_error("cannot start", &options.launcher))?;
        let stdin = child.stdin.take();
        let mut server = Self { child, stdin, http_port: 0, errors, _lock: lock };
        match tokio::time::timeout(FIRST_ANSWER, server.answers(&port_file, options.http_port)).await {
            Ok(answer) => answer.map(|()| server),
            Err(_) => Err(EmbeddedError::Silent { port: options.http_port }),
        }
    }

    /// Waits until the port is written down and answers.
    async fn answers(&mut self, port_file: &Path, asked: u16) -> Result<(), EmbeddedError> {
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
        let http = http.map_err(|error| EmbeddedError::Dead(error.to_string()))?;
        loop {
            beat.tick().await;
            if let Ok(Some(_)) = self.child.try_wait() {
                return Err(EmbeddedError::Dead(self.last_words(asked)));
            }
            let port = fs::read_to_string(port_file).ok().and_then(|text| text.trim().parse().ok());
            let Some(port) = port else { continue };
            self.http_port = port;
            let ping = http.get(format!("{}/ping", self.url())).send().await;
            if ping.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
        }
    }

    /// What the engine wrote before it died.
    fn last_words(&self, port: u16) -> String {
        let text = fs::read(&self.errors).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let telling = text.lines().rev().find(|line| line.contains("xception") || line.contains("rror"));
        let words = telling.or(text.lines().last()).unwrap_or("it says nothing").trim();
        if text.contains("Address already in use") {
            return format!("port {port} is taken; choose another with --port, or 0 for any");
        }
        words.chars().take(400).collect()
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// The engine's process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Until the engine ends by itself, which it does not do in good health; answers with what it wrote last.
    pub async fn ended(&mut self) -> String {
        let _ = self.child.wait().await;
        self.last_words(self.http_port)
    }

    /// Ends it in good order: running queries finish, parts are written down.
    pub async fn stop(mut self) {
        drop(self.stdin.take());
        if tokio::time::timeout(LAST_WORK, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) {
        let _ = self.child.kill().await;
    }
}

/// What the engine runs: it listens, writes its port down, and reads its standard input until that ends.
fn script(port_file: &Path, tcp: bool) -> String {
    let port_file = port_file.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
    let tcp = if tcp { "SYSTEM START LISTEN TCP; " } else { "" };
    format!(
        "SYSTEM START LISTEN HTTP; {tcp}\
         SELECT getServerPort('http_port') INTO OUTFILE '{port_file}' FORMAT TSV; \
         SELECT * FROM file('/dev/stdin', 'TSV', 'x String') FORMAT Null"
    )
}

/// Takes the folder for this process; the system lets go of it when the process dies.
fn lock(folder: &Path) -> Result<File, EmbeddedError> {
    let path = folder.join("backfill.lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io_error("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "?".to_owned() } else { pid.trim().to_owned() };
            return Err(EmbeddedError::Busy { folder: folder.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(io_error("cannot lock", &path)(error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| write!(file, "{}", std::process::id()));
    written.map_err(io_error("cannot write", &path))?;
    Ok(file)
}

/// The end of a child's standard error, for a message.
async fn tail(stream: Option<tokio::process::ChildStderr>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        let _ = stream.read_to_end(&mut bytes).await;
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ").chars().take(600).collect()
}
