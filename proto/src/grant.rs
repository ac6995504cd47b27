//! Authorisation: the scenario that people sign, the chain of their approvals, and revocation. All bound to digests.

use banyan_protocols::party::PartyId;
use serde::{Deserialize, Serialize};

use crate::canonical::{Canonical, Digest};
use crate::identity::{BadSignature, PublicKey, Signed};
use crate::job::{Operation, ResultKind, When};
use crate::names::Name;

/// One scenario, one application, one decision: the outer bounds of every job that runs under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What people call it.
    pub name: Name,
    /// What the data is used for, in words a reviewer can judge.
    pub purpose: String,
    /// The operations it allows.
    pub operations: Vec<Operation>,
    /// The kinds of result it allows.
    pub results: Vec<ResultKind>,
    /// Who may receive results.
    pub recipients: Vec<PartyId>,
    /// The smallest result that may be opened, in common rows.
    pub minimum_result: u64,
    /// Not before this time.
    pub valid_from: When,
    /// Not after this time.
    pub valid_until: When,
    /// How many attempts of jobs may start under it, at each node.
    pub runs: u32,
    /// What each party lets in.
    pub grants: Vec<Grant>,
}

/// What one party lets into the scenario: columns by use, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The party whose data it is.
    pub party: PartyId,
    /// The data set.
    pub dataset: Name,
    /// Columns that may be keys.
    pub key: Vec<String>,
    /// Keys that a job may look for after the first, each whole: columns that are let in as parts of one are not let in
    /// by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub else_key: Vec<Vec<String>>,
    /// Columns that a row filter may read.
    #[serde(default)]
    pub filter: Vec<String>,
    /// Columns that this party may put beside the key in its own result.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns whose sum over common rows a job may open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sum: Vec<String>,
    /// Whether its keys may go to a party that is no Banyan node, under the security of the interconnection standard.
    #[serde(default, skip_serializing_if = "is_false")]
    pub interop: bool,
}

/// A field that came later is written only where it says something, so that earlier scenarios keep their digest.
fn is_false(value: &bool) -> bool {
    !*value
}

impl Canonical for Scenario {
    const DOMAIN: &'static str = "banyan/scenario/v1";
}

/// Who reviews: in this order, the later ones after the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reviewer {
    /// The operator's first review.
    Operator,
    /// The authority's final review.
    Authority,
    /// The consent of a data source, by its own approver.
    Source,
}

/// One reviewer's word on a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The digest of the scenario.
    pub scenario: Digest,
    /// In which capacity.
    pub reviewer: Reviewer,
    /// For which party; none for operator and authority.
    pub party: Option<PartyId>,
    /// Yes or no. A no stands against every later yes of the same key.
    pub approved: bool,
    /// The digest of the approval this one follows: the chain. None for the first.
    pub after: Option<Digest>,
    /// When it was signed, by the signer's clock.
    pub at: When,
}

impl Canonical for Approval {
    const DOMAIN: &'static str = "banyan/approval/v1";
}

/// A node's word that it admits one job: signed by the node's own identity after its policy said yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// The digest of the spec.
    pub spec: Digest,
    /// The digest of the plan that this node derived from it.
    pub plan: Digest,
    /// The node.
    pub party: PartyId,
    /// The digest of the approval of its own approver that it rests on.
    pub approval: Digest,
    /// When.
    pub at: When,
}

impl Canonical for Admission {
    const DOMAIN: &'static str = "banyan/admission/v1";
}

/// The end of a scenario, or of everything, at one node: signed by its approver, at once, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The digest of the scenario.
    pub scenario: Digest,
    /// Why, for the log.
    pub reason: String,
    /// When.
    pub at: When,
}

impl Canonical for Revocation {
    const DOMAIN: &'static str = "banyan/revocation/v1";
}

/// A reviewer that a node requires before its own approver counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequiredReview {
    /// In which capacity.
    pub reviewer: Reviewer,
    /// The key that must have signed.
    pub key: PublicKey,
}

/// Why a chain of approvals does not carry a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A signature does not hold.
    #[error("approval {index}: {error}")]
    Signature {
        /// Position in the chain.
        index: usize,
        /// What does not hold.
        error: BadSignature,
    },
    /// An approval of another scenario.
    #[error("approval {index} is for another scenario: what was approved is not what is asked for")]
    Subject {
        /// Position in the chain.
        index: usize,
    },
    /// An approval that does not follow the one before it.
    #[error("approval {index} does not follow the one before it: approvals are missing, added or out of order")]
    Order {
        /// Position in the chain.
        index: usize,
    },
    /// A reviewer said no.
    #[error("the {0:?} reviewer said no")]
    Denied(Reviewer),
    /// A required review is missing.
    #[error("the review of the {0:?} is missing")]
    Missing(Reviewer),
}

/// The reviews before a source's own: operator, then authority. Each names the one before it.
#[derive(Clone, Debug, Default)]
pub struct Chain(Vec<Signed<Approval>>);

impl Chain {
    /// A chain in the order of review.
    pub fn new(approvals: Vec<Signed<Approval>>) -> Self {
        Self(approvals)
    }

    /// Checks that every approval is signed by the key required for its capacity, is for `scenario`, follows the one
    /// before it, and says yes; and that none that is required is missing. Gives the digest the next approval follows.
    ///
    /// # Errors
    /// [`ChainError`] names the first approval that breaks it.
    pub fn verify(&self, scenario: &Digest, required: &[RequiredReview]) -> Result<Option<Digest>, ChainError> {
        let mut head = None;
        let mut due = required.iter();
        for (index, signed) in self.0.iter().enumerate() {
            let Some(review) = due.next() else { return Err(ChainError::Order { index }) };
            let approval = signed.verify(&review.key).map_err(|error| ChainError::Signature { index, error })?;
            if approval.scenario != *scenario {
                return Err(ChainError::Subject { index });
            }
            // a no counts whatever it follows
            if !approval.approved {
                return Err(ChainError::Denied(approval.reviewer));
            }
            if approval.after != head || approval.reviewer != review.reviewer || approval.party.is_some() {
                return Err(ChainError::Order { index });
            }
            head = Some(signed.digest());
        }
        match due.next() {
            Some(missing) => Err(ChainError::Missing(missing.reviewer)),
            None => Ok(head),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn approval(reviewer: Reviewer, after: Option<Digest>) -> Approval {
        let at = "2026-11-21T00:00:00Z".parse().unwrap();
        Approval { scenario: Digest([1; 32]), reviewer, party: None, approved: true, after, at }
    }

    struct Office {
        operator: Identity,
        authority: Identity,
        required: Vec<RequiredReview>,
    }

    fn office() -> Office {
        let (operator, authority) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let required = vec![
            RequiredReview { reviewer: Reviewer::Operator, key: operator.public() },
            RequiredReview { reviewer: Reviewer::Authority, key: authority.public() },
        ];
        Office { operator, authority, required }
    }

    fn good(office: &Office) -> Vec<Signed<Approval>> {
        let first = office.operator.sign(&approval(Reviewer::Operator, None));
        let second = office.authority.sign(&approval(Reviewer::Authority, Some(first.digest())));
        vec![first, second]
    }

    #[test]
    fn a_chain_holds_in_order_and_whole() {
        let office = office();
        let chain = good(&office);
        let head = chain[1].digest();
        let check = |chain: &[Signed<Approval>]| Chain::new(chain.to_vec()).verify(&Digest([1; 32]), &office.required);
        assert_eq!(check(&chain), Ok(Some(head)));
        assert_eq!(check(&chain[..1]), Err(ChainError::Missing(Reviewer::Authority)));
        assert_eq!(check(&[]), Err(ChainError::Missing(Reviewer::Operator)));
        let swapped = [chain[1].clone(), chain[0].clone()];
        assert!(matches!(check(&swapped), Err(ChainError::Signature { index: 0, .. })));
        let longer = [chain[0].clone(), chain[1].clone(), chain[1].clone()];
        assert_eq!(check(&longer), Err(ChainError::Order { index: 2 }));
        let other = Chain::new(chain.clone()).verify(&Digest([2; 32]), &office.required);
        assert_eq!(other, Err(ChainError::Subject { index: 0 }));
    }

    #[test]
    fn a_no_and_a_loose_end_break_it() {
        let office = office();
        let mut no = approval(Reviewer::Operator, None);
        no.approved = false;
        let first = office.operator.sign(&no);
        let denied = Chain::new(vec![first]).verify(&Digest([1; 32]), &office.required);
        assert_eq!(denied, Err(ChainError::Denied(Reviewer::Operator)));
        let mut final_no = approval(Reviewer::Authority, None);
        final_no.approved = false;
        let denied = vec![good(&office)[0].clone(), office.authority.sign(&final_no)];
        let denied = Chain::new(denied).verify(&Digest([1; 32]), &office.required);
        assert_eq!(denied, Err(ChainError::Denied(Reviewer::Authority)), "whatever it follows");
        let loose = vec![good(&office)[0].clone(), office.authority.sign(&approval(Reviewer::Authority, None))];
        assert_eq!(Chain::new(loose).verify(&Digest([1; 32]), &office.required), Err(ChainError::Order { index: 1 }));
    }

    #[test]
    fn any_changed_byte_of_a_signed_approval_is_found() {
        let office = office();
        let bytes = good(&office)[0].to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let held = Signed::<Approval>::from_bytes(&changed).and_then(|s| s.verify(&office.operator.public()));
            assert!(held.is_err(), "byte {at}");
        }
    }
}
