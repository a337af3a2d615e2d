//! [`Session`]: what a command needs of the process it runs in, and how it comes to its end.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{Format, MetricsArgs};
use crate::failure::Failure;
use crate::foreign;
use crate::journal::{Place, RunId};
use crate::outcome::Outcome;
use crate::phases::Context;
use crate::phases::watch::WatchHealth;
use crate::report::fit::Display;
use crate::report::recorder::Recorder;
use crate::report::terminal::Terminal;
use crate::report::{self, Report};
use crate::settings::Settings;
use tokio_util::sync::CancellationToken;

/// What a command needs of the process it runs in.
pub struct Session {
    /// The settings.
    pub settings: Arc<Settings>,
    /// How results are printed.
    pub format: Format,
    /// Who is told how it goes.
    pub progress: Arc<Terminal>,
    /// The same, and the run journal.
    pub recorder: Arc<Recorder>,
    /// The wish to end.
    pub stop: CancellationToken,
    /// When the process started.
    pub started: Instant,
    /// Which run this is.
    pub run_id: RunId,
    /// Why standard output takes nothing any more, where it does not.
    pub unwritten: Mutex<Option<io::Error>>,
}

impl Session {
    pub(super) async fn context(&self) -> Result<Context, Failure> {
        let connecting =
            Context::connect(self.settings.clone(), self.recorder.clone(), self.stop.clone(), self.started);
        let context = self.phase(async { Ok(connecting.await?) }).await?;
        works_at(&self.recorder, &context).await;
        Ok(context)
    }

    /// A phase that is not a track has nothing to finish when it is interrupted: each of its statements is whole or
    /// not at all, and the next run repeats them.
    pub(super) async fn phase<T>(
        &self,
        phase: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            result = phase => result,
            () = self.stop.cancelled() => Err(Failure::Interrupted),
        }
    }

    /// A whole command: does `work` under the name of its phase, notes it in the journal, and prints what it came to.
    pub(super) async fn finish<T: Report>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Outcome, Failure> {
        let result = self.recorder.phase(name, work).await?;
        self.print(|| format!("{}{}", result.text(), self.run_line()), || result.json());
        self.ended(result.outcome())
    }

    /// The last line of a page: which run it is of.
    pub(super) fn run_line(&self) -> String {
        format!("Run: {}\n", self.run_id)
    }

    /// Prints a result.
    pub(super) fn print_report(&self, result: &impl Report) {
        self.print(|| result.text(), || result.json());
    }

    /// Prints a page or an object. What becomes of it is told at the end: work that is under way goes on.
    pub(super) fn print(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) {
        let page = match self.format {
            Format::Text => Display::of_stdout().set(&foreign::visible(&text(), &['\n'])),
            Format::Json => format!("{}\n", foreign::json(&self.identified(json()).to_string())),
        };
        self.progress.above(|| {
            if let Err(error) = to_stdout(page.as_bytes()) {
                self.lock_unwritten().get_or_insert(error);
            }
        });
    }

    /// An object with the id of this run.
    fn identified(&self, mut json: Value) -> Value {
        if let Value::Object(fields) = &mut json {
            fields.insert("run_id".to_owned(), self.run_id.to_string().into());
        }
        json
    }

    /// The end of a command that has come to `outcome`: whether all that it printed has been taken. A reader who had
    /// enough is no failure, and there is nobody to tell more.
    pub(super) fn ended(&self, outcome: Outcome) -> Result<Outcome, Failure> {
        match self.lock_unwritten().take() {
            None => Ok(outcome),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Outcome::Done),
            Some(error) => Err(Failure::NotWritten { place: "to standard output".to_owned(), error }),
        }
    }

    fn lock_unwritten(&self) -> std::sync::MutexGuard<'_, Option<io::Error>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves metrics where that is asked for; an address that cannot be had is found out before anything is touched.
    pub(super) fn serve_metrics(&self, args: &MetricsArgs) -> Result<(), Failure> {
        self.serve(args, None)
    }

    /// The same of a watch, with `/healthz`, which is well where a tick came to its end within `max_lag`.
    pub(super) fn serve_health(
        &self,
        args: &MetricsArgs,
        health: &Arc<WatchHealth>,
        max_lag: Duration,
    ) -> Result<(), Failure> {
        self.serve(args, Some((health.clone(), max_lag)))
    }

    fn serve(&self, args: &MetricsArgs, health: Option<(Arc<WatchHealth>, Duration)>) -> Result<(), Failure> {
        let Some(address) = &args.metrics else { return Ok(()) };
        let serve = |listener: std::net::TcpListener| {
            let address = listener.local_addr()?;
            report::metrics::serve(listener, self.progress.live().clone(), health)?;
            Ok(address)
        };
        let address = std::net::TcpListener::bind(address).and_then(serve).map_err(|error| {
            Failure::Usage(format!(
                "cannot serve metrics at {address}: {error}; choose another --metrics ADDR"
            ))
        })?;
        self.progress.notice(&format!("Metrics: http://{address}/metrics"));
        Ok(())
    }

    /// Pushes the last values, and serves them for as long as they are to be seen, or until a signal.
    pub(super) async fn end_metrics(&self, args: &MetricsArgs, went_well: bool) {
        if let Some(url) = &args.metrics_push
            && let Err(error) = report::metrics::push(url, self.progress.live().clone()).await
        {
            self.progress.notice(&format!("The metrics could not be pushed to {url}: {error}"));
        }
        if let Some(time) = args.metrics_linger.filter(|_| went_well && !self.stop.is_cancelled()) {
            let shown = humantime::format_duration(time);
            self.progress.notice(&format!("Metrics are served for another {shown}; Ctrl-C ends that"));
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Seconds since the process started, to the millisecond.
    pub(super) fn elapsed(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
    }
}

/// Notes in the journal which server and tables a run works with.
pub(super) async fn works_at(recorder: &Recorder, context: &Context) {
    let (settings, names) = (&context.settings, context.store.names());
    // Whatever needs the server says what is wrong with it.
    let server_version = context.store.server_info().await.map(|it| it.version).unwrap_or_default();
    let tables = [
        ("FILLS_TABLE", &names.fills),
        ("TOKEN_MAP_TABLE", &names.token_map),
        ("RESOLUTIONS_TABLE", &names.resolutions),
        ("WINNERS_TABLE", &names.winners),
    ];
    recorder.works_at(Place {
        server: settings.store.url.to_string(),
        server_version,
        staging: names.staging.clone(),
        tables: tables.into_iter().map(|(setting, table)| (setting.to_owned(), table.plain())).collect(),
    });
}

/// Writes all of it to standard output, and sees that it is taken.
pub(super) fn to_stdout(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush())
}

/// This program, which is started again to hold the embedded server's engine.
///
/// # Errors
/// Where the system does not say which file it is.
#[cfg(feature = "demo")]
pub(super) fn launcher() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::Unusable(format!("cannot find this program's own file: {error}")))
}

/// The first signal asks everybody to finish what is in hand; the second leaves at once, which loses nothing either.
pub(super) async fn signals(stop: CancellationToken, progress: Arc<Terminal>, silent: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for count in 1.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if count > 1 {
            progress.close();
            std::process::exit(Outcome::Interrupted.exit().into());
        }
        stop.cancel();
        if !silent {
            progress
                .notice("Stopping: what is in flight is being finished and saved; again to leave at once");
        }
        // `timeout` and the like signal a process and then its group: twice at once is once.
        let _ = tokio::time::timeout(Duration::from_millis(100), async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
        })
        .await;
    }
}
