//! The gRPC calls: who asks, whether it may, and one word to the desk.

use std::sync::Arc;

use banyan_proto::canonical::Canonical;
use banyan_proto::grant::{Approval, Reviewer};
use banyan_proto::identity::{PublicKey, Signed};
use banyan_proto::invite::{InviteRole, InviteSecret};
use banyan_proto::job::{PartySpec, Plan, Spec, SpecError, State};
use banyan_proto::names::ADDRESS_MAX;
use banyan_proto::wire::coordinator_server::Coordinator;
use banyan_proto::wire::{self, JobReply, Report, StepFrame};
use banyan_protocols::CATALOGUE;
use banyan_protocols::party::PartyId;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use super::attend::{self, Instructions, digest, url, version};
use super::desk::{Desk, Who, broken, introduction, now_ms, remark};
use super::door::Caller;
use super::jobs::{Job, Party, Phase};
use super::limits::{
    ANSWER_MAX, EVIDENCE_MAX, LISTED_MAX, MEMBERS_MAX, REVIEWS_MAX, SPEC_MAX, WATCHES_MAX, WATCHES_PER_CALLER_MAX,
};
use super::places::Places;
use super::relay::{self, Frames};
use super::watch::{Changes, watch};
use crate::roster::{Joining, Member};
use crate::store::jobs::{NoReview, Review};

/// The service as tonic calls it.
pub(crate) struct Calls {
    desk: Arc<Desk>,
    watches: Arc<Semaphore>,
    watchers: Arc<Places<PartyId>>,
}

type Reply<T> = Result<Response<T>, Status>;

impl Calls {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        Self { desk, watches: Arc::new(Semaphore::new(WATCHES_MAX)), watchers: Arc::default() }
    }

    fn who<T>(&self, request: &Request<T>) -> Result<Who, Status> {
        self.desk.who(&caller(request)?.key)
    }

    fn node<T>(&self, request: &Request<T>) -> Result<Member, Status> {
        match self.who(request)? {
            Who::Member(member) if member.role == InviteRole::Node => Ok(member),
            who => Err(Status::permission_denied(format!("{} is no node: this call is for nodes", who.name()))),
        }
    }
}

#[tonic::async_trait]
impl Coordinator for Calls {
    type AttendStream = Instructions;
    type RelayStream = Frames;
    type WatchStream = Changes;

    async fn join(&self, request: Request<wire::JoinRequest>) -> Reply<wire::JoinReply> {
        let caller = caller(&request)?.clone();
        let request = request.into_inner();
        version(request.version)?;
        let wrong = |error: &dyn std::fmt::Display| Status::invalid_argument(error.to_string());
        let secret = InviteSecret::from_bytes(&request.secret).map_err(|error| wrong(&error))?.digest();
        let name = PartyId::new(&request.name).map_err(|error| wrong(&error))?;
        let desk = &self.desk;
        if desk.store.members().map_err(broken)?.len() >= MEMBERS_MAX {
            return Err(Status::resource_exhausted(format!(
                "this coordinator has {MEMBERS_MAX} members, as many as it can"
            )));
        }
        let joining = Joining { key: caller.key, name, secret, url: url(&request.url)? };
        let member = desk.store.join(&joining, now_ms()).map_err(broken)?.map_err(|error| {
            tracing::warn!(name = %joining.name, key = %joining.key.fingerprint(), %error, "refused a join");
            Status::permission_denied(error.to_string())
        })?;
        tracing::info!(name = %member.name, role = member.role.name(), key = %member.key.fingerprint(), "joined");
        caller.is_known();
        desk.introduce(&member);
        let mut nodes = roster(desk, false)?;
        nodes.retain(|one| one.role == InviteRole::Node.name());
        Ok(Response::new(wire::JoinReply { roster: nodes }))
    }

    async fn attend(&self, request: Request<Streaming<Report>>) -> Reply<Instructions> {
        let node = self.node(&request)?;
        Ok(Response::new(attend::open(self.desk.clone(), node, request.into_inner()).await?))
    }

    async fn relay(&self, request: Request<Streaming<StepFrame>>) -> Reply<Frames> {
        let node = self.node(&request)?;
        Ok(Response::new(relay::open(self.desk.clone(), node.name, request.into_inner()).await?))
    }

    async fn propose(&self, request: Request<wire::ProposeRequest>) -> Reply<JobReply> {
        let member = match self.who(&request)? {
            Who::Member(member) if member.role != InviteRole::Authority => member,
            who => {
                let name = who.name();
                return Err(Status::permission_denied(format!("{name} proposes no jobs: join as a developer")));
            }
        };
        propose(&self.desk, &member, &request.into_inner().spec).map(Response::new)
    }

    async fn job(&self, request: Request<wire::JobRequest>) -> Reply<JobReply> {
        let who = self.who(&request)?;
        let job = self.desk.job(&who, &digest(&request.into_inner().job)?)?;
        self.desk.reply_whole(&job).map(Response::new)
    }

    async fn jobs(&self, request: Request<wire::JobsRequest>) -> Reply<wire::JobsReply> {
        let who = self.who(&request)?;
        let name = (!who.sees_all()).then(|| who.name());
        let mut room = ANSWER_MAX;
        let listed = self.desk.store.jobs_seen_by(name.as_ref()).map_err(broken)?;
        let all = listed.len();
        let fits = listed.into_iter().take(LISTED_MAX as usize).map_while(|listed| {
            let reply = self.desk.reply(&listed.job, listed.spec);
            room = room.checked_sub(weight(&reply))?;
            Some(reply)
        });
        let jobs: Vec<JobReply> = fits.collect();
        Ok(Response::new(wire::JobsReply { cut: jobs.len() < all, jobs }))
    }

    async fn watch(&self, request: Request<wire::JobRequest>) -> Reply<Changes> {
        let who = self.who(&request)?;
        let job = self.desk.job(&who, &digest(&request.into_inner().job)?)?;
        let many =
            |whose: &str| Status::resource_exhausted(format!("too many watches {whose}: use `banyan job status`"));
        let place = self.watchers.take(who.name(), WATCHES_PER_CALLER_MAX).ok_or_else(|| many("of yours"))?;
        let permit = self.watches.clone().try_acquire_owned().map_err(|_| many("here"))?;
        Ok(Response::new(watch(self.desk.clone(), job.id, (place, permit))))
    }

    async fn cancel(&self, request: Request<wire::CancelRequest>) -> Reply<JobReply> {
        let who = self.who(&request)?;
        let request = request.into_inner();
        let id = self.desk.job(&who, &digest(&request.job)?)?.id;
        let reason = remark(request.reason.trim());
        let stopped = self.desk.act(&id, |job| {
            let state = job.state;
            job.stop(&who.name(), &reason).map_err(|_| state)
        });
        match stopped.map_err(broken)? {
            Some(Ok(job)) => self.desk.reply_whole(&job).map(Response::new),
            Some(Err(state)) => Err(Status::failed_precondition(format!("the job is over already: {}", state.name()))),
            None => Err(Status::not_found("the job is gone")),
        }
    }

    async fn roster(&self, request: Request<wire::RosterRequest>) -> Reply<wire::RosterReply> {
        self.who(&request)?;
        Ok(Response::new(wire::RosterReply { parties: roster(&self.desk, true)? }))
    }

    async fn review(&self, request: Request<wire::ReviewRequest>) -> Reply<JobReply> {
        let (who, key) = (self.who(&request)?, caller(&request)?.key);
        let request = request.into_inner();
        let job = self.desk.job(&who, &digest(&request.job)?)?;
        review(&self.desk, &key, &job, &request).map(Response::new)
    }
}

/// Takes a spec: a new job, a new attempt of one that is over without a result, or the job that is there.
fn propose(desk: &Desk, member: &Member, bytes: &[u8]) -> Result<JobReply, Status> {
    if bytes.len() > SPEC_MAX {
        let long =
            format!("spec: {} bytes; name fewer columns, or shorter ones: at most {SPEC_MAX} bytes", bytes.len());
        return Err(Status::invalid_argument(long));
    }
    let wrong = |error: SpecError| Status::invalid_argument(error.to_string());
    let spec = Spec::from_canonical(bytes).map_err(wrong)?;
    let plan = Plan::derive(&spec, &CATALOGUE).map_err(wrong)?;
    if member.role == InviteRole::Node && spec.party(&member.name).is_none() {
        return Err(Status::permission_denied(format!(
            "{} is no party of this job: a node proposes jobs of its own, a developer any",
            member.name
        )));
    }
    if spec.scenario.valid_until.0.as_millisecond() <= now_ms() {
        return Err(Status::failed_precondition(format!(
            "scenario.valid_until: {} is past; ask for a new scenario",
            spec.scenario.valid_until
        )));
    }
    if let Some(there) = desk.store.job(&plan.spec).map_err(broken)? {
        return again(desk, member, &there);
    }
    for (index, party) in spec.parties.iter().enumerate() {
        let holder = desk.store.member(&party.name).map_err(broken)?;
        if holder.is_none_or(|holder| holder.role != InviteRole::Node) {
            return Err(Status::failed_precondition(format!(
                "parties[{index}].name: no node called {0} has joined; the operator invites it with `banyan invite {0}`",
                party.name
            )));
        }
    }
    let job = new_job(&spec, &plan, member.name.clone());
    if !desk.create(&job, bytes).map_err(broken)? {
        return Err(full());
    }
    tracing::info!(job = %job.id.short(), proposer = %job.proposer, "proposed");
    Ok(desk.reply(&job, bytes.to_vec()))
}

fn again(desk: &Desk, member: &Member, there: &Job) -> Result<JobReply, Status> {
    if !Who::Member(member.clone()).sees(there) {
        return Err(Status::permission_denied(format!(
            "this very job was proposed by {}: give yours another name",
            there.proposer
        )));
    }
    let tries_again = matches!(there.state, State::Failed | State::Stopped | State::Expired);
    if tries_again && !desk.store.has_room(&there.proposer).map_err(broken)? {
        return Err(full());
    }
    let retried = desk.act(&there.id, |job| match job.state {
        State::Failed | State::Stopped | State::Expired => job.retry(now_ms()),
        _ => Ok(Vec::new()),
    });
    match retried.map_err(broken)? {
        Some(Ok(job)) => desk.reply_whole(&job),
        Some(Err(error)) => Err(Status::failed_precondition(error.to_string())),
        None => Err(Status::not_found("the job is gone")),
    }
}

fn full() -> Status {
    Status::resource_exhausted(
        "too many jobs of this proposer, or of all, are open here: cancel some, or wait for them",
    )
}

fn new_job(spec: &Spec, plan: &Plan, proposer: PartyId) -> Job {
    let asked = |party: &PartySpec| Party {
        name: party.name.clone(),
        phase: Phase::Asked,
        detail: String::new(),
        admission: Vec::new(),
        receipt: Vec::new(),
        metrics: Vec::new(),
    };
    let now_ms = now_ms();
    Job {
        id: plan.spec,
        name: spec.name.clone(),
        proposer,
        scenario: spec.scenario.digest(),
        sessions: plan.sessions(),
        resumable: plan.is_resumable(),
        resumes: 0,
        deadline_s: spec.limits.deadline_s,
        valid_until_ms: spec.scenario.valid_until.0.as_millisecond(),
        state: State::Proposed,
        attempt: 1,
        reason: String::new(),
        proposed_ms: now_ms,
        changed_ms: now_ms,
        started_ms: None,
        parties: spec.parties.iter().map(asked).collect(),
    }
}

/// Keeps a review and shows it to the parties. Whether its key counts is each node's own question.
fn review(desk: &Desk, caller: &PublicKey, job: &Job, request: &wire::ReviewRequest) -> Result<JobReply, Status> {
    let wrong = |error: &dyn std::fmt::Display| Status::invalid_argument(format!("approval: {error}"));
    let bytes = &request.approval;
    if bytes.len() > EVIDENCE_MAX {
        return Err(wrong(&format!("more than {EVIDENCE_MAX} bytes")));
    }
    let signed = Signed::<Approval>::from_bytes(bytes).map_err(|error| wrong(&error))?;
    let approval = signed.verify(caller).map_err(|error| wrong(&error))?;
    if approval.scenario != job.scenario {
        return Err(wrong(&"it is of another scenario than the job's"));
    }
    let (reviewer, position) = match approval.reviewer {
        Reviewer::Operator => ("operator", 0),
        Reviewer::Authority => ("authority", 1),
        Reviewer::Source => return Err(wrong(&"a source approves at its own node: `banyan-node approve`")),
    };
    let approved = approval.approved;
    let review = Review { scenario: &job.scenario, reviewer, position, key: caller, approved, approval: bytes };
    let changed = desk.store.put_review(&review).map_err(broken)?.map_err(|no| match no {
        NoReview::Denied => Status::failed_precondition(format!(
            "this key said no as the {reviewer}, and a no stands: ask for a changed scenario"
        )),
        NoReview::Full => Status::resource_exhausted(format!(
            "{REVIEWS_MAX} keys have reviewed this scenario as the {reviewer}, as many as may"
        )),
    })?;
    tracing::info!(job = %job.id.short(), reviewer, approved, reason = remark(&request.reason), "reviewed");
    if changed {
        for concerned in desk.store.concerned(&job.scenario, approved).map_err(broken)? {
            desk.offer_again(&concerned);
        }
    }
    desk.reply_whole(job)
}

fn roster(desk: &Desk, with_catalogues: bool) -> Result<Vec<wire::Introduction>, Status> {
    let online = desk.online();
    let members = desk.store.members().map_err(broken)?;
    // names, keys and addresses of all; then as many catalogues as fit
    let mut room = ANSWER_MAX.saturating_sub(members.len() * INTRODUCTION_MAX);
    let parties = members.iter().map(|member| {
        let left = room.checked_sub(member.catalogue.len()).filter(|_| with_catalogues);
        room = left.unwrap_or(room);
        introduction(member, online.contains(&member.name), left.is_some())
    });
    Ok(parties.collect())
}

/// Bytes of an introduction without its catalogue: a name, a key, an address, a role, and their tags.
const INTRODUCTION_MAX: usize = 32 + 32 + ADDRESS_MAX + 16 + 32;

/// The roster fits one message, however many members there are.
const _: () = assert!(MEMBERS_MAX * INTRODUCTION_MAX < wire::MESSAGE_MAX && ANSWER_MAX < wire::MESSAGE_MAX);

/// About how many bytes it takes on the wire.
fn weight(reply: &JobReply) -> usize {
    const SMALL: usize = 1024; // names, states, times, and remarks at their usual length
    let evidence = reply
        .parties
        .iter()
        .map(|party| SMALL + party.detail.len() + party.admission.len() + party.receipt.len() + party.metrics.len());
    SMALL + reply.spec.len() + reply.reason.len() + evidence.sum::<usize>()
}

fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    request.extensions().get::<Caller>().ok_or_else(|| Status::unauthenticated("no key"))
}
