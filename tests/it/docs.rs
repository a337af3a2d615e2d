//! What the documents say is there: the README is short, links lead somewhere, and every command line that is shown can
//! be typed.

use std::path::PathBuf;

use backfill::cli::Cli;
use clap::CommandFactory;
use clap::error::ErrorKind;

/// All documents of the repository.
fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in [".", "docs"] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 8, "{found:?}");
    found
}

#[test]
fn the_readme_has_at_most_200_lines() {
    let lines = std::fs::read_to_string("README.md").unwrap().lines().count();
    assert!(lines <= 200, "{lines} lines: what is not for a newcomer belongs to docs/");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for (path, text) in documents() {
        for piece in text.split("](").skip(1) {
            let target = piece.split(')').next().unwrap();
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            if file.contains("://") {
                continue;
            }
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {target} is not there", path.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(
                    headings(&text).contains(&heading.to_owned()),
                    "{}: no heading {target}",
                    path.display()
                );
            }
        }
    }
}

/// The headings of a document, spelled as links to them are.
fn headings(text: &str) -> Vec<String> {
    let spelled = |heading: &str| {
        let letters = heading.trim().to_lowercase().replace(' ', "-");
        letters.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| spelled(line.trim_start_matches('#')))
        .collect()
}

/// Lines of the code blocks that run the program, as they are typed.
fn command_lines(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(str::lines).map(|line| {
        let line = line.trim().trim_start_matches("$ ").trim_start_matches("- run: ");
        line.split(" #")
            .next()
            .unwrap()
            .split(" ||")
            .next()
            .unwrap()
            .split(" && ")
            .last()
            .unwrap()
            .trim()
            .to_owned()
    });
    let run = |line: String| {
        let rest = line.strip_prefix("backfill ").or_else(|| line.strip_prefix("cargo run --release -- "))?;
        Some(rest.to_owned())
    };
    lines.filter_map(run).collect()
}

#[test]
fn every_command_line_that_a_document_shows_is_one() {
    let mut count = 0;
    for (path, text) in documents() {
        for line in command_lines(&text) {
            count += 1;
            let words = std::iter::once("backfill").chain(line.split_whitespace());
            // What a line needs from the environment is not the question here, nor a value that is shown as `…`.
            let wrong = Cli::command()
                .try_get_matches_from(words)
                .err()
                .filter(|error| !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::ValueValidation));
            assert!(
                wrong.is_none() || line.ends_with('\\'),
                "{}: {line}: {}",
                path.display(),
                wrong.unwrap()
            );
        }
    }
    assert!(count > 15, "the documents are read: {count}");
}
