//! Inputs and outputs of set protocols: a compact set of keys, and positions in it.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest key in bytes after normalisation: longer ones are an input error at the owner.
pub const ITEM_MAX: usize = 4096;

/// Bytes of a block of keys: little is lost at its end to a key that does not fit, and a small set does not take much.
const BLOCK: usize = 64 << 10;

/// Keys of one party, in its own row order. Debug prints the count; drop erases. Keys are kept in blocks that never grow,
/// since a buffer that grows frees the old one with the keys in it.
#[derive(Clone, Default)]
pub struct Items {
    blocks: Vec<Vec<u8>>,
    /// Of each key, the block it is in and where it ends there.
    ends: Vec<(u32, u32)>,
}

impl Items {
    /// Appends a key.
    pub fn push(&mut self, item: &[u8]) {
        let fits = |block: &Vec<u8>| block.capacity() - block.len() >= item.len();
        if !self.blocks.last().is_some_and(fits) {
            self.blocks.push(Vec::with_capacity(item.len().max(BLOCK)));
        }
        let last = self.blocks.len() - 1;
        self.blocks[last].extend_from_slice(item);
        self.ends.push((last as u32, self.blocks[last].len() as u32));
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
        let (block, end) = self.ends[row];
        let start = match row.checked_sub(1).map(|before| self.ends[before]) {
            Some((same, start)) if same == block => start,
            _ => 0,
        };
        &self.blocks[block as usize][start as usize..end as usize]
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
        self.blocks.zeroize();
    }
}

/// A column of numbers, one per row or bin, its own or a share modulo 2^64. Debug prints the count; drop erases.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Column(Vec<u64>);

impl Column {
    /// How many numbers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number at `row`. Panics where `row` is out of range.
    pub fn get(&self, row: usize) -> u64 {
        self.0[row]
    }

    /// The numbers in order.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// The numbers of these rows, and zero for none.
    pub(crate) fn at(&self, rows: &[Option<u32>]) -> Self {
        rows.iter().map(|row| row.map_or(0, |row| self.0[row as usize])).collect()
    }
}

impl FromIterator<u64> for Column {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let numbers = numbers.into_iter();
        let mut all = Vec::with_capacity(numbers.size_hint().0);
        all.extend(numbers);
        Self(all)
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Column({})", self.0.len())
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
    fn keys_of_any_length_are_read_back_from_blocks_that_never_move() {
        let mut keys: Vec<Vec<u8>> = (0..20_000u32).map(|n| n.to_le_bytes().repeat(n as usize % 9)).collect();
        keys.insert(700, vec![1; BLOCK]);
        keys.insert(900, vec![2; 3 * BLOCK]);
        let mut items = Items::default();
        let mut moved = 0;
        let blocks = |items: &Items| items.blocks.iter().map(|block| block.as_ptr()).collect::<Vec<_>>();
        for key in &keys {
            let before = blocks(&items);
            items.push(key);
            moved += u32::from(!blocks(&items).starts_with(&before));
        }
        assert_eq!((items.len(), moved), (keys.len(), 0));
        assert!((8..20).contains(&items.blocks.len()), "{} blocks", items.blocks.len());
        assert!(items.iter().eq(keys.iter().map(Vec::as_slice)));

        let mut copy = items.clone();
        copy.push(b"one more");
        assert!(copy.iter().eq(keys.iter().map(Vec::as_slice).chain([&b"one more"[..]])));
    }
}
