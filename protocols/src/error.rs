//! Errors sorted by what the caller does next: blame and stop; retry as a new attempt; fix the input; report a bug.

use crate::message::Malformed;
use crate::party::PartyId;
use crate::transport::{LinkError, Step};

/// The result of everything a protocol does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run of a protocol ended without an output.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A party sent what the protocol does not allow: stop, and name it. Never retried by itself.
    #[error("party {party} deviated at step {step}: {fault}")]
    Deviation {
        /// Who deviated, or in whose name the network did.
        party: PartyId,
        /// Where in the protocol.
        step: Step,
        /// What was wrong.
        fault: Fault,
    },
    /// The connection failed: the job may be tried again as a new attempt.
    #[error("link to {party} at step {step}: {error}")]
    Link {
        /// The peer at the other end.
        party: PartyId,
        /// Where in the protocol.
        step: Step,
        /// What happened to the link.
        error: LinkError,
    },
    /// This party's own input does not fit the plan: fix the data or the spec.
    #[error("input: {0}")]
    Input(#[from] InputError),
    /// A random structure did not come about: the job may be tried again as a new attempt.
    #[error("{0} did not come about, as happens once in 2^40 attempts: try again as a new attempt")]
    Chance(&'static str),
    /// The run was told to stop.
    #[error("the run was cancelled")]
    Cancelled,
    /// A defect of this program.
    #[error("bug: {0} (please report it)")]
    Bug(Bug),
}

/// What a peer did wrong. Names what, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A message that does not have the shape the receiver stated.
    #[error("malformed message: {0}")]
    Malformed(#[from] Malformed),
    /// A frame that was changed, reordered, repeated, cut out or taken from elsewhere: its seal does not open.
    #[error(
        "frame {frame} of this step does not open under the session's key: changed, repeated, dropped or from another session"
    )]
    Forged {
        /// Which frame of the step, counted from 0.
        frame: u64,
    },
    /// The stream ended before its last frame.
    #[error("the stream ended before its last frame")]
    Cut,
    /// More frames than the protocol has.
    #[error("frames after the last message of the step")]
    Trailing,
    /// The identity element, which would give the same value under every key.
    #[error("element {index} is the identity")]
    Identity {
        /// Position in the stream of elements, counted from 0.
        index: u64,
    },
    /// A point of small order, which few values are made of under any key.
    #[error("element {index} is of small order")]
    SmallOrder {
        /// Position in the stream of elements, counted from 0.
        index: u64,
    },
    /// A point of the curve's twist, another group in which the key would show its small factors.
    #[error("element {index} is a point of the twist, not of the curve")]
    Twist {
        /// Position in the stream of elements, counted from 0.
        index: u64,
    },
    /// The same element twice.
    #[error("element {index} repeats an earlier one")]
    Repeat {
        /// Position in the stream of elements, counted from 0.
        index: u64,
    },
    /// A check over everything the peer sent at a step, which an honest peer always passes.
    #[error("the check of {check} fails: what the peer sent does not belong together")]
    Check {
        /// What was checked.
        check: &'static str,
    },
    /// An element of an ascending stream that is not above the one before it.
    #[error("element {index} is not above the one before it")]
    Order {
        /// Position in the stream of elements, counted from 0.
        index: u64,
    },
    /// More queries than were approved.
    #[error("more queries than the {left} that are left of what was approved")]
    Allowance {
        /// How many are left.
        left: u64,
    },
    /// Bytes that are no canonical encoding of an element.
    #[error("element {index} is not a canonical group element")]
    Encoding {
        /// Position in the stream of elements, counted from 0.
        index: u64,
    },
}

/// This party's own input does not fit. Names positions, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// More items than the plan's band.
    #[error("{got} items, but the plan allows {max}: raise rows_at_most in the spec, or filter the data set")]
    TooMany {
        /// Items given.
        got: u64,
        /// The band of the plan.
        max: u64,
    },
    /// The same item twice: a set has each item once.
    #[error("item {second} equals item {first}: remove duplicates first")]
    Duplicate {
        /// Position of the first.
        first: u64,
        /// Position of the second.
        second: u64,
    },
    /// A column that has not one number per row.
    #[error("a column of {got} numbers for {rows} rows")]
    Rows {
        /// Numbers of the column.
        got: u64,
        /// Rows of the table.
        rows: u64,
    },
    /// Another number of columns than agreed.
    #[error("{got} columns, but the plan has {agreed}: name the columns of the plan")]
    Columns {
        /// Columns given.
        got: usize,
        /// Columns of the plan.
        agreed: usize,
    },
    /// Numbers so large that their sum does not fit 64 bits.
    #[error("with row {row} the numbers add up to more than 64 bits hold: scale the column down")]
    TooLarge {
        /// The row with which they do.
        row: u64,
    },
    /// A result form or a size that the protocol does not have.
    #[error("protocol {protocol} cannot do this: {reason}")]
    Unsupported {
        /// The protocol.
        protocol: &'static str,
        /// Why not, and what it has instead.
        reason: &'static str,
    },
}

/// A defect of this program, named by where it showed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bug(pub &'static str);
