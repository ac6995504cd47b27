//! Products of shared numbers and of shared bits: Beaver 1991 (CRYPTO, "Efficient multiparty protocols using circuit
//! randomization").

use std::sync::Arc;

use crate::bits::Bits;
use crate::error::Result;
use crate::ring::Ring;
use crate::share::correlation::{BitTriples, Squares, Triples};
use crate::share::{BitShares, Engine, Seat, Shares};

/// x·y for each pair: one round, two elements each way.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
pub async fn mul<R: Ring>(e: &mut Engine, x: &Shares<R>, y: &Shares<R>) -> Result<Shares<R>> {
    let t = e.deal::<Triples<R>>(x.len()).await?;
    mul_with(e, x, y, t).await
}

/// x·y with these triples.
pub(super) async fn mul_with<R: Ring>(
    e: &mut Engine,
    x: &Shares<R>,
    y: &Shares<R>,
    t: Triples<R>,
) -> Result<Shares<R>> {
    assert_eq!(x.len(), y.len(), "vectors of one length");
    let (len, t) = (x.len(), Arc::new(t));
    let masked = {
        let (x, y, t) = (x.clone(), y.clone(), t.clone());
        e.job(move || {
            let hide = |(value, mask): (&R, &R)| value.minus(*mask);
            x.values().iter().zip(&t.a).chain(y.values().iter().zip(&t.b)).map(hide).collect::<Vec<R>>()
        })
    };
    let mine = Arc::new(masked.await?.unwrap_or_default());
    let theirs = e.exchange(2 * len, mine.clone()).await?;
    let first = e.seat() == Seat::First;
    e.local(len, move || {
        let opened = |n: usize| mine[n].plus(theirs[n]);
        let product = |n: usize| {
            let (d, f) = (opened(n), opened(len + n));
            let both = if first { d.times(f) } else { R::ZERO };
            t.c[n].plus(d.times(t.b[n])).plus(f.times(t.a[n])).plus(both)
        };
        (0..len).map(product).collect()
    })
    .await
}

/// x² for each number: one round, one element each way.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
pub async fn square<R: Ring>(e: &mut Engine, x: &Shares<R>) -> Result<Shares<R>> {
    let t = Arc::new(e.deal::<Squares<R>>(x.len()).await?);
    let masked = {
        let (x, t) = (x.clone(), t.clone());
        e.job(move || x.values().iter().zip(&t.a).map(|(value, mask)| value.minus(*mask)).collect::<Vec<R>>())
    };
    let mine = Arc::new(masked.await?.unwrap_or_default());
    let theirs = e.exchange(x.len(), mine.clone()).await?;
    let first = e.seat() == Seat::First;
    e.local(x.len(), move || {
        // x² = d² + 2·d·a + a²
        let square = |n: usize| {
            let d = mine[n].plus(theirs[n]);
            let open = if first { d.times(d) } else { R::ZERO };
            t.c[n].plus(d.times(t.a[n]).shl(1)).plus(open)
        };
        (0..mine.len()).map(square).collect()
    })
    .await
}

/// x & y for each pair of bits: one round, two bits each way.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
pub async fn and(e: &mut Engine, x: &BitShares, y: &BitShares) -> Result<BitShares> {
    assert_eq!(x.len(), y.len(), "vectors of one length");
    let (len, blocks) = (x.len(), x.len().div_ceil(128));
    let t = Arc::new(e.deal::<BitTriples>(blocks).await?);
    let masked = {
        let (x, y, t) = (x.clone(), y.clone(), t.clone());
        e.job(move || {
            let hide = |(value, mask): (&u128, &u128)| value ^ mask;
            x.bits().blocks().iter().zip(&t.a).chain(y.bits().blocks().iter().zip(&t.b)).map(hide).collect::<Vec<_>>()
        })
    };
    let mine = Arc::new(masked.await?.unwrap_or_default());
    let theirs = e.exchange(2 * blocks, mine.clone()).await?;
    let first = if e.seat() == Seat::First { u128::MAX } else { 0 };
    e.local_bits(len, move || {
        let opened = |n: usize| mine[n] ^ theirs[n];
        let product = |n: usize| {
            let (d, f) = (opened(n), opened(blocks + n));
            t.c[n] ^ d & t.b[n] ^ f & t.a[n] ^ d & f & first
        };
        Bits::from_blocks((0..blocks).map(product).collect(), len)
    })
    .await
}
