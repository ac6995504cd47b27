//! `circuit` in the catalogue: what it claims, discloses and costs.

use futures::future::BoxFuture;

use super::cuckoo::Bins;
use super::msg::Hints;
use super::{BAND_MAX, Circuit, Plan, Table, receive, send};
use crate::catalogue::{Cost, Descriptor, Disclosure, Form, Input, Learns, Output, Parameters, Protocol, Suite};
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::Role;
use crate::psi::{at_role, only, oprf};
use crate::session::Session;
use crate::share::{equal_cost, set_up_cost};

static DESCRIPTOR: Descriptor = Descriptor {
    name: "circuit",
    summary: "intersection of two tables into shares, for computing on what is common",
    paper: "Pinkas, Schneider, Tkachenko and Yanai 2019, figures 3 and 5; Raghuraman and Rindal 2022, section 7; Couteau 2018, section 3",
    security: "semi-honest; 128 bits (LPN, ideal cipher), 40 statistical",
    suite: Suite::Intl,
    forms: &[Form::Shares],
    auto: true,
};

impl Protocol for Circuit {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn disclosures(&self, _: Form) -> Vec<Disclosure> {
        let learns = |to: Role| Disclosure { to, learns: Learns::SizeBand, about: to.other() };
        vec![learns(Role::Receiver), learns(Role::Sender)]
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        cost(p, role)
    }

    fn work(&self, p: &Parameters, _: Role) -> u64 {
        work(p)
    }

    fn rows_max(&self, _: Role) -> u64 {
        BAND_MAX
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(async move {
            at_role(s, role)?;
            only("circuit", &p, Form::Shares)?;
            let (items, columns) = input.table();
            let table = Table { items, columns };
            let (shared, _) = match role {
                Role::Receiver => receive(s, &p, table).await?,
                Role::Sender => send(s, &p, table).await?,
            };
            Ok(Output::Shares(shared))
        })
    }
}

/// What a party's processor needs on the reference core, from `banyan bench psi --protocol circuit --via memory`: set-ups,
/// in microseconds; then, in nanoseconds, for each row of the receiver (its bins) and of the sender (its hints). Receiver and
/// sender took 12 and 18 ms for 2^10 rows each, 124 and 166 for 2^16, 520 and 686 for 2^18; 501 and 469 for 2^18 rows of the
/// receiver against 2^10, 12 and 230 the other way round. What is opened of the shares adds next to nothing.
const FIXED_US: u64 = 18_000;
const RECEIVER_NS: (u64, u64) = (1_900, 70);
const SENDER_NS: (u64, u64) = (1_720, 810);

/// Half of it as the correlation of the programmable function is made, and half when the bins are compared, which takes about
/// as long.
pub(in crate::psi) fn work(p: &Parameters) -> u64 {
    2 * oprf::work(p.sizes.receiver.min(BAND_MAX) as usize)
}

/// What a run costs up to its shares.
pub(in crate::psi) fn cost(p: &Parameters, role: Role) -> Cost {
    let capped = |band: u64| band.min(BAND_MAX) as u32;
    let plan = Plan { receiver: capped(p.sizes.receiver), sender: capped(p.sizes.sender), columns: p.columns as usize };
    let seed = Cost { rounds: 1, bytes_out: FRAME_HEADER as u64 + 16, group_ops: 0, cpu_us: 0 };
    let hints = Hints::cost(plan.hint_keys(), plan.columns);
    let (seed, hints) = match role {
        Role::Receiver => (seed, Cost { bytes_out: 0, ..hints }),
        Role::Sender => (Cost { bytes_out: 0, ..seed }, hints),
    };
    let first = seed.beside(oprf::cost(plan.receiver as usize, role)).beside(set_up_cost(role));
    let shared = first.then(hints).then(equal_cost(Bins::count_for(plan.receiver as usize), plan.width(), role));
    let (receiver_ns, sender_ns) = match role {
        Role::Receiver => RECEIVER_NS,
        Role::Sender => SENDER_NS,
    };
    let cpu_us = FIXED_US + (p.sizes.receiver * receiver_ns + p.sizes.sender * sender_ns) / 1000;
    Cost { cpu_us, ..shared }
}
