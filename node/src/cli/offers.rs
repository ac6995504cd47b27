//! Which offer a person means, by name or by the first digits of its digest.

use crate::store::{Offer, Standing, Store};
use banyan_proto::job::Spec;

use super::answer::Failure;

/// Fewer digits than this name no digest: a short name such as `abc` would be taken for one.
const DIGITS_MIN: usize = 6;

/// An offer with its spec, parsed from the bytes that came.
pub(crate) struct Read {
    pub(crate) offer: Offer,
    pub(crate) spec: Spec,
}

/// Every offer that can be read, in the order they came.
pub(crate) fn all(store: &Store) -> Result<Vec<Read>, Failure> {
    let read = |offer: Offer| Ok(Read { spec: Spec::from_canonical(&offer.spec)?, offer });
    store.offers()?.into_iter().map(read).collect()
}

/// The one offer that `wanted` means.
pub(crate) fn find(store: &Store, wanted: &str) -> Result<Read, Failure> {
    let mut found: Vec<Read> = all(store)?.into_iter().filter(|read| read.is(wanted)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(one), false) => {
            found.push(one);
            let digests: Vec<String> = found.iter().map(|read| read.offer.job.short()).collect();
            Err(Failure::input(format!(
                "{wanted} could be {} jobs: {}; give the first digits of the digest",
                found.len(),
                digests.join(", ")
            )))
        }
        (None, _) => Err(Failure::input(format!("no job {wanted} was offered to this node; see `banyan-node inbox`"))),
    }
}

impl Read {
    fn is(&self, wanted: &str) -> bool {
        let by_digest = wanted.len() >= DIGITS_MIN && self.offer.job.to_string().starts_with(wanted);
        by_digest || self.spec.name.as_str() == wanted
    }

    /// Where it stands: a word, and why.
    pub(crate) fn standing(&self) -> (&'static str, String) {
        match &self.offer.standing {
            Standing::Waiting { reason, .. } => ("waiting", reason.clone()),
            Standing::Admitted { .. } => ("admitted", String::new()),
            Standing::Refused { code, reason } => ("refused", format!("{code}: {reason}")),
        }
    }
}
