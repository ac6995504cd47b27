//! A linear code whose dual form turns sparse noise into vectors that look random: learning parity with noise over the code
//! ("EC-LPN"), which makes long correlations out of short ones.
//!
//! **The code.** Expand-convolute of Raghuraman, Rindal and Tanguy 2023 (CRYPTO, eprint 2023/882), systematic and of rate at
//! most 1/2. For noise e = (m, d), with as many elements in m as there are outputs and at least as many in d,
//!
//! ```text
//! output = m + B (A_2 (A_1 d))
//! ```
//!
//! where each A adds every element to those among the next [`MEMORY`] that random bits choose, and to the one after, wrapping
//! around at the end; and each row of B has one one in each of [`WEIGHT`] equal regions. All of it follows from a fixed public
//! seed, the same for everyone. Weight, memory and convolving twice are those of `ExConv21x24` of the authors' library libOTe,
//! where it is the conservative one of two parameter sets. There, only every second one of a row keeps to a region; in ours
//! all do, so that B is read region by region, each from the second cache, at half the time. (The library's later notes
//! bound the distance of just this regional form of B at rate 1/2, there of weight 28, without m and with one A, as
//! within 0.01 % of the bound of Gilbert and Varshamov, but for a probability of 2^-22.) Regions cost B 20 dimensions, since
//! the sum over each region is the sum of all rows; the words this makes are halves of m, a quarter of the length.
//!
//! **The noise.** Regular: one random element in each of [`NOISE_WEIGHT`] equal blocks. For field elements of many bits, a
//! test on a share δ of the positions sees nothing of a block with probability 1 - δ, so its bias is at most (1 - δ)^t, and
//! t = [`NOISE_WEIGHT`] takes 2^-128 from δ = [`DISTANCE`]. (The better known (1 - 2δ)^t, hence half of t, is for bits.)
//!
//! **What is known and what is not.** [`DISTANCE`] is the authors' estimate of the lightest code word that anyone can *find*
//! ("pseudo-distance"; libOTe, `ConfigureCode.cpp`). The lightest there *is* cannot be much above 0.110 of the length at this rate
//! (Gilbert and Varshamov); finding it is itself believed to be hard, and whoever had it would still face 2^-67. libOTe asks
//! 64 bits of the pseudo-distance beside at least 128 blocks; we ask for the whole 128. The lighter set of the same paper (7
//! ones per row, "aggressive" estimate 0.15) costs a third of the time of B, but needs 546 blocks, and those are what is
//! sent. Silver (eprint 2021/1150) is broken in the paper above, and accumulating once with 7 ones per row (eprint 2022/1014)
//! has light words that can be found; neither is here.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use super::aes::prg;

/// Ones in a row of B, and equal regions of which each has one (libOTe's `ExConv21x24`: 21).
pub const WEIGHT: usize = 21;
/// Random taps of the convolution; one more is always there (libOTe's `ExConv21x24`: 24).
pub const MEMORY: usize = 24;
/// Weight of the lightest word that is taken to be findable, relative to the length (libOTe, `ExConvConfigure`).
pub const DISTANCE: f64 = 0.20;
/// Blocks of the noise: the least t with (1 - 0.20)^t <= 2^-128 is 398; rounded up to a multiple of 8.
pub const NOISE_WEIGHT: usize = 400;
/// Fewer outputs are cut from so many, for which blocks have 21 positions. Guessing enough positions without noise (Prange
/// 1962), half of each block at rate 1/2, then succeeds with probability 2^-400, as at every size.
pub const OUTPUTS_MIN: usize = 1 << 12;
/// Most outputs of one code: a region then fits the second cache, and positions, from 32 random bits each, have a bias of at
/// most 2^-16.
pub const OUTPUTS_MAX: usize = 1 << 20;

/// Taps of the convolution: the random ones and the one that is always there.
const TAPS: usize = MEMORY + 1;
/// Seeds of A_1, A_2 and B: digits of pi, so that nobody chose them.
const SEEDS: [u128; 3] =
    [0x452821e638d01377be5466cf34e90c6c, 0xc0ac29b7c97c50dd3f84d5b5b5470917, 0x9216d5d98979fb1bd1310ba698dfb5ac];
/// Rows whose random bits are drawn together: 4 KiB, well inside the first cache.
const ROWS: usize = 1024;

/// The code for one size.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    outputs: usize,
    parity: usize,
}

/// What a vector is made of; addition is exclusive or.
pub trait Element: sealed::Element {}

impl Element for u64 {}
impl Element for u128 {}

mod sealed {
    pub trait Element: Copy + Default + Send + Sync {
        /// The sum of two.
        #[must_use]
        fn add(self, other: Self) -> Self;
        /// `self` where the lowest bit of `bit` is set, else zero.
        #[must_use]
        fn times(self, bit: u32) -> Self;
        /// Applies one A to rows from `first` on, with one word of taps per row (see `portable`).
        fn convolve(rows: &mut [Self], first: usize, taps: &[u32]);
    }
}

impl Code {
    /// The code that takes `noise` elements to `outputs`. Panics where there are fewer than twice as many, or as few
    /// as taps of a row, or more than [`OUTPUTS_MAX`].
    pub fn new(outputs: usize, noise: usize) -> Self {
        let parity = noise.saturating_sub(outputs);
        assert!(parity >= outputs && outputs > TAPS && outputs <= OUTPUTS_MAX, "a size of this code");
        Self { outputs, parity }
    }

    /// The outputs, in place of the first elements; the others are left in no useful state.
    pub fn encode<T: Element>(&self, noise: &mut [T]) {
        let (outputs, parity) = self.split(noise);
        convolve_twice(parity);
        for region in 0..WEIGHT {
            let parity = &parity[self.region(region)];
            outputs.par_chunks_mut(ROWS).enumerate().for_each_init(Draw::new, |draw, (chunk, outputs)| {
                for (output, at) in outputs.iter_mut().zip(draw.positions(region, chunk, parity.len())) {
                    *output = output.add(parity[*at as usize]);
                }
            });
        }
    }

    /// The same for two vectors side by side: both are read at the same places, which is what takes the time.
    pub fn encode_pair<T: Element, U: Element>(&self, first: &mut [T], second: &mut [U]) {
        let ((first, parity_first), (second, parity_second)) = (self.split(first), self.split(second));
        rayon::join(|| convolve_twice(parity_first), || convolve_twice(parity_second));
        for region in 0..WEIGHT {
            let (parity_first, parity_second) =
                (&parity_first[self.region(region)], &parity_second[self.region(region)]);
            let chunks = first.par_chunks_mut(ROWS).zip(second.par_chunks_mut(ROWS)).enumerate();
            chunks.for_each_init(Draw::new, |draw, (chunk, (first, second))| {
                let positions = draw.positions(region, chunk, parity_first.len());
                for ((first, second), at) in first.iter_mut().zip(second).zip(positions) {
                    *first = first.add(parity_first[*at as usize]);
                    *second = second.add(parity_second[*at as usize]);
                }
            });
        }
    }

    /// The places of one of the equal regions of d.
    fn region(&self, region: usize) -> Range<usize> {
        self.parity * region / WEIGHT..self.parity * (region + 1) / WEIGHT
    }

    fn split<'a, T>(&self, noise: &'a mut [T]) -> (&'a mut [T], &'a mut [T]) {
        assert_eq!(noise.len(), self.outputs + self.parity, "the noise of this code");
        noise.split_at_mut(self.outputs)
    }
}

/// Draws the ones of B in one region for [`ROWS`] rows at a time.
struct Draw {
    blocks: [u128; ROWS / 4],
    positions: [u32; ROWS],
}

impl Draw {
    fn new() -> Self {
        Self { blocks: [0; ROWS / 4], positions: [0; ROWS] }
    }

    /// Positions in a region of `size` elements. A random word times the size, shifted, is one, with a bias of at most
    /// `size / 2^32`.
    fn positions(&mut self, region: usize, chunk: usize, size: usize) -> &[u32; ROWS] {
        let first = (region << 32) + chunk * self.blocks.len();
        prg(SEEDS[2], first as u64, &mut self.blocks);
        for (four, block) in self.positions.chunks_exact_mut(4).zip(self.blocks) {
            for (position, word) in four.iter_mut().zip(words(block)) {
                *position = ((u64::from(word) * size as u64) >> 32) as u32;
            }
        }
        &self.positions
    }
}

/// A_2 A_1, in place.
fn convolve_twice<T: Element>(rows: &mut [T]) {
    for seed in &SEEDS[..2] {
        let mut blocks = [0; ROWS / 4];
        let mut taps = [0; ROWS];
        for first in (0..rows.len()).step_by(ROWS) {
            let count = ROWS.min(rows.len() - first);
            prg(*seed, (first / 4) as u64, &mut blocks);
            for (four, block) in taps.chunks_exact_mut(4).zip(blocks) {
                four.copy_from_slice(&words(block));
            }
            T::convolve(rows, first, &taps[..count]);
        }
    }
}

/// A block as four words, the lowest first.
fn words(block: u128) -> [u32; 4] {
    [block as u32, (block >> 32) as u32, (block >> 64) as u32, (block >> 96) as u32]
}
