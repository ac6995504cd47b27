use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::dense::Equation;
use super::shape::DENSE;
use super::*;
use crate::kernels::aes::prg;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn blocks(count: usize, seed: u64) -> Vec<u128> {
    let mut blocks = vec![0; count];
    prg(u128::from(seed), 0, &mut blocks);
    blocks
}

fn encoded<V: Value>(okvs: &Okvs, keys: &[u128], values: &[V], seed: u64) -> Result<Vec<V>, Unsolvable> {
    let keys = okvs.arrange(keys);
    let values: Vec<V> = keys.places().iter().map(|place| values[*place as usize]).collect();
    okvs.encode(&keys, &values, &mut rng(seed))
}

fn decoded<V: Value>(okvs: &Okvs, table: &[V], keys: &[u128]) -> Vec<V> {
    let keys = okvs.arrange(keys);
    let (mut arranged, mut out) = (vec![V::ZERO; keys.keys().len()], vec![V::ZERO; keys.keys().len()]);
    okvs.decode(table, &keys, &mut arranged);
    keys.places().iter().zip(arranged).for_each(|(place, value)| out[*place as usize] = value);
    out
}

/// A hundred thousand stores of every small size, full and not.
#[test]
fn small_stores_never_fail() {
    for round in 0..1500 {
        for keys_max in (0..=64).chain([100, 127]) {
            let used = if round % 5 == 0 { round as usize % (keys_max + 1) } else { keys_max };
            let okvs = Okvs::new(keys_max, u128::from(round) << 64 | keys_max as u128);
            let (keys, values) = (blocks(used, round), blocks(used, round + 1_000_000));
            let table = encoded(&okvs, &keys, &values, round).expect("fails once in 2^40");
            assert_eq!(decoded(&okvs, &table, &keys), values, "{used} of {keys_max} keys, round {round}");
        }
    }
}

#[test]
fn every_key_has_its_value_at_odd_sizes_and_over_many_bins() {
    for count in [0, 1, 31, 33, 1000, 6789, 16_384, 16_385, 50_001] {
        let okvs = Okvs::new(count, 7);
        let (keys, values) = (blocks(count, 1), blocks(count, 2));
        let table = encoded(&okvs, &keys, &values, 3).unwrap();
        assert_eq!(table.len(), okvs.shape().len());
        assert_eq!(decoded(&okvs, &table, &keys), values, "{count} keys");
    }
}

#[test]
fn values_of_other_widths_and_several_columns() {
    let okvs = Okvs::new(999, 7);
    let keys = blocks(999, 1);
    let narrow: Vec<u64> = blocks(999, 2).into_iter().map(|block| block as u64).collect();
    let table = encoded(&okvs, &keys, &narrow, 3).unwrap();
    assert_eq!(decoded(&okvs, &table, &keys), narrow);
    let columns: Vec<[u64; 3]> = narrow.iter().map(|value| [*value, !value, value.rotate_left(9)]).collect();
    let table = encoded(&okvs, &keys, &columns, 3).unwrap();
    assert_eq!(decoded(&okvs, &table, &keys), columns);
}

#[test]
fn decoding_is_linear_in_the_table() {
    let okvs = Okvs::new(40_000, 5);
    let (one, other) = (blocks(okvs.shape().len(), 1), blocks(okvs.shape().len(), 2));
    let sum: Vec<u128> = one.iter().zip(&other).map(|(a, b)| a ^ b).collect();
    let keys = blocks(3000, 3);
    let sums = decoded(&okvs, &one, &keys).into_iter().zip(decoded(&okvs, &other, &keys)).map(|(a, b)| a ^ b);
    assert!(decoded(&okvs, &sum, &keys).into_iter().eq(sums));
}

#[test]
fn repeated_keys_and_too_many_are_refused() {
    for count in [2, 33, 1000, 40_000] {
        let okvs = Okvs::new(count, 5);
        let (mut keys, values) = (blocks(count, 1), blocks(count, 2));
        keys[count / 2] = keys[0];
        assert_eq!(encoded(&okvs, &keys, &values, 1), Err(Unsolvable::Dependent), "{count} keys");
        let one_more = blocks(count + 1, 1);
        assert_eq!(encoded(&okvs, &one_more, &one_more, 1), Err(Unsolvable::TooMany));
    }
}

/// Slots that no pair decides, dense ones among them, and those of an empty store, differ from one encoding to the next,
/// and over many encodings each bit of each slot is as often one as zero.
#[test]
fn free_slots_are_random() {
    let okvs = Okvs::new(10, 5);
    let keys = blocks(10, 1);
    let mut ones = vec![[0; 128]; okvs.shape().len()];
    for round in 0..1000 {
        let table = encoded(&okvs, &keys, &blocks(10, round + 2), round).unwrap();
        for (slot, ones) in table.iter().zip(&mut ones) {
            for (bit, ones) in ones.iter_mut().enumerate() {
                *ones += slot >> bit & 1;
            }
        }
    }
    // 500 expected, standard deviation 16: seven of them are never met by chance.
    assert!(ones.as_flattened().iter().all(|ones| (390..=610).contains(ones)));
}

#[test]
fn a_row_has_three_different_slots_and_all_bits_alike() {
    for keys in [0, 1, 5, 40_000] {
        let shape = Shape::new(keys);
        let mut used = vec![0u32; shape.slots()];
        for hash in blocks(20_000, 1).into_iter().chain([0, u128::MAX]) {
            let Row { slots: [a, b, c], bin, dense } = shape.row(hash);
            assert!(a != b && b != c && a != c && usize::from(bin) < shape.bins() && dense >> DENSE == 0);
            [a, b, c].into_iter().for_each(|slot| used[usize::from(slot)] += 1);
        }
        let expected = 60_000.0 / shape.slots() as f64;
        let far = |uses: &u32| (f64::from(*uses) - expected).abs() > 7.0 * expected.sqrt() + 7.0;
        assert!(!used.iter().any(far), "{keys} keys: {expected} uses expected");
    }
}

/// Equations of gaps in 8 dense slots only fail as often as random ones do: r of them with probability below 2^(r - 8).
#[test]
fn dense_equations_fail_as_often_as_the_bound_says() {
    let mut rng = rng(1);
    for gaps in 1..6 {
        let mut failed = 0;
        for _ in 0..20_000 {
            let equation = |_| Equation { dense: rng.next_u64() & 0xff, sum: 1u64 };
            let equations: Vec<_> = (0..gaps).map(equation).collect();
            failed += u32::from(solve(equations, &mut [0; DENSE]).is_err());
        }
        let bound = 20_000.0 * 2f64.powi(gaps - 8);
        let exact = 20_000.0 * (1.0 - (0..gaps).map(|r| 1.0 - 2f64.powi(r - 8)).product::<f64>());
        assert!(f64::from(failed) < bound + 5.0 * bound.sqrt(), "{failed} failures of {gaps} gaps");
        assert!((f64::from(failed) - exact).abs() < 6.0 * exact.sqrt(), "{failed} failures, {exact} expected");
    }
}

/// How many of `rounds` bins of `keys` rows over `slots` slots have at least so many gaps.
fn gaps(keys: usize, slots: usize, rounds: u64) -> Vec<usize> {
    let shape = Shape::with_slots(keys, slots);
    let mut steps = vec![Step::default(); keys];
    let count = |round| {
        let rows: Vec<Row> = blocks(keys, round).into_iter().map(|hash| shape.row(hash)).collect();
        peel(&rows, slots, &mut steps).len()
    };
    (0..rounds).map(count).collect()
}

/// The formula of the shape at levels where failures can be counted: at level λ, at most 2^-λ of all bins have a large core,
/// which leaves tens of gaps.
#[test]
fn peeling_fails_as_seldom_as_the_formula_says() {
    for (keys, level, rounds) in [(256, 5, 2000), (1024, 6, 2000), (4096, 6, 500)] {
        let slots = shape::slots(keys, level) as usize;
        let large = gaps(keys as usize, slots, rounds).into_iter().filter(|gaps| *gaps > 8).count();
        let allowed = rounds as f64 / 2f64.powi(level as i32);
        assert!((large as f64) < allowed + 3.0 * allowed.sqrt(), "{keys} keys, level {level}: {large} of {rounds}");
    }
    // And one that is far below the threshold does: the test above can fail.
    assert!(gaps(1024, 1024 * 120 / 100, 200).into_iter().filter(|gaps| *gaps > 8).count() > 50);
}

/// The sum over encodings of 2^gaps - 1, which 2^-48 is multiplied with in the third bound, is well below one for each.
#[test]
fn gaps_are_as_rare_as_the_bound_says() {
    for keys in [2, 3, 5, 8, 13, 21, 34, 55, 89, 1000] {
        let rounds = 20_000 / keys as u64 + 20;
        let found = gaps(keys, Shape::new(keys).slots(), rounds);
        let excess: f64 = found.into_iter().map(|gaps| 2f64.powi(gaps as i32) - 1.0).sum();
        assert!(excess / (rounds as f64) < 0.2, "{keys} keys: {excess} in {rounds} rounds");
    }
}

#[test]
fn sizes() {
    let expansion = |keys: usize| Shape::new(keys).len() as f64 / keys as f64;
    assert!(expansion(1 << 16) < 1.36 && expansion(1 << 20) < 1.37 && expansion(1 << 24) < 1.39);
    assert_eq!(Shape::new(0).len(), 3 + DENSE);
    for keys in 0..3000 {
        assert!(Shape::new(keys).len() <= Shape::new(keys + 1).len());
    }
    const LARGEST: Shape = Shape::new(shape::KEYS_MAX);
    const { assert!(LARGEST.bins() <= 1 << 14 && LARGEST.slots() < 1 << 16) };
}
