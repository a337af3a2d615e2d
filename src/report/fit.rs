//! [`Display`]: how a page is set where a person reads it. On a terminal words are wrapped to its width, ids that do not
//! fit are shortened in their middle, and verdicts have colours; a file or a pipe gets the page as it is.

use std::io::IsTerminal;

use console::{Term, measure_text_width};

/// From this length on a word of digits is an id.
const ID: usize = 40;

/// What is shown of the beginning and of the end of a shortened id.
const BEGINNING: usize = 10;
const END: usize = 6;

/// Narrower than this no page can be set.
const NARROWEST: usize = 30;

/// What a page is shown on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Display {
    /// Columns of the terminal; `None` where it is none.
    pub columns: Option<usize>,
    /// Whether verdicts have colours.
    pub colours: bool,
}

impl Display {
    /// What standard output is, with `TERM` and `NO_COLOR`.
    pub fn of_stdout() -> Self {
        let term = Term::stdout();
        let dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
        let plain = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
        if !std::io::stdout().is_terminal() {
            return Self::default();
        }
        let columns = term.size_checked().map(|(_, columns)| usize::from(columns));
        Self { columns, colours: !dumb && !plain }
    }

    /// The page as it is shown here.
    pub fn set(self, page: &str) -> String {
        let Some(columns) = self.columns.filter(|columns| *columns >= NARROWEST) else {
            return page.to_owned();
        };
        let mut out = String::with_capacity(page.len());
        for line in page.split_inclusive('\n') {
            let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
            let fitted = fit(text, columns);
            match colour(text).filter(|_| self.colours) {
                Some(code) => {
                    let coloured: Vec<String> =
                        fitted.split('\n').map(|it| format!("\x1b[{code}m{it}\x1b[0m")).collect();
                    out.push_str(&coloured.join("\n"));
                }
                None => out.push_str(&fitted),
            }
            out.push_str(end);
        }
        out
    }
}

/// Green for what passed, red for what did not, yellow for what a person should look at; the marks say it too.
fn colour(line: &str) -> Option<u8> {
    let marked = line.trim_start();
    let begins = |marks: &[&str]| marks.iter().any(|mark| marked.starts_with(mark));
    if begins(&["✅", "✓", "🎉"]) || marked.starts_with("Status:") && line.contains('✅') {
        return Some(32);
    }
    if begins(&["❌", "✗"]) || marked.starts_with("Status:") && line.contains('❌') {
        return Some(31);
    }
    begins(&["⚠️"]).then_some(33)
}

/// A line in as many lines as it takes: its ids shortened where it is too wide, then broken between words, each further
/// line set in below the first.
pub fn fit(line: &str, columns: usize) -> String {
    if measure_text_width(line) <= columns {
        return line.to_owned();
    }
    let shortened: String = line.split_inclusive(' ').map(short).collect();
    if measure_text_width(&shortened) <= columns {
        return shortened;
    }
    let indent = shortened.chars().take_while(|c| *c == ' ').count();
    let further = " ".repeat((indent + 2).min(columns / 2));
    let mut lines = vec![String::new()];
    for word in shortened.split_inclusive(' ') {
        let last = lines.len() - 1;
        let width = measure_text_width(&lines[last]) + measure_text_width(word.trim_end());
        if width > columns && !lines[last].trim().is_empty() {
            lines.push(format!("{further}{word}"));
        } else {
            lines[last].push_str(word);
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// An id without its middle; any other word as it is.
fn short(word: &str) -> String {
    let bare = word.trim_end_matches([' ', ',', ':', '.']);
    let digits = bare.strip_prefix("0x").unwrap_or(bare);
    if digits.len() < ID || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return word.to_owned();
    }
    format!("{}…{}{}", &bare[..BEGINNING], &bare[bare.len() - END..], &word[bare.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "11208822319434732607996949395163977724048727700879967056679698311325296010975";

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_word_is_broken() {
        let page = format!(
            "TITLE\n════\n01. {TOKEN}          $9,655.99          4 fills  Not found by a track\n\
             For real: set CLICKHOUSE_URL and DOME_API_KEY, then run `backfill setup`, `backfill dome` and `backfill goldsky`\n  \
             ✅ a verdict of many words that must be broken somewhere, since it is longer than eighty columns are\n"
        );
        for columns in [40, 60, 80, 120, 200] {
            let set = Display { columns: Some(columns), colours: false }.set(&page);
            for line in set.lines() {
                assert!(measure_text_width(line) <= columns, "{columns}: {line}");
            }
            let words = |text: &str| text.split_whitespace().count();
            assert_eq!(words(&set), words(&page), "{columns}");
            assert_eq!(set.contains(TOKEN), columns > 120);
            assert!(columns > 120 || set.contains("1120882231…010975"), "{set}");
        }
        assert_eq!(Display::default().set(&page), page, "a file gets it as it is");
    }

    #[test]
    fn verdicts_have_colours_and_the_text_is_the_same() {
        let page = "✅ passed\n   ❌ missed\n⚠️  look\nplain ✓ line\n";
        let set = Display { columns: Some(80), colours: true }.set(page);
        assert!(
            set.starts_with("\x1b[32m✅ passed\x1b[0m\n\x1b[31m   ❌ missed\x1b[0m\n\x1b[33m⚠️"),
            "{set:?}"
        );
        assert_eq!(console::strip_ansi_codes(&set), page);
    }
}
