//! The keys of a node: made once, never overwritten, in files that only their owner reads.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use banyan_proto::identity::{BadKey, Identity};
use zeroize::Zeroizing;

use crate::config::Home;
use crate::disk;

/// The largest key file in bytes: an Ed25519 key in PEM has about 120.
const KEY_FILE_MAX: u64 = 4096;

/// Makes the node's identity, its TLS certificate key and signature key, in `keys/identity.pem`.
///
/// # Errors
/// [`KeyError::Exists`] where the node has one already, or the file cannot be written.
pub fn create_identity(home: &Home) -> Result<Identity, KeyError> {
    create(&home.identity())
}

/// The node's identity.
///
/// # Errors
/// [`KeyError`] names the file and the remedy.
pub fn identity(home: &Home) -> Result<Identity, KeyError> {
    load(&home.identity())
}

/// Makes an approver key in `approver/approver.pem`. The daemon never reads it: it knows public keys from `config.toml`.
///
/// # Errors
/// As [`create_identity`].
pub fn create_approver(home: &Home) -> Result<Identity, KeyError> {
    create(&home.approver())
}

/// The approver key, for the command that approves. It may have been moved off this machine.
///
/// # Errors
/// As [`identity`].
pub fn approver(home: &Home) -> Result<Identity, KeyError> {
    load(&home.approver())
}

/// Makes a key in the file `path`, in a directory that only its owner reads. Never overwrites.
///
/// # Errors
/// [`KeyError::Exists`] where there is such a file, or the file cannot be written.
pub fn create(path: &Path) -> Result<Identity, KeyError> {
    let file_error = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { file: path.into() },
        _ => KeyError::File { file: path.into(), error },
    };
    let identity = Identity::generate()?;
    if let Some(directory) = path.parent() {
        disk::create_private_dir(directory).map_err(file_error)?;
    }
    disk::create(path, identity.to_pem().as_bytes(), disk::PRIVATE_FILE).map_err(file_error)?;
    Ok(identity)
}

/// Reads the key in the file `path`.
///
/// # Errors
/// [`KeyError`] where it is missing, readable by others, or no key.
pub fn load(path: &Path) -> Result<Identity, KeyError> {
    let file_error = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyError::Missing { file: path.into() },
        _ => KeyError::File { file: path.into(), error },
    };
    let file = File::open(path).map_err(file_error)?;
    let metadata = file.metadata().map_err(file_error)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Open { file: path.into() });
    }
    if metadata.len() > KEY_FILE_MAX {
        return Err(KeyError::NoKey { file: path.into(), error: None });
    }
    let mut pem = Zeroizing::new(String::with_capacity(KEY_FILE_MAX as usize)); // one allocation: no copy stays behind
    file.take(KEY_FILE_MAX).read_to_string(&mut pem).map_err(file_error)?;
    Identity::from_pem(&pem).map_err(|error| KeyError::NoKey { file: path.into(), error: Some(error) })
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key is never overwritten: what it signed and who pinned it would be lost.
    #[error("{at} exists already, and a key is never overwritten; use it, or choose another --home", at = .file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// No such file.
    #[error("{at} is missing; run `banyan-node init`, or put the key back from where it is kept", at = .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// Others can read it.
    #[error("{at} can be read by other users of this machine; run `chmod 600 {at}`, and make a new key if any of them may have read it", at = .file.display())]
    Open {
        /// The file.
        file: PathBuf,
    },
    /// The file holds no key. It is never quoted.
    #[error("{at} holds no Ed25519 private key in PKCS #8 PEM; put the key back from where it is kept", at = .file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What the parser says.
        error: Option<BadKey>,
    },
    /// The file cannot be read or written.
    #[error("{at}: {error}; check that this user may read and write its directory and that the disk is not full", at = .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No randomness.
    #[error("no key can be made: {0}")]
    Randomness(#[from] BadKey),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        assert!(matches!(identity(&home), Err(KeyError::Missing { .. })));
        let made = create_identity(&home).unwrap();
        assert_eq!(identity(&home).unwrap().public(), made.public());
        let again = create_identity(&home).unwrap_err().to_string();
        assert!(again.ends_with("exists already, and a key is never overwritten; use it, or choose another --home"));
        assert_eq!(identity(&home).unwrap().public(), made.public());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&home.identity()), mode(home.identity().parent().unwrap())), (0o600, 0o700));
        let person = create_approver(&home).unwrap();
        assert_ne!(person.public(), made.public());
    }

    #[test]
    fn a_key_that_others_read_is_refused_with_the_command_that_helps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("run `chmod 600 {}`", path.display())), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        for content in ["", "canary-5417", "-----BEGIN PRIVATE KEY-----\ncanary-5417\n-----END PRIVATE KEY-----\n"] {
            let _ = fs::remove_file(&path);
            disk::create(&path, content.as_bytes(), disk::PRIVATE_FILE).unwrap();
            let error = load(&path).unwrap_err();
            assert!(matches!(error, KeyError::NoKey { .. }));
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
