//! The tables, their version, and how the file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Result, StoreError};

/// `BNYC`: whose database it is.
const APPLICATION_ID: i64 = 0x424e_5943;
/// The version of the tables below. An older file gets what it lacks when it is opened.
const VERSION: i64 = 2;
/// How long a writer waits for another: commits take milliseconds, a slow disk a second.
const BUSY: Duration = Duration::from_secs(10);

// Times are Unix milliseconds.
const TABLES: &str = "
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE members (
    name TEXT PRIMARY KEY, key BLOB NOT NULL UNIQUE, role TEXT NOT NULL, url TEXT NOT NULL, catalogue BLOB NOT NULL,
    joined_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE invites (
    secret BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, expires_ms INTEGER NOT NULL, used_by BLOB
) STRICT;
CREATE INDEX invites_of_name ON invites (name);
CREATE TABLE jobs (
    job BLOB PRIMARY KEY, name TEXT NOT NULL, spec BLOB NOT NULL, proposer TEXT NOT NULL, scenario BLOB NOT NULL,
    stages INTEGER NOT NULL, deadline_s INTEGER NOT NULL, valid_until_ms INTEGER NOT NULL,
    state TEXT NOT NULL, attempt INTEGER NOT NULL, reason TEXT NOT NULL,
    proposed_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, started_ms INTEGER
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_change ON jobs (changed_ms);
CREATE TABLE parties (
    job BLOB NOT NULL REFERENCES jobs(job) ON DELETE CASCADE, position INTEGER NOT NULL, name TEXT NOT NULL,
    phase TEXT NOT NULL, detail TEXT NOT NULL,
    admission BLOB NOT NULL, receipt BLOB NOT NULL, metrics BLOB NOT NULL,
    PRIMARY KEY (job, position)
) STRICT;
CREATE INDEX parties_by_name ON parties (name);
CREATE INDEX jobs_by_scenario ON jobs (scenario);
CREATE TABLE reviews (
    scenario BLOB NOT NULL, reviewer TEXT NOT NULL, key BLOB NOT NULL, position INTEGER NOT NULL,
    approved INTEGER NOT NULL, approval BLOB NOT NULL,
    PRIMARY KEY (scenario, reviewer, key)
) STRICT;
";

/// What version 2 has more than version 1: attempts that go on with one that was cut off.
const RESUMES: &str = "
ALTER TABLE jobs RENAME COLUMN stages TO sessions;
ALTER TABLE jobs ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN resumes INTEGER NOT NULL DEFAULT 0;
";

/// Opens or makes the database, and checks that it is sound and of this version.
pub(super) fn open(file: &Path) -> Result<Connection> {
    let failed = |error| StoreError::File { file: file.into(), error };
    let damaged = |what| StoreError::Damaged { file: file.into(), what };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(failed)?;
    match make_or_recognise(&mut connection).map_err(failed)? {
        Found::Ours => {}
        Found::Newer(found) => return Err(StoreError::Newer { file: file.into(), found, known: VERSION }),
        Found::Other => return Err(damaged("it is a database, but not of a coordinator")),
    }
    match set_up(&connection).map_err(failed)?.as_str() {
        "ok" => Ok(connection),
        _ => Err(damaged("its pages do not fit together")),
    }
}

enum Found {
    Ours,
    Newer(i64),
    Other,
}

fn make_or_recognise(connection: &mut Connection) -> rusqlite::Result<Found> {
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let pragma = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let found = match (pragma("application_id")?, pragma("user_version")?, tables) {
        (0, 0, 0) => 0,
        (APPLICATION_ID, VERSION, _) => return Ok(Found::Ours),
        (APPLICATION_ID, found @ 1..VERSION, _) => found,
        (APPLICATION_ID, found, _) if found > VERSION => return Ok(Found::Newer(found)),
        _ => return Ok(Found::Other),
    };
    if found == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.execute_batch(RESUMES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(Found::Ours)
}

fn set_up(connection: &Connection) -> rusqlite::Result<String> {
    // persistent, so that this is a write for the first opener only; a commit is on the disk when it returns
    connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;")?;
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}
