//! Four blocks per vector with VAES, several vectors in flight.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`. The crate enters them through an [`Vaes`], which
//! [`Vaes::detect`] makes only where the processor has every feature named. Beside that, vectors are loaded and stored
//! through references to arrays of their size.

use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_broadcast_i32x4,
    _mm512_bslli_epi128, _mm512_castsi512_si128, _mm512_loadu_si512, _mm512_permutex2var_epi64, _mm512_set1_epi32,
    _mm512_setr_epi64, _mm512_shuffle_epi8, _mm512_storeu_si512, _mm512_xor_si512,
};

use zeroize::Zeroizing;

use super::Engine;

/// Blocks in a vector.
const LANES: usize = 4;
/// Vectors in flight: a round waits about four cycles for the one before, and processors start one or two per cycle; what
/// is missing, the next batch fills.
const VECTORS: usize = 4;
/// Blocks of one batch.
const BATCH: usize = LANES * VECTORS;
/// Rounds of AES-128.
const ROUNDS: usize = 10;
/// Round constants (FIPS 197, table 5).
const RCON: [i32; ROUNDS] = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];

/// Proof that this processor has AVX-512 F and BW, and VAES.
pub(super) struct Vaes(());

/// The round keys of one key.
pub(super) struct RoundKeys(Zeroizing<[u128; ROUNDS + 1]>);

impl Vaes {
    /// The engine, where the processor and the operating system support it.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("vaes");
        found.then_some(Self(()))
    }
}

#[allow(unsafe_code)]
impl Engine for Vaes {
    type Key = RoundKeys;

    fn expand(&self, key: u128) -> RoundKeys {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { expand(key) }
    }

    fn encrypt(&self, key: &RoundKeys, blocks: &mut [u128]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { encrypt(key, blocks) }
    }

    fn mmo(&self, key: &RoundKeys, blocks: &mut [u128]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { mmo(key, blocks) }
    }

    fn double(&self, keys: [&RoundKeys; 2], parents: &[u128], children: &mut [u128]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { double(keys, parents, children) }
    }

    fn davies_meyer(&self, keys: &[u128], blocks: &mut [u128]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { davies_meyer(keys, blocks) }
    }
}

type Batch = [__m512i; VECTORS];

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn expand(key: u128) -> RoundKeys {
    let mut keys = Zeroizing::new([key; ROUNDS + 1]);
    let mut vector = broadcast(&key);
    for round in 0..ROUNDS {
        vector = next_round_key(vector, RCON[round]);
        keys[round + 1] = lowest(vector);
    }
    RoundKeys(keys)
}

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn encrypt(keys: &RoundKeys, blocks: &mut [u128]) {
    let keys = spread(keys);
    in_batches(blocks, |x| cipher(&keys, x));
}

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn mmo(keys: &RoundKeys, blocks: &mut [u128]) {
    let keys = spread(keys);
    in_batches(blocks, |x| feed_forward(cipher(&keys, x), x));
}

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn double(keys: [&RoundKeys; 2], parents: &[u128], children: &mut [u128]) {
    let (left, right) = (spread(keys[0]), spread(keys[1]));
    let first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    let second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (parents, children) in parents.chunks(BATCH).zip(children.chunks_mut(2 * BATCH)) {
        let x = load(&padded(parents));
        let left = feed_forward(cipher(&left, x), x);
        let right = feed_forward(cipher(&right, x), x);
        let mut both = [[0; BATCH]; 2];
        let [low, high] = &mut both;
        let zip = |n: usize, order| _mm512_permutex2var_epi64(left[n], order, right[n]);
        store([zip(0, first), zip(0, second), zip(1, first), zip(1, second)], low);
        store([zip(2, first), zip(2, second), zip(3, first), zip(3, second)], high);
        children.copy_from_slice(&both.as_flattened()[..children.len()]);
    }
}

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn davies_meyer(keys: &[u128], blocks: &mut [u128]) {
    for (keys, blocks) in keys.chunks(BATCH).zip(blocks.chunks_mut(BATCH)) {
        let mut keys = load(&padded(keys));
        let x = load(&padded(blocks));
        let mut state = each(|n| _mm512_xor_si512(x[n], keys[n]));
        for rcon in &RCON[..ROUNDS - 1] {
            keys = each(|n| next_round_key(keys[n], *rcon));
            state = each(|n| _mm512_aesenc_epi128(state[n], keys[n]));
        }
        keys = each(|n| next_round_key(keys[n], RCON[ROUNDS - 1]));
        state = each(|n| _mm512_aesenclast_epi128(state[n], keys[n]));
        let mut hashed = [0; BATCH];
        store(feed_forward(state, x), &mut hashed);
        blocks.copy_from_slice(&hashed[..blocks.len()]);
    }
}

/// Applies `work` to every block, in place. Blocks beyond the end are zeros, whose results nobody reads.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn in_batches(blocks: &mut [u128], work: impl Fn(Batch) -> Batch) {
    let (batches, rest) = blocks.as_chunks_mut::<BATCH>();
    for batch in batches {
        store(work(load(batch)), batch);
    }
    if !rest.is_empty() {
        let mut batch = padded(rest);
        store(work(load(&batch)), &mut batch);
        rest.copy_from_slice(&batch[..rest.len()]);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn cipher(keys: &[__m512i; ROUNDS + 1], x: Batch) -> Batch {
    let mut state = each(|n| _mm512_xor_si512(x[n], keys[0]));
    for key in &keys[1..ROUNDS] {
        state = each(|n| _mm512_aesenc_epi128(state[n], *key));
    }
    each(|n| _mm512_aesenclast_epi128(state[n], keys[ROUNDS]))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn feed_forward(a: Batch, b: Batch) -> Batch {
    each(|n| _mm512_xor_si512(a[n], b[n]))
}

/// The round key after `key`, in four lanes. SubWord(RotWord(w3)) ^ rcon comes from the last round's instruction, which
/// substitutes bytes: over four equal columns its shift of rows changes nothing.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn next_round_key(key: __m512i, rcon: i32) -> __m512i {
    let rotated_last_word = _mm512_set1_epi32(0x0c0f_0e0d);
    let rotated = _mm512_shuffle_epi8(key, rotated_last_word);
    let substituted = _mm512_aesenclast_epi128(rotated, _mm512_set1_epi32(rcon));
    let prefix = _mm512_xor_si512(key, _mm512_bslli_epi128::<4>(key));
    let prefix = _mm512_xor_si512(prefix, _mm512_bslli_epi128::<8>(prefix));
    _mm512_xor_si512(prefix, substituted)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn each(vector: impl Fn(usize) -> __m512i) -> Batch {
    [vector(0), vector(1), vector(2), vector(3)]
}

/// A full batch; the blocks beyond the end are zeros.
#[inline]
fn padded(blocks: &[u128]) -> [u128; BATCH] {
    let mut full = [0; BATCH];
    full[..blocks.len()].copy_from_slice(blocks);
    full
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn spread(keys: &RoundKeys) -> [__m512i; ROUNDS + 1] {
    let mut vectors = [broadcast(&keys.0[0]); ROUNDS + 1];
    for (vector, key) in vectors.iter_mut().zip(keys.0.iter()) {
        *vector = broadcast(key);
    }
    vectors
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn broadcast(block: &u128) -> __m512i {
    // SAFETY: the reference is to 16 readable bytes, all that is read; this load needs no alignment.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(std::ptr::from_ref(block).cast()) })
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn lowest(vector: __m512i) -> u128 {
    let mut block = 0;
    // SAFETY: the reference is to 16 writable bytes, all that is written; this store needs no alignment.
    unsafe { _mm_storeu_si128(std::ptr::from_mut(&mut block).cast(), _mm512_castsi512_si128(vector)) };
    block
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn load(blocks: &[u128; BATCH]) -> Batch {
    let (vectors, _) = blocks.as_chunks::<LANES>();
    // SAFETY: each chunk is 64 readable bytes, all that is read; this load needs no alignment.
    each(|n| unsafe { _mm512_loadu_si512(vectors[n].as_ptr().cast()) })
}

#[inline]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn store(batch: Batch, blocks: &mut [u128; BATCH]) {
    let (vectors, _) = blocks.as_chunks_mut::<LANES>();
    for (vector, value) in vectors.iter_mut().zip(batch) {
        // SAFETY: each chunk is 64 writable bytes, all that is written; this store needs no alignment.
        unsafe { _mm512_storeu_si512(vector.as_mut_ptr().cast(), value) };
    }
}
