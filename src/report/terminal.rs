//! [`Terminal`]: progress as an operator sees it, bars on a terminal, the guide's block every 30 seconds elsewhere.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::text::{percent1, thousands};
use super::{Progress, track};
use crate::ids::TokenId;
use crate::track::{Gauges, read};
use crate::upstream::Source;

/// How often the guide's block is printed.
const BLOCK: Duration = Duration::from_secs(30);

/// How often a bar is brought up to date.
const TICK: Duration = Duration::from_millis(200);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, blocks elsewhere.
    Auto,
    /// Bars.
    Bar,
    /// The guide's block every 30 seconds.
    Plain,
    /// Nothing but notices.
    None,
}

/// Shows progress on standard error, or, for the guide's blocks in a text report, on standard output.
pub struct Terminal {
    mode: ProgressMode,
    quiet: bool,
    json: bool,
    bars: MultiProgress,
    shown: Mutex<HashMap<Source, Vec<tokio::task::JoinHandle<()>>>>,
}

impl Terminal {
    /// `json` keeps standard output free for the one object at the end.
    pub fn new(mode: ProgressMode, quiet: bool, json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let mode = match mode {
            ProgressMode::Auto if std::io::stderr().is_terminal() && !dumb => ProgressMode::Bar,
            ProgressMode::Auto => ProgressMode::Plain,
            chosen => chosen,
        };
        Self { mode, quiet, json, bars: MultiProgress::new(), shown: Mutex::default() }
    }

    /// A text between the bars, or just printed. A closed pipe is no reason to stop the work.
    fn print(&self, text: &str) {
        if self.mode == ProgressMode::Bar {
            let _ = self.bars.println(text);
        } else if self.json {
            let _ = writeln!(std::io::stderr(), "{text}");
        } else {
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<Source, Vec<tokio::task::JoinHandle<()>>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Terminal {
    fn notice(&self, text: &str) {
        if self.mode == ProgressMode::Bar {
            let _ = self.bars.println(text);
        } else {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    fn step(&self, text: &str) {
        if self.mode == ProgressMode::Bar && !self.quiet {
            let _ = self.bars.println(format!("· {text}"));
        }
    }

    fn track_began(&self, gauges: Arc<Gauges>) {
        if self.quiet || self.mode == ProgressMode::None {
            return;
        }
        self.print(&format!("{}\n", track::opening(&gauges)));
        let source = gauges.source;
        let (json, mode) = (self.json, self.mode);
        let handle = if mode == ProgressMode::Bar {
            let bar = self.bars.add(ProgressBar::new(gauges.total));
            bar.set_style(style());
            bar.set_prefix(source.title());
            tokio::spawn(draw(bar, gauges))
        } else {
            tokio::spawn(print_blocks(gauges, json))
        };
        self.handles().entry(source).or_default().push(handle);
    }

    fn track_ended(&self, source: Source) {
        for handle in self.handles().remove(&source).unwrap_or_default() {
            handle.abort();
        }
    }

    fn stalled(&self, worker: usize, time: Duration, token: &TokenId) {
        let token: String = token.to_string().chars().take(16).collect();
        self.notice(&format!(
            "⚠️  Worker {worker} stalled for {}s on {token}...\n   Consider restarting if this persists.",
            time.as_secs()
        ));
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix:>8} {wide_bar} {pos}/{len} {msg}";
    // The template is a constant that a test has seen.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The rate of the last ten seconds, from looks at a counter.
struct Rate(std::collections::VecDeque<(Instant, u64)>);

impl Rate {
    fn new(count: u64) -> Self {
        Self([(Instant::now(), count)].into())
    }

    fn look(&mut self, count: u64) -> f64 {
        let now = Instant::now();
        self.0.push_back((now, count));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now - *at > Duration::from_secs(10)) {
            self.0.pop_front();
        }
        let Some((since, before)) = self.0.front() else { return 0.0 };
        count.saturating_sub(*before) as f64 / (now - *since).as_secs_f64().max(0.001)
    }
}

async fn draw(bar: ProgressBar, gauges: Arc<Gauges>) {
    // The bar goes when this task is ended.
    struct Cleared(ProgressBar);
    impl Drop for Cleared {
        fn drop(&mut self) {
            self.0.finish_and_clear();
        }
    }
    let bar = Cleared(bar);
    let mut beat = tokio::time::interval(TICK);
    let mut rate = Rate::new(read(&gauges.processed));
    loop {
        beat.tick().await;
        let processed = read(&gauges.processed);
        let rate = rate.look(processed);
        bar.0.set_position(processed);
        bar.0.set_message(format!(
            "{} inserted, {rate:.0}/s, {}, {}/{} workers, {} throttled, {} retries",
            thousands(read(&gauges.inserted)),
            eta(gauges.total.saturating_sub(processed), rate),
            read(&gauges.active),
            gauges.workers,
            read(&gauges.throttled),
            read(&gauges.retries),
        ));
    }
}

async fn print_blocks(gauges: Arc<Gauges>, json: bool) {
    let mut beat = tokio::time::interval(BLOCK);
    beat.tick().await;
    let mut before = read(&gauges.processed);
    loop {
        beat.tick().await;
        let processed = read(&gauges.processed);
        let rate = processed.saturating_sub(before) as f64 / BLOCK.as_secs_f64();
        before = processed;
        let block = block(&gauges, &jiff::Zoned::now().strftime("%I:%M:%S %p").to_string(), rate);
        let _ = if json {
            writeln!(std::io::stderr(), "{block}")
        } else {
            writeln!(std::io::stdout(), "{block}")
        };
    }
}

/// The guide's block.
fn block(gauges: &Gauges, time: &str, rate: f64) -> String {
    let (processed, resolved) = (read(&gauges.processed), read(&gauges.resolved));
    format!(
        "[{time}] Progress:\n  Processed: {} / {}\n  Inserted: {} ({} coverage)\n  Rate: {rate:.1} tokens/sec\n  \
         ETA: {}\n  Active workers: {}/{}\n",
        thousands(processed),
        thousands(gauges.total),
        thousands(read(&gauges.inserted)),
        percent1(resolved, gauges.total),
        eta(gauges.total.saturating_sub(processed), rate),
        read(&gauges.active),
        gauges.workers,
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
