//! The local computations of the extension: pure, and the only places that see Δ, choices and rows.

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{RowHash, challenge, update};
use super::msg::{Batch, Trees};
use super::tree::{Prover, grow, open};
use super::vole::Leaves;
use super::{FIELD_BITS, TREES, blocks};
use crate::bits::{BLOCK_BITS, random_blocks};
use crate::error::Fault;
use crate::kernels::gf128::inner_product;
use crate::kernels::mask::mask_block;
use crate::kernels::transpose::{COLUMNS, transpose};

/// What the sender keeps.
pub(super) struct SenderCore {
    delta: Zeroizing<u128>,
    leaves: Leaves,
    common: Common,
}

/// What the receiver keeps.
pub(super) struct ReceiverCore {
    leaves: Leaves,
    common: Common,
}

/// What both derive from the run and from the message of the trees.
struct Common {
    transcript: Sha256,
    rows: RowHash,
}

impl SenderCore {
    /// Opens the trees with the keys of the base transfers, whose choices were the complement of Δ.
    ///
    /// # Errors
    /// [`Fault::Check`] where a tree is not grown well.
    pub(super) fn new(delta: u128, keys: &[u128], trees: &Trees, binding: &[u8; 32]) -> Result<Self, Fault> {
        let prover = Prover::new(binding);
        let sum = |index: usize| {
            let [left, right] = trees.sums[index];
            left ^ (left ^ right) & mask_block((!delta >> index) as u8) ^ keys[index]
        };
        let tree = |tree: usize| {
            let sums = Zeroizing::new(std::array::from_fn(|level| sum(tree * FIELD_BITS + level)));
            open(delta >> (tree * FIELD_BITS), &sums, &trees.proofs[tree], tree, &prover)
        };
        let leaves = (0..TREES).map(tree).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { delta: Zeroizing::new(delta), leaves: Leaves::new(&leaves), common: Common::new(binding, trees) })
    }

    pub(super) fn delta(&self) -> u128 {
        *self.delta
    }

    /// q of each row of a batch that starts at block `first`.
    ///
    /// # Errors
    /// [`Fault::Check`] where the batch does not pass.
    pub(super) fn accept(&self, first: u64, batch: &Batch, rows: usize) -> Result<Zeroizing<Vec<u128>>, Fault> {
        let blocks = blocks(rows);
        let mut q = self.leaves.columns_but_first(first, blocks);
        let mask = |column: usize| mask_block((*self.delta >> column) as u8);
        for (column, q) in q.chunks_exact_mut(blocks).enumerate() {
            let tree = column / FIELD_BITS;
            let correction = &batch.corrections[tree * blocks..(tree + 1) * blocks];
            let mask = mask(column);
            q.iter_mut().zip(correction).for_each(|(q, c)| *q ^= c & mask);
        }
        let chi = challenge(&self.common.transcript, first, blocks, &batch.corrections);
        let differ = q
            .chunks_exact(blocks)
            .zip(&batch.columns)
            .enumerate()
            .fold(0, |all, (column, (q, v))| all | inner_product(q, &chi) ^ v ^ batch.choices & mask(column));
        let good: bool = differ.to_le_bytes().ct_eq(&[0; 16]).into();
        if good { Ok(to_rows(&q, rows)) } else { Err(Fault::Check { check: "transfers" }) }
    }

    /// Both blocks of each row, the first of which is row `first` of the run.
    pub(super) fn hash_rows(&self, first: u64, q: &[u128]) -> Zeroizing<Vec<[u128; 2]>> {
        let (mut zero, mut one) = (Zeroizing::new(q.to_vec()), Zeroizing::new(q.to_vec()));
        self.common.rows.hash(first, 0, &mut zero);
        self.common.rows.hash(first, *self.delta, &mut one);
        Zeroizing::new(zero.iter().zip(one.iter()).map(|(zero, one)| [*zero, *one]).collect())
    }
}

impl ReceiverCore {
    /// Grows the trees, and hides their sums under the keys of the base transfers.
    pub(super) fn new(roots: &[u128], keys: &[[u128; 2]], binding: &[u8; 32]) -> (Self, Trees) {
        let prover = Prover::new(binding);
        let grown: Vec<_> = roots.iter().enumerate().map(|(tree, root)| grow(*root, tree, &prover)).collect();
        let sums = grown.iter().flat_map(|tree| tree.sums.iter());
        let trees = Trees {
            sums: sums.zip(keys).map(|(sum, key)| [sum[0] ^ key[0], sum[1] ^ key[1]]).collect(),
            proofs: grown.iter().map(|tree| tree.proof.clone()).collect(),
        };
        let leaves: Vec<_> = grown.into_iter().map(|tree| tree.leaves).collect();
        let core = Self { leaves: Leaves::new(&leaves), common: Common::new(binding, &trees) };
        (core, trees)
    }

    /// The message of a batch that starts at block `first`, and t of each of its rows.
    pub(super) fn prepare(
        &self,
        first: u64,
        choices: &[u128],
        rows: usize,
        rng: &mut impl CryptoRng,
    ) -> (Batch, Zeroizing<Vec<u128>>) {
        let blocks = blocks(rows);
        // Choices of transfers that nobody uses fill the last block and one more, which hides the check.
        let unused = Zeroizing::new(random_blocks(2, rng));
        let mut choices = Zeroizing::new([choices, &unused[1..]].concat());
        if !rows.is_multiple_of(BLOCK_BITS) {
            choices[blocks - 2] |= unused[0] << (rows % BLOCK_BITS);
        }
        let (u, v) = self.leaves.columns(first, blocks);
        let mut corrections = u.to_vec();
        for correction in corrections.chunks_exact_mut(blocks) {
            correction.iter_mut().zip(choices.iter()).for_each(|(c, x)| *c ^= x);
        }
        let chi = challenge(&self.common.transcript, first, blocks, &corrections);
        let columns = v.chunks_exact(blocks).map(|v| inner_product(v, &chi)).collect();
        let batch = Batch { corrections, choices: inner_product(&choices, &chi), columns };
        (batch, to_rows(&v, rows))
    }

    /// The block of the choice of each row, the first of which is row `first` of the run.
    pub(super) fn hash_rows(&self, first: u64, mut t: Zeroizing<Vec<u128>>) -> Zeroizing<Vec<u128>> {
        self.common.rows.hash(first, 0, &mut t);
        t
    }
}

impl Common {
    fn new(binding: &[u8; 32], trees: &Trees) -> Self {
        let mut transcript = Sha256::new_with_prefix(binding);
        update(&mut transcript, trees.sums.as_flattened());
        trees.proofs.iter().for_each(|proof| transcript.update(proof.digest));
        let digest: [u8; 32] = transcript.clone().chain_update(b"rows").finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self { transcript, rows: RowHash::new(u128::from_le_bytes(key)) }
    }
}

/// The first rows of whole columns.
fn to_rows(columns: &[u128], rows: usize) -> Zeroizing<Vec<u128>> {
    debug_assert_eq!(columns.len() / COLUMNS, blocks(rows));
    let mut all = Zeroizing::new(transpose(columns));
    all.truncate(rows);
    all
}
