//! What each protocol should compute, in plain code over all inputs at once: the oracle of tests and benches.

use std::collections::BTreeSet;

use crate::items::{Items, Rows};

/// The positions in `own` of the items that `other` has too.
pub fn intersection(own: &Items, other: &Items) -> Rows {
    let other: BTreeSet<&[u8]> = other.iter().collect();
    Rows::new((0..own.len()).filter(|row| other.contains(own.get(*row))).map(|row| row as u64).collect())
}

/// How many items both have.
pub fn cardinality(own: &Items, other: &Items) -> u64 {
    intersection(own, other).len() as u64
}
