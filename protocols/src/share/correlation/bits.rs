//! Random bits of which both parties have numbers too: products of two parties' bits, and whole numbers with their bits.

use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Correlation, bits_of};
use crate::bits::{BLOCK_BITS, Bits, random_blocks};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::ring::{Prg, Ring, planes};
use crate::session::Session;
use crate::share::engine::Seat;
use crate::share::product::{self, Shape, Use};
use crate::share::transfers::{Pair, role};
use crate::share::{End, Transfers};

/// A random bit at each party, u at the first and v at the second, and shares of the number u·v; as many as the shape says.
///
/// That is shares of the random bit u ⊕ v as a bit and as a number too ([`BitProducts::numbers`]; "daBits", Rotaru and Wood
/// 2019, INDOCRYPT, eprint 2019/207, section 3): u ⊕ v = u + v - 2uv.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BitProducts<R: Ring> {
    pub(in crate::share) bits: Bits,
    pub(in crate::share) products: Vec<R>,
}

impl<R: Ring> BitProducts<R> {
    /// This party's bits, which are its shares of u ⊕ v.
    pub fn bits(&self) -> &Bits {
        &self.bits
    }

    /// Shares of u ⊕ v as a number, 0 or 1.
    pub fn numbers(&self) -> Vec<R> {
        let number = |(bit, product): (u8, &R)| one_or_zero::<R>(bit).minus(product.shl(1));
        self.bits.iter().zip(&self.products).map(number).collect()
    }
}

impl<R: Ring> Correlation for BitProducts<R> {
    type Shape = usize;
    type Word = R;

    fn draw(count: &usize, seat: Seat, prg: &mut Prg) -> Self {
        let bits = prg.bits(*count);
        let products = if seat == Seat::First { prg.elements(*count) } else { Vec::new() };
        Self { bits, products }
    }

    fn correction(_: &usize, first: &Self, second: &Self) -> Vec<R> {
        let bits = first.bits.iter().zip(second.bits.iter());
        bits.zip(&first.products).map(|((u, v), share)| one_or_zero::<R>(u & v).minus(*share)).collect()
    }

    fn correction_len(count: &usize) -> usize {
        *count
    }

    fn corrected(mut self, _: &usize, correction: Vec<R>) -> Self {
        self.products = correction;
        self
    }

    fn absent(_: &usize) -> Self {
        Self { bits: Bits::default(), products: Vec::new() }
    }

    async fn transfer(pair: &mut Pair, s: &Session, count: &usize) -> Result<Self> {
        let bits = Arc::new(Bits::random(*count, &mut s.rng("bits")));
        let mine = bits.clone();
        let number: Arc<dyn Fn(usize) -> R + Send + Sync> = Arc::new(move |n| one_or_zero(mine.get(n)));
        let whole: Use<R, Vec<R>> = Arc::new(|_, shares| shares.to_vec());
        let products = across(&mut pair.there, s, Shape::new(*count, R::BITS), &bits, number, whole).await?;
        Ok(Self { bits: (*bits).clone(), products })
    }

    fn transfer_cost(count: &usize, seat: Seat) -> Cost {
        product::cost(Shape::new(*count, R::BITS), role(seat))
    }
}

/// Random numbers, shared by addition and bit by bit ("edaBits", Escudero, Ghosh, Keller, Rachuri and Scholl 2020, CRYPTO, eprint
/// 2020/338), as many as the shape says.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Edabits<R: Ring> {
    words: Vec<R>,
    numbers: Vec<R>,
}

impl<R: Ring> Edabits<R> {
    /// Shares of the numbers by addition.
    pub fn numbers(&self) -> &[R] {
        &self.numbers
    }

    /// Shares of the numbers bit by bit: this party's word, and the numbers are the exclusive ors of both parties' words.
    pub fn words(&self) -> &[R] {
        &self.words
    }

    /// As [`Edabits::words`], in planes: plane i has bit i of all numbers.
    pub fn planes(&self) -> Vec<Bits> {
        planes(&self.words)
    }
}

impl<R: Ring> Correlation for Edabits<R> {
    type Shape = usize;
    type Word = R;

    fn draw(count: &usize, seat: Seat, prg: &mut Prg) -> Self {
        let words = prg.elements(*count);
        let numbers = if seat == Seat::First { prg.elements(*count) } else { Vec::new() };
        Self { words, numbers }
    }

    fn correction(_: &usize, first: &Self, second: &Self) -> Vec<R> {
        let words = first.words.iter().zip(&second.words);
        words.zip(&first.numbers).map(|((a, b), share)| R::from_low(a.low() ^ b.low()).minus(*share)).collect()
    }

    fn correction_len(count: &usize) -> usize {
        *count
    }

    fn corrected(mut self, _: &usize, correction: Vec<R>) -> Self {
        self.numbers = correction;
        self
    }

    fn absent(_: &usize) -> Self {
        Self { words: Vec::new(), numbers: Vec::new() }
    }

    /// The sum over all places i of 2^i (u + v - 2uv), where u and v are the parties' bits there.
    async fn transfer(pair: &mut Pair, s: &Session, count: &usize) -> Result<Self> {
        let shape = bits_of::<R>(*count);
        let choices = Arc::new(Bits::from_blocks(
            random_blocks(shape.count.div_ceil(BLOCK_BITS), &mut s.rng("bits")),
            shape.count,
        ));
        let mine = choices.clone();
        let number: Arc<dyn Fn(usize) -> R + Send + Sync> = Arc::new(move |n| one_or_zero::<R>(mine.get(n)));
        let sums: Use<R, Vec<R>> = Arc::new(|_, shares| composed(shares));
        let products = across(&mut pair.there, s, shape, &choices, number, sums).await?;
        let mut words = Vec::with_capacity(*count);
        R::from_blocks(choices.blocks(), &mut words);
        words.truncate(*count);
        let numbers = words.iter().zip(&products).map(|(word, product)| word.minus(product.shl(1))).collect();
        Ok(Self { words, numbers })
    }

    fn transfer_cost(count: &usize, seat: Seat) -> Cost {
        product::cost(bits_of::<R>(*count), role(seat))
    }
}

/// Shares of products of the receiver's bits with the sender's numbers; each end brings what its part needs.
pub(super) async fn across<R: Ring>(
    transfers: &mut Transfers,
    s: &Session,
    shape: Shape,
    bits: &Arc<Bits>,
    number: Arc<dyn Fn(usize) -> R + Send + Sync>,
    shares: Use<R, Vec<R>>,
) -> Result<Vec<R>> {
    let batches = match &mut transfers.end {
        End::Sender(sender) => product::send(sender, s, &transfers.peer, shape, number, shares).await?,
        End::Receiver(receiver) => product::receive(receiver, s, &transfers.peer, shape, bits.clone(), shares).await?,
    };
    Ok(batches.concat())
}

/// Σ 2^i share_i, over as many shares at a time as a number has bits.
pub(super) fn composed<R: Ring>(shares: &[R]) -> Vec<R> {
    let weighted = |sum: R, (place, share): (usize, &R)| sum.plus(share.shl(place as u32));
    shares.chunks_exact(R::BITS as usize).map(|shares| shares.iter().enumerate().fold(R::ZERO, weighted)).collect()
}

/// Sums of as many shares at a time.
pub(super) fn sums<R: Ring>(shares: &[R], at_a_time: usize) -> Vec<R> {
    shares.chunks_exact(at_a_time).map(|shares| shares.iter().fold(R::ZERO, |sum, share| sum.plus(*share))).collect()
}

fn one_or_zero<R: Ring>(bit: u8) -> R {
    R::from_low(u128::from(bit & 1))
}
