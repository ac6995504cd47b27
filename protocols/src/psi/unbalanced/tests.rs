//! What the issue lists: agrees with the oracle, costs what it declares, survives every schedule, names every deviation; and
//! the tags that outlive a run.

mod agree;
mod cheat;
mod parse;
mod prepared;

use crate::catalogue::{Form, Input, Output, Parameters, Protocol, Sizes};
use crate::error::Result;
use crate::items::Items;
use crate::party::Role;
use crate::psi::testing::{bank, bureau, keys, pair};
use crate::session::Session;
use crate::sim::{Run, World};

use super::{Epoch, Unbalanced};

const EPOCH: Epoch = Epoch { id: [7; 16], not_after_s: 1_800_000_000 };

fn parameters(receiver: u64, sender: u64) -> Parameters {
    Parameters::new(Sizes { receiver, sender }, Form::RowsToReceiver)
}

/// Several messages even for small bands.
fn small(batch: usize) -> Unbalanced {
    Unbalanced { batch }
}

async fn honest(protocol: Unbalanced, s: Session, role: Role, p: Parameters, items: Items) -> Result<Output> {
    protocol.run(&s, role, p, Input::Items(items)).await
}

fn run(world: &World, protocol: Unbalanced, p: Parameters, x: &Items, y: &Items) -> Run<Output> {
    world.run(&pair(), |s, role| {
        let items = match role {
            Role::Receiver => x.clone(),
            Role::Sender => y.clone(),
        };
        honest(protocol, s, role, p, items)
    })
}
