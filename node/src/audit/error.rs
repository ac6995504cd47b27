//! Why a log cannot be written or is not what it was.

use std::io;
use std::path::{Path, PathBuf};

use banyan_proto::audit::BrokenLog;
use banyan_proto::identity::BadSignature;
use banyan_protocols::party::PartyId;

use crate::keys::KeyError;

/// Why a log cannot be written or is not what it was.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// History was changed.
    #[error("{}: {broken}; nothing runs on a changed log: keep the whole home as it is, and call the auditor", .file.display())]
    Broken {
        /// The log.
        file: PathBuf,
        /// Where it breaks.
        broken: BrokenLog,
    },
    /// More records than the checkpoint and a kill explain.
    #[error("{}: {uncovered} records are not covered by the signed checkpoint: an old checkpoint was put back, or records \
             were added without this node; keep the whole home as it is, and call the auditor", .file.display())]
    Uncovered {
        /// The log.
        file: PathBuf,
        /// How many.
        uncovered: u64,
    },
    /// The checkpoint does not hold.
    #[error("{}: {error}; it was changed, or is of another node", .file.display())]
    Checkpoint {
        /// The checkpoint or receipt.
        file: PathBuf,
        /// What does not hold.
        error: BadSignature,
    },
    /// The file holds no signed checkpoint.
    #[error("{} holds no signed checkpoint; it was changed, or is another file", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
    },
    /// There is no checkpoint over a log that must have one.
    #[error("{} is missing, and the log has {size} records: it was removed; put it back, or call the auditor", .file.display())]
    NoCheckpoint {
        /// The checkpoint.
        file: PathBuf,
        /// The records there are.
        size: u64,
    },
    /// The checkpoint is of another log.
    #[error("{} is of the log of {found}; use the files of one home together", .file.display())]
    OtherParty {
        /// The checkpoint or receipt.
        file: PathBuf,
        /// Whose it is.
        found: PartyId,
    },
    /// The file was exchanged while it was open.
    #[error("{} was replaced while it was in use: {found}; stop the node, and call the auditor", .file.display())]
    Replaced {
        /// The log.
        file: PathBuf,
        /// What is there now.
        found: String,
    },
    /// The log holds the most records it can.
    #[error("{} holds {} records, the most there can be; export it for the auditor and begin a new home", .file.display(), super::RECORDS_MAX)]
    Full {
        /// The log.
        file: PathBuf,
    },
    /// This node's key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The disk says no.
    #[error("{}: {error}; nothing is done that cannot be recorded: check that the disk is not full and that this user may \
             write there", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl AuditError {
    pub(super) fn file(file: &Path, error: io::Error) -> Self {
        Self::File { file: file.into(), error }
    }

    pub(super) fn broken(file: &Path, broken: BrokenLog) -> Self {
        Self::Broken { file: file.into(), broken }
    }

    pub(super) fn checkpoint(file: &Path, error: BadSignature) -> Self {
        Self::Checkpoint { file: file.into(), error }
    }
}
