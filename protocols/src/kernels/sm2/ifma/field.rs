//! GF(p), p = 2^256 - 2^224 - 2^96 + 2^64 - 1, eight elements at a time: lane i of every vector belongs to element i.
//!
//! An element x is held as x 2^260 mod p (Montgomery form), in five limbs of 52 bits. IFMA takes 52-bit inputs, so limbs
//! have no slack; the value has, since five limbs hold 2^260 > 16p. Three types carry the bounds:
//!
//! | type | limbs | value | made by |
//! |---|---|---|---|
//! | [`Fe`] | five, each below 2^52 | below 4p | `carry`, `fold`, constants |
//! | [`Wide`] | five, signed, size below 2^60 | each function says | reductions, sums and differences |
//! | [`Product`] | ten, signed, size below 2^59 | below 2^262 p in size | products, sums and differences of them |
//!
//! Sums and differences of products are taken before the reduction where that saves one, and else before the carry.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_mov_epi64, _mm512_movepi64_mask, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_slli_epi64, _mm512_srai_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask, _mm512_testn_epi64_mask,
};

use super::constants::{ONE, P};

/// 52 ones.
const LIMB: u64 = (1 << 52) - 1;

/// Eight field elements: every limb below 2^52, the value below 4p.
#[derive(Clone, Copy)]
pub(super) struct Fe(pub(super) [__m512i; 5]);

/// Eight field elements with large or negative limbs.
#[derive(Clone, Copy)]
pub(super) struct Wide(pub(super) [__m512i; 5]);

/// Eight products, before their reduction.
#[derive(Clone, Copy)]
pub(super) struct Product(pub(super) [__m512i; 10]);

/// `start` plus the low (`lo`) or high (`hi`) halves of the products x[i] y[j] of the pairs.
macro_rules! sum {
    ($half:ident, $start:expr, $x:ident, $y:ident, $(($i:literal, $j:literal))*) => {{
        let sum = $start;
        $(let sum = $half(sum, $x[$i], $y[$j]);)*
        sum
    }};
}

impl Fe {
    /// The same element in every lane, from limbs in Montgomery form.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn splat(limbs: &[u64; 5]) -> Self {
        Self([splat(limbs[0]), splat(limbs[1]), splat(limbs[2]), splat(limbs[3]), splat(limbs[4])])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn one() -> Self {
        Self::splat(&ONE)
    }

    /// The product, below 2p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn mul(&self, other: &Self) -> Self {
        self.mul_wide(other).carry()
    }

    /// The square, below 2p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn square(&self) -> Self {
        self.square_wide().carry()
    }

    /// The product reduced, not carried: the value is from 0 to below 2p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn mul_wide(&self, other: &Self) -> Wide {
        self.product(other).reduce()
    }

    /// The square reduced, not carried: the value is from 0 to below 2p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn square_wide(&self) -> Wide {
        self.square_product().reduce()
    }

    /// Column k, of weight 2^(52k), sums the low halves of x_i y_j with i + j = k and the high ones with i + j = k - 1: at
    /// most nine numbers below 2^52.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn product(&self, other: &Self) -> Product {
        let (x, y, zero) = (&self.0, &other.0, _mm512_setzero_si512());
        let t1 = sum!(hi, zero, x, y, (0, 0));
        let t2 = sum!(hi, zero, x, y, (0, 1)(1, 0));
        let t3 = sum!(hi, zero, x, y, (0, 2)(1, 1)(2, 0));
        let t4 = sum!(hi, zero, x, y, (0, 3)(1, 2)(2, 1)(3, 0));
        let t5 = sum!(hi, zero, x, y, (0, 4)(1, 3)(2, 2)(3, 1)(4, 0));
        let t6 = sum!(hi, zero, x, y, (1, 4)(2, 3)(3, 2)(4, 1));
        let t7 = sum!(hi, zero, x, y, (2, 4)(3, 3)(4, 2));
        let t8 = sum!(hi, zero, x, y, (3, 4)(4, 3));
        Product([
            sum!(lo, zero, x, y, (0, 0)),
            sum!(lo, t1, x, y, (0, 1)(1, 0)),
            sum!(lo, t2, x, y, (0, 2)(1, 1)(2, 0)),
            sum!(lo, t3, x, y, (0, 3)(1, 2)(2, 1)(3, 0)),
            sum!(lo, t4, x, y, (0, 4)(1, 3)(2, 2)(3, 1)(4, 0)),
            sum!(lo, t5, x, y, (1, 4)(2, 3)(3, 2)(4, 1)),
            sum!(lo, t6, x, y, (2, 4)(3, 3)(4, 2)),
            sum!(lo, t7, x, y, (3, 4)(4, 3)),
            sum!(lo, t8, x, y, (4, 4)),
            sum!(hi, zero, x, y, (4, 4)),
        ])
    }

    /// The columns of [`Fe::product`] with itself, with products of unlike limbs summed once and doubled.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn square_product(&self) -> Product {
        let (x, zero) = (&self.0, _mm512_setzero_si512());
        let t2 = sum!(hi, zero, x, x, (0, 1));
        let t3 = sum!(hi, zero, x, x, (0, 2));
        let t4 = sum!(hi, zero, x, x, (0, 3)(1, 2));
        let t5 = sum!(hi, zero, x, x, (0, 4)(1, 3));
        let t6 = sum!(hi, zero, x, x, (1, 4)(2, 3));
        let t7 = sum!(hi, zero, x, x, (2, 4));
        let t8 = sum!(hi, zero, x, x, (3, 4));
        Product([
            sum!(lo, zero, x, x, (0, 0)),
            sum!(hi, twice(sum!(lo, zero, x, x, (0, 1))), x, x, (0, 0)),
            sum!(lo, twice(sum!(lo, t2, x, x, (0, 2))), x, x, (1, 1)),
            sum!(hi, twice(sum!(lo, t3, x, x, (0, 3)(1, 2))), x, x, (1, 1)),
            sum!(lo, twice(sum!(lo, t4, x, x, (0, 4)(1, 3))), x, x, (2, 2)),
            sum!(hi, twice(sum!(lo, t5, x, x, (1, 4)(2, 3))), x, x, (2, 2)),
            sum!(lo, twice(sum!(lo, t6, x, x, (2, 4))), x, x, (3, 3)),
            sum!(hi, twice(sum!(lo, t7, x, x, (3, 4))), x, x, (3, 3)),
            sum!(lo, twice(t8), x, x, (4, 4)),
            sum!(hi, zero, x, x, (4, 4)),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn wide(&self) -> Wide {
        Wide(self.0)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn add(&self, other: &Self) -> Self {
        self.wide().add(&other.wide()).fold()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn sub(&self, other: &Self) -> Self {
        self.wide().sub(&other.wide()).fold()
    }

    /// `other` in the lanes of the mask, this one elsewhere.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn select(&self, mask: __mmask8, other: &Self) -> Self {
        let mut chosen = *self;
        for (limb, other) in chosen.0.iter_mut().zip(&other.0) {
            *limb = _mm512_mask_mov_epi64(*limb, mask, *other);
        }
        chosen
    }

    /// Its negative in the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn negate_if(&self, mask: __mmask8) -> Self {
        let zero = Wide([_mm512_setzero_si512(); 5]);
        self.select(mask, &zero.sub(&self.wide()).fold())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn equals(&self, other: &Self) -> __mmask8 {
        self.sub(other).plain().is_zero()
    }

    /// Out of Montgomery form, fully reduced: x / 2^260 is from 0 to p, and p itself becomes 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn plain(&self) -> Plain {
        let [x0, x1, x2, x3, x4] = self.0;
        let zero = _mm512_setzero_si512();
        let value = Product([x0, x1, x2, x3, x4, zero, zero, zero, zero, zero]).reduce().carry();
        let plain = Plain(value.0);
        let (below, minus_p) = plain.minus_p();
        Plain(Fe(minus_p).select(below, &value).0)
    }
}

impl Wide {
    /// Limbs below 2^52, one carry after the other. The value must be from 0 to below 4p, and stays.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn carry(&self) -> Fe {
        let limb = splat(LIMB);
        let [l0, l1, l2, l3, l4] = self.0;
        let l1 = add(l1, _mm512_srai_epi64::<52>(l0));
        let l2 = add(l2, _mm512_srai_epi64::<52>(l1));
        let l3 = add(l3, _mm512_srai_epi64::<52>(l2));
        let l4 = add(l4, _mm512_srai_epi64::<52>(l3));
        Fe([and(l0, limb), and(l1, limb), and(l2, limb), and(l3, limb), l4])
    }

    /// Any value between -256p and 256p, to the same one modulo p that is below 2p + 2^240.
    ///
    /// With v = limb 4 >> 48, the value is 2^256 v + r, and lower limbs of size below 2^60 put r between -2^217 and
    /// 2^256 + 2^217. As 2^256 = p + 2^224 + 2^96 - 2^64 + 1 and v is at most 2^9 in size, r + (2^224 + 2^96 - 2^64 + 1) v + p
    /// is between 0 and 2p + 2^240.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn fold(&self) -> Fe {
        let [l0, l1, l2, l3, l4] = self.0;
        let v = _mm512_srai_epi64::<48>(l4);
        let l0 = add(add(l0, splat(P[0])), v);
        let twelve = _mm512_slli_epi64::<12>(v); // of 2^64 = 2^(52 + 12)
        let forty_four = _mm512_slli_epi64::<44>(v); // of 2^96 = 2^(52 + 44)
        let l1 = add(add(l1, splat(P[1])), _mm512_sub_epi64(forty_four, twelve));
        let l2 = add(l2, splat(P[2]));
        let l3 = add(l3, splat(P[3]));
        let sixteen = _mm512_slli_epi64::<16>(v); // of 2^224 = 2^(208 + 16)
        let l4 = add(add(and(l4, splat((1 << 48) - 1)), splat(P[4])), sixteen);
        Self([l0, l1, l2, l3, l4]).carry()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn add(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (limb, other) in sum.0.iter_mut().zip(&other.0) {
            *limb = add(*limb, *other);
        }
        sum
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let mut difference = *self;
        for (limb, other) in difference.0.iter_mut().zip(&other.0) {
            *limb = _mm512_sub_epi64(*limb, *other);
        }
        difference
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn twice(&self) -> Self {
        self.add(self)
    }
}

impl Product {
    /// The product divided by 2^260 modulo p (Montgomery's reduction). From T the value becomes one above T / 2^260 and
    /// below T / 2^260 + p.
    ///
    /// p is -1 modulo 2^64, so that the multiple of p which clears a column is the column itself, q. Adding
    /// q p = -q + 2^52 q (2^204 - 2^172 - 2^44 + 2^12) leaves its carry, and adds to the columns above
    /// q (2^52 - 2^44 + 2^12) - 2^52 q + 2^156 q (2^48 - 2^16).
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn reduce(&self) -> Wide {
        let low = splat((1 << 52) - (1 << 44) + (1 << 12));
        let high = splat((1 << 48) - (1 << 16));
        let mut t = self.0;
        for k in 0..5 {
            let q = and(t[k], splat(LIMB));
            t[k + 1] = lo(add(t[k + 1], _mm512_srai_epi64::<52>(t[k])), q, low);
            t[k + 2] = hi(_mm512_sub_epi64(t[k + 2], q), q, low);
            t[k + 4] = lo(t[k + 4], q, high);
            t[k + 5] = hi(t[k + 5], q, high);
        }
        Wide([t[5], t[6], t[7], t[8], t[9]])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn add(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (column, other) in sum.0.iter_mut().zip(&other.0) {
            *column = add(*column, *other);
        }
        sum
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let mut difference = *self;
        for (column, other) in difference.0.iter_mut().zip(&other.0) {
            *column = _mm512_sub_epi64(*column, *other);
        }
        difference
    }
}

/// Eight integers below 2^256 in limbs of 52 bits, in no Montgomery form.
#[derive(Clone, Copy)]
pub(super) struct Plain(pub(super) [__m512i; 5]);

impl Plain {
    /// The lanes below p, and each minus p, meaningful in the other lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn minus_p(&self) -> (__mmask8, [__m512i; 5]) {
        let limb = splat(LIMB);
        let mut difference = self.0;
        let mut borrow = _mm512_setzero_si512();
        for (limb, p) in difference.iter_mut().zip(P) {
            *limb = add(_mm512_sub_epi64(*limb, splat(p)), borrow);
            borrow = _mm512_srai_epi64::<52>(*limb);
        }
        for difference in &mut difference {
            *difference = and(*difference, limb);
        }
        (_mm512_movepi64_mask(borrow), difference)
    }

    /// The lanes below p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn is_canonical(&self) -> __mmask8 {
        self.minus_p().0
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn is_zero(&self) -> __mmask8 {
        let any = self.0[1..].iter().fold(self.0[0], |any, limb| _mm512_or_si512(any, *limb));
        _mm512_testn_epi64_mask(any, any)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn is_odd(&self) -> __mmask8 {
        _mm512_test_epi64_mask(self.0[0], splat(1))
    }

    /// Its product with a constant below p, before the reduction. With 2^520 mod p that is Montgomery form.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn times(&self, constant: &[u64; 5]) -> Product {
        Fe(self.0).product(&Fe::splat(constant))
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
fn and(x: __m512i, y: __m512i) -> __m512i {
    _mm512_and_si512(x, y)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn twice(x: __m512i) -> __m512i {
    _mm512_add_epi64(x, x)
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
