//! What a job computes on: the selected rows' keys in their normal form, each with the place of its row in the file,
//! and one salted digest that pins them.
//!
//! Memory: the keys' bytes, 8 bytes a key for its end, 8 for its row, and at most 11 for the table of keys seen, half
//! as much again while it grows; all counted against the keys' part of the job's limit. Batches stream; the file is
//! never held. The budget, and the test that holds it, are in `tests/budget.rs`.

use std::sync::Arc;

use banyan_proto::job::{Band, Duplicates, Limits, Normalise};
use banyan_protocols::items::{ITEM_MAX, Items, Rows};
use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::UInt64Type;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::catalog::{DataSet, Kind, POSITION};
use super::engine::{Engine, keys_share};
use super::error::DataError;
use super::filter::Filter;
use super::fingerprint::Fingerprint;
use super::near;
use super::normalise::{join_part, normalise};
use super::seen::{KEYS_MAX, Seen};
use super::source::place;

/// The domain of the snapshot digest.
const DOMAIN: &[u8] = b"banyan/snapshot/v1\0";

/// What to take from a data set.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The key columns, in the spec's order. All have type text.
    pub key: Vec<String>,
    /// Which rows; none means all.
    pub filter: Option<Filter>,
    /// What a repeated key means.
    pub duplicates: Duplicates,
    /// How keys get their normal form.
    pub normalise: Normalise,
    /// More rows than the band of this are refused. The exact number would be a question to count rows with: whoever
    /// writes the spec chooses it and the filter, and learns whether the job failed.
    pub rows_at_most: u64,
}

/// The input of one job. Debug prints counts.
#[derive(Debug)]
pub struct Snapshot {
    /// The distinct keys, in file order.
    pub items: Items,
    /// Where they came from; outlives the protocol run.
    pub pinned: Pinned,
}

/// The rows behind a snapshot, and the file they stand in. Holds no key.
#[derive(Clone, PartialEq, Eq)]
pub struct Pinned {
    rows: Vec<u64>,
    digest: [u8; 32],
    fingerprint: Fingerprint,
    dropped: u64,
}

impl Snapshot {
    /// Reads the selected keys of `set` under the job's limits. `salt` is fresh for the job and secret to this node, so
    /// that the digest, which others see, lets nobody test a key.
    ///
    /// Errors name the first offending row and how many there are; never a value.
    pub async fn take(
        engine: &Engine,
        set: &Arc<DataSet>,
        selection: &Selection,
        limits: &Limits,
        salt: &[u8; 32],
    ) -> Result<Self, DataError> {
        check_key(set, &selection.key)?;
        let fingerprint = {
            let set = Arc::clone(set);
            blocking("reading", move || Fingerprint::of(&set)).await?
        };
        let session = engine.session(limits)?;
        session.register(set)?;
        let columns: Vec<&str> = selection.key.iter().map(String::as_str).chain([POSITION]).collect();
        let mut batches = session.select(set, &columns, selection.filter.as_ref()).await?;
        let mut taking = Taking::new(set, selection, limits, salt, &fingerprint);
        let what = format!("reading data set {}", set.id);
        while let Some(batch) = batches.try_next().await.map_err(|error| session.error(&what, error))? {
            taking.batch(&batch)?;
        }
        fingerprint.still(set, &set.path()?)?;
        taking.finish(fingerprint)
    }
}

impl Pinned {
    /// How many keys the snapshot has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row was selected.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// SHA-256 over domain, salt, file content, rule and keys in order: the same for the same input and salt only.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// How many rows were left out because their key stood before (duplicates = "first").
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The file as it was read.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Where the rows of the keys at these positions stand in the file, ascending. Positions beyond the snapshot have
    /// no row and are left out.
    pub(crate) fn source_rows(&self, positions: &Rows) -> Vec<u64> {
        positions.as_slice().iter().filter_map(|at| self.rows.get(usize::try_from(*at).ok()?).copied()).collect()
    }
}

impl std::fmt::Debug for Pinned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pinned({} rows, {} repeated left out)", self.rows.len(), self.dropped)
    }
}

/// Runs file work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, DataError> + Send + 'static,
) -> Result<T, DataError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(DataError::Engine { what: what.into(), class: "interrupted" }))
}

fn check_key(set: &DataSet, key: &[String]) -> Result<(), DataError> {
    if key.is_empty() {
        return Err(DataError::UnknownColumn {
            set: set.id.to_string(),
            column: String::new(),
            near: "name at least one key column".into(),
        });
    }
    key.iter().try_for_each(|name| match set.column(name)?.kind {
        Kind::Text => Ok(()),
        kind => Err(DataError::KeyType { set: set.id.to_string(), column: name.clone(), kind: kind.name() }),
    })
}

/// The first row with a fault, and how many there are.
#[derive(Default)]
struct Faults {
    first: Option<(u64, u64)>,
    count: u64,
}

impl Faults {
    fn note(&mut self, position: u64, earlier: u64) {
        self.first.get_or_insert((position, earlier));
        self.count += 1;
    }
}

/// A snapshot being taken.
struct Taking<'a> {
    set: &'a DataSet,
    selection: &'a Selection,
    rows_max: u64,
    limit_mb: u64,
    items: Items,
    /// Bytes of all keys in `items`.
    key_bytes: usize,
    rows: Vec<u64>,
    seen: Seen,
    hash: Sha256,
    empty: Faults,
    repeated: Faults,
    selected: u64,
    key: Zeroizing<Vec<u8>>,
    part: Zeroizing<Vec<u8>>,
}

impl<'a> Taking<'a> {
    fn new(
        set: &'a DataSet,
        selection: &'a Selection,
        limits: &Limits,
        salt: &[u8; 32],
        fingerprint: &Fingerprint,
    ) -> Self {
        let rule = match selection.normalise {
            Normalise::TrimV1 => b"trim-v1\0\0",
            Normalise::CnIdV1 => b"cn-id-v1\0",
        };
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(salt).chain_update(fingerprint.digest());
        Self {
            set,
            selection,
            rows_max: Band::covering(selection.rows_at_most).rows(),
            limit_mb: limits.memory_mb.into(),
            items: Items::default(),
            key_bytes: 0,
            rows: Vec::new(),
            seen: Seen::new(),
            hash: hash.chain_update(rule),
            empty: Faults::default(),
            repeated: Faults::default(),
            selected: 0,
            key: Zeroizing::default(),
            part: Zeroizing::default(),
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let (position, keys) = batch.columns().split_last().ok_or_else(|| self.bug())?;
        let positions = position.as_primitive_opt::<UInt64Type>().ok_or_else(|| self.bug())?;
        let keys: Option<Vec<&StringArray>> = keys.iter().map(|key| key.as_string_opt::<i32>()).collect();
        let keys = keys.ok_or_else(|| self.bug())?;
        for row in 0..batch.num_rows() {
            self.row(&keys, row, positions.value(row))?;
        }
        let held = self.key_bytes + self.rows.len() * 16 + self.seen.bytes();
        // in bands, as rows are: how much memory a filter's rows took would count them
        if Band::covering(held as u64).rows() > keys_share(self.limit_mb)
            || self.items.len() > KEYS_MAX - batch.num_rows()
        {
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
        if !self.normal_key(keys, row) {
            self.empty.note(position, 0);
            return Ok(());
        }
        if self.key.len() > ITEM_MAX {
            return Err(DataError::KeyTooLong { place: place(self.set, position), max: ITEM_MAX });
        }
        if let Some(earlier) = self.seen.find_or_note(&self.items, &self.key) {
            self.repeated.note(position, self.rows[earlier]);
            return Ok(());
        }
        // the engine keeps file order for a filter over one file; the output relies on it
        if self.rows.last().is_some_and(|last| *last >= position) {
            return Err(self.bug());
        }
        self.hash.update((self.key.len() as u32).to_be_bytes());
        self.hash.update(&*self.key);
        self.items.push(&self.key);
        self.key_bytes += self.key.len();
        self.rows.push(position);
        Ok(())
    }

    /// Puts the normal form of the key at `row` into `self.key`; false where a part of it is empty.
    fn normal_key(&mut self, keys: &[&StringArray], row: usize) -> bool {
        self.key.zeroize();
        for column in keys {
            self.part.zeroize();
            if !column.is_null(row) {
                normalise(self.selection.normalise, column.value(row), &mut self.part);
            }
            match (self.part.is_empty(), keys.len()) {
                (true, _) => return false,
                (false, 1) => self.key.extend_from_slice(&self.part),
                (false, _) => join_part(&self.part, &mut self.key),
            }
        }
        true
    }

    fn finish(self, fingerprint: Fingerprint) -> Result<Snapshot, DataError> {
        let columns = near::list(self.selection.key.iter().map(String::as_str));
        if let Some((position, _)) = self.empty.first {
            return Err(DataError::EmptyKey { place: place(self.set, position), columns, count: self.empty.count });
        }
        match self.repeated.first {
            Some((position, earlier)) if self.selection.duplicates == Duplicates::Error => {
                let (place, first) = (place(self.set, position), place(self.set, earlier));
                return Err(DataError::DuplicateKey { place, first, columns, count: self.repeated.count });
            }
            _ => {}
        }
        let digest = self.hash.chain_update((self.rows.len() as u64).to_be_bytes()).finalize().into();
        let pinned = Pinned { rows: self.rows, digest, fingerprint, dropped: self.repeated.count };
        Ok(Snapshot { items: self.items, pinned })
    }

    fn bug(&self) -> DataError {
        DataError::Engine { what: format!("reading data set {}", self.set.id), class: "rows out of order or shape" }
    }
}
