//! What can be proven of a finished job from what the parties left, without believing any of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use banyan_proto::audit::Checkpoint;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::evidence::{Commitment, Manifest, Part};
use banyan_proto::identity::{PublicKey, Signed};
use banyan_protocols::party::PartyId;
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};

use super::answer::Failure;
use super::local::Output;

/// Evidence that was checked.
pub(crate) struct Evidence {
    /// What all parties signed, the same at each.
    pub(crate) commitment: Commitment,
    /// Who signed it.
    pub(crate) signers: Vec<PartyId>,
    /// The signed words on logs that the parties keep of each other.
    pub(crate) receipts: Vec<Receipt>,
    /// How many keys are common, as every manifest that has the number says.
    pub(crate) matches: Option<u64>,
}

/// What evidence has to be about.
pub(crate) struct Subject {
    /// The job.
    pub(crate) job: Digest,
    /// The plan that follows from it.
    pub(crate) plan: Digest,
    /// The attempt.
    pub(crate) attempt: u32,
}

/// One party's signed word on its log, kept by another.
pub(crate) struct Receipt {
    /// Who keeps it.
    pub(crate) holder: PartyId,
    /// Whose log it is about.
    pub(crate) of: PartyId,
    /// How many records it covers.
    pub(crate) size: u64,
    /// As it was signed.
    pub(crate) signed: Signed<Checkpoint>,
}

/// Checks that every party signed one and the same commitment to this attempt of this plan, that each said yes to the
/// release, that the result files are the committed ones, and that receipts are signed by whom they are about.
///
/// # Errors
/// [`Failure::No`] names the party and what does not hold.
pub(crate) fn check(
    subject: &Subject,
    outputs: &[Output],
    keys: &BTreeMap<PartyId, PublicKey>,
) -> Result<Evidence, Failure> {
    let mut agreed: Option<(Commitment, Vec<PartyId>)> = None;
    let mut receipts = Vec::new();
    let mut matches: Option<u64> = None;
    for output in outputs {
        let not = |reason: &str| Failure::No(format!("the manifest of {}: {reason}", output.party));
        let (commitment, signers) = commitment(&output.manifest, keys).map_err(|reason| not(&reason))?;
        let manifest = &output.manifest;
        if commitment.spec != subject.job || manifest.spec != subject.job {
            return Err(not("it is about another job"));
        }
        if commitment.plan != subject.plan || manifest.plan != subject.plan {
            return Err(not("it is about another plan"));
        }
        if commitment.attempt != subject.attempt || manifest.attempt != subject.attempt {
            return Err(not(&format!("it is about attempt {}, not {}", manifest.attempt, subject.attempt)));
        }
        if let Some(part) = commitment.parts.iter().find(|part| !part.releases) {
            return Err(not(&format!("{} did not agree to the release", part.party)));
        }
        let part = commitment.parts.iter().find(|part| part.party == output.party);
        let counted = [part.and_then(|part| part.matches), matches];
        if let (Some(mine), Some(other)) =
            (manifest.matches, counted.into_iter().flatten().find(|n| Some(*n) != manifest.matches))
        {
            return Err(not(&format!(
                "it counts {mine} common keys, where {other} were committed to or counted by another"
            )));
        }
        matches = matches.or(manifest.matches);
        let part = part.map(|part| part.output);
        let receives = part.is_some_and(|output| output != Digest::default());
        match &agreed {
            Some((first, _)) if *first != commitment => {
                return Err(not("it commits to another result than the others"));
            }
            _ => agreed = Some((commitment, signers)),
        }
        if let Some(file) = output.file() {
            let found = sha256(&file).map_err(|error| not(&format!("{}: {error}", file.display())))?;
            if salted(&output.manifest, &found) != part {
                return Err(not("the result file is not the one that was committed to"));
            }
        } else if receives {
            return Err(not("it names no result file, though a result was committed to"));
        }
        receipts.extend(receipts_of(output, keys).map_err(|reason| not(&reason))?);
    }
    let (commitment, signers) = agreed.ok_or_else(|| Failure::No("no party left a manifest".into()))?;
    Ok(Evidence { commitment, signers, receipts, matches })
}

fn commitment(manifest: &Manifest, keys: &BTreeMap<PartyId, PublicKey>) -> Result<(Commitment, Vec<PartyId>), String> {
    let mut signers = Vec::new();
    let mut common: Option<Commitment> = None;
    for text in &manifest.signatures {
        let signed: Signed<Commitment> = signed(text)?;
        let (party, commitment) = by_whom(&signed, keys)?;
        if commitment.digest() != manifest.commitment {
            return Err(format!("{party} signed another commitment"));
        }
        signers.push(party);
        common = Some(commitment);
    }
    match (keys.keys().find(|party| !signers.contains(party)), common) {
        (Some(missing), _) => Err(format!("{missing} did not sign the commitment")),
        (None, Some(commitment)) => Ok((commitment, signers)),
        (None, None) => Err("nobody signed".into()),
    }
}

fn receipts_of(output: &Output, keys: &BTreeMap<PartyId, PublicKey>) -> Result<Vec<Receipt>, String> {
    let receipt = |text: &String| {
        let signed: Signed<Checkpoint> = signed(text)?;
        let (of, checkpoint) = by_whom(&signed, keys)?;
        if checkpoint.party != of {
            return Err(format!("{of} signed for the log of {}", checkpoint.party));
        }
        Ok(Receipt { holder: output.party.clone(), of, size: checkpoint.size, signed })
    };
    let receipts: Vec<Receipt> = output.manifest.receipts.iter().map(receipt).collect::<Result<_, String>>()?;
    let others = keys.keys().filter(|party| **party != output.party);
    match others.into_iter().find(|party| !receipts.iter().any(|receipt| receipt.of == **party)) {
        Some(missing) => Err(format!("the receipt of {missing} is missing")),
        None => Ok(receipts),
    }
}

fn signed<T: Canonical>(text: &str) -> Result<Signed<T>, String> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| "a signature is no base 64".to_owned())?;
    Signed::from_bytes(&bytes).map_err(|error| error.to_string())
}

fn by_whom<T: Canonical>(signed: &Signed<T>, keys: &BTreeMap<PartyId, PublicKey>) -> Result<(PartyId, T), String> {
    let signer = keys.iter().find(|(_, key)| **key == signed.signer());
    let (party, key) = signer.ok_or("signed by a key of no party")?;
    let value = signed.verify(key).map_err(|error| error.to_string())?;
    Ok((party.clone(), value))
}

/// The digest that a file's party signed for, from the file and the salt in its manifest.
fn salted(manifest: &Manifest, file_sha256: &[u8; 32]) -> Option<Digest> {
    let salt = HEXLOWER.decode(manifest.salts.output.as_ref()?.as_bytes()).ok()?;
    Some(Part::output_of(&salt.try_into().ok()?, file_sha256))
}

fn sha256(path: &std::path::Path) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut file = io::BufReader::with_capacity(1 << 16, File::open(path)?);
    loop {
        let chunk = io::BufRead::fill_buf(&mut file)?;
        if chunk.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(chunk);
        let read = chunk.len();
        io::BufRead::consume(&mut file, read);
    }
}

#[cfg(test)]
mod tests;
