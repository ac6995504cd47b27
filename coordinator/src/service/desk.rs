//! The desk: every word of a party or a person becomes one change of one job, durable before anyone is told of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::identity::PublicKey;
use banyan_proto::invite::InviteRole;
use banyan_proto::job::Spec;
use banyan_proto::wire::{self, Instruction, instruction};
use banyan_protocols::party::PartyId;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;

use super::OPERATOR;
use super::jobs::{Job, Say};
use super::limits::{INSTRUCTIONS_MAX, PROGRESS_MAX, REMARK_MAX};
use super::relay::Relays;
use crate::roster::Member;
use crate::store::{Store, StoreError};

/// What the whole service shares.
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) relays: Relays,
    /// Bytes of frames relayed since the start.
    pub(crate) relayed: AtomicU64,
    /// Counts changes; watches look again at each.
    pub(crate) changes: watch::Sender<u64>,
    /// Becomes true when the service stops.
    pub(crate) stopping: watch::Sender<bool>,
    key: PublicKey,
    up_ms: i64,
    lines: Mutex<Lines>,
}

/// Who is there now, and how far it says it is.
#[derive(Default)]
struct Lines {
    last: u64,
    open: BTreeMap<PartyId, Line>,
    progress: BTreeMap<(Digest, PartyId), (Progress, Pace)>,
}

/// The standing line of a node, as the desk holds it.
struct Line {
    id: u64,
    instructions: mpsc::Sender<Result<Instruction, Status>>,
    /// Dropped with the line: its reader then stops.
    _held: oneshot::Sender<Infallible>,
}

/// The node's end of a new line.
pub(crate) struct Attending {
    pub(crate) id: u64,
    pub(crate) instructions: mpsc::Receiver<Result<Instruction, Status>>,
    pub(crate) cut: oneshot::Receiver<Infallible>,
}

/// How far a party says it is in an attempt. Shown to people; nothing rests on it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) attempt: u32,
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) bytes_out: u64,
}

/// How fast a party is in an attempt, from where it was when it was first heard of: an attempt may go on with another one.
#[derive(Clone, Copy, Debug)]
struct Pace {
    attempt: u32,
    done: u64,
    at_ms: i64,
    rate: u64,
}

impl Pace {
    /// The pace with another word of the party.
    fn next(before: Option<Self>, progress: Progress, now_ms: i64) -> Self {
        let began = Self { attempt: progress.attempt, done: progress.done, at_ms: now_ms, rate: 0 };
        let Some(before) = before.filter(|before| before.attempt == progress.attempt) else { return began };
        let (more, ms) = (progress.done.saturating_sub(before.done), now_ms.saturating_sub(before.at_ms));
        let rate = u128::from(more) * 1000 / u128::from(ms.max(1).unsigned_abs());
        Self { rate: u64::try_from(rate).unwrap_or(u64::MAX), ..before }
    }
}

/// A caller, once its key is known.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// The coordinator's own key: the operator at its machine.
    Operator,
    /// A node or a developer.
    Member(Member),
}

impl Who {
    /// Under which name it acts.
    pub(crate) fn name(&self) -> PartyId {
        match self {
            Self::Operator => PartyId::new(OPERATOR).expect("a party name"),
            Self::Member(member) => member.name.clone(),
        }
    }

    /// Whether it may know of a job: its proposer, its parties, and who sees all.
    pub(crate) fn sees(&self, job: &Job) -> bool {
        self.sees_all() || job.proposer == self.name() || job.party(&self.name()).is_some()
    }

    /// Whether it may know of every job: the operator, and the authority that supervises it.
    pub(crate) fn sees_all(&self) -> bool {
        match self {
            Self::Operator => true,
            Self::Member(member) => member.role == InviteRole::Authority,
        }
    }
}

impl Desk {
    /// A desk over `store`, of the coordinator with this key.
    pub(crate) fn new(store: Store, key: PublicKey) -> Self {
        Self {
            store,
            relays: Relays::default(),
            relayed: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            key,
            up_ms: now_ms(),
            lines: Mutex::default(),
        }
    }

    /// Who has this key.
    pub(crate) fn who(&self, key: &PublicKey) -> Result<Who, Status> {
        if *key == self.key {
            return Ok(Who::Operator);
        }
        let member = self.store.member_of_key(key).map_err(broken)?;
        member.map(Who::Member).ok_or_else(|| {
            Status::unauthenticated("this key is not registered here: join first, with an invitation of the operator")
        })
    }

    /// A job that `who` may see.
    pub(crate) fn job(&self, who: &Who, id: &Digest) -> Result<Job, Status> {
        let job = self.store.job(id).map_err(broken)?;
        // somebody else's job is as unknown as none
        job.filter(|job| who.sees(job)).ok_or_else(|| Status::not_found(format!("no job {} of yours here", id.short())))
    }

    /// Changes a job, and tells the parties what follows, in the order of the changes. `Ok(None)`: no such job.
    pub(crate) fn act<N>(
        &self,
        id: &Digest,
        change: impl FnOnce(&mut Job) -> Result<Vec<(PartyId, Say)>, N>,
    ) -> Result<Option<Result<Job, N>>, StoreError> {
        let mut lines = self.lines();
        Ok(match self.store.change(id, now_ms(), change)? {
            Some(Ok((job, said))) => {
                self.tell(&mut lines, &job, &said);
                if job.state.is_over() {
                    self.relays.end(id);
                }
                drop(lines);
                self.changed();
                Some(Ok(job))
            }
            Some(Err(no)) => Some(Err(no)),
            None => None,
        })
    }

    /// Keeps a new job and offers it. Gives false where there are too many open jobs.
    pub(crate) fn create(&self, job: &Job, spec: &[u8]) -> Result<bool, StoreError> {
        let mut lines = self.lines();
        let created = self.store.create(job, spec)?;
        if created {
            self.tell(&mut lines, job, &job.offer());
            drop(lines);
            self.changed();
        }
        Ok(created)
    }

    /// Offers a job again, such as with a new review.
    pub(crate) fn offer_again(&self, job: &Job) {
        self.tell(&mut self.lines(), job, &job.offer());
        self.changed();
    }

    /// Ends the jobs whose time has run out.
    pub(crate) fn expire(&self) -> Result<(), StoreError> {
        for job in self.store.due_jobs(now_ms())? {
            let online = self.online();
            self.act(&job.id, |job| {
                Ok::<_, Infallible>(job.expire(now_ms(), self.up_ms, |name| !online.contains(name)))
            })?;
        }
        Ok(())
    }

    /// Opens a line to a node. An older one of the same node is cut: it dialled again.
    pub(crate) fn come(&self, name: &PartyId) -> Attending {
        let (instructions, receiver) = mpsc::channel(INSTRUCTIONS_MAX);
        let (held, cut) = oneshot::channel();
        let mut lines = self.lines();
        lines.last += 1;
        let id = lines.last;
        lines.open.insert(name.clone(), Line { id, instructions, _held: held });
        drop(lines);
        self.changed();
        Attending { id, instructions: receiver, cut }
    }

    /// Closes a line, unless another has taken its place.
    pub(crate) fn leave(&self, name: &PartyId, id: u64) {
        let mut lines = self.lines();
        if lines.open.get(name).is_some_and(|line| line.id == id) {
            lines.open.remove(name);
            drop(lines);
            self.changed();
        }
    }

    /// Tells every node of a member that is new, or has moved.
    pub(crate) fn introduce(&self, member: &Member) {
        if member.role != InviteRole::Node {
            return;
        }
        let mut lines = self.lines();
        let introduction = introduction(member, true, false);
        let others: Vec<PartyId> = lines.open.keys().filter(|name| **name != member.name).cloned().collect();
        for name in others {
            say(&mut lines, &name, instruction::Body::Introduction(introduction.clone()));
        }
    }

    /// Who is there.
    pub(crate) fn online(&self) -> Vec<PartyId> {
        self.lines().open.keys().cloned().collect()
    }

    /// Notes how far a party says it is.
    pub(crate) fn progress(&self, job: Digest, party: &PartyId, progress: Progress) {
        let mut lines = self.lines();
        while lines.progress.len() >= PROGRESS_MAX && !lines.progress.contains_key(&(job, party.clone())) {
            lines.progress.pop_first();
        }
        let before = lines.progress.get(&(job, party.clone())).map(|(_, pace)| *pace);
        let pace = Pace::next(before, progress, now_ms());
        lines.progress.insert((job, party.clone()), (progress, pace));
        drop(lines);
        self.changed();
    }

    /// A job as it is told to people.
    pub(crate) fn reply(&self, job: &Job, spec: Vec<u8>) -> wire::JobReply {
        let lines = self.lines();
        let parties = job.parties.iter().map(|party| {
            let progress = lines.progress.get(&(job.id, party.name.clone()));
            let progress = progress.filter(|(progress, _)| progress.attempt == job.attempt);
            let (progress, rate) = progress.map_or_else(Default::default, |(progress, pace)| (*progress, pace.rate));
            wire::PartyState {
                name: party.name.to_string(),
                online: lines.open.contains_key(&party.name),
                phase: party.phase.name().to_owned(),
                detail: party.detail.clone(),
                done: progress.done,
                total: progress.total,
                bytes_out: progress.bytes_out,
                rate,
                admission: party.admission.clone().into(),
                receipt: party.receipt.clone().into(),
                metrics: party.metrics.clone().into(),
            }
        });
        wire::JobReply {
            job: bytes(&job.id),
            spec: spec.into(),
            state: job.state.name().to_owned(),
            attempt: job.attempt,
            reason: job.reason.clone(),
            parties: parties.collect(),
            proposed_ms: job.proposed_ms,
            changed_ms: job.changed_ms,
            reviews: Vec::new(),
        }
    }

    /// A job with its spec and its scenario's reviews, as it is told to people.
    pub(crate) fn reply_whole(&self, job: &Job) -> Result<wire::JobReply, Status> {
        let spec = self.store.spec(&job.id).map_err(broken)?.unwrap_or_default();
        let reviews = self.store.reviews(&job.scenario).map_err(broken)?.into_iter().map(Bytes::from).collect();
        Ok(wire::JobReply { reviews, ..self.reply(job, spec) })
    }

    /// What a party that came back has to hear of a job.
    pub(crate) fn reminder(&self, to: &PartyId, id: &Digest) -> Result<Option<Instruction>, StoreError> {
        let Some(job) = self.store.job(id)? else { return Ok(None) };
        let body = job.reminder(to, now_ms()).map(|say| self.instruction(&job, say)).transpose()?.flatten();
        Ok(body.map(|body| Instruction { body: Some(body) }))
    }

    /// Ends every line, watch and relayed step.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        self.lines().open.clear();
        self.relays.end_all();
        self.changed();
    }

    fn tell(&self, lines: &mut Lines, job: &Job, said: &[(PartyId, Say)]) {
        for (party, what) in said {
            if !lines.open.contains_key(party) {
                continue; // it hears it when it comes back
            }
            match self.instruction(job, *what) {
                Ok(Some(body)) => say(lines, party, body),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, job = %job.id.short(), "a party could not be told"),
            }
        }
    }

    /// The words for it. A spec whose digest is no longer the job's is told to nobody.
    fn instruction(&self, job: &Job, say: Say) -> Result<Option<instruction::Body>, StoreError> {
        let (id, attempt) = (bytes(&job.id), job.attempt);
        Ok(Some(match say {
            Say::Offer => {
                let spec = self.store.spec(&job.id)?.unwrap_or_default();
                if Digest::of(Spec::DOMAIN, &spec) != job.id {
                    tracing::error!(job = %job.id.short(), "the kept spec was changed: it is not offered");
                    return Ok(None);
                }
                let reviews = self.store.reviews(&job.scenario)?.into_iter().map(Bytes::from).collect();
                instruction::Body::Offer(wire::Offer { job: id, spec: spec.into(), reviews })
            }
            Say::Prepare => {
                let admissions = job.parties.iter().map(|party| Bytes::from(party.admission.clone())).collect();
                let reviews = self.store.reviews(&job.scenario)?.into_iter().map(Bytes::from).collect();
                instruction::Body::Prepare(wire::Prepare {
                    job: id,
                    attempt,
                    admissions,
                    reviews,
                    resume: job.resumes > 0,
                })
            }
            Say::Run => instruction::Body::Run(wire::Run { job: id, attempt }),
            Say::Stop => instruction::Body::Stop(wire::Stop { job: id, attempt, reason: job.reason.clone() }),
        }))
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts an instruction on a line. One that nobody reads is cut.
fn say(lines: &mut Lines, to: &PartyId, body: instruction::Body) {
    let Some(line) = lines.open.get(to) else { return };
    if line.instructions.try_send(Ok(Instruction { body: Some(body) })).is_err() {
        tracing::warn!(node = %to, "the line is full or gone: cut");
        lines.open.remove(to);
    }
}

/// A member as others are told of it. The catalogue only where it is asked for: it may be long.
pub(crate) fn introduction(member: &Member, online: bool, with_catalogue: bool) -> wire::Introduction {
    wire::Introduction {
        name: member.name.to_string(),
        key: Bytes::copy_from_slice(member.key.as_bytes()),
        url: member.url.as_ref().map(ToString::to_string).unwrap_or_default(),
        online,
        catalogue: if with_catalogue { member.catalogue.clone() } else { Bytes::new() },
        role: member.role.name().to_owned(),
    }
}

/// The answer where the store fails. Callers are told that much; the log is told the rest.
pub(crate) fn broken(error: StoreError) -> Status {
    tracing::error!(%error, "the store failed");
    Status::internal("the coordinator cannot read or change its state: its own log says why")
}

/// A text of one party as others read it: cut, on one line, nothing that moves a cursor.
pub(crate) fn remark(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REMARK_MAX).collect()
}

/// A digest on the wire.
pub(crate) fn bytes(digest: &Digest) -> Bytes {
    Bytes::copy_from_slice(&digest.0)
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_of_one_attempt_and_of_what_it_did_itself() {
        let progress = |attempt, done| Progress { attempt, done, total: 100, bytes_out: 0 };
        let first = Pace::next(None, progress(1, 40), 1000);
        assert_eq!(first.rate, 0);
        let second = Pace::next(Some(first), progress(1, 60), 3000);
        assert_eq!(second.rate, 10, "20 in two seconds; the 40 before were another attempt's");
        assert_eq!(Pace::next(Some(second), progress(1, 70), 1000).rate, 30_000, "a clock that stands");
        assert_eq!(Pace::next(Some(second), progress(2, 70), 9000).rate, 0);
    }
}
