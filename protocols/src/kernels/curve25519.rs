//! Batches on Curve25519 (RFC 7748) by u-coordinates alone, where one secret scalar multiplies many points, as in
//! Diffie-Hellman private set intersection.
//!
//! Time does not depend on the scalar, nor on the points beyond how many there are and whether one is refused.
//! Intermediate values on stack and heap are not erased; the scalar itself is.
//!
//! # The group
//! The curve has 8l points, l prime. A u-coordinate stands for P and -P; multiplication respects that. Every function here
//! multiplies by 8k with k uniform modulo l and not 0, so that results are in the subgroup G of order l, whatever is added
//! to a point from the eight of small order. That is what clamping is for; a clamped scalar is such an 8k of 255 bits, with
//! one of half of all k. X25519 is this function where k is from there, but for the check of points.
//!
//! Batches commute, and can be undone in G: multiplying by 8a, and then by 8b for b = 1/(64a), gives back what was in G.
//!
//! # Hashing, and why one map is enough
//! [`map_mul_batch`] takes the `hash_to_field` of RFC 9380 (48 bytes, L = 48), applies `map_to_curve_elligator2_curve25519` of
//! section 6.7.1 once, and so computes `k H(x)` with `H = encode_to_curve`, suite `curve25519_XMD:SHA-512_ELL2_NU_`. One map
//! reaches the u of about half of the curve's points, so H(x) itself could be told from a random point of the curve. What a
//! proof needs of H is less, that the oracle can be programmed:
//!
//! - *The image can be sampled and inverted.* With w = 2r^2, r goes to u = -A/(1 + w) or -Aw/(1 + w), whichever is on the
//!   curve. So a u of the curve has preimages exactly where -2u(u + A) is a square, and then four of them, ±r and ±1/(2r),
//!   but for a handful of u. Hence a point P of G, uniform, gives a uniform field element: take one of the eight Q with 8Q =
//!   P at random; if u(Q) is in the image, one of its preimages at random; else start again with another P, twice on
//!   average.
//! - *The assumption is DDH in G, in its ordinary form.* A challenge (g, kg, h, S), S = kh or random, gives as many
//!   independent pairs (P, kP) or (P, random) as one wants, P = ag + bh and kP = a(kg) + bS. Those whose P has a preimage
//!   are kept, a choice that never looks at the second half, and the oracle answers with the preimages. So with H(x)
//!   programmed, k H(x) for fresh x are u-coordinates of random points of G to whoever cannot decide DDH there; taking u
//!   is something anybody can do to a challenge. No assumption is made about the image beyond this.
//!
//! *Not claimed*: that H is indifferentiable from a random oracle into the curve (two maps and an addition are, and need both
//! coordinates), or anything where H(x) itself is shown.

#[cfg(target_arch = "x86_64")]
mod ifma;
mod portable;

#[cfg(test)]
mod tests;

use curve25519_dalek::Scalar;
use rand_core::CryptoRng;
use rayon::prelude::*;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

#[cfg(target_arch = "x86_64")]
use super::field25519::ifma::Ifma;
use portable::Portable;

/// Items of one rayon task: enough that the field inversions of a task are lost in the noise, and few enough (about 20 ms of
/// portable work) to balance cores.
const CHUNK_ITEMS: usize = 256;

/// Of the curve v^2 = u^3 + A u^2 + u (RFC 7748, section 4.1).
const A: u32 = 486_662;

/// `8k Q(x)` for each 48 uniform bytes, big endian (`expand_message` of x), where Q is the Elligator 2 map of them modulo
/// p. Nobody knows the discrete logarithm of Q(x).
///
/// Answers are in the order of `uniform`: u-coordinates of points of G in 32 bytes. One is 0, of no point of G, where Q is of
/// small order, which hashes do not meet.
pub fn map_mul_batch(uniform: &[[u8; 48]], k: &SecretScalar) -> Vec<[u8; 32]> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = Ifma::detect() {
        return map_mul_on(&engine, uniform, k);
    }
    map_mul_on(&Portable, uniform, k)
}

/// `8k P` for each u-coordinate of a point P, which is checked.
///
/// Answers are in the order of `points`: u-coordinates of points of G in 32 bytes, never 0. Every point of the call is
/// checked before `k` is used. Points that differ by one of small order have one answer, so who must find repeats looks
/// for them among the answers.
///
/// # Errors
/// The first that is no canonical encoding, is of small order (all of whose multiples by 8k are the same), or is no point of the
/// curve but of its twist (whose order is another, so that answers would tell `k` modulo its small factors and belong to
/// another group).
pub fn mul_batch(points: &[[u8; 32]], k: &SecretScalar) -> Result<Vec<[u8; 32]>, BadPoint> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = Ifma::detect() {
        return mul_on(&engine, points, k);
    }
    mul_on(&Portable, points, k)
}

/// `8k P` for each u-coordinate of a point P of the curve or of its twist, unchecked: the function X25519 but for the scalar. It
/// commutes on either. For standards that take a hash as u, half of which lie on the twist; a protocol of ours has
/// [`mul_batch`].
///
/// Answers are in the order of `points`. One is 0 where P is of small order. Bit 255 is ignored.
pub fn ladder_batch(points: &[[u8; 32]], k: &SecretScalar) -> Vec<[u8; 32]> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = Ifma::detect() {
        return ladder_on(&engine, points, k);
    }
    ladder_on(&Portable, points, k)
}

/// A secret k, uniform modulo l and not zero: never printed, erased on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretScalar(Scalar);

impl SecretScalar {
    /// A fresh uniform scalar.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; 64]);
            rng.fill_bytes(bytes.as_mut());
            if let Some(k) = Self::from_uniform_bytes(&bytes) {
                return k;
            }
        }
    }

    /// The scalar that 64 uniform bytes give, reduced modulo l (bias below 2^-250). `None` where that is zero, which random
    /// bytes never meet.
    pub fn from_uniform_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let k = Self(Scalar::from_bytes_mod_order_wide(bytes));
        let is_zero: bool = k.0.ct_eq(&Scalar::ZERO).into();
        (!is_zero).then_some(k)
    }
}

/// A point that a batch refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("point {index}: {reason}")]
pub struct BadPoint {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: BadPointReason,
}

/// Why a point is refused; where there are several reasons, the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointReason {
    /// Not below 2^255 - 19.
    #[error("expected a canonical u-coordinate")]
    BadEncoding,
    /// Of order 1, 2, 4 or 8, on the curve or on its twist.
    #[error("expected a point that is not of small order")]
    SmallOrder,
    /// No point of the curve, so one of its twist.
    #[error("expected a point of the curve, not of its twist")]
    Twist,
}

/// An implementation. Each method works on one chunk, on the calling thread.
trait Engine: Sync {
    /// Writes u(8k Q(x)); both slices have the same length, at most [`CHUNK_ITEMS`].
    fn map_mul(&self, uniform: &[[u8; 48]], k: &Scalar, out: &mut [[u8; 32]]);

    /// Whether all are good; the error's index counts from the start of the chunk.
    fn check(&self, points: &[[u8; 32]]) -> Result<(), BadPoint>;

    /// Writes u(8k P); both slices have the same length, at most [`CHUNK_ITEMS`]. Right also for what `check` refuses: bit 255
    /// is ignored, numbers are reduced, and where the result is the point at infinity it is 0.
    fn mul(&self, points: &[[u8; 32]], k: &Scalar, out: &mut [[u8; 32]]);
}

fn map_mul_on<E: Engine>(engine: &E, uniform: &[[u8; 48]], k: &SecretScalar) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; uniform.len()];
    let chunks = uniform.par_chunks(CHUNK_ITEMS).zip(out.par_chunks_mut(CHUNK_ITEMS));
    chunks.for_each(|(uniform, out)| engine.map_mul(uniform, &k.0, out));
    out
}

fn mul_on<E: Engine>(engine: &E, points: &[[u8; 32]], k: &SecretScalar) -> Result<Vec<[u8; 32]>, BadPoint> {
    check_on(engine, points)?;
    Ok(ladder_on(engine, points, k))
}

fn ladder_on<E: Engine>(engine: &E, points: &[[u8; 32]], k: &SecretScalar) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; points.len()];
    let chunks = points.par_chunks(CHUNK_ITEMS).zip(out.par_chunks_mut(CHUNK_ITEMS));
    chunks.for_each(|(points, out)| engine.mul(points, &k.0, out));
    out
}

/// Checks all chunks. The first refusal of the batch is the one that is named, whatever thread finished first.
fn check_on<E: Engine>(engine: &E, points: &[[u8; 32]]) -> Result<(), BadPoint> {
    let verdicts: Vec<_> = points.par_chunks(CHUNK_ITEMS).map(|chunk| engine.check(chunk)).collect();
    verdicts.into_iter().enumerate().try_for_each(|(chunk, verdict)| {
        verdict.map_err(|bad| BadPoint { index: chunk * CHUNK_ITEMS + bad.index, ..bad })
    })
}
