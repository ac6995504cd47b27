//! Eight points per vector; the safety argument is that of [`crate::kernels::field25519::ifma`].

mod line;
mod map;

use std::arch::x86_64::__mmask8;

use curve25519_dalek::Scalar;

use self::line::Projective;
use self::map::{Fraction, elligator2};
use super::{BadPoint, BadPointReason, Engine};
use crate::kernels::field25519::ifma::Ifma;
use crate::kernels::field25519::ifma::field::Fe;
use crate::kernels::field25519::ifma::lanes::{self, LANES, SIDE_BY_SIDE, padded};
use crate::kernels::field25519::ifma::root::{invert_each, is_square};

#[allow(unsafe_code)]
impl Engine for Ifma {
    fn map_mul(&self, uniform: &[[u8; 48]], k: &Scalar, out: &mut [[u8; 32]]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { map_mul(uniform, k, out) }
    }

    fn check(&self, points: &[[u8; 32]]) -> Result<(), BadPoint> {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { check(points) }
    }

    fn mul(&self, points: &[[u8; 32]], k: &Scalar, out: &mut [[u8; 32]]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { mul(points, k, out) }
    }
}

/// The points of the map themselves.
#[cfg(test)]
#[allow(unsafe_code)]
pub(super) fn map(_proof: &Ifma, uniform: &[[u8; 48]]) -> Vec<[u8; 32]> {
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn map(uniform: &[[u8; 48]]) -> Vec<[u8; 32]> {
        let mut out = vec![[0; 32]; uniform.len()];
        for (u, out) in mapped(uniform).iter().zip(out.chunks_mut(LANES)) {
            lanes::store(u, out);
        }
        out
    }
    // SAFETY: an `Ifma` exists, so the features were detected.
    unsafe { map(uniform) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn map_mul(uniform: &[[u8; 48]], k: &Scalar, out: &mut [[u8; 32]]) {
    multiply(&mapped(uniform), k, out);
}

/// The points of the map, and of padding to an even number of vectors.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn mapped(uniform: &[[u8; 48]]) -> Vec<Fe> {
    let mut mapped: Vec<Fraction> = Vec::with_capacity(uniform.len() / LANES + SIDE_BY_SIDE);
    for items in uniform.chunks(SIDE_BY_SIDE * LANES) {
        let (first, second) = items.split_at(items.len().min(LANES));
        mapped.extend(elligator2(&[padded(first), padded(second)]));
    }
    affine(&mapped)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn mul(points: &[[u8; 32]], k: &Scalar, out: &mut [[u8; 32]]) {
    let points: Vec<Fe> = points.chunks(LANES).map(|items| lanes::load(&padded(items)).0).collect();
    multiply(&points, k, out);
}

/// Writes u(8k P) of each lane, as many as `out` has items.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn multiply(points: &[Fe], k: &Scalar, out: &mut [[u8; 32]]) {
    let vectors = out.len().div_ceil(LANES);
    let products: Vec<Fraction> = points[..vectors].iter().map(|u| line::mul(u, k).eightfold().fraction()).collect();
    for (u, out) in affine(&products).iter().zip(out.chunks_mut(LANES)) {
        lanes::store(u, out);
    }
}

/// The quotients, with one inversion for all; 0 where the denominator is, as at infinity.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn affine(fractions: &[Fraction]) -> Vec<Fe> {
    let mut inverses: Vec<Fe> = fractions.iter().map(|fraction| fraction.denominator).collect();
    invert_each(&mut inverses);
    fractions.iter().zip(&inverses).map(|(fraction, inverse)| fraction.numerator.mul(inverse)).collect()
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check(points: &[[u8; 32]]) -> Result<(), BadPoint> {
    for (block, items) in points.chunks(SIDE_BY_SIDE * LANES).enumerate() {
        let (first, second) = items.split_at(items.len().min(LANES));
        let verdicts = judge(&[padded(first), padded(second)]);
        for (part, (verdict, items)) in verdicts.iter().zip([first, second]).enumerate() {
            let filled = ((1u16 << items.len()) - 1) as u8; // padding is no point
            let bad = (verdict.unreduced | verdict.small | verdict.off_curve) & filled;
            if bad != 0 {
                let lane = bad.trailing_zeros() as usize;
                let is = |mask: __mmask8| mask >> lane & 1 == 1;
                let reason = if is(verdict.unreduced) {
                    BadPointReason::BadEncoding
                } else if is(verdict.small) {
                    BadPointReason::SmallOrder
                } else {
                    BadPointReason::Twist
                };
                return Err(BadPoint { index: (block * SIDE_BY_SIDE + part) * LANES + lane, reason });
            }
        }
    }
    Ok(())
}

/// What is wrong in which lanes.
struct Verdict {
    unreduced: __mmask8,
    small: __mmask8,
    off_curve: __mmask8,
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn judge<const N: usize>(points: &[[[u8; 32]; LANES]; N]) -> [Verdict; N] {
    let one = Fe::small(1);
    let mut u = [one; N];
    let mut right_side = [one; N];
    let mut unreduced = [0; N];
    for n in 0..N {
        let (element, top_bits) = lanes::load(&points[n]);
        unreduced[n] = top_bits | !element.is_canonical();
        u[n] = element;
        // v^2 = u^3 + A u^2 + u
        let cofactor = element.square_wide().add(&element.times(u64::from(super::A))).carry().add(&one);
        right_side[n] = element.mul(&cofactor);
    }
    let on_curve = is_square(&right_side);
    std::array::from_fn(|n| Verdict {
        unreduced: unreduced[n],
        small: Projective::new(&u[n]).eightfold().is_infinity(),
        off_curve: !on_curve[n],
    })
}
