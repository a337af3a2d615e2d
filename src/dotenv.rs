//! `.env`, and `.env.NAME` of a profile: what they set, which of its lines cannot be read, and which of its names are none of ours.

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
    #[error("cannot read {0}: {1}")]
    Unreadable(String, std::io::Error),
    /// A line is none.
    #[error("line {1} of {0} is not NAME=value; put values with spaces into quotes")]
    Line(String, usize),
    /// A value that would end the process if it were set.
    #[error("{0} holds a NUL, which no variable can have; write that line anew")]
    Nul(String),
    /// A profile without a file.
    #[error(
        "there is no {0} here; --profile NAME reads .env.NAME of the folder that the command is started in"
    )]
    NoProfile(String),
}

/// Reads the profile's file, and then `.env` where there is one, into the environment: what is set stays. Their
/// contents may be keys, so of a line that cannot be read only the number is told.
///
/// # Errors
/// [`DotenvError`].
pub fn read(ours: &[String], profile: Option<&str>) -> Result<Dotenv, DotenvError> {
    let mut found = Dotenv::default();
    if let Some(profile) = profile {
        let file = format!("{FILE}.{profile}");
        if !read_file(&file, ours, &mut found)? {
            return Err(DotenvError::NoProfile(file));
        }
    }
    read_file(FILE, ours, &mut found)?;
    Ok(found)
}

/// Whether the file is there.
fn read_file(file: &str, ours: &[String], found: &mut Dotenv) -> Result<bool, DotenvError> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(DotenvError::Unreadable(file.to_owned(), error)),
    };
    let pairs = parse(file, &text)?;
    let set = pairs.iter().filter(|(name, _)| std::env::var_os(name).is_none());
    found.set.extend(set.map(|(name, _)| name.clone()));
    let misspelt = pairs.iter().filter_map(|(name, _)| Some((name.clone(), nearest(name, ours)?)));
    found.misspelt.extend(misspelt);
    dotenvy::from_path(Path::new(file)).map_err(|_| DotenvError::Line(file.to_owned(), 1))?;
    Ok(true)
}

/// Name and value of each line.
fn parse(file: &str, text: &str) -> Result<Vec<(String, String)>, DotenvError> {
    let pairs = |text: &str| dotenvy::from_read_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let fits =
        |name: &str, value: &str| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    match pairs(text) {
        // Setting anything else would end the process.
        Ok(found) if found.iter().all(|(name, value)| fits(name, value)) => Ok(found),
        Ok(_) => Err(DotenvError::Nul(file.to_owned())),
        Err(_) => {
            // A value in quotes may go over several lines: the last beginning that can be read ends before the line.
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let good = (0..lines.len()).rev().find(|count| pairs(&lines[..*count].concat()).is_ok());
            Err(DotenvError::Line(file.to_owned(), good.unwrap_or_default() + 1))
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
        let read =
            |text: &str| parse(".env", text).map(|pairs| pairs.len()).map_err(|error| error.to_string());
        assert_eq!(read("A=1\n# a comment\n\nB=\"two words\"\n"), Ok(2));
        assert_eq!(read("A=\"over\nlines\"\nB=2\n"), Ok(2));
        for (text, line) in [("A=1\ns3cret words\nB=2\n", 2), ("A=1\n\nB=\"s3cret\n", 3), ("s3cret words", 1)]
        {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(&format!("line {line} of .env")) && !told.contains("s3cret"), "{told}");
        }
        assert!(matches!(parse(".env", "A=1\0\n"), Err(DotenvError::Nul(_) | DotenvError::Line(_, 1))));
    }

    #[test]
    fn a_name_that_is_nearly_ours_is_told_with_the_right_one() {
        let ours = ["CLICKHOUSE_URL", "DOME_API_KEY"].map(str::to_owned);
        assert_eq!(nearest("CLICKHOUSE_ULR", &ours).as_deref(), Some("CLICKHOUSE_URL"));
        assert_eq!(nearest("CLICKHOUSE_URL", &ours), None);
        assert_eq!(nearest("SOMETHING_ELSE", &ours), None);
    }
}
