//! Division by a power of two, as products of fractions need it, with an error of one unit at most, always.
//!
//! ```text
//! first, x0                                    second, x1                     x0 + x1 = x + 2^(k-2)   modulo 2^k
//!
//! deal         u, [uv]                                      v, [uv]
//! exchange     msb(x0) ^ u               ←──→  msb(x1) ^ v
//!              [w] = [msb(x0) | msb(x1)]
//! output       (x0 >> f) - 2^(k-f)·[w] - 2^(k-2-f) + 1      (x1 >> f) - 2^(k-f)·[w]
//! ```
//!
//! **Why it is right.** For |x| < 2^(k-2) the sum x' = x + 2^(k-2) is below 2^(k-1), so the shares of x', as numbers from 0 to
//! 2^k, add up to x' + w·2^k where w says whether either has its highest bit: if neither has, they stay below 2^k; if one
//! has, their sum is above 2^(k-1) > x'; if both have, it is at least 2^k. Dividing by 2^f, with l0 and l1 what the shifts drop: x'/2^f =
//! (x0 >> f) + (x1 >> f) - w·2^(k-f) + (l0 + l1)/2^f, and the last term is in [0, 2). With 1 in its place, the error is in (-1, 1]
//! units of the result, and on average 2^-f of one for random shares. So no value fails, whatever its shares, where local truncation
//! (Mohassel and Zhang 2017, IEEE S&P, theorem 1) is wrong by 2^(k-f) with probability |x| / 2^k or so.
//!
//! **Sources.** That the wrap of shares follows from their highest bits where the value's is known: Rathee et al. 2021
//! (IEEE S&P, "SiRnn", eprint 2021/459); Huang, Lu, Hong and Ding 2022 (USENIX Security, "Cheetah", eprint 2022/207, section 4.2), who
//! prove it and leave the lower carry out too. Correcting a wrap by a known sign, on an opened masked value: Dalskov, Escudero and Keller
//! 2020 (PoPETs, "Secure evaluation of quantized neural networks", eprint 2019/131); that opens k bits where this opens one.
//!
//! **What it computes.** Which way it rounds follows from the shares of x, of which each party knows its own. The functionality
//! takes the shares and gives shares of the result; it is not "x divided, rounded at random by nobody's coin".

use std::sync::Arc;

use super::mul;
use crate::bits::{BLOCK_BITS, Bits};
use crate::error::Result;
use crate::ring::Ring;
use crate::share::correlation::BitProducts;
use crate::share::{Engine, Seat, Shares};

/// A number that is cut must be below 2^62 in magnitude, in a ring of 2^64; below 2^126 in one of 2^128.
pub const TRUNCATED_BITS: u32 = truncated_bits::<u64>();

const fn truncated_bits<R: Ring>() -> u32 {
    R::BITS - 2
}

/// x / 2^`by`, with an error of at most one, for |x| < 2^(bits of the ring - 2): one round, one bit each way.
///
/// Panics where `by` is zero or not below the bits of a number that is cut.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
pub async fn truncate<R: Ring>(e: &mut Engine, x: &Shares<R>, by: u32) -> Result<Shares<R>> {
    assert!((1..truncated_bits::<R>()).contains(&by), "a shift inside the number");
    let len = x.len();
    let t = Arc::new(e.deal::<BitProducts<R>>(len).await?);
    let first = e.seat() == Seat::First;
    let raised = if first { R::ONE.shl(truncated_bits::<R>()) } else { R::ZERO };
    let masked = {
        let (x, t) = (x.clone(), t.clone());
        e.job(move || {
            let mut own: Bits = highest(x.values().iter().map(|x| x.plus(raised)), len);
            own ^= t.bits();
            own.blocks().to_vec()
        })
    };
    let mine = Arc::new(masked.await?.unwrap_or_default());
    let blocks = len.div_ceil(BLOCK_BITS);
    let theirs = e.exchange(blocks, mine.clone()).await?;
    let x = x.clone();
    e.local(len, move || {
        let constant = if first { R::ONE.minus(R::ONE.shl(truncated_bits::<R>() - by)) } else { R::ZERO };
        let (d, f) = if first { (&mine[..], &theirs[..]) } else { (&theirs[..], &mine[..]) };
        let cut = |(n, (x, product)): (usize, (&R, &R))| {
            let x = x.plus(raised);
            let both = and_of_masked(first, bit(d, n), bit(f, n), bit(t.bits().blocks(), n), *product);
            // a | b = a + b - ab
            let wrap = x.shr(R::BITS - 1).minus(both);
            x.shr(by).minus(wrap.shl(R::BITS - by)).plus(constant)
        };
        x.values().iter().zip(&t.products).enumerate().map(cut).collect()
    })
    .await
}

/// A share of ab, where d = a ^ u and f = b ^ v are known, u is the first party's own and v the second's: with s = 1 - 2d and
/// r = 1 - 2f, (d ^ u)(f ^ v) = df + f·s·u + d·r·v + s·r·uv.
fn and_of_masked<R: Ring>(first: bool, d: R, f: R, own: R, product: R) -> R {
    let sign = |bit: R| R::ONE.minus(bit.shl(1));
    let signed = sign(d).times(sign(f)).times(product);
    if first {
        d.times(f).plus(f.times(sign(d)).times(own)).plus(signed)
    } else {
        d.times(sign(f)).times(own).plus(signed)
    }
}

/// Bit n, as a number.
fn bit<R: Ring>(blocks: &[u128], n: usize) -> R {
    R::from_low(blocks[n / BLOCK_BITS] >> (n % BLOCK_BITS) & 1)
}

/// x·y / 2^`fraction`, with an error of at most one unit, where |x·y| < 2^(bits of the ring - 2): two rounds.
///
/// # Errors
/// As [`truncate`].
pub async fn mul_fixed<R: Ring>(e: &mut Engine, x: &Shares<R>, y: &Shares<R>, fraction: u32) -> Result<Shares<R>> {
    let product = mul(e, x, y).await?;
    truncate(e, &product, fraction).await
}

/// The highest bit of each element.
fn highest<R: Ring>(values: impl Iterator<Item = R>, len: usize) -> Bits {
    let mut blocks = vec![0u128; len.div_ceil(BLOCK_BITS)];
    for (n, value) in values.enumerate() {
        blocks[n / BLOCK_BITS] |= value.shr(R::BITS - 1).low() << (n % BLOCK_BITS);
    }
    Bits::from_blocks(blocks, len)
}
