//! `unbalanced` in the catalogue: what it claims, discloses and costs.

use futures::future::BoxFuture;

use super::msg::{Have, Offer, Points, Tags};
use super::{BAND_MAX, BATCH, Unbalanced};
use crate::catalogue::{Cost, Descriptor, Disclosure, Form, Input, Learns, Output, Parameters, Protocol, Suite};
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::Role;
use crate::psi::play;
use crate::session::Session;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "unbalanced",
    summary: "intersection of a small set with a large one",
    paper: "RFC 9497, mode OPRF; Jarecki, Kiayias and Krawczyk 2014; Kiss, Liu, Schneider, Asokan and Pinkas 2017",
    security: "semi-honest; one-more gap DH and DDH in ristretto255 (126 bits), random oracle; false match at most 2^-40",
    suite: Suite::Intl,
    forms: &[Form::RowsToReceiver],
    auto: false, // tags outlive the job at its receiver: people choose that
};

/// Nanoseconds of the reference core for a scalar multiplication with all that comes with it, as in `dh`.
const GROUP_OP_NS: u64 = 3_400;

impl Protocol for Unbalanced {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn disclosures(&self, _form: Form) -> Vec<Disclosure> {
        let learns = |to: Role, learns| Disclosure { to, learns, about: to.other() };
        vec![
            learns(Role::Receiver, Learns::SizeBand),
            learns(Role::Sender, Learns::SizeBand),
            learns(Role::Receiver, Learns::Intersection),
            learns(Role::Receiver, Learns::Changes),
        ]
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        let (n, m) = (p.sizes.receiver, p.sizes.sender);
        let stream = |count: u64, bytes: u64| count.div_ceil(self.batch as u64) * FRAME_HEADER as u64 + count * bytes;
        let points = stream(n, Points::BYTES);
        let (bytes_out, group_ops) = match role {
            Role::Receiver => (points + stream(1, Have::BYTES), 2 * n),
            Role::Sender => (points + stream(1, Offer::BYTES) + stream(m, Tags::BYTES), n + m),
        };
        Cost { rounds: 2, bytes_out, group_ops, cpu_us: group_ops * GROUP_OP_NS / 1000 }
    }

    fn rows_max(&self, _: Role) -> u64 {
        BAND_MAX
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(play(self, s, role, p, input))
    }
}

const _: () = assert!(
    BATCH * Points::BYTES as usize + FRAME_HEADER <= crate::message::FRAME_MAX,
    "a batch of points fits a frame"
);
const _: () = assert!(
    BAND_MAX.div_ceil(BATCH as u64) < crate::suite::seal::FRAMES_MAX,
    "the largest band and its end mark fit one stream"
);
