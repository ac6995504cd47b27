//! A registered file as record batches under its explicit schema. Nothing is inferred: a cell that is not of its
//! column's type is an error with its place.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Date32Builder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder,
    UInt64Builder,
};
use datafusion::arrow::datatypes::SchemaRef;
use flate2::read::MultiGzDecoder;
use jiff::civil::Date;

use super::catalog::{DataSet, FileFormat, Kind};
use super::csv::Records;
use super::encoding::Encoding;
use super::error::DataError;
use super::near;

/// Rows of one batch: the engine's own default, a few hundred kilobytes.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Text of one batch in bytes: rows may be a mebibyte each, and a batch of them is still not much of a job's memory.
pub(crate) const BATCH_TEXT: usize = 8 << 20;

/// Hands the columns at `wanted` (places in [`DataSet::schema`]) to `emit`, batch by batch in file order, until it
/// answers false.
pub(crate) fn read(
    set: &DataSet,
    wanted: &[usize],
    emit: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), DataError> {
    match set.format {
        FileFormat::Csv { delimiter, encoding } => read_csv(set, wanted, delimiter, encoding, emit),
        FileFormat::Parquet => super::parquet::read(set, wanted, emit),
    }
}

/// How many rows the file has.
pub(crate) fn count(set: &DataSet) -> Result<u64, DataError> {
    let mut rows = 0;
    read(set, &[], &mut |batch| {
        rows += batch.num_rows() as u64;
        true
    })?;
    Ok(rows)
}

/// Where a row stands, in words: "tax.csv line 7", "tax.parquet row 6".
pub(crate) fn place(set: &DataSet, position: u64) -> String {
    match set.format {
        FileFormat::Csv { .. } => format!("{} line {position}", set.file),
        FileFormat::Parquet => format!("{} row {position}", set.file),
    }
}

/// The bytes of a CSV file, unpacked where its name says so.
pub(crate) fn open(file: File, name: &str) -> Box<dyn Read + Send> {
    if name.ends_with(".gz") { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) }
}

fn read_csv(
    set: &DataSet,
    wanted: &[usize],
    delimiter: u8,
    encoding: Encoding,
    emit: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), DataError> {
    let file = File::open(set.path()?).map_err(|error| DataError::io(format!("opening {}", set.file), error))?;
    let mut records = Records::new(open(file, &set.file), &set.file, encoding, delimiter);
    if !records.advance()? {
        return Err(DataError::Empty { file: set.file.clone() });
    }
    let places = header(set, &records, delimiter)?;
    let width = records.len();
    let schema = Arc::new(set.schema().project(wanted).map_err(|e| DataError::engine("reading", 0, e.into()))?);
    let mut batch = Batch::new(set, wanted, &places, schema);
    let mut any = false;
    while records.advance()? {
        any = true;
        if let Some(line) = records.empty_line().filter(|_| width == 1) {
            return Err(DataError::EmptyLine { file: set.file.clone(), line });
        }
        if records.len() != width {
            let (file, line) = (set.file.clone(), records.line());
            return Err(DataError::Fields { file, line, found: records.len(), expected: width });
        }
        batch.push(&records)?;
        if batch.is_full() && !emit(batch.finish()?) {
            return Ok(());
        }
    }
    if !any {
        return Err(DataError::HeaderOnly { file: set.file.clone() });
    }
    if batch.rows > 0 {
        emit(batch.finish()?);
    }
    Ok(())
}

/// For each column of the catalogue, its place in the file.
fn header<R: Read>(set: &DataSet, records: &Records<R>, delimiter: u8) -> Result<Vec<usize>, DataError> {
    let names: Vec<&str> = (0..records.len()).map(|at| records.field(at).trim()).collect();
    let place = |column: &str| {
        let mut found = names.iter().enumerate().filter(|(_, name)| **name == column).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (Some(at), None) => Ok(at),
            (Some(_), Some(_)) => Err(DataError::ColumnTwice { file: set.file.clone(), column: column.into() }),
            (None, _) => Err(missing(set, column, &names, delimiter)),
        }
    };
    set.columns.iter().map(|column| place(&column.name)).collect()
}

fn missing(set: &DataSet, column: &str, names: &[&str], delimiter: u8) -> DataError {
    let file = set.file.clone();
    if let [only] = names
        && let Some(found) = guess_delimiter(only)
        && found != delimiter
    {
        let quoted = |byte: u8| format!("{:?}", char::from(byte).to_string());
        return DataError::WrongDelimiter { file, expected: quoted(delimiter), found: quoted(found) };
    }
    let near = near::near(column, names.iter().copied());
    let near = match near.is_empty() {
        true => format!("none of the {} names in its header is near", names.len()),
        false => format!("near names in its header are {}", near::list(near)),
    };
    DataError::MissingColumn { file, column: column.into(), near }
}

/// The most frequent usual delimiter in a header line.
pub(crate) fn guess_delimiter(header: &str) -> Option<u8> {
    let count = |delimiter: u8| header.bytes().filter(|byte| *byte == delimiter).count();
    b",;\t|".iter().copied().filter(|d| count(*d) > 0).max_by_key(|d| count(*d))
}

/// A batch being filled.
struct Batch<'a> {
    set: &'a DataSet,
    columns: Vec<(Source, Builder)>,
    schema: SchemaRef,
    rows: usize,
    text: usize,
}

/// Where a column's cells come from.
enum Source {
    Field { at: usize, column: usize },
    Position,
}

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Position(UInt64Builder),
}

impl<'a> Batch<'a> {
    fn new(set: &'a DataSet, wanted: &[usize], places: &[usize], schema: SchemaRef) -> Self {
        let column = |index: &usize| match set.columns.get(*index) {
            None => (Source::Position, Builder::Position(UInt64Builder::with_capacity(BATCH_ROWS))),
            Some(column) => {
                let builder = match column.kind {
                    Kind::Text => Builder::Text(StringBuilder::new()),
                    Kind::Integer => Builder::Integer(Int64Builder::with_capacity(BATCH_ROWS)),
                    Kind::Float => Builder::Float(Float64Builder::with_capacity(BATCH_ROWS)),
                    Kind::Date => Builder::Date(Date32Builder::with_capacity(BATCH_ROWS)),
                };
                (Source::Field { at: places[*index], column: *index }, builder)
            }
        };
        Self { set, columns: wanted.iter().map(column).collect(), schema, rows: 0, text: 0 }
    }

    fn push<R: Read>(&mut self, records: &Records<R>) -> Result<(), DataError> {
        for (source, builder) in &mut self.columns {
            let (cell, column) = match source {
                Source::Position => ("", 0),
                Source::Field { at, column } => (records.field(*at), *column),
            };
            if matches!(builder, Builder::Text(_)) {
                self.text += cell.len();
            }
            if !builder.push(cell, records.line()) {
                let column = &self.set.columns[column];
                let (place, expected) = (place(self.set, records.line()), column.kind.words());
                return Err(DataError::Value { place, column: column.name.clone(), expected });
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows == BATCH_ROWS || self.text >= BATCH_TEXT
    }

    fn finish(&mut self) -> Result<RecordBatch, DataError> {
        self.text = 0;
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| DataError::engine("reading", 0, error.into()))
    }
}

impl Builder {
    /// Appends a cell; false where it is not of the type. An empty cell is null.
    fn push(&mut self, cell: &str, position: u64) -> bool {
        match self {
            Self::Position(builder) => builder.append_value(position),
            Self::Text(builder) => builder.append_option((!cell.is_empty()).then_some(cell)),
            Self::Integer(builder) => match number(cell, |cell| cell.parse().ok()) {
                Ok(value) => builder.append_option(value),
                Err(()) => return false,
            },
            Self::Float(builder) => {
                match number(cell, |cell| cell.parse().ok().filter(|value: &f64| value.is_finite())) {
                    Ok(value) => builder.append_option(value),
                    Err(()) => return false,
                }
            }
            Self::Date(builder) => match number(cell, days) {
                Ok(value) => builder.append_option(value),
                Err(()) => return false,
            },
        }
        true
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Position(builder) => Arc::new(builder.finish()),
        }
    }
}

fn number<T>(cell: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
    match cell.trim() {
        "" => Ok(None),
        cell => parse(cell).map(Some).ok_or(()),
    }
}

/// Days since 1970-01-01.
pub(crate) fn days(cell: &str) -> Option<i32> {
    let dashed;
    let cell = if cell.contains('/') {
        dashed = cell.replace('/', "-");
        &dashed
    } else {
        cell
    };
    // a date and nothing else: a time behind it would be dropped silently
    let plain = matches!(cell.len(), 8 | 10) && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date: Date = plain.then(|| cell.parse().ok()).flatten()?;
    date.since(Date::constant(1970, 1, 1)).ok().map(|span| span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_in_three_spellings() {
        for cell in ["2026-11-21", "2026/11/21", "20261121"] {
            assert_eq!(days(cell), Some(20_778), "{cell}");
        }
        for cell in ["2026-13-01", "21.11.2026", "2026-11-21T00:00:00", "202611", "x"] {
            assert_eq!(days(cell), None, "{cell}");
        }
        assert_eq!(days("1969-12-31"), Some(-1));
    }

    #[test]
    fn delimiters_are_guessed_by_frequency() {
        assert_eq!(guess_delimiter("id;a,b;c"), Some(b';'));
        assert_eq!(guess_delimiter("id\tage"), Some(b'\t'));
        assert_eq!(guess_delimiter("id"), None);
    }
}
