//! Shares of random a, b and of their product (Beaver 1991, CRYPTO, "Efficient multiparty protocols using circuit
//! randomization"), of numbers and of bits.

use std::sync::Arc;

use futures::future::try_join;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Correlation, across};
use crate::bits::{BLOCK_BITS, random_blocks};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::ring::{Prg, Ring};
use crate::session::Session;
use crate::share::engine::Seat;
use crate::share::product;
use crate::share::transfers::{Pair, role};
use crate::share::triples_cost;

/// Shares of random numbers a, b and of c = a·b, as many as the shape says.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Triples<R: Ring> {
    pub(in crate::share) a: Vec<R>,
    pub(in crate::share) b: Vec<R>,
    pub(in crate::share) c: Vec<R>,
}

impl<R: Ring> Correlation for Triples<R> {
    type Shape = usize;
    type Word = R;

    fn draw(count: &usize, seat: Seat, prg: &mut Prg) -> Self {
        let (a, b) = (prg.elements(*count), prg.elements(*count));
        let c = if seat == Seat::First { prg.elements(*count) } else { Vec::new() };
        Self { a, b, c }
    }

    fn correction(count: &usize, first: &Self, second: &Self) -> Vec<R> {
        let product = |n: usize| first.a[n].plus(second.a[n]).times(first.b[n].plus(second.b[n]));
        (0..*count).map(|n| product(n).minus(first.c[n])).collect()
    }

    fn correction_len(count: &usize) -> usize {
        *count
    }

    fn corrected(mut self, _: &usize, correction: Vec<R>) -> Self {
        self.c = correction;
        self
    }

    fn absent(_: &usize) -> Self {
        Self { a: Vec::new(), b: Vec::new(), c: Vec::new() }
    }

    /// a·b is each party's own product and two across: of the first party's a with the second's b, and the other way round, at
    /// the same time.
    async fn transfer(pair: &mut Pair, s: &Session, count: &usize) -> Result<Self> {
        let mut prg = Prg::new(random_blocks(1, &mut s.rng("triples"))[0]);
        let [a, b] = [(); 2].map(|()| Arc::new(Zeroizing::new(prg.elements::<R>(*count))));
        let (there, back) = try_join(
            across(&mut pair.there, &s.step("there"), if pair.seat == Seat::First { &a } else { &b }),
            across(&mut pair.back, &s.step("back"), if pair.seat == Seat::First { &b } else { &a }),
        )
        .await?;
        let c = (0..*count).map(|n| a[n].times(b[n]).plus(there[n]).plus(back[n])).collect();
        Ok(Self { a: a.to_vec(), b: b.to_vec(), c })
    }

    fn transfer_cost(count: &usize, seat: Seat) -> Cost {
        let cost = |role| product::cost(super::bits_of::<R>(*count), role);
        cost(role(seat)).beside(cost(role(seat).other()))
    }
}

/// Shares of random bits a, b and of a & b, in as many blocks of 128 as the shape says.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BitTriples {
    pub(in crate::share) a: Vec<u128>,
    pub(in crate::share) b: Vec<u128>,
    pub(in crate::share) c: Vec<u128>,
}

impl Correlation for BitTriples {
    type Shape = usize;
    type Word = u128;

    fn draw(blocks: &usize, seat: Seat, prg: &mut Prg) -> Self {
        let (a, b) = (prg.blocks(*blocks), prg.blocks(*blocks));
        let c = if seat == Seat::First { prg.blocks(*blocks) } else { Vec::new() };
        Self { a, b, c }
    }

    fn correction(blocks: &usize, first: &Self, second: &Self) -> Vec<u128> {
        (0..*blocks).map(|n| (first.a[n] ^ second.a[n]) & (first.b[n] ^ second.b[n]) ^ first.c[n]).collect()
    }

    fn correction_len(blocks: &usize) -> usize {
        *blocks
    }

    fn corrected(mut self, _: &usize, correction: Vec<u128>) -> Self {
        self.c = correction;
        self
    }

    fn absent(_: &usize) -> Self {
        Self { a: Vec::new(), b: Vec::new(), c: Vec::new() }
    }

    async fn transfer(pair: &mut Pair, s: &Session, blocks: &usize) -> Result<Self> {
        let mut triples = pair.there.triples(s, blocks * BLOCK_BITS).await?;
        let [a, b, c] = [&mut triples.a, &mut triples.b, &mut triples.c].map(std::mem::take);
        Ok(Self { a, b, c })
    }

    fn transfer_cost(blocks: &usize, seat: Seat) -> Cost {
        triples_cost(blocks * BLOCK_BITS, role(seat))
    }
}
