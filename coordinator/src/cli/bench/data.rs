//! Made-up national ids: 18 characters as in GB 11643, with a right check digit, no two alike, the same at every run.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Regions, days and serial numbers that the ids are drawn from.
const REGIONS: u64 = 400;
const DAYS: u64 = 20_000;
const SERIALS: u64 = 999;
/// How many different ids there are: more than any job has rows on one machine.
pub(super) const IDS_MAX: u64 = REGIONS * DAYS * SERIALS;
/// A prime that divides none of the factors above: multiplying by it walks through all ids once.
const STRIDE: u64 = 2_654_435_761;

/// The two sets of a bench: half of the smaller one is common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sets {
    /// Ids of the receiver.
    pub(super) receiver: u64,
    /// Ids of the sender.
    pub(super) sender: u64,
}

impl Sets {
    /// How many ids are in both.
    pub(super) fn common(&self) -> u64 {
        self.receiver.min(self.sender) / 2
    }

    /// The receiver's ids in a mixed order.
    pub(super) fn of_receiver(self) -> impl Iterator<Item = [u8; 18]> {
        mixed(self.receiver).map(id)
    }

    /// The sender's ids in a mixed order.
    pub(super) fn of_sender(self) -> impl Iterator<Item = [u8; 18]> {
        self.of_sender_number(0)
    }

    /// The ids of one of several senders, from 0: each next one has half as many in common with the receiver.
    pub(super) fn of_sender_number(self, number: u32) -> impl Iterator<Item = [u8; 18]> {
        let first = self.receiver - (self.common() >> number);
        mixed(self.sender).map(move |index| id(first + index))
    }
}

/// Writes one column `id`.
pub(super) fn write_csv(file: &Path, ids: impl Iterator<Item = [u8; 18]>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(file)?);
    out.write_all(b"id\n")?;
    for id in ids {
        out.write_all(&id)?;
        out.write_all(b"\n")?;
    }
    out.into_inner()?.sync_all()
}

/// Writes the columns `id` and `amount`: the numbers from 0.
pub(super) fn write_amounts(file: &Path, ids: impl Iterator<Item = [u8; 18]>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(file)?);
    out.write_all(b"id,amount\n")?;
    for (amount, id) in ids.enumerate() {
        out.write_all(&id)?;
        writeln!(out, ",{amount}")?;
    }
    out.into_inner()?.sync_all()
}

/// 0 to `count - 1`, each once, in an order that is far from sorted.
fn mixed(count: u64) -> impl Iterator<Item = u64> {
    // the stride is prime, so it walks through all of them unless it divides their number
    let stride = if count.is_multiple_of(STRIDE) { 1 } else { STRIDE % count.max(1) };
    (0..count).map(move |i| (u128::from(i) * u128::from(stride) % u128::from(count)) as u64)
}

/// The id of that number below [`IDS_MAX`].
fn id(number: u64) -> [u8; 18] {
    let scattered = (u128::from(number) * u128::from(STRIDE) % u128::from(IDS_MAX)) as u64;
    let (region, rest) = (scattered / (DAYS * SERIALS), scattered % (DAYS * SERIALS));
    let (day, serial) = (rest / SERIALS, rest % SERIALS + 1);
    // months of 28 days: real dates all the same
    let (year, month, day) = (1950 + day / 336, day % 336 / 28 + 1, day % 28 + 1);
    let text = format!("{:06}{year:04}{month:02}{day:02}{serial:03}", 110_101 + region * 1000);
    let mut id = [b'0'; 18];
    id[..17].copy_from_slice(text.as_bytes());
    id[17] = check_digit(&id);
    id
}

/// GB 11643: weights 2^(17-i) mod 11 over the first 17 digits.
fn check_digit(id: &[u8; 18]) -> u8 {
    let weight = |i: usize| (1_u32 << (17 - i)) % 11;
    let sum: u32 = id[..17].iter().enumerate().map(|(i, digit)| u32::from(digit - b'0') * weight(i)).sum();
    b"10X98765432"[(sum % 11) as usize]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn check_digits_are_those_of_the_standard() {
        let mut known = *b"11010519491231002X"; // the example of GB 11643-1999
        assert_eq!(check_digit(&known), b'X');
        known[16] = b'3';
        assert_ne!(check_digit(&known), b'X');
    }

    #[test]
    fn half_of_the_smaller_set_is_common_and_no_id_stands_twice() {
        for (receiver, sender) in [(1, 1), (2, 1), (33, 6789), (6789, 31), (65_536, 65_536)] {
            let sets = Sets { receiver, sender };
            let a: BTreeSet<_> = sets.of_receiver().collect();
            let b: BTreeSet<_> = sets.of_sender().collect();
            assert_eq!((a.len() as u64, b.len() as u64), (receiver, sender));
            assert_eq!(a.intersection(&b).count() as u64, sets.common(), "{sets:?}");
        }
        let last: BTreeSet<_> = [id(0), id(1), id(IDS_MAX - 1)].into();
        assert_eq!(last.len(), 3);
        assert!(last.iter().all(|id| id[..17].iter().all(u8::is_ascii_digit)));
    }

    #[test]
    fn files_are_not_sorted() {
        let ids: Vec<_> = Sets { receiver: 1000, sender: 1000 }.of_receiver().collect();
        assert!(!ids.is_sorted());
    }
}
