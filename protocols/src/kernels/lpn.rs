//! A linear code whose dual form turns sparse noise into vectors that look random: learning parity with noise over the code
//! ("EC-LPN"), which makes long correlations out of short ones.
//!
//! **The code.** Expand-convolute of Raghuraman, Rindal and Tanguy 2023 (CRYPTO, eprint 2023/882), systematic and of rate at
//! most 1/2, as its authors run it in libOTe under the name `ExConv21x24`, the conservative one of their two parameter
//! sets. For noise e = (m, d), with as many elements in m as there are outputs and at least as many in d,
//!
//! ```text
//! output = m + B (A_2 (A_1 d))
//! ```
//!
//! where each A adds every element to those among the next [`MEMORY`] that random bits choose, and to the one after, wrapping
//! around at the end; and each row of B has [`WEIGHT`] ones: one in each of [`REGIONS`] equal regions, the others anywhere.
//! All of it follows from a fixed public seed, the same for everyone.
//!
//! **The noise.** Regular: one random non-zero element in each of [`NOISE_WEIGHT`] equal blocks. For field elements of many
//! bits, a test on d positions sees nothing of a block with probability 1 - d/N, so its bias is at most (1 - d/N)^t, and
//! t = [`NOISE_WEIGHT`] takes 2^-128 from the relative distance [`DISTANCE`].
//!
//! **What is known and what is not.** [`DISTANCE`] is the authors' estimate of the lightest code word that anyone can *find*
//! ("pseudo-distance"; libOTe, `ConfigureCode.cpp`). The lightest there *is* cannot be heavier than 0.110 N at this rate
//! (Gilbert and Varshamov); finding it is itself believed to be hard, and whoever had it would still face 2^-67. libOTe asks
//! 64 bits of the pseudo-distance beside at least 128 blocks; we ask for the whole 128. The lighter set of the same paper (7
//! ones per row, estimate 0.15) costs a third of the time of B, but would need 546 blocks; we prefer the heavier code. Silver
//! (eprint 2021/1150) is broken in the paper above, and accumulating once with 7 ones per row (eprint 2022/1014) has light
//! words that can be found; neither is here.
//!
//! Vectors above 2^20 outputs leave the caches, and 32-bit positions carry a bias of at most 2^-11: callers work in batches.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::aes::prg;

/// Ones in a row of B (libOTe's `ExConv21x24`).
pub const WEIGHT: usize = 21;
/// Regions of which each row of B takes one position: the larger half, as in libOTe's regular expander.
pub const REGIONS: usize = 11;
/// Random taps of the convolution (libOTe's `ExConv21x24`); one more is always there.
pub const MEMORY: usize = 24;
/// Weight of the lightest word that is taken to be findable, relative to the length (libOTe, `ExConvConfigure`).
pub const DISTANCE: f64 = 0.20;
/// Blocks of the noise: the least t with (1 - 0.20)^t <= 2^-128 is 398; rounded up to a multiple of 8.
pub const NOISE_WEIGHT: usize = 400;
/// Fewer outputs are cut from so many. Blocks of the noise then have at least 20 positions, and generic decoding attacks at
/// rate 1/2 stay out of reach: guessing error-free positions (Prange 1962) succeeds with probability 2^-400.
pub const OUTPUTS_MIN: usize = 1 << 12;
/// Most outputs of one code: what this is tuned for, and what the bound on the bias of positions assumes.
pub const OUTPUTS_MAX: usize = 1 << 20;

/// Taps of the convolution: the random ones and the one that is always there.
const TAPS: usize = MEMORY + 1;
/// Seeds of A_1, A_2 and B: digits of pi that nobody chose.
const SEEDS: [u128; 3] =
    [0x452821e638d01377be5466cf34e90c6c, 0xc0ac29b7c97c50dd3f84d5b5b5470917, 0x9216d5d98979fb1bd1310ba698dfb5ac];
/// Rows of A whose taps are drawn together, and rows of B: 4 KiB and 24 KiB of random bits, which stay in the first cache.
const ROWS_A: usize = 1024;
const ROWS_B: usize = 256;
/// Random blocks per row of B: four positions each.
const BLOCKS_B: usize = WEIGHT.div_ceil(4);

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
    /// The code that takes `noise` elements to `outputs`. Panics where there are fewer than twice as many, or fewer than
    /// one region's or more than [`OUTPUTS_MAX`].
    pub fn new(outputs: usize, noise: usize) -> Self {
        let parity = noise.checked_sub(outputs).unwrap_or_default();
        assert!(parity >= outputs && outputs > TAPS && outputs <= OUTPUTS_MAX, "a size of this code");
        Self { outputs, parity }
    }

    /// The outputs, in place of the first elements; the others are left in no useful state.
    pub fn encode<T: Element>(&self, noise: &mut [T]) {
        let (outputs, parity) = self.split(noise);
        convolve_twice(parity);
        let rows = outputs.par_chunks_mut(ROWS_B).enumerate();
        rows.for_each_init(Rows::new, |rows, (chunk, outputs)| {
            for (output, row) in outputs.iter_mut().zip(rows.draw(self.parity, chunk)) {
                *output = row.iter().fold(*output, |sum, at| sum.add(parity[*at as usize]));
            }
        });
    }

    /// The same for two vectors side by side: both are read at the same places, which is what takes the time.
    pub fn encode_pair<T: Element, U: Element>(&self, first: &mut [T], second: &mut [U]) {
        let ((first, parity_first), (second, parity_second)) = (self.split(first), self.split(second));
        rayon::join(|| convolve_twice(parity_first), || convolve_twice(parity_second));
        let pairs = parity_first.par_iter().zip(&*parity_second).with_min_len(ROWS_A);
        let parity: Vec<(T, U)> = pairs.map(|(first, second)| (*first, *second)).collect();
        let outputs = first.par_chunks_mut(ROWS_B).zip(second.par_chunks_mut(ROWS_B)).enumerate();
        outputs.for_each_init(Rows::new, |rows, (chunk, (first, second))| {
            for ((first, second), row) in first.iter_mut().zip(second).zip(rows.draw(self.parity, chunk)) {
                (*first, *second) = row.iter().fold((*first, *second), |sum, at| {
                    let (first, second) = parity[*at as usize];
                    (sum.0.add(first), sum.1.add(second))
                });
            }
        });
    }

    fn split<'a, T>(&self, noise: &'a mut [T]) -> (&'a mut [T], &'a mut [T]) {
        assert_eq!(noise.len(), self.outputs + self.parity, "the noise of this code");
        noise.split_at_mut(self.outputs)
    }
}

/// Some rows of B: where their ones are.
struct Rows {
    blocks: Vec<u128>,
    positions: Vec<[u32; WEIGHT]>,
}

impl Rows {
    fn new() -> Self {
        Self { blocks: vec![0; ROWS_B * BLOCKS_B], positions: vec![[0; WEIGHT]; ROWS_B] }
    }

    /// Draws rows of the given chunk for a vector of `length` elements. A random word times the size of a range, shifted, is
    /// a position in it, with a bias of at most `length / 2^32`.
    fn draw(&mut self, length: usize, chunk: usize) -> &[[u32; WEIGHT]] {
        prg(SEEDS[2], (chunk * self.blocks.len()) as u64, &mut self.blocks);
        let ranges: [(u64, u64); WEIGHT] = std::array::from_fn(|one| {
            let end = |region: usize| (length * region / REGIONS) as u64;
            if one < REGIONS { (end(one), end(one + 1) - end(one)) } else { (0, length as u64) }
        });
        for (positions, blocks) in self.positions.iter_mut().zip(self.blocks.chunks_exact(BLOCKS_B)) {
            let words = blocks.iter().flat_map(|block| words(*block));
            for ((position, word), (start, size)) in positions.iter_mut().zip(words).zip(ranges) {
                *position = (start + (u64::from(word) * size >> 32)) as u32;
            }
        }
        &self.positions
    }
}

/// A_2 A_1, in place.
fn convolve_twice<T: Element>(rows: &mut [T]) {
    for seed in &SEEDS[..2] {
        let mut blocks = [0; ROWS_A / 4];
        let mut taps = [0; ROWS_A];
        for first in (0..rows.len()).step_by(ROWS_A) {
            let count = ROWS_A.min(rows.len() - first);
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
