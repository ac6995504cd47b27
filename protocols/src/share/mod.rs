//! Values shared between two parties: truth values by exclusive or, numbers by addition. Vectors, never single values, and
//! what is used up is moved in.
//!
//! Programs on shares are written on the [`Engine`]: once, for both parties and for a helper who deals correlated randomness
//! ([`correlation`]) or for transfers in its place. [`arithmetic`] has what they are made of, and [`measure`] what that costs.
//!
//! Below it, [`Transfers`] are one direction of oblivious transfers with what set intersection needs of them:
//!
//! | what | rounds after set-up | transfers per element |
//! |---|---|---|
//! | [`Transfers::triples`] | 1 | 2 per triple |
//! | [`and`] | 1 | a triple |
//! | [`Transfers::equal`] | 6 | width + 10 |
//! | [`Transfers::count`] | 2 | 1 |
//! | [`Transfers::sum_where`] | 2 | 2 |
//! | [`Transfers::at_least`] | 8 | 1536 in all |
//! | [`Transfers::reveal`] | 1 | 0 |
//!
//! **Claim.** Semi-honest peers, with the assumptions of [`crate::ot::extension`]: every message is uniform to who reads it.

mod and;
pub mod arithmetic;
mod compare;
pub mod correlation;
mod engine;
mod equal;
mod helper;
pub mod measure;
mod msg;
mod product;
mod shares;
mod sum;
pub mod transfers;

#[cfg(test)]
mod tests;

use crate::catalogue::Cost;
use crate::error::Result;
use crate::ot::extension::{self, Receiver, Sender};
use crate::party::{PartyId, Role};
use crate::session::Session;

pub use and::{Triples, and, and_cost, open, triples_cost};
pub use compare::at_least_cost;
pub use correlation::Correlation;
pub use engine::{Costs, Engine, Provider, Seat, Seats};
pub use equal::{WIDTH_MAX, equal_cost};
pub use helper::Evidence;
pub use shares::{BitShares, Matrix, Shares};
pub use sum::{count_cost, reveal_cost, sum_where_cost};

/// One end of two parties' transfers, from which everything here is made. The two ends are set up in facing roles.
pub struct Transfers {
    peer: PartyId,
    end: End,
}

enum End {
    Sender(Sender),
    Receiver(Receiver),
}

impl Transfers {
    /// Sets up with `peer`, as the sender or the receiver of transfers.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn set_up(s: &Session, peer: &PartyId, role: Role) -> Result<Self> {
        let end = match role {
            Role::Sender => End::Sender(Sender::set_up(s, peer).await?),
            Role::Receiver => End::Receiver(Receiver::set_up(s, peer).await?),
        };
        Ok(Self { peer: peer.clone(), end })
    }

    /// Who this end is.
    fn role(&self) -> Role {
        match self.end {
            End::Sender(_) => Role::Sender,
            End::Receiver(_) => Role::Receiver,
        }
    }
}

/// What [`Transfers::set_up`] costs.
pub fn set_up_cost(role: Role) -> Cost {
    extension::set_up_cost(role)
}
