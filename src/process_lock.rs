//! [`ProcessLock`]: a file that one process holds at a time, with the holder's process id in it. The system lets go of
//! it when the process dies, however it dies. [`ProcessIdentity`]: which process of which host somebody is.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

/// Which process of which host somebody is, so that another one can tell whether it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// The host's name, with what tells its boots and its containers apart.
    pub host: String,
    /// The process id there.
    pub pid: u32,
    /// When it was started, in the clock ticks of its host: a process id comes back, with its start it does not.
    started: u64,
}

impl ProcessIdentity {
    /// This process.
    pub fn current() -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        // Two containers of one name, and a container before and after its restart, have processes of the same ids.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let boot: String = boot.trim().chars().take(8).collect();
        let space: String = space.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        let host = format!("{}/{boot}/{space}", name.replace(|c: char| c == '/' || c.is_whitespace(), "-"));
        let pid = std::process::id();
        Self { host, pid, started: start_of(pid).unwrap_or_default() }
    }

    /// What [`ProcessIdentity`] prints, read back; `None` where it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (host, pid, started) = (words.next()?, words.next()?, words.next()?);
        Some(Self { host: host.to_owned(), pid: pid.parse().ok()?, started: started.parse().ok()? })
    }

    /// The name of the host alone.
    pub fn host_name(&self) -> &str {
        self.host.split('/').next().unwrap_or_default()
    }

    /// Whether this process can tell that `other` is gone: it ran on this very host, and does not any more.
    pub fn knows_gone(&self, other: &Self) -> bool {
        self.host == other.host && start_of(other.pid) != Some(other.started)
    }
}

impl std::fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.host, self.pid, self.started)
    }
}

/// When a process of this host was started; `None` where there is none, or where the system does not say.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything; the start is the 20th field behind it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

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
    fn a_process_is_known_to_be_gone_only_where_it_can_be_seen() {
        let us = ProcessIdentity::current();
        assert_eq!(ProcessIdentity::parse(&us.to_string()), Some(us.clone()));
        assert!(!us.knows_gone(&us));
        assert!(
            us.knows_gone(&ProcessIdentity { started: us.started + 1, ..us.clone() }),
            "its id came back"
        );
        assert!(us.knows_gone(&ProcessIdentity { pid: u32::MAX, ..us.clone() }));
        let elsewhere = ProcessIdentity { host: "elsewhere/1/2".to_owned(), pid: u32::MAX, ..us.clone() };
        assert!(!us.knows_gone(&elsewhere));
        assert_eq!(elsewhere.host_name(), "elsewhere");
        assert_eq!(ProcessIdentity::parse("a table of somebody else's"), None);
    }

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
