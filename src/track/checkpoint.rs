//! [`Checkpoint`]: where a track stands, for people to read with `cat` and for the next run to begin from.
//!
//! The tables are the truth; the checkpoint is small, costs the same however much work is behind it, and losing it
//! loses counters and gaps, never rows. It is replaced atomically (write, sync, rename), after the rows it speaks of
//! were acknowledged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::page_queue::CatalogueCursor;
use crate::atomic_file;
use crate::foreign;
use crate::ids::TokenId;
use crate::process_lock::ProcessLock;
use crate::source::Source;

/// The version of the file's form. A larger one was written by a newer backfill and is refused.
const VERSION: u32 = 1;

/// A batch that was begun and not finished, or that failed: its tokens are asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its first token.
    pub first: TokenId,
    /// Its last token.
    pub last: TokenId,
    /// How many tokens it has.
    pub tokens: usize,
    /// Why it failed; absent while it is only under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A track's counters, each of distinct tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Tokens of the workload that are resolved, not found, rejected or failed.
    pub processed: u64,
    /// Tokens staged by this track, siblings from outside the workload included.
    pub inserted: u64,
    /// Tokens that the API does not know.
    pub not_found: u64,
    /// Tokens whose claims have no proof.
    pub rejected: u64,
    /// Tokens without a usable answer after all retries.
    pub failed: u64,
}

/// What `tmp/<track>-track-checkpoint.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The version of this form.
    pub version: u32,
    /// The track.
    pub track: String,
    /// A hash of the workload's tokens.
    pub workload: String,
    /// How many tokens the workload has.
    pub total: u64,
    /// The counters.
    #[serde(flatten)]
    pub progress: Progress,
    /// The position in the workload's order: the last token that was taken up.
    pub last_token: Option<TokenId>,
    /// What stands open before the position.
    pub gaps: Vec<Gap>,
    /// Where a catalogue's pages stand; other tracks have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<CatalogueCursor>,
    /// When the track was first started, in UTC.
    pub started_at: jiff::Timestamp,
    /// When this was written, in UTC.
    pub updated_at: jiff::Timestamp,
}

/// Why a checkpoint cannot be used; each says how to go on.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or its folder not written.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not a checkpoint.
    #[error("the checkpoint {path} is damaged ({reason}); delete it (rm {path}) and run the same command again: the staged rows are kept, only its counters and gaps are forgotten", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it broke.
        reason: String,
    },
    /// The file was written by a newer backfill.
    #[error("the checkpoint {path} is of version {found}, and this backfill knows {VERSION}: use the newer backfill, or delete the file (rm {path}); the staged rows are kept", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// The file speaks of another workload.
    #[error("the checkpoint {path} is of another {what} ({found}, not {expected}): if it is not needed, delete it (rm {path}); if it is, set CHECKPOINT_DIR to another folder; the staged rows are kept either way", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What it says.
        found: String,
        /// What it would have to say.
        expected: String,
    },
    /// Another process works on this track.
    #[error(
        "another process (id {pid}) is working on the {track} track: wait for it, or end it, then run the same command again"
    )]
    Locked {
        /// The track.
        track: &'static str,
        /// The other's process id, `?` where it did not say.
        pid: String,
    },
}

/// A track's checkpoint file, held by one process at a time.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    track: &'static str,
    /// Held for as long as the track runs.
    _lock: ProcessLock,
}

/// Where the track's checkpoint stands.
pub fn path(folder: &Path, source: Source) -> PathBuf {
    folder.join(format!("{}-track-checkpoint.json", source.name()))
}

/// Where the track's lock stands.
pub fn lock_path(folder: &Path, source: Source) -> PathBuf {
    folder.join(format!("{}-track.lock", source.name()))
}

impl CheckpointFile {
    /// Takes the track's lock in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// [`CheckpointError::Locked`] where another process has it.
    pub fn lock(folder: &Path, source: Source) -> Result<Self, CheckpointError> {
        let lock_path = lock_path(folder, source);
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| CheckpointError::Io { doing, path, source }
        };
        fs::create_dir_all(folder).map_err(io("cannot make the folder", folder))?;
        let lock = ProcessLock::take(&lock_path)
            .map_err(io("cannot lock", &lock_path))?
            .map_err(|holder| CheckpointError::Locked { track: source.name(), pid: holder.name() })?;
        Ok(Self { path: path(folder, source), track: source.name(), _lock: lock })
    }

    /// Where the moments of the track's last requests stand.
    pub fn request_log_path(&self) -> PathBuf {
        self.path.with_file_name(format!("{}-requests.log", self.track))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint of `workload`, `None` where there is no file.
    ///
    /// # Errors
    /// A file that is damaged, newer, or of another track or workload.
    pub fn load(&self, source: Source, workload: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        let Some(checkpoint) = read(&self.path)? else { return Ok(None) };
        for (what, found, expected) in
            [("track", &checkpoint.track, source.name()), ("workload", &checkpoint.workload, workload)]
        {
            if found != expected {
                let (found, expected) = (found.clone(), expected.to_owned());
                return Err(CheckpointError::Foreign { path: self.path.clone(), what, found, expected });
            }
        }
        Ok(Some(checkpoint))
    }

    /// Replaces the file: a reader sees the old one or the new one, whole, also after a power cut.
    ///
    /// # Errors
    /// What the system says, a full disk above all. The old file is still there then.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let saved = atomic_file::replace(&self.path, |file| {
            // A catalogue's cursor is a server's own text.
            writeln!(file, "{}", foreign::json(&serde_json::to_string_pretty(checkpoint)?))
        });
        saved.map_err(|source| CheckpointError::Io {
            doing: "cannot save the checkpoint",
            path: self.path.clone(),
            source,
        })
    }
}

impl Checkpoint {
    /// The checkpoint of a track that has not begun.
    pub fn new(source: Source, workload: &str, total: u64, now: jiff::Timestamp) -> Self {
        Self {
            version: VERSION,
            track: source.name().to_owned(),
            workload: workload.to_owned(),
            total,
            progress: Progress::default(),
            last_token: None,
            gaps: Vec::new(),
            catalogue: None,
            started_at: now,
            updated_at: now,
        }
    }
}

impl Checkpoint {
    /// The tokens that got no usable answer.
    pub fn failed_tokens(&self) -> impl Iterator<Item = TokenId> {
        self.gaps.iter().filter(|gap| gap.failure.is_some()).map(|gap| gap.first)
    }
}

/// Reads a checkpoint without taking its lock, `None` where there is no file.
///
/// # Errors
/// A file that is damaged or newer.
pub fn read(path: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(CheckpointError::Io {
                doing: "cannot read the checkpoint",
                path: path.to_owned(),
                source,
            });
        }
    };
    let damaged = |error: serde_json::Error| CheckpointError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
    // Before anything else is looked at: a newer form may have other fields.
    if let Some(found) = value.get("version").and_then(serde_json::Value::as_u64)
        && found > u64::from(VERSION)
    {
        return Err(CheckpointError::Newer { path: path.to_owned(), found });
    }
    serde_json::from_value(value).map(Some).map_err(damaged)
}

/// Moves the checkpoint of a workload that is no more out of the way, and says where to; `None` where there is none.
///
/// # Errors
/// What the system says.
pub fn put_aside(path: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    let aside = path.with_extension("json.old");
    match fs::rename(path, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckpointError::Io {
            doing: "cannot put aside the checkpoint",
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (tempfile::TempDir, CheckpointFile, Checkpoint) {
        let folder = tempfile::tempdir().unwrap();
        let file = CheckpointFile::lock(folder.path(), Source::Dome).unwrap();
        let checkpoint = Checkpoint::new(Source::Dome, "w1", 10, jiff::Timestamp::UNIX_EPOCH);
        (folder, file, checkpoint)
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let (_folder, file, mut checkpoint) = fixture();
        checkpoint.last_token = Some("123".parse().unwrap());
        checkpoint.gaps.push(Gap {
            first: "1".parse().unwrap(),
            last: "9".parse().unwrap(),
            tokens: 4,
            failure: Some("HTTP 500".to_owned()),
        });
        assert_eq!(file.load(Source::Dome, "w1").unwrap(), None);
        file.save(&checkpoint).unwrap();
        assert_eq!(file.load(Source::Dome, "w1").unwrap(), Some(checkpoint));
    }

    #[test]
    fn a_second_holder_is_told_the_first_ones_process_id() {
        let (folder, _file, _) = fixture();
        let error = CheckpointFile::lock(folder.path(), Source::Dome).unwrap_err().to_string();
        assert!(error.contains(&format!("id {}", std::process::id())), "{error}");
        CheckpointFile::lock(folder.path(), Source::Goldsky).unwrap();
    }

    #[test]
    fn a_foreign_damaged_or_newer_file_is_refused_with_a_way_on() {
        let (_folder, file, checkpoint) = fixture();
        file.save(&checkpoint).unwrap();
        let foreign = file.load(Source::Dome, "w2").unwrap_err().to_string();
        assert!(foreign.contains("another workload (w1, not w2)") && foreign.contains("rm "), "{foreign}");
        let whole = fs::read_to_string(file.path()).unwrap();
        for length in 0..whole.len() - 2 {
            fs::write(file.path(), &whole[..length]).unwrap();
            let error = file.load(Source::Dome, "w1").unwrap_err().to_string();
            assert!(error.contains("damaged") && error.contains("rm "), "{error}");
        }
        fs::write(file.path(), r#"{"version": 2, "shape": "other"}"#).unwrap();
        let newer = file.load(Source::Dome, "w1").unwrap_err().to_string();
        assert!(newer.contains("version 2"), "{newer}");
    }
}
