//! Numbers bit by bit, in planes: plane i has bit i of all numbers.

use super::Ring;
use crate::bits::{BLOCK_BITS, Bits};
use crate::kernels::transpose::transpose_tiles;

/// The planes of numbers, as many as an element has bits.
pub fn planes<R: Ring>(values: &[R]) -> Vec<Bits> {
    let (bits, blocks) = (R::BITS as usize, values.len().div_ceil(BLOCK_BITS));
    let mut planes = vec![vec![0u128; blocks]; bits];
    for (first, tile) in tiles(values).enumerate() {
        for (column, block) in tile.iter().enumerate() {
            let at = first * (BLOCK_BITS / bits) + column / bits;
            if at < blocks {
                planes[column % bits][at] = *block;
            }
        }
    }
    planes.into_iter().map(|plane| Bits::from_blocks(plane, values.len())).collect()
}

/// The numbers of planes, the first of which has the lowest bits; higher bits are zero. Panics where there are more planes
/// than an element has bits, or of other lengths than `len`.
pub fn from_planes<R: Ring>(planes: &[&Bits], len: usize) -> Vec<R> {
    let bits = R::BITS as usize;
    assert!(planes.len() <= bits && planes.iter().all(|plane| plane.len() == len), "planes of as many bits");
    let (blocks, per_tile) = (len.div_ceil(BLOCK_BITS), BLOCK_BITS / bits);
    let mut values = vec![R::ZERO; len];
    for first in (0..blocks).step_by(per_tile) {
        let mut tile = [0u128; BLOCK_BITS];
        for (part, columns) in tile.chunks_mut(bits).enumerate().take(blocks - first) {
            columns.iter_mut().zip(planes).for_each(|(block, plane)| *block = plane.blocks()[first + part]);
        }
        transpose_tiles(&mut tile);
        let parts = values[first * BLOCK_BITS..].chunks_mut(BLOCK_BITS).take(per_tile);
        for (part, values) in parts.enumerate() {
            let value = |row: &u128| R::from_low(row >> (part * bits) & (u128::MAX >> (BLOCK_BITS - bits)));
            values.iter_mut().zip(&tile).for_each(|(out, row)| *out = value(row));
        }
    }
    values
}

/// Squares of bits, transposed: the planes of 128 numbers, or of 256 of half the bits.
fn tiles<R: Ring>(values: &[R]) -> impl Iterator<Item = [u128; BLOCK_BITS]> {
    let bits = R::BITS as usize;
    values.chunks(BLOCK_BITS * (BLOCK_BITS / bits)).map(move |values| {
        let mut tile = [0u128; BLOCK_BITS];
        for (part, values) in values.chunks(BLOCK_BITS).enumerate() {
            tile.iter_mut().zip(values).for_each(|(row, value)| *row |= value.low() << (part * bits));
        }
        transpose_tiles(&mut tile);
        tile
    })
}
