//! Agrees with the oracle in every suite, costs what it declares, withholds what it must, and names every deviation.

mod agree;
mod cheat;
mod parse;
mod vectors;

use crate::catalogue::{Form, Input, Output, Parameters, Protocol};
use crate::items::Items;
use crate::party::Role;
use crate::psi::testing::{bank, bureau, keys, pair, parameters};
use crate::sim::{Run, World};

use super::{EcSuite, Interop};

const FORMS: [Form; 2] = [Form::RowsToReceiver, Form::RowsToBoth];
const SUITES: [Interop; 3] = [Interop::X25519, Interop::SM2, Interop::SM3];

/// With several batches even for small bands.
fn small(protocol: Interop, batch: usize) -> Interop {
    Interop { batch, ..protocol }
}

fn run(world: &World, [receiver, sender]: [Interop; 2], p: Parameters, x: &Items, y: &Items) -> Run<Output> {
    world.run(&pair(), |s, role| {
        let (protocol, items) = match role {
            Role::Receiver => (receiver, x.clone()),
            Role::Sender => (sender, y.clone()),
        };
        async move { protocol.run(&s, role, p, Input::Items(items)).await }
    })
}
