//! An oblivious key-value store: a table P with `decode(P, key) = value` for every pair encoded, from which nobody can tell
//! which keys those are where the values are random. Every decoding is the sum of three slots of a bin and of some of 48
//! dense slots, so that it is linear: `decode(P, key) ^ decode(Q, key) = decode(P ^ Q, key)`.
//!
//! ```text
//! row hash  AES_seed(key) ^ key  ->  a bin, three different slots of the bin, 48 bits that choose among the dense slots
//!
//! encode    peel each bin: a slot that one row alone uses decides that row; take it away, and so on
//!           where each slot left is used twice or more, put a row aside, as a gap, and go on
//!           gaps: eliminate the peeled rows from theirs, and solve what is left for the dense slots
//!           fill what nothing decides at random; then give each peeled row its slot, the last one first
//! ```
//!
//! **Source.** Raghuraman and Rindal 2022 (CCS, "Blazing fast PSI from improved OKVS and subfield VOLE", eprint 2022/320):
//! weight three, figure 1 with gaps set aside one at a time; bins are the clusters of section 2.1. Of its variants, the dense
//! part is *binary* (lemma 2.1) and *combined* for all bins: gaps are so rare that one part of [`shape::DENSE`] slots has room for
//! those of all bins; and with bits for coefficients decoding is linear over GF(2), hence the same for values of any width.
//! The parameters: see [`shape`].
//!
//! **Failure.** An encoding fails with probability at most 2^-40 over the seed, which must not be chosen by anyone who knows
//! the keys before it; see [`shape`]. A failure is an error, which names no key: no row is ever dropped.
//!
//! **What leaks.** Memory is read and written where the keys hash to, and branches follow how peeling goes: encoding and
//! decoding are local work on the caller's own keys, whose time and whose traces in caches depend on them. Values take no
//! part in any branch or address. Intermediate values on stack and heap are not erased.

mod dense;
mod peel;
pub mod shape;

#[cfg(test)]
mod tests;

use rand_core::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use self::dense::{Sums, solve};
use self::peel::{Step, eliminate, peel};
pub use self::shape::Shape;
use super::aes::Aes128;

/// Keys of one rayon task.
const TASK_KEYS: usize = 4096;
/// Keys that are hashed together.
const BATCH: usize = 64;

/// Values that a table holds. Addition is exclusive or.
pub trait Value: Copy + PartialEq + Send + Sync {
    /// The neutral value.
    const ZERO: Self;

    /// a + b.
    #[must_use]
    fn xor(self, other: Self) -> Self;

    /// Uniform values from a source of uniform blocks.
    fn fill(values: &mut [Self], source: &mut impl FnMut(&mut [u128]));
}

impl Value for u128 {
    const ZERO: Self = 0;

    #[inline]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    fn fill(values: &mut [Self], source: &mut impl FnMut(&mut [u128])) {
        source(values);
    }
}

impl Value for u64 {
    const ZERO: Self = 0;

    #[inline]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    fn fill(values: &mut [Self], source: &mut impl FnMut(&mut [u128])) {
        for values in values.chunks_mut(BATCH) {
            let mut blocks = [0; BATCH];
            source(&mut blocks[..values.len()]);
            values.iter_mut().zip(blocks).for_each(|(value, block)| *value = block as u64);
        }
    }
}

/// Several columns under one key, at the price of one hash and one peeling.
impl<V: Value, const COLUMNS: usize> Value for [V; COLUMNS] {
    const ZERO: Self = [V::ZERO; COLUMNS];

    #[inline]
    fn xor(self, other: Self) -> Self {
        std::array::from_fn(|column| self[column].xor(other[column]))
    }

    fn fill(values: &mut [Self], source: &mut impl FnMut(&mut [u128])) {
        V::fill(values.as_flattened_mut(), source);
    }
}

/// Why there is no table. It names no key, since which keys fail together is a property of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsolvable {
    /// More keys than the store is made for.
    #[error("more keys than the store is made for: make it for their number")]
    TooMany,
    /// A key repeats, or the seed is one of the 2^-40 that do not fit these keys.
    #[error("no table for these keys: remove repeated ones, or take a fresh seed")]
    Dependent,
}

/// A store of a shape under a seed: what both who encodes and who decodes must agree on.
pub struct Okvs {
    shape: Shape,
    hash: Aes128,
}

/// Keys in the order of their bins, so that work on them stays within a bin at a time. Erased on drop.
pub struct Arranged {
    keys: Zeroizing<Vec<u128>>,
    places: Vec<u32>,
    /// How many keys each bin has.
    sizes: Vec<usize>,
}

impl Arranged {
    /// The keys in their new order.
    pub fn keys(&self) -> &[u128] {
        &self.keys
    }

    /// Where each key stood before, in the new order.
    pub fn places(&self) -> &[u32] {
        &self.places
    }
}

/// What a row hash chooses.
#[derive(Clone, Copy, Default)]
struct Row {
    bin: u16,
    /// Three different slots of the bin.
    slots: [u16; 3],
    /// The dense slots that count, one bit each.
    dense: u64,
}

impl Okvs {
    /// A store for up to `keys` keys.
    pub fn new(keys: usize, seed: u128) -> Self {
        Self { shape: Shape::new(keys), hash: Aes128::new(seed) }
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Puts keys into the order of their bins. It takes any number of keys below 2^32, and panics beyond.
    pub fn arrange(&self, keys: &[u128]) -> Arranged {
        assert!(u32::try_from(keys.len()).is_ok(), "places have 32 bits");
        let mut sizes = vec![0; self.shape.bins()];
        self.each_row(keys, |_, row| sizes[usize::from(row.bin)] += 1);
        let mut ends: Vec<usize> =
            sizes.iter().scan(0, |end, size| Some(std::mem::replace(end, *end + size))).collect();
        let (mut arranged, mut places) = (Zeroizing::new(vec![0; keys.len()]), vec![0; keys.len()]);
        self.each_row(keys, |place, row| {
            let end = &mut ends[usize::from(row.bin)];
            (arranged[*end], places[*end]) = (keys[place], place as u32);
            *end += 1;
        });
        Arranged { keys: arranged, places, sizes }
    }

    /// A table of [`Shape::len`] slots that decodes each key to the value at its place in the new order. Panics where there
    /// are not as many values.
    ///
    /// Keys must be different, and chosen without knowing the seed. The slots that the pairs leave free are uniform: where
    /// the values are uniform too, so is the table, whatever the keys.
    ///
    /// # Errors
    /// [`Unsolvable`].
    pub fn encode<V: Value, R: CryptoRng + ?Sized>(
        &self,
        keys: &Arranged,
        values: &[V],
        rng: &mut R,
    ) -> Result<Vec<V>, Unsolvable> {
        assert_eq!(keys.keys.len(), values.len(), "a value per key");
        if values.len() > self.shape.keys() {
            return Err(Unsolvable::TooMany);
        }
        if keys.sizes.iter().any(|size| *size > usize::from(u16::MAX)) {
            return Err(Unsolvable::Dependent);
        }
        let bins = || cut(&keys.keys, &keys.sizes).into_par_iter().zip(cut(values, &keys.sizes));
        let mut table = self.random(rng);
        let (sparse, dense) = table.split_at_mut(self.shape.sparse_len());

        let mut steps = vec![Step::default(); values.len()];
        let equations: Vec<_> = bins()
            .zip(cut_mut(&mut steps, &keys.sizes))
            .zip(sparse.par_chunks(self.shape.slots()))
            .map(|(((keys, values), steps), slots)| {
                let rows = self.bin_rows(keys);
                let gaps = peel(&rows, slots.len(), steps);
                let steps = &steps[..steps.len() - gaps.len()];
                gaps.iter().map(|gap| eliminate(*gap, &rows, values, steps, slots)).collect()
            })
            .collect::<Vec<Vec<_>>>();
        let gaps: Vec<usize> = equations.iter().map(Vec::len).collect();
        solve(equations.into_iter().flatten().collect(), dense)?;

        let sums = Sums::new(dense);
        bins().zip(cut(&steps, &keys.sizes)).zip(gaps).zip(sparse.par_chunks_mut(self.shape.slots())).for_each(
            |((((keys, values), steps), gaps), slots)| {
                let rows = self.bin_rows(keys);
                decide(&rows, values, &steps[..steps.len() - gaps], &sums, slots);
            },
        );
        Ok(table)
    }

    /// What `table` has for each key, in the new order: for a key that was encoded its value, for others what the slots
    /// happen to sum to. Panics where the table has another length than [`Shape::len`], or `out` another one than the keys.
    pub fn decode<V: Value>(&self, table: &[V], keys: &Arranged, out: &mut [V]) {
        assert_eq!((table.len(), out.len()), (self.shape.len(), keys.keys.len()), "a table and room for the answers");
        let (sparse, dense) = table.split_at(self.shape.sparse_len());
        let sums = Sums::new(dense);
        let bins = cut(&keys.keys, &keys.sizes).into_par_iter().zip(cut_mut(out, &keys.sizes));
        bins.zip(sparse.par_chunks(self.shape.slots())).for_each(|((keys, out), slots)| {
            keys.par_chunks(TASK_KEYS).zip(out.par_chunks_mut(TASK_KEYS)).for_each(|(keys, out)| {
                self.each_row(keys, |place, row| {
                    let sum = row.slots.iter().fold(sums.of(row.dense), |sum, slot| sum.xor(slots[usize::from(*slot)]));
                    out[place] = sum;
                });
            });
        });
    }

    /// Calls `work` with each key's place and row.
    #[inline]
    fn each_row(&self, keys: &[u128], mut work: impl FnMut(usize, Row)) {
        let mut place = 0;
        for keys in keys.chunks(BATCH) {
            let mut hashes = [0; BATCH];
            let hashes = &mut hashes[..keys.len()];
            hashes.copy_from_slice(keys);
            self.hash.mmo(hashes);
            for hash in hashes {
                work(place, self.shape.row(*hash));
                place += 1;
            }
        }
    }

    /// The rows of a bin's keys.
    fn bin_rows(&self, keys: &[u128]) -> Vec<Row> {
        let mut rows = Vec::with_capacity(keys.len());
        self.each_row(keys, |_, row| rows.push(row));
        rows
    }

    /// A table of random slots.
    fn random<V: Value, R: CryptoRng + ?Sized>(&self, rng: &mut R) -> Vec<V> {
        let aes = Aes128::new(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()));
        let mut table = vec![V::ZERO; self.shape.len()];
        table.par_chunks_mut(TASK_KEYS).enumerate().for_each(|(task, slots)| {
            let mut counter = (task as u128) << 64;
            for slots in slots.chunks_mut(BATCH) {
                V::fill(slots, &mut |blocks| {
                    blocks.fill_with(|| {
                        counter += 1;
                        counter
                    });
                    aes.encrypt(blocks);
                });
            }
        });
        table
    }
}

/// Gives each peeled row its slot, the last row first: its other slots are then what they will stay.
fn decide<V: Value>(rows: &[Row], values: &[V], steps: &[Step], sums: &Sums<V>, slots: &mut [V]) {
    for step in steps.iter().rev() {
        let row = &rows[usize::from(step.row)];
        let value = values[usize::from(step.row)].xor(sums.of(row.dense));
        let missing = row.slots.iter().fold(value, |sum, slot| sum.xor(slots[usize::from(*slot)]));
        let decided = &mut slots[usize::from(step.slot)];
        *decided = decided.xor(missing);
    }
}

/// A slice in consecutive pieces of these sizes.
fn cut<'a, T>(mut whole: &'a [T], sizes: &[usize]) -> Vec<&'a [T]> {
    let piece = |size: &usize| whole.split_off(..*size).expect("the sizes sum to the length");
    sizes.iter().map(piece).collect()
}

/// As [`cut`], to be written to.
fn cut_mut<'a, T>(mut whole: &'a mut [T], sizes: &[usize]) -> Vec<&'a mut [T]> {
    let piece = |size: &usize| whole.split_off_mut(..*size).expect("the sizes sum to the length");
    sizes.iter().map(piece).collect()
}
