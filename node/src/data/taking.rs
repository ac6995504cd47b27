//! A snapshot being taken: each selected row's key in its normal form, checked and hashed, and handed to who keeps it.

use std::sync::Arc;

use banyan_proto::job::{Band, Duplicates, Limits, Normalise};
use banyan_protocols::items::{ITEM_MAX, Items};
use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::UInt64Type;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::catalog::DataSet;
use super::engine::keys_share;
use super::error::DataError;
use super::fingerprint::Fingerprint;
use super::near;
use super::normalise::{join_part, normalise};
use super::seen::{KEYS_MAX, Seen};
use super::snapshot::Selection;
use super::source::place;

/// The domain of the snapshot digest.
const DOMAIN: &[u8] = b"banyan/snapshot/v2\0";

/// Bytes of keys that are hashed at once: a call of the hash costs as much as a key.
const HASHED: usize = 16 << 10;

/// Keys that are looked for together: enough that the reads of memory overlap.
const TOGETHER: usize = 64;

/// Where the selected keys go.
pub(super) trait Keep: Send + 'static {
    /// Takes the key of the row at `position`, which is above every one before.
    fn key(&mut self, key: &[u8], position: u64) -> Result<(), DataError>;

    /// Bytes held.
    fn bytes(&self) -> usize;

    /// Whether `more` keys have room beside those that are held.
    fn has_room(&self, more: usize) -> bool;

    /// After the last key: what repeats an earlier key.
    fn repeated(&mut self) -> Result<Faults, DataError>;
}

/// Rows with a fault: the first one with the row that it repeats, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) first: Option<(u64, u64)>,
    pub(super) count: u64,
}

impl Faults {
    pub(super) fn note(&mut self, position: u64, earlier: u64) {
        self.first.get_or_insert((position, earlier));
        self.count += 1;
    }
}

/// What was taken.
pub(super) struct Taken<K> {
    pub(super) keep: K,
    /// The selected rows whose key is empty: they match nothing and are not sent.
    pub(super) keyless: Vec<u64>,
    pub(super) digest: [u8; 32],
    pub(super) fingerprint: Fingerprint,
}

/// Keeps distinct keys in memory, in file order.
pub(super) struct Whole {
    pub(super) items: Items,
    pub(super) rows: Vec<u64>,
    pub(super) repeated: Faults,
    /// Rows whose key stood before, with its place in `items`; kept only where all rows of a key count.
    pub(super) more: Vec<(u64, u32)>,
    all: bool,
    /// Bytes of all keys in `items`.
    key_bytes: usize,
    seen: Seen,
    waiting: Waiting,
}

/// Keys in file order that are not looked for yet.
struct Waiting {
    /// Their bytes, one behind the other; it never grows.
    bytes: Zeroizing<Vec<u8>>,
    /// Where each ends, and the position of its row.
    ends: Vec<(usize, u64)>,
}

impl Whole {
    pub(super) fn new(duplicates: Duplicates) -> Self {
        Self {
            items: Items::default(),
            rows: Vec::new(),
            repeated: Faults::default(),
            more: Vec::new(),
            all: duplicates == Duplicates::All,
            key_bytes: 0,
            seen: Seen::new(),
            waiting: Waiting { bytes: Zeroizing::new(Vec::with_capacity(2 * ITEM_MAX)), ends: Vec::new() },
        }
    }

    /// Takes a key that may repeat an earlier one: it counts once [`Whole::settle`] was called.
    pub(super) fn add(&mut self, key: &[u8], position: u64, repeats: &mut impl FnMut(u64)) {
        let Waiting { bytes, ends } = &self.waiting;
        if ends.len() == TOGETHER || bytes.len() + key.len() > bytes.capacity() {
            self.settle(repeats);
        }
        self.waiting.bytes.extend_from_slice(key);
        self.waiting.ends.push((self.waiting.bytes.len(), position));
    }

    /// Looks for the keys that wait, and calls `repeats` with the position of each that repeats an earlier one.
    pub(super) fn settle(&mut self, repeats: &mut impl FnMut(u64)) {
        let mut waiting =
            std::mem::replace(&mut self.waiting, Waiting { bytes: Zeroizing::default(), ends: Vec::new() });
        let starts = [0].into_iter().chain(waiting.ends.iter().map(|(end, _)| *end));
        let keys = || starts.clone().zip(&waiting.ends).map(|(start, (end, at))| (&waiting.bytes[start..*end], *at));
        self.seen.make_room(&self.items, waiting.ends.len());
        let hashes: Vec<u32> = keys().map(|(key, _)| self.seen.hash(key)).collect();
        self.seen.touch(&hashes);
        for ((key, position), hash) in keys().zip(hashes) {
            match self.seen.find_or_note(&self.items, key, hash) {
                Some(earlier) => {
                    self.repeated.note(position, self.rows[earlier]);
                    if self.all {
                        self.more.push((position, earlier as u32)); // fits: `Seen` has no more keys than that
                    }
                    repeats(position);
                }
                None => self.put(key, position),
            }
        }
        waiting.bytes.clear();
        waiting.ends.clear();
        self.waiting = waiting;
    }

    /// Takes a key that repeats none.
    pub(super) fn put(&mut self, key: &[u8], position: u64) {
        self.items.push(key);
        self.key_bytes += key.len();
        self.rows.push(position);
    }
}

impl Keep for Whole {
    fn key(&mut self, key: &[u8], position: u64) -> Result<(), DataError> {
        self.add(key, position, &mut |_| ());
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.key_bytes + self.waiting.bytes.len() + self.rows.len() * 16 + self.more.len() * 16 + self.seen.bytes()
    }

    fn has_room(&self, more: usize) -> bool {
        self.items.len() + self.waiting.ends.len() <= KEYS_MAX - more
    }

    fn repeated(&mut self) -> Result<Faults, DataError> {
        self.settle(&mut |_| ());
        self.seen = Seen::new();
        Ok(self.repeated)
    }
}

/// A snapshot being taken.
pub(super) struct Taking<K> {
    set: Arc<DataSet>,
    selection: Selection,
    rows_max: u64,
    limit_mb: u64,
    keep: K,
    hash: Sha256,
    /// Keys that wait to be hashed.
    unhashed: Zeroizing<Vec<u8>>,
    keyless: Vec<u64>,
    selected: u64,
    last: Option<u64>,
    key: Zeroizing<Vec<u8>>,
    part: Zeroizing<Vec<u8>>,
}

impl<K: Keep> Taking<K> {
    pub(super) fn new(
        set: &Arc<DataSet>,
        selection: &Selection,
        limits: &Limits,
        salt: &[u8; 32],
        fingerprint: &Fingerprint,
        keep: K,
    ) -> Self {
        let rule = match selection.normalise {
            Normalise::TrimV1 => b"trim-v1\0\0",
            Normalise::CnIdV1 => b"cn-id-v1\0",
        };
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(salt).chain_update(fingerprint.digest());
        let room = || Zeroizing::new(Vec::with_capacity(ITEM_MAX)); // a buffer that grows leaves the old one behind
        Self {
            set: Arc::clone(set),
            selection: selection.clone(),
            rows_max: Band::covering(selection.rows_at_most).rows(),
            limit_mb: limits.memory_mb.into(),
            keep,
            hash: hash.chain_update(rule),
            unhashed: Zeroizing::new(Vec::with_capacity(HASHED)),
            keyless: Vec::new(),
            selected: 0,
            last: None,
            key: room(),
            part: room(),
        }
    }

    /// Takes a batch: the key columns, and the rows' positions behind them.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let (position, keys) = batch.columns().split_last().ok_or_else(|| self.bug())?;
        let positions = position.as_primitive_opt::<UInt64Type>().ok_or_else(|| self.bug())?;
        let keys: Option<Vec<&StringArray>> = keys.iter().map(|key| key.as_string_opt::<i32>()).collect();
        let keys = keys.ok_or_else(|| self.bug())?;
        for row in 0..batch.num_rows() {
            self.row(&keys, row, positions.value(row))?;
        }
        // in bands, as rows are: how much memory a filter's rows took would count them
        let held = self.keep.bytes() + self.keyless.len() * 8;
        if Band::covering(held as u64).rows() > keys_share(self.limit_mb) || !self.keep.has_room(batch.num_rows()) {
            let what = format!("the key column of data set {}", self.set.id);
            return Err(DataError::Memory { what, limit_mb: self.limit_mb });
        }
        Ok(())
    }

    fn row(&mut self, keys: &[&StringArray], row: usize, position: u64) -> Result<(), DataError> {
        self.selected += 1;
        if self.selected > self.rows_max {
            return Err(DataError::TooManyRows {
                set: self.set.id.to_string(),
                asked: self.selection.rows_at_most,
                max: self.rows_max,
            });
        }
        // the engine keeps file order for a filter over one file; the output relies on it
        if self.last.replace(position).is_some_and(|last| last >= position) {
            return Err(self.bug());
        }
        if !self.normal_key(keys, row) {
            self.keyless.push(position);
            return Ok(());
        }
        if self.key.len() > ITEM_MAX {
            return Err(DataError::KeyTooLong { place: place(&self.set, position), max: ITEM_MAX });
        }
        self.hash_key();
        self.keep.key(&self.key, position)
    }

    /// Puts the normal form of the key at `row` into `self.key`; false where a part of it is empty.
    fn normal_key(&mut self, keys: &[&StringArray], row: usize) -> bool {
        self.key.clear();
        for column in keys {
            self.part.clear();
            if !column.is_null(row) {
                normalise(self.selection.normalise, column.value(row), &mut self.part);
            }
            match (self.part.is_empty(), keys.len()) {
                (true, _) => return false,
                (false, 1) => std::mem::swap(&mut self.key, &mut self.part),
                (false, _) => join_part(&self.part, &mut self.key),
            }
        }
        true
    }

    fn hash_key(&mut self) {
        if self.unhashed.len() + 4 + self.key.len() > HASHED {
            self.hash.update(&*self.unhashed);
            self.unhashed.clear();
        }
        self.unhashed.extend_from_slice(&(self.key.len() as u32).to_be_bytes());
        self.unhashed.extend_from_slice(&self.key);
    }

    /// After the last batch.
    pub(super) fn finish(mut self, fingerprint: Fingerprint) -> Result<Taken<K>, DataError> {
        let repeated = self.keep.repeated()?;
        match repeated.first {
            Some((position, earlier)) if self.selection.duplicates == Duplicates::Error => {
                let (place, first) = (place(&self.set, position), place(&self.set, earlier));
                let columns = near::list(self.selection.key.iter().map(String::as_str));
                return Err(DataError::DuplicateKey { place, first, columns, count: repeated.count });
            }
            _ => {}
        }
        let hash = self.hash.chain_update(&*self.unhashed).chain_update(self.selected.to_be_bytes());
        Ok(Taken { keep: self.keep, keyless: self.keyless, digest: hash.finalize().into(), fingerprint })
    }

    fn bug(&self) -> DataError {
        DataError::Engine { what: format!("reading data set {}", self.set.id), class: "rows out of order or shape" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Within one batch of keys that are looked for together, from one to another, and where long keys fill it early.
    #[test]
    fn a_key_is_found_again_wherever_its_first_row_is() {
        for (distinct, len) in [(7, 3), (TOGETHER, 3), (3 * TOGETHER + 1, 3), (150, ITEM_MAX)] {
            let key = |row: usize| format!("{:0len$}", row % distinct).into_bytes();
            let mut whole = Whole::new(Duplicates::All);
            let mut again = Vec::new();
            (0..2 * distinct).for_each(|row| whole.add(&key(row), row as u64, &mut |at| again.push(at)));
            whole.settle(&mut |at| again.push(at));
            assert_eq!(again, (distinct as u64..2 * distinct as u64).collect::<Vec<_>>());
            assert_eq!(whole.rows, (0..distinct as u64).collect::<Vec<_>>());
            assert!(whole.items.iter().enumerate().all(|(row, item)| item == key(row)));
            assert_eq!((whole.repeated.first, whole.repeated.count), (Some((distinct as u64, 0)), distinct as u64));
            assert!(whole.more.iter().enumerate().all(|(place, (_, earlier))| *earlier as usize == place));
        }
    }
}
