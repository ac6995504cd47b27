//! A first catalogue for a directory of files: what a person would otherwise type, to be read and graded by one.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::path::Path;

use banyan_proto::names::Name;
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::catalog::{Column, DataSet, FileFormat, Kind, RESERVED, resolve};
use super::csv::Records;
use super::encoding::{Encoding, detect};
use super::error::{CatalogFault, DataError};
use super::source::{days, guess_delimiter, open};

/// Rows looked at to type the columns of a CSV file. A later cell of another type is an error of the job that names it.
const ROWS_MAX: usize = 100_000;

/// Whole numbers of more digits than this are identifiers (phones have 11, account numbers more).
const DIGITS_MAX: usize = 10;

/// What a scan cannot know.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Columns that are text whatever they look like: the key columns of the job at hand.
    pub text: BTreeSet<String>,
    /// The level every column gets until a person grades it.
    pub level: u8,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { text: BTreeSet::new(), level: 2 }
    }
}

/// A file as a data set, and what of it is not in there.
#[derive(Clone, Debug)]
pub struct Described {
    /// The data set.
    pub set: DataSet,
    /// Columns that have no name, such as the row numbers some programs write, or one that is kept for the node (`__…`),
    /// or a type that is not read: their places in the file, counted from 1.
    pub left_out: Vec<usize>,
}

/// One data set for every `.csv`, `.csv.gz` and `.parquet` file directly in `directory`, with the file's stem as id.
/// Other files, hidden files and links that lead out are passed over.
///
/// A CSV column is an integer or float only where every value seen is one in plain spelling and nothing says
/// identifier: a name like one (`id`, `...no`, `code`, `phone`, 号, 码, 证), a leading zero or plus, more than ten digits,
/// a value that never repeats in the first column, or the caller's list. All else is text: numbers can be retyped,
/// lost zeros cannot be found again.
pub fn scan(directory: &Path, options: &ScanOptions) -> Result<Vec<Described>, DataError> {
    let failed = |error| DataError::io(format!("reading {}", directory.display()), error);
    let entries = fs::read_dir(directory).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut files: Vec<String> = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    files.sort();
    let sets = files.iter().filter_map(|file| data_set(directory, file, options).transpose());
    let sets = sets.collect::<Result<Vec<_>, _>>()?;
    let mut seen = BTreeSet::new();
    match sets.iter().map(|described| &described.set).find(|set| !seen.insert(&set.id)) {
        Some(twice) => Err(CatalogFault {
            file: "catalog.toml".into(),
            table: format!("dataset.{}", twice.id),
            field: "file".into(),
            found: format!("{} gives an id that another file gives too", twice.file),
            expected: "one file for each id".into(),
            remedy: "rename one of the files".into(),
        }
        .into()),
        None => Ok(sets),
    }
}

/// One file of `directory`, by its relative path, as data set `id`: typed as [`scan`] types it.
pub fn describe(directory: &Path, file: &str, id: Name, options: &ScanOptions) -> Result<Described, DataError> {
    let mut set = DataSet {
        id,
        description: String::new(),
        file: file.into(),
        directory: directory.into(),
        format: FileFormat::Parquet,
        columns: Vec::new(),
    };
    let path = set.path()?;
    let columns = if file.ends_with(".parquet") {
        parquet(&path, file)?
    } else {
        let (format, columns) = csv(&path, file)?;
        set.format = format;
        columns
    };
    let mut left_out = Vec::new();
    for (place, (name, kind)) in (1..).zip(columns) {
        match kind {
            Some(kind) if !name.is_empty() && !name.starts_with(RESERVED) => {
                let kind = if options.text.contains(&name) { Kind::Text } else { kind };
                set.columns.push(Column { name, kind, level: options.level, description: String::new() });
            }
            _ => left_out.push(place),
        }
    }
    Ok(Described { set, left_out })
}

fn data_set(directory: &Path, file: &str, options: &ScanOptions) -> Result<Option<Described>, DataError> {
    let stem = [".csv", ".csv.gz", ".parquet"].iter().find_map(|ending| file.strip_suffix(ending));
    let Some(stem) = stem.filter(|stem| !stem.is_empty() && !stem.starts_with('.')) else { return Ok(None) };
    if resolve(directory, file).is_err() {
        return Ok(None);
    }
    describe(directory, file, id(stem, file)?, options).map(Some)
}

/// The stem in lower case, with underscores for what an id cannot have.
fn id(stem: &str, file: &str) -> Result<Name, DataError> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '_' };
    stem.chars().map(plain).collect::<String>().parse().map_err(|expected: &str| {
        CatalogFault {
            file: "catalog.toml".into(),
            table: "dataset".into(),
            field: "id".into(),
            found: format!("the file name {file:?} gives no id"),
            expected: expected.into(),
            remedy: "rename the file in latin letters, or write its table by hand".into(),
        }
        .into()
    })
}

/// The columns of a file by name, with their types where they are read.
type Columns = Vec<(String, Option<Kind>)>;

fn parquet(path: &Path, file: &str) -> Result<Columns, DataError> {
    let opened = File::open(path).map_err(|error| DataError::io(format!("opening {file}"), error))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, options)
        .map_err(|_| DataError::Format { file: file.into(), expected: "parquet" })?;
    let kinds = builder.schema().fields().iter().map(|field| {
        let kind = match field.data_type() {
            kind if kind.is_integer() && like_identifier(field.name()) => Some(Kind::Text),
            kind if kind.is_integer() => Some(Kind::Integer),
            DataType::Float32 | DataType::Float64 => Some(Kind::Float),
            kind if kind.is_string() => Some(Kind::Text),
            DataType::Date32 => Some(Kind::Date),
            _ => None,
        };
        (field.name().clone(), kind)
    });
    Ok(kinds.collect())
}

fn csv(path: &Path, file: &str) -> Result<(FileFormat, Columns), DataError> {
    let input =
        || File::open(path).map(|opened| open(opened, file)).map_err(|e| DataError::io(format!("opening {file}"), e));
    let encoding = detect(input, file)?;
    let delimiter = delimiter(input()?, file, encoding)?;
    let mut records = Records::new(input()?, file, encoding, delimiter);
    if !records.advance()? {
        return Err(DataError::Empty { file: file.into() });
    }
    if (0..records.len()).any(|at| like_value(records.field(at).trim())) {
        return Err(DataError::NoHeader { file: file.into() });
    }
    let mut columns: Vec<Guess> = (0..records.len()).map(|at| Guess::new(records.field(at).trim(), at)).collect();
    let mut rows = 0;
    while rows < ROWS_MAX && records.advance()? {
        rows += 1;
        if records.len() != columns.len() {
            let (line, found) = (records.line(), records.len());
            return Err(DataError::Fields { file: file.into(), line, found, expected: columns.len() });
        }
        columns.iter_mut().enumerate().for_each(|(at, column)| column.see(records.field(at)));
    }
    if rows == 0 {
        return Err(DataError::HeaderOnly { file: file.into() });
    }
    let columns = columns.into_iter().map(|guess| (guess.name.clone(), Some(guess.kind(rows))));
    Ok((FileFormat::Csv { delimiter, encoding }, columns.collect()))
}

/// The delimiter of the header; a comma where it has none.
fn delimiter(input: Box<dyn std::io::Read + Send>, file: &str, encoding: Encoding) -> Result<u8, DataError> {
    let mut records = Records::lines(input, file, encoding);
    match records.advance()? {
        true => Ok(guess_delimiter(records.field(0)).unwrap_or(b',')),
        false => Err(DataError::Empty { file: file.into() }),
    }
}

/// What the values of a column allow so far.
struct Guess {
    name: String,
    integer: bool,
    float: bool,
    any: bool,
    /// Values of the first column, while none repeats.
    distinct: Option<HashSet<String>>,
}

impl Guess {
    fn new(name: &str, at: usize) -> Self {
        let number = !like_identifier(name);
        let distinct = (at == 0).then(HashSet::new);
        Self { name: name.into(), integer: number, float: number, any: false, distinct }
    }

    fn see(&mut self, cell: &str) {
        let cell = cell.trim();
        if cell.is_empty() || !(self.integer || self.float) {
            return;
        }
        self.any = true;
        let digits = cell.strip_prefix('-').unwrap_or(cell);
        let plain = !(digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit());
        let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        self.integer &= plain && all_digits && digits.len() <= DIGITS_MAX;
        let numeric =
            digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) && !cell.starts_with('+');
        let fits = !all_digits || digits.len() <= DIGITS_MAX;
        self.float &= plain && numeric && fits && cell.parse::<f64>().is_ok_and(f64::is_finite);
        if self.distinct.as_mut().is_some_and(|distinct| !distinct.insert(cell.into())) {
            self.distinct = None;
        }
    }

    fn kind(&self, rows: usize) -> Kind {
        let unique = rows > 1 && self.distinct.as_ref().is_some_and(|distinct| distinct.len() == rows);
        match (self.any && !unique, self.integer, self.float) {
            (true, true, _) => Kind::Integer,
            (true, false, true) => Kind::Float,
            _ => Kind::Text,
        }
    }
}

/// Whether a cell of the first line is a value and no name. A name that is taken for a value can be changed; a value that
/// is taken for a name is told to others.
fn like_value(cell: &str) -> bool {
    /// Digits in a row: phones and the numbers of citizens, firms and accounts have more, names of columns fewer.
    const DIGITS: usize = 6;
    let number = cell.chars().any(|c| c.is_ascii_digit()) && cell.parse::<f64>().is_ok();
    let long = cell.split(|c: char| !c.is_numeric()).any(|run| run.chars().count() >= DIGITS);
    number || long || days(cell).is_some() || cell.parse::<jiff::civil::DateTime>().is_ok()
}

/// Whether a name says identifier.
fn like_identifier(name: &str) -> bool {
    const WORDS: [&str; 14] =
        ["id", "ids", "no", "num", "number", "code", "key", "uid", "uuid", "phone", "mobile", "tel", "card", "cert"];
    let lower = name.to_lowercase();
    let word = lower.split(|c: char| !c.is_alphanumeric()).any(|part| WORDS.contains(&part));
    let camel = name.ends_with("Id") || name.ends_with("ID") || name.ends_with("No") || lower.ends_with("code");
    word || camel || name.contains(['号', '码', '证'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("Bank 2024.csv"), text).unwrap();
        let found = scan(home.path(), &ScanOptions::default()).unwrap();
        assert_eq!(found[0].set.id.as_str(), "bank_2024");
        found[0].set.columns.iter().map(|column| column.kind).collect()
    }

    #[test]
    fn identifiers_stay_text_and_counts_become_numbers() {
        use Kind::{Float, Integer, Text};
        assert_eq!(kinds("id,AGE,BAL\n1,30,1.5\n2,40,-2\n"), [Text, Integer, Float]);
        assert_eq!(
            kinds("x;y;z\n1;01;13800000000\n2;2;13800000001\n"),
            [Text, Text, Text],
            "unique first, zeros, long"
        );
        assert_eq!(kinds("y,x\n0,\n0,3\n"), [Integer, Integer]);
        assert_eq!(kinds("a,身份证号,userId,e\n5,1,1,\n5,2,2,\n"), [Integer, Text, Text, Text]);
        assert_eq!(kinds("a,b,c\n1,nan,+5\n1,1,5\n"), [Integer, Text, Text]);
    }

    #[test]
    fn a_first_line_of_values_is_no_header() {
        for value in [
            "110105194912310021",
            "11010519491231002X",
            "13800000000",
            "7",
            "-1.5",
            "1e3",
            "2026-11-21",
            "2026/11/21",
            "2026-11-21 10:00:00",
            "A123456",
            "１３８００００００００",
        ] {
            assert!(like_value(value), "{value}");
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join("a.csv"), format!("张三,{value}\n李四,{value}\n")).unwrap();
            assert_eq!(
                scan(home.path(), &ScanOptions::default()).unwrap_err().to_string(),
                "the first line of a.csv looks like a row: a name of a column is no number or date, and has no six digits in a row; add a header line"
            );
        }
        for name in ["id", "PAY_0", "BILL_AMT1", "x2026", "sha256", "inf", "nan", "年龄", "", "e", "2026年"] {
            assert!(!like_value(name), "{name}");
        }
    }

    #[test]
    fn columns_that_cannot_be_named_are_left_out_and_told() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("a.csv"), ",id,__index_level_0__,age\n0,x,0,30\n1,y,1,31\n").unwrap();
        let found = scan(home.path(), &ScanOptions::default()).unwrap();
        assert_eq!(found[0].left_out, [1, 3]);
        assert_eq!(found[0].set.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id", "age"]);
    }

    #[test]
    fn what_is_not_a_table_is_passed_over_and_two_of_one_id_refused() {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in [("a.csv", "k,v\n1,2\n"), ("notes.txt", "x"), (".b.csv", "k\n1\n"), ("dir.csv.bak", "")] {
            fs::write(home.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("/etc/hostname", home.path().join("out.csv")).unwrap();
        let options = ScanOptions { text: BTreeSet::from(["v".to_owned()]), level: 1 };
        let found = scan(home.path(), &options).unwrap();
        assert_eq!(found.iter().map(|one| one.set.file.as_str()).collect::<Vec<_>>(), ["a.csv"]);
        assert_eq!(found[0].set.column("v").unwrap().kind, Kind::Text);
        fs::write(home.path().join("A.csv"), "k\n1\n").unwrap();
        assert_eq!(
            scan(home.path(), &options).unwrap_err().to_string(),
            "catalog.toml: [dataset.a] file: a.csv gives an id that another file gives too; expected one file for each id; rename one of the files"
        );
    }
}
