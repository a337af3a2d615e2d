//! [`Server`]: the engine's process, from its start to its end.

use std::fs;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin};
use tokio::time::{interval, timeout};

use super::error::io_error;
use super::folder::{DataFolder, last_words};
use super::launch::{Launch, check_port};
use super::options::ServerOptions;
use super::{EmbeddedError, Engine, Notices, Search, locate};

/// How long the engine may take to answer for the first time. It mostly takes a second.
const FIRST_ANSWER: Duration = Duration::from_secs(60);

/// How long the engine may take to finish its queries and write down what it has when it is asked to end.
const LAST_WORK: Duration = Duration::from_secs(30);

/// How long the system may take to end a process that it was told to kill.
const KILL: Duration = Duration::from_secs(5);

/// A running server, on loopback. Dropping it kills it, which loses no acknowledged row.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Its end is the engine's. It is kept apart from the child, since [`Child::wait`] closes what the child holds.
    stdin: Option<ChildStdin>,
    pid: u32,
    http_port: u16,
    folder: DataFolder,
}

impl Server {
    /// Finds the engine (or fetches it, once for this user), starts it, and waits until it answers.
    ///
    /// # Errors
    /// [`EmbeddedError`]; nothing is left running.
    pub async fn start(options: ServerOptions, notices: Notices<'_>) -> Result<Self, EmbeddedError> {
        let folder = DataFolder::open(&options.data).await?;
        // What is wrong with the ports is said before anything is fetched.
        for port in [Some(options.http_port), options.tcp_port].into_iter().flatten() {
            check_port(port)?;
        }
        let engine = locate(&Search::on_this_machine(options.engine.clone()), notices).await?;
        let mut server = Self::spawn(&engine, &options, folder)?;
        match timeout(FIRST_ANSWER, server.first_answer()).await {
            Ok(Ok(())) => Ok(server),
            Ok(Err(status)) => Err(server.died_at_start(&engine, &options, status)),
            Err(_) => {
                let words = last_words(&server.folder.log_path());
                server.kill().await;
                Err(EmbeddedError::Silent { seconds: FIRST_ANSWER.as_secs(), words })
            }
        }
    }

    fn spawn(engine: &Engine, options: &ServerOptions, folder: DataFolder) -> Result<Self, EmbeddedError> {
        folder.forget_port()?;
        fs::create_dir_all(folder.store()).map_err(io_error("cannot make the folder", &folder.store()))?;
        let Launch { mut command, http_port } = Launch::new(engine, options, &folder)?;
        let mut child = command
            // Away from whatever configuration lies where this process runs.
            .current_dir(folder.root())
            .stdin(Stdio::piped())
            // The engine prints nothing. As long as it lives it shares the folder's lock.
            .stdout(Stdio::from(folder.shared_lock()?))
            .stderr(Stdio::from(folder.new_log()?))
            // A terminal's Ctrl-C reaches this process, which ends the engine in good order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io_error("cannot start the ClickHouse engine", engine.path()))?;
        let stdin = child.stdin.take();
        // A process that nobody has waited for has an id.
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, stdin, pid, http_port: http_port.unwrap_or_default(), folder })
    }

    /// Waits until the engine answers over HTTP; where it ends instead, how.
    async fn first_answer(&mut self) -> Result<(), Option<ExitStatus>> {
        let mut beat = interval(Duration::from_millis(20));
        loop {
            beat.tick().await;
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(Some(status)),
                Err(_) => return Err(None),
            }
            if self.http_port == 0 {
                self.http_port = self.folder.written_port().unwrap_or_default();
            }
            if self.http_port != 0 && answers_ping(self.http_port).await {
                return Ok(());
            }
        }
    }

    fn died_at_start(
        &self,
        engine: &Engine,
        options: &ServerOptions,
        status: Option<ExitStatus>,
    ) -> EmbeddedError {
        let words = last_words(&self.folder.log_path());
        // Somebody may have taken a port since it was looked at.
        let ports = [Some(options.http_port), options.tcp_port].into_iter().flatten();
        let taken = |port: &u16| *port != 0 && words.contains(&format!(":{port} "));
        if words.contains("Address already in use")
            && let Some(port) = ports.into_iter().find(taken)
        {
            return EmbeddedError::PortTaken { port };
        }
        let words = match status {
            Some(status) if !status.success() => format!("{status}; {words}"),
            _ => words,
        };
        EmbeddedError::DiedAtStart { engine: engine.path().to_owned(), words }
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// The HTTP port.
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// The process id of the engine, which is also its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Resolves when the engine ends by itself, with how it ended and what it wrote last. Can be called again after
    /// being dropped half-way.
    pub async fn wait(&mut self) -> String {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        format!("{status}; {}", last_words(&self.folder.log_path()))
    }

    /// Ends it in good order: running queries finish, parts are written down. An engine that takes longer than 30 s is
    /// killed.
    pub async fn stop(mut self) {
        drop(self.stdin.take());
        if timeout(LAST_WORK, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) {
        self.signal_kill();
        // Only a process in an uninterruptible system call is left after this; the system ends it when that returns.
        let _ = timeout(KILL, self.child.wait()).await;
    }

    fn signal_kill(&mut self) {
        // The id is none once the process was waited for, when it may be another's.
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // The group, since a `clickhouse server` is a child of the launcher. Without a group there is no process.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.id().is_none() {
            return;
        }
        self.signal_kill();
        // No zombie stays behind, and the folder is free again at once. It mostly takes 20 ms.
        let deadline = Instant::now() + KILL;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether an HTTP server there answers `/ping` with 200. (A client for TLS and proxies would be too much here.)
async fn answers_ping(port: u16) -> bool {
    let ping = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(b"GET /ping HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.take(1024).read_to_end(&mut answer).await.ok()?;
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1)?.to_owned();
        Some(status == "200")
    };
    timeout(Duration::from_secs(5), ping).await.ok().flatten().unwrap_or(false)
}
