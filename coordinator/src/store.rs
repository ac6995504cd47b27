//! The durable state of a coordinator, in one SQLite file: who joined, open invitations, jobs and what their parties said.
//!
//! The daemon and `banyan invite` open it at once: write-ahead log, every commit synchronised to the disk before it is
//! acknowledged. Calls are short and block. Nothing in it decrypts anything: of invitations it holds digests only.

pub(crate) mod jobs;
mod roster;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_proto::names::Address;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::home::Home;

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Written by a newer version.
    #[error("{} was written by a newer banyan (schema {found}, this one knows {known}); use the newer one", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// No sound database of a coordinator.
    #[error("{} is damaged: {what}; stop the coordinator and put back a backup of the whole home. Do not delete the file: it holds who joined under which key", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Anything else.
    #[error("{}: {error}; check that this user may read and write it and its directory, and that the disk is not full", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the database says.
        error: rusqlite::Error,
    },
}

type Result<T> = std::result::Result<T, StoreError>;

/// A handle on the state, cheap to clone. Every call is one transaction, durable when it returns.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    file: Arc<Path>,
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the state of `home`, and makes it where there is none.
    pub(crate) fn open(home: &Home) -> Result<Self> {
        let file = home.state();
        let connection = schema::open(&file)?;
        Ok(Self { file: file.into(), connection: Arc::new(Mutex::new(connection)) })
    }

    /// Where others dial this coordinator, as the daemon said at its last start.
    pub(crate) fn url(&self) -> Result<Option<Address>> {
        let url: Option<String> = self
            .read(|c| c.query_row("SELECT value FROM settings WHERE name = 'url'", [], |row| row.get(0)).optional())?;
        let url = url.map(|url| url.parse()).transpose();
        url.map_err(|_| StoreError::Damaged { file: self.file.to_path_buf(), what: "its url is none" })
    }

    /// Notes where others dial this coordinator.
    pub(crate) fn set_url(&self, url: &Address) -> Result<()> {
        self.act(|t| t.execute("INSERT OR REPLACE INTO settings (name, value) VALUES ('url', ?1)", [url.as_str()]))?;
        Ok(())
    }

    /// Runs `read` in one snapshot.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.lock()).map_err(|error| self.failed(error))
    }

    /// Runs `act` in one transaction that sees every earlier commit and excludes other writers.
    fn act<T>(&self, act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let done = self.decide(|t| act(t).map(Ok::<T, std::convert::Infallible>))?;
        Ok(done.unwrap_or_else(|never| match never {}))
    }

    /// As `act`, where the answer may be a no, which changes nothing.
    fn decide<T, N>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<std::result::Result<T, N>>,
    ) -> Result<std::result::Result<T, N>> {
        let mut connection = self.lock();
        let decided = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = act(&transaction)?;
            if done.is_ok() {
                transaction.commit()?;
            }
            Ok(done)
        };
        let decided: rusqlite::Result<_> = { decided }();
        decided.map_err(|error| self.failed(error))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // a panic between two statements rolls its transaction back: the connection stays good
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::File { file: self.file.to_path_buf(), error }
    }
}

/// A column with one parsed form: what does not parse was not written by this program.
fn parsed<T>(
    row: &rusqlite::Row<'_>,
    column: &str,
    parse: impl FnOnce(rusqlite::types::ValueRef<'_>) -> Option<T>,
) -> rusqlite::Result<T> {
    let value = row.get_ref(column)?;
    let kind = value.data_type();
    parse(value).ok_or_else(|| rusqlite::Error::InvalidColumnType(0, column.to_owned(), kind))
}

/// A column of texts with one parsed form.
fn text<T>(row: &rusqlite::Row<'_>, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    parsed(row, column, |value| value.as_str().ok().and_then(parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_state_of_this_version_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let store = Store::open(&home).unwrap();
        let url = "hub.example:7400".parse().unwrap();
        store.set_url(&url).unwrap();
        assert_eq!(Store::open(&home).unwrap().url().unwrap(), Some(url), "two at once");
        drop(store);

        let change = |sql: &str| Connection::open(home.state()).unwrap().execute_batch(sql).unwrap();
        let refused = || Store::open(&home).unwrap_err().to_string();
        change(
            "ALTER TABLE jobs DROP COLUMN resumes; ALTER TABLE jobs DROP COLUMN resumable;
             ALTER TABLE jobs RENAME COLUMN sessions TO stages; PRAGMA user_version = 1",
        );
        assert_eq!(
            Store::open(&home).unwrap().open_jobs().unwrap(),
            [],
            "a file of the first version gets what it lacks"
        );
        change("PRAGMA user_version = 3");
        assert!(refused().ends_with("was written by a newer banyan (schema 3, this one knows 2); use the newer one"));
        change("PRAGMA user_version = 2; PRAGMA application_id = 7");
        assert!(refused().contains("is damaged: it is a database, but not of a coordinator"));
        std::fs::write(home.state(), "no database at all, for sure").unwrap();
        assert!(refused().contains("file is not a database"));
    }
}
