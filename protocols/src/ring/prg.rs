//! A stream of uniform elements from a seed: AES-128 in counter mode. Two parties with one seed who ask alike get alike.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Ring;
use crate::bits::{BLOCK_BITS, Bits};
use crate::kernels::aes::prg;

/// Blocks made at a time: 16 KiB, in the first cache.
const STRIP: usize = 1 << 10;

/// A seed, and how far its stream is used up. Debug prints nothing of it; drop erases.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Prg {
    seed: u128,
    next: u64,
}

impl Prg {
    /// The stream of `seed`, from its start. What it gives is indistinguishable from random for up to 2^48 blocks.
    pub fn new(seed: u128) -> Self {
        Self { seed, next: 0 }
    }

    /// The next `count` elements. Each call starts at a fresh block.
    pub fn elements<R: Ring>(&mut self, count: usize) -> Vec<R> {
        let blocks = (count * R::BYTES).div_ceil(16);
        let mut out = Vec::with_capacity(blocks * 16 / R::BYTES);
        let mut strip = [0u128; STRIP];
        let mut left = blocks;
        while left > 0 {
            let strip = &mut strip[..left.min(STRIP)];
            prg(self.seed, self.next, strip);
            R::from_blocks(strip, &mut out);
            self.next += strip.len() as u64;
            left -= strip.len();
        }
        strip.zeroize();
        out.truncate(count);
        out
    }

    /// The next `count` bits.
    pub fn bits(&mut self, count: usize) -> Bits {
        Bits::from_blocks(self.blocks(count.div_ceil(BLOCK_BITS)), count)
    }

    /// The next `count` blocks.
    pub fn blocks(&mut self, count: usize) -> Vec<u128> {
        let mut out = vec![0; count];
        prg(self.seed, self.next, &mut out);
        self.next += count as u64;
        out
    }

    /// A generator of its own, from the next block.
    pub fn fork(&mut self) -> Self {
        Self::new(self.blocks(1)[0])
    }
}

impl std::fmt::Debug for Prg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prg")
    }
}
