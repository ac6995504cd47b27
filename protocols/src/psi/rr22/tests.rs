//! What the issue lists: agrees with the oracle, costs what it declares, survives every schedule, names every deviation.

mod agree;
mod cheat;
mod parse;
mod tags;
mod tamper;

use crate::catalogue::{Form, Input, Output, Parameters, Protocol};
use crate::error::Result;
use crate::items::Items;
use crate::party::{PartyId, Role};
use crate::psi::testing::{bank, bureau, keys, pair, parameters};
use crate::session::Session;
use crate::sim::{Run, World};

use super::Rr22;

const FORMS: [Form; 2] = [Form::RowsToReceiver, Form::RowsToBoth];
const BOTH: [Rr22; 2] = [Rr22::NEW, Rr22::LOW];

fn copy(items: &Items) -> Items {
    items.iter().collect()
}

/// With several messages even for small bands.
fn small(rr22: Rr22, batch_bytes: usize) -> Rr22 {
    Rr22 { batch_bytes, ..rr22 }
}

async fn honest(rr22: Rr22, s: Session, role: Role, p: Parameters, items: Items) -> Result<Output> {
    rr22.run(&s, role, p, Input::Items(items)).await
}

fn run(world: &World, rr22: Rr22, p: Parameters, x: &Items, y: &Items) -> Run<Output> {
    world.run(&pair(), |s, role| {
        let items = match role {
            Role::Receiver => copy(x),
            Role::Sender => copy(y),
        };
        honest(rr22, s, role, p, items)
    })
}
