//! What the issue lists: agrees with the oracle, costs what it declares, survives every schedule, names every deviation.

mod agree;
mod cheat;
mod parse;
mod tamper;
mod vectors;

use crate::catalogue::{Form, Input, Output, Parameters, Protocol};
use crate::error::Result;
use crate::items::Items;
use crate::party::Role;
use crate::psi::testing::{bank, bureau, keys, pair, parameters};
use crate::session::Session;
use crate::sim::{Run, World};

use super::{BATCH, Ecdh, Named};
use crate::suite::group::{Curve25519, Ristretto255, Sm2Curve};

const FORMS: [Form; 3] = [Form::RowsToReceiver, Form::RowsToBoth, Form::Cardinality];

fn copy(items: &Items) -> Items {
    items.iter().collect()
}

/// The page in each of its groups. Several messages even for small bands, where `batch` is small.
fn variants(batch: usize) -> [&'static dyn Protocol; 3] {
    fn of<G: Named>(batch: usize) -> &'static dyn Protocol {
        Box::leak(Box::new(Ecdh::<G>::in_batches(batch)))
    }
    [of::<Ristretto255>(batch), of::<Curve25519>(batch), of::<Sm2Curve>(batch)]
}

async fn honest(protocol: &dyn Protocol, s: Session, role: Role, p: Parameters, items: Items) -> Result<Output> {
    protocol.run(&s, role, p, Input::Items(items)).await
}

fn run(world: &World, protocol: &dyn Protocol, p: Parameters, x: &Items, y: &Items) -> Run<Output> {
    world.run(&pair(), |s, role| {
        let items = match role {
            Role::Receiver => copy(x),
            Role::Sender => copy(y),
        };
        honest(protocol, s, role, p, items)
    })
}
