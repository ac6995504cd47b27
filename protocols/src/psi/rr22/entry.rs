//! `rr22` and `rr22-low` in the catalogue: what they claim, disclose and cost.

use futures::future::BoxFuture;

use super::local::Slot;
use super::{BAND_MAX, BATCH_BYTES, LOW_SENDER_MAX, Rr22};
use crate::catalogue::{Cost, Descriptor, Disclosure, Form, Input, Learns, Output, Parameters, Protocol, Suite};
use crate::error::Result;
use crate::kernels::okvs::Shape;
use crate::message::FRAME_HEADER;
use crate::ot::vole;
use crate::party::Role;
use crate::psi::play;
use crate::session::Session;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "rr22",
    summary: "intersection of two sets of keys of like size, fast",
    paper: "Rindal and Schoppmann 2021, for malicious peers; Raghuraman and Rindal 2022, section 4",
    security: "malicious; learning parity with noise and random oracle (128 bits); false match at most 2^-58",
    suite: Suite::Intl,
    forms: &[Form::RowsToReceiver, Form::RowsToBoth],
    auto: true,
};

static LOW: Descriptor = Descriptor {
    name: "rr22-low",
    summary: "as rr22, with fewer bytes",
    paper: "Raghuraman and Rindal 2022, section 4 (low communication)",
    security: "semi-honest; learning parity with noise and random oracle (128 bits); false match at most 2^-40",
    suite: Suite::Intl,
    forms: &[Form::RowsToReceiver, Form::RowsToBoth],
    auto: true,
};

/// What a party's processor needs on the reference core, of which the slower party is the measure: base transfers and trees
/// whatever the sizes; of each slot, the correlation, the encoding and the decoding; of each tag, hashing and matching.
const FIXED_US: u64 = 15_000;
const SLOT_NS: u64 = 170;
const TAG_NS: u64 = 100;

impl Protocol for Rr22 {
    fn descriptor(&self) -> &'static Descriptor {
        if self.low { &LOW } else { &DESCRIPTOR }
    }

    fn disclosures(&self, form: Form) -> Vec<Disclosure> {
        let learns = |to: Role, learns| Disclosure { to, learns, about: to.other() };
        let mut all = vec![learns(Role::Receiver, Learns::SizeBand), learns(Role::Sender, Learns::SizeBand)];
        all.push(learns(Role::Receiver, Learns::Intersection));
        if form == Form::RowsToBoth {
            all.push(learns(Role::Sender, Learns::Intersection));
        }
        all
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        if self.low { self.cost_on::<u64>(p, role) } else { self.cost_on::<u128>(p, role) }
    }

    fn rows_max(&self, role: Role) -> u64 {
        if self.low && role == Role::Sender { LOW_SENDER_MAX } else { BAND_MAX }
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(play(self, s, role, p, input))
    }
}

impl Rr22 {
    fn cost_on<F: Slot>(&self, p: &Parameters, role: Role) -> Cost {
        let (n, m) = (p.sizes.receiver, p.sizes.sender);
        let slots = Shape::new(n as usize).len();
        let vole = vole::cost::<F>(slots, role);
        let frame = |bytes: usize| (FRAME_HEADER + bytes) as u64;
        let stream = |bytes: usize| (self.counts(bytes).count() * FRAME_HEADER + bytes) as u64;
        let to_both = p.form == Form::RowsToBoth;
        let bytes_out = match role {
            Role::Receiver => {
                let matches = if to_both { stream(m.div_ceil(8) as usize) } else { 0 };
                2 * frame(16) + stream(slots * F::BYTES) + matches
            }
            Role::Sender => frame(32) + frame(16) + stream(self.layout(n as u32, m as u32).bytes()),
        };
        // A + P follows the last round of the correlation; tags follow the sender's coin.
        let rounds = vole.rounds + if to_both { 3 } else { 2 };
        let cpu_us = FIXED_US + (slots as u64 * SLOT_NS + m * TAG_NS) / 1000;
        Cost { rounds, bytes_out: vole.bytes_out + bytes_out, group_ops: vole.group_ops, cpu_us }
    }
}

const _: () = assert!(BATCH_BYTES + FRAME_HEADER <= crate::message::FRAME_MAX, "a batch fits a frame");
