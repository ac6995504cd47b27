//! Oblivious transfers as source of correlated randomness: no third node.

use futures::future::try_join;

use super::engine::Seat;
use super::{Transfers, set_up_cost};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::party::{PartyId, Role};
use crate::session::Session;

/// Transfers in both directions between the two parties.
pub struct Pair {
    pub(super) seat: Seat,
    /// The first party receives, the second sends.
    pub(super) there: Transfers,
    /// The other way round.
    pub(super) back: Transfers,
}

impl Pair {
    /// Sets up with `peer`, which does so at the facing seat.
    pub(super) async fn set_up(s: &Session, peer: &PartyId, seat: Seat) -> Result<Self> {
        let (there, back) = (s.step("there"), s.step("back"));
        let role = role(seat);
        let (there, back) =
            try_join(Transfers::set_up(&there, peer, role), Transfers::set_up(&back, peer, role.other())).await?;
        Ok(Self { seat, there, back })
    }

    pub(super) fn set_up_cost(seat: Seat) -> Cost {
        set_up_cost(role(seat)).beside(set_up_cost(role(seat).other()))
    }
}

/// The role of a seat in the transfers that the second party sends.
pub(super) fn role(seat: Seat) -> Role {
    match seat {
        Seat::First | Seat::Helper => Role::Receiver,
        Seat::Second => Role::Sender,
    }
}
