//! Whether private values are equal, as shared bits.
//!
//! Two values of w < 64 bits are equal where the number of bits at which they differ is zero. That number is a sum of
//! products of one party's bits with the other's (w transfers of 6 bits), shared modulo 64. Two such shares sum to zero
//! where six bits are equal, which five products of shared bits tell. Couteau 2018 (ACNS, "New protocols for secure
//! equality test and comparison", eprint 2016/544, section 3): half the transfers of comparing bit by bit.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::and::{and, and_cost, triples_cost};
use super::product::{self, Shape, Use};
use super::{End, Transfers};
use crate::bits::{BLOCK_BITS, Bits};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::kernels::mask::mask;
use crate::party::Role;
use crate::session::Session;

/// The widest values, in bits: so that as many differences are less than 64.
pub const WIDTH_MAX: u32 = 63;

/// Bits of a number of differences.
const DISTANCE_BITS: usize = 6;

/// Values of one batch: their bits fill whole blocks, and a message.
const VALUES: usize = 512;

impl Transfers {
    /// Shares of whether each of this party's values equals the peer's at its place. Values have `width` bits, from 1 to
    /// [`WIDTH_MAX`]; higher ones are ignored.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn equal(&mut self, s: &Session, values: Zeroizing<Vec<u64>>, width: u32) -> Result<Bits> {
        assert!((1..=WIDTH_MAX).contains(&width), "a width that is counted in six bits");
        let count = values.len();
        let peer = self.peer.clone();
        let distances = self.distances(&s.step("distances"), values, width).await?;
        let mut triples = self.triples(&s.step("triples"), 5 * padded(count)).await?;

        // -d of one party and d of the other are equal in all six bits.
        let role = self.role();
        let agree = s.compute(move || agreements(&distances, role)).await?;
        let blocks = padded(count) / BLOCK_BITS;
        let (low, high) = (part(&agree, 0, 3 * blocks), part(&agree, 3 * blocks, 3 * blocks));
        let three = and(&s.step("first"), &peer, &low, &high, triples.take(3 * blocks)).await?;
        let (first, second) = (part(&three, 0, blocks), part(&three, blocks, blocks));
        let two = and(&s.step("second"), &peer, &first, &second, triples.take(blocks)).await?;
        let all = and(&s.step("third"), &peer, &two, &part(&three, 2 * blocks, blocks), triples.take(blocks)).await?;
        Ok(Bits::from_blocks(all.blocks()[..count.div_ceil(BLOCK_BITS)].to_vec(), count))
    }

    /// Shares, modulo 64, of the number of bits in which two values differ: Σ y + x·(1 - 2y), where x is a bit of the
    /// receiver of transfers, and y of their sender.
    async fn distances(&mut self, s: &Session, values: Zeroizing<Vec<u64>>, width: u32) -> Result<Zeroizing<Vec<u8>>> {
        let shape = shape(values.len(), width);
        let w = width as usize;
        let sum = move |shares: &[u64]| shares.iter().fold(0u64, |sum, share| sum.wrapping_add(*share)) as u8;
        let batches = match &mut self.end {
            End::Sender(sender) => {
                let values = Arc::new(values);
                let mine = values.clone();
                let shares: Use<u64, Vec<u8>> = Arc::new(move |first, shares| {
                    let distance = |(n, shares): (usize, &[u64])| {
                        let ones = (mine[first / w + n] & lowest(width)).count_ones() as u8;
                        sum(shares).wrapping_add(ones) % 64
                    };
                    shares.chunks_exact(w).enumerate().map(distance).collect()
                });
                let sign = move |n: usize| 1 | mask((values[n / w] >> (n % w)) as u8); // 1 or -1
                product::send(sender, s, &self.peer, shape, Arc::new(sign), shares).await?
            }
            End::Receiver(receiver) => {
                let x = Arc::new(s.compute(move || concatenated(&values, width)).await?);
                let shares: Use<u64, Vec<u8>> =
                    Arc::new(move |_, shares| shares.chunks_exact(w).map(|shares| sum(shares) % 64).collect());
                product::receive(receiver, s, &self.peer, shape, x, shares).await?
            }
        };
        Ok(Zeroizing::new(batches.concat()))
    }
}

/// What [`Transfers::equal`] of `count` values costs.
pub fn equal_cost(count: usize, width: u32, role: Role) -> Cost {
    let n = padded(count);
    let parts = [
        product::cost(shape(count, width), role),
        triples_cost(5 * n, role),
        and_cost(3 * n),
        and_cost(n),
        and_cost(n),
    ];
    parts.into_iter().fold(Cost::default(), Cost::then)
}

fn shape(values: usize, width: u32) -> Shape {
    Shape {
        count: values * width as usize,
        batch: VALUES * width as usize,
        width: DISTANCE_BITS as u32,
        falling: false,
    }
}

/// Whole blocks.
fn padded(count: usize) -> usize {
    count.next_multiple_of(BLOCK_BITS)
}

fn lowest(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

/// The lowest `width` bits of each value, one value after the other.
fn concatenated(values: &[u64], width: u32) -> Bits {
    let len = values.len() * width as usize;
    let mut blocks = vec![0u128; len.div_ceil(BLOCK_BITS)];
    for (n, value) in values.iter().enumerate() {
        let start = n * width as usize;
        let value = u128::from(value & lowest(width));
        blocks[start / BLOCK_BITS] |= value << (start % BLOCK_BITS);
        let kept = BLOCK_BITS - start % BLOCK_BITS;
        if kept < width as usize {
            blocks[start / BLOCK_BITS + 1] |= value >> kept;
        }
    }
    Bits::from_blocks(blocks, len)
}

/// For each of the six bits of a distance, whether both parties have the same there, in shares: six vectors of whole blocks.
fn agreements(distances: &[u8], role: Role) -> Bits {
    let own = |distance: &u8| match role {
        Role::Receiver => *distance,
        Role::Sender => !distance.wrapping_neg(),
    };
    let mut blocks = Vec::with_capacity(DISTANCE_BITS * distances.len().div_ceil(BLOCK_BITS));
    for bit in 0..DISTANCE_BITS {
        let block = |distances: &[u8]| {
            let place = |(n, distance): (usize, &u8)| u128::from(own(distance) >> bit & 1) << n;
            distances.iter().enumerate().map(place).fold(0, |block, bit| block | bit)
        };
        blocks.extend(distances.chunks(BLOCK_BITS).map(block));
    }
    let len = blocks.len() * BLOCK_BITS;
    Bits::from_blocks(blocks, len)
}

/// Some blocks of a vector.
fn part(bits: &Bits, first: usize, blocks: usize) -> Bits {
    Bits::from_blocks(bits.blocks()[first..first + blocks].to_vec(), blocks * BLOCK_BITS)
}
