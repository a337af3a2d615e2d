//! [`RequestLog`]: when requests were sent, noted beside the checkpoint before each of them is. A track that is killed
//! and started again knows by it what the source's windows still count.
//!
//! A line is a moment in milliseconds since 1970. The file is bounded: from time to time only what a window can still
//! count is kept. A power cut may lose some lines; that a process dies loses none.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::atomic_file;

/// Lines beyond those that are kept, after which the file is written anew.
const SPARE: usize = 4_096;

/// The requests of a track, noted one after the other.
#[derive(Debug)]
pub struct RequestLog {
    path: PathBuf,
    file: File,
    lines: usize,
    kept_for: Duration,
    kept_at_most: usize,
}

impl RequestLog {
    /// Opens the log of a source none of whose windows looks back for longer than `kept_for` or counts more than
    /// `kept_at_most` requests, and says how long ago each request was that may still count.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(
        path: PathBuf,
        now: jiff::Timestamp,
        kept_for: Duration,
        kept_at_most: usize,
    ) -> io::Result<(Self, Vec<Duration>)> {
        let ages = recent(&path, now, kept_for, kept_at_most)?;
        let (file, lines) = rewrite(&path, now, &ages)?;
        Ok((Self { path, file, lines, kept_for, kept_at_most }, ages))
    }

    /// Notes a request that is about to be sent.
    ///
    /// # Errors
    /// What the system says; the request is none the worse for it.
    pub fn note(&mut self, now: jiff::Timestamp) -> io::Result<()> {
        if self.lines >= self.kept_at_most.saturating_add(SPARE) {
            let ages = recent(&self.path, now, self.kept_for, self.kept_at_most)?;
            (self.file, self.lines) = rewrite(&self.path, now, &ages)?;
        }
        // One write for a line: a process that is killed leaves it whole or not at all.
        self.file.write_all(format!("{}\n", now.as_millisecond()).as_bytes())?;
        self.lines += 1;
        Ok(())
    }
}

/// How long ago the requests of a log were that may still count, the oldest first. A line that is no moment says
/// nothing; a moment that is still to come, after the clock was set, was just now.
fn recent(
    path: &Path,
    now: jiff::Timestamp,
    kept_for: Duration,
    at_most: usize,
) -> io::Result<Vec<Duration>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&text);
    let age = |line: &str| {
        let at: i64 = line.trim().parse().ok()?;
        let age = now.as_millisecond().saturating_sub(at).max(0);
        Some(Duration::from_millis(age.unsigned_abs()))
    };
    let mut ages: Vec<Duration> = text.lines().filter_map(age).filter(|age| *age <= kept_for).collect();
    ages.sort_unstable_by(|a, b| b.cmp(a));
    let from = ages.len().saturating_sub(at_most);
    Ok(ages.split_off(from))
}

fn rewrite(path: &Path, now: jiff::Timestamp, ages: &[Duration]) -> io::Result<(File, usize)> {
    atomic_file::replace(path, |file| {
        for age in ages {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            writeln!(file, "{}", now.as_millisecond().saturating_sub(age))?;
        }
        Ok(())
    })?;
    Ok((File::options().append(true).open(path)?, ages.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn at(milliseconds: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(1_700_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn what_was_noted_is_known_to_the_next_process_for_as_long_as_a_window_counts_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dome-requests.log");
        let (mut log, ages) = RequestLog::open(path.clone(), at(0), WINDOW, 100).unwrap();
        assert_eq!(ages, []);
        for moment in [0, 5_000, 9_000] {
            log.note(at(moment)).unwrap();
        }
        let (_, ages) = RequestLog::open(path.clone(), at(12_000), WINDOW, 100).unwrap();
        assert_eq!(ages, [7_000, 3_000].map(Duration::from_millis));
        let (_, ages) = RequestLog::open(path, at(12_000), WINDOW, 1).unwrap();
        assert_eq!(ages, [Duration::from_millis(3_000)], "no window counts more");
    }

    #[test]
    fn the_file_stays_small_and_junk_in_it_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dome-requests.log");
        std::fs::write(&path, b"\xff\n12x\n\n999999999999999999999\n-5\n").unwrap();
        let (mut log, ages) = RequestLog::open(path.clone(), at(0), WINDOW, 10).unwrap();
        assert_eq!(ages, []);
        for moment in 0..20_000 {
            log.note(at(moment)).unwrap();
        }
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size < 14 * (SPARE as u64 + 12), "{size}");
        let (_, ages) = RequestLog::open(path, at(20_000), WINDOW, 10).unwrap();
        assert_eq!(ages.len(), 10);
    }
}
