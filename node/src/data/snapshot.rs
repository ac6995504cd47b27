//! What a job computes on: the selected rows' keys in their normal form, each with the place of its row in the file,
//! and one salted digest that pins them.
//!
//! Memory: the keys' bytes, 8 bytes a key for its end, 8 for its row, and at most 22 for the table of keys seen, half
//! as much again while it grows; all counted against the keys' part of the job's limit. Batches stream; the file is
//! never held. The budget, and the test that holds it, are in `tests/budget.rs`.

use std::sync::Arc;

use banyan_proto::job::{Duplicates, Limits, Normalise, Split};
use banyan_protocols::items::{Items, Rows};
use futures::TryStreamExt;

use super::apart::{Apart, Buckets};
use super::catalog::{DataSet, Kind, POSITION};
use super::engine::Engine;
use super::error::DataError;
use super::filter::Filter;
use super::fingerprint::Fingerprint;
use super::source;
use super::taking::{Keep, Taken, Taking, Whole};

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

/// The keys of a job at a party.
#[derive(Debug)]
pub enum Keys {
    /// In memory, those of each kind of key.
    Whole(Vec<Items>),
    /// In buckets on disk.
    Apart(Buckets),
}

/// The rows behind a snapshot, and the file they stand in. Holds no key.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub struct Pinned {
    /// Of each key, the first row that has it, ascending.
    pub(super) rows: Vec<u64>,
    /// Where all rows of a key count: the others, ascending, each with the place of its key.
    pub(super) more: Vec<(u64, u32)>,
    /// The selected rows whose key is empty, ascending.
    pub(super) keyless: Vec<u64>,
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
        let keep = Whole::new(selection.duplicates);
        let Taken { keep, keyless, digest, fingerprint } = take(engine, set, selection, limits, salt, keep).await?;
        let Whole { items, rows, repeated, more, .. } = keep;
        let dropped = repeated.count - more.len() as u64;
        Ok(Self { items, pinned: Pinned { rows, more, keyless, digest, fingerprint, dropped } })
    }

    /// As [`Snapshot::take`], with the keys in buckets on disk, of at most `bucket_rows` distinct keys each. The digest is
    /// the one that the whole snapshot has.
    pub async fn take_apart(
        engine: &Engine,
        set: &Arc<DataSet>,
        selection: &Selection,
        limits: &Limits,
        salt: &[u8; 32],
        (split, bucket_rows): (Split, u64),
    ) -> Result<(Buckets, Pinned), DataError> {
        let keep =
            Apart::create(set, selection.duplicates, split, bucket_rows, engine.spill(), limits.memory_mb.into())?;
        let Taken { mut keep, keyless, digest, fingerprint } = take(engine, set, selection, limits, salt, keep).await?;
        let (rows, more) = (std::mem::take(&mut keep.rows), std::mem::take(&mut keep.more));
        let dropped = keep.repeated.count - more.len() as u64;
        let buckets = keep.into_buckets();
        let buckets = buckets.ok_or(DataError::Engine { what: "the buckets of a job".into(), class: "not closed" })?;
        Ok((buckets, Pinned { rows, more, keyless, digest, fingerprint, dropped }))
    }
}

/// Reads the selected keys into `keep`. Without a filter nothing of the engine is needed: what reads the file takes the
/// keys.
async fn take<K: Keep>(
    engine: &Engine,
    set: &Arc<DataSet>,
    selection: &Selection,
    limits: &Limits,
    salt: &[u8; 32],
    keep: K,
) -> Result<Taken<K>, DataError> {
    check_key(set, &selection.key)?;
    let fingerprint = {
        let set = Arc::clone(set);
        blocking("reading", move || Fingerprint::of(&set)).await?
    };
    let mut taking = Taking::new(set, selection, limits, salt, &fingerprint, keep);
    match &selection.filter {
        None => {
            let mut places = selection.key.iter().map(|name| set.index(name)).collect::<Result<Vec<_>, _>>()?;
            places.push(set.columns.len()); // the row's position
            let set = Arc::clone(set);
            taking = blocking("reading", move || {
                let mut taken = Ok(());
                source::read(&set, &places, &mut |batch| {
                    taken = taking.batch(&batch);
                    taken.is_ok()
                })?;
                taken.map(|()| taking)
            })
            .await?;
        }
        Some(filter) => {
            let session = engine.session(limits)?;
            session.register(set)?;
            let columns: Vec<&str> = selection.key.iter().map(String::as_str).chain([POSITION]).collect();
            let mut batches = session.select(set, &columns, filter).await?;
            let what = format!("reading data set {}", set.id);
            while let Some(batch) = batches.try_next().await.map_err(|error| session.error(&what, error))? {
                taking.batch(&batch)?;
            }
        }
    }
    fingerprint.still(set, &set.path()?)?;
    blocking("reading", move || taking.finish(fingerprint)).await
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

    /// Which positions the keys of the rows that stand at these places of the file have, both ascending. Places of other
    /// rows have none.
    pub fn positions_of(&self, places: &[u64]) -> Rows {
        let mut left = places;
        let mut positions = Vec::with_capacity(places.len());
        for (position, row) in (0_u64..).zip(&self.rows) {
            while left.first().is_some_and(|place| place < row) {
                left = &left[1..];
            }
            if left.first() == Some(row) {
                positions.push(position);
            }
        }
        Rows::new(positions)
    }

    /// How many of the selected rows have an empty key: they match nothing and are not sent.
    pub fn keyless(&self) -> u64 {
        self.keyless.len() as u64
    }
}

impl std::fmt::Debug for Pinned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, more, keyless) = (self.rows.len(), self.more.len(), self.keyless.len());
        write!(f, "Pinned({keys} keys, {more} more rows, {keyless} without a key, {} repeated left out)", self.dropped)
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
