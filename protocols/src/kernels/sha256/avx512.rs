//! Sixteen messages per vector with AVX-512: lane i of every vector belongs to message i.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`. The crate enters them through an [`Avx512`], which
//! [`Avx512::detect`] makes only where the processor has the feature. Beside that, vectors are loaded and stored through
//! references to arrays of their size.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_srli_epi32,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32,
};

use super::{BATCH, Engine};

/// The constants of the rounds (FIPS 180-4, 4.2.2).
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
];

/// Truth tables of functions of three bits: a ^ b ^ c, "b where a, else c", and the majority.
const XOR: i32 = 0x96;
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;

/// Proof that this processor has AVX-512 F.
pub(super) struct Avx512(());

impl Avx512 {
    /// The engine, where the processor and the operating system support it.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

#[allow(unsafe_code)]
impl Engine for Avx512 {
    fn compress(&self, states: &mut [[u32; 8]; BATCH], blocks: &[[u8; 64]; BATCH]) {
        // SAFETY: `self` exists, so the feature was detected.
        unsafe { compress(states, blocks) }
    }
}

#[target_feature(enable = "avx512f")]
fn compress(states: &mut [[u32; 8]; BATCH], blocks: &[[u8; 64]; BATCH]) {
    let mut words = [[0; BATCH]; 16];
    for (lane, block) in blocks.iter().enumerate() {
        for (words, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            words[lane] = u32::from_be_bytes(*bytes);
        }
    }
    let mut start = [[0; BATCH]; 8];
    for (lane, state) in states.iter().enumerate() {
        start.iter_mut().zip(state).for_each(|(words, word)| words[lane] = *word);
    }
    let mut w = [load(&words[0]); 16];
    for (w, words) in w.iter_mut().zip(&words) {
        *w = load(words);
    }
    let [a, b, c, d, e, f, g, h] = &start;
    let start = [load(a), load(b), load(c), load(d), load(e), load(f), load(g), load(h)];
    let mut s = start;
    for (sixteen, k) in K.as_chunks::<16>().0.iter().enumerate() {
        for t in 0..16 {
            if sixteen > 0 {
                let older = add(w[t], sigma0(w[(t + 1) % 16]));
                w[t] = add(older, add(w[(t + 9) % 16], sigma1(w[(t + 14) % 16])));
            }
            let [a, b, c, d, e, f, g, h] = s;
            let input = add(add(h, w[t]), _mm512_set1_epi32(k[t] as i32));
            let sum1 = xor(_mm512_ror_epi32::<6>(e), _mm512_ror_epi32::<11>(e), _mm512_ror_epi32::<25>(e));
            let one = add(add(input, sum1), _mm512_ternarylogic_epi32::<CHOOSE>(e, f, g));
            let sum0 = xor(_mm512_ror_epi32::<2>(a), _mm512_ror_epi32::<13>(a), _mm512_ror_epi32::<22>(a));
            let two = add(sum0, _mm512_ternarylogic_epi32::<MAJORITY>(a, b, c));
            s = [add(one, two), a, b, c, add(d, one), e, f, g];
        }
    }
    for (word, (start, s)) in start.into_iter().zip(s).enumerate() {
        let lanes = array(add(start, s));
        states.iter_mut().zip(lanes).for_each(|(state, lane)| state[word] = lane);
    }
}

/// The small sigma functions: two rotations and a shift.
#[inline]
#[target_feature(enable = "avx512f")]
fn sigma0(w: __m512i) -> __m512i {
    xor(_mm512_ror_epi32::<7>(w), _mm512_ror_epi32::<18>(w), _mm512_srli_epi32::<3>(w))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sigma1(w: __m512i) -> __m512i {
    xor(_mm512_ror_epi32::<17>(w), _mm512_ror_epi32::<19>(w), _mm512_srli_epi32::<10>(w))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<XOR>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f")]
fn load(lanes: &[u32; BATCH]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, all that is read; this load needs no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f")]
fn array(vector: __m512i) -> [u32; BATCH] {
    let mut lanes = [0; BATCH];
    // SAFETY: the reference is to 64 writable bytes, all that is written; this store needs no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
    lanes
}
