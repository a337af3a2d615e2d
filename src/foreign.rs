//! Texts that someone else wrote (labels, cursors, a server's own words), made safe to keep and to show.
//!
//! Where such a text comes in, [`clean`] takes out what acts on a terminal or a reader instead of being read, and cuts it.
//! Where anything goes out, [`visible`], [`json`] and [`cell`] spell what still stands in a page, an object or a table's cell:
//! users' own tables hold such texts too.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of the longest text that is kept of an answer: a label, a title, a condition as it is spelt.
pub const LONGEST_TEXT: usize = 500;

/// Bytes of the longest cursor that is followed. Those of today's catalogues have fewer than a hundred.
pub const LONGEST_CURSOR: usize = 1_024;

/// Whether a character acts instead of being read: control characters (escape sequences begin with one), marks that turn
/// the direction of writing, separators of lines and paragraphs, and characters without a width.
const fn acts(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The first `most` characters of a text, without those that act.
pub fn clean(text: &str, most: usize) -> String {
    text.chars().filter(|c| !acts(*c)).take(most).collect()
}

/// What a server says, at most so many characters of it, fit to be shown. What acts is taken out first, since it may stand
/// in the middle of a key, then the key, and then the text is cut: half of a key would not be recognised.
pub fn said(text: &str, most: usize, without_key: impl Fn(String) -> String) -> String {
    clean(&without_key(clean(text, usize::MAX)), most)
}

/// What made an error, at the very beginning, in at most 200 characters. The texts above it may repeat a whole URL, keys and
/// all, and hide what happened.
pub fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    clean(&cause.to_string(), 200)
}

/// A page or a line for a person: what acts is spelt out, as `\u{202e}`, but for what stands in `kept`, such as line breaks.
pub fn visible<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    spelt(text, |c| acts(c) && !kept.contains(&c), |c, out| out.extend(c.escape_unicode()))
}

/// JSON that is already written: what acts in its strings is escaped, so that it means the same and can be printed. Line
/// breaks stand only between its values.
pub fn json(text: &str) -> Cow<'_, str> {
    spelt(
        text,
        |c| acts(c) && !matches!(c, '\n' | '\r' | '\t'),
        |c, out| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        },
    )
}

/// A text as a cell of a CSV file: one that a spreadsheet would take for a formula begins with a quote.
pub fn cell(text: &str) -> Cow<'_, str> {
    let text = visible(text, &[]);
    if text.starts_with(['=', '+', '-', '@']) { Cow::Owned(format!("'{text}")) } else { text }
}

fn spelt(text: &str, is_meant: impl Fn(char) -> bool, spell: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(&is_meant) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_meant(c) { spell(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_taken_out_of_what_comes_in() {
        assert_eq!(clean("Yes\x1b[31m\u{202e}No\r\n\u{2028}\u{200b}", 500), "Yes[31mNo");
        assert_eq!(clean("Atlético 😀 \u{5e9}\u{5dc}", 500), "Atlético 😀 \u{5e9}\u{5dc}");
        assert_eq!(clean(&"é".repeat(900), 3), "ééé");
    }

    #[test]
    fn what_acts_is_spelt_where_it_goes_out() {
        assert_eq!(visible("a\x1b[31m\u{202e}\n", &['\n']), "a\\u{1b}[31m\\u{202e}\n");
        assert!(matches!(visible("plain\n", &['\n']), Cow::Borrowed(_)));
        assert_eq!(
            json("{\"a\":\"\u{202e}\u{e0041}\u{7f}\"}\n"),
            "{\"a\":\"\\u202e\\udb40\\udc41\\u007f\"}\n"
        );
    }

    #[test]
    fn no_spreadsheet_computes_a_cell() {
        for (text, shown) in
            [("=1+1", "'=1+1"), ("@SUM", "'@SUM"), ("-2", "'-2"), ("+1", "'+1"), ("Yes", "Yes")]
        {
            assert_eq!(cell(text), shown);
        }
        assert_eq!(cell("\t=1"), "\\u{9}=1");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_passes(text in any::<String>()) {
            prop_assert!(!clean(&text, LONGEST_TEXT).chars().any(acts));
            prop_assert!(!visible(&text, &[]).chars().any(acts));
            prop_assert!(!cell(&text).chars().any(acts));
            let written = serde_json::to_string(&text).unwrap();
            let printed = json(&written);
            prop_assert!(!printed.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), text);
        }
    }
}
