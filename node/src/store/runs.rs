//! Runs are spent before the act, durably, and never refunded: not after a failure, not after a crash.

use banyan_proto::canonical::Digest;
use rusqlite::{Connection, params};

use super::{Result, Store, StoreError, now};

impl Store {
    /// Spends one of `max_runs` runs of a scenario for one attempt of a job; gives how many are spent now. Of any number
    /// of callers at once, in any number of processes, each gets a different run or an error.
    ///
    /// # Errors
    /// [`StoreError::AlreadySpent`] where this attempt did before, [`StoreError::Exhausted`] where none is left; any error
    /// means that the act must not happen.
    pub fn spend_run(&self, scenario: &Digest, job: &Digest, attempt: u32, max_runs: u32) -> Result<u32> {
        self.write(|t| {
            let spent = count(t, scenario)?;
            let known = "SELECT EXISTS (SELECT 1 FROM runs WHERE job = ?1 AND attempt = ?2)";
            if t.query_row(known, params![job.0, attempt], |row| row.get(0))? {
                return Err(StoreError::AlreadySpent { job: *job, attempt });
            }
            if spent >= max_runs {
                return Err(StoreError::Exhausted { scenario: *scenario, runs: max_runs });
            }
            let spend = "INSERT INTO runs (job, attempt, scenario, spent) VALUES (?1, ?2, ?3, ?4)";
            t.execute(spend, params![job.0, attempt, scenario.0, now()])?;
            Ok(spent + 1)
        })
    }

    /// How many runs of a scenario are spent.
    ///
    /// # Errors
    /// As the database says.
    pub fn runs_spent(&self, scenario: &Digest) -> Result<u32> {
        self.with(|c| count(c, scenario))
    }
}

fn count(c: &Connection, scenario: &Digest) -> rusqlite::Result<u32> {
    c.query_row("SELECT count(*) FROM runs WHERE scenario = ?1", [scenario.0], |row| row.get(0))
}
