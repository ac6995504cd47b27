//! Sums of shared numbers, modulo 2^64: how many bits of a vector are set, and the sum of numbers where they are.

use std::sync::Arc;

use futures::future::try_join;
use zeroize::Zeroizing;

use super::msg::Blocks;
use super::product::{self, Shape, Use};
use super::{End, Transfers};
use crate::bits::Bits;
use crate::catalogue::Cost;
use crate::error::Result;
use crate::kernels::mask::mask;
use crate::message::FRAME_HEADER;
use crate::party::Role;
use crate::session::Session;

impl Transfers {
    /// A share, modulo 2^64, of how many of the shared bits are set: Σ x + y - 2xy over both parties' shares x and y.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn count(&mut self, s: &Session, bits: &Arc<Bits>) -> Result<u64> {
        let own = bits.blocks().iter().map(|block| u64::from(block.count_ones())).sum::<u64>();
        let mine = bits.clone();
        let twice = move |n: usize| mask(mine.get(n)) << 1; // -2 or 0
        Ok(own.wrapping_add(self.inner_product(s, bits, Arc::new(twice)).await?))
    }

    /// A share, modulo 2^64, of Σ bit·number, where the numbers are shared by addition and the bits by exclusive or. Both
    /// parties call it with transfers of both directions: `back` is set up the other way round.
    ///
    /// With shares x of the bits and a of the numbers of one party: x·a is its own, and where the peer's share y is set,
    /// (1 - 2x)·a is added.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn sum_where(
        &mut self,
        back: &mut Self,
        s: &Session,
        bits: &Arc<Bits>,
        numbers: Arc<Zeroizing<Vec<u64>>>,
    ) -> Result<u64> {
        let own = bits.iter().zip(numbers.iter()).fold(0u64, |sum, (bit, number)| sum.wrapping_add(number & mask(bit)));
        let mine = bits.clone();
        let signed: Arc<dyn Fn(usize) -> u64 + Send + Sync> = Arc::new(move |n| {
            let minus = mask(mine.get(n));
            (numbers[n] ^ minus).wrapping_sub(minus)
        });
        // Each direction's numbers are those of its sender; the receiver's are not asked for.
        let (there, back) = try_join(
            self.inner_product(&s.step("there"), bits, signed.clone()),
            back.inner_product(&s.step("back"), bits, signed),
        )
        .await?;
        Ok(own.wrapping_add(there).wrapping_add(back))
    }

    /// Opens a number shared modulo 2^64 to the end in role `to`.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn reveal(&self, s: &Session, to: Role, share: u64) -> Result<Option<u64>> {
        let (out, incoming) = s.channel(&self.peer)?.split();
        if self.role() == to {
            let (Blocks(theirs), ()) = try_join(incoming.last(1), out.finish()).await?;
            Ok(Some(share.wrapping_add(theirs[0] as u64)))
        } else {
            try_join(out.last(&Blocks(vec![share.into()])), incoming.finish()).await?;
            Ok(None)
        }
    }

    /// A share of the sum of products of the receiver's bits with the sender's numbers.
    async fn inner_product(
        &mut self,
        s: &Session,
        bits: &Arc<Bits>,
        numbers: Arc<dyn Fn(usize) -> u64 + Send + Sync>,
    ) -> Result<u64> {
        let shape = Shape::new(bits.len(), 64);
        let sum: Use<u64, u64> = Arc::new(|_, shares| shares.iter().fold(0, |sum, share| sum.wrapping_add(*share)));
        let sums = match &mut self.end {
            End::Sender(sender) => product::send(sender, s, &self.peer, shape, numbers, sum).await?,
            End::Receiver(receiver) => product::receive(receiver, s, &self.peer, shape, bits.clone(), sum).await?,
        };
        Ok(sums.into_iter().fold(0, u64::wrapping_add))
    }
}

/// What [`Transfers::count`] of `count` bits costs: the end in `role` of the transfers.
pub fn count_cost(count: usize, role: Role) -> Cost {
    product::cost(Shape::new(count, 64), role)
}

/// What [`Transfers::sum_where`] costs, both directions at once.
pub fn sum_where_cost(count: usize) -> Cost {
    count_cost(count, Role::Sender).beside(count_cost(count, Role::Receiver))
}

/// What [`Transfers::reveal`] costs the end in `role`.
pub fn reveal_cost(to: Role, role: Role) -> Cost {
    let bytes_out = if role == to { 0 } else { FRAME_HEADER as u64 + 16 };
    Cost { rounds: 1, bytes_out, group_ops: 0, cpu_us: 0 }
}
