//! The sender's tags as they are sent: sorted, in the coding of Elias (1974) and Fano (1971), of a length that their number
//! alone decides. Tags are looked up in the coded form, which is an index of itself.
//!
//! A tag has `upper + 8 * lower` bits. For each of the 2^upper values that the topmost bits may have, in ascending order,
//! the coding has a one for each tag with that value, and then a zero; these bits fill bytes, lowest first, with zeros at the
//! end. The other bits of each tag follow, `lower` bytes in little-endian order. With `upper = floor(log2 m)` the m tags
//! cost at most two bits for their topmost bits.

use crate::error::Fault;
use crate::message::Malformed;

/// Tags that are looked up together.
const BATCH: usize = 64;

/// How tags of a number are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    count: usize,
    upper_bits: u32,
    lower_bytes: usize,
}

impl Layout {
    /// Of `count` tags of at least `bits` bits each.
    pub(super) fn new(count: u32, bits: u32) -> Self {
        let upper_bits = count.checked_ilog2().unwrap_or(0);
        Self { count: count as usize, upper_bits, lower_bytes: bits.saturating_sub(upper_bits).div_ceil(8) as usize }
    }

    /// Bytes of the coding; none where there are no tags.
    pub(super) fn bytes(&self) -> usize {
        if self.count == 0 { 0 } else { self.unary_bytes() + self.count * self.lower_bytes }
    }

    fn unary_bytes(&self) -> usize {
        (self.count + (1 << self.upper_bits)).div_ceil(8)
    }

    fn lower_bits(&self) -> u32 {
        8 * self.lower_bytes as u32
    }

    fn upper(&self, tag: u128) -> usize {
        (tag >> self.lower_bits()) as usize & ((1 << self.upper_bits) - 1)
    }

    fn lower(&self, tag: u128) -> u128 {
        tag & ((1 << self.lower_bits()) - 1)
    }

    /// The coding of the lowest bits of `tags`, or `None` where two of them are equal there. Panics where there are more or
    /// fewer than the layout has.
    pub(super) fn write(&self, tags: &[u128]) -> Option<Vec<u8>> {
        assert_eq!(tags.len(), self.count, "as many tags as the layout has");
        if tags.is_empty() {
            return Some(Vec::new());
        }
        let mut ends = vec![0u32; 1 << self.upper_bits];
        tags.iter().for_each(|tag| ends[self.upper(*tag)] += 1);
        let mut bytes = vec![0; self.bytes()];
        let (unary, lower) = bytes.split_at_mut(self.unary_bytes());
        let mut start = 0;
        for (value, end) in ends.iter_mut().enumerate() {
            let count = std::mem::replace(end, start);
            (start as usize..(start + count) as usize)
                .for_each(|tag| unary[(tag + value) / 8] |= 1 << ((tag + value) % 8));
            start += count;
        }
        for tag in tags {
            let end = &mut ends[self.upper(*tag)];
            self.put(*tag, &mut lower[*end as usize * self.lower_bytes..][..self.lower_bytes]);
            *end += 1;
        }
        let mut start = 0;
        let all_differ = ends.iter().all(|end| {
            let tags = &mut lower[start as usize * self.lower_bytes..*end as usize * self.lower_bytes];
            start = *end;
            self.sort(tags)
        });
        all_differ.then_some(bytes)
    }

    /// Sorts the lower parts of tags whose topmost bits are equal, and tells whether they differ.
    fn sort(&self, lower: &mut [u8]) -> bool {
        let count = lower.len() / self.lower_bytes;
        if count < 2 {
            return true;
        }
        // There are two on average, and more than eight once in 10^6 times.
        let (mut few, mut many) = ([0; 8], Vec::new());
        let tags = if count <= few.len() {
            &mut few[..count]
        } else {
            many.resize(count, 0);
            &mut many[..]
        };
        tags.iter_mut().zip(lower.chunks_exact(self.lower_bytes)).for_each(|(tag, bytes)| *tag = number(bytes));
        tags.sort_unstable();
        tags.iter().zip(lower.chunks_exact_mut(self.lower_bytes)).for_each(|(tag, bytes)| self.put(*tag, bytes));
        tags.is_sorted_by(|one, next| one < next)
    }

    /// Writes the lower part of a tag as two words that overlap, where it has at least the bytes of one.
    #[inline]
    fn put(&self, tag: u128, bytes: &mut [u8]) {
        match bytes.len().checked_sub(8) {
            Some(rest) => {
                bytes[..8].copy_from_slice(&(tag as u64).to_le_bytes());
                bytes[rest..].copy_from_slice(&((tag >> (8 * rest)) as u64).to_le_bytes());
            }
            None => bytes.copy_from_slice(&tag.to_le_bytes()[..bytes.len()]),
        }
    }
}

/// Sorted tags, in which others are looked up.
pub(super) struct Index {
    layout: Layout,
    /// For each value of the topmost bits, the place of the first tag with that value or a later one; and the number of tags.
    starts: Vec<u32>,
    /// The lower parts, and 16 bytes more, so that each can be read as a number at once.
    lower: Vec<u8>,
}

impl Index {
    /// Reads a coding of [`Layout::bytes`] bytes.
    ///
    /// # Errors
    /// [`Fault`] where it is no coding of as many tags, or they are not all different.
    pub(super) fn read(layout: Layout, mut bytes: Vec<u8>) -> Result<Self, Fault> {
        assert_eq!(bytes.len(), layout.bytes(), "the length is checked where frames are read");
        if layout.count == 0 {
            return Ok(Self { layout, starts: vec![0; 2], lower: vec![0; 16] });
        }
        let mut lower = bytes.split_off(layout.unary_bytes());
        lower.extend([0; 16]);
        let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
        let (values, bits) = (1 << layout.upper_bits, layout.count + (1 << layout.upper_bits));
        let mut starts = vec![0; values + 1];
        let (mut value, mut tags) = (0, 0);
        for at in 0..bits {
            if let Some(start) = starts.get_mut(value + 1) {
                *start = tags;
            }
            tags += bit(at);
            value += 1 - bit(at) as usize;
        }
        let no_padding = (bits..8 * bytes.len()).all(|at| bit(at) == 0);
        if starts[values] as usize != layout.count || value != values || !no_padding {
            return Err(Malformed::Range { field: "upper bits" }.into());
        }
        let index = Self { layout, starts, lower };
        index.check_order().map(|()| index)
    }

    /// Calls `found` with the place of each of these tags that is among the sorted ones, and its place there.
    pub(super) fn find(&self, tags: &[u128], mut found: impl FnMut(usize, usize)) {
        for (batch, tags) in tags.chunks(BATCH).enumerate() {
            // Memory is read for the whole batch before any branch depends on it, so that reads wait together.
            let mut first = [(0, 0, 0); BATCH];
            for (first, tag) in first.iter_mut().zip(tags) {
                let upper = self.layout.upper(*tag);
                let (start, end) = (self.starts[upper] as usize, self.starts[upper + 1] as usize);
                *first = (start, end, self.lower(start));
            }
            for (place, (tag, (start, end, first))) in tags.iter().zip(first).enumerate() {
                let lower = self.layout.lower(*tag);
                let here = |at: &usize| if *at == start { first == lower } else { self.lower(*at) == lower };
                if let Some(at) = (start..end).find(here) {
                    found(batch * BATCH + place, at);
                }
            }
        }
    }

    fn lower(&self, place: usize) -> u128 {
        let start = place * self.layout.lower_bytes;
        self.layout.lower(number(&self.lower[start..start + 16]))
    }

    fn check_order(&self) -> Result<(), Fault> {
        for value in self.starts.windows(2) {
            for place in value[0] as usize + 1..value[1] as usize {
                match self.lower(place - 1).cmp(&self.lower(place)) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Err(Fault::Repeat { index: place as u64 }),
                    std::cmp::Ordering::Greater => return Err(Malformed::Range { field: "order of tags" }.into()),
                }
            }
        }
        Ok(())
    }
}

/// Up to 16 little-endian bytes.
fn number(bytes: &[u8]) -> u128 {
    let mut block = [0; 16];
    block[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(block)
}
