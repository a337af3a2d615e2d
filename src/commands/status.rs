//! `status`: once, or again and again in the same place.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::watch;

use super::session::{Session, to_stdout};
use crate::cli::{Format, StatusArgs};
use crate::failure::Failure;
use crate::journal::{self, History};
use crate::outcome::Outcome;
use crate::phases::status;
use crate::report::Report;
use crate::results::{Known, Status};
use crate::settings::Settings;
use crate::source::Source;
use crate::store::Store;
use crate::track::checkpoint;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How often the page is drawn although nothing has happened, for the ages on it.
const DRAW: Duration = Duration::from_secs(1);

/// How often ClickHouse is asked.
const ASK: Duration = Duration::from_secs(30);

/// How often a page is printed where nothing can be drawn in place.
const PRINT: Duration = Duration::from_secs(10);

/// How long ClickHouse may take for an answer that somebody waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells where everything stands.
pub(super) async fn run(session: &Session, args: &StatusArgs) -> Result<Outcome, Failure> {
    let folder = session.settings.work.checkpoint_dir.clone();
    let mut history = History::of(&folder).map_err(|error| unreadable(&folder, &error))?;
    if !args.watch {
        let asked = tokio::select! {
            asked = ask(&session.settings) => asked,
            () = session.stop.cancelled() => return Err(Failure::Interrupted),
        };
        session.print_report(&look(&folder, &history, &asked));
        return session.ended(Outcome::Done);
    }
    let (answers, asked) = watch::channel(Asked::Waiting);
    let settings = session.settings.clone();
    let asking = tokio::spawn(async move {
        loop {
            let answer = ask(&settings).await;
            let _ = answers.send(answer);
            tokio::time::sleep(ASK).await;
        }
    });
    let ended = watching(session, &folder, &mut history, asked).await;
    asking.abort();
    ended
}

/// Draws until a signal comes, which is how one leaves and no interruption of anything.
async fn watching(
    session: &Session,
    folder: &Path,
    history: &mut History,
    mut asked: watch::Receiver<Asked>,
) -> Result<Outcome, Failure> {
    let mut place = Place::new(session.format);
    let mut seen = None;
    let mut drawn = std::time::Instant::now();
    loop {
        history.read_on().map_err(|error| unreadable(folder, &error))?;
        let files = files(folder);
        let changed = seen.as_ref() != Some(&files) || asked.has_changed().unwrap_or(false);
        let due = if place.in_place { DRAW } else { PRINT };
        if seen.is_none() || (changed && place.in_place) || drawn.elapsed() >= due {
            let answer = asked.borrow_and_update().clone();
            if let Err(error) = place.draw(&look(folder, history, &answer)) {
                *session.unwritten.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return session.ended(Outcome::Done);
            }
            (seen, drawn) = (Some(files), std::time::Instant::now());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = session.stop.cancelled() => return Ok(Outcome::Done),
        }
    }
}

/// Coverage as ClickHouse was asked for it, or why it could not be.
#[derive(Debug, Clone)]
enum Asked {
    /// It is being asked.
    Waiting,
    /// It has answered.
    Answered(Known),
    /// It is away.
    Away(String),
}

/// Where everything stands, with what ClickHouse says.
fn look(folder: &Path, history: &History, asked: &Asked) -> Status {
    let now = Timestamp::now();
    let mut status = status::look(folder, history, now);
    match asked {
        Asked::Waiting => {}
        Asked::Answered(it) => status.coverage = Some(status::known(it.at, it.total, it.mapped, now)),
        Asked::Away(reason) => status.clickhouse_away = Some(reason.clone()),
    }
    status
}

/// When each file that the page is made of was written last.
fn files(folder: &Path) -> Vec<Option<SystemTime>> {
    let checkpoints = Source::ALL.into_iter().map(|source| checkpoint::path(folder, source));
    let locks = Source::ALL.into_iter().map(|source| checkpoint::lock_path(folder, source));
    let paths = checkpoints.chain(locks).chain([folder.join(journal::NAME)]);
    paths.map(|path| std::fs::metadata(path).and_then(|it| it.modified()).ok()).collect()
}

/// Where the page is drawn.
struct Place {
    terminal: console::Term,
    format: Format,
    in_place: bool,
    lines: usize,
    size: (u16, u16),
}

impl Place {
    fn new(format: Format) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let in_place = format == Format::Text && std::io::stdout().is_terminal() && !dumb;
        let terminal = console::Term::stdout();
        Self { size: terminal.size(), terminal, format, in_place, lines: 0 }
    }

    /// In the place of the last page, cut to the terminal's size; where that cannot be, below it.
    fn draw(&mut self, status: &Status) -> std::io::Result<()> {
        if !self.in_place {
            let page = match self.format {
                Format::Text => status.text(),
                Format::Json => format!("{}\n", status.json()),
            };
            return to_stdout(page.as_bytes());
        }
        let size = self.terminal.size();
        if size != self.size {
            // The terminal has moved and broken the lines of the last page: where they are now nobody knows.
            self.terminal.clear_screen()?;
            (self.size, self.lines) = (size, 0);
        }
        let (height, width) = size;
        let page = status.text();
        let lines: Vec<_> = (page.lines())
            .take(usize::from(height).saturating_sub(1).max(1))
            .map(|line| console::truncate_str(line, usize::from(width).saturating_sub(1), "…"))
            .collect();
        self.terminal.clear_last_lines(self.lines)?;
        self.terminal.write_line(&lines.join("\n"))?;
        self.lines = lines.len();
        Ok(())
    }
}

/// Asks ClickHouse how much is mapped.
async fn ask(settings: &Settings) -> Asked {
    let answer = async {
        let store = Store::connect(&settings.store, PATIENCE).await?;
        store.require_fills_and_map().await?;
        store.coverage().await
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(coverage)) => {
            let now = Timestamp::now();
            Asked::Answered(status::known(now, coverage.total, coverage.mapped, now))
        }
        Ok(Err(error)) => Asked::Away(error.to_string()),
        Err(_) => Asked::Away(format!("no answer within {}", humantime::format_duration(PATIENCE))),
    }
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::File(format!("cannot read {}: {error}", folder.join(journal::NAME).display()))
}
