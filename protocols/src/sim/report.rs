//! What a run in a world cost.

use std::time::Duration;

use super::{Net, Transcript};
use crate::error::Result;
use crate::party::PartyId;
use crate::transport::Step;

/// The end of a run in a world.
#[derive(Debug)]
pub struct Run<T> {
    /// What each party's program gave back, in the order of the roster.
    pub outcomes: Vec<(PartyId, Result<T>)>,
    /// What it cost.
    pub report: Report,
    /// Every frame sent; empty unless the world records.
    pub transcript: Transcript,
}

impl<T> Run<T> {
    /// What the program of `party` gave back, if it took part.
    pub fn outcome(&self, party: &PartyId) -> Option<&Result<T>> {
        self.outcomes.iter().find(|(p, _)| p == party).map(|(_, outcome)| outcome)
    }

    /// Every party's value in the order of the roster.
    ///
    /// # Errors
    /// The first error of the roster.
    pub fn values(self) -> Result<Vec<T>> {
        self.outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// What a run cost, in virtual time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The network it ran over.
    pub net: Net,
    /// Until the last party ended.
    pub elapsed: Duration,
    /// Each party, in the order of the roster.
    pub parties: Vec<PartyReport>,
    /// Each direction of each step, by sender, receiver and step.
    pub streams: Vec<StreamReport>,
}

impl Report {
    /// Messages one after another on the longest path. Exact over [`Net::ROUNDS`], where nothing else takes time.
    pub fn rounds(&self) -> u32 {
        let latency = self.net.latency.as_nanos().max(1);
        u32::try_from(self.elapsed.as_nanos() / latency).unwrap_or(u32::MAX)
    }

    /// Frames of all parties, before sealing.
    pub fn bytes(&self) -> u64 {
        self.parties.iter().map(|party| party.bytes_out).sum()
    }
}

/// What one party spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyReport {
    /// Who.
    pub party: PartyId,
    /// When its program ended.
    pub finished: Duration,
    /// Bytes sent: frames with their headers, before sealing.
    pub bytes_out: u64,
    /// Bytes received, counted alike.
    pub bytes_in: u64,
    /// Group operations, as the protocol counted them.
    pub group_ops: u64,
    /// Work, as the protocol counted it for progress.
    pub work: u64,
    /// Time of its jobs on one core; zero where computing is free.
    pub compute: Duration,
}

/// What one direction of one step carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// Who sent.
    pub from: PartyId,
    /// To whom.
    pub to: PartyId,
    /// The step.
    pub step: Step,
    /// How many frames, with the end-of-stream mark.
    pub frames: u64,
    /// Their bytes on the wire, sealed.
    pub sealed_bytes: u64,
}
