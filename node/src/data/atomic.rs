//! Files that appear whole or not at all. Until then they have no name, so that nobody can open them and nothing is left
//! of them after a crash; then fsync, link, fsync of the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::error::DataError;
use crate::disk::{PRIVATE_FILE, sync_dir_of};

/// The ending of files that were never finished, where a file needs a name; see [`remove_partials`].
const PARTIAL: &str = ".partial";

/// A file being written, readable by this user only, hashed on the way. Dropped, it is gone.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    path: PathBuf,
    /// Its name until then, on a file system without files that have none (such as NFS).
    partial: Option<PathBuf>,
    hash: Sha256,
    failed: Arc<OnceLock<io::ErrorKind>>,
}

impl AtomicFile {
    /// Starts `path`, whose directory must exist.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        let failed = |error| DataError::io(format!("creating {}", path.display()), error);
        let (file, partial) = match nameless(path) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let (file, partial) = hidden(path).map_err(failed)?;
                (file, Some(partial))
            }
            file => (file.map_err(|error| failed(error.into()))?, None),
        };
        Ok(Self { file, path: path.into(), partial, hash: Sha256::new(), failed: Arc::default() })
    }

    /// Puts the content on disk, still without its name.
    pub fn finish(self) -> Result<Held, DataError> {
        self.file.sync_all().map_err(|error| DataError::io(self.path.display().to_string(), error))?;
        Ok(Held { digest: self.hash.clone().finalize().into(), file: self })
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

    /// Gives the file its name. There must be none of that name.
    fn name(&self) -> io::Result<()> {
        match &self.partial {
            Some(partial) => match fs::hard_link(partial, &self.path) {
                // such as vfat, which has no links: nobody else makes files here between the question and the rename
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !self.path.exists() => {
                    fs::rename(partial, &self.path)
                }
                linked => linked,
            },
            None => {
                let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                Ok(rustix::fs::linkat(CWD, file, CWD, &self.path, AtFlags::SYMLINK_FOLLOW)?)
            }
        }
    }
}

/// A file without a name in the directory of `path`.
fn nameless(path: &Path) -> Result<File, Errno> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = Mode::from_raw_mode(PRIVATE_FILE);
    Ok(rustix::fs::open(directory, OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode)?.into())
}

/// A file with a name that only [`remove_partials`] looks for.
fn hidden(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.{}{PARTIAL}", std::process::id()));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE_FILE).open(&partial)?;
    Ok((file, partial))
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes).inspect_err(|error| {
            self.failed.get_or_init(|| error.kind());
        })?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // best effort: `remove_partials` finds what a crash leaves
        if let Some(partial) = &self.partial {
            let _ = fs::remove_file(partial);
        }
    }
}

/// A finished file that nobody can see yet: on disk, without a name until [`Held::release`]. Dropped, it is gone.
#[derive(Debug)]
pub struct Held {
    digest: [u8; 32],
    file: AtomicFile,
}

impl Held {
    /// SHA-256 of the content.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Gives the file its name, durably. Fails, and leaves nothing, where there is a file of that name already.
    pub fn release(self) -> Result<Released, DataError> {
        let file = &self.file;
        let failed = |error| DataError::io(file.path.display().to_string(), error);
        file.name().map_err(failed)?;
        let released = Released { path: file.path.clone(), stays: false };
        sync_dir_of(&file.path).map_err(failed)?;
        Ok(released)
    }
}

/// A file that has its name. Dropped before [`Released::stay`], it is removed: for files that come together or not at all.
#[derive(Debug)]
pub struct Released {
    path: PathBuf,
    stays: bool,
}

impl Released {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it there.
    pub fn stay(mut self) {
        self.stays = true;
    }
}

impl Drop for Released {
    fn drop(&mut self) {
        if !self.stays && fs::remove_file(&self.path).and_then(|()| sync_dir_of(&self.path)).is_err() {
            tracing::error!(file = %self.path.display(), "a file that should not stay could not be removed: remove it");
        }
    }
}

/// Removes what a crash left unfinished in `directory`; tells how many. For a directory in which nothing is being written.
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

    fn written(path: &Path) -> Held {
        let mut file = AtomicFile::create(path).unwrap();
        file.write_all(b"new").unwrap();
        file.finish().unwrap()
    }

    #[test]
    fn a_file_is_whole_or_absent() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("result.csv");
        let held = written(&path);
        assert_eq!(held.digest()[..], Sha256::digest(b"new")[..]);
        assert_eq!(names(home.path()), [""; 0], "held has no name");
        drop(held);
        assert_eq!(names(home.path()), [""; 0], "dropped is gone");
        drop(written(&path).release().unwrap());
        assert_eq!(names(home.path()), [""; 0], "released and not to stay");
        written(&path).release().unwrap().stay();
        assert_eq!((names(home.path()), fs::read(&path).unwrap()), (vec!["result.csv".into()], b"new".to_vec()));
        let error = written(&path).release().unwrap_err().to_string();
        assert!(error.contains("exists"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"new", "what was there stays");
    }

    #[test]
    fn without_nameless_files_a_hidden_name_does_and_a_crash_is_cleaned_up() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("result.csv");
        let held = || {
            let (hidden, partial) = hidden(&path).unwrap();
            let mut file = AtomicFile::create(&path).unwrap();
            (file.file, file.partial) = (hidden, Some(partial));
            file.write_all(b"new").unwrap();
            file.finish().unwrap()
        };
        std::mem::forget(held());
        assert_eq!(remove_partials(home.path()).unwrap(), 1, "what a crash leaves is found");
        held().release().unwrap().stay();
        assert_eq!((names(home.path()), fs::read(&path).unwrap()), (vec!["result.csv".into()], b"new".to_vec()));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = AtomicFile::create(Path::new("/nonexistent/result.csv")).unwrap_err().to_string();
        assert!(error.starts_with("creating /nonexistent/result.csv: "), "{error}");
    }
}
