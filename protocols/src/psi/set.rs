//! What the set protocols share: a set padded to its band in a secret order, and which of two streams of tags are equal.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

use rand_core::Rng;
use zeroize::Zeroizing;

use crate::compute::Stop;
use crate::error::{Fault, InputError, Result};
use crate::items::{Items, Rows};
use crate::session::{Session, SessionRng};

/// What an element is, kept apart by its first byte.
#[repr(u8)]
enum Kind {
    Item = 0,
    Dummy = 1,
}

/// An item in the parts that [`Padded::hashes`] gives it in.
pub(super) fn item_parts(item: &[u8]) -> [&[u8]; 2] {
    const ITEM: &[u8] = &[Kind::Item as u8];
    [ITEM, item]
}

/// A party's set, padded to its band with dummies that no other party has, in an order that only this party knows.
pub(super) struct Padded {
    items: Items,
    /// Which row, or from `items.len()` on which dummy, is at each position of the stream.
    order: Zeroizing<Vec<u32>>,
    dummies: Zeroizing<[u8; 32]>,
}

impl Padded {
    /// Pads and shuffles.
    ///
    /// # Errors
    /// [`InputError`] where an item is there twice, or where there are more than `band`; or the run was stopped.
    pub(super) fn new(items: Items, band: u32, rng: &mut SessionRng, stop: &Stop<'_>) -> Result<Self> {
        if items.len() > band as usize {
            return Err(InputError::TooMany { got: items.len() as u64, max: u64::from(band) }.into());
        }
        refuse_duplicates(&items, stop)?;
        let mut order = Zeroizing::new((0..band).collect::<Vec<u32>>());
        shuffle(&mut order, rng, stop)?;
        let mut dummies = Zeroizing::new([0; 32]);
        rng.fill_bytes(dummies.as_mut_slice());
        Ok(Self { items, order, dummies })
    }

    /// [`Padded::new`] as a job of the session, with an order of its own.
    ///
    /// # Errors
    /// As [`Padded::new`].
    pub(super) async fn prepare(s: &Session, items: Items, band: u32) -> Result<Arc<Self>> {
        let mut rng = s.rng("order");
        let padded = s.compute_long(move |stop| Self::new(items, band, &mut rng, stop)).await?;
        Ok(Arc::new(padded))
    }

    /// The band.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// `hash` of each element at these positions of the stream. It is given the element in parts, to be taken as their
    /// concatenation: a byte that keeps items and dummies apart, and what it is.
    ///
    /// Items and dummies take the same path. Time tells them apart where an item is longer than the 36 bytes of a dummy and
    /// needs more blocks of the hash, and where an item comes from memory that is in no cache.
    pub(super) fn hashes<T>(&self, positions: Range<usize>, hash: impl Fn(&[&[u8]]) -> T) -> Vec<T> {
        let element = |row: &u32| {
            if (*row as usize) < self.items.len() {
                hash(&item_parts(self.items.get(*row as usize)))
            } else {
                hash(&[&[Kind::Dummy as u8], self.dummies.as_slice(), &row.to_le_bytes()])
            }
        };
        self.order[positions].iter().map(element).collect()
    }

    /// The row of the item at this position of the stream; a dummy has none.
    pub(super) fn row(&self, position: usize) -> Option<u32> {
        let row = self.order[position];
        ((row as usize) < self.items.len()).then_some(row)
    }

    /// The rows of this party's items at these positions of the stream. Dummies have none.
    pub(super) fn rows(&self, positions: impl Iterator<Item = usize>) -> Rows {
        let rows = positions.map(|position| u64::from(self.order[position]));
        Rows::new(rows.filter(|row| *row < self.items.len() as u64).collect())
    }
}

/// Which positions of two streams of tags are equal.
pub(super) struct Matches {
    /// For each of the other's tags, where it is in our own stream.
    theirs: Vec<Option<u32>>,
}

impl Matches {
    /// Finds them, or [`Fault::Repeat`] where our own elements came back with one tag twice.
    ///
    /// # Errors
    /// The run was stopped.
    pub(super) fn find<T: Eq + Hash>(mine: &[T], theirs: &[T], stop: &Stop<'_>) -> Result<Result<Self, Fault>> {
        let mut places = HashMap::with_capacity(mine.len());
        for (place, tag) in (0u32..).zip(mine) {
            stop.check()?;
            if places.insert(tag, place).is_some() {
                return Ok(Err(Fault::Repeat { index: u64::from(place) }));
            }
        }
        let find = |tag| stop.check().map(|()| places.get(tag).copied());
        Ok(Ok(Self { theirs: theirs.iter().map(find).collect::<Result<_>>()? }))
    }

    /// How many tags the other's stream has.
    pub(super) fn len(&self) -> usize {
        self.theirs.len()
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.mine().count() as u64
    }

    /// Their positions in our own stream.
    pub(super) fn mine(&self) -> impl Iterator<Item = usize> {
        self.theirs.iter().flatten().map(|place| *place as usize)
    }

    /// For each of these positions of the other's stream, whether it matches.
    pub(super) fn theirs(&self, positions: Range<usize>) -> Vec<bool> {
        self.theirs[positions].iter().map(Option::is_some).collect()
    }
}

/// Puts `values` into a uniformly random order (Fisher and Yates; Knuth, volume 2, algorithm 3.4.2P).
///
/// # Errors
/// The run was stopped.
pub(super) fn shuffle<T>(values: &mut [T], rng: &mut SessionRng, stop: &Stop<'_>) -> Result<()> {
    for last in (1..values.len()).rev() {
        stop.check()?;
        values.swap(last, below(last as u64 + 1, rng) as usize);
    }
    Ok(())
}

/// A uniform number below `bound`, without the bias of a remainder (Lemire 2019, algorithm 5).
pub(super) fn below(bound: u64, rng: &mut SessionRng) -> u64 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= threshold {
            return (product >> 64) as u64;
        }
    }
}

/// A set has each item once.
///
/// # Errors
/// [`InputError::Duplicate`] names the first pair; or the run was stopped.
pub(super) fn refuse_duplicates(items: &Items, stop: &Stop<'_>) -> Result<()> {
    let mut seen = HashMap::with_capacity(items.len());
    for (row, item) in items.iter().enumerate() {
        stop.check()?;
        if let Some(first) = seen.insert(item, row) {
            return Err(InputError::Duplicate { first: first as u64, second: row as u64 }.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::atomic::{AtomicU32, Ordering};

    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::error::Error;

    const GO_ON: Stop<'static> = Stop(&|| false);

    #[test]
    fn every_order_is_as_likely_as_any_other() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut orders = BTreeMap::new();
        for _ in 0..24_000 {
            let mut order = [0, 1, 2, 3];
            shuffle(&mut order, &mut rng, &GO_ON).unwrap();
            *orders.entry(order).or_insert(0i64) += 1;
        }
        assert_eq!(orders.len(), 24);
        // 1000 expected each, standard deviation 31: seven of them are never met by chance.
        assert!(orders.values().all(|count| (count - 1000).abs() < 220), "{orders:?}");
    }

    fn bytes(set: &Padded) -> Vec<Vec<u8>> {
        set.hashes(0..set.len(), |parts| parts.concat())
    }

    #[test]
    fn padding_fills_the_band_with_what_nobody_else_has_in_an_order_nobody_knows() {
        let pad = |seed| {
            let items: Items = (0u8..20).map(|key| [key]).collect();
            Padded::new(items, 50, &mut ChaCha20Rng::from_seed([seed; 32]), &GO_ON).unwrap()
        };
        let (one, other) = (pad(1), pad(2));
        assert_eq!(one.rows(0..50).as_slice(), (0..20).collect::<Vec<u64>>());
        assert_ne!(one.order, other.order);
        let elements = |set: &Padded| bytes(set).into_iter().collect::<BTreeSet<_>>();
        let (one, other) = (elements(&one), elements(&other));
        assert_eq!((one.len(), one.intersection(&other).count()), (50, 20), "items are shared, dummies are not");
    }

    /// Every loop over a whole set asks at each element: items and order of a set, and both streams of tags.
    #[test]
    fn long_work_stops_at_any_element() {
        let stopped_after = |checks: u32, work: &dyn Fn(&Stop<'_>) -> Result<()>| {
            let asked = AtomicU32::new(0);
            let stop = || asked.fetch_add(1, Ordering::Relaxed) == checks;
            work(&Stop(&stop))
        };
        let pad = |stop: &Stop<'_>| {
            let items: Items = (0u8..20).map(|key| [key]).collect();
            Padded::new(items, 50, &mut ChaCha20Rng::from_seed([1; 32]), stop).map(drop)
        };
        let tags: Vec<u8> = (0..30).collect();
        let find =
            |stop: &Stop<'_>| Matches::find(&tags, &tags[..7], stop).map(|found| assert_eq!(found.unwrap().count(), 7));
        for (checks, work) in [(20 + 49, &pad as &dyn Fn(&Stop<'_>) -> Result<()>), (30 + 7, &find)] {
            for check in 0..checks {
                assert_eq!(stopped_after(check, work), Err(Error::Cancelled), "check {check}");
            }
            assert_eq!(stopped_after(checks, work), Ok(()));
        }
    }

    #[test]
    fn an_item_that_looks_like_a_dummy_is_none() {
        let set = Padded::new(Items::default(), 1, &mut ChaCha20Rng::from_seed([1; 32]), &GO_ON).unwrap();
        let twin = [set.dummies.as_slice(), &0u32.to_le_bytes()].concat();
        for item in [twin.clone(), [&[Kind::Dummy as u8], &twin[..]].concat()] {
            let items: Items = [item].iter().collect();
            let other = Padded::new(items, 1, &mut ChaCha20Rng::from_seed([2; 32]), &GO_ON).unwrap();
            assert_ne!(bytes(&other), bytes(&set));
        }
    }
}
