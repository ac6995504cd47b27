//! The convolution with AVX-512: the elements that a row may add to are kept in registers, a vector of rows at a time.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`. The crate enters them through an [`Avx512`], which
//! [`Avx512::detect`] makes only where the processor has every feature named. Beside that, vectors are loaded and stored
//! through references to arrays of their size.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_loadu_si512, _mm512_mask_xor_epi64, _mm512_permutexvar_epi64, _mm512_set1_epi64,
    _mm512_setr_epi64, _mm512_setzero_si512, _mm512_storeu_si512, _pdep_u64,
};

use super::{MEMORY, TAPS};

/// Proof that this processor has AVX-512 F and BMI2.
pub(super) struct Avx512(());

impl Avx512 {
    /// The engine, where the processor and the operating system support it.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("bmi2");
        found.then_some(Self(()))
    }

    /// The portable `convolve` of as many rows as have their taps inside the vector, in whole vectors. Returns how many.
    #[allow(unsafe_code)]
    pub(super) fn convolve_u64(&self, rows: &mut [u64], first: usize, taps: &[u32]) -> usize {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { convolve::<u64, 8, { reach(8) }>(rows, first, taps) }
    }

    /// The same for elements of twice the size.
    #[allow(unsafe_code)]
    pub(super) fn convolve_u128(&self, rows: &mut [u128], first: usize, taps: &[u32]) -> usize {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { convolve::<u128, 4, { reach(4) }>(rows, first, taps) }
    }
}

/// Vectors that the taps of a vector of rows reach.
const fn reach(lanes: usize) -> usize {
    (lanes + TAPS).div_ceil(lanes)
}

/// `LANES` elements `T` fill a vector, and `WINDOW` is what they reach.
#[target_feature(enable = "avx512f,bmi2")]
fn convolve<T, const LANES: usize, const WINDOW: usize>(rows: &mut [T], first: usize, taps: &[u32]) -> usize {
    let (vectors, _) = rows[first..].as_chunks_mut::<LANES>();
    let steps = (taps.len() / LANES).min((vectors.len() + 1).saturating_sub(WINDOW));
    let mut window = [_mm512_setzero_si512(); WINDOW];
    for (held, vector) in window[..WINDOW - 1].iter_mut().zip(&*vectors) {
        *held = load(vector);
    }
    for (step, taps) in taps.as_chunks::<LANES>().0[..steps].iter().enumerate() {
        window[WINDOW - 1] = load(&vectors[step + WINDOW - 1]);
        for (lane, taps) in taps.iter().enumerate() {
            row::<LANES, WINDOW>(&mut window, lane, *taps);
        }
        store(&mut vectors[step], window[0]);
        window.rotate_left(1);
    }
    for (held, vector) in window[..WINDOW - 1].iter().zip(&mut vectors[steps..]) {
        store(vector, *held);
    }
    steps * LANES
}

/// Adds the element in the given lane of the first vector where its taps say.
#[inline]
#[target_feature(enable = "avx512f,bmi2")]
fn row<const LANES: usize, const WINDOW: usize>(window: &mut [__m512i; WINDOW], lane: usize, taps: u32) {
    let random = u64::from(taps) & ((1 << MEMORY) - 1);
    let places = (random | 1 << MEMORY) << (lane + 1);
    // Vectors count in words of 64 bits, of which a larger element has two.
    let (words, first) = match LANES {
        4 => (_pdep_u64(places, 0x5555_5555_5555_5555) * 3, _mm512_setr_epi64(0, 1, 0, 1, 0, 1, 0, 1)),
        _ => (places, _mm512_setzero_si512()),
    };
    let words_of_lane = _mm512_add_epi64(first, _mm512_set1_epi64((lane * 8 / LANES) as i64));
    let element = _mm512_permutexvar_epi64(words_of_lane, window[0]);
    for (number, vector) in window.iter_mut().enumerate() {
        *vector = _mm512_mask_xor_epi64(*vector, (words >> (8 * number)) as u8, *vector, element);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
fn load<T, const LANES: usize>(from: &[T; LANES]) -> __m512i {
    const { assert!(size_of::<[T; LANES]>() == size_of::<__m512i>()) };
    // SAFETY: the array has the size of the vector, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
fn store<T, const LANES: usize>(to: &mut [T; LANES], vector: __m512i) {
    const { assert!(size_of::<[T; LANES]>() == size_of::<__m512i>()) };
    // SAFETY: the array has the size of the vector, the store asks for no alignment, and the elements are integers.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) }
}
