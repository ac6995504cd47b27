//! The ledger of answers: how many keys of another party this node has put under its key, counted before they are answered and
//! never refunded, so that nobody tests more keys against a prepared set than its department allows.

use banyan_proto::canonical::Digest;
use banyan_protocols::party::PartyId;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Result, Store, StoreError};

/// Answers that are asked for.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The scenario under which.
    pub scenario: &'a Digest,
    /// By whom.
    pub peer: &'a PartyId,
    /// In which job.
    pub job: &'a Digest,
    /// In which of its attempts.
    pub attempt: u32,
    /// In which of its stages.
    pub stage: u32,
    /// How many.
    pub count: u64,
}

impl Store {
    /// Counts answers, of which at most `max` may be given to one party under one scenario from `since_s` on, in seconds since
    /// 1970. Of any number of callers at once, in any number of processes, no more are let through.
    ///
    /// # Errors
    /// [`StoreError::Answered`] where so many are not left; any error means that nothing may be answered.
    pub fn spend_answers(&self, asked: &Asked<'_>, since_s: i64, max: u64) -> Result<()> {
        let Asked { scenario, peer, job, attempt, stage, count } = *asked;
        self.write(|t| {
            let left = max.saturating_sub(answered(t, scenario, peer, since_s)?);
            if count > left {
                return Err(StoreError::Answered { peer: peer.clone(), asked: count, left, max });
            }
            let spend = "INSERT INTO answers (job, attempt, stage, scenario, peer, count, at_s)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let now = Timestamp::now().as_second();
            t.execute(spend, params![job.0, attempt, stage, scenario.0, peer.as_str(), count as i64, now])?;
            Ok(())
        })
    }

    /// How many answers a party was given under a scenario from `since_s` on.
    ///
    /// # Errors
    /// As the database says.
    pub fn answered(&self, scenario: &Digest, peer: &PartyId, since_s: i64) -> Result<u64> {
        self.with(|c| answered(c, scenario, peer, since_s))
    }
}

fn answered(c: &Connection, scenario: &Digest, peer: &PartyId, since_s: i64) -> rusqlite::Result<u64> {
    let sum = "SELECT coalesce(sum(count), 0) FROM answers WHERE scenario = ?1 AND peer = ?2 AND at_s > ?3";
    let sum: i64 = c.query_row(sum, params![scenario.0, peer.as_str(), since_s], |row| row.get(0))?;
    Ok(sum.unsigned_abs())
}
