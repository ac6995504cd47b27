//! Errors of the node's parts, sorted by what the person at the terminal does next.

use crate::audit::AuditError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::keys::KeyError;
use crate::store::StoreError;
use banyan_proto::job::SpecError;

use super::answer::Failure;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::input(error)
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::input(error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Missing { .. } | KeyError::File { .. } | KeyError::Randomness(_) => Self::not_now(error),
            KeyError::Exists { .. } | KeyError::Open { .. } | KeyError::NoKey { .. } => Self::input(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AlreadySpent { .. }
            | StoreError::Exhausted { .. }
            | StoreError::Answered { .. }
            | StoreError::Denied { .. }
            | StoreError::PinnedOtherwise { .. }
            | StoreError::KeyInUse { .. } => Self::refused(error),
            StoreError::Signature(_) | StoreError::Unknown(_) => Self::input(error),
            StoreError::Full { .. }
            | StoreError::Newer { .. }
            | StoreError::Damaged { .. }
            | StoreError::Busy { .. }
            | StoreError::DiskFull { .. }
            | StoreError::File { .. } => Self::not_now(error),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Key(error) => error.into(),
            AuditError::File { .. } | AuditError::Full { .. } => Self::not_now(error),
            // nothing is done on a log that does not hold
            AuditError::Broken { .. }
            | AuditError::Uncovered { .. }
            | AuditError::Checkpoint { .. }
            | AuditError::Unreadable { .. }
            | AuditError::NoCheckpoint { .. }
            | AuditError::OtherParty { .. }
            | AuditError::Replaced { .. } => Self::refused(error),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Io { .. } | DataError::DiskFull { .. } | DataError::Memory { .. } => Self::not_now(error),
            error => Self::input(error),
        }
    }
}
