//! `multi` in the catalogue: what it claims, discloses and costs.

use std::ops::RangeInclusive;

use futures::future::BoxFuture;

use super::{BAND_MAX, Half, Multi};
use crate::catalogue::{Cost, Descriptor, Disclosure, Form, Input, Learns, Output, Parameters, Protocol, Suite};
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::Role;
use crate::psi::{oprf, play};
use crate::session::Session;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "multi",
    summary: "intersection of the sets of three or more parties, of none of which fewer sets' is revealed",
    paper: "Kolesnikov, Matania, Pinkas, Rosulek and Trieu 2017, augmented semi-honest",
    security: "augmented semi-honest, any number colluding; learning parity with noise and random oracle (128 bits); false match at most 2^-64",
    suite: Suite::Intl,
    forms: &[Form::RowsToReceiver],
    auto: true,
};

/// What a party's processor needs on the reference core, from `banyan bench psi --protocol multi --via memory` with two
/// senders: in microseconds what is fixed; then, in nanoseconds, for each row of the receiver and of the sender; of the
/// receiver for each of its peers. Receiver and sender took 12 and 9 ms for 2^10 rows each, 202 and 109 for 2^18; 195 and
/// 25 for 2^18 rows of the receiver against 2^10, 11 and 95 the other way round.
const FIXED_US: u64 = 9_000;
const RECEIVER_NS: (u64, u64) = (370, 10);
const SENDER_NS: (u64, u64) = (65, 330);

impl Protocol for Multi {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn senders(&self) -> RangeInclusive<u32> {
        2..=u32::MAX
    }

    fn memory(&self, p: &Parameters, role: Role) -> u64 {
        /// For each row of both sets, as other protocols have it: the receiver holds a run with each sender.
        const ROW: u64 = 200;
        let peers = if role == Role::Receiver { u64::from(p.senders) } else { 1 };
        p.sizes.receiver.saturating_add(p.sizes.sender).saturating_mul(ROW * peers)
    }

    fn disclosures(&self, _: Form) -> Vec<Disclosure> {
        let learns = |to: Role, learns| Disclosure { to, learns, about: to.other() };
        vec![
            learns(Role::Receiver, Learns::SizeBand),
            learns(Role::Sender, Learns::SizeBand),
            learns(Role::Receiver, Learns::IntersectionOfAll),
        ]
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        let oprf = oprf::cost(p.sizes.receiver as usize, role);
        let senders = u64::from(p.senders);
        let bytes_out = match role {
            Role::Receiver => senders * oprf.bytes_out,
            Role::Sender => {
                let halves = senders.saturating_sub(1) * (FRAME_HEADER as u64 + Half::BYTES);
                oprf.bytes_out + halves + oprf::store_bytes(p.sizes.sender as usize)
            }
        };
        let (peers, (receiver_ns, sender_ns)) = match role {
            Role::Receiver => (senders, RECEIVER_NS),
            Role::Sender => (1, SENDER_NS),
        };
        let cpu_us = peers * (FIXED_US + (p.sizes.receiver * receiver_ns + p.sizes.sender * sender_ns) / 1000);
        // the hints, and the end mark of who hears them
        Cost { rounds: oprf.rounds + 2, bytes_out, group_ops: oprf.group_ops, cpu_us }
    }

    fn work(&self, p: &Parameters, role: Role) -> u64 {
        let peers = if role == Role::Receiver { u64::from(p.senders) } else { 1 };
        peers * oprf::work(p.sizes.receiver as usize)
    }

    fn rows_max(&self, _: Role) -> u64 {
        BAND_MAX
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(play(self, s, role, p, input))
    }
}
