//! [`ChainFile`]: a file of conditions or payouts, on this machine or behind a URL, handed on piece by piece.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::foreign;
use crate::values::{BadSetting, bad};

/// How much of a file is read at once.
const PIECE: usize = 256 * 1024;

/// How a file's rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Values with commas, the first line names the columns.
    Csv,
    /// The same with tabs.
    Tsv,
}

impl FileFormat {
    /// By the end of a file's name.
    fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            _ => None,
        }
    }
}

/// A file, and how its rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFile {
    place: Place,
    /// By the end of its name.
    pub format: FileFormat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Here(PathBuf),
    There(url::Url),
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or may not be read.
    #[error("cannot read {name}: {error}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Its server does not give it.
    #[error("cannot get {name}: {reason}; run the same command again, or download it and name the file")]
    NotGiven {
        /// Its name, without anything secret.
        name: String,
        /// What went wrong.
        reason: String,
    },
}

impl ChainFile {
    /// A path or an `http(s)` URL whose name tells how its rows are written.
    ///
    /// # Errors
    /// [`BadSetting`], which does not repeat the text: a URL may carry a secret.
    pub fn parse(text: &str) -> Result<Self, BadSetting> {
        let place = match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Place::There(url),
            _ => Place::Here(PathBuf::from(text)),
        };
        let format = match &place {
            Place::Here(path) => FileFormat::of(&path.to_string_lossy()),
            Place::There(url) => FileFormat::of(url.path()),
        };
        let unknown = || bad("expected a file or URL whose name ends with .parquet, .csv or .tsv");
        Ok(Self { format: format.ok_or_else(unknown)?, place })
    }

    /// What it is called, without anything secret.
    pub fn name(&self) -> String {
        match &self.place {
            Place::Here(path) => path.display().to_string(),
            Place::There(url) => {
                let last = url.path().rsplit('/').next().unwrap_or_default();
                foreign::clean(&format!("{} of {}", last, url.host_str().unwrap_or_default()), 200)
            }
        }
    }

    /// Begins to read it; `timeout` is that of a single read.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn open(&self, timeout: Duration) -> Result<Pieces, FileError> {
        match &self.place {
            Place::Here(path) => self.open_here(path).await,
            Place::There(url) => self.open_there(url, timeout).await,
        }
    }

    async fn open_here(&self, path: &Path) -> Result<Pieces, FileError> {
        let unreadable = |error| FileError::Unreadable { name: self.name(), error };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        Ok(Pieces { name: self.name(), from: From::Here(file) })
    }

    /// Nothing secret goes along but what stands in the URL itself, so redirects are followed: data sets live behind some.
    async fn open_there(&self, url: &url::Url, timeout: Duration) -> Result<Pieces, FileError> {
        let not_given = |reason: String| FileError::NotGiven { name: self.name(), reason };
        let client = reqwest::Client::builder()
            .user_agent(concat!("backfill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .read_timeout(timeout)
            // A URL that leads elsewhere may hold a key, which is nobody's there.
            .referer(false)
            .build()
            .map_err(|error| not_given(foreign::cause(&error)))?;
        let answer =
            client.get(url.clone()).send().await.map_err(|error| not_given(foreign::cause(&error)))?;
        if !answer.status().is_success() {
            return Err(not_given(format!("HTTP {}", answer.status().as_u16())));
        }
        Ok(Pieces { name: self.name(), from: From::There(answer) })
    }
}

/// A file as it is read.
pub struct Pieces {
    name: String,
    from: From,
}

enum From {
    Here(tokio::fs::File),
    There(reqwest::Response),
}

impl Pieces {
    /// The next piece; `None` behind the last.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        match &mut self.from {
            From::Here(file) => {
                let mut piece = vec![0; PIECE];
                let unreadable = |error| FileError::Unreadable { name: self.name.clone(), error };
                let length = file.read(&mut piece).await.map_err(unreadable)?;
                piece.truncate(length);
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
            From::There(answer) => {
                let not_given = |error: reqwest::Error| FileError::NotGiven {
                    name: self.name.clone(),
                    reason: foreign::cause(&error),
                };
                Ok(answer.chunk().await.map_err(not_given)?.map(|piece| piece.to_vec()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_how_it_is_written_and_shows_nothing_secret() {
        for (text, format) in [
            ("CTF/preparations.parquet", FileFormat::Parquet),
            ("/data/Resolutions.CSV", FileFormat::Csv),
            ("https://u:secret@example.org/a/b.tsv?token=secret", FileFormat::Tsv),
        ] {
            let file = ChainFile::parse(text).unwrap();
            assert_eq!(file.format, format);
            assert!(!file.name().contains("secret"), "{}", file.name());
        }
        for text in ["", "preparations", "rows.json", "https://example.org/", "x.csv.gz"] {
            assert!(ChainFile::parse(text).is_err(), "{text}");
        }
    }
}
