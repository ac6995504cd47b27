//! The convolution in safe code: the portable twin, and the rows near the end of every vector, whose taps wrap around.

use super::{Element, MEMORY, TAPS, sealed};

/// Adds each of the rows from `first` on to those of the next [`MEMORY`] whose bit is set in its word of taps, and to the one
/// after; beyond the end of the vector comes its start. Rows are taken in order, so that later ones carry on what earlier
/// ones gave them. The taps are public, the elements are not: every tap costs the same.
pub(super) fn convolve<T: Element + sealed::Element>(rows: &mut [T], first: usize, taps: &[u32]) {
    let length = rows.len();
    for (row, taps) in (first..).zip(taps) {
        let element = rows[row];
        for tap in 0..MEMORY {
            let at = (row + 1 + tap) % length;
            rows[at] = rows[at].add(element.times(taps >> tap));
        }
        let at = (row + TAPS) % length;
        rows[at] = rows[at].add(element);
    }
}

impl sealed::Element for u64 {
    fn add(self, other: Self) -> Self {
        self ^ other
    }

    fn times(self, bit: u32) -> Self {
        self & u64::from(bit & 1).wrapping_neg()
    }

    fn convolve(rows: &mut [Self], first: usize, taps: &[u32]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(engine) = super::avx512::Avx512::detect() {
            let done = engine.convolve_u64(rows, first, taps);
            return convolve(rows, first + done, &taps[done..]);
        }
        convolve(rows, first, taps);
    }
}

impl sealed::Element for u128 {
    fn add(self, other: Self) -> Self {
        self ^ other
    }

    fn times(self, bit: u32) -> Self {
        self & u128::from(bit & 1).wrapping_neg()
    }

    fn convolve(rows: &mut [Self], first: usize, taps: &[u32]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(engine) = super::avx512::Avx512::detect() {
            let done = engine.convolve_u128(rows, first, taps);
            return convolve(rows, first + done, &taps[done..]);
        }
        convolve(rows, first, taps);
    }
}
