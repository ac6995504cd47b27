//! What a job in buckets has behind it at this node, and why a later attempt may go on there.
//!
//! A checkpoint rests on a [`basis`]: the spec, the plan, the snapshots of all parties, and the attempt that spent the run.
//! An attempt whose basis is the same at all parties goes on, with fresh keys and masks, and spends no further run. That is
//! sound because it opens nothing that the first attempt would not have opened: each key is in one bucket, each bucket's
//! outcome is a function of the snapshots, and those are the same; a bucket that runs twice gives the same rows twice.
//!
//! A party that lies about its snapshot could put other keys into a bucket that runs again. So a node counts the buckets
//! that it began, and lets one run pay for no more than [`repeats_max`] of them twice; the next attempt is a new run.
//!
//! An outcome, the places in the file of the rows found, is sealed under a key that is derived from the node's own, so that
//! nothing of a result can be read from the store before its release.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::identity::Identity;
use banyan_proto::job::Plan;
use banyan_protocols::party::PartyId;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Desk;
use super::basis::fresh_seed;
use super::failure::Failure;
use crate::store::JobCheckpoint;

/// Bytes of the salt before a sealed outcome, and of the tag behind it.
const SALT: usize = 32;
const TAG: usize = 16;

/// How many buckets of `buckets` may run twice on one run: half of them, so that a run never pays for more than one pass and
/// a half, and eight in all, which is as many crashes as a job should see.
pub(crate) fn repeats_max(buckets: u32) -> u32 {
    (buckets / 2).min(8)
}

/// The endings after which a later attempt may go on. After all others, such as a deviation or a result below its minimum, it
/// is a new run.
pub(crate) fn survives(code: &str) -> bool {
    matches!(code, "link" | "restarted" | "stopped" | "deadline" | "disk" | "disk-full" | "io" | "clock" | "halted")
}

/// What an attempt rests on, the same at every party. `snapshots` in the order of the plan.
pub(crate) fn basis(plan: &Plan, attempt: u32, snapshots: &[(PartyId, Digest)]) -> Digest {
    let mut bytes = [plan.digest().0.as_slice(), &attempt.to_be_bytes()].concat();
    for (party, snapshot) in snapshots {
        bytes.extend_from_slice(&snapshot.0);
        bytes.extend_from_slice(&(party.as_str().len() as u32).to_be_bytes());
        bytes.extend_from_slice(party.as_str().as_bytes());
    }
    Digest::of("banyan/basis/v1", &bytes)
}

/// The salt of a job's snapshot digests: the same in all its attempts, so that the parties see whether a snapshot is the same,
/// and known to nobody else.
pub(crate) fn salt(identity: &Identity, job: &Digest) -> Result<Zeroizing<[u8; 32]>, Failure> {
    derive(identity, &job.0, b"banyan/snapshot-salt/v1")
}

impl Desk {
    /// What may be gone on with: as much as one run pays for.
    pub(crate) fn checkpoint(&self, job: &Digest, buckets: u32) -> Result<Option<JobCheckpoint>, Failure> {
        let kept = self.store.checkpoint(job)?;
        let repeats = |kept: &JobCheckpoint| kept.begun.saturating_sub(kept.done.len() as u32);
        Ok(kept.filter(|kept| repeats(kept) <= repeats_max(buckets)))
    }

    /// Whether an attempt of a job may need no run of its own.
    pub(crate) fn may_go_on(&self, job: &Digest, plan: &Plan) -> Result<bool, Failure> {
        let buckets = plan.stages.first().map_or(1, |stage| stage.buckets);
        Ok(plan.is_resumable() && self.checkpoint(job, buckets)?.is_some())
    }

    /// Removes what nobody can go on with any more: of jobs whose scenario has ended.
    pub(crate) fn forget_ended(&self) -> Result<(), Failure> {
        for job in self.store.checkpoints()? {
            let ended = match self.job(&job) {
                Ok((spec, _)) => self.still_allowed(&spec).is_err_and(|why| !survives(&why.code)),
                Err(_) => true,
            };
            if ended {
                self.forget(&job);
            }
        }
        Ok(())
    }

    /// Keeps the outcome of a bucket, as the places in the file of the rows that were found.
    pub(crate) fn keep_outcome(
        &self,
        job: &Digest,
        basis: &Digest,
        bucket: u32,
        places: &[u64],
    ) -> Result<(), Failure> {
        let sealed = seal(&self.identity, basis, bucket, &pack(places))?;
        Ok(self.store.put_bucket(job, basis, bucket, &sealed)?)
    }

    /// The outcomes of all buckets together, ascending.
    pub(crate) fn outcomes(&self, job: &Digest, basis: &Digest, buckets: u32) -> Result<Vec<u64>, Failure> {
        let mut places = Vec::new();
        for bucket in 0..buckets {
            let opened = open(&self.identity, basis, bucket, &self.store.bucket(job, bucket)?)?;
            unpack(&opened, &mut places).ok_or_else(changed)?;
        }
        places.sort_unstable();
        Ok(places)
    }
}

/// Ascending numbers as their differences, seven bits to a byte.
fn pack(places: &[u64]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(places.len() * 2));
    let mut last = 0;
    for place in places {
        let mut rest = place - last;
        last = *place;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes
}

fn unpack(bytes: &[u8], places: &mut Vec<u64>) -> Option<()> {
    let (mut last, mut number, mut shift) = (0_u64, 0_u64, 0);
    for byte in bytes {
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            last = last.checked_add(number)?;
            places.push(last);
            (number, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(())
}

fn seal(identity: &Identity, basis: &Digest, bucket: u32, plain: &[u8]) -> Result<Vec<u8>, Failure> {
    let salt = fresh_seed()?;
    let cipher = cipher(identity, &salt[..], basis, bucket)?;
    let mut sealed = [&salt[..], plain].concat();
    // a key for one message: its nonce is fixed
    let tag = cipher.encrypt_inout_detached(&Nonce::default(), &[], (&mut sealed[SALT..]).into());
    sealed.extend_from_slice(&tag.map_err(|_| changed())?);
    Ok(sealed)
}

fn open(identity: &Identity, basis: &Digest, bucket: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (salt, rest) = sealed.split_at_checked(SALT).ok_or_else(changed)?;
    let (body, tag) = rest.split_last_chunk::<TAG>().ok_or_else(changed)?;
    let mut plain = Zeroizing::new(body.to_vec());
    let cipher = cipher(identity, salt, basis, bucket)?;
    let opened = cipher.decrypt_inout_detached(&Nonce::default(), &[], (&mut plain[..]).into(), tag.into());
    opened.map_err(|_| changed()).map(|()| plain)
}

fn cipher(identity: &Identity, salt: &[u8], basis: &Digest, bucket: u32) -> Result<Aes256Gcm, Failure> {
    let info = [b"banyan/outcome/v1".as_slice(), &basis.0, &bucket.to_be_bytes()].concat();
    Ok(Aes256Gcm::new((&*derive(identity, salt, &info)?).into()))
}

fn derive(identity: &Identity, salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut key = Zeroizing::new([0; 32]);
    let expanded = Hkdf::<Sha256>::new(Some(salt), identity.to_pem().as_bytes()).expand(info, key.as_mut_slice());
    expanded.map_err(|_| Failure::new("bug", "a key of 32 bytes is too long"))?;
    Ok(key)
}

/// How an attempt ends that was to go on, by itself, where it cannot.
pub(crate) fn not_resumed() -> Failure {
    let why = "the job cannot go on where it was: a data set changed, or too many buckets were cut off; propose it again, which spends a run";
    Failure::new("not-resumed", why)
}

fn changed() -> Failure {
    Failure::new("store", "the outcome of a bucket was changed in this node's store, or is of another key of this node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_back_and_are_of_one_bucket_on_one_basis_at_one_node() {
        let (mine, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let places = [0, 1, 7, 130, 1 << 20, u64::MAX >> 1];
        let (basis, wrong) = (Digest([1; 32]), Digest([2; 32]));
        let sealed = seal(&mine, &basis, 3, &pack(&places)).unwrap();
        let mut back = Vec::new();
        unpack(&open(&mine, &basis, 3, &sealed).unwrap(), &mut back).unwrap();
        assert_eq!(back, places);
        assert_ne!(seal(&mine, &basis, 3, &pack(&places)).unwrap(), sealed, "never the same key twice");
        for opened in
            [open(&other, &basis, 3, &sealed), open(&mine, &wrong, 3, &sealed), open(&mine, &basis, 4, &sealed)]
        {
            assert_eq!(opened.err().unwrap().code, "store");
        }
        assert!(open(&mine, &basis, 3, &sealed[..20]).is_err());
        assert_eq!(unpack(&[0x80], &mut Vec::new()), None, "cut");
        assert_eq!(unpack(&[0xff; 12], &mut Vec::new()), None, "too long");
    }

    #[test]
    fn one_run_pays_for_few_repeats() {
        assert_eq!([1, 2, 4, 16, 4096].map(repeats_max), [0, 1, 2, 8, 8]);
    }
}
