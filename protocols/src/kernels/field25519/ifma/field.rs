//! GF(2^255 - 19), eight elements at a time: lane i of every vector belongs to element i.
//!
//! An element is five limbs of radix 2^51, so that a limb product is at most 2^104 and IFMA gives its low and high 52 bits.
//! Two types carry the bounds:
//!
//! | type | each limb is | made by |
//! |---|---|---|
//! | [`Fe`] | below 2^51 + 2^17, so it fits IFMA's 52-bit inputs and the value is below 2p | `carry`, bytes, constants |
//! | [`Wide`] | below 2^63, each function says how much it adds | products, and sums and differences of them |
//!
//! A product stays wide through the addition or subtraction that follows it, and is carried once.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_mov_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask, _mm512_testn_epi64_mask, _mm512_xor_si512,
};

/// 51 ones.
const LIMB: u64 = (1 << 51) - 1;
/// The modulus in limbs.
const P: [u64; 5] = [LIMB - 18, LIMB, LIMB, LIMB, LIMB];

/// Eight field elements, nearly reduced: every limb is below 2^51 + 2^17.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Fe(pub(in crate::kernels) [__m512i; 5]);

/// Eight field elements with large limbs, below 2^63.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Wide(pub(in crate::kernels) [__m512i; 5]);

/// An array with the expression for each limb.
macro_rules! limbs {
    ($i:ident => $limb:expr) => {
        [
            {
                let $i = 0;
                $limb
            },
            {
                let $i = 1;
                $limb
            },
            {
                let $i = 2;
                $limb
            },
            {
                let $i = 3;
                $limb
            },
            {
                let $i = 4;
                $limb
            },
        ]
    };
}

/// `start` plus the low (`lo`) or high (`hi`) halves of the products x[i] y[j] of the pairs.
macro_rules! sum {
    ($half:ident, $start:expr, $x:ident, $y:ident, $(($i:literal, $j:literal))*) => {{
        let sum = $start;
        $(let sum = $half(sum, $x[$i], $y[$j]);)*
        sum
    }};
}

impl Fe {
    /// The same element in every lane, from canonical limbs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn splat(limbs: &[u64; 5]) -> Self {
        Self(limbs!(i => splat(limbs[i])))
    }

    /// A small number in every lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn small(value: u32) -> Self {
        Self::splat(&[u64::from(value), 0, 0, 0, 0])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn mul(&self, other: &Self) -> Self {
        self.mul_wide(other).carry()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn square(&self) -> Self {
        self.square_wide().carry()
    }

    /// The product, limbs below 2^59.
    ///
    /// With c and h the sums of low and high halves, column k (weight 2^51k) is c + 2h: a low half of x_i y_j counts in
    /// column i + j, a high one twice in i + j + 1, since 2^52 = 2 * 2^51. Columns 5 to 9 come back 19-fold. A low half is
    /// below 2^52 and a high one below 2^50 (1 + 2^-33). Column 5 is the largest: 4 low and 5 high halves, 6.5 * 2^52;
    /// column 0 adds 19 times that to one low half: 124.5 * 2^52 < 2^59.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn mul_wide(&self, other: &Self) -> Wide {
        let (x, y, zero) = (&self.0, &other.0, _mm512_setzero_si512());

        let h5 = sum!(hi, zero, x, y, (0, 4)(1, 3)(2, 2)(3, 1)(4, 0));
        let t5 = sum!(lo, twice(h5), x, y, (1, 4)(2, 3)(3, 2)(4, 1));
        let h6 = sum!(hi, zero, x, y, (1, 4)(2, 3)(3, 2)(4, 1));
        let t6 = sum!(lo, twice(h6), x, y, (2, 4)(3, 3)(4, 2));
        let h7 = sum!(hi, zero, x, y, (2, 4)(3, 3)(4, 2));
        let t7 = sum!(lo, twice(h7), x, y, (3, 4)(4, 3));
        let h8 = sum!(hi, zero, x, y, (3, 4)(4, 3));
        let t8 = sum!(lo, twice(h8), x, y, (4, 4));
        let t9 = twice(sum!(hi, zero, x, y, (4, 4)));

        let h1 = sum!(hi, zero, x, y, (0, 0));
        let h2 = sum!(hi, zero, x, y, (0, 1)(1, 0));
        let h3 = sum!(hi, zero, x, y, (0, 2)(1, 1)(2, 0));
        let h4 = sum!(hi, zero, x, y, (0, 3)(1, 2)(2, 1)(3, 0));
        Wide([
            sum!(lo, times_19(t5), x, y, (0, 0)),
            sum!(lo, add(times_19(t6), twice(h1)), x, y, (0, 1)(1, 0)),
            sum!(lo, add(times_19(t7), twice(h2)), x, y, (0, 2)(1, 1)(2, 0)),
            sum!(lo, add(times_19(t8), twice(h3)), x, y, (0, 3)(1, 2)(2, 1)(3, 0)),
            sum!(lo, add(times_19(t9), twice(h4)), x, y, (0, 4)(1, 3)(2, 2)(3, 1)(4, 0)),
        ])
    }

    /// The square, limbs below 2^59: the columns of [`Fe::mul_wide`], with products of unlike limbs summed once and
    /// doubled. In odd columns the high half of a like product is doubled with them; its low half stands alone.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn square_wide(&self) -> Wide {
        let (x, zero) = (&self.0, _mm512_setzero_si512());

        let h5 = sum!(hi, zero, x, x, (0, 4)(1, 3));
        let t5 = twice(sum!(hi, sum!(lo, twice(h5), x, x, (1, 4)(2, 3)), x, x, (2, 2)));
        let h6 = sum!(hi, zero, x, x, (1, 4)(2, 3));
        let t6 = sum!(lo, twice(sum!(lo, twice(h6), x, x, (2, 4))), x, x, (3, 3));
        let h7 = sum!(hi, zero, x, x, (2, 4));
        let t7 = twice(sum!(hi, sum!(lo, twice(h7), x, x, (3, 4)), x, x, (3, 3)));
        let h8 = sum!(hi, zero, x, x, (3, 4));
        let t8 = sum!(lo, twice(twice(h8)), x, x, (4, 4));
        let t9 = twice(sum!(hi, zero, x, x, (4, 4)));

        let t1 = twice(sum!(hi, sum!(lo, zero, x, x, (0, 1)), x, x, (0, 0)));
        let h2 = sum!(hi, zero, x, x, (0, 1));
        let t2 = twice(sum!(lo, twice(h2), x, x, (0, 2)));
        let h3 = sum!(hi, zero, x, x, (0, 2));
        let t3 = twice(sum!(hi, sum!(lo, twice(h3), x, x, (0, 3)(1, 2)), x, x, (1, 1)));
        let h4 = sum!(hi, zero, x, x, (0, 3)(1, 2));
        let t4 = twice(sum!(lo, twice(h4), x, x, (0, 4)(1, 3)));
        Wide([
            sum!(lo, times_19(t5), x, x, (0, 0)),
            add(times_19(t6), t1),
            sum!(lo, add(times_19(t7), t2), x, x, (1, 1)),
            add(times_19(t8), t3),
            sum!(lo, add(times_19(t9), t4), x, x, (2, 2)),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn add(&self, other: &Self) -> Self {
        Wide(limbs!(i => add(self.0[i], other.0[i]))).carry()
    }

    /// The product with a number below 2^46, limbs below 2^53: a low half is below 2^52, a high one below 2^45 and comes back
    /// 38-fold at most.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn times(&self, number: u64) -> Wide {
        debug_assert!(number < 1 << 46);
        let (x, y) = (&self.0, splat(number));
        let high = limbs!(i => twice(hi(_mm512_setzero_si512(), x[i], y)));
        Wide([
            lo(times_19(high[4]), x[0], y),
            lo(high[0], x[1], y),
            lo(high[1], x[2], y),
            lo(high[2], x[3], y),
            lo(high[3], x[4], y),
        ])
    }

    /// Adds 4p first, whose limbs are at least 2^53 - 76 and so above any limb taken away.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn sub(&self, other: &Self) -> Self {
        Wide(limbs!(i => _mm512_sub_epi64(add(self.0[i], splat(4 * P[i])), other.0[i]))).carry()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn neg(&self) -> Self {
        Self::small(0).sub(self)
    }

    /// `other` in the lanes of the mask, this one elsewhere.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn select(&self, mask: __mmask8, other: &Self) -> Self {
        Self(limbs!(i => _mm512_mask_mov_epi64(self.0[i], mask, other.0[i])))
    }

    /// Its negative in the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn negate_if(&self, mask: __mmask8) -> Self {
        self.select(mask, &self.neg())
    }

    /// The one of x and -x that is not negative.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn abs(&self) -> Self {
        self.negate_if(self.is_negative())
    }

    /// The lanes that are odd when fully reduced: RFC 9496 calls those negative.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn is_negative(&self) -> __mmask8 {
        _mm512_test_epi64_mask(self.canonical()[0], splat(1))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn is_zero(&self) -> __mmask8 {
        let limbs = self.canonical();
        let any = limbs[1..].iter().fold(limbs[0], |any, limb| _mm512_or_si512(any, *limb));
        _mm512_testn_epi64_mask(any, any)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn equals(&self, other: &Self) -> __mmask8 {
        self.sub(other).is_zero()
    }

    /// The lanes whose limbs are already those of the fully reduced element.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn is_canonical(&self) -> __mmask8 {
        let limbs = self.canonical();
        let difference = limbs!(i => _mm512_xor_si512(limbs[i], self.0[i]));
        let any = difference[1..].iter().fold(difference[0], |any, limb| _mm512_or_si512(any, *limb));
        _mm512_testn_epi64_mask(any, any)
    }

    /// The limbs of the fully reduced elements, each below 2^51.
    ///
    /// The value is below 2p, so the quotient by p is 0 or 1, and is the carry out of value + 19 at bit 255. Adding 19
    /// times the quotient and dropping that bit subtracts p as often.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn canonical(&self) -> [__m512i; 5] {
        let limbs = &self.0;
        let mut quotient = _mm512_srli_epi64::<51>(add(limbs[0], splat(19)));
        quotient = _mm512_srli_epi64::<51>(add(limbs[1], quotient));
        quotient = _mm512_srli_epi64::<51>(add(limbs[2], quotient));
        quotient = _mm512_srli_epi64::<51>(add(limbs[3], quotient));
        quotient = _mm512_srli_epi64::<51>(add(limbs[4], quotient));

        let l0 = lo(limbs[0], quotient, splat(19));
        let l1 = add(limbs[1], _mm512_srli_epi64::<51>(l0));
        let l2 = add(limbs[2], _mm512_srli_epi64::<51>(l1));
        let l3 = add(limbs[3], _mm512_srli_epi64::<51>(l2));
        let l4 = add(limbs[4], _mm512_srli_epi64::<51>(l3));
        let carried = [l0, l1, l2, l3, l4];
        limbs!(i => _mm512_and_si512(carried[i], splat(LIMB)))
    }
}

impl Wide {
    /// All carries at once. A limb below 2^63 sends less than 2^12 up, and the top one 19 times that, below 2^17, round
    /// to the bottom: hence the bound of [`Fe`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn carry(&self) -> Fe {
        let up = limbs!(i => _mm512_srli_epi64::<51>(self.0[i]));
        let rest = limbs!(i => _mm512_and_si512(self.0[i], splat(LIMB)));
        Fe([
            lo(rest[0], up[4], splat(19)),
            add(rest[1], up[0]),
            add(rest[2], up[1]),
            add(rest[3], up[2]),
            add(rest[4], up[3]),
        ])
    }

    /// The bounds add.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn add(&self, other: &Self) -> Self {
        Self(limbs!(i => add(self.0[i], other.0[i])))
    }

    /// Adds 2^10 p first, limbs at least 2^61 - 2^15: `other` must be below that, as products (2^59) and sums of up to
    /// three of them are. The result is below this one's bound plus 2^61.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(in crate::kernels) fn sub(&self, other: &Self) -> Self {
        Self(limbs!(i => _mm512_sub_epi64(add(self.0[i], splat(P[i] << 10)), other.0[i])))
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn splat(value: u64) -> __m512i {
    _mm512_set1_epi64(value as i64)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn add(x: __m512i, y: __m512i) -> __m512i {
    _mm512_add_epi64(x, y)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn twice(x: __m512i) -> __m512i {
    _mm512_add_epi64(x, x)
}

/// 16x + (x + 2x); there is no fast 64-bit multiplication.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn times_19(x: __m512i) -> __m512i {
    add(_mm512_slli_epi64::<4>(x), add(x, twice(x)))
}

/// sum + low 52 bits of the product of the low 52 bits of x and y.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn lo(sum: __m512i, x: __m512i, y: __m512i) -> __m512i {
    _mm512_madd52lo_epu64(sum, x, y)
}

/// sum + high 52 bits of the product of the low 52 bits of x and y.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn hi(sum: __m512i, x: __m512i, y: __m512i) -> __m512i {
    _mm512_madd52hi_epu64(sum, x, y)
}
