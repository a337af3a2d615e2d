//! The lines that stand below everything else while work is going on. Pure: it is told how large the terminal is, and
//! what does not fit is dropped by priority, never wrapped.

use std::time::{Duration, Instant};

use crate::phases::steps::Step;
use crate::report::events;
use crate::report::live::{PhaseSnapshot, PhaseState, TrackSnapshot};
use crate::report::text::{percent1, thousands};
use crate::source::Source;
use crate::track::UnderWay;
use crate::track::gauges::WorkStart;

/// From this width on, a track has one line; below, two.
const WIDE: usize = 130;

/// How a piece of text looks where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Plain,
    Dim,
    Good,
    Warn,
    Accent,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Accent => "36",
        }
    }
}

/// A line, put together of pieces. Every character is one column wide.
#[derive(Debug, Default)]
struct Line(Vec<(Colour, String)>);

impl Line {
    fn with(mut self, colour: Colour, text: impl Into<String>) -> Self {
        self.0.push((colour, text.into()));
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The line as it is written, cut off at `width`.
    fn render(&self, width: usize, colours: bool) -> String {
        let (mut out, mut left) = (String::new(), width);
        for (colour, text) in &self.0 {
            let text: String = text.chars().take(left).collect();
            left -= text.chars().count();
            if colours && *colour != Colour::Plain && !text.is_empty() {
                out.push_str(&format!("\x1b[{}m{text}\x1b[0m", colour.code()));
            } else {
                out.push_str(&text);
            }
        }
        out
    }
}

/// How large the place is, and whether it has colours.
#[derive(Debug, Clone, Copy)]
pub struct Canvas {
    /// Columns that a line may have.
    pub columns: usize,
    /// Lines that there may be.
    pub rows: usize,
    /// Whether colours are wanted.
    pub colours: bool,
}

/// All lines, none where nothing is under way. Where the terminal is too low, the phases share a line, and then the
/// last lines go.
pub fn lines(
    phases: &[PhaseSnapshot],
    tracks: &[TrackSnapshot],
    now: Instant,
    canvas: Canvas,
) -> Vec<String> {
    let mut below: Vec<Line> = tracks.iter().flat_map(|track| track_lines(track, canvas.columns)).collect();
    if !tracks.is_empty() {
        below.push(slowest(tracks, now));
    }
    let running = phases.iter().any(|phase| matches!(phase.state, PhaseState::Running(_)));
    let mut all: Vec<Line> = Vec::new();
    if running || !tracks.is_empty() {
        if phases.len() + below.len() < canvas.rows {
            all.extend(phases.iter().map(|phase| phase_line(phase, now)));
        } else if !phases.is_empty() {
            all.push(phases_in_one(phases));
        }
    }
    all.extend(below);
    all.truncate(canvas.rows.saturating_sub(1));
    all.iter().map(|line| line.render(canvas.columns, canvas.colours)).collect()
}

fn mark(state: PhaseState) -> (Colour, &'static str) {
    match state {
        PhaseState::Waiting => (Colour::Dim, "·"),
        PhaseState::Running(_) => (Colour::Accent, "▸"),
        PhaseState::Done => (Colour::Good, "✓"),
        PhaseState::LeftOut => (Colour::Dim, "–"),
        PhaseState::NotWell => (Colour::Warn, "!"),
    }
}

fn phase_line(phase: &PhaseSnapshot, now: Instant) -> Line {
    let (colour, mark) = mark(phase.state);
    let time = match phase.state {
        PhaseState::Waiting | PhaseState::LeftOut => String::new(),
        PhaseState::Running(since) => clock(now.saturating_duration_since(since)),
        PhaseState::Done | PhaseState::NotWell => clock(Duration::from_secs_f64(phase.seconds.max(0.0))),
    };
    let faint = matches!(phase.state, PhaseState::Waiting | PhaseState::LeftOut);
    let text = if faint { Colour::Dim } else { Colour::Plain };
    Line::default()
        .with(colour, format!("{mark} "))
        .with(text, format!("{:<9}", phase.step.name()))
        .with(Colour::Dim, format!("{time:>8}  "))
        .with(text, phase.note.clone())
}

fn phases_in_one(phases: &[PhaseSnapshot]) -> Line {
    phases.iter().fold(Line::default(), |line, phase| {
        let (colour, mark) = mark(phase.state);
        line.with(colour, format!("{mark} ")).with(Colour::Plain, format!("{}  ", phase.step.name()))
    })
}

/// A bar with what matters most, and the details on the same line or the next.
fn track_lines(track: &TrackSnapshot, columns: usize) -> Vec<Line> {
    let width = name_width();
    let name = format!("{:>width$} ", Step::Track(track.source).name());
    let left = track.total.saturating_sub(track.processed);
    // A track that stands here has not ended: its last rows are on their way.
    let share = if left == 0 { "ending".to_owned() } else { percent1(track.processed, track.total) };
    let share = format!(" {share:>6}");
    // As wide as they can become, so that nothing moves sideways while numbers grow.
    let total = thousands(track.total);
    let numbers = [
        format!("  {:>width$}/{total}", thousands(track.processed), width = total.len()),
        format!("  {:<12}", time_left(left, track.rate)),
    ];
    let inset = " ".repeat(width + 1);
    if columns >= WIDE {
        let details = details(track, columns.saturating_sub(name.len() + 20 + 7 + 34));
        let used =
            name.len() + share.len() + numbers.iter().map(String::len).sum::<usize>() + details.width();
        let bar = bar(track, columns.saturating_sub(used + 2).min(60));
        let mut line = Line::default().with(Colour::Plain, name);
        line.0.extend(bar.0);
        line =
            line.with(Colour::Plain, share).with(Colour::Plain, numbers.concat()).with(Colour::Plain, "  ");
        line.0.extend(details.0);
        return vec![line];
    }
    // The time that is left goes first, then the counts, then the percentage: the bar itself stays.
    let mut kept = vec![share, numbers[0].clone(), numbers[1].clone()];
    while !kept.is_empty() && name.len() + kept.iter().map(String::len).sum::<usize>() + 10 > columns {
        kept.pop();
    }
    let used = name.len() + kept.iter().map(String::len).sum::<usize>();
    let mut first = Line::default().with(Colour::Plain, name);
    first.0.extend(bar(track, columns.saturating_sub(used).min(40)).0);
    first = kept.into_iter().fold(first, |line, text| line.with(Colour::Plain, text));
    let mut second = Line::default().with(Colour::Plain, inset.clone());
    second.0.extend(details(track, columns.saturating_sub(inset.len())).0);
    vec![first, second]
}

fn name_width() -> usize {
    Source::ALL.iter().map(|source| source.name().len()).max().unwrap_or_default()
}

fn bar(track: &TrackSnapshot, columns: usize) -> Line {
    // The last piece is for the end itself, when the track goes from here.
    let most = columns.saturating_sub(1);
    let done = if track.total == 0 {
        most
    } else {
        (u128::from(track.processed.min(track.total)) * most as u128 / u128::from(track.total)) as usize
    };
    Line::default().with(Colour::Accent, "━".repeat(done)).with(Colour::Dim, "─".repeat(columns - done))
}

/// What fits of: inserted, rate, workers, throttled, retries. The last are the first to go.
fn details(track: &TrackSnapshot, columns: usize) -> Line {
    let warn = |count: u64| if count > 0 { Colour::Warn } else { Colour::Dim };
    let pieces = [
        (Colour::Plain, format!("{} inserted", thousands(track.inserted))),
        (Colour::Plain, format!("{:.0}/s", track.rate)),
        (Colour::Dim, at_work(track)),
        (warn(track.throttled), format!("{} throttled", thousands(track.throttled))),
        (warn(track.retries), format!("{} retries", thousands(track.retries))),
    ];
    let mut line = Line::default();
    for (colour, text) in pieces {
        let space = if line.0.is_empty() { "" } else { "  " };
        if line.width() + space.len() + text.chars().count() > columns {
            break;
        }
        line = line.with(Colour::Plain, space).with(colour, text);
    }
    line
}

/// How many workers have a request under way; where none has, what is waited for.
fn at_work(track: &TrackSnapshot) -> String {
    match (track.active, track.opens_in) {
        (0, _) if track.processed >= track.total => "the last rows are written".to_owned(),
        (0, Some(wait)) => format!("the limit opens in {:.1}s", wait.as_secs_f64()),
        (0, None) => "no request under way".to_owned(),
        _ => format!("{}/{} workers", track.active, track.workers),
    }
}

fn slowest(tracks: &[TrackSnapshot], now: Instant) -> Line {
    let under_way = tracks.iter().filter_map(|track| {
        let (worker, job) = track.slowest.as_ref()?;
        Some((track.source, *worker, job))
    });
    let slowest = under_way.min_by_key(|(_, _, job)| job.since);
    let text = match slowest {
        Some((source, worker, UnderWay { at, since, .. })) => {
            let at = match at {
                WorkStart::Token(token) => {
                    format!("token {}…", token.to_string().chars().take(8).collect::<String>())
                }
                page @ WorkStart::Page(_) => events::work_start(page),
            };
            let time = now.saturating_duration_since(*since).as_secs_f64();
            format!("slowest request: {} worker {worker}, {time:.1}s, {at}", source.name())
        }
        None => "slowest request: none under way".to_owned(),
    };
    Line::default().with(Colour::Dim, text)
}

/// `4.2s`, `3m 07s`, `2h 05m`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

fn time_left(left: u64, rate: f64) -> String {
    if left == 0 {
        return "writing".to_owned();
    }
    if rate <= 0.0 {
        return "time unknown".to_owned();
    }
    // While something is left it is never "0s".
    let seconds = (left as f64 / rate).min(360_000.0).ceil() as u64;
    let text = match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..360_000 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => "days".to_owned(),
    };
    format!("{text} left")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Gauges;

    fn track(total: u64, processed: u64) -> TrackSnapshot {
        TrackSnapshot {
            source: Source::Goldsky,
            total,
            processed,
            resolved: processed,
            inserted: processed,
            rate: 412.3,
            workers: 32,
            active: 31,
            opens_in: None,
            throttled: 3,
            retries: 12,
            slowest: None,
        }
    }

    fn phases() -> Vec<PhaseSnapshot> {
        let look = |step, state| PhaseSnapshot {
            step,
            state,
            seconds: 1.5,
            note: "a note of some length".repeat(4),
        };
        vec![
            look(Step::Setup, PhaseState::Done),
            look(Step::Track(Source::Goldsky), PhaseState::Running(Instant::now())),
            look(Step::Merge, PhaseState::Waiting),
            look(Step::Verify, PhaseState::LeftOut),
            look(Step::Validate, PhaseState::NotWell),
        ]
    }

    fn shown(columns: usize, rows: usize, colours: bool) -> Vec<String> {
        let tracks = [track(49_453, 22_310), track(u64::MAX, u64::MAX - 7)];
        lines(&phases(), &tracks, Instant::now(), Canvas { columns, rows, colours })
    }

    #[test]
    fn no_line_is_ever_wider_nor_are_there_more_than_the_terminal_has() {
        for columns in 0..=220 {
            for rows in [0, 1, 2, 5, 9, 12, 50] {
                let lines = shown(columns, rows, false);
                assert!(lines.len() < rows.max(1), "{rows} rows: {lines:#?}");
                for line in &lines {
                    assert!(line.chars().count() <= columns, "{columns}: {line}");
                    assert!(!line.contains(['\x1b', '\n', '\r', '\t']), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn at_80_and_200_columns_a_track_shows_everything() {
        for columns in [77, 197] {
            let lines = lines(
                &[],
                &[track(49_453, 22_310)],
                Instant::now(),
                Canvas { columns, rows: 24, colours: false },
            );
            let text = lines.join("\n");
            for part in [
                "━",
                "45.1%",
                "22,310/49,453",
                "22,310 inserted",
                "412/s",
                "1m 06s left",
                "31/32 workers",
                "3 throttled",
                "12 retries",
                "slowest request",
            ] {
                assert!(text.contains(part), "{columns} columns lack {part}: {text}");
            }
            assert_eq!(lines.len(), if columns < WIDE { 3 } else { 2 });
        }
    }

    #[test]
    fn while_a_track_is_not_at_its_end_its_bar_is_not_full_and_says_what_it_waits_for() {
        let idle = |total, processed, opens_in| {
            let look = TrackSnapshot { active: 0, opens_in, ..track(total, processed) };
            lines(&[], &[look], Instant::now(), Canvas { columns: 97, rows: 20, colours: false }).join("\n")
        };
        let all = idle(500, 500, None);
        assert!(all.contains("━─") && all.contains("ending") && !all.contains("100"), "{all}");
        assert!(all.contains("the last rows are written"), "{all}");
        let limited = idle(500, 400, Some(Duration::from_millis(3_200)));
        assert!(limited.contains("the limit opens in 3.2s") && !limited.contains("workers"), "{limited}");
        assert!(idle(500, 400, None).contains("no request under way"));
    }

    #[test]
    fn a_low_terminal_has_the_phases_on_one_line() {
        assert!(shown(77, 9, false)[0].contains("✓ setup  ▸ goldsky  · merge  – verify  ! validate"));
        assert!(shown(77, 30, false)[0].starts_with("✓ setup"));
    }

    #[test]
    fn without_colours_there_is_no_escape_and_with_them_the_text_is_the_same() {
        let (plain, coloured) = (shown(120, 40, false), shown(120, 40, true));
        let stripped: Vec<String> =
            coloured.iter().map(|line| console::strip_ansi_codes(line).into_owned()).collect();
        // A running clock may have moved between the two.
        assert_eq!(plain.len(), stripped.len());
        assert_eq!(plain[0], stripped[0]);
        assert!(coloured[0].contains("\x1b[32m"));
    }

    #[test]
    fn the_slowest_request_is_the_one_that_began_first() {
        let gauges = Gauges::new(Source::Dome, 10, 4, &"10/1s".parse().unwrap());
        assert!(gauges.slowest().is_none());
        let mut look = track(10, 1);
        look.slowest = None;
        let lines = lines(&[], &[look], Instant::now(), Canvas { columns: 77, rows: 20, colours: false });
        assert!(lines[2].contains("none under way"));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(clock(Duration::from_millis(4_210)), "4.2s");
        assert_eq!(clock(Duration::from_secs(187)), "3m 07s");
        assert_eq!(time_left(0, 0.0), "writing");
        assert_eq!(time_left(5, 1_000.0), "1s left", "nothing is never left while something is");
        assert_eq!(time_left(5, 0.0), "time unknown");
        assert_eq!(time_left(7_500, 1.0), "2h 05m left");
    }
}
