//! The catalogue: which data sets this node has, what their columns mean, and how sensitive each is. Jobs name ids;
//! only the catalogue knows files, and only files inside the one data directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use banyan_proto::job::Band;
use banyan_proto::names::Name;
use banyan_proto::published::{Published, PublishedColumn, PublishedDataset};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::encoding::Encoding;
use super::error::{CatalogFault, DataError};
use super::fingerprint::Stamp;
use super::near;

/// The name of the column that carries where a row stands in its file: the line it starts on (CSV), or its number
/// counted from 1 (Parquet).
pub(crate) const POSITION: &str = "__position";

/// What no column name of the catalogue starts with: it is kept for the node.
pub(crate) const RESERVED: &str = "__";

/// The data sets of a node.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    sets: BTreeMap<Name, Arc<DataSet>>,
}

impl Catalog {
    /// Reads `file` (catalog.toml); data files are looked up in `directory`.
    pub fn load(file: &Path, directory: &Path) -> Result<Self, DataError> {
        let text = fs::read_to_string(file).map_err(|e| DataError::io(format!("reading {}", file.display()), e))?;
        super::catalog_toml::parse(&text, &file.file_name().unwrap_or_default().to_string_lossy(), directory)
    }

    /// A catalogue of these data sets. A later one replaces an earlier one of the same id.
    pub fn new(sets: impl IntoIterator<Item = DataSet>) -> Self {
        Self { sets: sets.into_iter().map(|set| (set.id.clone(), Arc::new(set))).collect() }
    }

    /// The data set with this id, or what there is instead.
    pub fn get(&self, id: &str) -> Result<&Arc<DataSet>, DataError> {
        let found = id.parse::<Name>().ok().and_then(|name| self.sets.get(&name));
        found.ok_or_else(|| DataError::UnknownDataSet {
            name: id.into(),
            known: near::hint(id, self.sets.keys().map(Name::as_str)),
        })
    }

    /// All data sets by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<DataSet>> {
        self.sets.values()
    }

    /// As catalog.toml; reading it gives the same catalogue. Fails where it could not be read: a catalogue that no node
    /// can load would stop every job of this one.
    pub fn to_toml(&self) -> Result<String, DataError> {
        let text = super::catalog_toml::write(self);
        super::catalog_toml::parse(&text, "catalog.toml", Path::new("")).map(|_| text)
    }

    /// What others may know of it: schemas, levels and size bands, without paths. Reads every file once to count rows,
    /// so an unreadable file is found here.
    pub fn publish(&self) -> Result<Published, DataError> {
        let datasets = self.iter().map(|set| Ok(set.published(Band::covering(super::source::count(set)?))));
        Ok(Published { datasets: datasets.collect::<Result<_, DataError>>()? })
    }

    /// The same for a daemon that publishes again and again: files are counted only where they are not as `known` has
    /// them, and a data set that cannot be read is left out, with a warning in the log, and takes no other with it.
    /// Blocks while it reads.
    pub fn publish_readable(&self, known: &KnownBands) -> Published {
        let published = |set: &Arc<DataSet>| match known.band(set) {
            Ok(band) => Some(set.published(band)),
            Err(error) => {
                tracing::warn!(dataset = %set.id, %error, "a data set cannot be read and is not published");
                None
            }
        };
        Published { datasets: self.iter().filter_map(published).collect() }
    }
}

/// The size bands of data sets whose file has not changed since it was counted.
#[derive(Debug, Default)]
pub struct KnownBands(Mutex<BTreeMap<Name, Counted>>);

#[derive(Debug)]
struct Counted {
    set: Arc<DataSet>,
    stamp: Stamp,
    band: Band,
}

impl KnownBands {
    fn band(&self, set: &Arc<DataSet>) -> Result<Band, DataError> {
        let stamp = Stamp::of(set)?;
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = known().get(&set.id)
            && (&counted.set, &counted.stamp) == (set, &stamp)
        {
            return Ok(counted.band);
        }
        let band = Band::covering(super::source::count(set)?);
        known().insert(set.id.clone(), Counted { set: Arc::clone(set), stamp, band });
        Ok(band)
    }
}

/// One registered data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSet {
    /// The id that jobs use.
    pub id: Name,
    /// What it is.
    pub description: String,
    /// The file, relative to the data directory.
    pub file: String,
    /// The data directory.
    pub directory: PathBuf,
    /// How the file is read.
    pub format: FileFormat,
    /// Its columns. Columns of the file that are not here do not exist for jobs.
    pub columns: Vec<Column>,
}

impl DataSet {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Result<&Column, DataError> {
        self.index(name).map(|index| &self.columns[index])
    }

    /// The place of the column of this name.
    pub(crate) fn index(&self, name: &str) -> Result<usize, DataError> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| DataError::UnknownColumn {
            set: self.id.to_string(),
            column: name.into(),
            near: near::hint(name, self.columns.iter().map(|column| column.name.as_str())),
        })
    }

    /// The explicit schema, as the engine sees it: the columns, then the row's position.
    pub(crate) fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| Field::new(&column.name, column.kind.arrow(), true));
        Arc::new(Schema::new(fields.chain([Field::new(POSITION, DataType::UInt64, false)]).collect::<Vec<_>>()))
    }

    /// The file on disk, proven to lie in the data directory after all links are followed.
    pub fn path(&self) -> Result<PathBuf, DataError> {
        resolve(&self.directory, &self.file).map_err(|found| self.refuse("file", found))
    }

    fn published(&self, band: Band) -> PublishedDataset {
        let column = |column: &Column| PublishedColumn {
            name: column.name.clone(),
            kind: column.kind.name().into(),
            level: column.level,
            description: column.description.clone(),
        };
        PublishedDataset {
            id: self.id.clone(),
            description: self.description.clone(),
            band,
            columns: self.columns.iter().map(column).collect(),
        }
    }

    fn refuse(&self, field: &str, found: String) -> DataError {
        CatalogFault {
            file: "catalog.toml".into(),
            table: format!("dataset.{}", self.id),
            field: field.into(),
            found,
            expected: "a file inside the data directory, such as \"tax.csv\"".into(),
            remedy: "put the file there and give its name".into(),
        }
        .into()
    }
}

/// `file` under `directory`, or what is wrong with it.
pub(super) fn resolve(directory: &Path, file: &str) -> Result<PathBuf, String> {
    check_relative(file)?;
    let shown = near::list([file]);
    let directory =
        directory.canonicalize().map_err(|error| format!("the data directory cannot be opened ({error})"))?;
    let path = directory.join(file).canonicalize().map_err(|error| format!("{shown} cannot be opened ({error})"))?;
    if !path.starts_with(&directory) {
        return Err(format!("{shown} leads out of the data directory"));
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(path),
        _ => Err(format!("{shown} is not a regular file")),
    }
}

/// Whether `file` is a plain relative path.
pub(crate) fn check_relative(file: &str) -> Result<(), String> {
    let plain = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if file.is_empty() || !plain || file.contains(['\0', '\\']) || file.chars().any(char::is_control) {
        return Err(format!("{file:?} is not a plain path below the data directory"));
    }
    Ok(())
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Separated values with a header line; a name that ends in `.gz` is unpacked on the way.
    Csv {
        /// An ASCII character.
        delimiter: u8,
        /// How the text is written.
        encoding: Encoding,
    },
    /// Apache Parquet.
    Parquet,
}

/// One column of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, in the header too.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// 1 (open) to 4 (most sensitive); from [`crate::policy::LEVEL_HIDDEN`] up it is never an output column.
    pub level: u8,
    /// What it means.
    pub description: String,
}

/// The type of a column. Identifiers are text, whatever they look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// 64-bit whole numbers.
    Integer,
    /// 64-bit floating point, finite.
    Float,
    /// A day: `2026-11-21`, `2026/11/21` or `20261121`.
    Date,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Integer, Self::Float, Self::Date];

    /// The name in catalog.toml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Date => "date",
        }
    }

    /// The type in the engine.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
        }
    }

    /// What a cell of it is, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "a whole number of at most 64 bits",
            Self::Float => "a finite number",
            Self::Date => "a date such as 2026-11-21",
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn hostile_names_open_nothing() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.csv"), "id\n1\n").unwrap();
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir_all(data.join("sub")).unwrap();
        fs::write(data.join("sub/ok.csv"), "id\n1\n").unwrap();
        symlink(outside.path().join("secret.csv"), data.join("link.csv")).unwrap();
        symlink(outside.path(), data.join("linked")).unwrap();
        symlink("ok.csv", data.join("sub/inside.csv")).unwrap();
        for file in [
            "../secret.csv",
            "sub/../../secret.csv",
            "/etc/passwd",
            "./../data/../secret.csv",
            "link.csv",
            "linked/secret.csv",
            "sub",
            "",
            ".",
            "..",
            "a\0b",
            "..\\secret.csv",
            "C:\\secret.csv",
            "absent.csv",
            "a\nb",
        ] {
            assert!(resolve(&data, file).is_err(), "{file:?}");
        }
        assert!(resolve(&data, "sub/ok.csv").is_ok());
        assert!(resolve(&data, "sub/inside.csv").is_ok(), "a link inside stays inside");
        assert_eq!(resolve(&data, "link.csv").unwrap_err(), "`link.csv` leads out of the data directory");
    }

    #[test]
    fn an_unknown_data_set_is_answered_with_what_there_is() {
        let set = |id: &str| DataSet {
            id: id.parse().unwrap(),
            description: String::new(),
            file: "f.csv".into(),
            directory: ".".into(),
            format: FileFormat::Parquet,
            columns: Vec::new(),
        };
        let catalog = Catalog::new([set("tax"), set("bank")]);
        assert_eq!(
            catalog.get("taxx").unwrap_err().to_string(),
            "unknown data set `taxx`: did you mean `tax`? there are `bank`, `tax`; see `banyan-node data list`"
        );
        for hostile in ["../tax", "tax; DROP TABLE tax", "\"tax\"", "tax\0", "", "TAX", "tax.csv"] {
            assert!(catalog.get(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn one_bad_file_is_left_out_and_only_changed_files_are_counted_again() {
        let home = tempfile::tempdir().unwrap();
        let write = |file: &str, rows: usize| {
            fs::write(home.path().join(file), format!("id,age\n{}", "x,1\n".repeat(rows))).unwrap();
        };
        write("bank.csv", 3);
        write("tax.csv", 33);
        let found = super::super::scan(home.path(), &Default::default()).unwrap();
        let catalog = Catalog::new(found.into_iter().map(|described| described.set));
        let known = KnownBands::default();
        let bands = || {
            let published = catalog.publish_readable(&known);
            published.datasets.iter().map(|set| (set.id.to_string(), set.band.rows())).collect::<Vec<_>>()
        };
        assert_eq!(bands(), [("bank".into(), 16), ("tax".into(), 40)]);
        // what is remembered is believed, so the file was not read
        known.0.lock().unwrap().get_mut(&"bank".parse::<Name>().unwrap()).unwrap().band = Band::covering(1000);
        write("tax.csv", 100);
        assert_eq!(bands(), [("bank".into(), 1024), ("tax".into(), 112)]);
        write("tax.csv", 0);
        assert_eq!(bands(), [("bank".into(), 1024)], "a file that cannot be read takes no other with it");
        fs::remove_file(home.path().join("tax.csv")).unwrap();
        assert_eq!(bands(), [("bank".into(), 1024)]);
        write("tax.csv", 33);
        write("bank.csv", 3);
        assert_eq!(bands(), [("bank".into(), 16), ("tax".into(), 40)]);
    }
}
