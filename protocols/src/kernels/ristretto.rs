//! Batches in ristretto255 (RFC 9496) where one secret scalar multiplies many elements, as in Diffie-Hellman private
//! set intersection.
//!
//! Time does not depend on the scalar, nor on the elements beyond how many there are and whether one is refused.
//! Intermediate values on stack and heap are not erased; the scalar itself is.

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

/// Items of one rayon task: enough that one field inversion per task is lost in the noise, and few enough (about 10 ms
/// of portable work) to balance cores.
const CHUNK_ITEMS: usize = 256;

/// `H(x)^k` for each 64 uniform bytes (a hash of x): element derivation of RFC 9496, section 4.3.4, then multiplication
/// by `k` and encoding. Nobody knows the discrete logarithm of a derived element.
///
/// Answers are in the order of `uniform`, 32 bytes each.
pub fn map_mul_batch(uniform: &[[u8; 64]], k: &SecretScalar) -> Vec<[u8; 32]> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = Ifma::detect() {
        return map_mul_on(&engine, uniform, k);
    }
    map_mul_on(&Portable, uniform, k)
}

/// `P^k` for each encoded element: canonical decoding of RFC 9496, section 4.3.1, multiplication by `k` and encoding.
///
/// Answers are in the order of `points`, 32 bytes each. Every element of the call is decoded and checked before `k` is
/// used; between the two, a call holds about 150 bytes per element.
///
/// # Errors
/// The first element that is no canonical encoding, or that is the identity, whose powers are the same for every `k`.
pub fn mul_batch(points: &[[u8; 32]], k: &SecretScalar) -> Result<Vec<[u8; 32]>, BadPoint> {
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = Ifma::detect() {
        return mul_on(&engine, points, k);
    }
    mul_on(&Portable, points, k)
}

/// The engine that batches run on here, for people.
pub fn engine() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if Ifma::detect().is_some() {
        return "AVX-512 IFMA, eight at a time";
    }
    "portable, one at a time"
}

/// A secret exponent: not zero, never printed, erased on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretScalar(Scalar);

impl SecretScalar {
    /// A fresh uniform exponent.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; 64]);
            rng.fill_bytes(bytes.as_mut());
            if let Some(k) = Self::from_uniform_bytes(&bytes) {
                return k;
            }
        }
    }

    /// The exponent that 64 uniform bytes give, reduced modulo the order of the group (bias below 2^-250). `None` where
    /// that is zero, which random bytes never meet.
    pub fn from_uniform_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let k = Self(Scalar::from_bytes_mod_order_wide(bytes));
        let is_zero: bool = k.0.ct_eq(&Scalar::ZERO).into();
        (!is_zero).then_some(k)
    }

    /// 1/k: what undoes a multiplication by k.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self(self.0.invert())
    }

    /// k/2 modulo the order: the engines multiply by this, because doubles are encoded without a square root each.
    fn halved(&self) -> Zeroizing<Scalar> {
        Zeroizing::new(self.0.div_by_2())
    }
}

/// An element that a batch refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("element {index}: {reason}")]
pub struct BadPoint {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: BadPointReason,
}

/// Why an element is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointReason {
    /// Not the canonical encoding of any element.
    #[error("expected a canonical ristretto255 encoding")]
    BadEncoding,
    /// The neutral element.
    #[error("expected an element other than the identity")]
    Identity,
}

/// An implementation. Each method works on one chunk, on the calling thread.
trait Engine: Sync {
    /// Elements of a chunk, decoded and checked.
    type Decoded: Send + Sync;

    /// Writes the encodings of `2 * half * H(x)`; both slices have the same length, at most [`CHUNK_ITEMS`].
    fn map_mul(&self, uniform: &[[u8; 64]], half: &Scalar, out: &mut [[u8; 32]]);

    /// Decodes a chunk; the error's index counts from the start of the chunk.
    fn decode(&self, points: &[[u8; 32]]) -> Result<Self::Decoded, BadPoint>;

    /// Writes the encodings of `2 * half * P`; `out` has the length of what was decoded.
    fn mul(&self, points: &Self::Decoded, half: &Scalar, out: &mut [[u8; 32]]);
}

fn map_mul_on<E: Engine>(engine: &E, uniform: &[[u8; 64]], k: &SecretScalar) -> Vec<[u8; 32]> {
    let half = k.halved();
    let mut out = vec![[0; 32]; uniform.len()];
    let chunks = uniform.par_chunks(CHUNK_ITEMS).zip(out.par_chunks_mut(CHUNK_ITEMS));
    chunks.for_each(|(uniform, out)| engine.map_mul(uniform, &half, out));
    out
}

fn mul_on<E: Engine>(engine: &E, points: &[[u8; 32]], k: &SecretScalar) -> Result<Vec<[u8; 32]>, BadPoint> {
    let decoded: Vec<_> = points.par_chunks(CHUNK_ITEMS).map(|chunk| engine.decode(chunk)).collect();
    let decoded = in_order(decoded)?;
    let half = k.halved();
    let mut out = vec![[0; 32]; points.len()];
    let chunks = decoded.par_iter().zip(out.par_chunks_mut(CHUNK_ITEMS));
    chunks.for_each(|(points, out)| engine.mul(points, &half, out));
    Ok(out)
}

/// All chunks, or the first refusal with its index in the batch: the same one whatever thread finished first.
fn in_order<T>(chunks: Vec<Result<T, BadPoint>>) -> Result<Vec<T>, BadPoint> {
    let placed = chunks
        .into_iter()
        .enumerate()
        .map(|(chunk, decoded)| decoded.map_err(|bad| BadPoint { index: chunk * CHUNK_ITEMS + bad.index, ..bad }));
    placed.collect()
}
