//! A snapshot that is larger than memory: its keys in buckets on disk, one of them in memory at a time. Rows stay in file
//! order within a bucket, and equal keys are in one bucket, so each bucket can be freed of repeated keys by itself.
//!
//! Memory: 8 bytes a row for its position, a block for each bucket, and one bucket as a whole snapshot takes it; all
//! counted against the keys' part of the job's limit.

use std::sync::Arc;

use banyan_proto::job::{Duplicates, Split};
use banyan_protocols::items::Items;

use super::catalog::DataSet;
use super::engine::keys_share;
use super::error::DataError;
use super::spill::{Spill, Spilled};
use super::taking::{Faults, Keep, Whole};

/// The least and the most bytes of a block: the longest key with its head, and what a disk reads in one go.
const BLOCK: [usize; 2] = [8 << 10, 256 << 10];

/// Bytes before a key: its row's position, and its length.
const HEAD: usize = 8 + 2;

/// The keys of a snapshot, apart. Debug prints nothing.
pub struct Buckets {
    spilled: Spilled,
    /// Of each bucket, whether its keys are known to be distinct.
    distinct: Vec<bool>,
    plan: Plan,
}

/// A bucket in memory.
pub struct Bucket {
    /// Its distinct keys, in file order.
    pub items: Items,
    /// Where the row of each stands in the file, ascending.
    pub rows: Vec<u64>,
}

/// What is agreed of the buckets, and what they may take.
#[derive(Clone)]
struct Plan {
    set: Arc<DataSet>,
    duplicates: Duplicates,
    split: Split,
    bucket_rows: u64,
    limit_mb: u64,
}

/// Keeps keys in buckets.
pub(super) struct Apart {
    plan: Plan,
    state: State,
    /// The positions of all selected rows; after the last key, of those whose keys do not repeat earlier ones.
    pub(super) rows: Vec<u64>,
    /// After the last key, where all rows of a key count: the others, ascending, each with the place of its key in `rows`.
    pub(super) more: Vec<(u64, u32)>,
    pub(super) repeated: Faults,
}

enum State {
    Filling(Spill),
    Full(Buckets),
    Failed,
}

impl Apart {
    /// Buckets in a new file in `directory`; none may have more than `bucket_rows` distinct keys.
    pub(super) fn create(
        set: &Arc<DataSet>,
        duplicates: Duplicates,
        split: Split,
        bucket_rows: u64,
        directory: &std::path::Path,
        limit_mb: u64,
    ) -> Result<Self, DataError> {
        // an eighth of the keys' part for all blocks
        let block = keys_share(limit_mb) as usize / 8 / split.buckets() as usize;
        let spill = Spill::create(directory, split.buckets(), block.clamp(BLOCK[0], BLOCK[1]))?;
        let plan = Plan { set: Arc::clone(set), duplicates, split, bucket_rows, limit_mb };
        Ok(Self { plan, state: State::Filling(spill), rows: Vec::new(), more: Vec::new(), repeated: Faults::default() })
    }

    /// The buckets, once [`Keep::repeated`] was asked.
    pub(super) fn into_buckets(self) -> Option<Buckets> {
        match self.state {
            State::Full(buckets) => Some(buckets),
            State::Filling(_) | State::Failed => None,
        }
    }
}

impl Keep for Apart {
    fn key(&mut self, key: &[u8], position: u64) -> Result<(), DataError> {
        let State::Filling(spill) = &mut self.state else { return Err(odd("filling buckets that are full")) };
        let bucket = self.plan.split.bucket_of(key);
        spill.push(bucket, &[&position.to_le_bytes(), &(key.len() as u16).to_le_bytes(), key])?;
        self.rows.push(position);
        Ok(())
    }

    fn bytes(&self) -> usize {
        let blocks = if let State::Filling(spill) = &self.state { spill.bytes() } else { 0 };
        self.rows.len() * 8 + blocks
    }

    fn has_room(&self, _more: usize) -> bool {
        true // a bucket is measured when it is loaded
    }

    fn repeated(&mut self) -> Result<Faults, DataError> {
        let State::Filling(spill) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(odd("closing buckets twice"));
        };
        let mut buckets = Buckets { spilled: spill.finish()?, distinct: Vec::new(), plan: self.plan.clone() };
        let (mut out, mut more) = (Vec::new(), Vec::new());
        for bucket in 0..self.plan.split.buckets() {
            let held = self.rows.len() + out.len() + 2 * more.len();
            let (whole, faults) = buckets.load(bucket, held, |position| out.push(position))?;
            buckets.distinct.push(faults.count == 0);
            more.extend(whole.more.iter().map(|(row, place)| (*row, whole.rows[*place as usize])));
            self.repeated.count += faults.count;
            self.repeated.first = [self.repeated.first, faults.first].into_iter().flatten().min();
        }
        out.sort_unstable();
        let mut left = &out[..];
        self.rows.retain(|row| match left.split_first() {
            Some((first, rest)) if first == row => {
                left = rest;
                false
            }
            _ => true,
        });
        more.sort_unstable();
        let place = |first: &u64| self.rows.binary_search(first).map_err(|_| odd("a key whose first row is nowhere"));
        let placed = more.iter().map(|(row, first)| Ok((*row, place(first)? as u32))); // fits: bands end at 2^28
        self.more = placed.collect::<Result<_, DataError>>()?;
        self.state = State::Full(buckets);
        Ok(self.repeated)
    }
}

impl Buckets {
    /// How many.
    pub fn len(&self) -> u32 {
        self.plan.split.buckets()
    }

    /// Whether there is none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a bucket's keys into memory, beside the positions of `rows` rows. Blocks.
    ///
    /// # Errors
    /// [`DataError::Overflow`] where it has more keys than the plan, [`DataError::Memory`] where they are too long for the
    /// job's limit.
    pub fn take(&self, bucket: u32, rows: usize) -> Result<Bucket, DataError> {
        let Whole { items, rows, .. } = self.load(bucket, rows, |_| ())?.0;
        Ok(Bucket { items, rows })
    }

    /// Erases a bucket that is done with.
    pub fn erase(&mut self, bucket: u32) {
        self.spilled.erase(bucket);
    }

    fn load(&self, bucket: u32, rows: usize, mut repeats: impl FnMut(u64)) -> Result<(Whole, Faults), DataError> {
        let plan = &self.plan;
        let mut whole = Whole::new(plan.duplicates);
        // a key is looked for among the others once, when the snapshot is taken
        let distinct = self.distinct.get(bucket as usize) == Some(&true);
        self.spilled.read(bucket, |mut block| {
            while let Some((head, rest)) = block.split_at_checked(HEAD) {
                let (position, len) = head.split_at(8);
                let len = usize::from(u16::from_le_bytes(len.try_into().unwrap_or_default()));
                let position = u64::from_le_bytes(position.try_into().unwrap_or_default());
                let (key, rest) = rest.split_at_checked(len).ok_or_else(|| odd("a key that is cut"))?;
                if distinct {
                    whole.put(key, position);
                } else {
                    whole.add(key, position, &mut repeats);
                }
                block = rest;
            }
            whole.settle(&mut repeats);
            if whole.rows.len() as u64 > plan.bucket_rows {
                return Err(DataError::Overflow { set: plan.set.id.to_string(), max: plan.bucket_rows });
            }
            if (whole.bytes() + rows * 8) as u64 > keys_share(plan.limit_mb) {
                let what = format!("a bucket of the key column of data set {}", plan.set.id);
                return Err(DataError::Memory { what, limit_mb: plan.limit_mb });
            }
            Ok(())
        })?;
        let faults = whole.repeated()?;
        Ok((whole, faults))
    }
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buckets({})", self.len())
    }
}

fn odd(class: &'static str) -> DataError {
    DataError::Engine { what: "the buckets of a job".into(), class }
}
