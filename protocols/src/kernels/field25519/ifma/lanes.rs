//! Between bytes of eight items and limbs of eight lanes.

use std::arch::x86_64::{__m512i, __mmask8, _mm512_loadu_si512, _mm512_storeu_si512};

use super::field::Fe;

/// Items in a vector.
pub(in crate::kernels) const LANES: usize = 8;

/// Vectors worked on together in chains of squarings, so that two chains overlap.
pub(in crate::kernels) const SIDE_BY_SIDE: usize = 2;

const LIMB: u64 = (1 << 51) - 1;

/// A full vector of items; the ones beyond the end are zeros, whose results nobody reads.
pub(in crate::kernels) fn padded<const N: usize>(items: &[[u8; N]]) -> [[u8; N]; LANES] {
    let mut full = [[0; N]; LANES];
    full[..items.len()].copy_from_slice(items);
    full
}

/// Eight little-endian field elements of 255 bits, not necessarily reduced, and the lanes whose bit 255 is set.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn load(items: &[[u8; 32]; LANES]) -> (Fe, __mmask8) {
    let mut limbs = [[0; LANES]; 5];
    let mut top_bits = 0;
    for (lane, item) in items.iter().enumerate() {
        let word = |n: usize| u64::from_le_bytes(std::array::from_fn(|byte| item[8 * n + byte]));
        let (w0, w1, w2, w3) = (word(0), word(1), word(2), word(3));
        limbs[0][lane] = w0 & LIMB;
        limbs[1][lane] = (w0 >> 51 | w1 << 13) & LIMB;
        limbs[2][lane] = (w1 >> 38 | w2 << 26) & LIMB;
        limbs[3][lane] = (w2 >> 25 | w3 << 39) & LIMB;
        limbs[4][lane] = (w3 >> 12) & LIMB;
        top_bits |= ((w3 >> 63) as u8) << lane;
    }
    let [l0, l1, l2, l3, l4] = &limbs;
    (Fe([vector(l0), vector(l1), vector(l2), vector(l3), vector(l4)]), top_bits)
}

/// The canonical bytes of the first lanes, as many as `out` has items.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn store(element: &Fe, out: &mut [[u8; 32]]) {
    let [l0, l1, l2, l3, l4] = element.canonical();
    let (l0, l1, l2, l3, l4) = (array(l0), array(l1), array(l2), array(l3), array(l4));
    for (lane, item) in out.iter_mut().enumerate() {
        let words = [
            l0[lane] | l1[lane] << 51,
            l1[lane] >> 13 | l2[lane] << 38,
            l2[lane] >> 26 | l3[lane] << 25,
            l3[lane] >> 39 | l4[lane] << 12,
        ];
        for (bytes, word) in item.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn vector(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, all that is read; this load needs no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn array(vector: __m512i) -> [u64; LANES] {
    let mut lanes = [0; LANES];
    // SAFETY: the reference is to 64 writable bytes, all that is written; this store needs no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
    lanes
}
