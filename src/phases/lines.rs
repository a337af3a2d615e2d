//! Files with one thing a line, as anybody may write them: condition ids, and the legs of combos.

use std::io::BufRead;

use crate::ctf;
use crate::ids::{ConditionId, StructuralCondition, TokenId};

/// Bytes of the longest line that is read. A combo of fifty legs has some four thousand.
const LONGEST: usize = 64 * 1024;

/// What stands in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<T> {
    /// Nothing but blanks.
    Empty,
    /// What is looked for.
    Read(T),
    /// Something else.
    Malformed,
}

/// Reads the next line; `None` at the end of the file. What is longer than any line that can be read is passed over, so that a
/// file without line breaks costs no memory.
///
/// # Errors
/// The file cannot be read.
pub fn next_line<T>(
    file: &mut impl BufRead,
    read: impl FnOnce(&str) -> Line<T>,
) -> std::io::Result<Option<Line<T>>> {
    let (mut line, mut length) = (Vec::new(), 0);
    loop {
        let part = file.fill_buf()?;
        let ended = part.iter().position(|byte| *byte == b'\n');
        let taken = ended.map_or(part.len(), |at| at + 1);
        line.extend_from_slice(&part[..taken.min(LONGEST.saturating_sub(line.len()))]);
        length += taken;
        file.consume(taken);
        if ended.is_some() || taken == 0 {
            break;
        }
    }
    Ok(match length {
        0 => None,
        length if length > LONGEST => Some(Line::Malformed),
        _ => Some(read(&String::from_utf8_lossy(&line))),
    })
}

/// The condition id in a line; the zero condition is none.
pub fn condition(line: &str) -> Line<ConditionId> {
    let text = line.trim_start_matches('\u{feff}').trim();
    match text.parse::<ConditionId>() {
        Ok(condition) if !condition.is_zero() => Line::Read(condition),
        _ if text.is_empty() => Line::Empty,
        _ => Line::Malformed,
    }
}

/// The legs in a line, in any order, between commas or spaces, as a list in brackets, or one with quotes: ascending, with
/// the combo that they make.
pub fn combo(line: &str) -> Line<(StructuralCondition, Vec<TokenId>)> {
    let between = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '[' | ']' | '"' | '\'' | '\u{feff}');
    let words: Vec<&str> = line.split(between).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Line::Empty;
    }
    let legs: Option<Vec<TokenId>> = words.iter().map(|word| word.parse().ok()).collect();
    let combo = legs.and_then(|mut legs| {
        legs.sort_unstable();
        let of_second = legs.iter().all(|leg| leg.structural().is_some());
        let condition = ctf::combo_condition(&legs).ok().filter(|_| of_second)?;
        Some((condition, legs))
    });
    combo.map_or(Line::Malformed, Line::Read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_any_length_costs_only_itself() {
        let right = "ab".repeat(32);
        for long in [LONGEST - 1, LONGEST, 10 * LONGEST] {
            let text = format!("{right}\n{}\n\n\u{feff} {right} \r\n{right}", "a".repeat(long));
            // However the file comes in parts.
            for part in [7, 8_192, 1 << 20] {
                let mut file = std::io::BufReader::with_capacity(part, text.as_bytes());
                let mut lines = Vec::new();
                while let Some(line) = next_line(&mut file, condition).unwrap() {
                    lines.push(line);
                }
                let read = || Line::Read(right.parse().unwrap());
                assert_eq!(lines, [read(), Line::Malformed, Line::Empty, read(), read()], "{long} {part}");
            }
        }
    }
}
