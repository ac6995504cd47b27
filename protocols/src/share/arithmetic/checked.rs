//! Products with triples that a cheating helper cannot spoil: each is checked with another, which is given up.
//!
//! ```text
//! first                                    second                           triples over 2^128, of the helper: a, b, c and a', b', c'
//! r of 64 bits: from coins that the helper does not know
//! ρ = r·a - a'   σ = b - b'           ←──→                                  opened
//! [z] = r·[c] - [c'] - ρ·[b'] - σ·[a'] - ρσ
//! hash of [z]                         ←──→ hash of -[z]                     equal where all z are 0
//! use a, b, c modulo 2^64
//! ```
//!
//! **Why it is enough.** Where c - ab is e and c' - a'b' is e', z = r·e - e' modulo 2^128. A triple is wrong modulo 2^64 where
//! fewer than 64 factors of 2 are in e; then at most one r below 2^64 gives z = 0, and a helper that dealt before r was drawn
//! passes with probability 2^-64. In the ring of 2^64 alone an error of 2^63 would pass half of the time: hence the wider one, as
//! Cramer, Damgård, Escudero, Scholl and Xing 2018 (CRYPTO, "SPDZ2k", eprint 2018/482) check theirs.

use std::sync::Arc;

use super::mul;
use super::mul::mul_with;
use crate::error::Result;
use crate::ring::Ring;
use crate::share::correlation::Triples;
use crate::share::engine::CORRELATION;
use crate::share::helper::digest;
use crate::share::{Engine, Provider, Seat, Shares};

/// x·y for each pair, as [`mul`], but a helper that deals a wrong triple is named with probability 1 - 2^-64: three rounds, 48
/// bytes each way for each product, and 32 of the helper. Without a helper, it is [`mul`].
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
pub async fn mul_checked(e: &mut Engine, x: &Shares<u64>, y: &Shares<u64>) -> Result<Shares<u64>> {
    if e.provider() == Provider::Transfers {
        return mul(e, x, y).await;
    }
    let count = x.len();
    let t = Arc::new(e.deal::<Triples<u128>>(2 * count).await?);
    let r = u128::from(e.coins().elements::<u64>(1)[0]);
    let masked = {
        let t = t.clone();
        e.job(move || {
            let rho = (0..count).map(|n| r.times(t.a[n]).minus(t.a[count + n]));
            let sigma = (0..count).map(|n| t.b[n].minus(t.b[count + n]));
            rho.chain(sigma).collect::<Vec<u128>>()
        })
    };
    let mine = Arc::new(masked.await?.unwrap_or_default());
    let theirs = e.exchange(2 * count, mine.clone()).await?;
    let first = e.seat() == Seat::First;
    let hash = {
        let t = t.clone();
        e.job(move || {
            let opened = |n: usize| mine[n].plus(theirs[n]);
            let zero = |n: usize| {
                let (rho, sigma, other) = (opened(n), opened(count + n), count + n);
                let z = r.times(t.c[n]).minus(t.c[other]).minus(rho.times(t.b[other])).minus(sigma.times(t.a[other]));
                if first { z.minus(rho.times(sigma)) } else { u128::ZERO.minus(z) }
            };
            digest(&(0..count).map(zero).collect::<Vec<u128>>()).to_vec()
        })
    };
    let mine = hash.await?;
    let theirs = e.exchange(2, Arc::new(mine.clone().unwrap_or_default())).await?;
    if mine.is_some_and(|mine| mine != theirs) {
        return Err(e.helper_deviation(CORRELATION));
    }
    let low = |all: &[u128]| all.iter().take(count).map(|element| *element as u64).collect::<Vec<u64>>();
    let t = Triples { a: low(&t.a), b: low(&t.b), c: low(&t.c) };
    mul_with(e, x, y, t).await
}
