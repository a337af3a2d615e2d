//! `.env`: what it sets, which of its lines cannot be read, and which of its names are none of ours.

use std::path::Path;

/// The file, in the folder that the program is started in.
const FILE: &str = ".env";

/// What a `.env` has set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dotenv {
    /// The names that it has set; what the environment had before is not among them.
    pub set: Vec<String>,
    /// Names that look like one of ours and are none, each with the nearest that is.
    pub misspelt: Vec<(String, String)>,
}

/// Why a `.env` cannot be used. Its contents may be keys, so none of them is told.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// The file is there and cannot be read.
    #[error("cannot read .env: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A line is none.
    #[error("line {0} of .env is not NAME=value; put values with spaces into quotes")]
    Line(usize),
    /// A value that would end the process if it were set.
    #[error(".env holds a NUL, which no variable can have; write that line anew")]
    Nul,
}

/// Reads the file into the environment, where there is one. Its contents may be keys, so of a line that cannot be read
/// only the number is told.
///
/// # Errors
/// [`DotenvError`].
pub fn read(ours: &[String]) -> Result<Dotenv, DotenvError> {
    let text = match std::fs::read_to_string(FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Dotenv::default()),
        Err(error) => return Err(error.into()),
    };
    let pairs = parse(&text)?;
    let set = pairs.iter().filter(|(name, _)| std::env::var_os(name).is_none());
    let set = set.map(|(name, _)| name.clone()).collect();
    let misspelt = pairs.iter().filter_map(|(name, _)| Some((name.clone(), nearest(name, ours)?))).collect();
    dotenvy::from_path(Path::new(FILE)).map_err(|_| DotenvError::Line(1))?;
    Ok(Dotenv { set, misspelt })
}

/// Name and value of each line.
fn parse(text: &str) -> Result<Vec<(String, String)>, DotenvError> {
    let pairs = |text: &str| dotenvy::from_read_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let fits =
        |name: &str, value: &str| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    match pairs(text) {
        // Setting anything else would end the process.
        Ok(found) if found.iter().all(|(name, value)| fits(name, value)) => Ok(found),
        Ok(_) => Err(DotenvError::Nul),
        Err(_) => {
            // A value in quotes may go over several lines: the last beginning that can be read ends before the line.
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let good = (0..lines.len()).rev().find(|count| pairs(&lines[..*count].concat()).is_ok());
            Err(DotenvError::Line(good.unwrap_or_default() + 1))
        }
    }
}

/// The name of ours that another one is a misspelling of.
fn nearest(name: &str, ours: &[String]) -> Option<String> {
    if ours.iter().any(|known| known == name) {
        return None;
    }
    let near = ours.iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
    let (distance, known) = near.min()?;
    (distance <= 2).then(|| known.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_none_is_named_by_its_number_and_not_shown() {
        let read = |text: &str| parse(text).map(|pairs| pairs.len()).map_err(|error| error.to_string());
        assert_eq!(read("A=1\n# a comment\n\nB=\"two words\"\n"), Ok(2));
        assert_eq!(read("A=\"over\nlines\"\nB=2\n"), Ok(2));
        for (text, line) in [("A=1\ns3cret words\nB=2\n", 2), ("A=1\n\nB=\"s3cret\n", 3), ("s3cret words", 1)]
        {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(&format!("line {line} of .env")) && !told.contains("s3cret"), "{told}");
        }
        assert!(matches!(parse("A=1\0\n"), Err(DotenvError::Nul | DotenvError::Line(1))));
    }

    #[test]
    fn a_name_that_is_nearly_ours_is_told_with_the_right_one() {
        let ours = ["CLICKHOUSE_URL", "DOME_API_KEY"].map(str::to_owned);
        assert_eq!(nearest("CLICKHOUSE_ULR", &ours).as_deref(), Some("CLICKHOUSE_URL"));
        assert_eq!(nearest("CLICKHOUSE_URL", &ours), None);
        assert_eq!(nearest("SOMETHING_ELSE", &ours), None);
    }
}
