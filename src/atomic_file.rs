//! [`replace`]: a file that is there whole or not at all, whatever interrupts its writing.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a file is called until it is whole.
const PREFIX: &str = ".backfill-";

/// Has `write` write a file at `path`, in place of the one that is there: a reader sees the old one or the new one,
/// also after a power cut. What is no regular file, such as a pipe, is written to as it is.
///
/// # Errors
/// What the system says, a full disk above all; the old file is still there then.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // Behind a link stands what is meant.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        let mut file = BufWriter::new(File::options().write(true).open(&path)?);
        write(&mut file)?;
        return file.flush();
    }
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any new file: for whom, the user's mask says.
    let mut new = tempfile::Builder::new();
    let file = new.prefix(PREFIX).permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    let file = file.into_inner()?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    // The rename itself is on the disk only when its folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        replace(path, |file| file.write_all(text.as_bytes()))
    }

    #[test]
    fn a_writer_that_fails_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        write(&path, "old").unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"half of the ne")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_file_is_for_whom_any_new_file_is_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link, usual] = ["a.csv", "link.csv", "usual"].map(|name| folder.path().join(name));
        File::create(&usual).unwrap();
        write(&path, "old").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&usual));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        write(Path::new("/dev/null"), "text").unwrap();
        assert!(write(Path::new("/nowhere/at/all"), "text").is_err());
    }
}
