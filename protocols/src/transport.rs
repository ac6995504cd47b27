//! The seam: protocols see frames on named links, and nothing else. Object-safe on purpose: one virtual call per frame
//! buys protocol signatures without a network in them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::Sink;
use futures::stream::BoxStream;

use crate::message::Malformed;
use crate::party::PartyId;

/// The path of a step inside one run, such as `dh/receiver`. Both ends name a step alike; it enters keys and errors.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(Arc<str>);

/// The longest path of a step in bytes: a peer states it when it opens a stream, so it needs a bound.
pub const STEP_MAX: usize = 128;

impl Step {
    /// The step at the root of a run or of a sub-protocol.
    pub fn root(name: &str) -> Self {
        Self(name.into())
    }

    /// The step below this one.
    pub fn child(&self, name: impl fmt::Display) -> Self {
        Self(format!("{}/{name}", self.0).into())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens links to peers. One link per peer and step; it may connect lazily, at the first frame.
pub trait Transport: Send + Sync {
    /// Opens the link to `peer` for `step`.
    ///
    /// # Errors
    /// [`LinkError::AlreadyOpen`] where this step was opened before: a step is opened once.
    fn open(&self, peer: &PartyId, step: &Step) -> Result<Link, LinkError>;
}

/// The sending half of a link. Closing it sends the end-of-stream mark that the peer's [`Inbound`] checks.
pub type Outbound = Pin<Box<dyn Sink<Bytes, Error = LinkError> + Send>>;

/// The receiving half of a link. It ends (`None`) only after the peer's end-of-stream mark.
pub type Inbound = BoxStream<'static, Result<Bytes, LinkError>>;

/// Both directions of one step with one peer: ordered, authenticated, bounded.
pub struct Link {
    /// Frames to the peer, each at most [`crate::message::FRAME_MAX`] bytes.
    pub outbound: Outbound,
    /// Frames from the peer, in the order sent.
    pub inbound: Inbound,
}

/// What can happen to a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The step was opened before in this run.
    #[error("step opened twice")]
    AlreadyOpen,
    /// A peer that is not in this run, or whose identity is not pinned here.
    #[error("unknown peer")]
    UnknownPeer,
    /// No connection could be made.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The peer or the network went away.
    #[error("closed by the peer or the network")]
    Closed,
    /// Nothing arrived for too long.
    #[error("the peer went silent")]
    Silent,
    /// The peer, or a relay, said no, with a code.
    #[error("refused: {0}")]
    Refused(String),
    /// A frame that does not open under the link's key. [`crate::channel::Channel`] reports it as the peer's deviation.
    #[error("frame {frame} does not open under the session's key")]
    Forged {
        /// Which frame, counted from 0.
        frame: u64,
    },
    /// The stream ended without its end-of-stream mark. [`crate::channel::Channel`] reports it as a deviation.
    #[error("the stream ended before its last frame")]
    Cut,
    /// What came is no frame, where another wire is heard than ours. [`crate::channel::Channel`] reports it as the peer's
    /// deviation.
    #[error("malformed message: {0}")]
    Malformed(Malformed),
    /// A frame above the limit.
    #[error("frame above {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
}
