//! How large a store is: a function of the number of keys, in integers, so that two parties never differ in it.
//!
//! With `n` keys there are `b = ceil(n / (3 * 2^13))` bins, and one for none. A bin is made for `k` keys, the most that any has
//! but with probability 2^-42, and has `ceil(e k) + 3` slots. The failure of an encoding is at most the sum of three:
//!
//! 1. **A bin has more than k keys**, 2^-42: with μ = n/b, Bernstein's inequality bounds a bin above μ + t by
//!    exp(-t²/(2μ + 2t/3)), which is 2^-42/b for t = L/3 + sqrt(L²/9 + 2Lμ), L = ln 2 · (42 + log2 b).
//! 2. **Peeling one leaves a large core**, 2^-42: RR22, section 3.2 and figure 3, measured and extended as straight lines: for
//!    weight three, λ = s(k) · (e - 1.223) - 9.2 with s(k) = 2^(0.555 log2 k + 2.336), which is equation 3 with the digits of
//!    the authors' library (volePSI, `PaxosParam::init`), and 1.223 the threshold. This is an estimate, not a theorem. Here
//!    λ = 42 + log2 b, so e = 1.223 + (51.2 + log2 b) / s(k).
//! 3. **The gaps' equations depend on each other**, 2^-46: r random rows of 48 bits do with probability below 2^(r - 48). Gaps
//!    come from small sets of rows over few slots, of which pairs with the same three slots are the most likely: on average
//!    `b (k²/2) / C(e k, 3)` ≤ 1.2 b/k, so less than 0.6 up to 2^28 keys. With r of Poisson's distribution of mean μ, the
//!    failure is at most e^μ 2^-48. (Below 64 keys, where the fit of 2. was not measured, gaps are few whatever happens.)
//!
//! Tests measure the second and the third at sizes and with slots where failures can be counted.

use super::Row;

/// Dense slots of a table.
pub const DENSE: usize = 48;

/// Keys per bin, on average: what belongs to a bin of 128-bit values fits a second cache of 1 MiB.
const BIN_KEYS: usize = 3 << 13;

/// The most keys of a store: bins have 16-bit numbers, and gaps stay as rare as stated.
pub const KEYS_MAX: usize = 1 << 28;

/// The security level of each of the three failures, in bits.
const LEVEL: u64 = 42;

/// s(2^i), rounded down. Between two of them the straight line is taken, which lies below the curve, so that e is above.
const SLOPES: [u64; 17] = [5, 7, 10, 16, 23, 34, 50, 74, 109, 161, 236, 347, 510, 750, 1102, 1619, 2378];

/// The sizes of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    keys: usize,
    bins: usize,
    slots: usize,
}

impl Shape {
    /// For up to `keys` keys. Panics above [`KEYS_MAX`].
    pub const fn new(keys: usize) -> Self {
        assert!(keys <= KEYS_MAX, "at most 2^28 keys");
        let bins = if keys == 0 { 1 } else { keys.div_ceil(BIN_KEYS) };
        let level = LEVEL + bins.next_power_of_two().ilog2() as u64;
        let bin_keys = bin_keys_max(keys as u64, bins as u64, level);
        Self { keys, bins, slots: slots(bin_keys, level) as usize }
    }

    /// One bin with that many slots.
    #[cfg(test)]
    pub(super) const fn with_slots(keys: usize, slots: usize) -> Self {
        Self { keys, bins: 1, slots }
    }

    /// The most keys that can be encoded.
    pub const fn keys(&self) -> usize {
        self.keys
    }

    /// Slots of a table.
    pub const fn len(&self) -> usize {
        self.sparse_len() + DENSE
    }

    /// No table is empty.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// How many bins there are.
    pub(super) const fn bins(&self) -> usize {
        self.bins
    }

    /// Slots of each bin.
    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    /// Slots of all bins, which come before the dense ones.
    pub(super) const fn sparse_len(&self) -> usize {
        self.bins * self.slots
    }

    /// What a row hash chooses. Numbers come from its upper half, one after another as the integer parts of products, which
    /// leave their fractions for the next (Lemire 2019, "Fast random integer generation in an interval"): a choice among all
    /// that there are is off from uniform by at most b (e k)^3 / 2^64 relatively, 2^-13 at 2^20 keys
    /// and 2^-5 at the largest store.
    #[inline]
    pub(super) fn row(&self, hash: u128) -> Row {
        let mut fraction = (hash >> 64) as u64;
        let mut below = |bound: usize| {
            let product = u128::from(fraction) * bound as u128;
            fraction = product as u64;
            (product >> 64) as u32
        };
        let bin = below(self.bins);
        let [first, second, third] = [below(self.slots), below(self.slots - 1), below(self.slots - 2)];
        // The second is one of those other than the first, the third one of those other than both. All are far below 2^32.
        let second = second.wrapping_add(u32::from(second >= first));
        let (low, high) = (first.min(second), first.max(second));
        let third = third.wrapping_add(u32::from(third >= low));
        let third = third.wrapping_add(u32::from(third >= high));
        let slots = [first as u16, second as u16, third as u16];
        Row { bin: bin as u16, slots, dense: hash as u64 & ((1 << DENSE) - 1) }
    }
}

/// k: the most keys of a bin but with probability 2^-level.
const fn bin_keys_max(keys: u64, bins: u64, level: u64) -> u64 {
    if bins == 1 {
        return keys;
    }
    // L in 1/1000, with ln 2 < 0.694.
    let nats = 694 * level;
    let mean = keys.div_ceil(bins);
    let third = nats / 3;
    let deviation = third + (third * third + 2000 * nats * mean).isqrt() + 1;
    mean + deviation.div_ceil(1000)
}

/// ceil(e k) + 3. The three are for the smallest stores: a row needs three different slots.
pub(super) const fn slots(bin_keys: u64, level: u64) -> u64 {
    if bin_keys == 0 {
        return 3;
    }
    let log = bin_keys.ilog2() as usize;
    let power = 1 << log;
    let slope = SLOPES[log] + (SLOPES[log + 1] - SLOPES[log]) * (bin_keys - power) / power;
    // λ + 9.2 in tenths.
    let excess = (10 * level + 92) * bin_keys;
    (1223 * bin_keys).div_ceil(1000) + excess.div_ceil(10 * slope) + 3
}
