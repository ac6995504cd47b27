//! The two files of the log, as bytes: appended durably, locked while written, read back by lines.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use banyan_proto::audit::Checkpoint;
use banyan_proto::identity::Signed;
use data_encoding::BASE64;

use super::AuditError;
use crate::disk;

/// The largest checkpoint file in bytes: a signed checkpoint has about 500.
const CHECKPOINT_MAX: u64 = 16 * 1024;

/// What the log needs of its disk.
pub(super) trait Durable: Send {
    /// Appends bytes; they are on the disk when it returns.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to `length` bytes, on the disk when it returns.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Durable for File {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_all()
    }
}

/// The lock of the log: one writer among all handles of all processes. Gone when dropped or when its process dies.
pub(super) struct Locked(File);

impl Locked {
    /// Waits for the lock. Whoever holds it writes a line and a checkpoint, which takes milliseconds.
    pub(super) fn new(file: File) -> io::Result<Self> {
        file.lock()?;
        Ok(Self(file))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock(); // closing the handle would do it too
    }
}

/// Opens the log for appending, and makes it where there is none.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(disk::PRIVATE_FILE).open(path)?;
    disk::sync_dir_of(path)?;
    Ok(file)
}

/// The length of the file at `path`, which must still be the one that was opened.
pub(super) fn length_of_same(path: &Path, file: &File) -> Result<u64, AuditError> {
    let opened = file.metadata().map_err(|error| AuditError::file(path, error))?;
    match fs::metadata(path) {
        Ok(there) if (there.dev(), there.ino()) == (opened.dev(), opened.ino()) => Ok(there.len()),
        Ok(_) => Err(AuditError::Replaced { file: path.into(), found: "another file".into() }),
        Err(_) => Err(AuditError::Replaced { file: path.into(), found: "no file".into() }),
    }
}

/// The bytes from `start` to `end`.
pub(super) fn read_from(file: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(start)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The whole lines, and the length of what follows the last of them.
pub(super) fn split_torn(bytes: &[u8]) -> (&[u8], u64) {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    (&bytes[..whole], (bytes.len() - whole) as u64)
}

/// Whole lines without their ends.
pub(super) fn lines(whole: &[u8]) -> impl Iterator<Item = &[u8]> {
    whole.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// The checkpoint as one line of base 64, so that it can be pasted.
pub(super) fn write_checkpoint(path: &Path, signed: &Signed<Checkpoint>) -> io::Result<()> {
    let line = BASE64.encode(&signed.to_bytes()) + "\n";
    disk::replace(path, line.as_bytes(), disk::PRIVATE_FILE)
}

/// The checkpoint, not yet verified; none where there is no file.
pub(super) fn read_checkpoint(path: &Path) -> Result<Option<Signed<Checkpoint>>, AuditError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuditError::file(path, error)),
    };
    let mut text = Vec::new();
    file.take(CHECKPOINT_MAX).read_to_end(&mut text).map_err(|error| AuditError::file(path, error))?;
    let unreadable = || AuditError::Unreadable { file: path.into() };
    let bytes = BASE64.decode(text.strip_suffix(b"\n").ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    Signed::from_bytes(&bytes).map(Some).map_err(|_| unreadable())
}
