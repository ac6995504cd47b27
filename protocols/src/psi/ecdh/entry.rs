//! The page in the catalogue: what each of its protocols claims, discloses and costs.

use futures::future::BoxFuture;

use super::msg::{Points, Tags};
use super::{BAND_MAX, BATCH, Ecdh, Named};
use crate::catalogue::{Cost, Descriptor, Disclosure, Form, Input, Learns, Output, Parameters, Protocol, Suite};
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::Role;
use crate::psi::play;
use crate::session::Session;
use crate::suite::group::{Curve25519, Ristretto255, Sm2Curve};

const SUMMARY: &str = "intersection of two sets of keys, or its size";
const PAPER: &str = "Meadows 1986; Huberman, Franklin and Hogg 1999; proof: Agrawal, Evfimievski and Srikant 2003, sections 3.3 and 5.1";
const FORMS: &[Form] = &[Form::RowsToReceiver, Form::RowsToBoth, Form::Cardinality];

impl Named for Ristretto255 {
    // this and those below: `cargo bench -p banyan-benches --bench protocols -- 14`, hashing and tags with it
    const GROUP_OP_NS: u64 = 3_600;
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "dh",
        summary: SUMMARY,
        paper: PAPER,
        security: "semi-honest; DDH in ristretto255 (126 bits), random oracle; false match at most 2^-40",
        suite: Suite::Intl,
        forms: FORMS,
        auto: true,
    };
}

impl Named for Curve25519 {
    const GROUP_OP_NS: u64 = 3_700;
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "ecdh",
        summary: SUMMARY,
        paper: PAPER,
        security: "semi-honest; DDH on Curve25519 (126 bits), random oracle; false match at most 2^-40",
        suite: Suite::Intl,
        forms: FORMS,
        auto: true,
    };
}

impl Named for Sm2Curve {
    const GROUP_OP_NS: u64 = 6_700;
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "ecdh-sm",
        summary: SUMMARY,
        paper: PAPER,
        security: "semi-honest; DDH on the SM2 curve (128 bits), random oracle (SM3); false match at most 2^-40",
        suite: Suite::Sm,
        forms: FORMS,
        auto: true,
    };
}

impl<G: Named> Protocol for Ecdh<G> {
    fn descriptor(&self) -> &'static Descriptor {
        G::DESCRIPTOR
    }

    fn disclosures(&self, form: Form) -> Vec<Disclosure> {
        let learns = |to: Role, learns| Disclosure { to, learns, about: to.other() };
        let mut all = vec![learns(Role::Receiver, Learns::SizeBand), learns(Role::Sender, Learns::SizeBand)];
        match form {
            Form::RowsToReceiver => all.push(learns(Role::Receiver, Learns::Intersection)),
            Form::Cardinality => all.push(learns(Role::Receiver, Learns::IntersectionSize)),
            Form::Sum | Form::Shares => (),
            Form::RowsToBoth => {
                all.push(learns(Role::Receiver, Learns::Intersection));
                all.push(learns(Role::Sender, Learns::Intersection));
            }
        }
        all
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        let (n, m) = (p.sizes.receiver, p.sizes.sender);
        let batch = self.batch as u64;
        let stream = |count: u64, bytes: u64| count.div_ceil(batch) * FRAME_HEADER as u64 + bytes;
        let points = |count: u64| stream(count, count * Points::BYTES);
        let tags = |count: u64| stream(count, count * Tags::BYTES);
        let bits = |count: u64| stream(count, count / batch * batch.div_ceil(8) + (count % batch).div_ceil(8));
        let to_both = p.form == Form::RowsToBoth;
        Cost {
            rounds: if to_both { 3 } else { 2 },
            bytes_out: match role {
                Role::Receiver => points(n) + if to_both { bits(m) } else { 0 },
                Role::Sender => points(m) + tags(n),
            },
            group_ops: n + m,
            cpu_us: (n + m) * G::GROUP_OP_NS / 1000,
        }
    }

    /// The receiver's items, order, both streams of tags and the table that matches them, while it is made.
    fn memory(&self, p: &Parameters, _role: Role) -> u64 {
        /// Measured for each row of both sets, keys of 18 bytes.
        const ROW: u64 = 130;
        (p.sizes.receiver + p.sizes.sender) * ROW
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
