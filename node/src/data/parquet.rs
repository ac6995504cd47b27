//! Parquet files as record batches under the catalogue's schema: the file's own hint of string views is ignored, and
//! only conversions that lose nothing are made.

use std::fs::File;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::datatypes::{DataType, Float64Type, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use datafusion::parquet::file::metadata::ParquetMetaData;

use super::catalog::{Column, DataSet, Kind};
use super::error::DataError;
use super::near;
use super::source::{BATCH_ROWS, BATCH_TEXT, place};

/// See [`super::source::read`].
pub(crate) fn read(
    set: &DataSet,
    wanted: &[usize],
    emit: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), DataError> {
    let damaged = || DataError::Format { file: set.file.clone(), expected: "parquet" };
    let file = File::open(set.path()?).map_err(|error| DataError::io(format!("opening {}", set.file), error))?;
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(DataError::Empty { file: set.file.clone() });
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|_| damaged())?;
    let places = columns(set, builder.schema())?;
    if builder.metadata().file_metadata().num_rows() == 0 {
        return Err(DataError::HeaderOnly { file: set.file.clone() });
    }
    let roots = wanted.iter().filter_map(|index| places.get(*index).copied());
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let rows = batch_rows(builder.metadata());
    let reader = builder.with_projection(mask).with_batch_size(rows).build().map_err(|_| damaged())?;
    let schema = Arc::new(set.schema().project(wanted).map_err(|e| DataError::engine("reading", 0, e.into()))?);
    let mut row = 1;
    for batch in reader {
        let batch = batch.map_err(|_| damaged())?;
        let rows = batch.num_rows() as u64;
        let arrays = wanted.iter().map(|index| match set.columns.get(*index) {
            None => Ok(Arc::new(UInt64Array::from_iter_values(row..row + rows)) as ArrayRef),
            Some(column) => convert(set, column, batch.column_by_name(&column.name).ok_or_else(damaged)?, row),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let arrays = arrays.collect::<Result<_, _>>()?;
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
            .map_err(|error| DataError::engine("reading", 0, error.into()))?;
        row += rows;
        if !emit(batch) {
            break;
        }
    }
    Ok(())
}

/// Rows of one batch, fewer where rows are wide. What a row takes is known as it is encoded, so many equal long texts still
/// make a large batch.
fn batch_rows(file: &ParquetMetaData) -> usize {
    let widths = file.row_groups().iter().map(|group| group.total_byte_size() / group.num_rows().max(1));
    let widest = usize::try_from(widths.max().unwrap_or(0)).unwrap_or(0);
    (BATCH_TEXT / widest.max(1)).clamp(1, BATCH_ROWS)
}

/// For each column of the catalogue, its place in the file; the stored type must read as the declared one.
fn columns(set: &DataSet, stored: &SchemaRef) -> Result<Vec<usize>, DataError> {
    let names = || stored.fields().iter().map(|field| field.name().as_str());
    let place = |column: &Column| {
        let (at, field) = stored.column_with_name(&column.name).ok_or_else(|| DataError::MissingColumn {
            file: set.file.clone(),
            column: column.name.clone(),
            near: near::hint(&column.name, names()),
        })?;
        if names().filter(|name| *name == column.name).count() > 1 {
            return Err(DataError::ColumnTwice { file: set.file.clone(), column: column.name.clone() });
        }
        match reads_as(field.data_type(), column.kind) {
            true => Ok(at),
            false => Err(DataError::Stored {
                file: set.file.clone(),
                column: column.name.clone(),
                stored: field.data_type().to_string(),
                declared: column.kind.name(),
                remedy: remedy(field.data_type()),
            }),
        }
    };
    set.columns.iter().map(place).collect()
}

/// Whether every stored value has one and only one form in the declared type. Floats are no text: an identifier that
/// was once a float has lost digits already.
fn reads_as(stored: &DataType, kind: Kind) -> bool {
    match kind {
        Kind::Text => {
            matches!(stored, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Date32)
                || stored.is_integer()
        }
        Kind::Integer => stored.is_integer(),
        Kind::Float => stored.is_integer() || matches!(stored, DataType::Float32 | DataType::Float64),
        Kind::Date => matches!(stored, DataType::Date32),
    }
}

fn remedy(stored: &DataType) -> &'static str {
    match stored {
        DataType::Float32 | DataType::Float64 => {
            "set type = \"float\" in catalog.toml; an identifier must be stored as text, since a float has lost digits"
        }
        DataType::Date32 => "set type = \"date\" in catalog.toml",
        stored if stored.is_integer() => "set type = \"integer\" or \"text\" in catalog.toml",
        stored if stored.is_string() => "set type = \"text\" in catalog.toml",
        _ => "leave the column out of catalog.toml, or store it as text, integer, float or date",
    }
}

fn convert(set: &DataSet, column: &Column, stored: &ArrayRef, first_row: u64) -> Result<ArrayRef, DataError> {
    let array = cast(stored, &column.kind.arrow()).map_err(|error| DataError::engine("reading", 0, error.into()))?;
    if column.kind == Kind::Float && stored.data_type().is_integer() {
        return exact(set, column, stored, array, first_row);
    }
    let misfit =
        |at: usize| array.is_null(at) != stored.is_null(at) || (column.kind == Kind::Float && !finite(&array, at));
    let suspect = array.null_count() != stored.null_count() || column.kind == Kind::Float;
    match (0..array.len()).find(|at| suspect && misfit(*at)) {
        None => Ok(array),
        Some(at) => Err(DataError::Value {
            place: place(set, first_row + at as u64),
            column: column.name.clone(),
            expected: column.kind.words(),
        }),
    }
}

/// Whole numbers as floats, where every one comes back as it was: beyond 2^53 not all do.
fn exact(
    set: &DataSet,
    column: &Column,
    stored: &ArrayRef,
    floats: ArrayRef,
    first_row: u64,
) -> Result<ArrayRef, DataError> {
    let failed = |error: ArrowError| DataError::engine("reading", 0, error.into());
    let back = cast(&floats, stored.data_type()).map_err(failed)?;
    match distinct(&back, stored).map_err(failed)?.values().set_indices().next() {
        None => Ok(floats),
        Some(at) => Err(DataError::Inexact { place: place(set, first_row + at as u64), column: column.name.clone() }),
    }
}

fn finite(array: &ArrayRef, at: usize) -> bool {
    array.is_null(at) || array.as_primitive::<Float64Type>().value(at).is_finite()
}
