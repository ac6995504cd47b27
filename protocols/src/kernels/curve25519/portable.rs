//! The portable twin: curve25519-dalek, one point at a time, and the map on a field of our own, since dalek has it only behind
//! its own hashing. What every other engine is compared with.

use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;
use subtle::ConditionallySelectable;
use zeroize::Zeroizing;

use super::{BadPoint, BadPointReason, Engine};
use crate::kernels::field25519::portable::Element;

pub(super) struct Portable;

impl Engine for Portable {
    fn map_mul(&self, uniform: &[[u8; 48]], k: &Scalar, out: &mut [[u8; 32]]) {
        let bits = bits(k);
        for (uniform, out) in uniform.iter().zip(out) {
            let u = elligator2(&Element::from_wide(uniform)).to_bytes();
            *out = MontgomeryPoint(u).mul_bits_be(bits.iter().copied()).to_bytes();
        }
    }

    fn check(&self, points: &[[u8; 32]]) -> Result<(), BadPoint> {
        for (index, bytes) in points.iter().enumerate() {
            let bad = |reason| Err(BadPoint { index, reason });
            if Element::from_bytes(bytes).to_bytes() != *bytes {
                return bad(BadPointReason::BadEncoding);
            }
            let point = MontgomeryPoint(*bytes);
            let eightfold = point.mul_bits_be([true, false, false, false].into_iter());
            if eightfold.to_bytes() == [0; 32] {
                return bad(BadPointReason::SmallOrder);
            }
            if point.to_edwards(0).is_none() {
                return bad(BadPointReason::Twist);
            }
        }
        Ok(())
    }

    fn mul(&self, points: &[[u8; 32]], k: &Scalar, out: &mut [[u8; 32]]) {
        let bits = bits(k);
        for (point, out) in points.iter().zip(out) {
            *out = MontgomeryPoint(*point).mul_bits_be(bits.iter().copied()).to_bytes();
        }
    }
}

/// The points of the map themselves.
#[cfg(test)]
pub(super) fn map(uniform: &[[u8; 48]]) -> Vec<[u8; 32]> {
    uniform.iter().map(|uniform| elligator2(&Element::from_wide(uniform)).to_bytes()).collect()
}

/// 8k, a number of 256 bits, from the highest.
fn bits(k: &Scalar) -> Zeroizing<[bool; 256]> {
    let bytes = k.as_bytes();
    let mut bits = Zeroizing::new([false; 256]);
    for n in 3..256 {
        bits[255 - n] = bytes[(n - 3) / 8] >> ((n - 3) % 8) & 1 == 1;
    }
    bits
}

/// The u-coordinate of `map_to_curve_elligator2_curve25519` (RFC 9380, section 6.7.1; Z = 2). No division by zero: 1 + 2r^2 is
/// none, since -1/2 is no square.
fn elligator2(r: &Element) -> Element {
    let minus_a = Element::small(super::A).neg();
    let rr = r.square();
    let w = rr.add(&rr);
    let x1 = minus_a.mul(&w.add(&Element::ONE).invert());
    let x2 = minus_a.sub(&x1);
    let gx1 = x1.mul(&x1.square().sub(&minus_a.mul(&x1)).add(&Element::ONE));
    Element::conditional_select(&x2, &x1, gx1.is_square())
}
