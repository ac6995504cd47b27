//! A home: which file is where, its key, and, of a coordinator, the lock that keeps a second daemon out.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use banyan_proto::identity::{BadKey, Identity};
use zeroize::Zeroizing;

/// The largest key file in bytes: an Ed25519 key in PEM has about 120.
const KEY_FILE_MAX: u64 = 4096;

/// The directory of one coordinator, or of one developer or authority: a key, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// What is wrong with a home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file or directory cannot be read or written.
    #[error("{}: {error}; check that this user may read and write it, and that the disk is not full", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others can read the key.
    #[error("{at} can be read by other users of this machine; run `chmod 600 {at}`, and make a new key if any of them may have read it", at = .file.display())]
    Open {
        /// The file.
        file: PathBuf,
    },
    /// The file holds no key. It is never quoted.
    #[error("{}: {error}; put the key back from a backup of the home, others know it", .file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: BadKey,
    },
    /// A second daemon.
    #[error("another `banyan serve` uses {}; stop it first, or give --home another directory", .0.display())]
    Taken(PathBuf),
}

/// Held while a daemon runs in a home. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct HomeLock(#[expect(dead_code, reason = "held for its lock")] File);

impl Home {
    /// The home at `path`, which is made where it is not there.
    ///
    /// # Errors
    /// [`HomeError::File`].
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let keys = path.join("keys");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&keys);
        made.map_err(|error| HomeError::File { file: keys, error })?;
        Ok(Self(path.to_owned()))
    }

    /// The home at `path` as it is; nothing is made.
    pub(crate) fn existing(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// `coordinator.toml`.
    pub fn config(&self) -> PathBuf {
        self.0.join("coordinator.toml")
    }

    /// The database.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.sqlite")
    }

    /// What a developer or an authority knows besides its key.
    pub(crate) fn developer(&self) -> PathBuf {
        self.0.join("developer.toml")
    }

    /// The private key, for its owner only.
    pub fn identity_file(&self) -> PathBuf {
        self.0.join("keys").join("identity.pem")
    }

    /// Where the daemon is bound, written at its start.
    pub fn listen_addr(&self) -> PathBuf {
        self.0.join("listen.addr")
    }

    /// Where the admin port is bound, written at its start.
    pub fn admin_addr(&self) -> PathBuf {
        self.0.join("admin.addr")
    }

    /// The key that is there.
    ///
    /// # Errors
    /// [`HomeError`] where the file cannot be read, or holds none.
    pub(crate) fn key(&self) -> Result<Identity, HomeError> {
        read_key(&self.identity_file())
    }

    /// The key, made at the first call and never again.
    ///
    /// # Errors
    /// [`HomeError`] where it cannot be made, or the file holds none.
    pub fn identity(&self) -> Result<Identity, HomeError> {
        let file = self.identity_file();
        if !file.exists() {
            let identity = Identity::generate().map_err(|error| HomeError::NoKey { file: file.clone(), error })?;
            match create(&file, identity.to_pem().as_bytes()) {
                // made by another process in this very moment: that one is the key
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(|error| HomeError::File { file: file.clone(), error })?,
            }
        }
        self.key()
    }

    /// Writes a small file whole, such as a bound address: the old text stays, or the new one is on the disk.
    pub(crate) fn write(&self, file: &Path, text: &str) -> Result<(), HomeError> {
        let new = file.with_extension("new");
        let written = File::create(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, file));
        written.map_err(|error| HomeError::File { file: file.to_owned(), error })
    }

    /// Keeps other daemons out.
    pub(crate) fn lock(&self) -> Result<HomeLock, HomeError> {
        let file = self.0.join("lock");
        let failed = |error| HomeError::File { file: file.clone(), error };
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&file).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(HomeLock(lock)),
            Err(TryLockError::WouldBlock) => Err(HomeError::Taken(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

fn read_key(path: &Path) -> Result<Identity, HomeError> {
    let failed = |error| HomeError::File { file: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(HomeError::Open { file: path.to_owned() });
    }
    let mut pem = Zeroizing::new(String::with_capacity(KEY_FILE_MAX as usize)); // one allocation: no copy stays behind
    file.take(KEY_FILE_MAX).read_to_string(&mut pem).map_err(failed)?;
    Identity::from_pem(&pem).map_err(|error| HomeError::NoKey { file: path.to_owned(), error })
}

/// Writes a file that must not exist, for its owner only: there whole, or not at all.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let linked = fs::hard_link(&aside, path); // unlike a rename, a link never replaces
    fs::remove_file(&aside)?;
    linked?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_stays_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let first = home.identity().unwrap().public();
        assert_eq!(home.identity().unwrap().public(), first);
        let mode = fs::metadata(home.identity_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(home.identity_file(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(home.identity().unwrap_err().to_string().contains("run `chmod 600 "));
        fs::remove_file(home.identity_file()).unwrap();
        create(&home.identity_file(), b"nonsense").unwrap();
        let error = home.identity().unwrap_err().to_string();
        assert!(error.contains("put the key back") && !error.contains("nonsense"), "{error}");
    }

    #[test]
    fn one_daemon_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let lock = home.lock().unwrap();
        assert!(home.lock().unwrap_err().to_string().starts_with("another `banyan serve` uses "));
        drop(lock);
        home.lock().unwrap();
    }
}
