//! Arithmetic modulo 2^64 and 2^128, in which numbers are shared: whole vectors, wrapping on purpose.
//!
//! Numbers with a sign are in two's complement, and fractions are whole numbers of a power of two ([`Fixed`]). That nothing
//! wraps by accident is for who plans a computation: owners check the range of what they bring, and [`Fixed::product_bits`] says how far
//! products may reach.

mod fixed;
mod matrix;
mod planes;
mod prg;

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use zeroize::Zeroize;

use crate::message::Writer;

pub use fixed::{Fixed, OutOfRange};
pub use matrix::{matmul, transposed};
pub use planes::{from_planes, planes};
pub use prg::Prg;

/// A ring of integers modulo a power of two. Operations wrap, and take the same time whatever the values.
pub trait Ring: Copy + Debug + Default + Eq + Send + Sync + Zeroize + 'static {
    /// Bits of an element.
    const BITS: u32;
    /// Bytes of an element.
    const BYTES: usize = Self::BITS as usize / 8;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// The sum.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// The difference.
    #[must_use]
    fn minus(self, other: Self) -> Self;
    /// The product.
    #[must_use]
    fn times(self, other: Self) -> Self;
    /// Shifted left, zeros from the right; `by` is below [`Ring::BITS`].
    #[must_use]
    fn shl(self, by: u32) -> Self;
    /// Shifted right as a number without sign; `by` is below [`Ring::BITS`].
    #[must_use]
    fn shr(self, by: u32) -> Self;
    /// Shifted right as a number with a sign, towards minus infinity; `by` is below [`Ring::BITS`].
    #[must_use]
    fn sar(self, by: u32) -> Self;

    /// A number with a sign, modulo the ring.
    fn from_i128(value: i128) -> Self;
    /// The element as a number with a sign.
    fn to_i128(self) -> i128;
    /// The lowest 128 bits.
    fn low(self) -> u128;
    /// A block's lowest bits.
    fn from_low(block: u128) -> Self;

    /// The elements that the bytes of these blocks are, in order.
    fn from_blocks(blocks: &[u128], out: &mut Vec<Self>);
    /// Appends elements to a frame, little endian.
    fn write(values: &[Self], w: &mut Writer);
    /// The bytes of elements, little endian.
    fn to_bytes(values: &[Self]) -> Vec<u8>;
    /// The elements that these bytes are, as many as fit.
    fn read(bytes: &[u8]) -> Vec<Self>;
}

/// Elements that are converted at a time, on the stack: 2 or 4 KiB.
const STRIP: usize = 256;

macro_rules! ring {
    ($unsigned:ty, $signed:ty) => {
        impl Ring for $unsigned {
            const BITS: u32 = <$unsigned>::BITS;
            const ZERO: Self = 0;
            const ONE: Self = 1;

            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn shl(self, by: u32) -> Self {
                self << by
            }
            fn shr(self, by: u32) -> Self {
                self >> by
            }
            fn sar(self, by: u32) -> Self {
                ((self as $signed) >> by) as Self
            }
            fn from_i128(value: i128) -> Self {
                value as Self
            }
            fn to_i128(self) -> i128 {
                self as $signed as i128
            }
            fn low(self) -> u128 {
                self as u128
            }
            fn from_low(block: u128) -> Self {
                block as Self
            }
            fn from_blocks(blocks: &[u128], out: &mut Vec<Self>) {
                const PER_BLOCK: usize = 16 / size_of::<$unsigned>();
                for blocks in blocks.chunks(STRIP) {
                    let mut strip = [[0; PER_BLOCK]; STRIP];
                    for (elements, block) in strip.iter_mut().zip(blocks) {
                        *elements = std::array::from_fn(|n| (block >> (n as u32 * Self::BITS % 128)) as Self);
                    }
                    out.extend_from_slice(strip[..blocks.len()].as_flattened());
                }
            }
            fn write(values: &[Self], w: &mut Writer) {
                for values in values.chunks(STRIP) {
                    let mut strip = [[0; size_of::<$unsigned>()]; STRIP];
                    strip.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
                    w.bytes(strip[..values.len()].as_flattened());
                }
            }
            fn to_bytes(values: &[Self]) -> Vec<u8> {
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            }
            fn read(bytes: &[u8]) -> Vec<Self> {
                let (elements, _) = bytes.as_chunks();
                elements.iter().map(|element| Self::from_le_bytes(*element)).collect()
            }
        }
    };
}

ring!(u64, i64);
ring!(u128, i128);
