//! The line of u-coordinates, eight points at a time: doubling and the Montgomery ladder (RFC 7748, section 5; Montgomery
//! 1987, "Speeding the Pollard and elliptic curve methods of factorization", section 10.3.1).

use std::arch::x86_64::{__mmask8, _mm512_set1_epi64, _mm512_test_epi64_mask};
use std::hint::black_box;

use curve25519_dalek::Scalar;

use super::map::Fraction;
use crate::kernels::field25519::ifma::field::Fe;

/// (A + 2) / 4
const A24: u64 = (crate::kernels::curve25519::A as u64 + 2) / 4;

/// Bits of a scalar below l < 2^253.
const BITS: usize = 253;

/// u = X/Z, kept as X + Z and X - Z: all that a step needs of a point, and what two of them are swapped by as well as by X
/// and Z. So each sum and difference is carried once, where it is made.
#[derive(Clone, Copy)]
pub(super) struct Projective {
    sum: Fe,
    difference: Fe,
}

impl Projective {
    /// u/1
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn new(u: &Fe) -> Self {
        let one = Fe::small(1);
        Self { sum: u.add(&one), difference: u.sub(&one) }
    }

    /// 2X and 2Z, whose quotient is u.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn fraction(&self) -> Fraction {
        Fraction { numerator: self.sum.add(&self.difference), denominator: self.sum.sub(&self.difference) }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn is_infinity(&self) -> __mmask8 {
        self.sum.equals(&self.difference)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn eightfold(&self) -> Self {
        self.double().double().double()
    }

    /// X' = (X + Z)^2 (X - Z)^2 and Z' = E ((X - Z)^2 + a24 E), where E = (X + Z)^2 - (X - Z)^2 = 4XZ.
    ///
    /// Bounds: squares are below 2^59, their difference below 2^59 + 2^61, a24 E below 2^53; X' and Z' are products again.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn double(&self) -> Self {
        let aa = self.sum.square_wide();
        let bb = self.difference.square_wide();
        let e = aa.sub(&bb).carry();
        let x = aa.carry().mul_wide(&bb.carry());
        let z = e.mul_wide(&e.times(A24).add(&bb).carry());
        Self { sum: x.add(&z).carry(), difference: x.sub(&z).carry() }
    }

    /// The sum of two points whose difference has the given u: X' = (DA + CB)^2 and Z' = u (DA - CB)^2, with A, B the sum and
    /// difference of one's X and Z, and C, D those of the other's.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn plus(&self, other: &Self, u: &Fe) -> Self {
        let da = other.difference.mul_wide(&self.sum);
        let cb = other.sum.mul_wide(&self.difference);
        let x = da.add(&cb).carry().square_wide();
        let z = da.sub(&cb).carry().square().mul_wide(u);
        Self { sum: x.add(&z).carry(), difference: x.sub(&z).carry() }
    }

    /// This one, and the other in the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn select(&self, mask: __mmask8, other: &Self) -> Self {
        Self { sum: self.sum.select(mask, &other.sum), difference: self.difference.select(mask, &other.difference) }
    }
}

/// k times each point.
///
/// The bits of k are secret and the same in every lane. Both points of a step are kept by a mask in place of a swap that is
/// done or not; [`black_box`] hides from the optimiser that the mask is all ones or all zeros, lest it come to branch on
/// it: best effort, as its documentation says.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn mul(u: &Fe, k: &Scalar) -> Projective {
    let one = Fe::small(1);
    let mut low = Projective { sum: one, difference: one }; // infinity, 1/0
    let mut high = Projective::new(u); // always low + P
    let mut swapped = 0;
    for n in (0..BITS).rev() {
        let bit = k.as_bytes()[n / 8] >> (n % 8) & 1;
        let swap = mask(bit ^ swapped);
        swapped = bit;
        let first = low.select(swap, &high);
        let second = high.select(swap, &low);
        low = first.double();
        high = first.plus(&second, u);
    }
    low.select(mask(swapped), &high)
}

/// All lanes for 1, none for 0.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn mask(bit: u8) -> __mmask8 {
    let bit = black_box(_mm512_set1_epi64(i64::from(bit)));
    _mm512_test_epi64_mask(bit, bit)
}
