//! The names of the rules: stable, since others are told them and people search for them.

/// Everything is halted at this node.
pub const HALTED: &str = "halted";
/// The job has no part for this node.
pub const NOT_A_PARTY: &str = "not-a-party";
/// The plan does not follow from the spec.
pub const PLAN: &str = "plan";
/// The data set is not registered here.
pub const UNKNOWN_DATASET: &str = "unknown-dataset";
/// The data set has no such column.
pub const MISSING_COLUMN: &str = "missing-column";
/// The column's grade forbids the use.
pub const LEVEL: &str = "level";
/// The scenario has not begun.
pub const SCENARIO_NOT_YET_VALID: &str = "scenario-not-yet-valid";
/// The scenario is over.
pub const SCENARIO_EXPIRED: &str = "scenario-expired";
/// The scenario was revoked.
pub const SCENARIO_REVOKED: &str = "scenario-revoked";
/// A recipient the scenario does not name.
pub const RECIPIENT: &str = "recipient";
/// An operation or kind of result the scenario does not name.
pub const OPERATION: &str = "operation";
/// A column or data set the scenario does not grant for the use.
pub const OUTSIDE_GRANT: &str = "outside-grant";
/// A party of the interconnection standard where none may be, or another where one must be.
pub const INTEROP: &str = "interop";
/// A smaller result than the scenario allows would be opened.
pub const MINIMUM_RESULT: &str = "minimum-result";
/// Every run is spent.
pub const RUNS_EXHAUSTED: &str = "runs-exhausted";
/// A required review is not there yet.
pub const REVIEW_MISSING: &str = "review-missing";
/// A review does not hold.
pub const REVIEW_CHANGED: &str = "review-changed";
/// A reviewer said no.
pub const REVIEW_DENIED: &str = "review-denied";
/// An approval in the store does not hold.
pub const APPROVAL_CHANGED: &str = "approval-changed";
/// An approver of this node said no.
pub const APPROVAL_DENIED: &str = "approval-denied";
/// An approver of this node has to decide.
pub const APPROVAL_NEEDED: &str = "approval-needed";
/// An approver of this node said yes, and nothing else denies.
pub const APPROVED: &str = "approved";

/// Whether a code is the name of a rule.
pub fn is(code: &str) -> bool {
    [
        HALTED,
        NOT_A_PARTY,
        PLAN,
        UNKNOWN_DATASET,
        MISSING_COLUMN,
        LEVEL,
        SCENARIO_NOT_YET_VALID,
        SCENARIO_EXPIRED,
        SCENARIO_REVOKED,
        RECIPIENT,
        OPERATION,
        OUTSIDE_GRANT,
        INTEROP,
        MINIMUM_RESULT,
        RUNS_EXHAUSTED,
        REVIEW_MISSING,
        REVIEW_CHANGED,
        REVIEW_DENIED,
        APPROVAL_CHANGED,
        APPROVAL_DENIED,
        APPROVAL_NEEDED,
        APPROVED,
    ]
    .contains(&code)
}
