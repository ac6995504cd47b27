//! A throw-away directory for the homes of a local run: private, and gone at the end.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use crate::cli::answer::Failure;

/// The directory. Removed on drop, keys and all.
pub(crate) struct Homes(PathBuf);

impl Homes {
    /// A fresh directory below the system's directory for temporary files, which only this user enters.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where it cannot be made.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| Failure::not_now("the system gives no randomness"))?;
        let path = std::env::temp_dir().join(format!("banyan-local-{}", HEXLOWER.encode(&random)));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failure::not_now(format!("{}: cannot be made: {error}", path.display())))?;
        Ok(Self(path))
    }

    /// The home of that name, which may not be there yet.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The log of that name.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.log"))
    }

    /// The whole directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Homes {
    fn drop(&mut self) {
        // what cannot be removed now is in a directory that the system clears
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
