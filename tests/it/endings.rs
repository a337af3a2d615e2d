//! Every message that the program can end with stands in docs/messages.md, with what to do about it.
//!
//! The messages are read from the sources: the texts of the error types, and those that are put together where a
//! command fails. `MESSAGES_UPDATE=1` adds the rows that are missing, with the advice that a message gives by itself, and
//! removes those whose message is gone.

use std::fs;
use std::path::Path;

/// What stands right before the text of a message.
const MARKERS: [&str; 13] = [
    "#[error(",
    "Failure::Usage(",
    "Failure::File(",
    "Failure::Unusable(",
    "UpstreamError::TooLarge(",
    "UpstreamError::Unreachable(",
    "UpstreamError::Transient(",
    "UpstreamError::BadRequest(",
    "UpstreamError::Permanent(",
    "bad(",
    "failed(",
    "complain(&",
    "Err(format!(",
];

/// Letters that a message must have of its own; what has fewer only carries the words of another one.
const OWN_LETTERS: usize = 4;

/// All Rust sources below a folder, without their tests.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            found.push((path.display().to_string(), text));
        }
    }
}

/// The string literal at the beginning of `text`, whose line breaks are escaped as Rust does it.
fn literal(text: &str) -> Option<String> {
    let text = text.trim_start();
    let text = text.strip_prefix("format!(").unwrap_or(text).trim_start();
    let mut chars = text.strip_prefix('"')?.chars().peekable();
    let mut out = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                c => out.push(c),
            },
            c => out.push(c),
        }
    }
}

/// The text with `…` for whatever is filled in.
fn pattern(text: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0);
    for c in text.replace("{{", "\u{1}").replace("}}", "\u{2}").chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                out.push('…');
            }
            '\u{1}' => out.push('{'),
            '\u{2}' => out.push('}'),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

fn messages() -> Vec<(String, String)> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut found = Vec::new();
    for (path, text) in &files {
        for marker in MARKERS {
            for (at, _) in text.match_indices(marker) {
                // `bad(` is also the end of other words.
                let begins = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
                let Some(message) = literal(&text[at + marker.len()..]).filter(|_| begins) else { continue };
                let message = pattern(&message);
                if message.chars().filter(|c| c.is_alphabetic()).count() >= OWN_LETTERS {
                    found.push((message, path.clone()));
                }
            }
        }
    }
    assert!(found.len() > 60, "the sources are read: {}", found.len());
    found
}

const PAGE: &str = "docs/messages.md";

fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

/// The cells of every row.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(PAGE).unwrap();
    page.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

/// A row for a message that gives its advice behind a semicolon.
fn row(message: &str) -> String {
    let (what, advice) = message.split_once("; ").unwrap_or((message, "…"));
    format!("| `{}` | 1 | {advice} |\n", what.replace('|', "\\|"))
}

/// Writes the page anew, where that is asked for.
fn update(messages: &[(String, String)], missing: &[&(String, String)]) {
    if std::env::var_os("MESSAGES_UPDATE").is_none() {
        return;
    }
    let page = fs::read_to_string(PAGE).unwrap();
    let lives = |line: &&str| {
        !line.starts_with("| `") || messages.iter().any(|(message, _)| tells(&cells(line), message))
    };
    let mut text: String = page.lines().filter(lives).map(|line| format!("{line}\n")).collect();
    text.extend(missing.iter().map(|(message, _)| row(message)));
    fs::write(PAGE, text).unwrap();
}

/// Whether a row speaks of this message: its text is the message's beginning.
fn tells(row: &[String], message: &str) -> bool {
    let told = row[0].trim_matches('`').replace("\\|", "|");
    let told = told.trim_end_matches('…');
    told.chars().filter(|c| c.is_alphabetic()).count() >= OWN_LETTERS && message.starts_with(told)
}

#[test]
fn every_message_at_the_end_is_on_the_page_with_what_to_do() {
    let (rows, messages) = (rows(), messages());
    let missing: Vec<&(String, String)> =
        messages.iter().filter(|(message, _)| !rows.iter().any(|row| tells(row, message))).collect();
    update(&messages, &missing);
    let told: String =
        missing.iter().map(|(message, path)| format!("{}    <- {path}\n", row(message))).collect();
    assert!(missing.is_empty(), "{PAGE} lacks these (MESSAGES_UPDATE=1 adds them):\n{told}");
}

#[test]
fn every_row_is_of_a_message_that_there_is_and_says_an_exit_code_and_what_to_do() {
    let messages = messages();
    for row in rows() {
        assert_eq!(row.len(), 3, "{row:?}");
        assert!(
            messages.iter().any(|(message, _)| tells(&row, message)),
            "no message begins like {:?}",
            row[0]
        );
        let codes: Vec<&str> = row[1].split(", ").collect();
        assert!(codes.iter().all(|code| ["1", "2", "3", "4", "5", "130"].contains(code)), "{row:?}");
        assert!(row[2].len() > 10, "what to do: {row:?}");
    }
}
