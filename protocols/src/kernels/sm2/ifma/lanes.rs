//! Between bytes of eight items and limbs of eight lanes.

use std::arch::x86_64::{__m512i, _mm512_loadu_si512, _mm512_storeu_si512};

use super::field::Plain;

/// Items in a vector.
pub(super) const LANES: usize = 8;

const LIMB: u64 = (1 << 52) - 1;

/// Eight big-endian integers of 256 bits.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn load(items: &[[u8; 32]; LANES]) -> Plain {
    let mut limbs = [[0; LANES]; 5];
    for (lane, item) in items.iter().enumerate() {
        let word = |n: usize| u64::from_be_bytes(std::array::from_fn(|byte| item[8 * n + byte]));
        let (w3, w2, w1, w0) = (word(0), word(1), word(2), word(3));
        limbs[0][lane] = w0 & LIMB;
        limbs[1][lane] = (w0 >> 52 | w1 << 12) & LIMB;
        limbs[2][lane] = (w1 >> 40 | w2 << 24) & LIMB;
        limbs[3][lane] = (w2 >> 28 | w3 << 36) & LIMB;
        limbs[4][lane] = w3 >> 16;
    }
    let [l0, l1, l2, l3, l4] = &limbs;
    Plain([vector(l0), vector(l1), vector(l2), vector(l3), vector(l4)])
}

/// The big-endian bytes of each lane.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn store(integers: &Plain) -> [[u8; 32]; LANES] {
    let [l0, l1, l2, l3, l4] = integers.0;
    let (l0, l1, l2, l3, l4) = (array(l0), array(l1), array(l2), array(l3), array(l4));
    let mut items = [[0; 32]; LANES];
    for (lane, item) in items.iter_mut().enumerate() {
        let words = [
            l3[lane] >> 36 | l4[lane] << 16,
            l2[lane] >> 24 | l3[lane] << 28,
            l1[lane] >> 12 | l2[lane] << 40,
            l0[lane] | l1[lane] << 52,
        ];
        for (bytes, word) in item.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
    }
    items
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn vector(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, all that is read; this load needs no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn array(vector: __m512i) -> [u64; LANES] {
    let mut lanes = [0; LANES];
    // SAFETY: the reference is to 64 writable bytes, all that is written; this store needs no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
    lanes
}
