//! Eight elements per vector; the safety argument is that of [`crate::kernels::field25519::ifma`].

mod codec;
mod constants;
mod point;
#[cfg(test)]
mod tests;

use curve25519_dalek::Scalar;
use zeroize::Zeroizing;

use self::codec::{Affine, decode, derive, encode_doubles};
use self::point::DIGITS;
use super::{BadPoint, BadPointReason, Engine};
use crate::kernels::field25519::ifma::Ifma;
use crate::kernels::field25519::ifma::lanes::{LANES, SIDE_BY_SIDE, padded};

#[allow(unsafe_code)]
impl Engine for Ifma {
    type Decoded = Vec<Affine>;

    fn map_mul(&self, uniform: &[[u8; 64]], half: &Scalar, out: &mut [[u8; 32]]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { map_mul(uniform, half, out) }
    }

    fn decode(&self, points: &[[u8; 32]]) -> Result<Self::Decoded, BadPoint> {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { decode_all(points) }
    }

    fn mul(&self, points: &Self::Decoded, half: &Scalar, out: &mut [[u8; 32]]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { mul(points, half, out) }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn map_mul(uniform: &[[u8; 64]], half: &Scalar, out: &mut [[u8; 32]]) {
    let digits = digits(half);
    let products: Vec<_> = uniform.chunks(LANES).map(|items| derive(&padded(items)).mul(&digits)).collect();
    encode_doubles(&products, out);
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn mul(points: &[Affine], half: &Scalar, out: &mut [[u8; 32]]) {
    let digits = digits(half);
    let products: Vec<_> = points.iter().map(|point| point.extended().mul(&digits)).collect();
    encode_doubles(&products, out);
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn decode_all(points: &[[u8; 32]]) -> Result<Vec<Affine>, BadPoint> {
    let mut decoded = Vec::with_capacity(points.len().div_ceil(LANES) + 1);
    for (block, items) in points.chunks(SIDE_BY_SIDE * LANES).enumerate() {
        let (first, second) = items.split_at(items.len().min(LANES));
        let verdicts = decode(&[padded(first), padded(second)]);
        for (part, (verdict, items)) in verdicts.iter().zip([first, second]).enumerate() {
            let filled = ((1u16 << items.len()) - 1) as u8; // padding is no element, whatever it decodes to
            let bad = (verdict.refused | verdict.identity) & filled;
            if bad != 0 {
                let lane = bad.trailing_zeros() as usize;
                let is_encoding = verdict.refused >> lane & 1 == 0;
                let reason = if is_encoding { BadPointReason::Identity } else { BadPointReason::BadEncoding };
                return Err(BadPoint { index: (block * SIDE_BY_SIDE + part) * LANES + lane, reason });
            }
            if !items.is_empty() {
                decoded.push(verdict.points);
            }
        }
    }
    Ok(decoded)
}

/// Radix 16 with digits from -8 to 7, the lowest first. A scalar is below 2^253, so the top digit is at most 2. Nothing here
/// overflows; the arithmetic wraps lest a build that checks for it jumps on a secret.
fn digits(scalar: &Scalar) -> Zeroizing<[i8; DIGITS]> {
    let mut digits = Zeroizing::new([0; DIGITS]);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(scalar.as_bytes()) {
        pair[0] = (byte & 15) as i8;
        pair[1] = (byte >> 4) as i8;
    }
    for n in 0..DIGITS - 1 {
        let carry = digits[n].wrapping_add(8) >> 4;
        digits[n] = digits[n].wrapping_sub(carry << 4);
        digits[n + 1] = digits[n + 1].wrapping_add(carry);
    }
    digits
}
