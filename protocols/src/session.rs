//! One run of one protocol: who, where in the protocol, randomness, and local compute. Cheap to clone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::channel::Channel;
use crate::compute::{Compute, Stop, run_on};
use crate::error::{Bug, Error, Fault, Result};
use crate::party::{PartyId, Role, Roster};
use crate::transport::{Step, Transport};

/// Chunks of one step under way at once: one on the wire, one on the cores, one waiting.
pub const CHUNKS_IN_FLIGHT: usize = 3;

/// The cryptographically strong generator that [`Session::rng`] gives.
pub type SessionRng = ChaCha20Rng;

/// Names one attempt of one task of one job. It hashes what everyone approved, and enters every key and hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// SHA-256 over the digest of the spec, the task's number and the attempt.
    pub fn derive(spec_digest: &[u8; 32], task: u32, attempt: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"banyan/session/v1\0");
        hash.update(spec_digest);
        hash.update(task.to_le_bytes());
        hash.update(attempt.to_le_bytes());
        Self(hash.finalize().into())
    }

    /// An id from its bytes, as a peer states it.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}{:02x}…", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// Everything a session is made of.
pub struct SessionParts {
    /// Names the attempt.
    pub id: SessionId,
    /// This party.
    pub me: PartyId,
    /// Everyone, with roles.
    pub roster: Roster,
    /// Links to the others.
    pub transport: Arc<dyn Transport>,
    /// Local compute.
    pub compute: Arc<dyn Compute>,
    /// Fresh randomness of this party and attempt, 256 bits from the operating system. Never stored, never used again.
    pub seed: Zeroizing<[u8; 32]>,
}

/// One run of one protocol, at one step of it.
#[derive(Clone)]
pub struct Session {
    run: Arc<Run>,
    step: Step,
}

struct Run {
    parts: SessionParts,
    meter: Arc<Meter>,
    labels: Mutex<BTreeMap<String, u64>>,
}

/// What a session has sent and received: frames with headers, before sealing.
#[derive(Debug, Default)]
pub struct Meter {
    pub(crate) bytes_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) work: AtomicU64,
}

impl Meter {
    /// Bytes sent so far.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// Bytes received so far.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Group operations done so far, against [`crate::catalogue::Cost::group_ops`].
    pub fn group_ops(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Work done so far, against [`crate::catalogue::Protocol::work`]: this is what progress shows.
    pub fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }
}

impl Session {
    /// A session at the root step `name` of a protocol.
    pub fn new(name: &str, parts: SessionParts) -> Self {
        let run = Run { parts, meter: Arc::default(), labels: Mutex::default() };
        Self { run: Arc::new(run), step: Step::root(name) }
    }

    /// Names the attempt.
    pub fn id(&self) -> SessionId {
        self.run.parts.id
    }

    /// This party.
    pub fn me(&self) -> &PartyId {
        &self.run.parts.me
    }

    /// Everyone, with roles.
    pub fn roster(&self) -> &Roster {
        &self.run.parts.roster
    }

    /// Who plays `role`.
    ///
    /// # Errors
    /// [`Error::Bug`] where nobody does: the plan made a roster that does not fit the protocol.
    pub fn holder(&self, role: Role) -> Result<&PartyId> {
        self.roster().holder(role).ok_or(Error::Bug(Bug("the roster lacks a role of the protocol")))
    }

    /// A deviation of `party` at this step, for checks that a protocol makes on a message's content.
    pub fn deviation(&self, party: &PartyId, fault: Fault) -> Error {
        Error::Deviation { party: party.clone(), step: self.step.clone(), fault }
    }

    /// What went over the wire so far, in all steps.
    pub fn meter(&self) -> Arc<Meter> {
        self.run.meter.clone()
    }

    /// The session at a step below this one.
    pub fn step(&self, name: impl fmt::Display) -> Self {
        Self { run: self.run.clone(), step: self.step.child(name) }
    }

    /// The channel to `peer` at this step. A step is opened once.
    ///
    /// # Errors
    /// [`Error::Link`] where the step was opened before or the peer is not in this run.
    pub fn channel(&self, peer: &PartyId) -> Result<Channel> {
        match self.run.parts.transport.open(peer, &self.step) {
            Ok(link) => Ok(Channel::new(peer.clone(), self.step.clone(), link, self.run.meter.clone())),
            Err(error) => Err(Error::Link { party: peer.clone(), step: self.step.clone(), error }),
        }
    }

    /// SHA-256 over the attempt, this step and `label`: what every hash and fixed key of a protocol starts from, so that no
    /// two runs, steps or uses have one in common. Both ends of a step get the same.
    pub fn binding(&self, label: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"banyan/binding/v1\0");
        hash.update(self.run.parts.id.as_bytes());
        hash.update(self.step.as_str());
        hash.update([0]);
        hash.update(label);
        hash.finalize().into()
    }

    /// A generator of its own for `label` at this step: SHA-256 over the attempt's seed, the session, the step, the label
    /// and how often that label was asked for, so that two uses never meet and a test can replay them.
    pub fn rng(&self, label: &str) -> SessionRng {
        let path = format!("{}\0{label}", self.step);
        let use_number = {
            let mut labels = self.run.labels.lock().unwrap_or_else(PoisonError::into_inner);
            let count = labels.entry(path.clone()).or_insert(0);
            *count += 1;
            *count
        };
        let mut hash = Sha256::new();
        hash.update(b"banyan/rng/v1\0");
        hash.update(self.run.parts.seed.as_slice());
        hash.update(self.run.parts.id.as_bytes());
        hash.update(self.run.parts.me.as_str().as_bytes());
        hash.update([0]);
        hash.update(path.as_bytes());
        hash.update([0]);
        hash.update(use_number.to_le_bytes());
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
        ChaCha20Rng::from_seed(*seed)
    }

    /// Runs local work on the pool and waits for its value. Dropping the future stops what has not started.
    ///
    /// # Errors
    /// [`Error::Bug`] where the work panicked, [`Error::Cancelled`] where the pool is gone.
    pub async fn compute<T: Send + 'static>(&self, local: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        run_on(&*self.run.parts.compute, |_| local()).await
    }

    /// Runs local work over a whole set, longer than a batch, which asks [`Stop`] at each element. Dropping the future stops
    /// it.
    ///
    /// # Errors
    /// As [`Session::compute`], and what `local` answers.
    pub async fn compute_long<T: Send + 'static>(
        &self,
        local: impl FnOnce(&Stop<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        run_on(&*self.run.parts.compute, local).await?
    }

    /// Counts group operations done, for progress and for the test that compares cost with its declaration.
    pub fn count_group_ops(&self, done: u64) {
        self.run.meter.done.fetch_add(done, Ordering::Relaxed);
        self.count_work(done);
    }

    /// Counts work done that is no group operation, for progress.
    pub fn count_work(&self, done: u64) {
        self.run.meter.work.fetch_add(done, Ordering::Relaxed);
    }
}
