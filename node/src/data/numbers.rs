//! The numbers beside the keys of a snapshot: read after it, from the same file, in the order of its keys.
//!
//! Memory: 8 bytes a key, where the table of keys seen was.

use std::sync::Arc;

use banyan_proto::job::validate::NUMBER_MAX;
use banyan_protocols::items;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, UInt64Type};
use zeroize::Zeroizing;

use super::catalog::{DataSet, Kind};
use super::error::DataError;
use super::snapshot::{Pinned, blocking};
use super::source::{self, place};

/// The number of each key of `pinned` in `column`: a column of whole numbers, of which no row of the file has one below 0 or
/// above [`NUMBER_MAX`], whether it was selected or not: what a job selects must not decide whether it fails. An empty cell
/// counts as 0, so that it adds nothing. Where all rows of a key count, its number is their sum.
///
/// # Errors
/// [`DataError::Number`] names the row whose number does not fit, and no value; [`DataError::Changed`] a file that is no longer
/// what was pinned.
pub async fn numbers(set: &Arc<DataSet>, pinned: &Pinned, column: &str) -> Result<items::Column, DataError> {
    let index = set.index(column)?;
    let kind = set.columns[index].kind;
    if kind != Kind::Integer {
        let set = set.id.to_string();
        return Err(DataError::NumberType { set, column: column.into(), kind: kind.name() });
    }
    let (set, pinned) = (Arc::clone(set), pinned.clone());
    blocking("reading numbers", move || {
        let before = pinned.fingerprint().again(&set)?;
        let mut adding = Adding { set: &set, index, pinned: &pinned, first: 0, more: 0, sums: sums(&pinned) };
        let mut added = Ok(());
        source::read(&set, &[index, set.columns.len()], &mut |batch| {
            added = adding.batch(&batch);
            added.is_ok()
        })?;
        added?;
        before.still(&set, &set.path()?)?;
        Ok(adding.sums.iter().copied().collect())
    })
    .await
}

fn sums(pinned: &Pinned) -> Zeroizing<Vec<u64>> {
    Zeroizing::new(vec![0; pinned.len()])
}

struct Adding<'a> {
    set: &'a DataSet,
    index: usize,
    pinned: &'a Pinned,
    /// The next of the rows that were first with their key, and of the others.
    first: usize,
    more: usize,
    sums: Zeroizing<Vec<u64>>,
}

impl Adding<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let (Some(numbers), Some(positions)) =
            (batch.column(0).as_primitive_opt::<Int64Type>(), batch.column(1).as_primitive_opt::<UInt64Type>())
        else {
            return Err(DataError::Engine { what: format!("reading data set {}", self.set.id), class: "shape" });
        };
        for row in 0..batch.num_rows() {
            let position = positions.value(row);
            let number = if numbers.is_null(row) { Ok(0) } else { u64::try_from(numbers.value(row)) };
            let number = number.ok().filter(|number| *number <= NUMBER_MAX);
            let number = number.ok_or_else(|| self.does_not_fit(position))?;
            if let Some(key) = self.key_at(position) {
                // as many rows as a job may have add up to less than 2^63
                let sum = self.sums[key].checked_add(number);
                self.sums[key] = sum.ok_or_else(|| self.does_not_fit(position))?;
            }
        }
        Ok(())
    }

    /// The key of the row at `position`, which is above every one before; none where the row was not selected.
    fn key_at(&mut self, position: u64) -> Option<usize> {
        if self.pinned.rows.get(self.first) == Some(&position) {
            self.first += 1;
            return Some(self.first - 1);
        }
        let (_, key) = self.pinned.more.get(self.more).filter(|(row, _)| *row == position)?;
        self.more += 1;
        Some(*key as usize)
    }

    fn does_not_fit(&self, position: u64) -> DataError {
        let column = self.set.columns[self.index].name.clone();
        DataError::Number { place: place(self.set, position), column, max: NUMBER_MAX }
    }
}
