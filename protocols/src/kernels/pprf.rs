//! Puncturable pseudorandom functions as forests of binary trees (Goldreich, Goldwasser and Micali 1986): the sender knows
//! every leaf, the receiver every leaf but one of each tree, which one only the receiver knows, and there it gets the leaf
//! plus a value that the sender programmed for that tree.
//!
//! Both halves are pure functions. The distributed form is that of Boyle et al. 2019 (CCS, eprint 2019/1159), with the value
//! of Weng et al. 2021 (IEEE S&P, "Wolverine", eprint 2020/925): per level, the receiver gets by oblivious transfer the sum of
//! all nodes on the side that its path does not take, and once per tree the sum of all leaves. One level is saved: the two
//! nodes below a root are the two keys of the first transfer.
//!
//! A forest is expanded tree by tree with [`Doubling`]: a tree stays in the second cache, and only its first few levels are
//! too narrow to fill the vectors. Time depends on the shape alone: the receiver looks at every node to find the secret one.
//! Inner nodes are erased.

use rayon::prelude::*;
use zeroize::Zeroizing;

use super::aes::Doubling;
use super::mask::{TOGETHER, masks_at};

#[cfg(test)]
mod tests;

/// The keys of left and right children: the first 32 bytes of the fraction of pi, so that nobody chose them.
const KEYS: [u128; 2] = [0x243f6a8885a308d313198a2e03707344, 0xa4093822299f31d0082efa98ec4e6c89];

/// How many trees of how many leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forest {
    trees: usize,
    leaves: usize,
}

impl Forest {
    /// A forest. Panics where a tree has fewer than two leaves: it would have no level, hence nothing to hide a path with.
    pub fn new(trees: usize, leaves: usize) -> Self {
        assert!(leaves >= 2, "a tree has at least two leaves");
        Self { trees, leaves }
    }

    /// How many trees.
    pub fn trees(&self) -> usize {
        self.trees
    }

    /// Leaves of one tree; any number, not only powers of two.
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    /// Leaves of all trees.
    pub fn len(&self) -> usize {
        self.trees * self.leaves
    }

    /// Whether there is no tree.
    pub fn is_empty(&self) -> bool {
        self.trees == 0
    }

    /// Levels below the root, and oblivious transfers per tree.
    pub fn depth(&self) -> usize {
        self.leaves.next_power_of_two().trailing_zeros() as usize
    }

    /// Nodes that have leaves below them, `level` levels below the root.
    fn width(&self, level: usize) -> usize {
        self.leaves.div_ceil(1 << (self.depth() - level))
    }

    /// Of each level of each tree, the first level first, whether the receiver that punctures at `points` wants the right
    /// side: the choices of its transfers. Panics where there is not one point per tree.
    pub fn choices(&self, points: &[u32]) -> Vec<bool> {
        assert_eq!(points.len(), self.trees, "a point per tree");
        let levels = |point: &u32| {
            let point = *point;
            (0..self.depth()).rev().map(move |bit| point >> bit & 1 == 0)
        };
        points.iter().flat_map(levels).collect()
    }
}

/// What the sender hands out, level sums under the keys of the transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Of each tree, of each level from the second on: the sums of left and of right nodes.
    pub levels: Vec<[u128; 2]>,
    /// Of each tree: the sum of its leaves.
    pub totals: Vec<u128>,
}

/// Grows every tree, and writes tree after tree into `leaves`. Of the keys of the transfers, one pair per level of each tree,
/// the first pair are the two nodes below the root; the others hide the sums of their levels. Panics where lengths do not
/// fit the forest.
pub fn grow(forest: &Forest, keys: &[[u128; 2]], leaves: &mut [u128]) -> Sums {
    let depth = forest.depth();
    assert_eq!(keys.len(), forest.trees * depth, "a pair of keys per level");
    assert_eq!(leaves.len(), forest.len(), "room for every leaf");
    let doubling = Doubling::new(KEYS[0], KEYS[1]);
    let mut sums = Sums { levels: vec![[0; 2]; forest.trees * (depth - 1)], totals: vec![0; forest.trees] };
    let levels = per_tree_mut(&mut sums.levels, depth - 1, forest.trees);
    let trees = keys.par_chunks_exact(depth).zip(leaves.par_chunks_exact_mut(forest.leaves)).zip(levels);
    trees.zip(&mut sums.totals).for_each_init(
        || Scratch::new(forest),
        |scratch, (((keys, leaves), levels), total)| {
            scratch.start(forest, keys[0]);
            for (level, sums) in levels.iter_mut().enumerate() {
                let [left, right] = sides(scratch.double(forest, &doubling, level + 2));
                *sums = [left ^ keys[level + 1][0], right ^ keys[level + 1][1]];
            }
            leaves.copy_from_slice(scratch.nodes(forest.leaves));
            let [left, right] = sides(leaves);
            *total = left ^ right;
        },
    );
    sums
}

/// Grows every tree but at the receiver's point, from the keys of the transfers it chose (see [`Forest::choices`]) and the
/// sender's sums, tree after tree into `leaves`. At the point stands the leaf of the sender plus what was added to that
/// tree's total. Panics where lengths do not fit the forest.
pub fn grow_punctured(forest: &Forest, points: &[u32], keys: &[u128], sums: &Sums, leaves: &mut [u128]) {
    let depth = forest.depth();
    assert_eq!(points.len(), forest.trees, "a point per tree");
    assert_eq!(keys.len(), forest.trees * depth, "a key per level");
    assert_eq!(sums.levels.len(), forest.trees * (depth - 1), "two sums per level from the second on");
    assert_eq!(sums.totals.len(), forest.trees, "a total per tree");
    assert_eq!(leaves.len(), forest.len(), "room for every leaf");
    let doubling = Doubling::new(KEYS[0], KEYS[1]);
    let grow = |scratch: &mut Scratch, (tree, leaves): (usize, &mut [u128])| {
        let (point, keys) = (points[tree], &keys[tree * depth..][..depth]);
        let levels = &sums.levels[tree * (depth - 1)..][..depth - 1];
        let known = |level: usize| 1 - (point >> (depth - level) & 1); // the side that is not on the path
        let first = pick(known(1), [keys[0], 0]);
        scratch.start(forest, [first, first ^ keys[0]]);
        for level in 2..=depth {
            let children = scratch.double(forest, &doubling, level);
            let parent = point >> (depth + 1 - level);
            let others = sides_without(children, parent);
            let all = pick(known(level), levels[level - 2]) ^ keys[level - 1];
            put(children, parent << 1 | known(level), all ^ pick(known(level), others));
        }
        leaves.copy_from_slice(scratch.nodes(forest.leaves));
        let [left, right] = sides(leaves);
        put(leaves, point, left ^ right ^ sums.totals[tree]);
    };
    let trees = leaves.par_chunks_exact_mut(forest.leaves).enumerate();
    trees.for_each_init(|| Scratch::new(forest), grow);
}

/// The nodes of two levels of one tree, erased when done.
struct Scratch {
    parents: Zeroizing<Vec<u128>>,
    children: Zeroizing<Vec<u128>>,
}

impl Scratch {
    fn new(forest: &Forest) -> Self {
        let room = || Zeroizing::new(vec![0; 2 << (forest.depth() - 1)]);
        Self { parents: room(), children: room() }
    }

    /// The first level.
    fn start(&mut self, forest: &Forest, nodes: [u128; 2]) {
        self.children[..forest.width(1)].copy_from_slice(&nodes);
    }

    /// The level `level` from the one above it.
    fn double(&mut self, forest: &Forest, doubling: &Doubling, level: usize) -> &mut [u128] {
        std::mem::swap(&mut self.parents, &mut self.children);
        let parents = &self.parents[..forest.width(level - 1)];
        doubling.expand(parents, &mut self.children[..2 * parents.len()]);
        &mut self.children[..forest.width(level)]
    }

    fn nodes(&mut self, count: usize) -> &mut [u128] {
        &mut self.children[..count]
    }
}

/// `sides[side]`, of a secret side.
fn pick(side: u32, sides: [u128; 2]) -> u128 {
    let [left, right, ..] = masks_at(0, side);
    sides[0] & left | sides[1] & right
}

/// The sums of left and of right nodes.
fn sides(nodes: &[u128]) -> [u128; 2] {
    let pairs = nodes.chunks_exact(2);
    let last = pairs.remainder().first().copied().unwrap_or(0);
    let [left, right] = pairs.fold([0, 0], |[left, right], pair| [left ^ pair[0], right ^ pair[1]]);
    [left ^ last, right]
}

/// The same after the children of the secret node `parent` are made zero.
fn sides_without(nodes: &mut [u128], parent: u32) -> [u128; 2] {
    for (chunk, nodes) in nodes.chunks_mut(2 * TOGETHER).enumerate() {
        for (children, hidden) in nodes.chunks_mut(2).zip(masks_at(chunk * TOGETHER, parent)) {
            children.iter_mut().for_each(|child| *child &= !hidden);
        }
    }
    sides(nodes)
}

/// Adds `value` to the node at the secret place `at`.
fn put(nodes: &mut [u128], at: u32, value: u128) {
    for (chunk, nodes) in nodes.chunks_mut(TOGETHER).enumerate() {
        for (node, here) in nodes.iter_mut().zip(masks_at(chunk * TOGETHER, at)) {
            *node ^= value & here;
        }
    }
}

/// The parts of a vector that belong to each tree, also where those are empty.
fn per_tree_mut<T: Send>(parts: &mut [T], each: usize, trees: usize) -> impl IndexedParallelIterator<Item = &mut [T]> {
    let mut rest = parts;
    let mut split = Vec::with_capacity(trees);
    for _ in 0..trees {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(each);
        split.push(part);
        rest = after;
    }
    split.into_par_iter()
}
