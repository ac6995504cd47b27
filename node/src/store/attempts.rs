//! Attempts of jobs: where each is, how it ended, which were interrupted, and what peers signed for at its end.

use std::str::FromStr;

use banyan_proto::audit::Checkpoint;
use banyan_proto::canonical::Digest;
use banyan_proto::identity::Signed;
use banyan_proto::job::When;
use banyan_protocols::party::PartyId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Result, Store, StoreError, digest, now, optional, text, unreadable, when};

/// One attempt of one job at this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The job.
    pub job: Digest,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How far it came.
    pub phase: Phase,
    /// When it began.
    pub begun: When,
    /// When it changed last.
    pub changed: When,
    /// How it ended; none while it goes on.
    pub ending: Option<Ending>,
    /// How much of it is done.
    pub progress: Progress,
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The input is being read.
    Preparing,
    /// The input is pinned in a snapshot.
    Prepared,
    /// The protocol runs.
    Running,
    /// The result is held, sealed.
    Held,
    /// The result is written.
    Released,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Preparing, Self::Prepared, Self::Running, Self::Held, Self::Released];

    /// The word of the wire and of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Held => "held",
            Self::Released => "released",
        }
    }
}

impl FromStr for Phase {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text).ok_or("no phase of an attempt")
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a result, or with its part in the other's.
    Completed,
    /// Without.
    Failed {
        /// What the others are told.
        code: String,
        /// The reason, for this node's people.
        reason: String,
    },
}

/// How much of an attempt is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items done.
    pub done: u64,
    /// Items in all.
    pub total: u64,
    /// Bytes sent.
    pub bytes: u64,
}

impl Store {
    /// Begins an attempt.
    ///
    /// # Errors
    /// [`StoreError::AlreadySpent`] where it was begun before.
    pub fn begin_attempt(&self, job: &Digest, attempt: u32) -> Result<()> {
        self.write(|t| {
            let begin = "INSERT INTO attempts (job, attempt, phase, begun, changed) VALUES (?1, ?2, ?3, ?4, ?4)
                         ON CONFLICT DO NOTHING";
            match t.execute(begin, params![job.0, attempt, Phase::Preparing.as_str(), now()])? {
                0 => Err(StoreError::AlreadySpent { job: *job, attempt }),
                _ => Ok(()),
            }
        })
    }

    /// The number of the next attempt of a job that no coordinator counts.
    ///
    /// # Errors
    /// As the database says.
    pub fn next_attempt(&self, job: &Digest) -> Result<u32> {
        self.with(|c| {
            c.query_row("SELECT coalesce(max(attempt), 0) + 1 FROM attempts WHERE job = ?1", [job.0], |row| row.get(0))
        })
    }

    /// Notes how far an attempt came.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where it is not going on.
    pub fn set_phase(&self, job: &Digest, attempt: u32, phase: Phase) -> Result<()> {
        let change = "UPDATE attempts SET phase = ?3, changed = ?4 WHERE job = ?1 AND attempt = ?2 AND ended IS NULL";
        self.write(|t| going(job, attempt, t.execute(change, params![job.0, attempt, phase.as_str(), now()])?))
    }

    /// Ends an attempt. The first ending stands.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where it is not going on.
    pub fn end_attempt(&self, job: &Digest, attempt: u32, ending: &Ending) -> Result<()> {
        let (code, reason) = match ending {
            Ending::Completed => (None, None),
            Ending::Failed { code, reason } => (Some(code), Some(reason)),
        };
        let change = "UPDATE attempts SET ended = ?3, changed = ?3, code = ?4, reason = ?5
                      WHERE job = ?1 AND attempt = ?2 AND ended IS NULL";
        self.write(|t| going(job, attempt, t.execute(change, params![job.0, attempt, now(), code, reason])?))
    }

    /// Notes how much of an attempt is done. A commit like any other: once a second is often enough.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where it is not going on.
    pub fn set_progress(&self, job: &Digest, attempt: u32, progress: Progress) -> Result<()> {
        let fit = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let (done, total, bytes) = (fit(progress.done), fit(progress.total), fit(progress.bytes));
        let change = "UPDATE attempts SET done = ?3, total = ?4, bytes = ?5
                      WHERE job = ?1 AND attempt = ?2 AND ended IS NULL";
        self.write(|t| going(job, attempt, t.execute(change, params![job.0, attempt, done, total, bytes])?))
    }

    /// One attempt.
    ///
    /// # Errors
    /// As the database says.
    pub fn attempt(&self, job: &Digest, attempt: u32) -> Result<Option<Attempt>> {
        let one = "SELECT * FROM attempts WHERE job = ?1 AND attempt = ?2";
        self.with(|c| c.query_row(one, params![job.0, attempt], read).optional())
    }

    /// Every attempt of a job, the first one first.
    ///
    /// # Errors
    /// As the database says.
    pub fn attempts(&self, job: &Digest) -> Result<Vec<Attempt>> {
        self.with(|c| {
            c.prepare("SELECT * FROM attempts WHERE job = ?1 ORDER BY attempt")?.query_map([job.0], read)?.collect()
        })
    }

    /// The attempts that have not ended: at start-up, those that the last stop interrupted.
    ///
    /// # Errors
    /// As the database says.
    pub fn interrupted(&self) -> Result<Vec<Attempt>> {
        self.with(|c| {
            c.prepare("SELECT * FROM attempts WHERE ended IS NULL ORDER BY rowid")?.query_map([], read)?.collect()
        })
    }

    /// The last attempt of each job, those that changed last first, at most `most`.
    ///
    /// # Errors
    /// As the database says.
    pub fn last_attempts(&self, most: u32) -> Result<Vec<Attempt>> {
        let last = "SELECT * FROM attempts AS a
                    WHERE attempt = (SELECT max(attempt) FROM attempts WHERE job = a.job) ORDER BY changed DESC LIMIT ?1";
        self.with(|c| c.prepare(last)?.query_map([most], read)?.collect())
    }

    /// Keeps a peer's signed checkpoint of its log, which the caller verified, with the attempt at whose end it came.
    ///
    /// # Errors
    /// As the database says.
    pub fn put_receipt(&self, job: &Digest, attempt: u32, party: &PartyId, receipt: &Signed<Checkpoint>) -> Result<()> {
        let size = receipt.verify(&receipt.signer())?.size;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let keep = "INSERT OR REPLACE INTO receipts (party, job, attempt, size, receipt, kept)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.write(|t| {
            t.execute(keep, params![party.as_str(), job.0, attempt, size, receipt.to_bytes(), now()])?;
            Ok(())
        })
    }

    /// The receipts of a peer, those over the longest log last.
    ///
    /// # Errors
    /// As the database says.
    pub fn receipts_of(&self, party: &PartyId) -> Result<Vec<Signed<Checkpoint>>> {
        let all = "SELECT receipt FROM receipts WHERE party = ?1 ORDER BY size, kept";
        self.with(|c| receipts(c, all, params![party.as_str()]))
    }
}

fn going(job: &Digest, attempt: u32, changed: usize) -> Result<()> {
    match changed {
        0 => Err(StoreError::Unknown(format!("attempt {attempt} of job {} going on", job.short()))),
        _ => Ok(()),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let ended: Option<When> = optional(row, "ended", when)?;
    let code: Option<String> = row.get("code")?;
    let ending = match (ended, code) {
        (None, _) => None,
        (Some(_), None) => Some(Ending::Completed),
        (Some(_), Some(code)) => Some(Ending::Failed { code, reason: row.get("reason")? }),
    };
    let count = |column| row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Attempt {
        job: digest(row, "job")?,
        attempt: row.get("attempt")?,
        phase: text(row, "phase", |word| word.parse().ok())?,
        begun: text(row, "begun", when)?,
        changed: text(row, "changed", when)?,
        ending,
        progress: Progress { done: count("done")?, total: count("total")?, bytes: count("bytes")? },
    })
}

fn receipts(
    c: &Connection,
    query: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<Signed<Checkpoint>>> {
    let receipt = |row: &Row<'_>| {
        let bytes: Vec<u8> = row.get(0)?;
        Signed::from_bytes(&bytes).map_err(|_| unreadable(0))
    };
    c.prepare(query)?.query_map(parameters, receipt)?.collect()
}
