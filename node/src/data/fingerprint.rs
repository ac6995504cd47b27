//! The identity of a file's content, so that a result is never written over other data than it was computed on.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::catalog::DataSet;
use super::error::DataError;

/// Bytes hashed at a time.
const CHUNK: usize = 256 * 1024;

/// A file's content at one moment. Local: the digest is unsalted, so it never leaves the node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub struct Fingerprint {
    digest: [u8; 32],
    stamp: Stamp,
}

/// What changes cheaply when a file does: file number, length, and two times. `changed` is the one that no program can
/// set: content written anew under the old length and the old `modified` shows in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Stamp {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// Reads the whole file. Blocks.
    pub(crate) fn of(set: &DataSet) -> Result<Self, DataError> {
        let path = set.path()?;
        let failed = |error| DataError::io(format!("reading {}", set.file), error);
        let mut file = File::open(&path).map_err(failed)?;
        let stamp = Stamp::new(&file.metadata().map_err(failed)?);
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        let taken = Self { digest: hash.finalize().into(), stamp };
        taken.still(set, &path)?;
        Ok(taken)
    }

    /// SHA-256 of the content.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Fails where the file was touched since the fingerprint was taken; cheap, for the end of a read.
    pub(crate) fn still(&self, set: &DataSet, path: &Path) -> Result<(), DataError> {
        let metadata = path.metadata().map_err(|_| DataError::Changed { file: set.file.clone() })?;
        match Stamp::new(&metadata) == self.stamp {
            true => Ok(()),
            false => Err(DataError::Changed { file: set.file.clone() }),
        }
    }

    /// Fails where the content is another one now; a file copied or touched with the same content passes. Blocks.
    pub(crate) fn again(&self, set: &DataSet) -> Result<Self, DataError> {
        let now = Self::of(set).map_err(|error| match error {
            DataError::Catalog(_) => DataError::Changed { file: set.file.clone() },
            other => other,
        })?;
        match now.digest == self.digest {
            true => Ok(now),
            false => Err(DataError::Changed { file: set.file.clone() }),
        }
    }
}

impl Stamp {
    /// The stamp of the file of `set` now.
    pub(super) fn of(set: &DataSet) -> Result<Self, DataError> {
        let metadata = set.path()?.metadata();
        Ok(Self::new(&metadata.map_err(|error| DataError::io(format!("reading {}", set.file), error))?))
    }

    fn new(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
