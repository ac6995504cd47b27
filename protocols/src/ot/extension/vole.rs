//! Columns from leaves: the expansion that both ends do for each batch, and the only part of it that takes time.

use rayon::prelude::*;
use zeroize::Zeroizing;

use super::{FIELD_BITS, LEAVES, TREES};
use crate::kernels::aes::Aes128;
use crate::kernels::transpose::COLUMNS;

/// Blocks of all leaves of a tree worked on at once: 16 KiB, which stay in the first cache.
const CHUNK: usize = 64;

/// The generators of all leaves of all trees.
pub(super) struct Leaves(Vec<[Aes128; LEAVES]>);

impl Leaves {
    pub(super) fn new(trees: &[Zeroizing<[u128; LEAVES]>]) -> Self {
        Self(trees.iter().map(|leaves| std::array::from_fn(|leaf| Aes128::new(leaves[leaf]))).collect())
    }

    /// Blocks `first..first + blocks` of every column: `(u, v)` with u_j the sum of all leaves of tree j, and v_j, in four
    /// columns, the sum of y times leaf y. Both have whole columns one after another.
    pub(super) fn columns(&self, first: u64, blocks: usize) -> (Zeroizing<Vec<u128>>, Zeroizing<Vec<u128>>) {
        self.expand::<0>(first, blocks)
    }

    /// As [`Leaves::columns`], where the leaf at 0 is not known and counts as zero: v alone.
    pub(super) fn columns_but_first(&self, first: u64, blocks: usize) -> Zeroizing<Vec<u128>> {
        self.expand::<1>(first, blocks).1
    }

    fn expand<const KNOWN: usize>(&self, first: u64, blocks: usize) -> (Zeroizing<Vec<u128>>, Zeroizing<Vec<u128>>) {
        let mut u = Zeroizing::new(vec![0; TREES * blocks]);
        let mut v = Zeroizing::new(vec![0; COLUMNS * blocks]);
        let columns = u.par_chunks_mut(blocks).zip(v.par_chunks_mut(FIELD_BITS * blocks));
        self.0.par_iter().zip(columns).for_each(|(leaves, (u, v))| {
            let mut values = Zeroizing::new([[0; CHUNK]; LEAVES]);
            for start in (0..blocks).step_by(CHUNK) {
                let width = CHUNK.min(blocks - start);
                for (aes, values) in leaves.iter().zip(values.iter_mut()).skip(KNOWN) {
                    let counters = u128::from(first) + start as u128..;
                    values[..width].iter_mut().zip(counters).for_each(|(value, counter)| *value = counter);
                    aes.encrypt(&mut values[..width]);
                }
                values[..KNOWN].fill([0; CHUNK]);
                fold(&mut values, |bit, place, sum| v[bit * blocks + start + place] = sum, width);
                u[start..start + width].copy_from_slice(&values[0][..width]);
            }
        });
        (u, v)
    }
}

/// Sums of leaves: into leaf 0 the sum of all, and for each bit, of those whose number has it. Halving adds the upper half
/// of what is left to the lower one, after its sum has been taken.
fn fold(values: &mut [[u128; CHUNK]; LEAVES], mut sum_is: impl FnMut(usize, usize, u128), width: usize) {
    for bit in (0..FIELD_BITS).rev() {
        let (low, high) = values.split_at_mut(1 << bit);
        let mut sums = [0; CHUNK];
        for (low, high) in low.iter_mut().zip(high) {
            for ((low, high), sum) in low.iter_mut().zip(high.iter()).zip(&mut sums) {
                *low ^= high;
                *sum ^= high;
            }
        }
        sums[..width].iter().enumerate().for_each(|(place, sum)| sum_is(bit, place, *sum));
    }
}
