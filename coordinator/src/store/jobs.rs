//! Jobs, what their parties said, and the reviews that go with them.

use banyan_proto::canonical::Digest;
use banyan_proto::identity::PublicKey;
use banyan_proto::job::State;
use banyan_protocols::party::PartyId;
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, params};

use super::{Result, Store, text};
use crate::service::jobs::{Job, Party, Phase};
use crate::service::limits::{LISTED_MAX, REVIEWS_MAX};

/// Jobs that are not over, at most: each is offered again to every node that comes back.
const JOBS_OPEN_MAX: u32 = 1024;
/// Of these, jobs of one proposer: nobody keeps the others from proposing.
pub(crate) const JOBS_OPEN_PER_PROPOSER_MAX: u32 = 128;

const OPEN: &str = "state IN ('proposed', 'approved', 'prepared', 'running', 'held')";

/// A job with the bytes of its spec.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) job: Job,
    pub(crate) spec: Vec<u8>,
}

impl Store {
    /// A job.
    pub(crate) fn job(&self, id: &Digest) -> Result<Option<Job>> {
        self.read(|c| load(c, id))
    }

    /// The bytes of a spec, as they were proposed.
    pub(crate) fn spec(&self, id: &Digest) -> Result<Option<Vec<u8>>> {
        self.read(|c| c.query_row("SELECT spec FROM jobs WHERE job = ?1", [id.0], |row| row.get(0)).optional())
    }

    /// Whether a proposer may open one more job, such as by trying one again.
    pub(crate) fn has_room(&self, proposer: &PartyId) -> Result<bool> {
        self.act(|t| room(t, proposer))
    }

    /// Keeps a new job. Gives false where there are too many open ones.
    pub(crate) fn create(&self, job: &Job, spec: &[u8]) -> Result<bool> {
        let created = self.decide(|t| {
            if !room(t, &job.proposer)? {
                return Ok(Err(()));
            }
            t.execute(
                "INSERT INTO jobs (job, name, spec, proposer, scenario, sessions, deadline_s, valid_until_ms, state, attempt,
                 reason, proposed_ms, changed_ms, resumable) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', 0, '', ?9, 0, ?10)",
                params![
                    job.id.0,
                    job.name.as_str(),
                    spec,
                    job.proposer.as_str(),
                    job.scenario.0,
                    job.sessions,
                    job.deadline_s,
                    job.valid_until_ms,
                    job.proposed_ms,
                    job.resumable
                ],
            )?;
            save(t, job).map(Ok)
        })?;
        Ok(created.is_ok())
    }

    /// Changes a job in one transaction. A no of `change` changes nothing; no such job is `None`.
    pub(crate) fn change<T, N>(
        &self,
        id: &Digest,
        now_ms: i64,
        change: impl FnOnce(&mut Job) -> std::result::Result<T, N>,
    ) -> Result<Option<std::result::Result<(Job, T), N>>> {
        let changed = self.decide(|t| {
            let Some(before) = load(t, id)? else { return Ok(Err(None)) };
            let mut job = before.clone();
            let done = match change(&mut job) {
                Ok(done) => done,
                Err(no) => return Ok(Err(Some(no))),
            };
            if job != before {
                job.changed_ms = now_ms;
                save(t, &job)?;
            }
            Ok(Ok((job, done)))
        })?;
        Ok(match changed {
            Ok(done) => Some(Ok(done)),
            Err(Some(no)) => Some(Err(no)),
            Err(None) => None,
        })
    }

    /// Jobs that are not over.
    pub(crate) fn open_jobs(&self) -> Result<Vec<Job>> {
        self.read(|c| jobs(c, &format!("SELECT job FROM jobs WHERE {OPEN} ORDER BY proposed_ms, job"), []))
    }

    /// Jobs that are not over and whose validity or deadline has passed. The job itself says whether it ends.
    pub(crate) fn due_jobs(&self, now_ms: i64) -> Result<Vec<Job>> {
        let due = "(valid_until_ms <= ?1 OR started_ms + deadline_s * 1000 <= ?1)";
        self.read(|c| jobs(c, &format!("SELECT job FROM jobs WHERE {OPEN} AND {due}"), [now_ms]))
    }

    /// Jobs of a party that are not over, or changed after `since_ms`.
    pub(crate) fn jobs_of_party(&self, party: &PartyId, since_ms: i64) -> Result<Vec<Job>> {
        let query = format!(
            "SELECT job FROM jobs WHERE ({OPEN} OR changed_ms > ?2)
             AND job IN (SELECT job FROM parties WHERE name = ?1) ORDER BY proposed_ms, job"
        );
        self.read(|c| jobs(c, &query, params![party.as_str(), since_ms]))
    }

    /// The jobs that `member` proposed or takes part in, or all for none; the last changed first, one more than are listed.
    pub(crate) fn jobs_seen_by(&self, member: Option<&PartyId>) -> Result<Vec<Listed>> {
        let query = "SELECT job FROM jobs WHERE ?1 IS NULL OR proposer = ?1
             OR job IN (SELECT job FROM parties WHERE name = ?1) ORDER BY changed_ms DESC, job LIMIT ?2";
        self.read(|c| {
            let jobs = jobs(c, query, params![member.map(PartyId::as_str), LISTED_MAX + 1])?;
            let mut spec = c.prepare("SELECT spec FROM jobs WHERE job = ?1")?;
            let listed =
                jobs.into_iter().map(|job| Ok(Listed { spec: spec.query_row([job.id.0], |row| row.get(0))?, job }));
            listed.collect()
        })
    }

    /// How many jobs are in each state.
    pub(crate) fn job_counts(&self) -> Result<Vec<(State, u64)>> {
        self.read(|c| {
            let mut counts = c.prepare("SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state")?;
            counts
                .query_map([], |row| Ok((text(row, "state", State::from_name)?, row.get::<_, u32>(1)?.into())))?
                .collect()
        })
    }

    /// The reviews of a scenario, as they came, in their order.
    pub(crate) fn reviews(&self, scenario: &Digest) -> Result<Vec<Vec<u8>>> {
        self.read(|c| {
            let mut reviews =
                c.prepare("SELECT approval FROM reviews WHERE scenario = ?1 ORDER BY position, reviewer, key")?;
            reviews.query_map([scenario.0], |row| row.get(0))?.collect()
        })
    }

    /// Keeps a review, and tells whether anything changed. The first yes of a key stays, since later reviews name it; a no
    /// takes its place, and stays.
    pub(crate) fn put_review(&self, review: &Review<'_>) -> Result<std::result::Result<bool, NoReview>> {
        let Review { scenario, reviewer, position, key, approved, approval } = *review;
        self.decide(|t| {
            let of_key = "SELECT approved FROM reviews WHERE scenario = ?1 AND reviewer = ?2 AND key = ?3";
            let before: Option<bool> =
                t.query_row(of_key, params![scenario.0, reviewer, key.as_bytes()], |row| row.get(0)).optional()?;
            match (before, approved) {
                (Some(false), true) => return Ok(Err(NoReview::Denied)),
                (Some(true), true) | (Some(false), false) => return Ok(Ok(false)),
                (Some(true), false) => {}
                (None, _) => {
                    let others = "SELECT count(*) FROM reviews WHERE scenario = ?1 AND reviewer = ?2";
                    let others: u32 = t.query_row(others, params![scenario.0, reviewer], |row| row.get(0))?;
                    if others >= REVIEWS_MAX {
                        return Ok(Err(NoReview::Full));
                    }
                }
            }
            t.execute(
                "INSERT OR REPLACE INTO reviews (scenario, reviewer, key, position, approved, approval)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![scenario.0, reviewer, key.as_bytes(), position, approved, approval],
            )?;
            Ok(Ok(true))
        })
    }

    /// The jobs under a scenario that a review concerns: those that are still offered, and where it says no also those that
    /// are under way.
    pub(crate) fn concerned(&self, scenario: &Digest, approved: bool) -> Result<Vec<Job>> {
        let state = if approved { "state = 'proposed'" } else { OPEN };
        self.read(|c| jobs(c, &format!("SELECT job FROM jobs WHERE scenario = ?1 AND {state}"), [scenario.0]))
    }
}

/// A review to be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Review<'a> {
    pub(crate) scenario: &'a Digest,
    pub(crate) reviewer: &'static str,
    pub(crate) position: u8,
    pub(crate) key: &'a PublicKey,
    pub(crate) approved: bool,
    pub(crate) approval: &'a [u8],
}

/// Why a review is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoReview {
    /// The same key said no before.
    Denied,
    /// As many keys as may have reviewed it in this capacity.
    Full,
}

/// Whether a proposer may have one more open job.
fn room(t: &Transaction<'_>, proposer: &PartyId) -> rusqlite::Result<bool> {
    let count = |of: &str, params: &[&dyn rusqlite::ToSql]| {
        t.query_row(&format!("SELECT count(*) FROM jobs WHERE {OPEN}{of}"), params, |row| row.get::<_, u32>(0))
    };
    let (all, own) = (count("", &[])?, count(" AND proposer = ?1", &[&proposer.as_str()])?);
    Ok(all < JOBS_OPEN_MAX && own < JOBS_OPEN_PER_PROPOSER_MAX)
}

fn save(t: &Transaction<'_>, job: &Job) -> rusqlite::Result<()> {
    t.execute(
        "UPDATE jobs SET state = ?2, attempt = ?3, reason = ?4, changed_ms = ?5, started_ms = ?6, resumes = ?7
         WHERE job = ?1",
        params![job.id.0, job.state.name(), job.attempt, job.reason, job.changed_ms, job.started_ms, job.resumes],
    )?;
    for (position, party) in (0_u32..).zip(&job.parties) {
        t.execute(
            "INSERT OR REPLACE INTO parties (job, position, name, phase, detail, admission, receipt, metrics)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                job.id.0,
                position,
                party.name.as_str(),
                party.phase.name(),
                party.detail,
                party.admission,
                party.receipt,
                party.metrics
            ],
        )?;
    }
    Ok(())
}

fn jobs(connection: &Connection, query: &str, params: impl Params) -> rusqlite::Result<Vec<Job>> {
    let ids: Vec<Digest> =
        connection.prepare(query)?.query_map(params, |row| row.get(0).map(Digest))?.collect::<rusqlite::Result<_>>()?;
    let jobs = ids.iter().map(|id| load(connection, id));
    jobs.filter_map(rusqlite::Result::transpose).collect()
}

fn load(connection: &Connection, id: &Digest) -> rusqlite::Result<Option<Job>> {
    let columns =
        "job, name, proposer, scenario, sessions, deadline_s, valid_until_ms, state, attempt, reason, proposed_ms,
         changed_ms, started_ms, resumable, resumes";
    let job = connection.query_row(&format!("SELECT {columns} FROM jobs WHERE job = ?1"), [id.0], job).optional()?;
    let Some(mut job) = job else { return Ok(None) };
    let mut parties = connection.prepare_cached("SELECT * FROM parties WHERE job = ?1 ORDER BY position")?;
    job.parties = parties.query_map([id.0], party)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(job))
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: Digest(row.get("job")?),
        name: text(row, "name", |text| text.parse().ok())?,
        proposer: text(row, "proposer", |text| PartyId::new(text).ok())?,
        scenario: Digest(row.get("scenario")?),
        sessions: row.get("sessions")?,
        resumable: row.get("resumable")?,
        resumes: row.get("resumes")?,
        deadline_s: row.get("deadline_s")?,
        valid_until_ms: row.get("valid_until_ms")?,
        state: text(row, "state", State::from_name)?,
        attempt: row.get("attempt")?,
        reason: row.get("reason")?,
        proposed_ms: row.get("proposed_ms")?,
        changed_ms: row.get("changed_ms")?,
        started_ms: row.get("started_ms")?,
        parties: Vec::new(),
    })
}

fn party(row: &Row<'_>) -> rusqlite::Result<Party> {
    Ok(Party {
        name: text(row, "name", |text| PartyId::new(text).ok())?,
        phase: text(row, "phase", Phase::from_name)?,
        detail: row.get("detail")?,
        admission: row.get("admission")?,
        receipt: row.get("receipt")?,
        metrics: row.get("metrics")?,
    })
}
