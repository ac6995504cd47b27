//! Files that are there whole or not at all: temporary, fsync, rename, fsync of the directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Access for the owner only: what a home holds is nobody else's business.
pub const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// Replaces `path` by `bytes`: a reader sees the old file or the new one, also after a crash. The file has `mode`.
///
/// # Errors
/// As the system says; `path` is then as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = written_aside(path, bytes, mode)?;
    fs::rename(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    sync_dir_of(path)
}

/// Writes `path`, which must not exist: it appears whole, and an existing file is never touched.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where there is a file of that name already, else as the system says.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = written_aside(path, bytes, mode)?;
    let linked = fs::hard_link(&temporary, path); // unlike a rename, a link never replaces
    fs::remove_file(&temporary)?;
    linked?;
    sync_dir_of(path)
}

/// Makes a directory and its parents, for the owner only.
///
/// # Errors
/// As the system says.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path)
}

/// Makes the names in the directory of `path` durable.
///
/// # Errors
/// As the system says.
pub fn sync_dir_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn written_aside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let mut salt = [0_u8; 8];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{:016x}.tmp", u64::from_le_bytes(salt)));
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    Ok(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_created_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, b"one", PRIVATE_FILE).unwrap();
        replace(&path, b"two", PRIVATE_FILE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PRIVATE_FILE);
        let again = create(&path, b"three", PRIVATE_FILE).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
