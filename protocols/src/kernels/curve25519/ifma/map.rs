//! Elligator 2 (RFC 9380, section 6.7.1), eight field elements at a time, u-coordinates only.

use super::super::A;
use crate::kernels::field25519::ifma::field::Fe;
use crate::kernels::field25519::ifma::lanes::{self, LANES};
use crate::kernels::field25519::ifma::root::is_square;
use crate::kernels::field25519::portable::split_wide;

/// A quotient that is not yet divided out.
#[derive(Clone, Copy)]
pub(super) struct Fraction {
    pub(super) numerator: Fe,
    pub(super) denominator: Fe,
}

/// The map of N vectors side by side.
///
/// With w = 2r^2 and d = 1 + w, the candidates are x_1 = -A/d and x_2 = -x_1 - A = -Aw/d. The right side of the curve's
/// equation at x_1, times d^4, is -A d (d^2 - A^2 w): it is a square where x_1 is on the curve, and otherwise x_2 is. It
/// is never 0, and neither is d: -1/2 and A^2 - 4 are no squares.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn elligator2<const N: usize>(uniform: &[[[u8; 48]; LANES]; N]) -> [Fraction; N] {
    let one = Fe::small(1);
    let minus_a = Fe::small(A).neg();
    let mut w = [one; N];
    let mut d = [one; N];
    let mut right_side = [one; N];
    for n in 0..N {
        let rr = reduce(&uniform[n]).square();
        w[n] = rr.add(&rr);
        d[n] = w[n].add(&one);
        let inner = d[n].square_wide().sub(&w[n].times(u64::from(A) * u64::from(A))).carry();
        right_side[n] = minus_a.mul(&d[n]).mul(&inner);
    }
    let first = is_square(&right_side);
    std::array::from_fn(|n| Fraction { numerator: minus_a.mul(&w[n].select(first[n], &one)), denominator: d[n] })
}

/// 384 bits, big endian, modulo p: the last step of `hash_to_field` (RFC 9380, section 5.2).
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn reduce(items: &[[u8; 48]; LANES]) -> Fe {
    let mut low = [[0; 32]; LANES];
    let mut high = [[0; 32]; LANES];
    for (lane, item) in items.iter().enumerate() {
        (low[lane], high[lane]) = split_wide(item);
    }
    let (low, _) = lanes::load(&low);
    let (high, _) = lanes::load(&high);
    low.add(&high.times(19).carry())
}
