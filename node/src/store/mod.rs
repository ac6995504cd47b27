//! The durable state of a node, in one SQLite file: peers, offers, approvals, spent runs, attempts.
//!
//! The daemon and the commands open it at once: write-ahead log, every commit synchronised to the disk before it is
//! acknowledged. Calls are short and block. A run is spent here before the act, and never refunded.

mod answers;
mod approvals;
mod attempts;
mod checkpoints;
mod error;
mod offers;
mod peers;
mod runs;
mod schema;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_proto::canonical::Digest;
use banyan_proto::job::When;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use answers::Asked;
pub use approvals::Halt;
pub use attempts::{Attempt, Ending, Phase, Progress};
pub use checkpoints::JobCheckpoint;
pub use error::StoreError;
pub use offers::{OFFERS_MAX, Offer, Standing};
pub use peers::{INTRODUCTIONS_MAX, Peer};

use crate::config::Home;

type Result<T> = std::result::Result<T, StoreError>;

/// A handle on the state, cheap to clone. Every call is one transaction, durable when it returns.
#[derive(Clone, Debug)]
pub struct Store {
    file: Arc<Path>,
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the state of `home`, and makes it where there is none.
    ///
    /// # Errors
    /// [`StoreError::Newer`] where a newer version wrote it, [`StoreError::Damaged`] where it is no sound database.
    pub fn open(home: &Home) -> Result<Self> {
        Self::open_file(home.state())
    }

    fn open_file(file: PathBuf) -> Result<Self> {
        let connection = schema::open(&file)?;
        Ok(Self { file: file.into(), connection: Arc::new(Mutex::new(connection)) })
    }

    /// A number that changes when another process (or another handle that was opened anew) commits. Own commits do not
    /// change it. Cheap: to be polled.
    ///
    /// # Errors
    /// As the database says.
    pub fn change_counter(&self) -> Result<i64> {
        self.with(|connection| connection.query_row("PRAGMA data_version", [], |row| row.get(0)))
    }

    /// Runs `read` in one snapshot.
    fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.lock()).map_err(|error| self.failed(error))
    }

    /// Runs `act` in one transaction that sees every earlier commit and excludes other writers.
    fn write<T>(&self, act: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| self.failed(error))?;
        let done = act(&transaction).map_err(|error| error.in_file(&self.file))?;
        transaction.commit().map_err(|error| self.failed(error))?;
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // a panic between two statements rolls its transaction back: the connection stays good
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::from(error).in_file(&self.file)
    }
}

/// A column of digests.
fn digest(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest)
}

/// A column of texts with one parsed form.
fn text<T>(row: &rusqlite::Row<'_>, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let index = row.as_ref().column_index(column)?;
    parse(&text).ok_or_else(|| unreadable(index))
}

/// A column of texts with one parsed form, or nothing.
fn optional<T>(row: &rusqlite::Row<'_>, column: &str, parse: fn(&str) -> Option<T>) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let index = row.as_ref().column_index(column)?;
    text.map(|text| parse(&text).ok_or_else(|| unreadable(index))).transpose()
}

fn unreadable(index: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(index, "unreadable".into(), rusqlite::types::Type::Text)
}

fn when(text: &str) -> Option<When> {
    text.parse().ok()
}

fn now() -> String {
    When(Timestamp::now()).to_string()
}
