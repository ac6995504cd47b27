//! What an attempt is and rests on, from its preparation to its release.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_proto::canonical::Digest;
use banyan_proto::evidence::RunMetrics;
use banyan_proto::identity::PublicKey;
use banyan_proto::job::{Plan, Spec};
use banyan_protocols::party::PartyId;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::data::{DataSet, Pinned};

/// The number of an attempt of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttemptId {
    pub(crate) job: Digest,
    pub(crate) attempt: u32,
}

/// What an attempt rests on from its preparation to its release.
pub(crate) struct Basis {
    pub(crate) id: AttemptId,
    pub(crate) at: Timestamp,
    pub(crate) spec: Spec,
    pub(crate) plan: Plan,
    /// The smallest result that may be opened, in common rows.
    pub(crate) minimum: u64,
    pub(crate) pins: BTreeMap<PartyId, PublicKey>,
    pub(crate) set: Arc<DataSet>,
    pub(crate) pinned: Pinned,
    pub(crate) salt: Zeroizing<[u8; 32]>,
    pub(crate) metrics: RunMetrics,
}

/// 256 fresh bits of the operating system.
pub(crate) fn fresh_seed() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| Failure::new("bug", "the system gives no randomness"))?;
    Ok(seed)
}
