//! What an attempt is and rests on, from its preparation to its release.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_proto::canonical::Digest;
use banyan_proto::evidence::RunMetrics;
use banyan_proto::identity::PublicKey;
use banyan_proto::job::{Plan, ResultKind, Spec};
use banyan_protocols::catalogue::{Form, Output};
use banyan_protocols::items::Items;
use banyan_protocols::party::PartyId;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::data::{DataSet, Found, Pinned};

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
    /// The rows of each key of the job, in its order.
    pub(crate) pinned: Vec<Pinned>,
    pub(crate) salt: Zeroizing<[u8; 32]>,
    pub(crate) metrics: RunMetrics,
}

impl Basis {
    /// The salted digest of the input: of all its keys.
    pub(crate) fn snapshot(&self) -> Digest {
        match &self.pinned[..] {
            [only] => Digest(only.digest()),
            all => Digest::of("banyan/snapshots/v1", &all.iter().flat_map(Pinned::digest).collect::<Vec<_>>()),
        }
    }

    /// Whether the result form tells every party how many keys are common.
    pub(crate) fn all_learn_matches(&self) -> bool {
        self.plan.stages.iter().all(|stage| stage.form == Form::RowsToBoth.name())
    }

    /// The file as it was pinned.
    pub(crate) fn file(&self) -> Result<&Pinned, Failure> {
        self.pinned.first().ok_or_else(|| Failure::new("bug", "nothing was pinned"))
    }
}

/// What this party learned of the common rows.
pub(crate) enum Learned {
    /// Nothing.
    Nothing,
    /// That they are fewer than the minimum.
    TooFew,
    /// How many there are.
    Count(u64),
    /// The sum of the other party's numbers in them.
    Sum(u64),
    /// Which of its own they are.
    Rows(Found),
}

impl Learned {
    /// Adds what a stage gave: `places` are where the keys that it looked for stand among all of `pinned`.
    ///
    /// # Errors
    /// [`Failure`] where no job opens such an output.
    pub(crate) fn then(self, output: Output, pinned: &Pinned, places: Option<&[u32]>) -> Result<Self, Failure> {
        Ok(match (self, output) {
            (this, Output::Nothing) => this,
            (_, Output::BelowMinimum) => Self::TooFew,
            (_, Output::Count(count)) => Self::Count(count),
            (_, Output::Sum(sum)) => Self::Sum(sum),
            (_, Output::Shares(_)) => return Err(Failure::new("bug", "no job opens this output")),
            (this, Output::Rows(rows)) => {
                let mut found = if let Self::Rows(found) = this { found } else { Found::default() };
                found.note(pinned, places, &rows);
                Self::Rows(found)
            }
        })
    }

    /// The keys of `items` that are still to be looked for, with their places where they are not all.
    pub(crate) fn sought(&self, pinned: &Pinned, items: Items) -> (Items, Option<Vec<u32>>) {
        match self {
            Self::Rows(found) => found.sought(pinned, items),
            Self::Nothing | Self::TooFew | Self::Count(_) | Self::Sum(_) => (items, None),
        }
    }

    /// Whether what this party learned is enough to be opened: so many common keys, and of a difference so many rows too,
    /// since those are what it opens.
    pub(crate) fn may_open(&self, basis: &Basis) -> bool {
        let enough = |count: u64| count >= basis.minimum;
        let rest = match (self, basis.spec.result) {
            (Self::TooFew, _) => false,
            (Self::Rows(found), ResultKind::Difference) => enough(found.unmatched(&basis.pinned)),
            _ => true,
        };
        rest && self.matches().is_none_or(enough)
    }

    /// How many keys are common, where this party learned it.
    pub(crate) fn matches(&self) -> Option<u64> {
        match self {
            Self::Nothing | Self::TooFew | Self::Sum(_) => None,
            Self::Count(count) => Some(*count),
            Self::Rows(found) => Some(found.matches()),
        }
    }
}

/// 256 fresh bits of the operating system.
pub(crate) fn fresh_seed() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| Failure::new("bug", "the system gives no randomness"))?;
    Ok(seed)
}
