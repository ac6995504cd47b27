//! `interop` in the catalogue: what it claims, discloses and costs.

use futures::future::BoxFuture;

use super::local::TAIL;
use super::msg::Batch;
use super::{BAND_MAX, BATCH, EcSuite, Interop};
use crate::catalogue::{Cost, Descriptor, Disclosure, Form, Input, Learns, Output, Parameters, Protocol, Suite};
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::Role;
use crate::psi::play;
use crate::session::Session;

static X25519: Descriptor = Descriptor {
    name: "interop",
    summary: "intersection with a party of the open interconnection standard",
    paper: "ECDH-PSI of the interconnection standard, Curve25519 with SHA-256",
    security: "the standard's, not Banyan's: semi-honest; ECDH on Curve25519 with the hash as u; about one bit of each key \
               shows; false match at most 2^-39",
    suite: Suite::Intl,
    forms: FORMS,
    auto: false,
};

static SM2: Descriptor = Descriptor {
    name: "interop-sm",
    summary: "as interop, on the SM2 curve, as SecretFlow hashes onto it",
    paper: "ECDH-PSI of the interconnection standard, SM2 with SHA-256 (try and rehash)",
    security: "the standard's, not Banyan's: semi-honest; ECDH on SM2; the time of hashing depends on the key; false match at \
               most 2^-40",
    suite: Suite::Sm,
    ..X25519
};

static SM3: Descriptor = Descriptor {
    name: "interop-sm3",
    summary: "as interop, on the SM2 curve, as the standard recommends",
    paper: "ECDH-PSI of the interconnection standard, SM2 with SM3 (try and increment)",
    ..SM2
};

/// The standard has no size alone: who receives can always tell its rows.
const FORMS: &[Form] = &[Form::RowsToReceiver, Form::RowsToBoth];

/// Nanoseconds of the reference core for a multiplication, at the figures of [`crate::kernels`].
const X25519_NS: u64 = 4_400;
/// The same on SM2, with half of a hash onto the curve, of which there is one for two multiplications.
const SM2_NS: u64 = 20_000;

impl Interop {
    pub(super) fn name(&self) -> &'static str {
        self.descriptor().name
    }
}

impl Protocol for Interop {
    fn descriptor(&self) -> &'static Descriptor {
        match self.suite {
            EcSuite::X25519 => &X25519,
            EcSuite::Sm2Rehash => &SM2,
            EcSuite::Sm2Increment => &SM3,
        }
    }

    fn disclosures(&self, form: Form) -> Vec<Disclosure> {
        let learns = |to: Role, learns| Disclosure { to, learns, about: to.other() };
        let mut all = Vec::new();
        for to in [Role::Receiver, Role::Sender] {
            all.push(learns(to, Learns::Size));
            if self.suite == EcSuite::X25519 {
                all.push(learns(to, Learns::CurveSide));
            }
        }
        all.push(learns(Role::Receiver, Learns::Intersection));
        if form == Form::RowsToBoth {
            all.push(learns(Role::Sender, Learns::Intersection));
        }
        all
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        let (mine, theirs) = (p.sizes.of(role), p.sizes.of(role.other()));
        let stream = |count: u64, width: usize| {
            let frames = count.div_ceil(self.batch as u64) + 1;
            frames * (FRAME_HEADER as u64 + Batch::HEADER) + count * width as u64
        };
        let they_open = role == Role::Sender || p.form == Form::RowsToBoth;
        Cost {
            rounds: 2,
            bytes_out: stream(mine, self.suite.point_bytes()) + if they_open { stream(theirs, TAIL) } else { 0 },
            group_ops: mine + theirs,
            cpu_us: (mine + theirs) * if self.suite == EcSuite::X25519 { X25519_NS } else { SM2_NS } / 1000,
        }
    }

    fn rows_max(&self, _: Role) -> u64 {
        BAND_MAX
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(play(self, s, role, p, input))
    }
}

const _: () = assert!(BATCH * 33 + 32 <= crate::message::FRAME_MAX, "a batch of points fits a frame");
const _: () = assert!(
    BAND_MAX.div_ceil(BATCH as u64) + 1 < crate::suite::seal::FRAMES_MAX,
    "the largest band, its last batch and the end mark fit one stream"
);
