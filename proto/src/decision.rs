//! The words policy speaks. Default deny: a decision names the rules it rests on, and is replayable from its inputs.

use serde::{Deserialize, Serialize};

use crate::grant::Reviewer;

/// The answer to one ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may go ahead, if the obligations are kept.
    Allow {
        /// What the node must do.
        obligations: Vec<Obligation>,
        /// The rules that allowed it.
        because: Vec<RuleId>,
    },
    /// A person must decide.
    AskPerson {
        /// Who.
        reviewer: Reviewer,
        /// The rules that ask.
        because: Vec<RuleId>,
    },
    /// It may not.
    Deny {
        /// The rules that deny, with what would be allowed.
        because: Vec<RuleId>,
    },
}

/// What a node must keep when it runs an allowed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obligation {
    /// Spend one run of the scenario before the act.
    SpendRun,
    /// Let no more rows in than this.
    RowsAtMost(u64),
    /// Release nothing below this many common rows.
    MinimumResult(u64),
}

/// A rule of the policy, by its stable name and, where it denies, the reason for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleId {
    /// The stable name, such as `scenario-expired`. A peer is told this and nothing else.
    pub name: String,
    /// The reason and the remedy, for this node's people.
    pub reason: String,
}

impl RuleId {
    /// A rule with its reason.
    pub fn new(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.into(), reason: reason.into() }
    }
}
