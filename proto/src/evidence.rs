//! What a finished job leaves: the commitment all parties signed before anything was opened, the manifest beside the
//! result, and the figures of the run.

use banyan_protocols::party::PartyId;
use serde::{Deserialize, Serialize};

use crate::canonical::{Canonical, Digest};
use crate::job::When;
use crate::names::Name;

/// What all parties sign, the same bytes at each, before a result is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// The digest of the spec.
    pub spec: Digest,
    /// The digest of the plan.
    pub plan: Digest,
    /// The attempt.
    pub attempt: u32,
    /// What every party stands for, in the order of the plan.
    pub parts: Vec<Part>,
}

/// What one party stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The party.
    pub party: PartyId,
    /// The salted digest of its input.
    pub snapshot: Digest,
    /// The salted digest of the result it holds; zero where it receives none.
    pub output: Digest,
    /// Whether its release checks passed. One no, and nobody releases.
    pub releases: bool,
    /// How many keys are common, where every party learns it: all say the same number, or nobody releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<u64>,
}

impl Canonical for Commitment {
    const DOMAIN: &'static str = "banyan/commitment/v1";
}

/// `manifest.json` beside a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form: 1.
    pub version: u32,
    /// The job's name.
    pub job: Name,
    /// The digest of the spec.
    pub spec: Digest,
    /// The digest of the plan.
    pub plan: Digest,
    /// The scenario's digest.
    pub scenario: Digest,
    /// The attempt.
    pub attempt: u32,
    /// The party whose result this is.
    pub party: PartyId,
    /// The protocol.
    pub protocol: Name,
    /// The result form.
    pub form: String,
    /// The result file beside this one; none where this party receives nothing.
    pub file: Option<String>,
    /// SHA-256 of the file's bytes, hexadecimal.
    pub file_sha256: Option<String>,
    /// Common keys; none where this party does not learn it. The same number at all that do, however many rows a key has.
    pub matches: Option<u64>,
    /// The size bands of the parties.
    pub bands: Vec<(PartyId, u64)>,
    /// The digest of the commitment all parties signed.
    pub commitment: Digest,
    /// Opens this party's part of the commitment: hexadecimal salts of its input's and its result's digest. Kept here and
    /// nowhere else; an auditor with the data can check both digests with them.
    pub salts: Salts,
    /// The signed commitments, one per party, base 64.
    pub signatures: Vec<String>,
    /// The signed log checkpoints of the other parties, base 64.
    pub receipts: Vec<String>,
    /// When it was released.
    pub released: When,
    /// The figures of the run.
    pub metrics: RunMetrics,
}

/// The salts that open one party's part of a commitment, hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Salts {
    /// Of the input's digest.
    pub snapshot: String,
    /// Of the result's digest; none where this party receives nothing.
    pub output: Option<String>,
}

impl Canonical for Manifest {
    const DOMAIN: &'static str = "banyan/manifest/v1";
}

/// The figures of one attempt at one party.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunMetrics {
    /// Milliseconds to read the input into a snapshot.
    pub prepare_ms: u64,
    /// Milliseconds from the start of the protocol to the held result.
    pub run_ms: u64,
    /// Milliseconds from the held result to the written file.
    pub release_ms: u64,
    /// Rounds of the protocol, from the plan.
    pub rounds: u32,
    /// Bytes sent in the protocol, before sealing.
    pub bytes_out: u64,
    /// Bytes received in the protocol, before sealing.
    pub bytes_in: u64,
    /// CPU time of this process during the attempt, in milliseconds.
    pub cpu_ms: u64,
    /// The largest resident memory of this process so far, in KiB.
    pub peak_rss_kb: u64,
}

impl RunMetrics {
    /// What the coordinator, and through it the other parties, may see: figures that follow from the plan's bands. Time to
    /// read and write, CPU time and memory follow the true number of rows, and stay in the party's own manifest.
    pub fn public(&self) -> Self {
        let Self { run_ms, rounds, bytes_out, bytes_in, .. } = *self;
        Self { run_ms, rounds, bytes_out, bytes_in, ..Self::default() }
    }
}

impl Canonical for RunMetrics {
    const DOMAIN: &'static str = "banyan/metrics/v1";
}

impl Part {
    /// The salted digest of a result file, which this party's part names. The salt keeps the others, who see the digest,
    /// from testing what the result is; who has the file and the salt can check it.
    pub fn output_of(salt: &[u8; 32], file_sha256: &[u8; 32]) -> Digest {
        Digest::of("banyan/result/v1", &[&salt[..], file_sha256].concat())
    }
}

impl Canonical for Part {
    const DOMAIN: &'static str = "banyan/part/v1";
}
