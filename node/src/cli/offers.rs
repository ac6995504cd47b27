//! Which offer a person means, by name or by the first digits of its digest.

use crate::store::{Offer, Standing, Store};
use banyan_proto::canonical::Digest;
use banyan_proto::job::Spec;
use serde_json::{Value, json};

use super::answer::Failure;
use super::text::plain;

/// Fewer digits than this name no digest: a short name such as `abc` would be taken for one.
const DIGITS_MIN: usize = 6;

/// An offer with its spec, parsed from the bytes that came.
pub(crate) struct Read {
    pub(crate) offer: Offer,
    pub(crate) spec: Spec,
}

/// Every offer, in the order they came.
pub(crate) struct Offers {
    pub(crate) read: Vec<Read>,
    /// Those that this version cannot read, with the reason. No other command waits for them.
    pub(crate) unread: Vec<(Digest, String)>,
}

impl Offers {
    /// A line for each that cannot be read.
    pub(crate) fn passed_over(&self) -> String {
        let line = |(job, why): &(Digest, String)| {
            format!("passed over: job {} cannot be read: {}\n", job.short(), plain(why))
        };
        self.unread.iter().map(line).collect()
    }

    /// The same for programs.
    pub(crate) fn unreadable(&self) -> Vec<Value> {
        self.unread.iter().map(|(job, why)| json!({ "job": job, "why": why })).collect()
    }
}

/// Every offer in the store.
pub(crate) fn all(store: &Store) -> Result<Offers, Failure> {
    let mut all = Offers { read: Vec::new(), unread: Vec::new() };
    for offer in store.offers()? {
        match Spec::from_canonical(&offer.spec) {
            Ok(spec) => all.read.push(Read { offer, spec }),
            Err(error) => all.unread.push((offer.job, error.to_string())),
        }
    }
    Ok(all)
}

/// The one offer that `wanted` means.
pub(crate) fn find(store: &Store, wanted: &str) -> Result<Read, Failure> {
    let mut found: Vec<Read> = all(store)?.read.into_iter().filter(|read| read.is(wanted)).collect();
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
