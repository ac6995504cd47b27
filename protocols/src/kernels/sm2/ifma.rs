//! Eight points per vector with AVX-512 IFMA, which multiplies 52-bit integers in eight lanes.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`: the compiler lets them call each other, and asks for `unsafe`
//! where the rest of the crate enters. That is in this file only, behind an [`Ifma`], which [`Ifma::detect`] makes only
//! where the processor has every feature named. Beside that, [`lanes`] loads and stores vectors through pointers to
//! arrays of their size.

mod codec;
mod constants;
mod field;
mod lanes;
mod point;
mod root;
#[cfg(test)]
mod tests;

use sm2::Scalar;
use sm2::elliptic_curve::ff::PrimeField;
use sm2::elliptic_curve::subtle::ConditionallySelectable;
use zeroize::Zeroizing;

use self::codec::{decode, encode, map_each};
use self::lanes::LANES;
use self::point::{Affine, DIGITS, multiply};
use super::{BadPoint, BadPointReason, COMPRESSED, Engine, GENERATOR, UNIFORM};

/// Vectors decoded side by side, so that their two chains of squarings overlap.
const SIDE_BY_SIDE: usize = 2;

/// Proof that this processor has AVX-512 F, DQ, VL and IFMA.
pub(super) struct Ifma(());

impl Ifma {
    /// The engine, where the processor and the operating system support it.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512ifma");
        found.then_some(Self(()))
    }
}

#[allow(unsafe_code)]
impl Engine for Ifma {
    type Points = Vec<Affine>;

    fn map(&self, uniform: &[[u8; UNIFORM]]) -> Self::Points {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { map(uniform) }
    }

    fn decode(&self, points: &[[u8; COMPRESSED]]) -> Result<Self::Points, BadPoint> {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { decode_all(points) }
    }

    fn on_curve(&self, x: &[[u8; 32]], out: &mut [bool]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { on_curve(x, out) }
    }

    fn mul(&self, points: &Self::Points, k: &Scalar, out: &mut [[u8; COMPRESSED]]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { mul(points, k, out) }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn map(uniform: &[[u8; UNIFORM]]) -> Vec<Affine> {
    let vectors: Vec<_> = uniform.chunks(LANES).map(|items| padded(items, [0; UNIFORM])).collect();
    map_each(&vectors)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn mul(points: &[Affine], k: &Scalar, out: &mut [[u8; COMPRESSED]]) {
    let (digits, flip) = odd_digits(k);
    for (product, out) in multiply(points, &digits).iter().zip(out.chunks_mut(LANES)) {
        encode(product, flip, out);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn decode_all(points: &[[u8; COMPRESSED]]) -> Result<Vec<Affine>, BadPoint> {
    let mut decoded = Vec::with_capacity(points.len().div_ceil(LANES) + 1);
    for (block, items) in points.chunks(SIDE_BY_SIDE * LANES).enumerate() {
        let (first, second) = items.split_at(items.len().min(LANES));
        // A lane of padding must hold a point too: one inversion serves the lane in all vectors of a chunk.
        let full = [padded(first, GENERATOR), padded(second, GENERATOR)];
        let x = full.map(|items| items.map(|item| std::array::from_fn(|byte| item[1 + byte])));
        let prefixes = full.map(|items| items.map(|item| item[0]));
        let odd = prefixes.map(|lanes| mask(lanes.map(|prefix| prefix & 1 == 1)));
        let bad_prefix = prefixes.map(|lanes| mask(lanes.map(|prefix| prefix & !1 != 2)));
        for (part, (verdict, items)) in decode(&x, &odd).iter().zip([first, second]).enumerate() {
            let bad = bad_prefix[part] | verdict.too_large | verdict.off_curve;
            if bad != 0 {
                let lane = bad.trailing_zeros() as usize;
                let is_encoding = (bad_prefix[part] | verdict.too_large) >> lane & 1 == 0;
                let reason = if is_encoding { BadPointReason::OffCurve } else { BadPointReason::BadEncoding };
                return Err(BadPoint { index: (block * SIDE_BY_SIDE + part) * LANES + lane, reason });
            }
            if !items.is_empty() {
                decoded.push(verdict.points);
            }
        }
    }
    Ok(decoded)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn on_curve(x: &[[u8; 32]], out: &mut [bool]) {
    for (x, out) in x.chunks(SIDE_BY_SIDE * LANES).zip(out.chunks_mut(SIDE_BY_SIDE * LANES)) {
        let (first, second) = x.split_at(x.len().min(LANES));
        let verdicts = decode(&[padded(first, [0; 32]), padded(second, [0; 32])], &[0; SIDE_BY_SIDE]);
        for (verdict, out) in verdicts.iter().zip(out.chunks_mut(LANES)) {
            let bad = verdict.too_large | verdict.off_curve;
            out.iter_mut().enumerate().for_each(|(lane, out)| *out = bad >> lane & 1 == 0);
        }
    }
}

/// A full vector of items.
fn padded<const N: usize>(items: &[[u8; N]], padding: [u8; N]) -> [[u8; N]; LANES] {
    let mut full = [padding; LANES];
    full[..items.len()].copy_from_slice(items);
    full
}

fn mask(lanes: [bool; LANES]) -> u8 {
    lanes.iter().rev().fold(0, |mask, lane| mask << 1 | u8::from(*lane))
}

/// The odd one of k and n - k in radix 16 with odd digits from -15 to 15, the lowest first, and all ones where it is n - k.
/// What is left of an odd k after i digits is (k >> 4i) | 1, and the next digit is that modulo 32, less 16; the last is
/// what is left, from 1 to 15. Nothing here overflows; the arithmetic wraps lest a build that checks for it jumps on a
/// secret.
fn odd_digits(k: &Scalar) -> (Zeroizing<[i8; DIGITS]>, u8) {
    let is_even = k.is_even();
    let odd = Zeroizing::new(Scalar::conditional_select(k, &-k, is_even));
    let bytes = Zeroizing::new(<[u8; 32]>::from(odd.to_repr()));
    let mut digits = Zeroizing::new([0; DIGITS]);
    let nibble = |n: usize| bytes[31 - n / 2] >> (4 * (n % 2)) & 15;
    for (n, digit) in digits.iter_mut().enumerate().take(DIGITS - 1) {
        let five_bits = nibble(n) | 1 | (nibble(n + 1) & 1) << 4;
        *digit = (five_bits as i8).wrapping_sub(16);
    }
    digits[DIGITS - 1] = (nibble(DIGITS - 1) | 1) as i8;
    (digits, is_even.unwrap_u8().wrapping_neg())
}
