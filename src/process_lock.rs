//! [`ProcessLock`]: a file that one process holds at a time, with the holder's process id in it. The system lets go of
//! it when the process dies, however it dies.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

/// A lock that is ours for as long as this lives.
#[derive(Debug)]
pub struct ProcessLock {
    file: File,
}

/// Who has a lock, by what it wrote into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, `None` where it could not write it.
    pub pid: Option<i32>,
}

impl Holder {
    /// Whether that process is there; of one that did not say who it is nothing else is known.
    pub fn is_alive(self) -> bool {
        let gone = |pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        self.pid.is_none_or(|pid| Pid::from_raw(pid).is_some_and(|pid| !gone(pid)))
    }

    /// For a message: the process id, or `?`.
    pub fn name(self) -> String {
        self.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string())
    }
}

impl ProcessLock {
    /// Takes the lock in the file at `path`, which is made where it is missing; `Err` of the inner result is who has it.
    ///
    /// # Errors
    /// The file cannot be made, opened or locked.
    pub fn take(path: &Path) -> io::Result<Result<Self, Holder>> {
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(read(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Only for what others print of us: a full disk must not keep anybody from working.
        let _ = file.set_len(0);
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| writeln!(file, "{}", std::process::id()));
        Ok(Ok(Self { file }))
    }

    /// The lock once more, for a child to inherit: should it outlive this process, the lock stays taken.
    ///
    /// # Errors
    /// The system has no more file descriptors.
    pub fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

/// Who took the lock last, whether or not it still has it; `None` where nobody ever did. It does not try the lock:
/// somebody who is just taking it would be turned away.
pub fn last_holder(path: &Path) -> Option<Holder> {
    File::open(path).ok().map(|mut file| read(&mut file))
}

fn read(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    Holder { pid: read.ok().and_then(|_| text.lines().next()?.trim().parse().ok()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_others_are_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(last_holder(&path), None);
        let lock = ProcessLock::take(&path).unwrap().unwrap();
        let holder = ProcessLock::take(&path).unwrap().unwrap_err();
        assert_eq!(holder.name(), std::process::id().to_string());
        assert!(holder.is_alive());
        assert_eq!(last_holder(&path), Some(holder));
        // A clone keeps it, as a child's inheritance does.
        let shared = lock.share().unwrap();
        drop(lock);
        assert!(ProcessLock::take(&path).unwrap().is_err());
        drop(shared);
        assert!(ProcessLock::take(&path).unwrap().is_ok());
        assert!(!Holder { pid: Some(i32::MAX) }.is_alive());
        assert_eq!(Holder { pid: None }.name(), "?");
    }
}
