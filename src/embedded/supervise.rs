//! [`supervise`]: a `clickhouse server` of any version, made to end with the standard input as `libchdb.so` does.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::EmbeddedError;
use super::error::io_error;

/// How long the server may take to write down what it has. Less than what [`super::Server::stop`] waits.
const LAST_WORK: Duration = Duration::from_secs(20);

/// Runs `binary` until it ends by itself, or the standard input ends or a signal comes: then it is asked to end.
///
/// # Errors
/// Where it cannot be started, or ends by itself.
pub(super) fn supervise(binary: &Path, args: &[String]) -> Result<(), EmbeddedError> {
    let cannot_run = "cannot start the ClickHouse engine";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(io_error(cannot_run, binary))?;
    let ended = runtime.block_on(async {
        let (told, asked) = tokio::sync::oneshot::channel();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut child = Command::new(binary)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Its watchdog would be one more process to end.
            .env("CLICKHOUSE_WATCHDOG_ENABLE", "0")
            .kill_on_drop(true)
            .spawn()?;
        std::thread::spawn(move || {
            await_end_of_input();
            // Nobody listens where the server has ended already.
            let _ = told.send(());
        });
        tokio::select! {
            status = child.wait() => return status.map(Some),
            _ = asked => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        end(&mut child).await;
        Ok(None)
    });
    // The thread may still wait for the standard input.
    runtime.shutdown_background();
    match ended.map_err(io_error(cannot_run, binary))? {
        None => Ok(()),
        Some(status) => Err(EmbeddedError::Ended { words: status.to_string() }),
    }
}

fn await_end_of_input() {
    let mut buffer = [0; 64];
    let mut input = std::io::stdin().lock();
    // An input that cannot be read counts as ended.
    while input.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(LAST_WORK, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
