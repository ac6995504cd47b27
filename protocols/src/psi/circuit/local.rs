//! The local computations of `circuit`: pure, and the only places that see an item, a target or a column.

use std::sync::Arc;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::cuckoo::{Bins, HASHES};
use super::msg::Hints;
use crate::bits::random_blocks;
use crate::compute::Stop;
use crate::error::Result;
use crate::items::Column;
use crate::kernels::aes::Aes128;
use crate::kernels::okvs::{Okvs, Unsolvable};
use crate::psi::oprf::Oprf;
use crate::psi::set::Padded;
use crate::session::Session;

/// Blocks hashed at once.
const BATCH: usize = 128;

/// Makes keys of elements: 128 bits of SHA-256 over the run and the element. Two elements of both sets share one with
/// probability below 2^46 * 2^-128.
#[derive(Clone)]
pub(super) struct Keys(Sha256);

impl Keys {
    pub(super) fn new(s: &Session) -> Self {
        // One block of SHA-256, hashed once for all elements. The run's, not the step's: both ends of it agree.
        Self(Sha256::new_with_prefix(s.binding("circuit/keys")).chain_update([0; 32]))
    }

    fn of(&self, set: &Padded) -> Vec<u128> {
        set.hashes(0..set.len(), |parts| {
            let digest = parts.iter().fold(self.0.clone(), |hash, part| hash.chain_update(part)).finalize();
            let mut key = [0; 16];
            key.copy_from_slice(&digest[..16]);
            u128::from_le_bytes(key)
        })
    }
}

/// The key of an element at the `hash`-th of its bins.
fn at_bin(key: u128, hash: usize) -> u128 {
    key ^ hash as u128
}

/// What a value of the function makes at a column: the lowest 64 bits of π(π(v) ^ column) ^ π(v), with π = AES under a key of
/// the run (TMMO, as in [`crate::ot::extension`]).
struct Words(Aes128);

impl Words {
    fn new(binding: &[u8; 32]) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&binding[..16]);
        Self(Aes128::new(u128::from_le_bytes(key)))
    }

    fn of(&self, values: &[u128], column: usize) -> Zeroizing<Vec<u64>> {
        let mut words = Zeroizing::new(Vec::with_capacity(values.len()));
        let (mut once, mut twice) = (Zeroizing::new([0; BATCH]), Zeroizing::new([0; BATCH]));
        for values in values.chunks(BATCH) {
            let (once, twice) = (&mut once[..values.len()], &mut twice[..values.len()]);
            once.copy_from_slice(values);
            self.0.encrypt(once);
            once.iter().zip(&mut *twice).for_each(|(once, twice)| *twice = once ^ column as u128);
            self.0.encrypt(twice);
            words.extend(once.iter().zip(&*twice).map(|(once, twice)| (once ^ twice) as u64));
        }
        words
    }
}

/// The receiver's table: which element is in each bin.
pub(super) struct Found {
    keys: Arc<Zeroizing<Vec<u128>>>,
    /// Of each bin, the position of its element in the set.
    table: Vec<Option<u32>>,
}

impl Found {
    /// Places every element; `None` where there is no table.
    ///
    /// # Errors
    /// The run was stopped.
    pub(super) fn new(set: &Padded, keys: &Keys, bins: &Bins, stop: &Stop<'_>) -> Result<Option<Self>> {
        let mut keys = keys.of(set);
        let of = bins.of(&keys);
        let Some(table) = bins.table(&of, stop)? else { return Ok(None) };
        for (bin, element) in table.iter().enumerate() {
            if let Some(element) = element.map(|element| element as usize) {
                let hash = of[element].iter().position(|b| *b as usize == bin).unwrap_or_default();
                keys[element] = at_bin(keys[element], hash);
            }
        }
        Ok(Some(Self { keys: Arc::new(Zeroizing::new(keys)), table }))
    }

    /// For each element, its key at its bin.
    pub(super) fn queries(&self) -> Arc<Zeroizing<Vec<u128>>> {
        self.keys.clone()
    }

    /// For each bin, the row that is in it.
    pub(super) fn rows(&self, set: &Padded) -> Vec<Option<u32>> {
        self.table.iter().map(|element| element.and_then(|element| set.row(element as usize))).collect()
    }

    /// What the hints say at each bin: the receiver's target, and its share of each column. `values` are the function's at
    /// [`Found::queries`]. Targets of empty bins are uniform, and shares there are zero.
    pub(super) fn open(
        &self,
        values: &[u128],
        hints: &Hints,
        hint_keys: usize,
        binding: &[u8; 32],
        rng: &mut impl CryptoRng,
    ) -> (Zeroizing<Vec<u64>>, Vec<Column>) {
        let words = Words::new(binding);
        let okvs = Okvs::new(hint_keys, hints.seed);
        let arranged = okvs.arrange(&self.keys);
        let values = arranged_by(values, arranged.places());
        let mut opened = hints.stores.iter().enumerate().map(|(column, store)| {
            let mut hints = Zeroizing::new(vec![0u64; self.keys.len()]);
            okvs.decode(store, &arranged, &mut hints);
            let words = words.of(&values, column);
            let mut elements = Zeroizing::new(vec![0u64; self.keys.len()]);
            for ((hint, word), place) in hints.iter().zip(words.iter()).zip(arranged.places()) {
                elements[*place as usize] = hint ^ word;
            }
            elements
        });
        let targets = opened.next().unwrap_or_default();
        let random = Zeroizing::new(random_blocks(self.table.len(), rng));
        let target = |(element, random): (&Option<u32>, &u128)| element.map_or(*random as u64, |e| targets[e as usize]);
        let targets = Zeroizing::new(self.table.iter().zip(random.iter()).map(target).collect());
        let share = |elements: Zeroizing<Vec<u64>>| {
            self.table.iter().map(|element| element.map_or(0, |element| elements[element as usize])).collect()
        };
        (targets, opened.map(share).collect())
    }
}

/// The sender's uniform target of each bin, and its share of each column there.
pub(super) struct Targets {
    pub(super) targets: Zeroizing<Vec<u64>>,
    pub(super) masks: Vec<Column>,
}

impl Targets {
    pub(super) fn new(bins: usize, columns: usize, rng: &mut impl CryptoRng) -> Self {
        let mut uniform = || Zeroizing::new(random_blocks(bins.div_ceil(2), rng));
        let mut words = || -> Zeroizing<Vec<u64>> {
            let blocks = uniform();
            Zeroizing::new(blocks.iter().flat_map(|block| [*block as u64, (*block >> 64) as u64]).take(bins).collect())
        };
        Self { targets: words(), masks: (0..columns).map(|_| words().iter().copied().collect()).collect() }
    }

    /// Hints for every element at each of its bins: the bin's target, and each column's value less the bin's mask. Dummies
    /// have zeros for values.
    ///
    /// # Errors
    /// [`Unsolvable`] with probability 2^-40.
    #[expect(clippy::too_many_arguments, reason = "what one job is made of")]
    pub(super) fn hints(
        &self,
        set: &Padded,
        keys: &Keys,
        bins: &Bins,
        columns: &[Column],
        oprf: &Oprf,
        binding: &[u8; 32],
        rng: &mut impl CryptoRng,
    ) -> Result<Hints, Unsolvable> {
        let keys = keys.of(set);
        let of = bins.of(&keys);
        let keys: Vec<u128> = keys.iter().flat_map(|key| (0..HASHES).map(|hash| at_bin(*key, hash))).collect();
        let seed = random_blocks(1, rng)[0];
        let okvs = Okvs::new(keys.len(), seed);
        let arranged = okvs.arrange(&keys);
        let values = oprf.values(arranged.keys());
        let words = Words::new(binding);
        let places = || arranged.places().iter().map(|place| *place as usize);
        let bin = |place: usize| of[place / HASHES][place % HASHES] as usize;

        let mut encode = |column: usize, hint: &dyn Fn(usize) -> u64| {
            let words = words.of(&values, column);
            let hidden: Zeroizing<Vec<u64>> =
                Zeroizing::new(places().zip(words.iter()).map(|(place, word)| hint(place) ^ word).collect());
            okvs.encode(&arranged, &hidden, rng)
        };
        let mut stores = vec![encode(0, &|place| self.targets[bin(place)])?];
        for (number, (column, mask)) in columns.iter().zip(&self.masks).enumerate() {
            let value = |place: usize| set.row(place / HASHES).map_or(0, |row| column.get(row as usize));
            stores.push(encode(number + 1, &|place| value(place).wrapping_sub(mask.get(bin(place))))?);
        }
        Ok(Hints { seed, stores })
    }
}

/// Values in the order of arranged keys.
fn arranged_by(values: &[u128], places: &[u32]) -> Zeroizing<Vec<u128>> {
    Zeroizing::new(places.iter().map(|place| values[*place as usize]).collect())
}
