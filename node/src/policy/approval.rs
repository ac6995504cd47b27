//! Whose signatures carry the scenario: the required reviews, then an approver of this node.

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::decision::RuleId;
use banyan_proto::grant::{Approval, Chain, ChainError, RequiredReview, Reviewer};
use banyan_proto::identity::Signed;

use super::{Ask, LedgerView, Rules, rule};

/// What people's signatures amount to.
pub(super) struct Consent {
    /// What stands against it.
    pub(super) denials: Vec<RuleId>,
    /// What stands for it.
    pub(super) word: Word,
}

/// What stands for a scenario.
pub(super) enum Word {
    /// Somebody has to speak first.
    Missing(Reviewer, RuleId),
    /// The approval of this node's approver, after every required review.
    Approved(Signed<Approval>),
}

impl Consent {
    /// Reads and verifies every signature on the scenario of the job.
    pub(super) fn read(ask: &Ask<'_>, rules: &Rules, ledger: &LedgerView) -> Self {
        let scenario = ask.spec.scenario.digest();
        let mut denials = Vec::new();
        let head = reviews(&scenario, rules, ledger, &mut denials);
        let word = approvals(ask, &scenario, head.as_ref().ok().copied().flatten(), rules, ledger, &mut denials);
        let word = head.map_or_else(|(reviewer, because)| Word::Missing(reviewer, because), |_| word);
        Self { denials, word }
    }
}

/// What an approval of this node must follow: the last of the required reviews. The coordinator passes on whatever it was
/// given, in any order; only words on this scenario by a required key in its capacity are this node's concern. A no counts
/// whatever else was said, by the same key or before it.
///
/// # Errors
/// [`ChainError`] names the review that is missing or does not stand.
pub fn reviewed(
    scenario: &Digest,
    offered: &[Signed<Approval>],
    required: &[RequiredReview],
) -> Result<Option<Digest>, ChainError> {
    let word_of = |review: &RequiredReview| {
        let says = |signed: &&Signed<Approval>| signed.verify(&review.key).ok();
        let mut words = offered.iter().filter(|signed| {
            says(signed).is_some_and(|word| word.reviewer == review.reviewer && word.scenario == *scenario)
        });
        let no = words.clone().find(|signed| says(signed).is_some_and(|word| !word.approved));
        if no.is_some() { Err(ChainError::Denied(review.reviewer)) } else { Ok(words.next()) }
    };
    let words: Vec<_> = required.iter().map(word_of).collect::<Result<_, _>>()?;
    // a word after one that is missing waits for it
    Chain::new(words.into_iter().map_while(|word| word.cloned()).collect()).verify(scenario, required)
}

type Head = Result<Option<Digest>, (Reviewer, RuleId)>;

/// What the required reviews amount to, in the words of the policy.
fn reviews(scenario: &Digest, rules: &Rules, ledger: &LedgerView, denials: &mut Vec<RuleId>) -> Head {
    let error = match reviewed(scenario, &ledger.reviews, &rules.required_reviews) {
        Ok(head) => return Ok(head),
        Err(error) => error,
    };
    match error {
        ChainError::Missing(reviewer) => {
            let reason = format!("{error}; the operator passes it on when it is signed");
            return Err((reviewer, RuleId::new(rule::REVIEW_MISSING, reason)));
        }
        ChainError::Denied(_) => {
            denials.push(RuleId::new(rule::REVIEW_DENIED, format!("{error}; propose a new scenario")));
        }
        ChainError::Signature { .. } | ChainError::Subject { .. } | ChainError::Order { .. } => {
            let reason = format!("{error}; ask the operator for the reviews as they were signed");
            denials.push(RuleId::new(rule::REVIEW_CHANGED, reason));
        }
    }
    Ok(None)
}

/// The first word of an approver that carries the scenario; or why none does.
fn approvals(
    ask: &Ask<'_>,
    scenario: &Digest,
    head: Option<Digest>,
    rules: &Rules,
    ledger: &LedgerView,
    denials: &mut Vec<RuleId>,
) -> Word {
    let mut carrying = None;
    let mut why = match rules.approvers.is_empty() {
        true => "config.toml names no approvers; `banyan-node init` makes one".to_owned(),
        false => "read it with `banyan-node inbox`, then `banyan-node approve` or `deny`".to_owned(),
    };
    for signed in &ledger.approvals {
        let by = signed.signer().fingerprint();
        let word = match signed.verify(&signed.signer()) {
            Ok(word) => word,
            Err(error) => {
                let reason = format!("an approval in this node's store does not hold: {error}; put back a backup");
                denials.push(RuleId::new(rule::APPROVAL_CHANGED, reason));
                continue;
            }
        };
        if word.scenario != *scenario {
            continue;
        }
        // a no counts even if its key is no approver any more: taking a key away must not turn a no into a yes
        if !word.approved {
            let reason = format!("{by} denied scenario {}, for good; propose a new one", ask.spec.scenario.name);
            denials.push(RuleId::new(rule::APPROVAL_DENIED, reason));
        } else if !rules.approvers.contains(&signed.signer()) {
            why = format!("{by} approved it, but is no approver in config.toml");
        } else if word.reviewer != Reviewer::Source || word.party.as_ref() != Some(ask.me) {
            why = format!("{by} approved it, but not for {}", ask.me);
        } else if word.after != head {
            why = format!("{by} approved it before the reviews stood, or they changed since; approve it again");
        } else {
            carrying = carrying.or(Some(signed));
        }
    }
    let needed = || {
        let reason = format!("an approver of {} must decide on scenario {}: {why}", ask.me, ask.spec.scenario.name);
        Word::Missing(Reviewer::Source, RuleId::new(rule::APPROVAL_NEEDED, reason))
    };
    carrying.cloned().map_or_else(needed, Word::Approved)
}
