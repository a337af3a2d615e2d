//! The guide's layout: titles over double rules, numbered sections over single ones, numbers with commas.

use std::fmt::Write;

use crate::results::floored_percent;
use crate::source::Source;

/// As wide as the guide's rules.
const WIDTH: usize = 40;

/// Text that is put together line by line.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// A page that begins with a title over a double rule.
    pub fn titled(title: &str) -> Self {
        let mut page = Self::default();
        page.line(title).rule();
        page
    }

    /// A line.
    pub fn line(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
        self
    }

    /// An empty line.
    pub fn blank(&mut self) -> &mut Self {
        self.line("")
    }

    /// A double rule.
    pub fn rule(&mut self) -> &mut Self {
        self.line("═".repeat(WIDTH))
    }

    /// A numbered section over a single rule, an empty line before it.
    pub fn section(&mut self, number: usize, title: &str) -> &mut Self {
        self.blank().line(format!("[{number}] {title}")).line("─".repeat(WIDTH))
    }

    /// `label: value`, the values in a column that begins after `width` characters.
    pub fn entry(&mut self, width: usize, label: &str, value: impl std::fmt::Display) -> &mut Self {
        let label = format!("{label}:");
        self.line(format!("{label:<width$}{value}"))
    }

    /// A part of what the line above counts, set in below it: the parts add up to the whole.
    pub fn part(&mut self, label: &str, count: u64) -> &mut Self {
        self.line(format!("  {label}: {}", thousands(count)))
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `total` in percent with one decimal, rounded down.
pub fn percent1(part: u64, total: u64) -> String {
    let hundredths = floored_percent(part, total);
    format!("{:.1}%", (hundredths * 10.0 + 1e-6).floor() / 10.0)
}

/// `part` of `total` in percent with two decimals, rounded down.
pub fn percent2(part: u64, total: u64) -> String {
    format!("{:.2}%", floored_percent(part, total))
}

/// Seconds in the words of the guide: `18.5 minutes`, or seconds where it was quicker.
pub fn runtime(seconds: f64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = if seconds < 90.0 {
        write!(text, "{seconds:.1} seconds")
    } else {
        write!(text, "{:.1} minutes", seconds / 60.0)
    };
    text
}

/// The source of this name.
pub fn named(name: &str) -> Option<Source> {
    Source::ALL.into_iter().find(|source| source.name() == name)
}

/// What the source of this name is called.
pub fn title(name: &str) -> &str {
    named(name).map_or(name, |it| it.title())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_never_rounded_up() {
        assert_eq!(percent1(94_999, 100_000), "94.9%");
        assert_eq!(percent2(94_999, 100_000), "94.99%");
        assert_eq!(percent1(113_486, 118_870), "95.4%");
        assert_eq!(percent1(0, 0), "100.0%");
        assert_eq!(percent1(1, 3), "33.3%");
        for part in 0..=1_000 {
            assert_eq!(percent1(part, 1_000), format!("{}.{}%", part / 10, part % 10));
        }
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!(
            [0, 999, 1_000, 118_870, 38_945_566].map(thousands),
            ["0", "999", "1,000", "118,870", "38,945,566"]
        );
    }
}
