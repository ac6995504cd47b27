//! Points of the Edwards curve -x^2 + y^2 = 1 + d x^2 y^2, eight at a time, and their multiplication by one scalar.
//!
//! Formulas: Hisil, Wong, Carter and Dawson, "Twisted Edwards Curves Revisited", ASIACRYPT 2008, for a = -1. The addition
//! is complete: it needs no exception for equal points, opposite ones or the identity.

use std::arch::x86_64::{__mmask8, _mm512_abs_epi64, _mm512_cmpeq_epi64_mask, _mm512_movepi64_mask, _mm512_set1_epi64};
use std::hint::black_box;

use super::constants::D2;
use crate::kernels::field25519::ifma::field::Fe;

/// Digits of a scalar below 2^253 in radix 16.
pub(super) const DIGITS: usize = 64;

/// x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub(super) struct Extended {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) z: Fe,
    pub(super) t: Fe,
}

/// Without T: all that a doubling needs.
struct Projective {
    x: Fe,
    y: Fe,
    z: Fe,
}

/// The factors of a sum: X = EF, Y = GH, Z = FG, T = EH.
struct Factors {
    e: Fe,
    f: Fe,
    g: Fe,
    h: Fe,
}

/// A summand prepared: Y + X, Y - X, 2Z, 2dT.
#[derive(Clone, Copy)]
pub(super) struct Cached {
    y_plus_x: Fe,
    y_minus_x: Fe,
    z2: Fe,
    t2d: Fe,
}

impl Extended {
    /// k times each point: 63 times four doublings and an addition from a table of the multiples 1 to 8.
    ///
    /// The digits of k are secret and the same in every lane. Each table entry is read for each digit, and the one wanted
    /// is kept by a mask.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn mul(&self, digits: &[i8; DIGITS]) -> Self {
        let table = self.multiples();
        let mut sum = Self::identity().add(&select(&table, digits[DIGITS - 1])).extended();
        for digit in digits[..DIGITS - 1].iter().rev() {
            let summand = select(&table, *digit);
            let twofold = double(&sum.x, &sum.y, &sum.z).projective();
            let fourfold = twofold.double().projective();
            let eightfold = fourfold.double().projective();
            sum = eightfold.double().extended().add(&summand).extended();
        }
        sum
    }

    /// The point itself, twice it, up to eight times.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn multiples(&self) -> [Cached; 8] {
        let first = self.cached();
        let mut table = [first; 8];
        let mut multiple = double(&self.x, &self.y, &self.z).extended();
        for entry in &mut table[1..7] {
            *entry = multiple.cached();
            multiple = multiple.add(&first).extended();
        }
        table[7] = multiple.cached();
        table
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn identity() -> Self {
        let (zero, one) = (Fe::small(0), Fe::small(1));
        Self { x: zero, y: one, z: one, t: zero }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn cached(&self) -> Cached {
        Cached {
            y_plus_x: self.y.add(&self.x),
            y_minus_x: self.y.sub(&self.x),
            z2: self.z.add(&self.z),
            t2d: self.t.mul(&Fe::splat(&D2)),
        }
    }

    /// The sum of two points, both multiplied out.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn plus(&self, other: &Self) -> Self {
        self.add(&other.cached()).extended()
    }

    /// Each difference is of two products, below 2^59 + 2^61.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn add(&self, other: &Cached) -> Factors {
        let a = self.y.sub(&self.x).mul_wide(&other.y_minus_x);
        let b = self.y.add(&self.x).mul_wide(&other.y_plus_x);
        let c = self.t.mul_wide(&other.t2d);
        let d = self.z.mul_wide(&other.z2);
        Factors { e: b.sub(&a).carry(), f: d.sub(&c).carry(), g: d.add(&c).carry(), h: b.add(&a).carry() }
    }
}

impl Projective {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn double(&self) -> Factors {
        double(&self.x, &self.y, &self.z)
    }
}

/// The double of (x : y : z). F adds 2 Z^2 and X^2 to 2^61 - Y^2: below 2^61 + 2^60.6 before it is carried.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn double(x: &Fe, y: &Fe, z: &Fe) -> Factors {
    let xx = x.square_wide();
    let yy = y.square_wide();
    let zz = z.square_wide();
    let xy = x.mul_wide(y);
    Factors {
        e: xy.add(&xy).carry(),
        f: zz.add(&zz).add(&xx).sub(&yy).carry(),
        g: yy.sub(&xx).carry(),
        h: yy.add(&xx).carry(),
    }
}

impl Factors {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn projective(&self) -> Projective {
        Projective { x: self.e.mul(&self.f), y: self.g.mul(&self.h), z: self.f.mul(&self.g) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn extended(&self) -> Extended {
        Extended { x: self.e.mul(&self.f), y: self.g.mul(&self.h), z: self.f.mul(&self.g), t: self.e.mul(&self.h) }
    }
}

impl Cached {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn select(&self, mask: __mmask8, other: &Self) -> Self {
        Self {
            y_plus_x: self.y_plus_x.select(mask, &other.y_plus_x),
            y_minus_x: self.y_minus_x.select(mask, &other.y_minus_x),
            z2: self.z2.select(mask, &other.z2),
            t2d: self.t2d.select(mask, &other.t2d),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn negate_if(&self, mask: __mmask8) -> Self {
        Self {
            y_plus_x: self.y_plus_x.select(mask, &self.y_minus_x),
            y_minus_x: self.y_minus_x.select(mask, &self.y_plus_x),
            z2: self.z2,
            t2d: self.t2d.negate_if(mask),
        }
    }
}

/// `digit` times the point of the table, for a digit from -8 to 7; reads every entry whatever the digit.
///
/// All lanes hold the same digit. An optimiser that sees it compares scalars instead, and may come to branch on them, so
/// [`black_box`] hides it: best effort, as its documentation says.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn select(table: &[Cached; 8], digit: i8) -> Cached {
    let digit = black_box(_mm512_set1_epi64(i64::from(digit)));
    let size = _mm512_abs_epi64(digit);
    let one = Fe::small(1);
    let mut chosen = Cached { y_plus_x: one, y_minus_x: one, z2: Fe::small(2), t2d: Fe::small(0) };
    for (entry, multiple) in table.iter().zip(1..) {
        let wanted = _mm512_cmpeq_epi64_mask(size, _mm512_set1_epi64(multiple));
        chosen = chosen.select(wanted, entry);
    }
    chosen.negate_if(_mm512_movepi64_mask(digit))
}
