//! What a party holds of shared values: numbers by addition, bits by exclusive or. Cheap to clone.
//!
//! Who follows a program without holding shares (the helper, and a rehearsal) has the same types with a length and nothing
//! in them ([`Shares::absent`]), and every operation here gives an absent result of the right length for absent operands. So
//! a program is written once.

use std::fmt;
use std::ops::{Add, BitXor, Neg, Range, Sub};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::bits::{BLOCK_BITS, Bits};
use crate::ring::Ring;

/// One party's shares of numbers, which are the sums of both parties' shares. Debug prints the length; drop erases.
#[derive(Clone, PartialEq, Eq)]
pub struct Shares<R: Ring> {
    values: Arc<Zeroizing<Vec<R>>>,
    len: usize,
}

impl<R: Ring> Shares<R> {
    /// Shares of as many numbers.
    pub fn new(values: Vec<R>) -> Self {
        Self { len: values.len(), values: Arc::new(Zeroizing::new(values)) }
    }

    /// What one who holds no shares has of `len` numbers.
    pub fn absent(len: usize) -> Self {
        Self { len, values: Arc::default() }
    }

    /// Whether this party holds no shares.
    pub fn is_absent(&self) -> bool {
        self.values.len() != self.len
    }

    /// How many numbers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The shares; none where they are absent.
    pub fn values(&self) -> &[R] {
        &self.values
    }

    /// `len` numbers that follow from these by a linear map, which each party applies to its own shares.
    pub fn linear(&self, len: usize, map: impl FnOnce(&[R]) -> Vec<R>) -> Self {
        if self.is_absent() {
            return Self::absent(len);
        }
        let mapped = Self::new(map(&self.values));
        assert_eq!(mapped.len, len, "as many numbers as stated");
        mapped
    }

    /// Every number times a public one.
    pub fn scale(&self, by: R) -> Self {
        self.linear(self.len, |values| values.iter().map(|value| value.times(by)).collect())
    }

    /// The sum of all numbers.
    pub fn sum(&self) -> Self {
        self.linear(1, |values| vec![values.iter().fold(R::ZERO, |sum, value| sum.plus(*value))])
    }

    /// Some of the numbers in a row.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.len, "numbers of the vector");
        self.linear(range.len(), |values| values[range].to_vec())
    }

    /// All numbers of all vectors, one after the other. Absent where one that is not empty is.
    pub fn concat(parts: &[&Self]) -> Self {
        let len = parts.iter().map(|part| part.len).sum();
        if parts.iter().any(|part| part.is_absent()) {
            return Self::absent(len);
        }
        Self::new(parts.iter().flat_map(|part| part.values.iter().copied()).collect())
    }

    fn with(&self, other: &Self, combine: impl Fn(R, R) -> R) -> Self {
        assert_eq!(self.len, other.len, "vectors of one length");
        if self.is_absent() || other.is_absent() {
            return Self::absent(self.len);
        }
        Self::new(self.values.iter().zip(other.values.iter()).map(|(a, b)| combine(*a, *b)).collect())
    }
}

impl<R: Ring> Add for &Shares<R> {
    type Output = Shares<R>;
    fn add(self, other: Self) -> Shares<R> {
        self.with(other, R::plus)
    }
}

impl<R: Ring> Sub for &Shares<R> {
    type Output = Shares<R>;
    fn sub(self, other: Self) -> Shares<R> {
        self.with(other, R::minus)
    }
}

impl<R: Ring> Neg for &Shares<R> {
    type Output = Shares<R>;
    fn neg(self) -> Shares<R> {
        self.linear(self.len, |values| values.iter().map(|value| R::ZERO.minus(*value)).collect())
    }
}

impl<R: Ring> fmt::Debug for Shares<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shares({})", self.len)
    }
}

/// One party's shares of bits, which are the exclusive ors of both parties' shares. Debug prints the length; drop erases.
///
/// Bit-sliced numbers are planes: one vector for each place of the numbers. Many planes are handled at once by
/// [`BitShares::stack`], which starts each at a whole block.
#[derive(Clone, PartialEq, Eq)]
pub struct BitShares {
    bits: Arc<Bits>,
    len: usize,
}

impl BitShares {
    /// Shares of as many bits.
    pub fn new(bits: Bits) -> Self {
        Self { len: bits.len(), bits: Arc::new(bits) }
    }

    /// What one who holds no shares has of `len` bits.
    pub fn absent(len: usize) -> Self {
        Self { len, bits: Arc::default() }
    }

    /// Whether this party holds no shares.
    pub fn is_absent(&self) -> bool {
        self.bits.len() != self.len
    }

    /// How many bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The shares; none where they are absent.
    pub fn bits(&self) -> &Arc<Bits> {
        &self.bits
    }

    /// `len` bits that follow from these by a linear map, which each party applies to its own shares.
    pub fn linear(&self, len: usize, map: impl FnOnce(&Bits) -> Bits) -> Self {
        if self.is_absent() {
            return Self::absent(len);
        }
        let mapped = Self::new(map(&self.bits));
        assert_eq!(mapped.len, len, "as many bits as stated");
        mapped
    }

    /// The planes, one after the other, each filled with zeros to whole blocks of 128.
    pub fn stack(planes: &[&Self]) -> Self {
        let len = planes.iter().map(|plane| plane.len.next_multiple_of(BLOCK_BITS)).sum();
        if planes.iter().any(|plane| plane.is_absent()) {
            return Self::absent(len);
        }
        let blocks = planes.iter().flat_map(|plane| plane.bits.blocks().iter().copied()).collect();
        Self::new(Bits::from_blocks(blocks, len))
    }

    /// The planes of `len` bits that [`BitShares::stack`] made one vector of.
    pub fn planes(&self, len: usize) -> Vec<Self> {
        let blocks = len.div_ceil(BLOCK_BITS);
        let count = self.len.checked_div(blocks * BLOCK_BITS).unwrap_or(0);
        let plane = |n: usize| {
            self.linear(len, |bits| Bits::from_blocks(bits.blocks()[n * blocks..(n + 1) * blocks].to_vec(), len))
        };
        (0..count).map(plane).collect()
    }
}

impl BitXor for &BitShares {
    type Output = BitShares;
    fn bitxor(self, other: Self) -> BitShares {
        assert_eq!(self.len, other.len, "vectors of one length");
        if self.is_absent() || other.is_absent() {
            return BitShares::absent(self.len);
        }
        let mut bits = (*self.bits).clone();
        bits ^= &other.bits;
        BitShares::new(bits)
    }
}

impl fmt::Debug for BitShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BitShares({})", self.len)
    }
}

/// One party's shares of a matrix, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix<R: Ring> {
    /// How many rows.
    pub rows: usize,
    /// How many columns.
    pub columns: usize,
    /// The entries: `rows * columns` of them.
    pub entries: Shares<R>,
}

impl<R: Ring> Matrix<R> {
    /// A matrix of these entries, row by row. Panics where there are not `rows * columns`.
    pub fn new(rows: usize, columns: usize, entries: Shares<R>) -> Self {
        assert_eq!(entries.len(), rows * columns, "an entry for each place");
        Self { rows, columns, entries }
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let (rows, columns) = (self.rows, self.columns);
        let entries = self.entries.linear(rows * columns, |values| {
            (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
        });
        Self { rows: columns, columns: rows, entries }
    }
}
