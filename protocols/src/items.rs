//! Inputs and outputs of set protocols: a compact set of keys, and positions in it.

use std::fmt;

use zeroize::Zeroize;

/// The longest key in bytes after normalisation: longer ones are an input error at the owner.
pub const ITEM_MAX: usize = 4096;

/// Keys of one party, in its own row order, in one buffer. Debug prints the count; drop erases.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Items {
    bytes: Vec<u8>,
    ends: Vec<u64>,
}

impl Items {
    /// An empty set with room for `rows` keys of about `bytes` bytes in all.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(rows) }
    }

    /// Appends a key.
    pub fn push(&mut self, item: &[u8]) {
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
