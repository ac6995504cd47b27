//! Checkpoints: how far a job in buckets is, and the sealed outcome of each bucket that is done, so that a later attempt goes
//! on where one was cut off. What they are worth is decided in `jobs::checkpoint`.

use banyan_proto::canonical::Digest;
use rusqlite::{OptionalExtension, params};

use super::{Result, Store, StoreError, now};

/// How far a job is at this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCheckpoint {
    /// What it rests on: plan, snapshots of all parties, and the attempt that spent the run.
    pub basis: Digest,
    /// The attempt that spent the run.
    pub attempt: u32,
    /// How many times a bucket was begun.
    pub begun: u32,
    /// The buckets that are done, ascending.
    pub done: Vec<u32>,
}

impl Store {
    /// Starts anew: what was kept of the job is gone.
    ///
    /// # Errors
    /// As the database says.
    pub fn begin_checkpoint(&self, job: &Digest, basis: &Digest, attempt: u32) -> Result<()> {
        self.write(|t| {
            t.execute("DELETE FROM checkpoints WHERE job = ?1", [job.0])?;
            let begin = "INSERT INTO checkpoints (job, basis, attempt, begun, since) VALUES (?1, ?2, ?3, 0, ?4)";
            t.execute(begin, params![job.0, basis.0, attempt, now()])?;
            Ok(())
        })
    }

    /// Counts a bucket that is about to run.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where the job rests on something else by now.
    pub fn begin_bucket(&self, job: &Digest, basis: &Digest) -> Result<()> {
        let count = "UPDATE checkpoints SET begun = begun + 1 WHERE job = ?1 AND basis = ?2";
        self.write(|t| rests(job, t.execute(count, params![job.0, basis.0])?))
    }

    /// Keeps the sealed outcome of a bucket, which takes the place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where the job rests on something else by now.
    pub fn put_bucket(&self, job: &Digest, basis: &Digest, bucket: u32, outcome: &[u8]) -> Result<()> {
        let put = "INSERT OR REPLACE INTO buckets (job, bucket, outcome)
                   SELECT job, ?3, ?4 FROM checkpoints WHERE job = ?1 AND basis = ?2";
        self.write(|t| rests(job, t.execute(put, params![job.0, basis.0, bucket, outcome])?))
    }

    /// How far a job is, if anything is kept of it.
    ///
    /// # Errors
    /// As the database says.
    pub fn checkpoint(&self, job: &Digest) -> Result<Option<JobCheckpoint>> {
        self.with(|c| {
            let one = "SELECT basis, attempt, begun FROM checkpoints WHERE job = ?1";
            let read = |row: &rusqlite::Row<'_>| {
                let (basis, attempt, begun) = (Digest(row.get(0)?), row.get(1)?, row.get(2)?);
                Ok(JobCheckpoint { basis, attempt, begun, done: Vec::new() })
            };
            let Some(mut checkpoint) = c.query_row(one, [job.0], read).optional()? else { return Ok(None) };
            let mut done = c.prepare("SELECT bucket FROM buckets WHERE job = ?1 ORDER BY bucket")?;
            checkpoint.done = done.query_map([job.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(Some(checkpoint))
        })
    }

    /// The sealed outcome of a bucket.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where none is kept.
    pub fn bucket(&self, job: &Digest, bucket: u32) -> Result<Vec<u8>> {
        let one = "SELECT outcome FROM buckets WHERE job = ?1 AND bucket = ?2";
        let outcome = self.with(|c| c.query_row(one, params![job.0, bucket], |row| row.get(0)).optional())?;
        outcome.ok_or_else(|| StoreError::Unknown(format!("outcome of bucket {bucket} of job {}", job.short())))
    }

    /// Removes what is kept of a job.
    ///
    /// # Errors
    /// As the database says.
    pub fn drop_checkpoint(&self, job: &Digest) -> Result<()> {
        self.write(|t| {
            t.execute("DELETE FROM checkpoints WHERE job = ?1", [job.0])?;
            Ok(())
        })
    }

    /// Every job of which something is kept.
    ///
    /// # Errors
    /// As the database says.
    pub fn checkpoints(&self) -> Result<Vec<Digest>> {
        self.with(|c| c.prepare("SELECT job FROM checkpoints")?.query_map([], |row| row.get(0).map(Digest))?.collect())
    }
}

fn rests(job: &Digest, changed: usize) -> Result<()> {
    match changed {
        0 => Err(StoreError::Unknown(format!("checkpoint of job {} on this basis", job.short()))),
        _ => Ok(()),
    }
}
