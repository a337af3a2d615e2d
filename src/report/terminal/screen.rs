//! [`Screen`]: the lines at the bottom of a terminal, replaced in place, with everything else above them.
//!
//! indicatif draws into a terminal of ours that is three columns narrower than the real one, ends its rows itself, and
//! hands each frame over in one write. So nothing flickers; an echoed `^C` behind the last line does not begin a new
//! row; and when the window is made narrower, the rows that the terminal made of ours are known and cleared.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::{Term, measure_text_width};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

/// Columns at the right that stay free: room for `^C`, and no row that the terminal itself would break.
const MARGIN: u16 = 3;

/// Lines at the bottom of standard error's terminal.
#[derive(Debug, Default)]
pub struct Screen {
    bar: Mutex<Option<ProgressBar>>,
}

impl Screen {
    /// Columns and rows of the terminal that lines may use.
    pub fn size() -> (usize, usize) {
        let (rows, columns) = Term::stderr().size();
        (usize::from(columns.saturating_sub(MARGIN)), usize::from(rows))
    }

    /// Puts these lines in the place of those before; none clears the place.
    pub fn show(&self, lines: &[String]) {
        let mut bar = lock(&self.bar);
        if lines.is_empty() {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            return;
        }
        bar.get_or_insert_with(|| bar_on(Term::stderr())).set_message(lines.join("\n"));
    }

    /// Writes something else: the lines make room for it and stand below it afterwards.
    pub fn above(&self, write: impl FnOnce()) {
        match &*lock(&self.bar) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn bar_on(device: impl Device + 'static) -> ProgressBar {
    let target = ProgressDrawTarget::term_like(Box::new(Narrow::new(device)));
    let bar = ProgressBar::with_draw_target(None, target);
    // The template is a constant that parses.
    bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What is drawn on: a terminal, or, in tests, something that plays one.
trait Device: Send + Sync + std::fmt::Debug {
    fn columns(&self) -> u16;
    fn rows(&self) -> u16;
    fn write(&self, frame: &str) -> io::Result<()>;
}

impl Device for Term {
    fn columns(&self) -> u16 {
        self.size().1
    }
    fn rows(&self) -> u16 {
        self.size().0
    }
    fn write(&self, frame: &str) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        stderr.write_all(frame.as_bytes())?;
        stderr.flush()
    }
}

/// The narrower terminal.
#[derive(Debug)]
struct Narrow<D> {
    device: D,
    state: Arc<Mutex<Frame>>,
}

/// The frame that is being put together, and what is known of the one before.
#[derive(Debug, Default)]
struct Frame {
    out: String,
    /// How wide the rows of this frame are.
    rows: Vec<usize>,
    /// Whether the next text begins a row.
    full: bool,
    /// The rows of the frame before, and how wide the terminal was then.
    before: Vec<usize>,
    columns: u16,
}

impl<D: Device> Narrow<D> {
    fn new(device: D) -> Self {
        let columns = device.columns();
        Self { device, state: Arc::new(Mutex::new(Frame { columns, ..Frame::default() })) }
    }

    fn frame(&self) -> MutexGuard<'_, Frame> {
        lock(&self.state)
    }
}

impl Frame {
    /// In a terminal that became narrower our rows have been broken into more: those above the ones that indicatif
    /// knows of are cleared, and the cursor put where it would stand had nothing happened.
    fn heal(&mut self, rows: usize, columns: u16) {
        if columns < self.columns && columns > 0 && self.before.len() >= rows {
            let broken = |width: &usize| width.div_ceil(usize::from(columns)).max(1);
            let now: usize = self.before[self.before.len() - rows..].iter().map(broken).sum();
            if now > rows {
                self.up(now - 1);
                self.out.push_str("\r\x1b[J");
                self.down(rows - 1);
            }
        }
        self.columns = columns;
    }

    fn up(&mut self, rows: usize) {
        if rows > 0 {
            // Writing to a String cannot fail; so below.
            let _ = write!(self.out, "\x1b[{rows}A");
        }
    }

    fn down(&mut self, rows: usize) {
        if rows > 0 {
            let _ = write!(self.out, "\x1b[{rows}B");
        }
    }
}

impl<D: Device> TermLike for Narrow<D> {
    fn width(&self) -> u16 {
        self.device.columns().saturating_sub(MARGIN).max(1)
    }

    fn height(&self) -> u16 {
        self.device.rows()
    }

    fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
        let mut frame = self.frame();
        if frame.out.is_empty() {
            frame.heal(rows + 1, self.device.columns());
        }
        frame.up(rows);
        Ok(())
    }

    fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
        self.frame().down(rows);
        Ok(())
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        let _ = write!(self.frame().out, "\x1b[{columns}C");
        Ok(())
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        let _ = write!(self.frame().out, "\x1b[{columns}D");
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        let mut frame = self.frame();
        frame.out.push_str("\r\n");
        frame.full = false;
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame();
        if text == "\r" {
            frame.out.push('\r');
            frame.full = false;
            return Ok(());
        }
        // indicatif fills each row with spaces to its end; here the rest of the row is cleared instead.
        if text.bytes().all(|byte| byte == b' ') && !frame.full && !frame.rows.is_empty() {
            frame.out.push_str("\x1b[K");
            frame.full = true;
            return Ok(());
        }
        if frame.full {
            frame.out.push_str("\r\n");
        }
        frame.out.push_str(text);
        frame.rows.push(measure_text_width(text));
        frame.full = false;
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut frame = self.frame();
        frame.out.push_str("\r\x1b[2K");
        frame.full = false;
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut frame = self.frame();
        let out = std::mem::take(&mut frame.out);
        frame.before = std::mem::take(&mut frame.rows);
        frame.full = false;
        self.device.write(&out)
    }
}

/// No holder can panic between two changes that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
