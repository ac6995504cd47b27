//! What the two parties say to each other, and what they tell the helper.

use std::sync::Arc;

use futures::future::try_join;

use super::{Engine, Place, Seat, Source};
use crate::bits::Bits;
use crate::error::{Bug, Error, Result};
use crate::ring::Ring;
use crate::share::msg;
use crate::share::shares::{BitShares, Shares};

impl Engine {
    /// Both parties say `mine` to each other: one round. Gives the peer's; nothing at an end without shares, where `mine`
    /// is not looked at. `len` is how many elements each says.
    ///
    /// What is said must be masked, or meant for the peer.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a peer that says another number of elements.
    pub async fn exchange<R: Ring>(&mut self, len: usize, mine: Arc<Vec<R>>) -> Result<Vec<R>> {
        self.swap([len; 2], mine).await
    }

    /// The party at `from` says `len` elements to the other: one round. Gives them where they are heard.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn tell<R: Ring>(&mut self, from: Seat, len: usize, mine: Arc<Vec<R>>) -> Result<Vec<R>> {
        self.swap(if from == Seat::First { [len, 0] } else { [0, len] }, mine).await
    }

    /// As [`Engine::exchange`], where the first party says as many elements as the first of `lens`, and the second as the
    /// second.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn swap<R: Ring>(&mut self, lens: [usize; 2], mine: Arc<Vec<R>>) -> Result<Vec<R>> {
        self.spent.swap(lens.map(msg::bytes::<R>));
        let [own, other] = if self.seat == Seat::First { lens } else { [lens[1], lens[0]] };
        let Some(peer) = self.peer() else { return Ok(Vec::new()) };
        let mine = if own == 0 { Arc::default() } else { mine };
        assert_eq!(mine.len(), own, "as many elements as stated");
        let ((), theirs) = try_join(msg::send(&mut peer.out, mine), msg::receive(&mut peer.incoming, other)).await?;
        let theirs: Vec<R> = theirs;
        #[cfg(test)]
        self.heard.extend(theirs.iter().map(|element| element.low()));
        Ok(theirs)
    }

    /// The numbers, to both parties: one round. Nothing at an end without shares.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn open<R: Ring>(&mut self, x: &Shares<R>) -> Result<Vec<R>> {
        let mut opened = self.exchange(x.len(), Arc::new(x.values().to_vec())).await?;
        opened.iter_mut().zip(x.values()).for_each(|(theirs, mine)| *theirs = theirs.plus(*mine));
        Ok(opened)
    }

    /// The bits, to both parties: one round. No bits at an end without shares.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn open_bits(&mut self, x: &BitShares) -> Result<Bits> {
        let blocks = x.len().div_ceil(128);
        let theirs = self.exchange(blocks, Arc::new(x.bits().blocks().to_vec())).await?;
        if x.is_absent() {
            return Ok(Bits::default());
        }
        let mut bits = Bits::from_blocks(theirs, x.len());
        bits ^= x.bits();
        Ok(bits)
    }

    /// The numbers, to the party at `to` only: one round. Nothing elsewhere.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn reveal<R: Ring>(&mut self, to: Seat, x: &Shares<R>) -> Result<Option<Vec<R>>> {
        let from = match to {
            Seat::First => Seat::Second,
            Seat::Second => Seat::First,
            Seat::Helper => return Err(Error::Bug(Bug("a helper learns nothing"))),
        };
        let mut opened = self.tell(from, x.len(), Arc::new(x.values().to_vec())).await?;
        opened.iter_mut().zip(x.values()).for_each(|(theirs, mine)| *theirs = theirs.plus(*mine));
        Ok((to == self.seat).then_some(opened))
    }

    /// A public number, at most `most`, that the two parties have found by opening something, told to the helper: half a
    /// round trip, in which the helper cannot deal ahead. A rehearsal goes on with `most`. It must say nothing about data:
    /// the helper reads it.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a second party that told the helper more than `most`.
    pub async fn agree(&mut self, most: u64, number: Option<u64>) -> Result<u64> {
        self.spent.agree(self.provider);
        match &mut self.place {
            Place::Rehearsal => Ok(most),
            Place::Audit(auditor) => auditor.agree(),
            Place::Network(ends) => match &mut ends.source {
                Source::Helper(dealer) => dealer.agree(most, number).await,
                Source::Transfers(_) => number.ok_or(Error::Bug(Bug("a party that lacks an opened number"))),
            },
        }
    }
}
