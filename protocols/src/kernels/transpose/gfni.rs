//! Eight columns become eight rows of a byte each: bytes are brought together, 8 x 8 bits turned by one affine map (a
//! matrix times the unit vectors is its columns), and quadwords and bytes put into place.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`; they are entered through a [`Gfni`], which exists only where the
//! processor has every feature named. Beside that, vectors are loaded and stored through references to arrays of their size.

use std::arch::x86_64::{
    __m512i, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512, _mm512_permutex2var_epi8, _mm512_permutex2var_epi64,
    _mm512_set1_epi64, _mm512_storeu_si512,
};

use super::Tile;

/// Proof that this processor has AVX-512 F, BW, VBMI and GFNI.
pub(super) struct Gfni(());

impl Gfni {
    /// The engine, where the processor and the operating system support it.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("gfni");
        found.then_some(Self(()))
    }

    /// Transposes a square in place.
    #[allow(unsafe_code)]
    pub(super) fn tile(&self, tile: &mut Tile) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { transpose(tile) }
    }
}

/// The unit vectors of 8 bits, the first in the lowest byte.
const UNITS: i64 = i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128u8]);

/// Of eight columns of 16 bytes, in two vectors: byte r of each column, the last column first, for r below 8 and from 8 on.
/// The affine map takes the rows of its matrix from the top byte down.
const GATHER: [[u8; 64]; 2] = {
    let mut index = [[0; 64]; 2];
    let mut n = 0;
    while n < 128 {
        let (row, column) = (n / 8, 7 - n % 8);
        index[n / 64][n % 64] = (16 * column + row) as u8;
        n += 1;
    }
    index
};

/// Of sixteen quadwords of eight rows, in two vectors: the byte of each quadword, for each row.
const SCATTER: [[u8; 64]; 2] = {
    let mut index = [[0; 64]; 2];
    let mut n = 0;
    while n < 128 {
        let (row, group) = (n / 16, n % 16);
        index[n / 64][n % 64] = (8 * group + row) as u8;
        n += 1;
    }
    index
};

/// Quadwords 0 of both vectors, then 1 of both and so on, in two vectors: the lower halves and the upper halves.
const WEAVE: [[u64; 8]; 2] = [[0, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]];

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn transpose(tile: &mut Tile) {
    let (gather, scatter) = (GATHER.map(|index| bytes(&index)), SCATTER.map(|index| bytes(&index)));
    let units = _mm512_set1_epi64(UNITS);

    // turned[g]: 8 columns from 8 g on, as 16 quadwords, each 8 rows of one byte.
    let mut turned = [[units; 2]; 16];
    let (groups, _) = tile.as_chunks::<8>();
    for (turned, group) in turned.iter_mut().zip(groups) {
        let (low, high) = (load(group, 0), load(group, 4));
        for (turned, gather) in turned.iter_mut().zip(gather) {
            let rows = _mm512_permutex2var_epi8(low, gather, high);
            *turned = _mm512_gf2p8affine_epi64_epi8::<0>(units, rows);
        }
    }

    // Quadword r of each group g becomes quadword g of each r: four rounds of weaving vector g with g + 8 sort by the bits
    // of g, as a perfect shuffle does cards.
    let weave = WEAVE.map(|index| words(&index));
    for half in [0, 1] {
        let mut deck: [__m512i; 16] = std::array::from_fn(|g| turned[g][half]);
        for _ in 0..4 {
            let mut woven = deck;
            for g in 0..8 {
                woven[2 * g] = _mm512_permutex2var_epi64(deck[g], weave[0], deck[g + 8]);
                woven[2 * g + 1] = _mm512_permutex2var_epi64(deck[g], weave[1], deck[g + 8]);
            }
            deck = woven;
        }
        for r in 0..8 {
            for (part, scatter) in scatter.into_iter().enumerate() {
                let rows = _mm512_permutex2var_epi8(deck[2 * r], scatter, deck[2 * r + 1]);
                store(rows, tile, 64 * half + 8 * r + 4 * part);
            }
        }
    }
}

#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn load(group: &[u128; 8], first: usize) -> __m512i {
    let four: &[u128] = &group[first..first + 4];
    // SAFETY: the slice is 64 readable bytes, all that is read; this load needs no alignment.
    unsafe { _mm512_loadu_si512(four.as_ptr().cast()) }
}

#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn store(vector: __m512i, tile: &mut Tile, first: usize) {
    let four: &mut [u128] = &mut tile[first..first + 4];
    // SAFETY: the slice is 64 writable bytes, all that is written; this store needs no alignment.
    unsafe { _mm512_storeu_si512(four.as_mut_ptr().cast(), vector) }
}

#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn bytes(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, all that is read; this load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn words(words: &[u64; 8]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, all that is read; this load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}
