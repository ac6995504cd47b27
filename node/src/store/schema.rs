//! The tables, their version, and how the file is opened.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::{Result, StoreError};

/// `BNYN`: whose database it is.
const APPLICATION_ID: i64 = 0x424e_594e;
/// The version of the tables below. An older file gets what it lacks when it is opened.
const VERSION: i64 = 3;
/// How long a writer waits for another: commits take milliseconds, a slow disk a second.
const BUSY: Duration = Duration::from_secs(10);
/// How long an opener sleeps before it tries again.
const RETRY: Duration = Duration::from_millis(20);

const TABLES: &str = "
CREATE TABLE peers (
    name TEXT PRIMARY KEY, key BLOB NOT NULL UNIQUE, url TEXT, since TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE introductions (
    name TEXT PRIMARY KEY, key BLOB NOT NULL, url TEXT, since TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE offers (
    job BLOB PRIMARY KEY, spec BLOB NOT NULL, received TEXT NOT NULL,
    standing TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, admission BLOB
) STRICT;
CREATE TABLE reviews (
    job BLOB NOT NULL REFERENCES offers(job) ON DELETE CASCADE, position INTEGER NOT NULL, review BLOB NOT NULL,
    PRIMARY KEY (job, position)
) STRICT;
CREATE TABLE approvals (
    scenario BLOB NOT NULL, key BLOB NOT NULL, approved INTEGER NOT NULL, approval BLOB NOT NULL, kept TEXT NOT NULL,
    PRIMARY KEY (scenario, key)
) STRICT;
CREATE TABLE revocations (
    scenario BLOB NOT NULL, key BLOB NOT NULL, revocation BLOB NOT NULL, kept TEXT NOT NULL,
    PRIMARY KEY (scenario, key)
) STRICT;
CREATE TABLE halt (
    one INTEGER PRIMARY KEY CHECK (one = 1), reason TEXT NOT NULL, since TEXT NOT NULL
) STRICT;
CREATE TABLE runs (
    job BLOB NOT NULL, attempt INTEGER NOT NULL, scenario BLOB NOT NULL, spent TEXT NOT NULL,
    PRIMARY KEY (job, attempt)
) STRICT;
CREATE INDEX runs_of_scenario ON runs (scenario);
CREATE TABLE attempts (
    job BLOB NOT NULL, attempt INTEGER NOT NULL, phase TEXT NOT NULL, begun TEXT NOT NULL, changed TEXT NOT NULL,
    ended TEXT, code TEXT, reason TEXT,
    done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, attempt)
) STRICT;
CREATE INDEX attempts_open ON attempts (job) WHERE ended IS NULL;
CREATE TABLE receipts (
    party TEXT NOT NULL, job BLOB NOT NULL, attempt INTEGER NOT NULL, size INTEGER NOT NULL, receipt BLOB NOT NULL,
    kept TEXT NOT NULL,
    PRIMARY KEY (party, job, attempt)
) STRICT;
";

/// What version 2 has more than version 1.
const CHECKPOINTS: &str = "
CREATE TABLE checkpoints (
    job BLOB PRIMARY KEY, basis BLOB NOT NULL, attempt INTEGER NOT NULL, begun INTEGER NOT NULL, since TEXT NOT NULL
) STRICT;
CREATE TABLE buckets (
    job BLOB NOT NULL REFERENCES checkpoints(job) ON DELETE CASCADE, bucket INTEGER NOT NULL, outcome BLOB NOT NULL,
    PRIMARY KEY (job, bucket)
) STRICT;
";

/// What version 3 has more than version 2.
const ANSWERS: &str = "
CREATE TABLE answers (
    job BLOB NOT NULL, attempt INTEGER NOT NULL, stage INTEGER NOT NULL,
    scenario BLOB NOT NULL, peer TEXT NOT NULL, count INTEGER NOT NULL, at_s INTEGER NOT NULL,
    PRIMARY KEY (job, attempt, stage)
) STRICT;
CREATE INDEX answers_of ON answers (scenario, peer);
";

/// Opens or makes the database, checks that it is sound and of this version.
pub(super) fn open(file: &Path) -> Result<Connection> {
    let until = Instant::now() + BUSY;
    loop {
        // while another process turns a fresh file to write-ahead logging, the database does not wait by itself
        match connect(file).map_err(|error| error.in_file(file)) {
            Err(StoreError::Busy { .. }) if Instant::now() < until => std::thread::sleep(RETRY),
            opened => return opened,
        }
    }
}

fn connect(file: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
    make_or_recognise(&mut connection, file)?;
    // persistent, so that this is a write for the first opener only; a commit is on the disk when it returns
    connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;")?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match check.as_str() {
        "ok" => Ok(connection),
        _ => Err(StoreError::Damaged { file: file.into(), what: "its pages do not fit together".into() }),
    }
}

fn make_or_recognise(connection: &mut Connection, file: &Path) -> Result<()> {
    // in a transaction that reads: whoever opens what is there waits for no writer, and holds none up
    if version(&connection.transaction_with_behavior(TransactionBehavior::Deferred)?, file)? == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // another opener may have made it meanwhile
    let found = version(&transaction, file)?;
    if found == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    if found < 2 {
        transaction.execute_batch(CHECKPOINTS)?;
    }
    if found < 3 {
        transaction.execute_batch(ANSWERS)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// The version of a node's database; 0 for an empty one, which is nobody's yet.
fn version(transaction: &Transaction<'_>, file: &Path) -> Result<i64> {
    let pragma = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (pragma("application_id")?, pragma("user_version")?, tables) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found @ 1..=VERSION, _) => Ok(found),
        (APPLICATION_ID, found, _) if found > VERSION => {
            Err(StoreError::Newer { file: file.into(), found, known: VERSION })
        }
        _ => Err(StoreError::Damaged { file: file.into(), what: "it is a database, but not of a node".into() }),
    }
}
