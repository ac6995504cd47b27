//! Why the state could not be read or changed.

use std::path::{Path, PathBuf};

use banyan_proto::canonical::Digest;
use banyan_proto::identity::{BadSignature, Fingerprint};
use banyan_protocols::party::PartyId;
use rusqlite::ErrorCode;

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// This attempt's run is spent: whatever used it may not be used again.
    #[error("attempt {attempt} of job {} spent its run already; a retry is a new attempt", .job.short())]
    AlreadySpent {
        /// The job.
        job: Digest,
        /// The attempt.
        attempt: u32,
    },
    /// No run is left.
    #[error("all {runs} runs of scenario {} are spent; a new scenario with more runs must be approved", .scenario.short())]
    Exhausted {
        /// The scenario.
        scenario: Digest,
        /// The runs it has.
        runs: u32,
    },
    /// A party asks for more answers than it may have.
    #[error(
        "{peer} asks for {asked} answers, and {left} are left of the {max} that it may have: wait until earlier ones are past, \
         or raise answers_per_epoch in config.toml"
    )]
    Answered {
        /// The party.
        peer: PartyId,
        /// How many it asks for.
        asked: u64,
        /// How many are left.
        left: u64,
        /// How many it may have.
        max: u64,
    },
    /// The approver said no before, and a no is final.
    #[error("{by} denied scenario {} before, and a no is final; propose a new scenario", .scenario.short())]
    Denied {
        /// The scenario.
        scenario: Digest,
        /// Who.
        by: Fingerprint,
    },
    /// What is to be kept is not signed as it says.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The peer is pinned with another key.
    #[error(
        "{name} is pinned with another key, {pinned}; if its department confirms a new key, unpin the old one first"
    )]
    PinnedOtherwise {
        /// The peer.
        name: PartyId,
        /// The key it is pinned with.
        pinned: Fingerprint,
    },
    /// The key is pinned under another name.
    #[error("this key is pinned as {name} already; one key is one party")]
    KeyInUse {
        /// The peer with that key.
        name: PartyId,
    },
    /// No such thing.
    #[error("there is no {0}")]
    Unknown(String),
    /// A limit is reached.
    #[error("no more than {max} {what} are kept; {remedy}")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        max: u32,
        /// What helps.
        remedy: &'static str,
    },
    /// Written by a newer version.
    #[error("{} was written by a newer banyan-node (schema {found}, this one knows {known}); use the newer one", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// No sound database of a node.
    #[error("{} is damaged: {what}; stop the node and put back a backup of the whole home. Do not delete the file: it \
             holds the runs that are spent and the peers that are pinned", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another process writes for too long.
    #[error("{} is held by another process; look for a banyan-node that hangs", .file.display())]
    Busy {
        /// The file.
        file: PathBuf,
    },
    /// The disk is full.
    #[error("{}: the disk is full; free some space, nothing was changed", .file.display())]
    DiskFull {
        /// The file.
        file: PathBuf,
    },
    /// Anything else.
    #[error("{}: {error}; check that this user may read and write it and its directory", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the database says.
        error: rusqlite::Error,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File { file: PathBuf::new(), error }
    }
}

impl StoreError {
    /// Sorts a database error and names the file.
    pub(super) fn in_file(self, file: &Path) -> Self {
        let Self::File { error, .. } = self else { return self };
        let file = file.to_path_buf();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Damaged { file, what: "it is no database".into() },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { file, what: "its pages do not fit together".into() },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { file },
            Some(ErrorCode::DiskFull) => Self::DiskFull { file },
            Some(_) => Self::File { file, error },
            None => match error {
                // a value that is not what we write: the content itself is never quoted
                rusqlite::Error::InvalidColumnType(index, ..) | rusqlite::Error::IntegralValueOutOfRange(index, _) => {
                    Self::Damaged { file, what: format!("a value in column {index} cannot be one that was written") }
                }
                rusqlite::Error::FromSqlConversionFailure(index, ..) => {
                    Self::Damaged { file, what: format!("a value in column {index} cannot be one that was written") }
                }
                error => Self::File { file, error },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_that_nothing_was_changed() {
        let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
        let error = StoreError::from(full).in_file(Path::new("/home/state.sqlite"));
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
        assert_eq!(error.to_string(), "/home/state.sqlite: the disk is full; free some space, nothing was changed");
    }
}
