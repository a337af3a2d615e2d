//! Where logs go: standard error, above the bars, and a file where one is asked for.
//!
//! What the terminal tells by itself (notices, steps, the ending) is logged too, under the targets of `TOLD`, so that
//! a file holds all of it; standard error has it once.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::cli::{GlobalArgs, LogFormat};
use crate::failure::Failure;
use crate::foreign;
use crate::journal::RunId;
use crate::report::terminal::Terminal;

/// The targets of what the terminal tells by itself.
const TOLD: [&str; 5] =
    ["backfill::notice", "backfill::progress", "backfill::step", "backfill::result", "backfill::ending"];

/// Writes whole events to standard error while the bars make room.
struct Above(Arc<Terminal>);

impl Write for Above {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.above(|| {
            // Where logs cannot be told, the work goes on.
            let _ = io::stderr().write_all(event);
        });
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writes whole events, each with the id of the run, and without the characters in them that act: an event may hold
/// what a server said.
struct Cleaned<W> {
    to: W,
    json: bool,
    run: RunId,
}

impl<W> Cleaned<W> {
    /// The event with the id of the run: a line's last word, an object's first field.
    fn identified(&self, event: &str) -> String {
        let run = &self.run;
        match event.strip_prefix('{').filter(|_| self.json) {
            Some(fields) => format!("{{\"run_id\":\"{run}\",{fields}"),
            None => format!("{} run_id={run}\n", event.trim_end_matches('\n')),
        }
    }
}

impl<W: Write> Write for Cleaned<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        /// Colours begin with an escape; one in an event's own texts is spelt out by the formatter.
        const KEPT: [char; 3] = ['\n', '\t', '\u{1b}'];
        let text = self.identified(&String::from_utf8_lossy(event));
        let text = if self.json { foreign::json(&text) } else { foreign::visible(&text, &KEPT) };
        self.to.write_all(text.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Starts logging for this run; `folder` is where the log of `command` stands unless `--log-file` names another place.
///
/// # Errors
/// The log file cannot be opened.
pub fn start(
    global: &GlobalArgs,
    terminal: &Arc<Terminal>,
    folder: &Path,
    command: &str,
    run: &RunId,
) -> Result<(), Failure> {
    let json = global.log_format == LogFormat::Json;
    let mut filter = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "backfill=info,warn",
        (false, _) => "backfill=debug,info",
    }
    .to_owned();
    for target in TOLD {
        // As JSON, notices and progress are logs; as text the terminal prints them.
        let level = match target {
            "backfill::notice" | "backfill::progress" if json => "info",
            // Bars show the steps by themselves.
            "backfill::step" if global.verbose > 0 && !terminal.has_bars() => "info",
            _ => "off",
        };
        filter.push_str(&format!(",{target}={level}"));
    }
    let (terminal, on_screen) = (terminal.clone(), run.clone());
    let colours = terminal.has_colours();
    let screen = fmt::layer().with_target(false).with_ansi(colours).with_writer(move || Cleaned {
        to: Above(terminal.clone()),
        json,
        run: on_screen.clone(),
    });
    let screen: Box<dyn Layer<Registry> + Send + Sync> =
        if json { screen.json().boxed() } else { screen.boxed() };
    let file = match &global.log_file {
        None => None,
        Some(named) => {
            let path = named.clone().unwrap_or_else(|| folder.join(format!("{command}.log")));
            let level = if global.verbose > 1 { "backfill=debug,info" } else { "backfill=info,warn" };
            let writer = Cleaned { to: open(&path)?, json, run: run.clone() };
            let layer = fmt::layer().with_ansi(false).with_writer(Mutex::new(writer));
            let layer: Box<dyn Layer<Registry> + Send + Sync> =
                if json { layer.json().boxed() } else { layer.boxed() };
            Some(layer.with_filter(EnvFilter::new(level)))
        }
    };
    let layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = file
        .map(|layer| layer.boxed())
        .into_iter()
        .chain([screen.with_filter(EnvFilter::new(filter)).boxed()])
        .collect();
    // There is one subscriber a process; a second could only come from a test.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    tracing::info!(target: "backfill::step", command, version, pid, "begins");
    Ok(())
}

/// Opens a log to write on at its end.
fn open(path: &PathBuf) -> Result<File, Failure> {
    let open = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::options().create(true).append(true).open(path)
    };
    open().map_err(|error| Failure::File(format!("cannot write the log {}: {error}", path.display())))
}
