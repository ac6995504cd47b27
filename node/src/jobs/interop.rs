//! A job with a party of the interconnection standard, which this node's own people run: there is no coordinator, and no
//! node at the other end that would sign or keep a receipt. What this node decides, records and enforces is as ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::decision::{Decision, RuleId};
use banyan_proto::evidence::{Commitment, Part, RunMetrics};
use banyan_proto::grant::Reviewer;
use banyan_proto::job::{Plan, Spec};
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::{Form, Input, Protocol};
use banyan_protocols::party::{PartyId, Role};
use banyan_protocols::psi::interop::Interop;
use banyan_protocols::session::{Session, SessionId, SessionParts};
use jiff::Timestamp;

use super::Desk;
use super::attempt::{Duties, ms};
use super::basis::{AttemptId, Basis, Learned, fresh_seed};
use super::desk::allowed;
pub(crate) use super::failure::Failure;
use super::release::Agreed;
use super::result;
use crate::data::Keys;
use crate::peer::interop::{Batches, Line, Terms, agree};
use crate::store::{Phase, Progress, Standing};

/// How often it is asked whether people ended what runs.
const POLL: Duration = Duration::from_millis(100);

/// A job that is kept here and may run now.
pub(crate) struct Offered {
    pub(crate) job: Digest,
    spec: Spec,
    plan: Plan,
    protocol: Interop,
}

/// What a run gave.
pub(crate) struct Released {
    pub(crate) attempt: u32,
    /// How many rows are common, where this party receives them.
    pub(crate) matches: Option<u64>,
    pub(crate) metrics: RunMetrics,
}

impl Offered {
    /// Keeps the job as an offer, for this node's people to read and decide, and asks the policy.
    ///
    /// # Errors
    /// [`Failure`] where it is no such job, or may not run: then it waits in the inbox, or is refused, on the record.
    pub(crate) fn keep(desk: &Desk, spec: Spec) -> Result<Self, Failure> {
        let no = |why: String| Failure::new("spec", why);
        let Some(protocol) = Interop::named(spec.protocol.as_str()) else {
            return Err(no(format!("protocol {} is not with a party of the interconnection standard", spec.protocol)));
        };
        desk.mine(&spec)?;
        let plan = Plan::derive(&spec, &CATALOGUE).map_err(|error| no(error.to_string()))?;
        let job = spec.digest();
        let reviews = match desk.store.offer(&job)? {
            Some(offer) => offer.reviews,
            None => {
                desk.record(Act::Offer, job, format!("job {} by this node's people", spec.name))?;
                Vec::new()
            }
        };
        desk.store.put_offer(&job, &spec.to_bytes(), &reviews)?;
        let this = Self { job, spec, plan, protocol };
        match desk.decide(&this.spec, &this.plan, false)? {
            Decision::Allow { .. } => {
                desk.admit(job, &this.spec, &this.plan)?;
                Ok(this)
            }
            Decision::AskPerson { reviewer, because } => {
                let waits = because.first().map_or_else(|| rule("waiting"), Clone::clone);
                desk.store.set_standing(
                    &job,
                    &Standing::Waiting { code: waits.name.clone(), reason: waits.reason.clone() },
                )?;
                let next = match reviewer {
                    Reviewer::Source => format!("; then run it again, job {}", this.spec.name),
                    Reviewer::Operator | Reviewer::Authority => String::new(),
                };
                Err(Failure::new(&waits.name, format!("{}{next}", waits.reason)))
            }
            Decision::Deny { because } => {
                let code = because.first().map_or_else(|| "denied".to_owned(), |rule| rule.name.clone());
                let reasons: Vec<String> = because.into_iter().map(|rule| rule.reason).collect();
                let failure = Failure::new(&code, reasons.join("; "));
                desk.refuse(&job, &failure)?;
                Err(failure)
            }
        }
    }

    /// Runs one attempt over a line that stands, on which nothing was said yet.
    ///
    /// # Errors
    /// [`Failure`], on the record; what was spent stays spent.
    pub(crate) async fn run(
        self,
        desk: &Desk,
        line: Line,
        rank: u32,
        handshake: bool,
        stop: impl Future<Output = ()>,
    ) -> Result<Released, Failure> {
        let id = AttemptId { job: self.job, attempt: desk.store.next_attempt(&self.job)? };
        desk.begin(id)?;
        let deadline_s = self.spec.limits.deadline_s;
        let spec = self.spec.clone();
        let ended = tokio::select! {
            biased; // what an attempt found itself tells more than that it was stopped at the same moment
            ended = self.attempt(desk, id, line, rank, handshake) => ended,
            failure = ends(desk, &spec) => Err(failure),
            () = stop => Err(Failure::new("stopped", "stopped by this node's people")),
            () = tokio::time::sleep(Duration::from_secs(deadline_s.into())) => Err(Failure::deadline(deadline_s)),
        };
        match &ended {
            Ok(released) => desk.complete(id, &released.metrics),
            Err(failure) => desk.fail(id, failure),
        }
        ended
    }

    async fn attempt(
        self,
        desk: &Desk,
        id: AttemptId,
        line: Line,
        rank: u32,
        handshake: bool,
    ) -> Result<Released, Failure> {
        let (at, began, cpu_before_ms) = (Timestamp::now(), Instant::now(), crate::usage::now().cpu_ms);
        let Self { spec, plan, protocol, .. } = self;
        let bug = |why: &str| Failure::new("bug", why);
        let duties = Duties::of(&allowed(desk.decide(&spec, &plan, false)?)?, false)?;
        desk.spend(id, &spec.scenario)?;
        let set = desk.dataset(&spec)?;
        let salt = fresh_seed()?;
        let (keys, pinned) = desk.snapshots(&spec, &plan, &set, duties.rows_at_most, &salt).await?;
        let Keys::Whole(keys) = keys else { return Err(bug("the plan cuts a job that has no buckets")) };
        let items = keys.into_iter().next().ok_or_else(|| bug("the job has no key"))?;
        for pinned in &pinned {
            let what = format!("{} keys, {} rows without one", pinned.len(), pinned.keyless());
            desk.record(Act::Snapshot, Digest(pinned.digest()), what)?;
        }
        let metrics = RunMetrics { prepare_ms: ms(began), ..RunMetrics::default() };
        let (minimum, pins) = (duties.minimum_result, BTreeMap::new());
        let mut basis = Basis { id, at, spec, plan, minimum, pins, set, pinned, salt, metrics };
        desk.phase(id, Phase::Prepared);

        let began = Instant::now();
        let stage = basis.plan.stages.first().ok_or_else(|| bug("the plan has no stage"))?;
        let parameters = stage.parameters().map_err(|error| bug(&error.to_string()))?;
        let roster = stage.roster().ok_or_else(|| bug("the plan has no roster"))?;
        let role = roster.role_of(&desk.me).ok_or_else(|| bug("the plan has no role for this node"))?;
        let peer: PartyId = roster.holder(role.other()).ok_or_else(|| bug("the plan has no peer"))?.clone();
        if handshake {
            let receiver = match (parameters.form, role) {
                (Form::RowsToReceiver, Role::Receiver) => Some(rank),
                (Form::RowsToReceiver, Role::Sender) => Some(1 - rank),
                _ => None,
            };
            let (items, items_of_peer) = (parameters.sizes.of(role), parameters.sizes.of(role.other()));
            let terms = Terms { suite: protocol.suite(), items, items_of_peer, receiver };
            agree(&line, rank, &terms).await.map_err(|refusal| Failure::new("handshake", refusal.to_string()))?;
        }
        let line = Arc::new(line);
        let session = Session::new(
            protocol.descriptor().name,
            SessionParts {
                id: SessionId::derive(&id.job.0, 0, id.attempt),
                me: desk.me.clone(),
                roster,
                transport: Arc::new(Batches::new(line.clone(), peer.clone(), protocol.suite())),
                compute: desk.compute.clone(),
                seed: fresh_seed()?,
            },
        );
        let form = &stage.form;
        desk.record(Act::Run, id.job, format!("attempt {} {} {form} with {peer}", id.attempt, stage.protocol))?;
        desk.phase(id, Phase::Running);
        let protocol = protocol.withholding(minimum);
        let output = protocol.run(&session, role, parameters, Input::Items(items)).await?;
        let learned = Learned::Nothing.then(output, basis.file()?, None)?;
        let meter = session.meter();
        basis.metrics.run_ms = ms(began);
        basis.metrics.rounds = stage.task(&desk.me).map_or(0, |task| task.rounds);
        basis.metrics.bytes_out = meter.bytes_out();
        basis.metrics.bytes_in = meter.bytes_in();
        // the peer may have sent fewer points than the plan has room for: what was done was all
        let done = meter.group_ops();
        desk.progress(id, Progress { done, total: done, bytes: meter.bytes_out() });
        drop(session);
        self::release(desk, basis, learned, line, cpu_before_ms).await
    }
}

/// Opens the result where this node's own checks pass. Only this party signs for it: the other end has no key for that.
async fn release(
    desk: &Desk,
    mut basis: Basis,
    learned: Learned,
    line: Arc<Line>,
    cpu_before_ms: u64,
) -> Result<Released, Failure> {
    let began = Instant::now();
    let (id, minimum) = (basis.id, basis.minimum);
    let matches = learned.matches();
    let releases = learned.may_open(&basis);
    let held = result::hold(desk, &basis, &learned, releases).await?;
    desk.record(Act::Hold, held.commitment(), format!("attempt {} releases {releases}", id.attempt))?;
    desk.phase(id, Phase::Held);
    if !releases {
        return Err(Failure::new(
            "below-minimum",
            format!("fewer than {minimum} common rows: nothing is opened here, and the other party got no answers"),
        ));
    }
    // the result stands, whatever the peer's parting words are; without them its own end may wait
    if let Some(line) = Arc::into_inner(line)
        && let Err(error) = line.finish().await
    {
        tracing::warn!(%error, "the peer did not say that it is done");
    }
    desk.decide_again(&basis.spec, &basis.plan)?;
    let (snapshot, told) = (basis.snapshot(), matches.filter(|_| basis.all_learn_matches()));
    let mine = Part { party: desk.me.clone(), snapshot, output: held.commitment(), releases, matches: told };
    let commitment = Commitment { spec: id.job, plan: basis.plan.digest(), attempt: id.attempt, parts: vec![mine] };
    desk.record(Act::Release, commitment.digest(), format!("attempt {}", id.attempt))?;
    let usage = crate::usage::now();
    basis.metrics.release_ms = ms(began);
    basis.metrics.cpu_ms = usage.cpu_ms.saturating_sub(cpu_before_ms);
    basis.metrics.peak_rss_kb = usage.peak_rss_kb;
    let signatures = vec![desk.identity.sign(&commitment)];
    let agreed = Agreed { commitment, signatures, receipts: Vec::new() };
    held.release(desk, &basis, &agreed, matches)?;
    Ok(Released { attempt: id.attempt, matches, metrics: basis.metrics })
}

/// Resolves when people end what runs.
async fn ends(desk: &Desk, spec: &Spec) -> Failure {
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        if let Err(failure) = desk.still_allowed(spec) {
            return failure;
        }
    }
}

fn rule(name: &str) -> RuleId {
    RuleId::new(name, "a person must decide")
}
