//! How an attempt ends without a result: a code that others are told, and a detail for this node's own people.

use banyan_protocols::error::Error;

use crate::audit::AuditError;
use crate::data::DataError;
use crate::store::StoreError;

/// Why an attempt ended. Others are told the code; the detail names places, never values, and stays here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Stable, for the coordinator and for scripts.
    pub(crate) code: String,
    /// For this node's log and status.
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }

    /// Time ran out.
    pub(crate) fn deadline(deadline_s: u32) -> Self {
        let detail = format!(
            "the deadline of {deadline_s} seconds passed: raise limits.deadline_s in the spec, or look at the slower party"
        );
        Self::new("deadline", detail)
    }

    /// The code as others are told it. Faults of this node's data have one code: whether it was a key, a cell or the
    /// number of rows that a filter let through is not for others, who could ask about a person that way.
    pub(crate) fn public_code(code: &str) -> &str {
        match code {
            "key" | "row" | "rows" | "memory" | "bucket" | "encoding" | "engine" | "file" => "input",
            code => code,
        }
    }

    /// What the code says to those who must not see the detail.
    pub(crate) fn public(code: &str) -> &'static str {
        match code {
            "deviation" => "a party sent what the protocol does not allow",
            "link" => "the connection between two nodes failed; the job may be tried again",
            "counts" => "the parties count different numbers of common keys",
            "deadline" => "the deadline passed",
            "stopped" => "stopped, or the node was shut down",
            "restarted" => "the node was restarted during the attempt; the job may be tried again",
            "below-minimum" => "the result is below the minimum size, and was not opened",
            "answers-exhausted" => "a party asked for more answers about the other's keys than it may have for now",
            "clock" => "the node's clock is off",
            "busy" => "the node runs as many attempts as it may; the job may be tried again",
            "spent" => "this attempt was made before; propose the job again for a new one",
            "not-resumed" => "the job cannot go on where it was; propose it again, which spends a run",
            "receipt" => "a party's log contradicts what it signed before",
            "disk" | "disk-full" => "the node could not write",
            "input" | "key" | "row" | "rows" | "memory" | "bucket" | "encoding" | "engine" | "file" => {
                "the node's own data did not pass; its people see why with `banyan-node status`"
            }
            _ => "the node's people see why with `banyan-node status`",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Deviation { .. } => "deviation",
            Error::Link { .. } => "link",
            Error::Chance(_) => "chance",
            Error::Input(_) => "input",
            Error::Cancelled => "stopped",
            Error::Bug(_) => "bug",
        };
        Self::new(code, error.to_string())
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::AlreadySpent { .. } => "spent",
            StoreError::Exhausted { .. } => "runs-exhausted",
            StoreError::Answered { .. } => "answers-exhausted",
            _ => "store",
        };
        Self::new(code, error.to_string())
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        Self::new("log", error.to_string())
    }
}
