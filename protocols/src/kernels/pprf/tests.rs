use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::kernels::aes::Aes128;

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn block(rng: &mut ChaCha20Rng) -> u128 {
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}

/// The definition, one leaf at a time.
fn leaf(roots: [u128; 2], depth: usize, point: usize) -> u128 {
    let bit = |level: usize| point >> (depth - level) & 1;
    let mut node = [roots[bit(1)]];
    for level in 2..=depth {
        Aes128::new(KEYS[bit(level)]).mmo(&mut node);
    }
    node[0]
}

#[test]
fn the_receiver_gets_every_leaf_but_one_and_there_the_programmed_value() {
    let mut rng = rng(1);
    for (trees, leaves) in [(0, 2), (1, 2), (3, 3), (5, 4), (8, 21), (9, 64), (2, 65), (17, 100), (3, 1023)] {
        let forest = Forest::new(trees, leaves);
        let depth = forest.depth();
        let keys: Vec<[u128; 2]> = (0..trees * depth).map(|_| [block(&mut rng), block(&mut rng)]).collect();
        let values: Vec<u128> = (0..trees).map(|_| block(&mut rng)).collect();
        let mut all = vec![0; forest.len()];
        let mut sums = grow(&forest, &keys, &mut all);
        for (total, value) in sums.totals.iter_mut().zip(&values) {
            *total ^= value;
        }
        for tree in 0..trees {
            for point in 0..leaves {
                assert_eq!(all[tree * leaves + point], leaf(keys[tree * depth], depth, point));
            }
        }
        // Every point of a tree with few leaves, its ends and some in between of another.
        for turn in 0..leaves.min(70) {
            let points: Vec<u32> = (0..trees).map(|tree| ((turn * 15 + tree) % leaves) as u32).collect();
            let chosen: Vec<u128> =
                keys.iter().zip(forest.choices(&points)).map(|(pair, right)| pair[usize::from(right)]).collect();
            let mut expected = all.clone();
            for ((point, value), leaves) in points.iter().zip(&values).zip(expected.chunks_exact_mut(leaves)) {
                leaves[*point as usize] ^= value;
            }
            let mut grown = vec![0; forest.len()];
            grow_punctured(&forest, &points, &chosen, &sums, &mut grown);
            assert!(grown == expected, "{trees} trees of {leaves}");
        }
    }
}

#[test]
fn a_wrong_sum_shows_beside_the_point_and_only_in_its_tree() {
    let mut rng = rng(2);
    let forest = Forest::new(3, 13);
    let keys: Vec<[u128; 2]> = (0..3 * forest.depth()).map(|_| [block(&mut rng), block(&mut rng)]).collect();
    let mut all = vec![0; forest.len()];
    let mut sums = grow(&forest, &keys, &mut all);
    let points = [2, 7, 12];
    let choices = forest.choices(&points);
    let chosen: Vec<u128> = keys.iter().zip(&choices).map(|(pair, right)| pair[usize::from(*right)]).collect();
    let side = usize::from(choices[forest.depth() + 1]);
    sums.levels[forest.depth() - 1][side] ^= 1;
    let mut grown = vec![0; forest.len()];
    grow_punctured(&forest, &points, &chosen, &sums, &mut grown);
    let differs: Vec<usize> = (0..all.len()).filter(|at| grown[*at] != all[*at]).collect();
    assert!(differs.len() > 1 && differs.iter().all(|at| (13..26).contains(at)), "{differs:?}");
}
