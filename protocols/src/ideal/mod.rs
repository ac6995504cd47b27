//! What each protocol should compute, in plain code over all inputs at once: the oracle of tests and benches.

use std::collections::{BTreeMap, BTreeSet};

use crate::items::{Column, Items, Rows};

/// The positions in `own` of the items that `other` has too.
pub fn intersection(own: &Items, other: &Items) -> Rows {
    let other: BTreeSet<&[u8]> = other.iter().collect();
    Rows::new((0..own.len()).filter(|row| other.contains(own.get(*row))).map(|row| row as u64).collect())
}

/// How many items both have.
pub fn cardinality(own: &Items, other: &Items) -> u64 {
    intersection(own, other).len() as u64
}

/// The sum, modulo 2^64, of the numbers that `other` has in the rows that `own` has too.
pub fn sum(own: &Items, other: &Items, numbers: &Column) -> u64 {
    let numbers: BTreeMap<&[u8], u64> = other.iter().zip(numbers.as_slice().iter().copied()).collect();
    own.iter().filter_map(|key| numbers.get(key)).fold(0, |sum, number| sum.wrapping_add(*number))
}
