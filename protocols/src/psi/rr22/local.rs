//! The local computations of `rr22`: pure, and the only places that see an item or a secret.

use rand_core::Rng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::tags::Layout;
use crate::compute::Stop;
use crate::error::{Bug, Error, InputError, Result};
use crate::items::{Items, Rows};
use crate::kernels::aes::Aes128;
use crate::kernels::gf128::{scale, scale_add};
use crate::kernels::okvs::{Arranged, Okvs, Value};
use crate::kernels::sha256::Prefixed;
use crate::message::{Malformed, Reader, Writer};
use crate::ot::vole::Scalar;
use crate::psi::oprf::finish;
use crate::psi::set::refuse_duplicates;
use crate::session::{Session, SessionRng};

/// Elements that a rayon task works on at a time: 4 KiB of blocks.
const CHUNK: usize = 256;

/// Seeds that are tried for the receiver's table, each of which fails with probability 2^-40.
const SEEDS: usize = 3;

/// What a slot of the receiver's table is.
pub(super) trait Slot: Scalar + Value {
    /// Bytes of a slot on the wire.
    const BYTES: usize;

    fn write(slots: &[Self], w: &mut Writer);

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Vec<Self>, Malformed>;

    /// `sum[i] += slots[i] * delta`, with slots lifted.
    fn scale_add(sum: &mut [u128], slots: &[Self], delta: u128);
}

impl Slot for u128 {
    const BYTES: usize = 16;

    fn write(slots: &[Self], w: &mut Writer) {
        w.blocks(slots);
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Vec<Self>, Malformed> {
        r.blocks(count)
    }

    fn scale_add(sum: &mut [u128], slots: &[Self], delta: u128) {
        scale_add(sum, slots, delta);
    }
}

impl Slot for u64 {
    const BYTES: usize = 8;

    fn write(slots: &[Self], w: &mut Writer) {
        slots.iter().for_each(|slot| w.u64(*slot));
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Vec<Self>, Malformed> {
        let (slots, _) = r.bytes(count.saturating_mul(8))?.as_chunks::<8>();
        Ok(slots.iter().map(|slot| u64::from_le_bytes(*slot)).collect())
    }

    fn scale_add(sum: &mut [u128], slots: &[Self], delta: u128) {
        for (sum, slots) in sum.chunks_mut(CHUNK).zip(slots.chunks(CHUNK)) {
            let mut lifted = [0; CHUNK];
            lifted.iter_mut().zip(slots).for_each(|(lifted, slot)| *lifted = slot.lift());
            scale_add(sum, &lifted[..sum.len()], delta);
        }
    }
}

/// A party's set, padded to its band with dummies that no other party has.
pub(super) struct Set {
    items: Items,
    band: u32,
    dummies: Zeroizing<[u8; 32]>,
}

impl Set {
    /// # Errors
    /// [`InputError::TooMany`] where there are more items than `band`.
    pub(super) fn new(items: Items, band: u32, rng: &mut SessionRng) -> Result<Self> {
        if items.len() > band as usize {
            return Err(InputError::TooMany { got: items.len() as u64, max: u64::from(band) }.into());
        }
        let mut dummies = Zeroizing::new([0; 32]);
        rng.fill_bytes(dummies.as_mut_slice());
        Ok(Self { items, band, dummies })
    }

    /// The key of every item in row order, and then of the dummies. Items and dummies take the same path; time tells them apart
    /// where an item is longer than 54 bytes, and so one block of SHA-256 more than a dummy.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where the run was stopped.
    pub(super) fn keys(&self, hashes: &Hashes, stop: &Stop<'_>) -> Result<Zeroizing<Vec<u128>>> {
        let mut keys = Zeroizing::new(vec![0; self.band as usize]);
        keys.par_chunks_mut(CHUNK).enumerate().try_for_each(|(chunk, keys)| {
            stop.check()?;
            hashes.key.hash_batch(keys, |place, ending| {
                let row = chunk * CHUNK + place;
                if row < self.items.len() {
                    ending.put(&[0]);
                    ending.put(self.items.get(row));
                } else {
                    ending.put(&[1]);
                    ending.put(self.dummies.as_slice());
                    ending.put(&(row as u32).to_le_bytes());
                }
            });
            Ok::<(), Error>(())
        })?;
        Ok(keys)
    }

    /// The rows that stood at these places in the order of [`Set::keys`]. Dummies have none.
    pub(super) fn rows(&self, places: impl Iterator<Item = u32>) -> Rows {
        Rows::new(places.map(u64::from).filter(|row| *row < self.items.len() as u64).collect())
    }

    /// Why hashes of elements collide: an item is there twice, or else something happened that is rarer than 2^-40.
    fn collision(&self, stop: &Stop<'_>) -> Error {
        let never = Error::Bug(Bug("hashes of different items collided; run the job again"));
        refuse_duplicates(&self.items, stop).err().unwrap_or(never)
    }
}

/// The hash functions of a run.
pub(super) struct Hashes {
    /// 128 bits stand for an element from here on: two of q elements share them with probability q^2 * 2^-129.
    key: Prefixed,
    value: Aes128,
}

impl Hashes {
    /// Under the session and the protocol's step.
    pub(super) fn new(s: &Session) -> Self {
        let (mut first, mut value) = ([0; 64], [0; 16]);
        first[..32].copy_from_slice(&s.binding("psi/rr22/key"));
        first[32..].copy_from_slice(b"banyan/rr22/v1 key of an element");
        value.copy_from_slice(&s.binding("psi/rr22/value")[..16]);
        Self { key: Prefixed::new(&first), value: Aes128::new(u128::from_le_bytes(value)) }
    }

    /// H(x) of each key.
    fn values(&self, keys: &[u128], mut work: impl FnMut(usize, &mut [u128])) {
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            let mut values = [0; CHUNK];
            values[..keys.len()].copy_from_slice(keys);
            self.value.mmo(&mut values[..keys.len()]);
            work(chunk * CHUNK, &mut values[..keys.len()]);
        }
    }
}

/// The receiver's table, and what it is a table of.
pub(super) struct Encoded<F> {
    pub(super) seed: u128,
    pub(super) okvs: Okvs,
    pub(super) keys: Arranged,
    pub(super) table: Vec<F>,
}

/// A store of the set in which each element has H(x), under the first seed that serves.
///
/// # Errors
/// [`InputError::Duplicate`].
pub(super) fn encode<F: Slot>(set: &Set, hashes: &Hashes, rng: &mut SessionRng, stop: &Stop<'_>) -> Result<Encoded<F>> {
    let keys = set.keys(hashes, stop)?;
    for _ in 0..SEEDS {
        let seed = random(rng);
        let okvs = Okvs::new(keys.len(), seed);
        let keys = okvs.arrange(&keys);
        let mut values = vec![F::ZERO; keys.keys().len()];
        stop.check()?;
        hashes.values(keys.keys(), |first, hashed| {
            values[first..].iter_mut().zip(hashed).for_each(|(value, hashed)| *value = F::lowest(*hashed));
        });
        stop.check()?;
        if let Ok(table) = okvs.encode(&keys, &values, rng) {
            return Ok(Encoded { seed, okvs, keys, table });
        }
    }
    Err(set.collision(stop))
}

/// A + P, in place.
pub(super) fn mask<F: Slot>(a: &mut [F], p: &[F]) {
    a.iter_mut().zip(p).for_each(|(a, p)| *a = a.xor(*p));
}

/// F(x) = h(decode(C, x) + w, x) of each key in their order.
pub(super) fn receiver_tags(okvs: &Okvs, keys: &Arranged, c: &[u128], w: u128) -> Zeroizing<Vec<u128>> {
    let mut tags = Zeroizing::new(vec![0; keys.keys().len()]);
    okvs.decode(c, keys, &mut tags);
    finish(&mut tags, keys.keys(), w);
    tags
}

/// F(y) = h(decode(K, y) + H(y)·Δ + w, y) of each key in their order.
pub(super) fn sender_tags<F: Slot>(
    (okvs, hashes): (&Okvs, &Hashes),
    keys: &Arranged,
    k: &[u128],
    delta: u128,
    w: u128,
) -> Zeroizing<Vec<u128>> {
    let mut tags = Zeroizing::new(vec![0; keys.keys().len()]);
    okvs.decode(k, keys, &mut tags);
    hashes.values(keys.keys(), |first, values| {
        values.iter_mut().for_each(|value| *value = F::lowest(*value).lift());
        scale(values, delta);
        tags[first..].iter_mut().zip(values).for_each(|(tag, value)| *tag ^= *value);
    });
    finish(&mut tags, keys.keys(), w);
    tags
}

/// The sender's tags as they are sent.
///
/// # Errors
/// [`InputError::Duplicate`].
pub(super) fn write_tags(set: &Set, layout: Layout, tags: &[u128], stop: &Stop<'_>) -> Result<Vec<u8>> {
    layout.write(tags).ok_or_else(|| set.collision(stop))
}

/// c = a hash of w_s, which has 128 random bits to hide in.
pub(super) fn commit(s: &Session, coin: u128) -> [u8; 32] {
    Sha256::new_with_prefix(s.binding("psi/rr22/coin")).chain_update(coin.to_le_bytes()).finalize().into()
}

/// A uniform block.
pub(super) fn random(rng: &mut SessionRng) -> u128 {
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}
