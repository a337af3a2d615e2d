//! [`Terminal`]: progress as an operator sees it, bars on a terminal, the guide's block every 30 seconds elsewhere.

mod dashboard;
mod notice_limiter;
mod screen;

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dashboard::Canvas;
use notice_limiter::NoticeLimiter;
use screen::Screen;

use super::fit::fit;
use super::live::{Live, TrackSnapshot};
use super::text::{percent1, thousands};
use super::{events, run, track};
use crate::foreign;
use crate::phases::events::{PhaseEvent, PhaseListener};
use crate::source::Source;
use crate::track::Gauges;
use crate::track::events::{TrackEvent, TrackEventKind, TrackListener};

/// How often the guide's block is printed.
const BLOCK: Duration = Duration::from_secs(30);

/// How often the bars are brought up to date.
const TICK: Duration = Duration::from_millis(200);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, blocks elsewhere.
    Auto,
    /// Bars; blocks where standard error is no terminal that could show them.
    Bar,
    /// The guide's block every 30 seconds.
    Plain,
    /// Nothing but notices.
    None,
}

/// What the command line says of how things are told.
#[derive(Debug, Clone, Copy)]
pub struct OutputOptions {
    /// How progress is shown.
    pub progress: ProgressMode,
    /// Results, warnings and errors alone.
    pub quiet: bool,
    /// Keeps standard output free for the one object at the end.
    pub json: bool,
    /// Notices and blocks are logs, one object a line.
    pub json_logs: bool,
}

/// Shows progress on standard error, or, for the guide's blocks in a text report, on standard output.
pub struct Terminal {
    manner: OutputOptions,
    colours: bool,
    /// Whether standard error is a terminal, whose width notices keep to.
    on_terminal: bool,
    live: Arc<Live>,
    screen: Arc<Screen>,
    notice_limiter: NoticeLimiter,
    beat: OnceLock<tokio::task::JoinHandle<()>>,
}

impl Terminal {
    /// Looks at what standard error is, and at `TERM` and `NO_COLOR`.
    pub fn new(manner: OutputOptions) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let able = std::io::stderr().is_terminal() && !dumb;
        let progress = match manner.progress {
            ProgressMode::Auto | ProgressMode::Bar if able => ProgressMode::Bar,
            ProgressMode::Auto | ProgressMode::Bar => ProgressMode::Plain,
            chosen => chosen,
        };
        let colours = able && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty());
        Self {
            manner: OutputOptions { progress, ..manner },
            colours,
            on_terminal: able,
            live: Arc::default(),
            screen: Arc::default(),
            notice_limiter: NoticeLimiter::default(),
            beat: OnceLock::new(),
        }
    }

    /// What is under way, for others to show it.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Whether logs may have colours.
    pub fn has_colours(&self) -> bool {
        self.colours
    }

    /// Writes something while the bars make room for it.
    pub fn above(&self, write: impl FnOnce()) {
        self.screen.above(write);
    }

    /// Takes the bars away: the terminal is as it was, what was written above them stays.
    pub fn close(&self) {
        if let Some(beat) = self.beat.get() {
            beat.abort();
        }
        self.screen.show(&[]);
    }

    /// Text for standard output in a text report, for standard error where that is kept free. A closed pipe is no
    /// reason to stop the work.
    fn print(&self, text: &str) {
        self.above(|| tell(text, self.manner.json));
    }

    /// Tells something that the operator should know, a line.
    pub fn notice(&self, text: &str) {
        let Some(text) = self.notice_limiter.pass(text) else { return };
        tracing::warn!(target: "backfill::notice", "{text}");
        if !self.manner.json_logs {
            let (columns, _) = Screen::size();
            let shown = text.lines().map(|line| fit(line, columns.max(40))).collect::<Vec<_>>().join("\n");
            self.above(|| tell(if self.on_terminal { &shown } else { &text }, true));
        }
    }

    /// Tells that a part of the work begins.
    pub fn step(&self, text: &str) {
        tracing::info!(target: "backfill::step", "{text}");
        if self.has_bars() {
            self.above(|| tell(&format!("· {text}"), true));
        }
    }

    /// Whether bars show what is under way.
    pub fn has_bars(&self) -> bool {
        self.manner.progress == ProgressMode::Bar && !self.manner.quiet
    }

    /// Begins to look at the counters, which goes on until the process ends.
    fn begin(&self) {
        let start = || {
            let (live, screen) = (self.live.clone(), self.screen.clone());
            if self.has_bars() {
                tokio::spawn(draw(live, screen, self.colours))
            } else {
                let blocks = self.manner.progress == ProgressMode::Plain && !self.manner.quiet;
                tokio::spawn(watch(live, blocks, self.manner))
            }
        };
        self.beat.get_or_init(start);
    }

    fn draw(&self) {
        if self.has_bars() {
            redraw(&self.live, &self.screen, self.colours);
        }
    }
}

fn tell(text: &str, to_stderr: bool) {
    let text = foreign::visible(text, &['\n']);
    let _ =
        if to_stderr { writeln!(std::io::stderr(), "{text}") } else { writeln!(std::io::stdout(), "{text}") };
}

impl PhaseListener for Terminal {
    fn on_phase_event(&self, event: &PhaseEvent<'_>) {
        match event {
            PhaseEvent::Activity(activity) => self.step(events::activity(*activity)),
            PhaseEvent::Planned(plan) => {
                self.live.planned(plan);
                self.begin();
            }
            PhaseEvent::Began(step) => {
                self.live.phase_began(*step);
                tracing::info!(target: "backfill::step", phase = step.name(), "begins");
                self.draw();
            }
            PhaseEvent::Ended(end) => {
                self.live.phase_ended(end);
                let (phase, outcome, seconds) = (end.step.name(), run::outcome(end), end.seconds);
                tracing::info!(target: "backfill::step", phase, outcome, seconds, "{}", run::note(end));
                self.draw();
            }
            other => {
                if let Some(text) = events::phase_notice(other) {
                    self.notice(&text);
                }
            }
        }
    }
}

impl TrackListener for Terminal {
    fn on_track_event(&self, event: &TrackEvent<'_>) {
        match &event.kind {
            TrackEventKind::TrackBegan(gauges) => self.track_began(gauges.clone()),
            TrackEventKind::TrackEnded => {
                self.live.track_ended(event.source);
                self.draw();
            }
            _ => {
                if let Some(text) = events::notice(event) {
                    self.notice(&text);
                }
            }
        }
    }
}

impl Terminal {
    fn track_began(&self, gauges: Arc<Gauges>) {
        let shown = !self.manner.quiet && self.manner.progress != ProgressMode::None;
        // A run has its plan and its bars; the page of one track would only repeat them.
        if shown && (!self.has_bars() || self.live.phases().is_empty()) {
            self.print(&format!("{}\n", track::opening(&gauges)));
        }
        self.live.track_began(gauges);
        self.begin();
        self.draw();
    }
}

async fn draw(live: Arc<Live>, screen: Arc<Screen>, colours: bool) {
    let mut beat = tokio::time::interval(TICK);
    loop {
        beat.tick().await;
        live.sample();
        redraw(&live, &screen, colours);
    }
}

fn redraw(live: &Live, screen: &Screen, colours: bool) {
    let (columns, rows) = Screen::size();
    let canvas = Canvas { columns, rows, colours };
    screen.show(&dashboard::lines(&live.phases(), &live.tracks(), Instant::now(), canvas));
}

/// Keeps the rates current, and prints the blocks of each track where they are wanted.
async fn watch(live: Arc<Live>, blocks: bool, manner: OutputOptions) {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    let mut seen: HashMap<Source, Instant> = HashMap::new();
    loop {
        beat.tick().await;
        live.sample();
        let tracks = live.tracks();
        seen.retain(|source, _| tracks.iter().any(|track| track.source == *source));
        let several = tracks.len() > 1;
        for track in tracks {
            let last = seen.entry(track.source).or_insert_with(Instant::now);
            if !blocks || last.elapsed() < BLOCK {
                continue;
            }
            *last += BLOCK;
            if manner.json_logs {
                let TrackSnapshot { source, total, processed, inserted, rate, active, .. } = track;
                let (track, rate) = (source.name(), (rate * 10.0).round() / 10.0);
                tracing::info!(target: "backfill::progress", track, processed, total, inserted, rate, active, "progress");
            } else {
                let time = jiff::Zoned::now().strftime("%I:%M:%S %p").to_string();
                tell(&block(&track, &time, several), manner.json);
            }
        }
    }
}

/// The guide's block; where several tracks are at work, with the name of the one.
fn block(track: &TrackSnapshot, time: &str, several: bool) -> String {
    let whose = if several { format!(" ({})", track.source.title()) } else { String::new() };
    format!(
        "[{time}] Progress{whose}:\n  Processed: {} / {}\n  Inserted: {} ({} coverage)\n  Rate: {:.1} tokens/sec\n  \
         ETA: {}\n  Active workers: {}/{}\n",
        thousands(track.processed),
        thousands(track.total),
        thousands(track.inserted),
        percent1(track.resolved, track.total),
        track.rate,
        eta(track.total.saturating_sub(track.processed), track.rate),
        track.active,
        track.workers,
    )
}

fn eta(left: u64, rate: f64) -> String {
    if left == 0 {
        return "done".to_owned();
    }
    if rate <= 0.0 {
        return "unknown".to_owned();
    }
    let seconds = (left as f64 / rate).min(1e9);
    if seconds < 90.0 { format!("{seconds:.0} seconds") } else { format!("{:.0} minutes", seconds / 60.0) }
}
