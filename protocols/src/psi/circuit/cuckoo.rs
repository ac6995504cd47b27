//! Bins: three for each key, by a hash under a seed. The receiver gives each of its keys one of its three, so that no bin has
//! two; the sender takes all three.
//!
//! There are 1.27 bins per key, and 1024 at least. **Failure.** Keys are placed along shortest augmenting paths, so that a
//! table fails only where none exists: where some t keys have fewer than t bins among them. For few keys the likeliest
//! such set is four keys with the same three bins, which n keys have with probability below n^4/24 · (6/B^3)^3: 2^-48 with
//! 806 keys and 1024 bins, and n^-5 times less than 2 beyond, 2^-49 at 1000 keys and 2^-59 at 4096. For many keys, sets as
//! large as the table do not fail below 1.09 bins per key (Dietzfelbinger et al. 2010, "Tight thresholds for cuckoo hashing
//! via XORSAT"), and that 1.27 suffices for 2^-40 without a stash is what Pinkas, Schneider and Zohner 2018 (ACM TOPS,
//! "Scalable private set intersection based on OT extension", section 3.2.2) measured; it is no proof.

use crate::compute::Stop;
use crate::error::Result;
use crate::kernels::aes::Aes128;

/// A hundred times as many bins as keys.
const PERCENT: usize = 127;

/// The fewest bins: see the failure.
const COUNT_MIN: usize = 1024;

/// Bins of each key.
pub(super) const HASHES: usize = 3;

/// Keys hashed at once.
const BATCH: usize = 64;

/// No key in this bin, or no bin before this one on a path.
const NONE: u32 = u32::MAX;

/// The bins of a run.
pub(in crate::psi) struct Bins {
    count: usize,
    hash: Aes128,
}

impl Bins {
    pub(super) fn new(keys: usize, seed: u128) -> Self {
        Self { count: Self::count_for(keys), hash: Aes128::new(seed) }
    }

    /// How many bins `keys` keys take.
    pub(in crate::psi) fn count_for(keys: usize) -> usize {
        (keys * PERCENT).div_ceil(100).max(COUNT_MIN)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The three different bins of each key.
    pub(super) fn of(&self, keys: &[u128]) -> Vec<[u32; HASHES]> {
        let mut all = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            let mut hashes = [0; BATCH];
            hashes[..keys.len()].copy_from_slice(keys);
            self.hash.mmo(&mut hashes[..keys.len()]);
            all.extend(hashes[..keys.len()].iter().map(|hash| self.choose(*hash)));
        }
        all
    }

    /// The first of all bins, the second of those left, and the third of those: 42 bits of the hash each.
    fn choose(&self, hash: u128) -> [u32; HASHES] {
        let below = |part: u32, bound: usize| {
            let bits = (hash >> (42 * part)) as u64 & ((1 << 42) - 1);
            ((u128::from(bits) * bound as u128) >> 42) as u32
        };
        let first = below(0, self.count);
        let mut second = below(1, self.count - 1);
        second += u32::from(second >= first);
        let (low, high) = (first.min(second), first.max(second));
        let mut third = below(2, self.count - 2);
        third += u32::from(third >= low);
        third += u32::from(third >= high);
        [first, second, third]
    }

    /// The key in each bin, given each key's bins; `None` where there is no such table.
    ///
    /// # Errors
    /// The run was stopped.
    pub(super) fn table(&self, bins: &[[u32; HASHES]], stop: &Stop<'_>) -> Result<Option<Vec<Option<u32>>>> {
        let mut table = vec![NONE; self.count];
        let mut seen = vec![NONE; self.count];
        let mut path: Vec<(u32, u32)> = Vec::new();
        for key in 0..bins.len() as u32 {
            stop.check()?;
            // Breadth first: the key's bins, the other bins of the keys that are in those, and so on to an empty one.
            path.clear();
            let mut visit = |path: &mut Vec<(u32, u32)>, of: u32, before: u32| {
                for bin in bins[of as usize] {
                    if std::mem::replace(&mut seen[bin as usize], key) != key {
                        path.push((bin, before));
                    }
                }
            };
            visit(&mut path, key, NONE);
            let mut at = 0;
            loop {
                let Some(&(bin, _)) = path.get(at) else { return Ok(None) };
                match table[bin as usize] {
                    NONE => break,
                    other => visit(&mut path, other, at as u32),
                }
                at += 1;
            }
            // From the empty bin back, each key moves to the next bin of the path.
            while path[at].1 != NONE {
                let before = path[at].1 as usize;
                table[path[at].0 as usize] = table[path[before].0 as usize];
                at = before;
            }
            table[path[at].0 as usize] = key;
        }
        Ok(Some(table.into_iter().map(|key| (key != NONE).then_some(key)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO_ON: Stop<'static> = Stop(&|| false);

    #[test]
    fn every_key_has_a_bin_of_its_own_among_its_three() {
        for count in [0, 1, 806, 5000] {
            let bins = Bins::new(count, 7);
            assert_eq!(bins.count(), (count * 127).div_ceil(100).max(1024));
            let of = bins.of(&(0..count as u128).collect::<Vec<_>>());
            assert!(
                of.iter().all(|[a, b, c]| a != b && b != c && a != c && (*a.max(b).max(c) as usize) < bins.count())
            );
            let table = bins.table(&of, &GO_ON).unwrap().unwrap();
            let mut placed: Vec<u32> = table.iter().flatten().copied().collect();
            placed.sort_unstable();
            assert!(placed.into_iter().eq(0..count as u32));
            let right =
                |(bin, key): (usize, &Option<u32>)| key.is_none_or(|key| of[key as usize].contains(&(bin as u32)));
            assert!(table.iter().enumerate().all(right));
        }
    }

    #[test]
    fn a_table_that_does_not_exist_is_none_and_one_that_barely_does_is_found() {
        let bins = Bins::new(4, 7);
        let same = |count: usize| vec![[5, 6, 7]; count];
        assert!(bins.table(&same(3), &GO_ON).unwrap().is_some());
        assert!(bins.table(&same(4), &GO_ON).unwrap().is_none());
        // A chain in which the last key makes all the others move.
        let chain: Vec<[u32; 3]> = [[1, 2, 3]; 3].into_iter().chain((3..400).map(|n| [n - 2, n, n + 1])).collect();
        assert!(bins.table(&chain, &GO_ON).unwrap().is_some());
    }

    #[test]
    fn bins_are_uniform() {
        let bins = Bins::new(1, 3);
        let mut counts = vec![0i32; bins.count()];
        bins.of(&(0..102_400u128).collect::<Vec<_>>()).as_flattened().iter().for_each(|bin| counts[*bin as usize] += 1);
        // 300 expected each, standard deviation 17.
        assert!(counts.iter().all(|count| (count - 300).abs() < 110), "{counts:?}");
    }
}
