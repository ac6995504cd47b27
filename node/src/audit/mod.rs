//! The audit log of a node: `audit/log.jsonl`, one record per line, and `audit/checkpoint`, this node's signature over it.
//!
//! A record is on the disk before its act: [`Log::append`] returns after the line and the checkpoint over it are
//! synchronised, and what it refuses must not be done. The daemon and the commands append at once: a lock on the file
//! orders them, and each takes in what the others wrote before it goes on.
//!
//! Not claimed: whoever holds this node's key can write another history and sign it. What finds that is a receipt, a
//! checkpoint of this log that another party kept: see [`verify`].

mod error;
mod files;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use banyan_proto::audit::{Act, Checkpoint, Ledger, Record};
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::identity::{Identity, Signed};
use banyan_proto::job::When;
use banyan_protocols::party::PartyId;
use jiff::Timestamp;

pub use error::AuditError;
pub use verify::{Verified, contradiction, own_checkpoint, receipts_in, records, verify};

use self::files::{Durable, Locked};
use crate::config::Home;
use crate::{disk, keys};

/// The most records of one log: a hundred jobs a day for two years. They are held in memory, about 0.5 KB each.
pub const RECORDS_MAX: u64 = 1 << 20;
/// The longest actor and outcome in characters: codes and counts, never content.
const WORDS_MAX: usize = 512;

/// A handle on the log of one home. Handles in any number of threads and processes keep one chain.
pub struct Log {
    party: PartyId,
    identity: Identity,
    log: PathBuf,
    checkpoint: PathBuf,
    state: Mutex<State>,
}

/// What this handle has seen of the file.
struct State {
    file: File,
    /// The same file, to write to: apart, so that a test can let the disk be full.
    out: Box<dyn Durable>,
    ledger: Ledger,
    /// The bytes of the records in the ledger.
    length: u64,
    /// How many records the signed checkpoint covers.
    covered: u64,
    /// Runs that were spent, by subject.
    spends: BTreeMap<Digest, u32>,
}

impl Log {
    /// Opens the log of `home`, and begins it where there is none. The whole log is checked against its checkpoint. A
    /// last line that was torn by a kill was never acknowledged: it is cut, and that is recorded.
    ///
    /// # Errors
    /// [`AuditError::Broken`] where history was changed: nothing may run then. Else as the disk and the key say.
    pub fn open(home: &Home, party: &PartyId) -> Result<Self, AuditError> {
        let (log, checkpoint) = (home.log(), home.checkpoint());
        let identity = keys::identity(home)?;
        disk::create_private_dir(&home.audit()).map_err(|error| AuditError::file(&log, error))?;
        let file = files::open(&log).map_err(|error| AuditError::file(&log, error))?;
        let out = Box::new(file.try_clone().map_err(|error| AuditError::file(&log, error))?);
        let (ledger, spends) = (Ledger::default(), BTreeMap::new());
        let state = Mutex::new(State { file, out, ledger, length: 0, covered: 0, spends });
        let this = Self { party: party.clone(), identity, log, checkpoint, state };
        this.locked(|state| match state.ledger.size() {
            0 => this.add(state, "node", Act::Begin, Digest::default(), &this.identity.public().to_string()).map(drop),
            _ => Ok(()),
        })?;
        Ok(this)
    }

    /// Puts an act on the record: what was done to `subject` by `actor`, and how it ended, as codes and counts. Durable,
    /// and covered by the signed checkpoint, when it returns.
    ///
    /// # Errors
    /// Any error means that the act must not happen. The log is valid all the same.
    pub fn append(&self, actor: &str, act: Act, subject: Digest, outcome: &str) -> Result<Record, AuditError> {
        self.locked(|state| self.add(state, actor, act, subject, outcome))
    }

    /// This node's signed word on its log as it stands: the receipt that others keep.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn checkpoint(&self) -> Result<Signed<Checkpoint>, AuditError> {
        self.locked(|state| Ok(self.identity.sign(&state.ledger.checkpoint(self.party.clone(), now()))))
    }

    /// How many records this handle has seen.
    pub fn size(&self) -> u64 {
        self.state().ledger.size()
    }

    /// How many times [`Act::Spend`] was recorded of `subject`: it stands even if the database is put back from a backup.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn spends(&self, subject: &Digest) -> Result<u32, AuditError> {
        self.locked(|state| Ok(state.spends.get(subject).copied().unwrap_or(0)))
    }
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` while no other handle reads or writes, after taking in what they wrote before.
    fn locked<T>(&self, act: impl FnOnce(&mut State) -> Result<T, AuditError>) -> Result<T, AuditError> {
        let mut state = self.state();
        let handle = state.file.try_clone().map_err(|error| AuditError::file(&self.log, error))?;
        let _lock = Locked::new(handle).map_err(|error| AuditError::file(&self.log, error))?;
        let torn = self.catch_up(&mut state)?;
        if torn > 0 {
            let outcome =
                format!("a torn last line of {torn} bytes was cut: its writer was killed before it was durable");
            self.add(&mut state, "node", Act::Start, Digest::default(), &outcome)?;
        }
        act(&mut state)
    }

    /// Takes in the records that others appended; gives the length of a torn line that was cut.
    fn catch_up(&self, state: &mut State) -> Result<u64, AuditError> {
        let length = files::length_of_same(&self.log, &state.file)?;
        if length < state.length {
            let found = format!("{length} bytes instead of {}", state.length);
            return Err(AuditError::Replaced { file: self.log.clone(), found });
        }
        if length == state.length && state.ledger.size() > 0 {
            return Ok(0);
        }
        let signed = files::read_checkpoint(&self.checkpoint)?;
        let checkpoint = signed.map(|signed| self.own(&signed)).transpose()?;
        let bytes =
            files::read_from(&mut state.file, state.length, length).map_err(|e| AuditError::file(&self.log, e))?;
        let (whole, torn) = files::split_torn(&bytes);
        verify::meets(&state.ledger, checkpoint.as_ref()).map_err(|broken| AuditError::broken(&self.log, broken))?;
        for line in files::lines(whole) {
            let record = state.ledger.push(line).map_err(|broken| AuditError::broken(&self.log, broken))?;
            state.length += line.len() as u64 + 1;
            state.count(&record);
            verify::meets(&state.ledger, checkpoint.as_ref())
                .map_err(|broken| AuditError::broken(&self.log, broken))?;
        }
        state.covered = verify::covered(&self.log, &state.ledger, checkpoint.as_ref())?;
        if torn > 0 {
            state.out.cut(state.length).map_err(|error| AuditError::file(&self.log, error))?;
        }
        Ok(torn)
    }

    fn own(&self, signed: &Signed<Checkpoint>) -> Result<Checkpoint, AuditError> {
        let checkpoint =
            signed.verify(&self.identity.public()).map_err(|e| AuditError::checkpoint(&self.checkpoint, e))?;
        match checkpoint.party == self.party {
            true => Ok(checkpoint),
            false => Err(AuditError::OtherParty { file: self.checkpoint.clone(), found: checkpoint.party }),
        }
    }

    fn add(
        &self,
        state: &mut State,
        actor: &str,
        act: Act,
        subject: Digest,
        outcome: &str,
    ) -> Result<Record, AuditError> {
        if state.covered < state.ledger.size() {
            self.cover(state)?; // a kill came between a line and its checkpoint: at most one line is ever uncovered
        }
        if state.ledger.size() >= RECORDS_MAX {
            return Err(AuditError::Full { file: self.log.clone() });
        }
        let (seq, prev) = (state.ledger.size(), state.ledger.head());
        let record = Record { seq, at: now(), actor: cut(actor), act, subject, outcome: cut(outcome), prev };
        let mut line = record.to_bytes();
        line.push(b'\n');
        if let Err(error) = state.out.put(&line) {
            // what was written of the line goes; where even that fails, the next writer finds it torn and cuts it
            let _ = state.out.cut(state.length);
            return Err(AuditError::file(&self.log, error));
        }
        state.ledger.push(&line[..line.len() - 1]).map_err(|broken| AuditError::broken(&self.log, broken))?;
        state.length += line.len() as u64;
        state.count(&record);
        self.cover(state)?;
        Ok(record)
    }

    /// Signs the log as it stands.
    fn cover(&self, state: &mut State) -> Result<(), AuditError> {
        let signed = self.identity.sign(&state.ledger.checkpoint(self.party.clone(), now()));
        files::write_checkpoint(&self.checkpoint, &signed)
            .map_err(|error| AuditError::file(&self.checkpoint, error))?;
        state.covered = state.ledger.size();
        Ok(())
    }
}

impl State {
    fn count(&mut self, record: &Record) {
        if record.act == Act::Spend {
            *self.spends.entry(record.subject).or_default() += 1;
        }
    }
}

fn now() -> When {
    When(Timestamp::now())
}

fn cut(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}
