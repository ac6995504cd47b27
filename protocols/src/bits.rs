//! A secret vector of bits, packed into blocks of 128: choices of transfers, and shares of truth values.

use std::fmt;
use std::ops::BitXorAssign;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::kernels::mask::mask_block;

/// Bits per block.
pub const BLOCK_BITS: usize = 128;

/// Bits in order: bit i is bit `i % 128` of block `i / 128`, and the bits of the last block beyond the length are zero. Debug
/// prints the length; drop erases.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Bits {
    blocks: Vec<u128>,
    len: usize,
}

impl Bits {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self { blocks: vec![0; len.div_ceil(BLOCK_BITS)], len }
    }

    /// `len` uniform bits.
    pub fn random<R: CryptoRng + ?Sized>(len: usize, rng: &mut R) -> Self {
        Self::from_blocks(random_blocks(len.div_ceil(BLOCK_BITS), rng), len)
    }

    /// The first `len` bits of these blocks. Panics where there are not as many blocks as `len` bits need.
    pub fn from_blocks(mut blocks: Vec<u128>, len: usize) -> Self {
        assert_eq!(blocks.len(), len.div_ceil(BLOCK_BITS), "as many blocks as the bits need");
        if let (Some(last), 1..) = (blocks.last_mut(), len % BLOCK_BITS) {
            *last &= (1 << (len % BLOCK_BITS)) - 1;
        }
        Self { blocks, len }
    }

    /// How many bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `index`, as 0 or 1. Panics where `index` is out of range.
    pub fn get(&self, index: usize) -> u8 {
        assert!(index < self.len, "a bit of the vector");
        (self.blocks[index / BLOCK_BITS] >> (index % BLOCK_BITS)) as u8 & 1
    }

    /// The bits in order, each 0 or 1.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u8> {
        (0..self.len).map(|index| self.get(index))
    }

    /// The blocks.
    pub fn blocks(&self) -> &[u128] {
        &self.blocks
    }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut all = Self::default();
        for bit in bits {
            if all.len % BLOCK_BITS == 0 {
                all.blocks.push(0);
            }
            if let Some(last) = all.blocks.last_mut() {
                *last |= mask_block(u8::from(bit)) & 1 << (all.len % BLOCK_BITS);
            }
            all.len += 1;
        }
        all
    }
}

impl BitXorAssign<&Self> for Bits {
    fn bitxor_assign(&mut self, other: &Self) {
        assert_eq!(self.len, other.len, "vectors of one length");
        self.blocks.iter_mut().zip(&other.blocks).for_each(|(a, b)| *a ^= b);
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits({})", self.len)
    }
}

/// Uniform blocks.
pub(crate) fn random_blocks<R: CryptoRng + ?Sized>(count: usize, rng: &mut R) -> Vec<u128> {
    let mut bytes = [0; 16];
    let mut block = || {
        rng.fill_bytes(&mut bytes);
        u128::from_le_bytes(bytes)
    };
    let blocks = (0..count).map(|_| block()).collect();
    bytes.zeroize();
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_keep_their_order_and_nothing_beyond_the_end() {
        for len in [0, 1, 127, 128, 129, 300] {
            let bits: Bits = (0..len).map(|n| n % 3 == 0).collect();
            assert_eq!(bits.len(), len);
            assert!(bits.iter().enumerate().all(|(n, bit)| bit == u8::from(n % 3 == 0)));
            let mut ones = Bits::from_blocks(vec![!0; len.div_ceil(128)], len);
            assert_eq!(ones.blocks().iter().map(|block| block.count_ones()).sum::<u32>() as usize, len);
            ones ^= &bits;
            assert!(ones.iter().enumerate().all(|(n, bit)| bit == u8::from(n % 3 != 0)));
        }
    }
}
