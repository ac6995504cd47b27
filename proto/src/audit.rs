//! Evidence: the record of every act, the hash chain and Merkle checkpoints over them, in a shape both sides can verify.

use banyan_protocols::party::PartyId;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::canonical::{Canonical, Digest};
use crate::job::When;

/// One act at one node: digests and counts, never values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Position in the log, from 0.
    pub seq: u64,
    /// When, by the node's clock.
    pub at: When,
    /// Who acted: `node`, `approver ed25519:…`, `peer bank`, `coordinator`.
    pub actor: String,
    /// What was done.
    pub act: Act,
    /// On what: the digest of a spec, scenario, snapshot or commitment; zero where there is none.
    pub subject: Digest,
    /// How it ended, or a few words: a code, counts, never a value.
    pub outcome: String,
    /// The digest of the record before; zero at the first.
    pub prev: Digest,
}

impl Canonical for Record {
    const DOMAIN: &'static str = "banyan/record/v1";
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// The log was begun.
    Begin,
    /// The daemon started.
    Start,
    /// The daemon stopped.
    Stop,
    /// A peer's key was pinned or unpinned.
    Pin,
    /// A data set was registered or removed.
    Register,
    /// A job was offered.
    Offer,
    /// An approver decided on a scenario.
    Approve,
    /// The policy decided on a job.
    Decide,
    /// A scenario was revoked, or everything was halted or resumed.
    Halt,
    /// A run was spent.
    Spend,
    /// Input was read into a snapshot.
    Snapshot,
    /// A protocol was started.
    Run,
    /// A result is held.
    Hold,
    /// A result was released.
    Release,
    /// An attempt ended without a result.
    Fail,
    /// A peer's receipt was kept.
    Receipt,
}

/// A node's signed word on its log: as a receipt, it lets others notice when history changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose log.
    pub party: PartyId,
    /// How many records.
    pub size: u64,
    /// The RFC 6962 Merkle root over the records' canonical bytes.
    pub root: Digest,
    /// The digest of the last record.
    pub head: Digest,
    /// When.
    pub at: When,
}

impl Canonical for Checkpoint {
    const DOMAIN: &'static str = "banyan/checkpoint/v1";
}

/// Where a log breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLog {
    /// A record that is not canonical.
    #[error("record {seq} was changed: it is not canonical")]
    Encoding {
        /// Its position.
        seq: u64,
    },
    /// A record out of place.
    #[error("record {seq} says it is number {found}: records were removed, added or reordered")]
    Position {
        /// Its position.
        seq: u64,
        /// The position it claims.
        found: u64,
    },
    /// A record that does not follow the one before it.
    #[error("record {seq} does not follow the one before it: one of the two was changed")]
    Chain {
        /// Its position.
        seq: u64,
    },
    /// Fewer records than a checkpoint covers.
    #[error("the log has {found} records, a signed checkpoint covers {expected}: the end was cut off")]
    Truncated {
        /// Records there are.
        found: u64,
        /// Records there were.
        expected: u64,
    },
    /// Another tree than the checkpoint's.
    #[error("the first {size} records are not those that the signed checkpoint covers: history was rewritten")]
    Root {
        /// The size of the checkpoint.
        size: u64,
    },
}

/// The records of one log, checked as they are added: position, chain, Merkle tree.
pub struct Ledger {
    tree: MemoryBackedTree<Sha256, Vec<u8>>,
    head: Digest,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { tree: MemoryBackedTree::new(), head: Digest::default() }
    }
}

impl Ledger {
    /// How many records.
    pub fn size(&self) -> u64 {
        self.tree.len()
    }

    /// The digest of the last record; zero before the first.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// The Merkle root over all records.
    pub fn root(&self) -> Digest {
        Digest((*self.tree.root().as_bytes()).into())
    }

    /// Adds the canonical bytes of the next record and gives the record.
    ///
    /// # Errors
    /// [`BrokenLog`] where they do not continue this log.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Record, BrokenLog> {
        let seq = self.size();
        let record = Record::from_bytes(bytes).map_err(|_| BrokenLog::Encoding { seq })?;
        if record.seq != seq {
            return Err(BrokenLog::Position { seq, found: record.seq });
        }
        if record.prev != self.head {
            return Err(BrokenLog::Chain { seq });
        }
        self.head = Digest::of(Record::DOMAIN, bytes);
        self.tree.push(bytes.to_vec());
        Ok(record)
    }

    /// The checkpoint over all records so far.
    pub fn checkpoint(&self, party: PartyId, at: When) -> Checkpoint {
        Checkpoint { party, size: self.size(), root: self.root(), head: self.head, at }
    }
}

/// Checks a whole log, as lines of canonical bytes, against signed checkpoints of it that were verified before.
///
/// # Errors
/// [`BrokenLog`] names the first place where it breaks.
pub fn verify<'a>(lines: impl Iterator<Item = &'a [u8]>, checkpoints: &[Checkpoint]) -> Result<Ledger, BrokenLog> {
    let mut due: Vec<&Checkpoint> = checkpoints.iter().collect();
    due.sort_by_key(|checkpoint| checkpoint.size);
    let mut due = due.into_iter().peekable();
    let mut ledger = Ledger::default();
    let mut meet = |ledger: &Ledger| {
        while let Some(checkpoint) = due.next_if(|checkpoint| checkpoint.size == ledger.size()) {
            if checkpoint.root != ledger.root() || checkpoint.head != ledger.head() {
                return Err(BrokenLog::Root { size: checkpoint.size });
            }
        }
        Ok(due.peek().map(|checkpoint| checkpoint.size))
    };
    meet(&ledger)?;
    for line in lines {
        ledger.push(line)?;
        meet(&ledger)?;
    }
    match meet(&ledger)? {
        Some(expected) => Err(BrokenLog::Truncated { found: ledger.size(), expected }),
        None => Ok(ledger),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(records: u64) -> Vec<Vec<u8>> {
        let mut ledger = Ledger::default();
        let mut lines = Vec::new();
        for seq in 0..records {
            let record = Record {
                seq,
                at: "2026-11-21T00:00:00Z".parse().unwrap(),
                actor: "node".into(),
                act: Act::Run,
                subject: Digest([seq as u8; 32]),
                outcome: "ok".into(),
                prev: ledger.head(),
            };
            lines.push(record.to_bytes());
            ledger.push(&lines[seq as usize]).unwrap();
        }
        lines
    }

    fn checkpoint(lines: &[Vec<u8>]) -> Checkpoint {
        let ledger = verify(lines.iter().map(Vec::as_slice), &[]).unwrap();
        ledger.checkpoint(PartyId::new("bank").unwrap(), "2026-11-21T00:00:00Z".parse().unwrap())
    }

    fn check(lines: &[Vec<u8>], checkpoints: &[Checkpoint]) -> Result<u64, BrokenLog> {
        verify(lines.iter().map(Vec::as_slice), checkpoints).map(|ledger| ledger.size())
    }

    #[test]
    fn a_log_holds_against_earlier_and_latest_checkpoints() {
        let lines = log(9);
        assert_eq!(check(&lines, &[checkpoint(&lines), checkpoint(&lines[..4]), checkpoint(&[])]), Ok(9));
    }

    #[test]
    fn edits_deletions_swaps_and_cuts_are_found() {
        let lines = log(9);
        let latest = [checkpoint(&lines)];
        for at in 0..lines[3].len() {
            let mut edited = lines.clone();
            edited[3][at] ^= 1;
            assert!(check(&edited, &latest).is_err(), "byte {at}");
        }
        let mut deleted = lines.clone();
        deleted.remove(3);
        assert_eq!(check(&deleted, &latest), Err(BrokenLog::Position { seq: 3, found: 4 }));
        let mut swapped = lines.clone();
        swapped.swap(3, 4);
        assert_eq!(check(&swapped, &latest), Err(BrokenLog::Position { seq: 3, found: 4 }));
        assert_eq!(check(&lines[..8], &latest), Err(BrokenLog::Truncated { found: 8, expected: 9 }));
    }

    #[test]
    fn a_rewritten_history_is_found_by_a_checkpoint_others_hold() {
        let lines = log(9);
        let receipt = checkpoint(&lines[..5]);
        let mut ledger = Ledger::default();
        let rewritten: Vec<Vec<u8>> = lines
            .iter()
            .map(|line| {
                let mut record = Record::from_bytes(line).unwrap();
                record.prev = ledger.head();
                record.outcome = "denied".into();
                let line = record.to_bytes();
                ledger.push(&line).unwrap();
                line
            })
            .collect();
        assert_eq!(check(&rewritten, &[]), Ok(9), "alone it looks whole");
        assert_eq!(check(&rewritten, &[receipt]), Err(BrokenLog::Root { size: 5 }));
    }
}
