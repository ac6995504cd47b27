//! Four products per vector with VPCLMULQDQ.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`. The crate enters them through a [`Clmul`], which
//! [`Clmul::detect`] makes only where the processor has every feature named. Beside that, vectors are loaded and stored
//! through references to arrays of their size.

use std::arch::x86_64::{
    __m512i, _mm512_bslli_epi128, _mm512_bsrli_epi128, _mm512_clmulepi64_epi128, _mm512_loadu_si512, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_shuffle_epi32, _mm512_storeu_si512, _mm512_xor_si512,
};

use super::Engine;

/// Elements in a vector.
const LANES: usize = 4;
/// x^128 modulo the field's polynomial.
const FOLD: i64 = 0x87;
/// The shuffle of 32-bit words that swaps the halves of each element.
const SWAP_HALVES: i32 = 0x4e;

/// Proof that this processor has AVX-512 F and BW, and VPCLMULQDQ.
pub(super) struct Clmul(());

impl Clmul {
    /// The engine, where the processor and the operating system support it.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("vpclmulqdq");
        found.then_some(Self(()))
    }
}

#[allow(unsafe_code)]
impl Engine for Clmul {
    fn mul(&self, a: u128, b: u128) -> u128 {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { mul(a, b) }
    }

    fn mul_batch(&self, a: &mut [u128], b: &[u128]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { mul_batch(a, b) }
    }

    fn scale(&self, a: &mut [u128], k: u128) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { scale(a, k) }
    }

    fn scale_add(&self, acc: &mut [u128], a: &[u128], k: u128) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { scale_add(acc, a, k) }
    }

    fn inner_product(&self, a: &[u128], b: &[u128]) -> u128 {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { inner_product(a, b) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn mul(a: u128, b: u128) -> u128 {
    let product = Wide::product(load(&padded(&[a])), load(&padded(&[b]))).reduce();
    array(product)[0]
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn mul_batch(a: &mut [u128], b: &[u128]) {
    update(a, b, |a, b| Wide::product(a, b).reduce());
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn scale(a: &mut [u128], k: u128) {
    let k = load(&[k; LANES]);
    let (vectors, rest) = a.as_chunks_mut::<LANES>();
    for vector in vectors {
        *vector = array(Wide::product(load(vector), k).reduce());
    }
    if !rest.is_empty() {
        let last = array(Wide::product(load(&padded(rest)), k).reduce());
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn scale_add(acc: &mut [u128], a: &[u128], k: u128) {
    let k = load(&[k; LANES]);
    update(acc, a, |acc, a| _mm512_xor_si512(acc, Wide::product(a, k).reduce()));
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn inner_product(a: &[u128], b: &[u128]) -> u128 {
    let mut sum = Wide { low: _mm512_setzero_si512(), middle: _mm512_setzero_si512(), high: _mm512_setzero_si512() };
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        sum = sum.add(Wide::product(load(a), load(b)));
    }
    sum = sum.add(Wide::product(load(&padded(a_rest)), load(&padded(b_rest))));
    array(sum.reduce()).iter().fold(0, |sum, lane| sum ^ lane)
}

/// Puts `work` of each pair in place of its first element. Elements beyond the end are zeros, whose results nobody reads.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn update(a: &mut [u128], b: &[u128], work: impl Fn(__m512i, __m512i) -> __m512i) {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks_mut::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter_mut().zip(b) {
        *a = array(work(load(a), load(b)));
    }
    if !a_rest.is_empty() {
        let last = array(work(load(&padded(a_rest)), load(&padded(b_rest))));
        a_rest.copy_from_slice(&last[..a_rest.len()]);
    }
}

/// Four polynomials of degree below 256, not reduced: low + middle x^64 + high x^128.
#[derive(Clone, Copy)]
struct Wide {
    low: __m512i,
    middle: __m512i,
    high: __m512i,
}

impl Wide {
    /// Three products of halves for four (Karatsuba and Ofman).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    fn product(a: __m512i, b: __m512i) -> Self {
        let halves_summed = |x| _mm512_xor_si512(x, _mm512_shuffle_epi32::<SWAP_HALVES>(x));
        let low = _mm512_clmulepi64_epi128::<0x00>(a, b);
        let high = _mm512_clmulepi64_epi128::<0x11>(a, b);
        let all = _mm512_clmulepi64_epi128::<0x00>(halves_summed(a), halves_summed(b));
        Self { low, middle: _mm512_xor_si512(all, _mm512_xor_si512(low, high)), high }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    fn add(self, other: Self) -> Self {
        Self {
            low: _mm512_xor_si512(self.low, other.low),
            middle: _mm512_xor_si512(self.middle, other.middle),
            high: _mm512_xor_si512(self.high, other.high),
        }
    }

    /// Folds the topmost 64 coefficients, which gives at most seven beyond x^128, and then the next 64 with those.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    fn reduce(self) -> __m512i {
        let fold = _mm512_set1_epi64(FOLD);
        let low = _mm512_xor_si512(self.low, _mm512_bslli_epi128::<8>(self.middle));
        let high = _mm512_xor_si512(self.high, _mm512_bsrli_epi128::<8>(self.middle));
        let top = _mm512_clmulepi64_epi128::<0x01>(high, fold);
        let low = _mm512_xor_si512(low, _mm512_bslli_epi128::<8>(top));
        let next = _mm512_xor_si512(high, _mm512_bsrli_epi128::<8>(top));
        _mm512_xor_si512(low, _mm512_clmulepi64_epi128::<0x00>(next, fold))
    }
}

/// A full vector; the elements beyond the end are zeros.
#[inline]
fn padded(elements: &[u128]) -> [u128; LANES] {
    let mut full = [0; LANES];
    full[..elements.len()].copy_from_slice(elements);
    full
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn load(elements: &[u128; LANES]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, all that is read; this load needs no alignment.
    unsafe { _mm512_loadu_si512(elements.as_ptr().cast()) }
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn array(vector: __m512i) -> [u128; LANES] {
    let mut elements = [0; LANES];
    // SAFETY: the reference is to 64 writable bytes, all that is written; this store needs no alignment.
    unsafe { _mm512_storeu_si512(elements.as_mut_ptr().cast(), vector) };
    elements
}
