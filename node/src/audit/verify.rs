//! The check of a log off line, by anyone with the node's public key and the receipts that others kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use banyan_proto::audit::{self, BrokenLog, Checkpoint, Ledger, Record};
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::evidence::Manifest;
use banyan_proto::identity::{PublicKey, Signed};
use banyan_proto::job::When;
use banyan_protocols::party::PartyId;
use data_encoding::BASE64;

use super::AuditError;
use super::files::{self, Locked};

/// What a check found: the log is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose log.
    pub party: PartyId,
    /// How many records.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Digest,
    /// When the last one was written; none in an empty log.
    pub last: Option<When>,
    /// How many receipts of others it agrees with. Without any, a history that was written anew and signed with the
    /// node's own key would not be noticed.
    pub receipts: usize,
    /// Bytes of a last line that a kill tore: never acknowledged, cut at the next start.
    pub torn: u64,
}

/// Checks the log and checkpoint in `directory` (`audit/` of a home, or a copy of it) against the node's public key and
/// `receipts`, checkpoints of this log that others kept. Changes nothing. A log that is being written is waited for.
///
/// # Errors
/// [`AuditError`] names the first edit, deletion, reordering, cut or fork.
pub fn verify(directory: &Path, key: &PublicKey, receipts: &[Signed<Checkpoint>]) -> Result<Verified, AuditError> {
    let (log, path) = paths(directory);
    let (bytes, own) = read(&log, &path)?;
    let own = own.map(|own| own.verify(key).map_err(|error| AuditError::checkpoint(&path, error))).transpose()?;
    let mut checkpoints = Vec::from_iter(own.clone());
    for receipt in receipts {
        let receipt = receipt.verify(key).map_err(|error| AuditError::checkpoint(Path::new("receipt"), error))?;
        if own.as_ref().is_some_and(|own| own.party != receipt.party) {
            return Err(AuditError::OtherParty { file: "receipt".into(), found: receipt.party });
        }
        checkpoints.push(receipt);
    }
    let (whole, torn) = files::split_torn(&bytes);
    let ledger = audit::verify(files::lines(whole), &checkpoints).map_err(|broken| AuditError::broken(&log, broken))?;
    covered(&log, &ledger, own.as_ref())?;
    let last = files::lines(whole).last().and_then(|line| Record::from_bytes(line).ok());
    let Some(party) = checkpoints.into_iter().next().map(|checkpoint| checkpoint.party) else {
        return Err(AuditError::NoCheckpoint { file: path, size: ledger.size() });
    };
    let (size, root) = (ledger.size(), ledger.root());
    Ok(Verified { party, size, root, last: last.map(|record| record.at), receipts: receipts.len(), torn })
}

/// The records in `directory`, in order, as they are: to be shown, not to be trusted before [`verify`].
///
/// # Errors
/// [`AuditError::Broken`] names the first line that is no record, position or chain included.
pub fn records(directory: &Path) -> Result<Vec<Record>, AuditError> {
    let (log, path) = paths(directory);
    let (bytes, _) = read(&log, &path)?;
    let mut ledger = Ledger::default();
    let push = |line| ledger.push(line).map_err(|broken| AuditError::broken(&log, broken));
    files::lines(files::split_torn(&bytes).0).map(push).collect()
}

/// The last checkpoint in `directory`, as others may keep it, checked against `key`.
///
/// # Errors
/// [`AuditError`] where there is none, or it does not hold.
pub fn own_checkpoint(directory: &Path, key: &PublicKey) -> Result<Signed<Checkpoint>, AuditError> {
    let (_, path) = paths(directory);
    let signed =
        files::read_checkpoint(&path)?.ok_or_else(|| AuditError::NoCheckpoint { file: path.clone(), size: 0 })?;
    signed.verify(key).map_err(|error| AuditError::checkpoint(&path, error))?;
    Ok(signed)
}

/// The receipts of the log of `key` in a file that another party kept: lines of base 64, the signed bytes themselves, or
/// the `manifest.json` of a result. Those of other logs are left out.
///
/// # Errors
/// [`AuditError::Unreadable`] where there is none of this log.
pub fn receipts_in(file: &Path, key: &PublicKey) -> Result<Vec<Signed<Checkpoint>>, AuditError> {
    let content = fs::read(file).map_err(|error| AuditError::file(file, error))?;
    let unreadable = || AuditError::Unreadable { file: file.into() };
    let decode = |line: &str| BASE64.decode(line.trim().as_bytes()).map_err(|_| unreadable());
    let all: Vec<Vec<u8>> = match std::str::from_utf8(&content) {
        Ok(text) if text.trim_start().starts_with('{') => {
            let manifest: Manifest = serde_json::from_str(text).map_err(|_| unreadable())?;
            manifest.receipts.iter().map(|line| decode(line)).collect::<Result<_, _>>()?
        }
        Ok(text) if !text.contains('{') => {
            text.lines().filter(|line| !line.trim().is_empty()).map(decode).collect::<Result<_, _>>()?
        }
        _ => vec![content],
    };
    let all: Vec<Signed<Checkpoint>> =
        all.iter().map(|bytes| Signed::from_bytes(bytes).map_err(|_| unreadable())).collect::<Result<_, _>>()?;
    let of_key: Vec<_> = all.into_iter().filter(|receipt| receipt.signer() == *key).collect();
    if of_key.is_empty() { Err(unreadable()) } else { Ok(of_key) }
}

/// Whether two checkpoints of one log cannot both be of one history: a fork, or a log that went back. What it cannot see
/// is a rewritten middle: that takes the log itself, see [`verify`].
pub fn contradiction(earlier: &Checkpoint, later: &Checkpoint) -> Option<BrokenLog> {
    let same = earlier.root == later.root && earlier.head == later.head;
    match later.size {
        size if size < earlier.size => Some(BrokenLog::Truncated { found: size, expected: earlier.size }),
        size if size == earlier.size && !same => Some(BrokenLog::Root { size }),
        _ => None,
    }
}

/// Compares the log at the point that the checkpoint covers.
pub(super) fn meets(ledger: &Ledger, checkpoint: Option<&Checkpoint>) -> Result<(), BrokenLog> {
    match checkpoint {
        Some(c) if c.size == ledger.size() && (c.root != ledger.root() || c.head != ledger.head()) => {
            Err(BrokenLog::Root { size: c.size })
        }
        _ => Ok(()),
    }
}

/// How many records the checkpoint covers: all, or all but the last, whose writer was killed before it signed.
pub(super) fn covered(log: &Path, ledger: &Ledger, checkpoint: Option<&Checkpoint>) -> Result<u64, AuditError> {
    let size = ledger.size();
    match checkpoint.map(|checkpoint| checkpoint.size) {
        None if size <= 1 => Ok(0),
        None => Err(AuditError::NoCheckpoint { file: log.with_file_name(CHECKPOINT), size }),
        Some(expected) if expected > size => {
            Err(AuditError::broken(log, BrokenLog::Truncated { found: size, expected }))
        }
        Some(covered) if covered + 1 < size => {
            Err(AuditError::Uncovered { file: log.into(), uncovered: size - covered })
        }
        Some(covered) => Ok(covered),
    }
}

/// The name of the checkpoint beside the log.
const CHECKPOINT: &str = "checkpoint";

fn paths(directory: &Path) -> (PathBuf, PathBuf) {
    (directory.join("log.jsonl"), directory.join(CHECKPOINT))
}

/// Both files, of one moment.
fn read(log: &Path, checkpoint: &Path) -> Result<(Vec<u8>, Option<Signed<Checkpoint>>), AuditError> {
    let file_error = |error| AuditError::file(log, error);
    let mut file = File::open(log).map_err(file_error)?;
    let lock = file.try_clone().and_then(Locked::new).ok(); // a copy on a medium without locks has no writer
    let end = file.metadata().map_err(file_error)?.len();
    let bytes = files::read_from(&mut file, 0, end).map_err(file_error)?;
    let own = files::read_checkpoint(checkpoint)?;
    drop(lock);
    Ok((bytes, own))
}
