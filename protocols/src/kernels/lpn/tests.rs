use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;

fn random(count: usize, seed: u8) -> Vec<u128> {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    (0..count).map(|_| u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())).collect()
}

const SIZES: [(usize, usize); 7] = [(26, 52), (31, 62), (33, 70), (100, 200), (256, 515), (1000, 2001), (6789, 13_600)];

#[test]
fn the_weight_takes_128_bits_from_the_distance() {
    let least = (-128.0 / (1.0 - DISTANCE).log2()).ceil() as usize;
    assert_eq!((least, least.next_multiple_of(8)), (398, NOISE_WEIGHT));
    let at_the_bound_of_gilbert_and_varshamov = -(NOISE_WEIGHT as f64) * (1.0 - 0.110_f64).log2();
    assert!((67.0..68.0).contains(&at_the_bound_of_gilbert_and_varshamov));
}

/// B row by row and A tap by tap, as the module's doc has them.
fn by_definition(outputs: usize, noise: &[u128]) -> Vec<u128> {
    let (message, parity) = noise.split_at(outputs);
    let mut parity = parity.to_vec();
    let length = parity.len();
    for seed in &SEEDS[..2] {
        let mut blocks = vec![0; length.div_ceil(4)];
        prg(*seed, 0, &mut blocks);
        for row in 0..length {
            let taps = (blocks[row / 4] >> (32 * (row % 4))) as u32;
            let chosen = (0..MEMORY).filter(|tap| taps >> tap & 1 == 1).chain([MEMORY]);
            for tap in chosen {
                parity[(row + 1 + tap) % length] ^= parity[row];
            }
        }
    }
    let mut outputs = message.to_vec();
    for region in 0..WEIGHT {
        let (start, end) = (length * region / WEIGHT, length * (region + 1) / WEIGHT);
        let mut blocks = vec![0; outputs.len().div_ceil(4)];
        prg(SEEDS[2], (region as u64) << 32, &mut blocks);
        for (row, output) in outputs.iter_mut().enumerate() {
            let word = (blocks[row / 4] >> (32 * (row % 4))) as u32;
            *output ^= parity[start + ((word as usize * (end - start)) >> 32)];
        }
    }
    outputs
}

#[test]
fn outputs_are_those_of_the_definition() {
    for (outputs, noise) in SIZES {
        let input = random(noise, 1);
        let mut encoded = input.clone();
        Code::new(outputs, noise).encode(&mut encoded);
        assert!(encoded[..outputs] == by_definition(outputs, &input), "{outputs} of {noise}");
    }
}

#[test]
fn a_pair_is_encoded_as_each_alone_and_halves_as_wholes() {
    for (outputs, noise) in SIZES {
        let code = Code::new(outputs, noise);
        let (mut first, mut second) = (random(noise, 2), random(noise, 3));
        let mut alone = [first.clone(), second.clone()];
        let mut halves: Vec<u64> = first.iter().map(|element| *element as u64).collect();
        let mut beside = second.clone();
        alone.iter_mut().for_each(|vector| code.encode(vector));
        code.encode_pair(&mut first, &mut second);
        code.encode_pair(&mut halves, &mut beside);
        assert!(first[..outputs] == alone[0][..outputs] && second[..outputs] == alone[1][..outputs]);
        assert!(beside[..outputs] == alone[1][..outputs]);
        assert!(halves[..outputs].iter().zip(&alone[0]).all(|(half, whole)| *half == *whole as u64));
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_vector_engine_convolves_as_the_portable_one() {
    let Some(engine) = avx512::Avx512::detect() else { return };
    for length in (26..90).chain([1000, 1023]) {
        let taps: Vec<u32> = random(length, 4).into_iter().map(|word| word as u32).collect();
        let (mut ours, mut theirs) = (random(length, 5), random(length, 5));
        let done = engine.convolve_u128(&mut ours, 0, &taps);
        assert!(done % 4 == 0 && done + TAPS <= length + 3 && done + TAPS + 8 > length, "{done} of {length}");
        portable::convolve(&mut theirs, 0, &taps[..done]);
        assert!(ours == theirs, "{length}");

        let halves = |wholes: &[u128]| wholes.iter().map(|whole| *whole as u64).collect::<Vec<u64>>();
        let (mut ours, mut theirs) = (halves(&theirs), halves(&theirs));
        let done = engine.convolve_u64(&mut ours, 0, &taps);
        assert!(done % 8 == 0 && done + TAPS <= length + 7 && done + TAPS + 16 > length, "{done} of {length}");
        portable::convolve(&mut theirs, 0, &taps[..done]);
        assert!(ours == theirs, "{length}");
    }
}

/// The code has full rank by its systematic part; here, in small, that its other part has nearly full rank too.
#[test]
fn the_parity_part_alone_has_nearly_full_rank_in_small() {
    let (outputs, noise) = (120, 240);
    let code = Code::new(outputs, noise);
    // Bit i of an element is the coefficient of noise element outputs + i: the matrix itself comes out.
    let mut matrix: Vec<u128> = (0..noise).map(|at| if at < outputs { 0 } else { 1 << (at - outputs) }).collect();
    code.encode(&mut matrix);
    let mut rank = 0;
    let mut rows = matrix[..outputs].to_vec();
    for bit in 0..120 {
        let Some(pivot) = (rank..outputs).find(|row| rows[*row] >> bit & 1 == 1) else { continue };
        rows.swap(rank, pivot);
        for row in rank + 1..outputs {
            if rows[row] >> bit & 1 == 1 {
                rows[row] ^= rows[rank];
            }
        }
        rank += 1;
    }
    // Every row of B has one one in each region, which takes WEIGHT - 1 dimensions; a random matrix misses more than three
    // others with probability 2^-16.
    assert!(rank >= outputs - (WEIGHT - 1) - 3, "{rank} of {outputs}");
    // And it is dense: about half of its entries are ones.
    let ones: u32 = matrix[..outputs].iter().map(|row| row.count_ones()).sum();
    assert!((6700..7700).contains(&ones), "{ones} ones of 14400");
}
