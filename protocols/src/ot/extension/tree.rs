//! Trees of Goldreich, Goldwasser and Micali whose owner opens all leaves but one to a peer, which says by its base
//! transfers which one, and checks that the owner grew them well.
//!
//! The node at place y of a level has its children at y and at y + 2^level of the next, so that the first choice is the
//! lowest bit of a leaf. The peer works with places relative to its Δ: there, the leaf it lacks is the one at 0, whatever Δ
//! is, and no index depends on it.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::msg::Proof;
use super::{FIELD_BITS, LEAVES};
use crate::error::Fault;
use crate::kernels::aes::prg;
use crate::kernels::mask::mask_block;

/// Hashes the proof values of all leaves of a tree.
pub(super) struct Prover(Sha256);

impl Prover {
    pub(super) fn new(binding: &[u8; 32]) -> Self {
        Self(Sha256::new_with_prefix(binding))
    }

    fn digest(&self, tree: usize, values: &[[u128; 2]; LEAVES]) -> [u8; 32] {
        let mut hash = self.0.clone().chain_update((tree as u64).to_le_bytes());
        values.iter().flatten().for_each(|block| hash.update(block.to_le_bytes()));
        hash.finalize().into()
    }
}

/// A grown tree: its leaves, for each level the sums of its left and of its right nodes, and its proof.
pub(super) struct Grown {
    pub(super) leaves: Zeroizing<[u128; LEAVES]>,
    pub(super) sums: Zeroizing<[[u128; 2]; FIELD_BITS]>,
    pub(super) proof: Proof,
}

/// Grows a tree from its root.
pub(super) fn grow(root: u128, tree: usize, prover: &Prover) -> Grown {
    let mut nodes = Zeroizing::new([0; LEAVES]);
    nodes[0] = root;
    let mut sums = Zeroizing::new([[0; 2]; FIELD_BITS]);
    for (level, sums) in sums.iter_mut().enumerate() {
        let width = 1 << level;
        for place in 0..width {
            let [left, right] = children(nodes[place]);
            (nodes[place], nodes[place + width]) = (left, right);
            sums[0] ^= left;
            sums[1] ^= right;
        }
    }
    let mut values = Zeroizing::new([[0; 2]; LEAVES]);
    let mut sum = [0; 2];
    for (node, value) in nodes.iter_mut().zip(values.iter_mut()) {
        (*node, *value) = leaf(*node);
        add(&mut sum, value);
    }
    let proof = Proof { sum, digest: prover.digest(tree, &values) };
    Grown { leaves: nodes, sums, proof }
}

/// All leaves but one from the sums that the peer's base transfers gave: at place y the leaf y ^ Δ, and 0 at place 0.
///
/// # Errors
/// [`Fault::Check`] where the tree does not belong to its proof.
pub(super) fn open(
    delta: u128,
    sums: &[u128; FIELD_BITS],
    proof: &Proof,
    tree: usize,
    prover: &Prover,
) -> Result<Zeroizing<[u128; LEAVES]>, Fault> {
    let mask = |level: usize| mask_block((delta >> level) as u8);
    let mut nodes = Zeroizing::new([0; LEAVES]);
    for (level, sum) in sums.iter().enumerate() {
        let (width, mask) = (1 << level, mask(level));
        let mut missing = *sum;
        for place in 1..width {
            let [mut left, mut right] = children(nodes[place]);
            swap(&mut left, &mut right, mask);
            (nodes[place], nodes[place + width]) = (left, right);
            missing ^= right;
        }
        nodes[width] = missing; // the sibling of the one that stays unknown
    }
    let mut values = Zeroizing::new([[0; 2]; LEAVES]);
    values[0] = proof.sum;
    let (unknown, known) = values.split_at_mut(1);
    for (node, value) in nodes[1..].iter_mut().zip(known) {
        (*node, *value) = leaf(*node);
        add(&mut unknown[0], value);
    }
    for level in 0..FIELD_BITS {
        let mask = mask(level);
        for place in (0..LEAVES).filter(|place| place >> level & 1 == 0) {
            let (below, from) = values.split_at_mut(place + (1 << level));
            let [a, b] = [&mut below[place], &mut from[0]];
            a.iter_mut().zip(b).for_each(|(a, b)| swap(a, b, mask));
        }
    }
    let good: bool = prover.digest(tree, &values).ct_eq(&proof.digest).into();
    if good { Ok(nodes) } else { Err(Fault::Check { check: "trees" }) }
}

fn children(node: u128) -> [u128; 2] {
    let mut children = [0; 2];
    prg(node, 0, &mut children);
    children
}

/// A leaf's seed and its proof value.
fn leaf(node: u128) -> (u128, [u128; 2]) {
    let mut all = Zeroizing::new([0; 3]);
    prg(node, 0, all.as_mut_slice());
    (all[0], [all[1], all[2]])
}

/// Changes places under a mask.
fn swap(a: &mut u128, b: &mut u128, mask: u128) {
    let change = (*a ^ *b) & mask;
    *a ^= change;
    *b ^= change;
}

fn add(sum: &mut [u128; 2], value: &[u128; 2]) {
    sum.iter_mut().zip(value).for_each(|(sum, value)| *sum ^= value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(delta: u128, change: impl Fn(&mut Grown)) -> Result<(Grown, Zeroizing<[u128; LEAVES]>), Fault> {
        let prover = Prover::new(&[7; 32]);
        let mut grown = grow(0x5eed, 3, &prover);
        change(&mut grown);
        let sums = std::array::from_fn(|level| grown.sums[level][1 - (delta >> level & 1) as usize]);
        let leaves = open(delta, &sums, &grown.proof, 3, &prover)?;
        Ok((grown, leaves))
    }

    #[test]
    fn all_leaves_but_one_are_opened_at_their_distance() {
        for delta in 0..LEAVES {
            let (grown, leaves) = opened(delta as u128, |_| ()).unwrap();
            assert_eq!(leaves[0], 0);
            assert!((1..LEAVES).all(|place| leaves[place] == grown.leaves[place ^ delta]), "{delta}");
        }
    }

    #[test]
    fn a_tree_that_is_not_grown_well_is_found_where_the_guess_is_wrong() {
        // A wrong sum is seen by who asked for it, and by nobody else: the guess of a bit.
        for delta in 0..LEAVES as u128 {
            for level in 0..FIELD_BITS {
                let outcome = opened(delta, |grown| grown.sums[level][0] ^= 1).map(drop);
                let asked = delta >> level & 1 == 1;
                assert_eq!(outcome, if asked { Err(Fault::Check { check: "trees" }) } else { Ok(()) });
            }
            for change in [|p: &mut Proof| p.sum[0] ^= 2, |p: &mut Proof| p.digest[31] ^= 1] {
                assert!(opened(delta, |grown| change(&mut grown.proof)).is_err());
            }
        }
    }
}
