//! `status`: once, or again and again in the same place.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::watch;

use super::Session;
use crate::cli::{Format, StatusArgs};
use crate::failure::{Exit, Failure};
use crate::journal::{self, History};
use crate::phases::status::{self, Known, Status};
use crate::report::status::{Asked, json, text};
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
pub(super) async fn run(session: &Session, args: &StatusArgs) -> Result<Exit, Failure> {
    let folder = session.settings.work.checkpoint_dir.clone();
    let mut history = History::of(&folder).map_err(|error| unreadable(&folder, &error))?;
    if !args.watch {
        let status = status::look(&folder, &history);
        let asked = tokio::select! {
            asked = ask(&session.settings) => asked,
            () = session.stop.cancelled() => return Err(Failure::Interrupted),
        };
        let now = Timestamp::now();
        session.print(|| text(&status, &asked, now), || json(&status, &asked, now));
        return Ok(Exit::Done);
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
) -> Result<Exit, Failure> {
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
            let status = status::look(folder, history);
            if place.draw(&status, &answer).is_err() {
                // Who was reading has gone.
                return Ok(Exit::Done);
            }
            (seen, drawn) = (Some(files), std::time::Instant::now());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = session.stop.cancelled() => return Ok(Exit::Done),
        }
    }
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
    fn draw(&mut self, status: &Status, asked: &Asked) -> std::io::Result<()> {
        let now = Timestamp::now();
        if !self.in_place {
            let page = match self.format {
                Format::Text => text(status, asked, now),
                Format::Json => format!("{}\n", json(status, asked, now)),
            };
            return write!(std::io::stdout(), "{page}").and_then(|()| std::io::stdout().flush());
        }
        let size = self.terminal.size();
        if size != self.size {
            // The terminal has moved and broken the lines of the last page: where they are now nobody knows.
            self.terminal.clear_screen()?;
            (self.size, self.lines) = (size, 0);
        }
        let (height, width) = size;
        let page = text(status, asked, now);
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
            Asked::Answered(Known { at: Timestamp::now(), total: coverage.total, mapped: coverage.mapped })
        }
        Ok(Err(error)) => Asked::Away(error.to_string()),
        Err(_) => Asked::Away(format!("no answer within {}", humantime::format_duration(PATIENCE))),
    }
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::File(format!("cannot read {}: {error}", folder.join(journal::NAME).display()))
}
