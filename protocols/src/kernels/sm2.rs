//! Batches on the SM2 curve (GB/T 32918.5; `curveSM2` of RFC 8998) where one secret scalar multiplies many points, as in
//! Diffie-Hellman private set intersection.
//!
//! The curve is y^2 = x^3 - 3x + B over GF(p), p = 2^256 - 2^224 - 2^96 + 2^64 - 1. Its order n is prime, so that every
//! point but the identity generates it, and the identity has no encoding here: what decodes is a point of order n. A point
//! goes by its x-coordinate alone ([`map_mul_batch`], [`mul_batch`]), which P and -P share, or by its compressed encoding
//! ([`mul_compressed_batch`]). Half of all integers below p are the x of no point but of one of the twist, and are refused.
//!
//! # The map
//! `SM2_XMD:SM3_SSWU_NU_`: a suite of RFC 9380 by that document's rules; it lists none for SM2. `hash_to_field` with
//! m = 1, k = 128 and L = 48 gives u, from 48 bytes that [`crate::suite::xmd`] makes; then comes the simplified map of
//! section 6.6.2. Its Z is the first of 1, -1, 2, -2, ... that appendix H.2 allows: not a square, not -1, with
//! x^3 - 3x + B - Z irreducible and (B / (ZA))^3 - 3 B / (ZA) + B a square. That is -9.
//!
//! One map, not the sum of two, although its image is only a part of the curve. What the proof of a masked exchange needs
//! is that H can be programmed: the reduction wants H(item) to be a point R of its own choice, uniform among those that H
//! reaches, and u to look uniform. The map can be inverted: a point has at most four preimages u (two roots u^2 of a
//! quadratic equation for each of the two branches, of which the sign of y chooses one u each), and they can be computed. So
//! the reduction draws uniform R, keeps it with a quarter of the chance for each preimage it has, else draws again, and
//! programs a uniform one of these preimages: every u is then equally likely. An expected constant number of draws does.
//! That an element is in the image is public and the same for all; products with k are uniform multiples of it.
//!
//! Time does not depend on the scalar, nor on the points beyond how many there are and whether one is refused.
//! Intermediate values on stack and heap are not erased; the scalar itself is.

#[cfg(target_arch = "x86_64")]
mod ifma;
mod portable;

#[cfg(test)]
mod tests;

use rand_core::CryptoRng;
use rayon::prelude::*;
use sm2::Scalar;
use sm2::elliptic_curve::ff::PrimeField;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use portable::Portable;

/// Items of one rayon task: enough that the field inversions of a task are lost in the noise, and few enough (tens of ms
/// of portable work) to balance cores.
const CHUNK_ITEMS: usize = 256;

/// Bytes that a field element is derived from: L of RFC 9380, section 5, for 128 bits of security.
pub const UNIFORM: usize = 48;

/// Bytes of a compressed encoding (SEC 1, section 2.3.3): 2, or 3 where y is odd, and x, big-endian.
pub const COMPRESSED: usize = 33;

/// The base point G of the standard, compressed.
pub const GENERATOR: [u8; COMPRESSED] = [
    0x02, 0x32, 0xc4, 0xae, 0x2c, 0x1f, 0x19, 0x81, 0x19, 0x5f, 0x99, 0x04, 0x46, 0x6a, 0x39, 0xc9, 0x94, 0x8f, 0xe3,
    0x0b, 0xbf, 0xf2, 0x66, 0x0b, 0xe1, 0x71, 0x5a, 0x45, 0x89, 0x33, 0x4c, 0x74, 0xc7,
];

/// The x-coordinate of `k H(item)` for each 48 uniform bytes (a hash of the item): the map above, then multiplication by
/// `k`. Nobody knows the discrete logarithm of a mapped point.
///
/// Answers are in the order of `uniform`, 32 bytes each, big-endian.
pub fn map_mul_batch(uniform: &[[u8; UNIFORM]], k: &SecretScalar) -> Vec<[u8; 32]> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = ifma::Ifma::detect() {
        return map_mul_on(&engine, uniform, k).iter().map(x_of).collect();
    }
    map_mul_on(&Portable, uniform, k).iter().map(x_of).collect()
}

/// The x-coordinate of `k P` for the two points P with each x-coordinate, 32 bytes, big-endian.
///
/// Answers are in the order of `points`. Every x of the call is decoded and checked before `k` is used; between the two, a
/// call holds about 120 bytes per point.
///
/// # Errors
/// The first that is not below p, or that is the x-coordinate of no point of the curve but of one of its twist.
pub fn mul_batch(points: &[[u8; 32]], k: &SecretScalar) -> Result<Vec<[u8; 32]>, BadPoint> {
    let points: Vec<_> = points.iter().map(with_even_y).collect();
    Ok(mul_compressed_batch(&points, k)?.iter().map(x_of).collect())
}

/// `k P` for each compressed point, compressed: [`mul_batch`] for standards that send the sign of y too.
///
/// # Errors
/// As [`mul_batch`], or the first byte of a point is neither 2 nor 3.
pub fn mul_compressed_batch(points: &[[u8; COMPRESSED]], k: &SecretScalar) -> Result<Vec<[u8; COMPRESSED]>, BadPoint> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = ifma::Ifma::detect() {
        return mul_on(&engine, points, k);
    }
    mul_on(&Portable, points, k)
}

/// Which integers, 32 bytes, big-endian, are the x-coordinate of a point (one below p; about half are): for standards that
/// hash to the curve by trying. How often an item is tried tells about the item, so what calls this has a claim of its own.
///
/// Answers are in the order of `x`.
pub fn on_curve_batch(x: &[[u8; 32]]) -> Vec<bool> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = ifma::Ifma::detect() {
        return on_curve_on(&engine, x);
    }
    on_curve_on(&Portable, x)
}

/// The engine that batches run on here, for people.
pub fn engine() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if ifma::Ifma::detect().is_some() {
        return "AVX-512 IFMA, eight at a time";
    }
    "portable, one at a time"
}

/// A secret scalar: not zero, never printed, erased on drop.
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

    /// The scalar that 64 uniform bytes, big-endian, give modulo the order of the curve (bias below 2^-250). `None` where
    /// that is zero, which random bytes never meet.
    pub fn from_uniform_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let k = Self(reduce(bytes));
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

/// Why a point is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointReason {
    /// Not the canonical encoding of any point: x is not below p, or the first byte of a compressed point is wrong.
    #[error("expected a canonical encoding of a point of the SM2 curve")]
    BadEncoding,
    /// The x-coordinate of a point of the twist.
    #[error("expected a point of the SM2 curve, not of its twist")]
    OffCurve,
}

/// An implementation. Each method works on one chunk, on the calling thread.
trait Engine: Sync {
    /// Points of a chunk.
    type Points: Send + Sync;

    /// Maps at most [`CHUNK_ITEMS`] strings to the curve.
    fn map(&self, uniform: &[[u8; UNIFORM]]) -> Self::Points;

    /// Decodes a chunk; the error's index counts from the start of the chunk.
    fn decode(&self, points: &[[u8; COMPRESSED]]) -> Result<Self::Points, BadPoint>;

    /// Writes which integers are x-coordinates of points; both slices have the same length, at most [`CHUNK_ITEMS`].
    fn on_curve(&self, x: &[[u8; 32]], out: &mut [bool]);

    /// Writes the encodings of `k P`; `out` has one item for each point. `k` is not zero.
    fn mul(&self, points: &Self::Points, k: &Scalar, out: &mut [[u8; COMPRESSED]]);
}

fn map_mul_on<E: Engine>(engine: &E, uniform: &[[u8; UNIFORM]], k: &SecretScalar) -> Vec<[u8; COMPRESSED]> {
    let mut out = vec![[0; COMPRESSED]; uniform.len()];
    let chunks = uniform.par_chunks(CHUNK_ITEMS).zip(out.par_chunks_mut(CHUNK_ITEMS));
    chunks.for_each(|(uniform, out)| engine.mul(&engine.map(uniform), &k.0, out));
    out
}

fn mul_on<E: Engine>(
    engine: &E,
    points: &[[u8; COMPRESSED]],
    k: &SecretScalar,
) -> Result<Vec<[u8; COMPRESSED]>, BadPoint> {
    let decoded: Vec<_> = points.par_chunks(CHUNK_ITEMS).map(|chunk| engine.decode(chunk)).collect();
    let decoded = in_order(decoded)?;
    let mut out = vec![[0; COMPRESSED]; points.len()];
    let chunks = decoded.par_iter().zip(out.par_chunks_mut(CHUNK_ITEMS));
    chunks.for_each(|(points, out)| engine.mul(points, &k.0, out));
    Ok(out)
}

fn on_curve_on<E: Engine>(engine: &E, x: &[[u8; 32]]) -> Vec<bool> {
    let mut out = vec![false; x.len()];
    let chunks = x.par_chunks(CHUNK_ITEMS).zip(out.par_chunks_mut(CHUNK_ITEMS));
    chunks.for_each(|(x, out)| engine.on_curve(x, out));
    out
}

/// All chunks, or the first refusal with its index in the batch: the same one whatever thread finished first.
fn in_order<T>(chunks: Vec<Result<T, BadPoint>>) -> Result<Vec<T>, BadPoint> {
    let placed = chunks
        .into_iter()
        .enumerate()
        .map(|(chunk, decoded)| decoded.map_err(|bad| BadPoint { index: chunk * CHUNK_ITEMS + bad.index, ..bad }));
    placed.collect()
}

/// Which of the two points with an x stands for it makes no difference to the x of its products.
fn with_even_y(x: &[u8; 32]) -> [u8; COMPRESSED] {
    let mut point = [2; COMPRESSED];
    point[1..].copy_from_slice(x);
    point
}

fn x_of(point: &[u8; COMPRESSED]) -> [u8; 32] {
    std::array::from_fn(|byte| point[1 + byte])
}

/// A big-endian integer of whole 64-bit words, modulo that of the field.
fn reduce<F: PrimeField>(bytes: &[u8]) -> F {
    let shift = F::from(1 << 32).square();
    bytes.chunks_exact(8).fold(F::ZERO, |sum, bytes| {
        let word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        sum * shift + F::from(word)
    })
}
