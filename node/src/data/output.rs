//! The result file: the receiver's own granted columns for the rows in the result, in file order and with how each was
//! found, or their number.
//! Written whole under a temporary name; nobody sees it before [`Held::release`].

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use banyan_proto::job::{Format, Spec};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Int64Type, Schema, SchemaRef, UInt64Type,
};
use datafusion::parquet::arrow::ArrowWriter;

use super::atomic::{AtomicFile, Held};
use super::catalog::DataSet;
use super::error::DataError;
use super::found::Picked;
use super::snapshot::{Pinned, blocking};
use super::source;
use crate::policy::LEVEL_HIDDEN;

/// A column that is not of the data set, but says how a row was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Whether it was found: true or false.
    Matched,
    /// The number of the key that found it, from 1; none where none did.
    MatchedBy,
}

/// What the result file has, and where it goes.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Columns of this party's own data set, in this order. None may have level 3 or 4.
    pub columns: Vec<String>,
    /// Columns beside them.
    pub flags: Vec<Flag>,
    /// CSV or Parquet.
    pub format: Format,
    /// The file, in a directory that exists.
    pub path: PathBuf,
}

/// Writes the picked rows. Fails where the file's content is no longer what was pinned.
///
/// CSV is UTF-8, comma-separated, LF, with a header. A text cell that starts with `=`, `+`, `-`, `@`, a tab or a
/// carriage return gets an apostrophe in front, since spreadsheets would run it as a formula; numbers and dates are
/// written as they are. Parquet cells are never changed.
pub async fn write_rows(
    set: &Arc<DataSet>,
    pinned: &Pinned,
    picked: Picked,
    wanted: &Wanted,
) -> Result<Held, DataError> {
    let columns = columns(set, &wanted.columns)?;
    let (set, pinned, wanted) = (Arc::clone(set), pinned.fingerprint().clone(), wanted.clone());
    blocking("writing the result", move || {
        let before = pinned.again(&set)?;
        let schema = set.schema().project(&columns).map_err(|e| DataError::engine("writing", 0, e.into()))?;
        let flags = wanted.flags.iter().map(|flag| Arc::new(flag.field()));
        let schema = Arc::new(Schema::new(schema.fields().iter().cloned().chain(flags).collect::<Vec<_>>()));
        let mut table = Table::create(&wanted.path, wanted.format, Arc::clone(&schema))?;
        copy(&set, &columns, &picked, &wanted.flags, &schema, &mut table)?;
        before.still(&set, &set.path()?)?;
        table.finish()
    })
    .await
}

/// Writes a table of one row: `number` under its name.
///
/// # Errors
/// [`DataError::Engine`] where it is above 2^63 - 1, which no count and no sum of a job is.
pub fn write_number(name: &str, number: u64, format: Format, path: &Path) -> Result<Held, DataError> {
    let too_large = |_| DataError::Engine { what: format!("writing a {name}"), class: "a number above 63 bits" };
    let number = i64::try_from(number).map_err(too_large)?;
    let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Int64, false)]));
    let mut table = Table::create(path, format, Arc::clone(&schema))?;
    let number = Arc::new(Int64Array::from(vec![number])) as ArrayRef;
    table.write(&RecordBatch::try_new(schema, vec![number]).map_err(|e| DataError::engine("writing", 0, e.into()))?)?;
    table.finish()
}

fn columns(set: &DataSet, names: &[String]) -> Result<Vec<usize>, DataError> {
    let place = |name: &String| match set.column(name)? {
        column if column.level >= LEVEL_HIDDEN => {
            Err(DataError::Level { set: set.id.to_string(), column: name.clone(), level: column.level })
        }
        _ => set.index(name),
    };
    names.iter().map(place).collect()
}

impl Flag {
    fn field(self) -> Field {
        match self {
            Self::Matched => Field::new(Spec::MATCHED, DataType::Boolean, false),
            Self::MatchedBy => Field::new(Spec::MATCHED_BY, DataType::Int64, true),
        }
    }

    /// The column for rows that these keys found.
    fn column(self, by: &[u8]) -> ArrayRef {
        match self {
            Self::Matched => Arc::new(by.iter().map(|by| Some(*by != 0)).collect::<BooleanArray>()),
            Self::MatchedBy => {
                Arc::new(by.iter().map(|by| (*by != 0).then_some(i64::from(*by))).collect::<Int64Array>())
            }
        }
    }
}

/// Copies the picked rows, with their flags.
fn copy(
    set: &DataSet,
    columns: &[usize],
    picked: &Picked,
    flags: &[Flag],
    schema: &SchemaRef,
    table: &mut Table,
) -> Result<(), DataError> {
    if picked.rows.is_empty() {
        return Ok(());
    }
    let (mut left, mut by) = (&picked.rows[..], &picked.by[..]);
    let mut failed = None;
    let position = set.columns.len();
    let wanted: Vec<usize> = columns.iter().copied().chain([position]).collect();
    source::read(set, &wanted, &mut |batch| {
        let positions = batch.column(columns.len()).as_primitive::<UInt64Type>();
        let mask: BooleanArray = positions.values().iter().map(|at| Some(take(&mut left, *at))).collect();
        let here;
        (here, by) = by.split_at(mask.true_count());
        let shape: Vec<usize> = (0..columns.len()).collect();
        let flagged = batch.project(&shape).and_then(|batch| filter_record_batch(&batch, &mask)).and_then(|batch| {
            let flags = flags.iter().map(|flag| flag.column(here));
            RecordBatch::try_new(Arc::clone(schema), batch.columns().iter().cloned().chain(flags).collect())
        });
        let written =
            flagged.map_err(|e| DataError::engine("writing", 0, e.into())).and_then(|batch| table.write(&batch));
        failed = written.err();
        failed.is_none() && !left.is_empty()
    })?;
    match failed {
        Some(error) => Err(error),
        None if left.is_empty() => Ok(()),
        None => Err(DataError::Changed { file: set.file.clone() }),
    }
}

fn take(left: &mut &[u64], at: u64) -> bool {
    match left.split_first() {
        Some((first, rest)) if *first == at => {
            *left = rest;
            true
        }
        _ => false,
    }
}

/// A table file being written.
enum Table {
    Csv {
        out: BufWriter<AtomicFile>,
        name: String,
    },
    /// The parquet writer keeps the text of an I/O error and loses its kind; the file remembers it.
    Parquet {
        out: Box<ArrowWriter<AtomicFile>>,
        name: String,
        failure: Arc<OnceLock<io::ErrorKind>>,
    },
}

impl Table {
    fn create(path: &Path, format: Format, schema: SchemaRef) -> Result<Self, DataError> {
        Self::over(AtomicFile::create(path)?, path.display().to_string(), format, schema)
    }

    fn over(file: AtomicFile, name: String, format: Format, schema: SchemaRef) -> Result<Self, DataError> {
        match format {
            Format::Csv => {
                let mut out = BufWriter::new(file);
                let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                write_line(&mut out, header.into_iter().map(Cell::Text)).map_err(|e| DataError::io(&name, e))?;
                Ok(Self::Csv { out, name })
            }
            Format::Parquet => {
                let failure = file.failure();
                let out = ArrowWriter::try_new(file, schema, None);
                let out = out.map_err(|_| DataError::Engine { what: name.clone(), class: "starting parquet" })?;
                Ok(Self::Parquet { out: Box::new(out), name, failure })
            }
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        match self {
            Self::Csv { out, name } => (0..batch.num_rows())
                .try_for_each(|row| write_line(out, batch.columns().iter().map(|column| cell(column, row))))
                .map_err(|error| DataError::io(&*name, error)),
            Self::Parquet { out, name, failure } => out.write(batch).map_err(|_| parquet_failure(failure, name)),
        }
    }

    fn finish(self) -> Result<Held, DataError> {
        match self {
            Self::Csv { out, name } => {
                out.into_inner().map_err(|error| DataError::io(name, error.into_error()))?.finish()
            }
            Self::Parquet { out, name, failure } => {
                out.into_inner().map_err(|_| parquet_failure(&failure, &name))?.finish()
            }
        }
    }
}

fn parquet_failure(failure: &OnceLock<io::ErrorKind>, name: &str) -> DataError {
    match failure.get() {
        Some(kind) => DataError::io(name, io::Error::from(*kind)),
        None => DataError::Engine { what: name.into(), class: "writing parquet" },
    }
}

/// One CSV cell.
enum Cell<'a> {
    Text(&'a str),
    Plain(String),
    Null,
}

fn cell(column: &ArrayRef, row: usize) -> Cell<'_> {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row)),
        DataType::Int64 => Cell::Plain(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Boolean => Cell::Plain(column.as_boolean().value(row).to_string()),
        DataType::Float64 => Cell::Plain(column.as_primitive::<Float64Type>().value(row).to_string()),
        DataType::Date32 => {
            let date = column.as_primitive::<Date32Type>().value_as_date(row);
            Cell::Plain(date.map(|date| date.to_string()).unwrap_or_default())
        }
        _ => Cell::Null,
    }
}

fn write_line<'a>(out: &mut impl Write, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
    let (mut count, mut nothing) = (0, false);
    for cell in cells {
        if count > 0 {
            out.write_all(b",")?;
        }
        count += 1;
        nothing = matches!(cell, Cell::Null | Cell::Text(""));
        match cell {
            Cell::Null => {}
            Cell::Plain(number) => out.write_all(number.as_bytes())?,
            Cell::Text(text) => write_text(out, text)?,
        }
    }
    if count == 1 && nothing {
        out.write_all(b"\"\"")?; // an empty line would be no row to whoever reads it
    }
    out.write_all(b"\n")
}

fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return write!(out, "\"{guard}{}\"", text.replace('"', "\"\""));
    }
    // without the formatter, which costs more than the copy
    out.write_all(guard.as_bytes())?;
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_disarmed_in_text_and_numbers_left_alone() {
        let mut out = Vec::new();
        let texts = ["=1+1", "+86", "-x", "@SUM(A1)", "\tx", "\rx", "a=b", "a,\"b\"", "", "张三"];
        let cells = texts.into_iter().map(Cell::Text).chain([Cell::Plain("-5".into()), Cell::Null]);
        write_line(&mut out, cells).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "'=1+1,'+86,'-x,'@SUM(A1),'\tx,\"'\rx\",a=b,\"a,\"\"b\"\"\",,张三,-5,\n"
        );
    }

    #[test]
    fn a_single_cell_without_a_value_is_still_a_row() {
        for cell in [Cell::Null, Cell::Text("")] {
            let mut out = Vec::new();
            write_line(&mut out, [cell].into_iter()).unwrap();
            assert_eq!(out, b"\"\"\n");
        }
    }

    #[test]
    fn a_full_disk_says_so_in_both_formats() {
        for format in [Format::Csv, Format::Parquet] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("result");
            let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, true)]));
            let file = AtomicFile::over_full_device(&path);
            let fill = || {
                let mut table = Table::over(file, "result".into(), format, Arc::clone(&schema))?;
                let ids: ArrayRef = Arc::new(
                    (0..20_000).map(|i| Some(format!("{i:018}"))).collect::<datafusion::arrow::array::StringArray>(),
                );
                table.write(&RecordBatch::try_new(Arc::clone(&schema), vec![ids]).unwrap())?;
                table.finish()
            };
            assert_eq!(
                fill().unwrap_err().to_string(),
                "disk full while writing result: nothing was left behind; free some space and start the job again",
                "{format:?}"
            );
            assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "no partial output");
        }
    }
}
