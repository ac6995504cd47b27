//! `multi` in the catalogue: what it claims, discloses and costs.

use std::ops::RangeInclusive;

use futures::future::BoxFuture;

use super::{BAND_MAX, Half, Multi, SENDERS_MAX};
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

/// What a party's processor needs on the reference core for each peer of its own, as in `rr22`, and for each item.
const FIXED_US: u64 = 15_000;
const ITEM_NS: u64 = 400;

impl Protocol for Multi {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn senders(&self) -> RangeInclusive<u32> {
        2..=SENDERS_MAX
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
        let peers = if role == Role::Receiver { senders } else { 1 };
        let cpu_us = peers * FIXED_US + (peers * p.sizes.receiver + p.sizes.sender) * ITEM_NS / 1000;
        // the hints, and the end mark of who hears them
        Cost { rounds: oprf.rounds + 2, bytes_out, group_ops: oprf.group_ops, cpu_us }
    }

    fn rows_max(&self, _: Role) -> u64 {
        BAND_MAX
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(play(self, s, role, p, input))
    }
}
