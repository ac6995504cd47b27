//! Files that appear whole or not at all: a temporary file beside the target, fsync, rename, fsync of the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::error::DataError;
use crate::disk::{PRIVATE_FILE, sync_dir_of};

/// The ending of files that were never finished; see [`remove_partials`].
const PARTIAL: &str = ".partial";

/// A file being written, readable by this user only, hashed on the way. Dropped, it is gone.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    partial: PathBuf,
    path: PathBuf,
    hash: Sha256,
    written: u64,
    failed: Arc<OnceLock<io::ErrorKind>>,
}

impl AtomicFile {
    /// Starts `path`, whose directory must exist.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.{}{PARTIAL}", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE_FILE)
            .open(&partial)
            .map_err(|error| DataError::io(format!("creating {}", path.display()), error))?;
        Ok(Self { file, partial, path: path.into(), hash: Sha256::new(), written: 0, failed: Arc::default() })
    }

    /// Puts the content on disk, still under its temporary name.
    pub fn finish(self) -> Result<Held, DataError> {
        self.file.sync_all().map_err(|error| DataError::io(self.path.display().to_string(), error))?;
        Ok(Held { digest: self.hash.clone().finalize().into(), bytes: self.written, file: self })
    }

    /// A file whose device is full.
    #[cfg(test)]
    pub(crate) fn over_full_device(path: &Path) -> Self {
        let mut file = Self::create(path).unwrap();
        file.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        file
    }

    /// What goes wrong while writing, for where a library in between loses the kind of it.
    pub(crate) fn failure(&self) -> Arc<OnceLock<io::ErrorKind>> {
        Arc::clone(&self.failed)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes).inspect_err(|error| {
            self.failed.get_or_init(|| error.kind());
        })?;
        self.hash.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // best effort: after a rename there is nothing under this name, and `remove_partials` finds what a crash leaves
        let _ = fs::remove_file(&self.partial);
    }
}

/// A finished file that nobody can see yet: durable under a temporary name until [`Held::release`]. Dropped, it is gone.
#[derive(Debug)]
pub struct Held {
    digest: [u8; 32],
    bytes: u64,
    file: AtomicFile,
}

impl Held {
    /// SHA-256 of the content.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Length of the content in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the file its name, durably, replacing what was there.
    pub fn release(self) -> Result<PathBuf, DataError> {
        let file = &self.file;
        let failed = |error| DataError::io(file.path.display().to_string(), error);
        fs::rename(&file.partial, &file.path).map_err(failed)?;
        sync_dir_of(&file.path).map_err(failed)?;
        Ok(file.path.clone())
    }
}

/// Removes what a crash left unfinished in `directory`; tells how many. For the start of the daemon, before any job.
pub fn remove_partials(directory: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(PARTIAL) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_absent() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("result.csv");
        fs::write(&path, "old").unwrap();
        let write = || {
            let mut file = AtomicFile::create(&path).unwrap();
            file.write_all(b"new").unwrap();
            file.finish().unwrap()
        };
        drop(write());
        assert_eq!((names(home.path()), fs::read(&path).unwrap()), (vec!["result.csv".into()], b"old".to_vec()));
        let held = write();
        assert_eq!(held.digest()[..], Sha256::digest(b"new")[..]);
        assert_eq!(fs::read(&path).unwrap(), b"old", "held is not readable under its name");
        held.release().unwrap();
        assert_eq!((names(home.path()), fs::read(&path).unwrap()), (vec!["result.csv".into()], b"new".to_vec()));
        std::mem::forget(write());
        assert_eq!(remove_partials(home.path()).unwrap(), 1, "what a crash leaves is found");
        assert_eq!(names(home.path()), ["result.csv"]);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = AtomicFile::create(Path::new("/nonexistent/result.csv")).unwrap_err().to_string();
        assert!(error.starts_with("creating /nonexistent/result.csv: "), "{error}");
    }
}
