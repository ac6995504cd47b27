//! Correlated randomness: what both parties draw before their data meets, so that products cost openings only.
//!
//! A correlation says in one place how each of the two sources makes it. With a helper, both parties draw everything from
//! seeds but one part of the second party's, which the helper works out and sends: the correction. With transfers, the two parties
//! make it between them.

mod bits;
mod matrices;
mod network;
mod permuted;
mod triples;

use std::future::Future;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Transfers;
use super::engine::Seat;
use super::product::Shape;
use super::transfers::Pair;
use crate::bits::{BLOCK_BITS, Bits};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::ring::{Prg, Ring};
use crate::session::Session;

pub use bits::{BitProducts, Edabits};
pub use matrices::{Held, HeldShape, Mask, MaskShape, MatrixShape, MatrixTriple, Squares};
pub(super) use permuted::permuted;
pub use permuted::{Permuted, PermutedShape};
pub use triples::{BitTriples, Triples};

/// One party's part of correlated randomness. It is used once, so it is moved where it is used.
pub trait Correlation: Sized + Send + 'static {
    /// How much of it: public. What the helper knows of an earlier correlation may be in it too.
    type Shape: Clone + Send + Sync + 'static;
    /// Of what a correction is made.
    type Word: Ring;

    /// What `seat` draws from its seed: all of its part, but for the second party's correction.
    fn draw(shape: &Self::Shape, seat: Seat, prg: &mut Prg) -> Self;

    /// The helper: what the second party lacks, from what both drew. Uniform to the second party, given what it drew.
    fn correction(shape: &Self::Shape, first: &Self, second: &Self) -> Vec<Self::Word>;

    /// How many words a correction has.
    fn correction_len(shape: &Self::Shape) -> usize;

    /// The second party: puts the correction where it belongs.
    #[must_use]
    fn corrected(self, shape: &Self::Shape, correction: Vec<Self::Word>) -> Self;

    /// What one has who holds no part.
    fn absent(shape: &Self::Shape) -> Self;

    /// Whether copies may be opened, as a spot check does: not where they share a secret with what is used.
    fn checkable() -> bool {
        true
    }

    /// What the helper keeps for later correlations: nothing, but where one is used more than once.
    fn kept(shape: &Self::Shape, _first: Self, _second: Self) -> Self {
        Self::absent(shape)
    }

    /// Makes it between the two parties.
    fn transfer(pair: &mut Pair, s: &Session, shape: &Self::Shape) -> impl Future<Output = Result<Self>> + Send;

    /// What [`Correlation::transfer`] costs the party at `seat`.
    fn transfer_cost(shape: &Self::Shape, seat: Seat) -> Cost;
}

/// Shares of the products of the receiver's numbers with the sender's: one transfer for each bit of the receiver's (Gilboa
/// 1999, see `product`).
async fn across<R: Ring>(transfers: &mut Transfers, s: &Session, mine: &Arc<Zeroizing<Vec<R>>>) -> Result<Vec<R>> {
    let bits = R::BITS as usize;
    let shape = bits_of::<R>(mine.len());
    let numbers = mine.clone();
    let blocks = mine
        .chunks(BLOCK_BITS / bits)
        .map(|numbers| numbers.iter().enumerate().fold(0, |block, (n, number)| block | number.low() << (n * bits)));
    let choices = Arc::new(Bits::from_blocks(blocks.collect(), shape.count));
    let number = Arc::new(move |n: usize| numbers[n / bits]);
    bits::across(transfers, s, shape, &choices, number, Arc::new(|_, shares| bits::composed(shares))).await
}

/// A transfer for each bit of as many numbers.
fn bits_of<R: Ring>(count: usize) -> Shape {
    Shape::bits_of(count, R::BITS)
}
