//! The convolution with AVX-512: the elements that a row may add to are kept in registers, four rows at a time.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`. The crate enters them through an [`Avx512`], which
//! [`Avx512::detect`] makes only where the processor has every feature named. Beside that, vectors are loaded and stored
//! through references to arrays of their size.

use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_mask_xor_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2,
    _mm512_storeu_si512, _pdep_u64,
};

use super::{MEMORY, TAPS};

/// Elements of a vector.
const LANES: usize = 4;
/// Vectors that the taps of four rows reach: 3 + 25 positions after the first.
const WINDOW: usize = (LANES - 1 + TAPS) / LANES + 1;

/// Proof that this processor has AVX-512 F and BMI2.
pub(super) struct Avx512(());

impl Avx512 {
    /// The engine, where the processor and the operating system support it.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("bmi2");
        found.then_some(Self(()))
    }

    /// The portable `convolve` of as many rows as have their taps inside the vector, in fours. Returns how many.
    #[allow(unsafe_code)]
    pub(super) fn convolve(&self, rows: &mut [u128], first: usize, taps: &[u32]) -> usize {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { convolve(rows, first, taps) }
    }
}

#[target_feature(enable = "avx512f,bmi2")]
fn convolve(rows: &mut [u128], first: usize, taps: &[u32]) -> usize {
    let (vectors, _) = rows[first..].as_chunks_mut::<LANES>();
    let steps = (taps.len() / LANES).min((vectors.len() + 1).saturating_sub(WINDOW));
    if steps == 0 {
        return 0;
    }
    let mut window = [_mm512_setzero_si512(); WINDOW];
    for (held, vector) in window[..WINDOW - 1].iter_mut().zip(&*vectors) {
        *held = load(vector);
    }
    for (step, taps) in taps.as_chunks::<LANES>().0[..steps].iter().enumerate() {
        window[WINDOW - 1] = load(&vectors[step + WINDOW - 1]);
        row::<0>(&mut window, taps);
        row::<1>(&mut window, taps);
        row::<2>(&mut window, taps);
        row::<3>(&mut window, taps);
        store(&mut vectors[step], window[0]);
        window.rotate_left(1);
    }
    for (held, vector) in window[..WINDOW - 1].iter().zip(&mut vectors[steps..]) {
        store(vector, *held);
    }
    steps * LANES
}

/// Adds the element in lane `LANE` of the first vector where its taps say.
#[inline]
#[target_feature(enable = "avx512f,bmi2")]
fn row<const LANE: usize>(window: &mut [__m512i; WINDOW], taps: &[u32; LANES]) {
    let element = match LANE {
        0 => _mm512_shuffle_i64x2::<0x00>(window[0], window[0]),
        1 => _mm512_shuffle_i64x2::<0x55>(window[0], window[0]),
        2 => _mm512_shuffle_i64x2::<0xaa>(window[0], window[0]),
        _ => _mm512_shuffle_i64x2::<0xff>(window[0], window[0]),
    };
    let random = u64::from(taps[LANE]) & ((1 << MEMORY) - 1);
    let places = (random | 1 << MEMORY) << (LANE + 1);
    // A vector counts in halves of an element, so each place is two bits.
    let halves = _pdep_u64(places, 0x5555_5555_5555_5555) * 3;
    for (number, vector) in window.iter_mut().enumerate() {
        *vector = _mm512_mask_xor_epi64(*vector, (halves >> (8 * number)) as u8, *vector, element);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
fn load(from: &[u128; LANES]) -> __m512i {
    // SAFETY: the array has the size of the vector, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
fn store(to: &mut [u128; LANES], vector: __m512i) {
    // SAFETY: the array has the size of the vector, and the store asks for no alignment.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) }
}
