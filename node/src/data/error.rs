//! What can be wrong with data, said so that the reader can put it right. Names places, never values.

use std::io;

use datafusion::error::DataFusionError;

/// Why a data set cannot be used. Displays name the file, line and column, what was expected, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// catalog.toml does not say what a catalogue says.
    #[error(transparent)]
    Catalog(Box<CatalogFault>),
    /// catalog.toml is not TOML.
    #[error("{file} line {line}: {reason}; catalog.toml is TOML: one table [dataset.<id>] for each data set")]
    CatalogSyntax {
        /// The catalogue file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// The id is not in the catalogue.
    #[error("unknown data set `{name}`: {known}; see `banyan-node data list`")]
    UnknownDataSet {
        /// The id asked for.
        name: String,
        /// What there is, near names first.
        known: String,
    },
    /// The data set has no such column in the catalogue.
    #[error("data set `{set}` has no column `{column}`: {near}")]
    UnknownColumn {
        /// The data set.
        set: String,
        /// The column asked for.
        column: String,
        /// What there is.
        near: String,
    },
    /// The file lacks a column of the catalogue. Only near names of its header are shown: a file without a header has
    /// values there.
    #[error(
        "{file} has no column `{column}`: {near}; correct the file's header, or the name in catalog.toml (capitals count)"
    )]
    MissingColumn {
        /// The file.
        file: String,
        /// The column of the catalogue.
        column: String,
        /// Near names in the header.
        near: String,
    },
    /// A column stands twice in the header.
    #[error("{file} has column `{column}` twice in its header: which one is meant is unclear; rename one of them")]
    ColumnTwice {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// The header is one column with another delimiter inside.
    #[error(
        "{file}: the header is a single column with {found} inside, but the delimiter is {expected}; set delimiter = {found} for this data set in catalog.toml"
    )]
    WrongDelimiter {
        /// The file.
        file: String,
        /// What the catalogue says, quoted.
        expected: String,
        /// What the header looks like, quoted.
        found: String,
    },
    /// Nothing in the file.
    #[error("{file} is empty: expected a header line and at least one row; export it again")]
    Empty {
        /// The file.
        file: String,
    },
    /// A header and nothing else.
    #[error("{file} has a header but no rows: expected at least one row; export it again")]
    HeaderOnly {
        /// The file.
        file: String,
    },
    /// A row with more or fewer fields than the header.
    #[error(
        "{file} line {line}: {found} fields, but the header has {expected}; put quotes around fields that hold the delimiter, and correct the row at its source"
    )]
    Fields {
        /// The file.
        file: String,
        /// The line the row starts on, counted from 1.
        line: u64,
        /// How many fields it has.
        found: usize,
        /// How many the header has.
        expected: usize,
    },
    /// A row that does not end.
    #[error("{file} line {line}: a row longer than {max} bytes or fields; is a quote left open on this line?")]
    RowTooLong {
        /// The file.
        file: String,
        /// The line it starts on.
        line: u64,
        /// The limit.
        max: usize,
    },
    /// A quote that is open where the file ends.
    #[error(
        "{file} line {line}: the quote that is opened here is never closed, so the rest of the file would be one cell; close it, and write a quote inside quotes twice"
    )]
    OpenQuote {
        /// The file.
        file: String,
        /// The line it is opened on.
        line: u64,
    },
    /// A quote too many, or one too few before.
    #[error(
        "{file} line {line}: text behind the quote that closes the one of line {opened}; one of the two is left over: write a quote inside quotes twice, and nothing between a closing quote and the delimiter"
    )]
    StrayQuote {
        /// The file.
        file: String,
        /// The line of the text.
        line: u64,
        /// The line of the quote that opened the cell.
        opened: u64,
    },
    /// An empty line where a row has one cell: it may be a row without a value.
    #[error(
        "{file} line {line}: an empty line in a file of one column, which may be a row without a value; fill it at its source, or remove the line"
    )]
    EmptyLine {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// Values where the names of columns should be.
    #[error(
        "the first line of {file} looks like a row: a name of a column is no number or date, and has no six digits in a row; add a header line"
    )]
    NoHeader {
        /// The file.
        file: String,
    },
    /// Lines that end in a bare carriage return.
    #[error("{file} line {line}: rows end in a bare carriage return; save the file with LF or CRLF line ends")]
    LineEnds {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// A cell that is not of its column's type.
    #[error(
        "{place}, column `{column}`: not {expected}; correct it at its source, or set type = \"text\" for the column"
    )]
    Value {
        /// File and line or row.
        place: String,
        /// The column.
        column: String,
        /// The type, in words.
        expected: &'static str,
    },
    /// A whole number that loses digits as a float.
    #[error(
        "{place}, column `{column}`: not a whole number that a float has exactly; correct it at its source, or set type = \"integer\" for the column"
    )]
    Inexact {
        /// File and row.
        place: String,
        /// The column.
        column: String,
    },
    /// Bytes that the declared encoding does not have.
    #[error("{file} line {line}, column {column}: not valid {encoding}; {remedy}")]
    Encoding {
        /// The file.
        file: String,
        /// Counted from 1.
        line: u64,
        /// Characters into the line, counted from 1.
        column: u64,
        /// The encoding that was expected.
        encoding: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// An encoding that is not read.
    #[error("{file} is {encoding}, which is not read; save it as utf-8")]
    UnreadEncoding {
        /// The file.
        file: String,
        /// The encoding found by its byte order mark or its zero bytes.
        encoding: &'static str,
    },
    /// Not the format the catalogue says.
    #[error(
        "{file} is not readable as {expected}: damaged, cut short, or another format; export it again, or correct catalog.toml"
    )]
    Format {
        /// The file.
        file: String,
        /// The format the catalogue says.
        expected: &'static str,
    },
    /// A Parquet column whose stored type does not fit the catalogue's.
    #[error("{file}, column `{column}`: stored as {stored}, which does not read as {declared}; {remedy}")]
    Stored {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The type in the file.
        stored: String,
        /// The type in the catalogue.
        declared: &'static str,
        /// A type that would do.
        remedy: &'static str,
    },
    /// A key column of another type than text.
    #[error(
        "key column `{column}` of data set `{set}` has type {kind}: numbers lose leading zeros and digits, so keys are text; set type = \"text\" for it in catalog.toml"
    )]
    KeyType {
        /// The data set.
        set: String,
        /// The column.
        column: String,
        /// Its type in the catalogue.
        kind: &'static str,
    },
    /// A key that stands in several rows.
    #[error(
        "{place}: the key ({columns}) repeats the one of {first}; {count} of the selected rows repeat an earlier key; remove them at the source, or set duplicates = \"first\" or \"all\" in the job"
    )]
    DuplicateKey {
        /// File and line or row of the first repetition.
        place: String,
        /// Line or row where that key stands first.
        first: String,
        /// The key columns.
        columns: String,
        /// How many rows repeat an earlier key.
        count: u64,
    },
    /// A key beyond what protocols take.
    #[error("{place}: the key is longer than {max} bytes; is this the key column?")]
    KeyTooLong {
        /// File and line or row.
        place: String,
        /// The limit.
        max: usize,
    },
    /// A column of another type than integer is to be summed.
    #[error(
        "column `{column}` of data set `{set}` has type {kind}, and what is summed are whole numbers: set type = \"integer\" for it in catalog.toml, and give amounts in their smallest unit, such as cents"
    )]
    NumberType {
        /// The data set.
        set: String,
        /// The column.
        column: String,
        /// Its type in the catalogue.
        kind: &'static str,
    },
    /// A number that a sum could overflow with.
    #[error(
        "{place}, column `{column}`: the number is below 0 or above {max}, and such a column is not summed; correct it at its source, or give the column in a larger unit"
    )]
    Number {
        /// File and line or row.
        place: String,
        /// The column.
        column: String,
        /// The largest number.
        max: u64,
    },
    /// More rows than the job says.
    #[error(
        "data set `{set}`: more than {max} rows pass the row filter, and rows_at_most = {asked} has room for no more; raise rows_at_most in the job, or narrow the filter"
    )]
    TooManyRows {
        /// The data set.
        set: String,
        /// The limit in the job.
        asked: u64,
        /// The rows of its band, which is what the job is padded to.
        max: u64,
    },
    /// The file is not the one the job started with.
    #[error(
        "{file} changed during the job: what it computed is for the old content; leave the file alone and start the job again"
    )]
    Changed {
        /// The file.
        file: String,
    },
    /// No room.
    #[error("disk full while writing {what}: nothing was left behind; free some space and start the job again")]
    DiskFull {
        /// What was being written.
        what: String,
    },
    /// The memory limit does not suffice.
    #[error(
        "{what} needs more than its part of {limit_mb} MiB, the smaller of limits.memory_mb in the job and memory_mb in this node's config.toml; raise that one, or narrow the row filter"
    )]
    Memory {
        /// What needed it.
        what: String,
        /// The limit.
        limit_mb: u64,
    },
    /// More keys in a bucket than chance puts there.
    #[error(
        "data set `{set}`: a bucket has more than the {max} keys it is padded to, which happens by chance in one job of 2^40; propose the job under another name, which cuts it elsewhere, or with a lower limits.buckets_min"
    )]
    Overflow {
        /// The data set.
        set: String,
        /// What a bucket has room for.
        max: u64,
    },
    /// A row filter that is not a row filter.
    #[error("row filter: {reason}; {remedy}")]
    Filter {
        /// What is wrong.
        reason: String,
        /// What would be right.
        remedy: String,
    },
    /// An output column above level 2.
    #[error(
        "column `{column}` of data set `{set}` has level {level}: it may be a key and nothing else; leave it out of columns"
    )]
    Level {
        /// The data set.
        set: String,
        /// The column.
        column: String,
        /// Its level.
        level: u8,
    },
    /// The operating system said no.
    #[error("{what}: {error}")]
    Io {
        /// What was done to what.
        what: String,
        /// What it said.
        error: io::Error,
    },
    /// The engine stopped for a reason that may quote a value, so it is not shown.
    #[error("{what}: the engine stopped ({class}); its own words are withheld because they may quote a value")]
    Engine {
        /// What it was doing.
        what: String,
        /// The kind of error, a fixed word.
        class: &'static str,
    },
}

/// A field of catalog.toml that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{file}: [{table}] {field}: {found}; expected {expected}; {remedy}")]
pub struct CatalogFault {
    /// The catalogue file.
    pub file: String,
    /// The table in it.
    pub table: String,
    /// The field in the table.
    pub field: String,
    /// What is wrong.
    pub found: String,
    /// What would be right.
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

impl From<CatalogFault> for DataError {
    fn from(fault: CatalogFault) -> Self {
        Self::Catalog(Box::new(fault))
    }
}

impl DataError {
    /// The error of a file operation; a full disk gets its own words.
    pub(crate) fn io(what: impl Into<String>, error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::DiskFull { what: what.into() },
            _ => Self::Io { what: what.into(), error },
        }
    }

    /// The error of the engine while it did `what` under `limit_mb`. What we threw inside it comes out as it was; the
    /// engine's own text stays inside, since casts and arithmetic quote the value they failed on.
    pub(crate) fn engine(what: &str, limit_mb: u64, error: DataFusionError) -> Self {
        match peel(error) {
            DataFusionError::External(inner) => match inner.downcast::<DataError>() {
                Ok(ours) => *ours,
                Err(_) => Self::Engine { what: what.into(), class: "external" },
            },
            DataFusionError::ResourcesExhausted(_) => Self::Memory { what: what.into(), limit_mb },
            DataFusionError::IoError(error) => Self::io(what, error),
            DataFusionError::ArrowError(..) => Self::Engine { what: what.into(), class: "a value does not fit" },
            DataFusionError::Execution(_) => Self::Engine { what: what.into(), class: "execution" },
            _ => Self::Engine { what: what.into(), class: "planning" },
        }
    }

    /// A word for peers and for tables: which kind of fault, and nothing about where.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Catalog(_) | Self::CatalogSyntax { .. } => "catalog",
            Self::UnknownDataSet { .. } => "unknown-data-set",
            Self::UnknownColumn { .. } | Self::MissingColumn { .. } | Self::ColumnTwice { .. } => "column",
            Self::WrongDelimiter { .. } | Self::Empty { .. } | Self::HeaderOnly { .. } | Self::NoHeader { .. } => {
                "file"
            }
            Self::Fields { .. }
            | Self::RowTooLong { .. }
            | Self::OpenQuote { .. }
            | Self::StrayQuote { .. }
            | Self::EmptyLine { .. }
            | Self::LineEnds { .. }
            | Self::Value { .. }
            | Self::Inexact { .. }
            | Self::Number { .. } => "row",
            Self::Encoding { .. } | Self::UnreadEncoding { .. } => "encoding",
            Self::Format { .. } | Self::Stored { .. } => "format",
            Self::KeyType { .. } | Self::DuplicateKey { .. } | Self::KeyTooLong { .. } => "key",
            Self::NumberType { .. } => "column",
            Self::TooManyRows { .. } => "rows",
            Self::Changed { .. } => "changed",
            Self::DiskFull { .. } => "disk-full",
            Self::Memory { .. } => "memory",
            Self::Overflow { .. } => "bucket",
            Self::Filter { .. } => "filter",
            Self::Level { .. } => "level",
            Self::Io { .. } => "io",
            Self::Engine { .. } => "engine",
        }
    }
}

impl From<DataError> for DataFusionError {
    fn from(error: DataError) -> Self {
        Self::External(Box::new(error))
    }
}

/// The innermost owned error, through contexts and sharing.
fn peel(error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => peel(*inner),
        DataFusionError::Shared(inner) => match std::sync::Arc::try_unwrap(inner) {
            Ok(inner) => peel(inner),
            Err(shared) => DataFusionError::Shared(shared),
        },
        DataFusionError::ArrowError(inner, text) => match *inner {
            datafusion::arrow::error::ArrowError::ExternalError(inner) => match inner.downcast::<DataFusionError>() {
                Ok(inner) => peel(*inner),
                Err(inner) => DataFusionError::External(inner),
            },
            inner => DataFusionError::ArrowError(Box::new(inner), text),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::error::ArrowError;

    use super::*;

    #[test]
    fn what_the_engine_says_of_a_value_stays_inside() {
        let said = || "Cannot cast string 'CANARY' to value of Int64 type".to_owned();
        for error in [
            DataFusionError::ArrowError(Box::new(ArrowError::CastError(said())), None),
            DataFusionError::Execution(said()),
            DataFusionError::Context(said(), Box::new(DataFusionError::Plan(said()))),
            DataFusionError::External(said().into()),
            DataFusionError::ResourcesExhausted(said()),
        ] {
            let error = DataError::engine("reading data set tax", 64, error);
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
        assert_eq!(
            DataError::engine("reading data set tax", 64, DataFusionError::Execution(said())).to_string(),
            "reading data set tax: the engine stopped (execution); its own words are withheld because they may quote a value"
        );
    }
}
