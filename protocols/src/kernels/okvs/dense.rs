//! The dense slots: sums over those that a row's bits choose, and the equations that gaps leave for them.

use super::shape::DENSE;
use super::{Unsolvable, Value};

/// Bits that are looked up together. Tables of 2^8 sums for 48 bits are 24 KiB of 128-bit values, half of a first cache.
const BITS: usize = 8;

/// The sums of the dense slots, looked up by eight bits at a time.
pub(super) struct Sums<V>(Vec<[V; 1 << BITS]>);

impl<V: Value> Sums<V> {
    pub(super) fn new(dense: &[V]) -> Self {
        let table = |slots: &[V]| {
            let mut sums = [V::ZERO; 1 << BITS];
            for (bit, slot) in slots.iter().enumerate() {
                for low in 0..1 << bit {
                    sums[low | 1 << bit] = sums[low].xor(*slot);
                }
            }
            sums
        };
        Self(dense.chunks(BITS).map(table).collect())
    }

    /// The sum of the slots that are chosen.
    #[inline]
    pub(super) fn of(&self, chosen: u64) -> V {
        self.0.iter().zip(chosen.to_le_bytes()).fold(V::ZERO, |sum, (sums, byte)| sum.xor(sums[usize::from(byte)]))
    }
}

/// The dense slots that are chosen must sum to this.
pub(super) struct Equation<V> {
    pub(super) dense: u64,
    pub(super) sum: V,
}

/// Changes slots, which are random, so that they satisfy all equations (Gauss and Jordan).
///
/// # Errors
/// [`Unsolvable::Dependent`] where the equations are not independent.
pub(super) fn solve<V: Value>(mut equations: Vec<Equation<V>>, slots: &mut [V]) -> Result<(), Unsolvable> {
    debug_assert_eq!(slots.len(), DENSE);
    for pivot in 0..equations.len() {
        let Equation { dense, sum } = equations[pivot];
        if dense == 0 {
            return Err(Unsolvable::Dependent);
        }
        let lowest = dense & dense.wrapping_neg();
        for (number, other) in equations.iter_mut().enumerate() {
            if number != pivot && other.dense & lowest != 0 {
                other.dense ^= dense;
                other.sum = other.sum.xor(sum);
            }
        }
    }
    // Each lowest bit is now in its own equation only, so that one slot settles one equation and disturbs no other.
    let missing: Vec<_> =
        equations.iter().map(|Equation { dense, sum }| Sums::new(slots).of(*dense).xor(*sum)).collect();
    for (Equation { dense, .. }, missing) in equations.iter().zip(missing) {
        let slot = &mut slots[dense.trailing_zeros() as usize];
        *slot = slot.xor(missing);
    }
    Ok(())
}
