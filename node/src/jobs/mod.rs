//! The runner of jobs: offers become decisions, decisions admissions, admissions attempts, attempts results. It hears
//! the coordinator and the people of this node, and believes only the people.

mod admit;
mod attempt;
mod basis;
mod buckets;
mod checkpoint;
mod desk;
pub(crate) mod epochs;
mod failure;
pub(crate) mod interop;
mod line;
mod live;
mod recover;
mod release;
mod result;
mod unbalanced;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use banyan_proto::canonical::Digest;
use banyan_proto::evidence::RunMetrics;
use banyan_proto::job::{Plan, Spec};
use banyan_proto::wire::{self, instruction, report};
use futures::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub(crate) use self::desk::Desk;
pub(crate) use self::line::{FLUSH_WAIT, Greeting, keep, told};

use self::attempt::Prepared;
use self::basis::AttemptId;
use self::failure::Failure;
use self::line::{Heard, Line, REPORTS_MAX};
use self::live::Live;
use crate::peer::limits::{RELAYED_STEPS_MAX, STEPS_PER_ATTEMPT_MAX};
use crate::store::{Phase, Progress};

/// Attempts that run at once: each may use the spec's memory.
pub(crate) const ATTEMPTS_MAX: usize = 4;

const _: () = assert!(
    ATTEMPTS_MAX * STEPS_PER_ATTEMPT_MAX <= RELAYED_STEPS_MAX,
    "all attempts may be with one peer, or through the relay"
);
/// The longest reason of the coordinator that is kept, in characters.
const REASON_MAX: usize = 300;
/// How often the store is asked whether people changed something: a halt takes effect within this time.
const POLL: Duration = Duration::from_millis(100);
/// How often keys and tags are looked through for what has ended.
const SWEEP: Duration = Duration::from_secs(60);
/// How often a running attempt tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// The runner.
pub(crate) struct Jobs {
    desk: Arc<Desk>,
    line: Line,
    running: BTreeMap<AttemptId, Running>,
    tasks: JoinSet<(AttemptId, Result<RunMetrics, Failure>)>,
}

/// An attempt under way, as the runner holds it.
struct Running {
    spec: Spec,
    plan: Plan,
    go: Option<oneshot::Sender<()>>,
    stop: Option<oneshot::Sender<Failure>>,
    /// Its sessions are kept until the end was handed to the line.
    _live: Arc<Live>,
}

impl Jobs {
    /// A runner that hears `line`.
    pub(crate) fn new(desk: Arc<Desk>, line: Line) -> Self {
        Self { desk, line, running: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Runs until told to stop; then ends what is under way, cleanly.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
        self.desk.settle()?;
        let mut poll = tokio::time::interval(POLL);
        let mut sweep = tokio::time::interval(SWEEP);
        let mut seen = self.desk.what_people_touched().ok();
        loop {
            tokio::select! {
                heard = self.line.heard.recv() => match heard {
                    Some(Heard::Up { clock_ahead_ms }) => {
                        self.desk.admin.ready("coordinator");
                        self.desk.set_clock(clock_ahead_ms);
                        self.say_again().await;
                    }
                    Some(Heard::Down { reason }) => {
                        self.desk.admin.not_ready("coordinator", format!("the line is down, dialling again: {reason}"));
                    }
                    Some(Heard::Instruction(body)) => self.obey(body).await,
                    None => break,
                },
                _ = poll.tick() => {
                    let now = self.desk.what_people_touched().ok();
                    // what cannot be seen may have changed
                    let changed = now.is_none() || now != seen;
                    if changed {
                        seen = now;
                        self.reconsider().await;
                    }
                    self.stop_what_is_no_longer_allowed(changed);
                }
                _ = sweep.tick() => self.desk.forget_epochs(false),
                Some(done) = self.tasks.join_next() => {
                    if let Ok((id, outcome)) = done {
                        self.finish(id, outcome).await;
                    }
                }
                () = told(&mut stop) => break,
            }
        }
        self.shut_down().await;
        Ok(())
    }

    async fn obey(&mut self, body: instruction::Body) {
        match body {
            instruction::Body::Offer(offer) => {
                let job = self.desk.offered(&offer);
                match job {
                    // a job that runs comes again with a reviewer's no: what was allowed is asked once more
                    Ok(job) if self.running.keys().any(|id| id.job == job) => {
                        self.stop_what_is_no_longer_allowed(true);
                    }
                    Ok(job) => self.consider(job).await,
                    Err(failure) => {
                        tracing::warn!(code = failure.code, detail = failure.detail, "an offer was refused")
                    }
                }
            }
            instruction::Body::Prepare(prepare) => self.prepare(prepare).await,
            instruction::Body::Run(run) => {
                let id = attempt_id(&run.job, run.attempt);
                let go = id.and_then(|id| self.running.get_mut(&id)).and_then(|running| running.go.take());
                if let Some(go) = go {
                    let _ = go.send(());
                }
            }
            instruction::Body::Stop(stop) => {
                if let Some(id) = attempt_id(&stop.job, stop.attempt) {
                    let reason: String = stop.reason.chars().take(REASON_MAX).collect();
                    let failure = Failure::new("stopped", format!("the coordinator said stop: {reason}"));
                    if let Err(error) = self.desk.withdrawn(&id.job, &failure) {
                        tracing::warn!(code = error.code, detail = error.detail, "a withdrawn offer still waits");
                    }
                    self.stop(id, failure);
                }
            }
            instruction::Body::Introduction(introduction) => self.desk.introduced(&introduction),
            instruction::Body::Welcome(_) => {}
        }
    }

    /// Decides on every offer that waits, after people changed something.
    async fn reconsider(&mut self) {
        self.desk.forget_epochs(false);
        match self.desk.waiting_offers() {
            Ok(jobs) => {
                for job in jobs {
                    self.consider(job).await;
                }
            }
            Err(failure) => tracing::error!(detail = failure.detail, "the store cannot be read"),
        }
    }

    async fn consider(&mut self, job: Digest) {
        // the filter of an offer is a stranger's text, and the engine parses it: a panic there is a refusal
        let verdict = catch_unwind(AssertUnwindSafe(|| self.desk.consider(&job)));
        let verdict = verdict.unwrap_or_else(|_| Err(Failure::new("bug", "deciding panicked: please report it")));
        let answer = match verdict {
            Ok(answer) => answer,
            Err(failure) => {
                // what cannot be decided is denied
                if let Err(error) = self.desk.refuse(&job, &failure) {
                    tracing::error!(code = error.code, detail = error.detail, "a refusal was not kept");
                }
                wire::verdict::Answer::Refusal(wire::Refusal { code: failure.code, detail: String::new() })
            }
        };
        self.say(report::Body::Verdict(wire::Verdict { job: job.0.to_vec().into(), answer: Some(answer) })).await;
    }

    async fn prepare(&mut self, prepare: wire::Prepare) {
        let Some(id) = attempt_id(&prepare.job, prepare.attempt) else { return };
        if self.running.contains_key(&id) {
            return;
        }
        let (spec, plan) = match self.desk.job(&id.job) {
            Ok(job) => job,
            Err(failure) => return self.say_failed(id, &failure).await,
        };
        if self.running.len() >= ATTEMPTS_MAX {
            let failure = Failure::new("busy", format!("{ATTEMPTS_MAX} attempts are under way: try again later"));
            return self.say_failed(id, &failure).await;
        }
        // the coordinator has given up an earlier one
        let earlier = self.running.keys().filter(|other| other.job == id.job && other.attempt < id.attempt);
        for other in earlier.copied().collect::<Vec<_>>() {
            self.stop(other, Failure::new("stopped", format!("attempt {} took its place", id.attempt)));
        }
        let begun = self.desk.reviewed(&id.job, &prepare.reviews).and_then(|()| self.desk.begin(id));
        if let Err(failure) = begun {
            tracing::warn!(job = %id.job.short(), attempt = id.attempt, code = failure.code, detail = failure.detail, "refused to begin");
            return self.say_failed(id, &failure).await;
        }
        let (go, going) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let admissions = prepare.admissions.iter().map(|bytes| bytes.to_vec()).collect();
        let live = Arc::default();
        let orders = Orders { admissions, going_on: prepare.resume, go: going };
        let task = one_attempt(self.desk.clone(), id, orders, Arc::clone(&live), self.line.reports.clone());
        let deadline_s = spec.limits.deadline_s;
        self.running.insert(id, Running { spec, plan, go: Some(go), stop: Some(stop), _live: live });
        self.tasks.spawn(async move {
            // a panic ends its attempt, on the record, and nothing else
            let task = AssertUnwindSafe(task).catch_unwind();
            let outcome = tokio::select! {
                biased; // what an attempt found itself tells more than that it was stopped at the same moment
                outcome = task => outcome.unwrap_or_else(|_| Err(Failure::new("bug", "the attempt panicked"))),
                failure = stopped => Err(failure.unwrap_or_else(|_| Failure::new("stopped", "the node stopped"))),
                () = tokio::time::sleep(Duration::from_secs(deadline_s.into())) => Err(Failure::deadline(deadline_s)),
            };
            (id, outcome)
        });
    }

    fn stop(&mut self, id: AttemptId, failure: Failure) {
        if let Some(stop) = self.running.get_mut(&id).and_then(|running| running.stop.take()) {
            let _ = stop.send(failure);
        }
    }

    /// Authorisations end while jobs run: revoked, expired, halted; and, where people changed something, all else that
    /// the policy looks at.
    fn stop_what_is_no_longer_allowed(&mut self, changed: bool) {
        let allowed = |running: &Running| match changed {
            true => self.desk.decide_again(&running.spec, &running.plan),
            false => self.desk.still_allowed(&running.spec),
        };
        let ended: Vec<(AttemptId, Failure)> =
            self.running.iter().filter_map(|(id, running)| Some((*id, allowed(running).err()?))).collect();
        for (id, failure) in ended {
            self.stop(id, failure);
        }
    }

    async fn finish(&mut self, id: AttemptId, outcome: Result<RunMetrics, Failure>) {
        let _until_told = self.running.remove(&id);
        match outcome {
            Ok(metrics) => {
                self.desk.complete(id, &metrics);
                tracing::info!(job = %id.job.short(), attempt = id.attempt, "released");
                self.say(self.desk.ended(id, &metrics)).await;
            }
            Err(failure) => {
                self.desk.fail(id, &failure);
                tracing::warn!(job = %id.job.short(), attempt = id.attempt, code = failure.code, detail = failure.detail, "failed");
                self.say_failed(id, &failure).await;
            }
        }
    }

    async fn say_failed(&self, id: AttemptId, failure: &Failure) {
        self.say(recover::failed(id, &failure.code)).await;
    }

    async fn say(&self, body: report::Body) {
        if self.line.reports.try_send(body).is_err() {
            tracing::warn!("the line to the coordinator is full or gone: a report was dropped");
        }
    }

    /// What the coordinator may not have heard: a line that breaks takes with it what was on its way.
    async fn say_again(&self) {
        match self.desk.last_words() {
            Ok(words) => {
                for body in words {
                    self.say(body).await;
                }
            }
            Err(failure) => tracing::error!(detail = failure.detail, "the store cannot be read"),
        }
    }

    async fn shut_down(&mut self) {
        let ids: Vec<AttemptId> = self.running.keys().copied().collect();
        for id in ids {
            self.stop(id, Failure::new("stopped", "the node was shut down during the attempt"));
        }
        while let Some(done) = self.tasks.join_next().await {
            if let Ok((id, outcome)) = done {
                self.finish(id, outcome).await;
            }
        }
    }
}

/// What the coordinator says of an attempt.
struct Orders {
    admissions: Vec<Vec<u8>>,
    /// It goes on with an earlier one, or ends.
    going_on: bool,
    go: oneshot::Receiver<()>,
}

/// Prepare, wait for the others, run, hold, release; each phase is told to the coordinator.
async fn one_attempt(
    desk: Arc<Desk>,
    id: AttemptId,
    orders: Orders,
    live: Arc<Live>,
    reports: mpsc::Sender<report::Body>,
) -> Result<RunMetrics, Failure> {
    let phase = |phase: Phase| {
        desk.phase(id, phase);
        let _ = reports.try_send(recover::phase(id, phase));
    };
    let cpu_before = crate::usage::now().cpu_ms;
    let prepared = Prepared::prepare(&desk, id, &orders.admissions, orders.going_on).await?;
    phase(Phase::Prepared);
    orders.go.await.map_err(|_| Failure::new("stopped", "the node stopped"))?;
    phase(Phase::Running);
    let held = {
        let run = prepared.run(&desk, &live);
        tokio::pin!(run);
        let mut tick = tokio::time::interval(PROGRESS_EVERY);
        loop {
            tokio::select! {
                held = &mut run => break held?,
                _ = tick.tick() => tell_progress(&desk, id, &live, &reports),
            }
        }
    };
    tell_progress(&desk, id, &live, &reports);
    phase(Phase::Held);
    let metrics = held.release(&desk, cpu_before).await?;
    phase(Phase::Released);
    Ok(metrics)
}

fn tell_progress(desk: &Desk, id: AttemptId, live: &Live, reports: &mpsc::Sender<report::Body>) {
    let Some(progress) = live.progress() else { return };
    desk.progress(id, progress);
    // while the line is down, endings need the room
    if reports.capacity() <= REPORTS_MAX / 2 {
        return;
    }
    let (job, Progress { done, total, bytes }) = (id.job.0.to_vec().into(), progress);
    let progress = wire::Progress { job, attempt: id.attempt, done, total, bytes_out: bytes };
    let _ = reports.try_send(report::Body::Progress(progress));
}

fn attempt_id(job: &[u8], attempt: u32) -> Option<AttemptId> {
    Some(AttemptId { job: Digest::try_from(job).ok()?, attempt })
}
