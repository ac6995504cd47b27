//! Which of a party's rows were found, by which of the job's keys, and which of them a result has. Rows are places in the
//! file, ascending, so that a result is in the file's order.

use banyan_proto::job::ResultKind;
use banyan_protocols::items::{Items, Rows};

use super::snapshot::Pinned;

/// The rows found so far. A row is found by one key at most: it then leaves the later ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Of each key of the job, in its order, the rows found by it.
    by_key: Vec<Vec<u64>>,
    matches: u64,
}

/// The rows of a result, with the number of the key that found each, from 1, and 0 where none did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    pub(super) rows: Vec<u64>,
    pub(super) by: Vec<u8>,
}

impl Found {
    /// Those of the keys in `items`, whose rows are `pinned`, that stand in a row not found yet, and their places among all;
    /// none where they are all.
    pub fn sought(&self, pinned: &Pinned, items: Items) -> (Items, Option<Vec<u32>>) {
        if self.by_key.iter().all(Vec::is_empty) {
            return (items, None);
        }
        let mut left: Vec<bool> = pinned.rows.iter().map(|row| !self.has(*row)).collect();
        for (row, place) in &pinned.more {
            left[*place as usize] |= !self.has(*row);
        }
        let places = (0..left.len()).filter(|place| left[*place]);
        let (mut kept, mut all) = (Items::default(), Vec::new());
        for place in places {
            kept.push(items.get(place));
            all.push(place as u32);
        }
        (kept, Some(all))
    }

    /// Notes what the next key found: `rows` are positions in the set that was sought, whose places these are.
    pub fn note(&mut self, pinned: &Pinned, places: Option<&[u32]>, rows: &Rows) {
        let place =
            |at: &u64| usize::try_from(*at).ok().and_then(|at| places.map_or(Some(at as u32), |p| p.get(at).copied()));
        let hits: Vec<u32> = rows.as_slice().iter().filter_map(place).collect();
        let first = hits.iter().filter_map(|place| pinned.rows.get(*place as usize).copied());
        let more = pinned.more.iter().filter(|(_, place)| hits.binary_search(place).is_ok()).map(|(row, _)| *row);
        let mut found: Vec<u64> = first.chain(more).filter(|row| !self.has(*row)).collect();
        found.sort_unstable();
        self.matches += hits.len() as u64;
        self.by_key.push(found);
    }

    /// How many keys were found: the same number at both parties.
    pub fn matches(&self) -> u64 {
        self.matches
    }

    /// The rows that a result of this kind has. `pinned` are those of each key of the job.
    pub fn pick(&self, pinned: &[Pinned], kind: ResultKind) -> Picked {
        if let (ResultKind::Rows, [found]) = (kind, &self.by_key[..]) {
            return Picked { rows: found.clone(), by: vec![1; found.len()] };
        }
        let mut by = self.walk();
        let rows = selected(pinned).into_iter().map(|row| (row, by(row)));
        match kind {
            ResultKind::Left => rows.collect(),
            ResultKind::Rows => rows.filter(|(_, by)| *by != 0).collect(),
            ResultKind::Difference => rows.filter(|(_, by)| *by == 0).collect(),
            ResultKind::Count | ResultKind::Sum => Picked::default(),
        }
    }

    /// How many rows were not found, counting none that repeats a key of an earlier row: what a difference opens, as far as
    /// it may stand for a person each.
    pub fn unmatched(&self, pinned: &[Pinned]) -> u64 {
        let mut repeats: Vec<u64> = pinned.iter().flat_map(|key| &key.more).map(|(row, _)| *row).collect();
        repeats.sort_unstable();
        let mut by = self.walk();
        let counts = |row: &&u64| by(**row) == 0 && repeats.binary_search(row).is_err();
        selected(pinned).iter().filter(counts).count() as u64
    }

    fn has(&self, row: u64) -> bool {
        self.by_key.iter().any(|found| found.binary_search(&row).is_ok())
    }

    /// Answers with the number of the key that found a row, or 0, for rows that are asked for in ascending order.
    fn walk(&self) -> impl FnMut(u64) -> u8 {
        let by_key = (1..=u8::MAX).zip(&self.by_key); // a job has far fewer keys
        let mut found: Vec<(u64, u8)> =
            by_key.flat_map(|(key, rows)| rows.iter().map(move |row| (*row, key))).collect();
        found.sort_unstable();
        let mut next = 0;
        move |row| {
            while found.get(next).is_some_and(|(found, _)| *found < row) {
                next += 1;
            }
            found.get(next).filter(|(found, _)| *found == row).map_or(0, |(_, key)| *key)
        }
    }
}

impl FromIterator<(u64, u8)> for Picked {
    fn from_iter<I: IntoIterator<Item = (u64, u8)>>(rows: I) -> Self {
        let (rows, by) = rows.into_iter().unzip();
        Self { rows, by }
    }
}

/// Every row in the job, ascending: those that stand for a key of any kind, and those without any.
fn selected(pinned: &[Pinned]) -> Vec<u64> {
    let keyed = pinned.iter().flat_map(|key| key.rows.iter().copied().chain(key.more.iter().map(|(row, _)| *row)));
    let mut rows: Vec<u64> = keyed.collect();
    if let Some((first, rest)) = pinned.split_first() {
        let nowhere = |row: &&u64| rest.iter().all(|key| key.keyless.binary_search(row).is_ok());
        rows.extend(first.keyless.iter().filter(nowhere));
    }
    rows.sort_unstable();
    rows.dedup();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows by key of one kind: of each row its key, or none.
    fn pinned(keys: &[Option<&str>], all: bool) -> (Pinned, Items) {
        let (mut pinned, mut items, mut seen) = (Pinned::default(), Items::default(), Vec::new());
        for (row, key) in (0..).zip(keys) {
            let Some(key) = key else {
                pinned.keyless.push(row);
                continue;
            };
            match seen.iter().position(|earlier| earlier == key) {
                Some(place) if all => pinned.more.push((row, place as u32)),
                Some(_) => {}
                None => {
                    seen.push(*key);
                    items.push(key.as_bytes());
                    pinned.rows.push(row);
                }
            }
        }
        (pinned, items)
    }

    fn texts(items: &Items) -> Vec<&str> {
        items.iter().map(|item| std::str::from_utf8(item).unwrap()).collect()
    }

    fn picked(found: &Found, pinned: &[Pinned], kind: ResultKind) -> Vec<(u64, u8)> {
        let Picked { rows, by } = found.pick(pinned, kind);
        rows.into_iter().zip(by).collect()
    }

    #[test]
    fn each_kind_has_its_rows_in_file_order() {
        let rows = [Some("a"), None, Some("b"), Some("a"), Some("c")];
        for (all, rows_of, left, difference, unmatched) in [
            (true, vec![(0, 1), (3, 1), (4, 1)], 5, vec![(1, 0), (2, 0)], 2),
            (false, vec![(0, 1), (4, 1)], 4, vec![(1, 0), (2, 0)], 2),
        ] {
            let (pinned, items) = pinned(&rows, all);
            let mut found = Found::default();
            let (items, places) = found.sought(&pinned, items);
            assert_eq!(texts(&items), ["a", "b", "c"], "a key is in the set once");
            found.note(&pinned, places.as_deref(), &Rows::new(vec![2, 0]));
            let pinned = [pinned];
            assert_eq!(found.matches(), 2, "keys, not rows");
            assert_eq!(picked(&found, &pinned, ResultKind::Rows), rows_of);
            assert_eq!(picked(&found, &pinned, ResultKind::Difference), difference);
            assert_eq!(picked(&found, &pinned, ResultKind::Left).len(), left);
            assert_eq!(found.unmatched(&pinned), unmatched);
        }
    }

    #[test]
    fn a_row_that_one_key_found_leaves_the_later_ones() {
        // by id a and b are found; by phone 2 is sought through the rows that are left, and 1 no more
        let (ids, id_items) = pinned(&[Some("a"), Some("b"), None, Some("c"), None], false);
        let (phones, phone_items) = pinned(&[Some("1"), Some("2"), Some("2"), None, Some("3")], true);
        let mut found = Found::default();
        let (_, places) = found.sought(&ids, id_items);
        found.note(&ids, places.as_deref(), &Rows::new(vec![0, 1]));
        let (left, places) = found.sought(&phones, phone_items);
        assert_eq!(texts(&left), ["2", "3"]);
        found.note(&phones, places.as_deref(), &Rows::new(vec![0]));
        let keys = [ids, phones];
        assert_eq!(found.matches(), 3);
        assert_eq!(picked(&found, &keys, ResultKind::Rows), [(0, 1), (1, 1), (2, 2)]);
        assert_eq!(picked(&found, &keys, ResultKind::Left), [(0, 1), (1, 1), (2, 2), (3, 0), (4, 0)]);
        assert_eq!(picked(&found, &keys, ResultKind::Difference), [(3, 0), (4, 0)]);
        assert_eq!(found.unmatched(&keys), 2);
    }

    #[test]
    fn a_row_without_any_key_is_in_a_left_join_once() {
        let (ids, items) = pinned(&[None, Some("a"), None], false);
        let (phones, _) = pinned(&[Some("1"), None, None], false);
        let mut found = Found::default();
        let (_, places) = found.sought(&ids, items);
        found.note(&ids, places.as_deref(), &Rows::new(vec![]));
        let keys = [ids, phones];
        assert_eq!(picked(&found, &keys, ResultKind::Left), [(0, 0), (1, 0), (2, 0)]);
    }

    #[test]
    fn a_difference_of_one_key_in_many_rows_counts_once() {
        let (pinned, items) = pinned(&[Some("a"), Some("a"), Some("a"), Some("b")], true);
        let mut found = Found::default();
        let (_, places) = found.sought(&pinned, items);
        found.note(&pinned, places.as_deref(), &Rows::new(vec![1]));
        let pinned = [pinned];
        assert_eq!(picked(&found, &pinned, ResultKind::Difference).len(), 3);
        assert_eq!(found.unmatched(&pinned), 1);
    }
}
