//! Which keys were seen: an open-addressing table of positions into [`Items`], each beside the hash of its key, so that a
//! key is looked at only where it is very likely the same one, and never while the table grows. It compares the keys
//! themselves, so no two different keys are ever taken for one; it holds eight bytes a slot and no copy of a key; its hash
//! is keyed at random, so nobody can prepare keys that collide.

use std::hash::{BuildHasher, RandomState};

use banyan_protocols::items::Items;

/// Slots of a fresh table.
const SLOTS_MIN: usize = 1024;

/// The most keys of one table: positions plus one must fit u32.
pub(crate) const KEYS_MAX: usize = u32::MAX as usize - 1;

/// A set of keys held elsewhere.
pub(crate) struct Seen {
    /// The length is a power of two, at most three quarters in use.
    slots: Vec<Slot>,
    hash: RandomState,
}

/// A key's place, and half of its hash; the upper bits of that half say where in the table it is looked for, so that a
/// table grows by one pass in order.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    /// Position plus one; zero is free.
    position: u32,
}

const FREE: Slot = Slot { hash: 0, position: 0 };

impl Seen {
    pub(crate) fn new() -> Self {
        Self { slots: vec![FREE; SLOTS_MIN], hash: RandomState::new() }
    }

    /// Makes room for so many keys beside those of `items`.
    pub(crate) fn make_room(&mut self, items: &Items, more: usize) {
        while (items.len() + more) * 4 > self.slots.len() * 3 {
            self.grow();
        }
    }

    /// The hash of a key, to find it by.
    pub(crate) fn hash(&self, key: &[u8]) -> u32 {
        self.hash.hash_one(key) as u32
    }

    /// Reads the slots where keys of these hashes are looked for first. A large table is in memory and not in the caches:
    /// reads that no branch stands between wait together, and one key's search after another would wait for each.
    pub(crate) fn touch(&self, hashes: &[u32]) {
        let read = hashes.iter().fold(0, |sum, hash| sum ^ self.slots[home(*hash, self.slots.len())].hash);
        std::hint::black_box(read);
    }

    /// The position in `items` of a key equal to `key`, whose hash is `hash`; where there is none, notes that `key` is about
    /// to be pushed. There must be room.
    pub(crate) fn find_or_note(&mut self, items: &Items, key: &[u8], hash: u32) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut at = home(hash, self.slots.len());
        loop {
            let slot = self.slots[at];
            if slot.position == 0 {
                break;
            }
            let position = slot.position as usize - 1;
            if slot.hash == hash && items.get(position) == key {
                return Some(position);
            }
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { hash, position: items.len() as u32 + 1 };
        None
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
    }

    fn grow(&mut self) {
        let mut slots = vec![FREE; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for slot in std::mem::take(&mut self.slots).into_iter().filter(|slot| slot.position != 0) {
            let mut at = home(slot.hash, slots.len());
            while slots[at].position != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }
}

/// Where a key is looked for first, in a table of a power of two of slots, at most 2^32.
fn home(hash: u32, slots: usize) -> usize {
    ((u64::from(hash) * slots as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn agrees_with_a_map(keys in proptest::collection::vec(0_u32..1500, 0..3000)) {
            let (mut items, mut seen, mut map) = (Items::default(), Seen::new(), HashMap::new());
            for key in keys {
                let bytes = key.to_be_bytes();
                seen.make_room(&items, 1);
                let found = seen.find_or_note(&items, &bytes, seen.hash(&bytes));
                prop_assert_eq!(found, map.get(&key).copied());
                if found.is_none() {
                    map.insert(key, items.len());
                    items.push(&bytes);
                }
            }
        }
    }
}
