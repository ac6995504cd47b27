//! What this node lets happen. Deny by default, explain always.
//!
//! [`decide`] is pure: the same inputs give the same answer, so that any decision can be replayed. It reads nothing but
//! its arguments: the job, what this department configured, what its people signed, and the time. Every rule that denies
//! is reported, in the order of this page; the first one's name is what others are told. What cannot be checked denies.

mod approval;
mod bounds;
pub mod rule;
#[cfg(test)]
mod tests;

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::decision::{Decision, Obligation, RuleId};
use banyan_proto::grant::{Approval, RequiredReview};
use banyan_proto::identity::{PublicKey, Signed};
use banyan_proto::job::{PartySpec, Plan, Spec};
use banyan_proto::names::Name;
use banyan_protocols::party::PartyId;
use jiff::Timestamp;

use self::approval::{Consent, Word};

pub use self::approval::reviewed;

/// The level from which a column is usable but never visible: it may be a key, and nothing else (DOMAIN.md, rule 5).
pub const LEVEL_HIDDEN: u8 = 3;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The job.
    pub spec: &'a Spec,
    /// The plan that this node derived from it.
    pub plan: &'a Plan,
    /// This node.
    pub me: &'a PartyId,
    /// The columns that this node's row filter reads, as the local engine parsed it; empty without a filter.
    pub filter_columns: &'a [String],
    /// Whether the run of this attempt is spent already: asked again while it runs and before it releases.
    pub spent: bool,
    /// Whether this node's own people run it with a party of the interconnection standard.
    pub interop: bool,
}

/// What this department configured, and what it knows of its data.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The keys whose approval counts.
    pub approvers: Vec<PublicKey>,
    /// The reviews that must stand before, in their order.
    pub required_reviews: Vec<RequiredReview>,
    /// The registered data sets.
    pub datasets: Vec<DatasetFacts>,
}

/// A registered data set.
#[derive(Clone, Debug)]
pub struct DatasetFacts {
    /// Its id.
    pub id: Name,
    /// Its columns.
    pub columns: Vec<ColumnFacts>,
}

/// A column.
#[derive(Clone, Debug)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// Its grade, 1 (open) to 4 (most sensitive).
    pub level: u8,
}

/// What people said so far, and what is spent.
#[derive(Clone, Debug, Default)]
pub struct LedgerView {
    /// The last word of every key on the scenario, from this node's store.
    pub approvals: Vec<Signed<Approval>>,
    /// The reviews that came with the offer.
    pub reviews: Vec<Signed<Approval>>,
    /// Whether the scenario was revoked here.
    pub revoked: bool,
    /// Why everything is halted here, if it is.
    pub halted: Option<String>,
    /// How many runs of the scenario are spent here.
    pub runs_spent: u32,
}

/// Whether the job may run here, now.
pub fn decide(ask: &Ask<'_>, rules: &Rules, ledger: &LedgerView, now: Timestamp) -> Decision {
    let Some(mine) = ask.spec.party(ask.me) else {
        let reason = format!("{} is no party of job {}; it needs no answer from here", ask.me, ask.spec.name);
        let mut because = Vec::from_iter(halted(ledger));
        because.push(RuleId::new(rule::NOT_A_PARTY, reason));
        return Decision::Deny { because };
    };
    let consent = Consent::read(ask, rules, ledger);
    let mut because = Vec::from_iter(halted(ledger));
    because.extend(other_plan(ask));
    because.extend(bounds::dataset(ask, rules, mine));
    because.extend(bounds::validity(ask, now));
    because.extend(revoked(ask, ledger));
    because.extend(bounds::scenario(ask, mine));
    because.extend(bounds::interop(ask, mine));
    because.extend(exhausted(ask, ledger));
    because.extend(consent.denials);
    if !because.is_empty() {
        return Decision::Deny { because };
    }
    match consent.word {
        Word::Missing(reviewer, missing) => Decision::AskPerson { reviewer, because: vec![missing] },
        Word::Approved(approval) => allow(ask, ledger, mine, &approval),
    }
}

/// The digest of the approval on which a job may run here: what the node's admission names.
pub fn carrying_approval(ask: &Ask<'_>, rules: &Rules, ledger: &LedgerView) -> Option<Digest> {
    match Consent::read(ask, rules, ledger) {
        Consent { denials, word: Word::Approved(approval) } if denials.is_empty() => Some(approval.digest()),
        _ => None,
    }
}

fn allow(ask: &Ask<'_>, ledger: &LedgerView, mine: &PartySpec, approval: &Signed<Approval>) -> Decision {
    let scenario = &ask.spec.scenario;
    let spend = (!ask.spent).then_some(Obligation::SpendRun);
    let limits = [
        Obligation::RowsAtMost(mine.rows_at_most),
        Obligation::MinimumResult(ask.spec.minimum_result.max(scenario.minimum_result)),
    ];
    let reason = format!(
        "scenario {} was approved by {}; {} of {} runs are spent",
        scenario.name,
        approval.signer().fingerprint(),
        ledger.runs_spent,
        scenario.runs
    );
    Decision::Allow {
        obligations: spend.into_iter().chain(limits).collect(),
        because: vec![RuleId::new(rule::APPROVED, reason)],
    }
}

fn halted(ledger: &LedgerView) -> Option<RuleId> {
    let reason = ledger.halted.as_ref()?;
    Some(RuleId::new(
        rule::HALTED,
        format!("everything is halted here: {reason}; `banyan-node halt --resume --reason …` ends it"),
    ))
}

fn other_plan(ask: &Ask<'_>) -> Option<RuleId> {
    let reason = "the plan is not of this spec; derive it from the spec that was offered";
    (ask.plan.spec != ask.spec.digest()).then(|| RuleId::new(rule::PLAN, reason))
}

fn revoked(ask: &Ask<'_>, ledger: &LedgerView) -> Option<RuleId> {
    let reason = format!("scenario {} was revoked, for good; propose a new scenario", ask.spec.scenario.name);
    ledger.revoked.then(|| RuleId::new(rule::SCENARIO_REVOKED, reason))
}

fn exhausted(ask: &Ask<'_>, ledger: &LedgerView) -> Option<RuleId> {
    let runs = ask.spec.scenario.runs;
    let reason =
        format!("all {runs} runs of scenario {} are spent; propose a new one with more", ask.spec.scenario.name);
    (!ask.spent && ledger.runs_spent >= runs).then(|| RuleId::new(rule::RUNS_EXHAUSTED, reason))
}
