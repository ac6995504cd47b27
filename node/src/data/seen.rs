//! Which keys were seen: an open-addressing table of positions into [`Items`]. It compares the keys themselves, so no
//! two different keys are ever taken for one; it holds four bytes a slot and no copy of a key; its hash is keyed at
//! random, so nobody can prepare keys that collide.

use std::hash::{BuildHasher, RandomState};

use banyan_protocols::items::Items;

/// Slots of a fresh table.
const SLOTS_MIN: usize = 1024;

/// The most keys of one table: positions plus one must fit u32.
pub(crate) const KEYS_MAX: usize = u32::MAX as usize - 1;

/// A set of keys held elsewhere.
pub(crate) struct Seen {
    /// Position plus one; zero is free. The length is a power of two, at most three quarters in use.
    slots: Vec<u32>,
    hash: RandomState,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { slots: vec![0; SLOTS_MIN], hash: RandomState::new() }
    }

    /// The position in `items` of a key equal to `key`; where there is none, notes that `key` is about to be pushed.
    pub(crate) fn find_or_note(&mut self, items: &Items, key: &[u8]) -> Option<usize> {
        if (items.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow(items);
        }
        let mask = self.slots.len() - 1;
        let mut slot = self.hash.hash_one(key) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => break,
                taken => {
                    let position = taken as usize - 1;
                    if items.get(position) == key {
                        return Some(position);
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = items.len() as u32 + 1;
        None
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>()
    }

    fn grow(&mut self, items: &Items) {
        let mask = self.slots.len() * 2 - 1;
        self.slots = Vec::new();
        let mut slots = vec![0; mask + 1];
        for (position, key) in items.iter().enumerate() {
            let mut slot = self.hash.hash_one(key) as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = position as u32 + 1;
        }
        self.slots = slots;
    }
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
                let found = seen.find_or_note(&items, &bytes);
                prop_assert_eq!(found, map.get(&key).copied());
                if found.is_none() {
                    map.insert(key, items.len());
                    items.push(&bytes);
                }
            }
        }
    }
}
