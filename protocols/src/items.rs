//! Inputs and outputs of set protocols: a compact set of keys, and positions in it.

use std::fmt;

use zeroize::Zeroize;

/// The longest key in bytes after normalisation: longer ones are an input error at the owner.
pub const ITEM_MAX: usize = 4096;

/// Keys of one party, in its own row order, in one buffer. Debug prints the count; drop erases, and so does growing.
#[derive(Clone, Default)]
pub struct Items {
    bytes: Vec<u8>,
    ends: Vec<u64>,
}

impl Items {
    /// Appends a key.
    pub fn push(&mut self, item: &[u8]) {
        self.make_room(item.len());
        self.bytes.extend_from_slice(item);
        self.ends.push(self.bytes.len() as u64);
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key at `row`. Panics where `row` is out of range.
    pub fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.bytes[start..self.ends[row] as usize]
    }

    /// The keys in row order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// Grows by hand: a `Vec` that grows frees its old buffer with the keys in it.
    fn make_room(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let mut larger = Vec::with_capacity(needed.max(2 * self.bytes.capacity()));
            larger.extend_from_slice(&self.bytes);
            std::mem::replace(&mut self.bytes, larger).zeroize();
        }
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Items {
    fn from_iter<I: IntoIterator<Item = T>>(keys: I) -> Self {
        let mut items = Self::default();
        for key in keys {
            items.push(key.as_ref());
        }
        items
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Items({} keys)", self.len())
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Positions in this party's own items, ascending, so that order carries nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(Vec<u64>);

impl Rows {
    /// Sorts the positions.
    pub fn new(mut positions: Vec<u64>) -> Self {
        positions.sort_unstable();
        Self(positions)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The positions, ascending.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_outlive_growth_and_the_buffer_is_never_grown_by_its_vec() {
        let keys: Vec<Vec<u8>> = (0..2000u32).map(|n| n.to_le_bytes().repeat(n as usize % 9)).collect();
        let mut items = Items::default();
        let mut growths = 0;
        for key in &keys {
            let before = items.bytes.capacity();
            items.make_room(key.len());
            growths += u32::from(items.bytes.capacity() != before);
            let (room, place) = (items.bytes.capacity(), items.bytes.as_ptr());
            items.push(key);
            assert_eq!((items.bytes.capacity(), items.bytes.as_ptr()), (room, place));
        }
        assert!((5..40).contains(&growths), "{growths} copies of the keys for {} bytes", items.bytes.len());
        assert_eq!(items.len(), keys.len());
        assert!(items.iter().eq(keys.iter().map(Vec::as_slice)));
    }
}
