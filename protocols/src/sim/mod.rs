//! `World`: one program per party over memory links with a virtual clock, in one thread and without a runtime.
//!
//! It is a discrete-event simulation. Parties are polled until all wait; then the clock moves to the next event: a frame
//! has left, a frame arrives, a job has ended. What it models:
//!
//! - **Lines.** One line per direction between two parties, shared by all steps: frames queue for its bandwidth and
//!   arrive after the latency. Sending waits until the frame has left, and while `capacity` arrived frames of that step
//!   are unread. Frames in flight do not count, so latency alone never blocks; two plain sends that face each other do,
//!   and both parties are told that the other went silent.
//! - **Processors.** Jobs given to `Session::compute` run on this machine one at a time, on one core, and their time is
//!   charged to the party's own virtual processor: one machine does not count as two. What a program does between its
//!   awaits is free, so heavy work belongs in jobs. Without [`World::charged_compute`] jobs are free too and runs repeat
//!   exactly.
//! - **Schedules.** The order of polling, of simultaneous events and a delay per frame come from a seed.
//! - **Attackers.** A [`Tamper`] edits a named frame on its way; a [`Transcript`] is recorded, compared and replayed.
//!
//! Not modelled: congestion, loss and retransmission, window limits of a real transport, several cores per party.

mod events;
mod link;
mod net;
mod report;
mod tamper;
mod wires;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Bug, Error, Result};
use crate::party::{PartyId, Role, Roster};
use crate::session::{Meter, Session, SessionId, SessionParts};

use events::{Event, Events};
use link::{Place, Shared, lock};
use wires::State;

pub use net::Net;
pub use report::{PartyReport, Report, Run, StreamReport};
pub use tamper::{Edit, Recorded, Tamper, Transcript};

/// Unread frames that a wire holds before its sender waits, unless said otherwise.
pub const CAPACITY: usize = 4;

/// Reads a clock that only moves forward: the caller's, since this crate knows none.
pub type Clock = fn() -> Duration;

/// How a run goes: everything that follows from it follows from its seed.
#[derive(Clone, Debug)]
pub struct World {
    root: String,
    seed: u64,
    schedule: u64,
    attempt: u32,
    net: Net,
    jitter: Duration,
    capacity: usize,
    charged: Option<Clock>,
    record: bool,
    tampers: Vec<Tamper>,
}

impl World {
    /// A world for the protocol whose root step is `root`, over [`Net::INSTANT`], with every choice drawn from `seed`.
    pub fn new(root: &str, seed: u64) -> Self {
        Self {
            root: root.into(),
            seed,
            schedule: seed,
            attempt: 0,
            net: Net::INSTANT,
            jitter: Duration::ZERO,
            capacity: CAPACITY,
            charged: None,
            record: false,
            tampers: Vec::new(),
        }
    }

    /// Over another network.
    #[must_use]
    pub fn net(self, net: Net) -> Self {
        Self { net, ..self }
    }

    /// With another order of polling and of simultaneous events, and the same keys and randomness of the parties.
    #[must_use]
    pub fn schedule(self, schedule: u64) -> Self {
        Self { schedule, ..self }
    }

    /// As another attempt: another session, with other keys and randomness.
    #[must_use]
    pub fn attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    /// With a delay per frame between zero and `most`. Frames of one step and direction keep their order.
    #[must_use]
    pub fn jitter(self, most: Duration) -> Self {
        Self { jitter: most, ..self }
    }

    /// With another bound on unread frames per wire, at least 1.
    #[must_use]
    pub fn capacity(self, frames: usize) -> Self {
        Self { capacity: frames.max(1), ..self }
    }

    /// Charges each job's time to its party, as `clock` measures it on the thread the job runs on: the thread's processor
    /// time, where other programs run on this machine. Without this, computing is free.
    #[must_use]
    pub fn charged_compute(self, clock: Clock) -> Self {
        Self { charged: Some(clock), ..self }
    }

    /// Keeps every frame sent in [`Run::transcript`].
    #[must_use]
    pub fn record(self) -> Self {
        Self { record: true, ..self }
    }

    /// With an attacker on the network.
    #[must_use]
    pub fn tamper(mut self, tamper: Tamper) -> Self {
        self.tampers.push(tamper);
        self
    }

    /// With an attacker who replaces every frame by the one at its place in a recorded run.
    #[must_use]
    pub fn replay(mut self, transcript: &Transcript) -> Self {
        let again = |frame: &Recorded| frame.tampered(Edit::Splice(frame.sealed.clone()));
        self.tampers.extend(transcript.frames().iter().map(again));
        self
    }

    /// Runs `program` once per party of `roster`, each with a session of its own, until all have ended. Never hangs: where
    /// nothing can happen any more, whoever waits is told that its peer went silent.
    pub fn run<T, F>(&self, roster: &Roster, mut program: impl FnMut(Session, Role) -> F) -> Run<T>
    where
        F: Future<Output = Result<T>>,
    {
        let names: Vec<PartyId> = roster.iter().map(|(party, _)| party.clone()).collect();
        let events = Events::new(ChaCha20Rng::from_seed(self.derive("schedule", self.schedule, "")));
        let state: Shared = Arc::new(Mutex::new(State::new(self.clone(), names, events)));
        let mut tasks: Vec<Task<F, T>> = roster
            .iter()
            .enumerate()
            .map(|(index, (party, role))| {
                let session = self.session(&state, index, party, roster);
                let meter = session.meter();
                let program = Some(Box::pin(program(session, role)));
                Task {
                    party: party.clone(),
                    program,
                    woken: Woken::new(),
                    meter,
                    outcome: None,
                    finished: Duration::ZERO,
                }
            })
            .collect();

        while tasks.iter().any(|task| task.outcome.is_none()) {
            poll_until_all_wait(&state, &mut tasks);
            self.start_jobs(&state);
            let mut world = lock(&state);
            match world.events.next() {
                Some(event) => world.apply(event),
                None if !world.silent => world.fall_silent(),
                None => {
                    drop(world);
                    tasks.iter_mut().for_each(Task::give_up);
                }
            }
        }
        self.finish(&state, tasks)
    }

    fn session(&self, state: &Shared, index: usize, party: &PartyId, roster: &Roster) -> Session {
        let id = SessionId::derive(&self.derive("spec", self.seed, ""), 0, self.attempt);
        let place = Arc::new(Place { state: state.clone(), party: index, session: id });
        let parts = SessionParts {
            id,
            me: party.clone(),
            roster: roster.clone(),
            transport: place.clone(),
            compute: place,
            seed: Zeroizing::new(self.derive("party", self.seed ^ (u64::from(self.attempt) << 32), party.as_str())),
        };
        Session::new(&self.root, parts)
    }

    fn derive(&self, label: &str, seed: u64, party: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"banyan/sim/v1\0");
        hash.update(label.as_bytes());
        hash.update(seed.to_le_bytes());
        hash.update(party.as_bytes());
        hash.finalize().into()
    }

    /// Gives every idle processor its next job. All of them start at this moment of virtual time; on this machine they run
    /// one after another.
    fn start_jobs(&self, state: &Shared) {
        let parties = lock(state).processors.len();
        for party in 0..parties {
            let next = {
                let mut world = lock(state);
                let processor = &mut world.processors[party];
                if processor.running.is_some() { None } else { processor.queue.pop_front() }
            };
            let Some((job, done)) = next else { continue };
            let cost = if done.is_canceled() { Duration::ZERO } else { self.run_job(job) };
            let mut world = lock(state);
            world.processors[party].spent += cost;
            world.processors[party].running = Some(done);
            let ended = world.events.now() + cost;
            world.events.at(ended, Event::Computed { party });
        }
    }

    fn run_job(&self, job: crate::compute::Job) -> Duration {
        let Some(clock) = self.charged else {
            job();
            return Duration::ZERO;
        };
        one_core().install(|| {
            let start = clock();
            job();
            clock().saturating_sub(start)
        })
    }

    fn finish<T, F>(&self, state: &Shared, tasks: Vec<Task<F, T>>) -> Run<T> {
        let mut world = lock(state);
        let report = |(index, task): (usize, &Task<F, T>)| PartyReport {
            party: task.party.clone(),
            finished: task.finished,
            bytes_out: task.meter.bytes_out(),
            bytes_in: task.meter.bytes_in(),
            group_ops: task.meter.group_ops(),
            work: task.meter.work(),
            compute: world.processors[index].spent,
        };
        let parties: Vec<PartyReport> = tasks.iter().enumerate().map(report).collect();
        let elapsed = parties.iter().map(|party| party.finished).max().unwrap_or_default();
        let report = Report { net: self.net, elapsed, parties, streams: world.streams() };
        let transcript = std::mem::take(&mut world.transcript);
        drop(world);
        let outcome = |task: Task<F, T>| (task.party, task.outcome.unwrap_or(Err(Error::Cancelled)));
        Run { outcomes: tasks.into_iter().map(outcome).collect(), report, transcript }
    }
}

struct Task<F, T> {
    party: PartyId,
    program: Option<Pin<Box<F>>>,
    woken: Arc<Woken>,
    meter: Arc<Meter>,
    outcome: Option<Result<T>>,
    finished: Duration,
}

impl<F: Future<Output = Result<T>>, T> Task<F, T> {
    /// Polls once; on the end, drops the program with its links, so that peers see it leave.
    fn poll(&mut self, state: &Shared, party: usize) {
        let Some(program) = self.program.as_mut() else { return };
        let waker = Waker::from(self.woken.clone());
        if let Poll::Ready(outcome) = program.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.outcome = Some(outcome);
            self.program = None;
            let mut world = lock(state);
            self.finished = world.events.now();
            world.leave(party);
        }
    }

    fn give_up(&mut self) {
        if self.program.take().is_some() {
            self.outcome = Some(Err(Error::Bug(Bug("the program waits for something outside the world"))));
        }
    }
}

/// Whether a program has been woken since it was last polled.
struct Woken(AtomicBool);

impl Woken {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn poll_until_all_wait<T, F: Future<Output = Result<T>>>(state: &Shared, tasks: &mut [Task<F, T>]) {
    loop {
        let awake = |task: &Task<F, T>| task.program.is_some() && task.woken.0.load(Ordering::Acquire);
        let woken: Vec<usize> = (0..tasks.len()).filter(|index| awake(&tasks[*index])).collect();
        if woken.is_empty() {
            return;
        }
        let party = woken[lock(state).events.choose(woken.len())];
        tasks[party].woken.0.store(false, Ordering::Release);
        tasks[party].poll(state, party);
    }
}

/// The one core on which charged jobs run, so that kernels that use several cores are charged for their whole work. Jobs
/// of worlds in other threads wait for it too.
fn one_core() -> &'static rayon::ThreadPool {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    POOL.get_or_init(|| match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool,
        Err(error) => panic!("the system gave no thread for the simulated processor: {error}"),
    })
}
