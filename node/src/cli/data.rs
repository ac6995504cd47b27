//! `banyan-node data`: which tables jobs may name, and how sensitive each column is. Never shows a row.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{Config, Home};
use crate::data::{Catalog, DataError, DataSet, Described, FileFormat, ScanOptions, describe, scan};
use crate::disk;
use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::names::Name;
use banyan_proto::published::Published;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Failure};
use super::evidence::record;
use super::text::{grouped, plain, row, table};

/// Register tables, grade their columns, see what others may know of them
#[derive(Subcommand)]
pub(crate) enum Data {
    /// The registered data sets
    #[command(after_help = "Example:\n  banyan-node data list")]
    List,
    /// Register one file of the data directory
    ///
    /// Types are read off the file and can be corrected in catalog.toml; numbers that look like identifiers stay text.
    /// Every column gets level 2 until it is graded: 1 open, 2 internal, 3 sensitive, 4 most sensitive. Columns of level
    /// 3 and 4 can be keys; they never enter a result.
    #[command(after_help = "\
Examples:
  banyan-node data add residents residents.csv --description \"residents, monthly\" --level id=3 --level income=4
  banyan-node data add firms 2026/firms.parquet --text account")]
    Add {
        /// The id that jobs use
        id: Name,
        /// The file, by its path below the data directory
        file: String,
        /// What it is, for those who plan jobs
        #[arg(long, default_value = "")]
        description: String,
        /// The level of a column; may be given several times
        #[arg(long = "level", value_name = "COLUMN=LEVEL", value_parser = level)]
        levels: Vec<(String, u8)>,
        /// A column that is text, whatever it looks like; may be given several times
        #[arg(long = "text", value_name = "COLUMN")]
        texts: Vec<String>,
    },
    /// Register every new .csv, .csv.gz and .parquet file of the data directory
    #[command(after_help = "\
Examples:
  banyan-node data scan --dry-run
  banyan-node data scan --text user_ref")]
    Scan {
        /// Only say what would be registered
        #[arg(long)]
        dry_run: bool,
        /// A column that is text, whatever it looks like; may be given several times
        #[arg(long = "text", value_name = "COLUMN")]
        texts: Vec<String>,
    },
    /// One data set: columns, types, levels, and the size band that others see
    #[command(after_help = "Example:\n  banyan-node data show residents")]
    Show {
        /// The data set
        id: String,
    },
    /// Take a data set out of the catalogue; its file stays where it is
    #[command(after_help = "Example:\n  banyan-node data remove residents")]
    Remove {
        /// The data set
        id: String,
    },
}

fn level(text: &str) -> Result<(String, u8), &'static str> {
    const EXPECTED: &str = "expected a column and a level from 1 to 4, such as id=3";
    let (column, level) = text.rsplit_once('=').ok_or(EXPECTED)?;
    match level.parse() {
        Ok(level @ 1..=4) if !column.is_empty() => Ok((column.to_owned(), level)),
        _ => Err(EXPECTED),
    }
}

impl Data {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let shelf = Shelf::open(home)?;
        match self {
            Self::List => shelf.list(),
            Self::Show { id } => shelf.show(&id),
            Self::Scan { dry_run, texts } => shelf.scan(dry_run, &texts),
            Self::Add { id, file, description, levels, texts } => shelf.add(id, &file, description, &levels, &texts),
            Self::Remove { id } => shelf.remove(&id),
        }
    }
}

/// The catalogue in the home, open for changes.
struct Shelf {
    home: Home,
    config: Config,
    catalog: Catalog,
}

impl Shelf {
    fn open(home: &Home) -> Result<Self, Failure> {
        let config = Config::load(home)?;
        let catalog = Catalog::load(&home.catalog(), &config.data_dir(home))?;
        Ok(Self { home: home.clone(), config, catalog })
    }

    fn list(&self) -> Result<Answer, Failure> {
        let mut rows = vec![row(["DATA SET", "FILE", "FORMAT", "COLUMNS", "DESCRIPTION"])];
        let sets: Vec<Value> = self
            .catalog
            .iter()
            .map(|set| {
                let columns = set.columns.len().to_string();
                rows.push(row([set.id.as_str(), &set.file, format(set), &columns, &plain(&set.description)]));
                json!({
                    "id": set.id,
                    "file": set.file,
                    "format": format(set),
                    "columns": set.columns.len(),
                    "description": set.description,
                })
            })
            .collect();
        let text = match sets.len() {
            0 => format!(
                "no data sets yet: put tables into {} and run `banyan-node data scan`",
                self.config.data_dir(&self.home).display()
            ),
            _ => table(&rows),
        };
        Ok(Answer::yes(text, json!({ "datasets": sets })))
    }

    fn show(&self, id: &str) -> Result<Answer, Failure> {
        let set = self.catalog.get(id)?;
        let published = publish(set)?;
        let Some(seen) = published.datasets.first() else {
            return Err(Failure::not_now(format!("{id} publishes nothing")));
        };
        let mut text = format!("{}  {}\n", set.id, plain(&set.description));
        text.push_str(&format!("file    {} ({})\n", set.file, format(set)));
        text.push_str(&format!(
            "others see the columns below and that it has at most {} rows\n\n",
            grouped(seen.band.rows())
        ));
        let mut rows = vec![row(["COLUMN", "TYPE", "LEVEL", "MAY BE", "DESCRIPTION"])];
        for column in &set.columns {
            let use_of = if column.level >= crate::policy::LEVEL_HIDDEN { "key only" } else { "key, filter, output" };
            let level = column.level.to_string();
            rows.push(row([&plain(&column.name), column.kind.name(), &level, use_of, &plain(&column.description)]));
        }
        text.push_str(&table(&rows));
        Ok(Answer::yes(text, json!({ "dataset": seen, "file": set.file, "format": format(set) })))
    }

    fn scan(&self, dry_run: bool, texts: &[String]) -> Result<Answer, Failure> {
        let directory = self.config.data_dir(&self.home);
        let options = ScanOptions { text: texts.iter().cloned().collect(), ..ScanOptions::default() };
        let known: BTreeSet<&str> = self.catalog.iter().map(|set| set.file.as_str()).collect();
        let found = scan(&directory, &options)?;
        let new: Vec<Described> = found.into_iter().filter(|one| !known.contains(one.set.file.as_str())).collect();
        let sets = || new.iter().map(|one| &one.set);
        if let Some(taken) = sets().find(|set| self.catalog.iter().any(|other| other.id == set.id)) {
            return Err(Failure::input(format!(
                "{} would be data set {}, which is another file already; give it an id of its own: \
                 banyan-node data add ID {}",
                taken.file, taken.id, taken.file
            )));
        }
        let mut text = String::new();
        for Described { set, left_out } in &new {
            let columns: Vec<String> =
                set.columns.iter().map(|column| format!("{} {}", plain(&column.name), column.kind.name())).collect();
            text.push_str(&format!("{}  {}: {}\n{}", set.id, set.file, columns.join(", "), left(left_out)));
        }
        if new.is_empty() {
            text = format!("nothing new in {}\n", directory.display());
        } else if dry_run {
            text.push_str("\nNothing was registered: that was a dry run.\n");
        } else {
            text.push_str(&format!(
                "\nRegistered with level 2 for every column. Grade them in {}: 1 open … 4 most sensitive.\n",
                self.home.catalog().display()
            ));
        }
        let ids: Vec<&Name> = sets().map(|set| &set.id).collect();
        let left: Map<String, Value> = new.iter().map(|one| (one.set.id.to_string(), json!(one.left_out))).collect();
        let object = json!({ "new": ids, "left_out": left, "registered": !dry_run && !new.is_empty() });
        let ready = self.ready(sets().cloned().collect())?;
        if !dry_run {
            self.put(ready)?;
        }
        Ok(Answer::yes(text, object))
    }

    fn add(
        &self,
        id: Name,
        file: &str,
        description: String,
        levels: &[(String, u8)],
        texts: &[String],
    ) -> Result<Answer, Failure> {
        if self.catalog.iter().any(|set| set.id == id) {
            return Err(Failure::input(format!(
                "data set {id} is registered already; remove it first, or correct it in {}",
                self.home.catalog().display()
            )));
        }
        let options = ScanOptions { text: texts.iter().cloned().collect(), ..ScanOptions::default() };
        let directory = self.config.data_dir(&self.home);
        let Described { mut set, left_out } = describe(&directory, &below(&directory, file)?, id, &options)?;
        set.description = description;
        for name in texts {
            set.column(name)?;
        }
        for (name, level) in levels {
            set.column(name)?;
            set.columns.iter_mut().filter(|column| column.name == *name).for_each(|column| column.level = *level);
        }
        let id = set.id.clone();
        let graded = levels.len() == set.columns.len();
        self.put(self.ready(vec![set])?)?;
        let shelf = Self::open(&self.home)?;
        let mut answer = shelf.show(id.as_str())?;
        answer.add(&left(&left_out));
        answer.tell("left_out", json!(left_out));
        if !graded {
            let which = if levels.is_empty() { "the columns" } else { "the other columns" };
            answer.add(&format!("\nGrade {which} in {}: 1 open … 4 most sensitive.", self.home.catalog().display()));
        }
        Ok(answer)
    }

    fn remove(&self, id: &str) -> Result<Answer, Failure> {
        let gone = self.catalog.get(id)?;
        let left = self.catalog.iter().filter(|set| set.id != gone.id).map(|set| (**set).clone());
        let text = Catalog::new(left).to_toml()?;
        record(&self.home, Act::Register, Digest::default(), &format!("remove {}", gone.id))?;
        self.write(&text)?;
        let text = format!("{} is no longer registered; {} stays where it is", gone.id, gone.file);
        Ok(Answer::yes(text, json!({ "id": gone.id })))
    }

    /// What registering these data sets would write. Each file is read whole: one that no job could read is refused here.
    fn ready(&self, new: Vec<DataSet>) -> Result<Ready, Failure> {
        let acts = new.iter().map(|set| Ok((publish(set)?.digest(), format!("add {}", set.id))));
        let acts = acts.collect::<Result<_, DataError>>()?;
        let all = Catalog::new(self.catalog.iter().map(|set| (**set).clone()).chain(new));
        Ok(Ready { acts, text: all.to_toml()? })
    }

    /// Logs and writes new data sets.
    fn put(&self, ready: Ready) -> Result<(), Failure> {
        if ready.acts.is_empty() {
            return Ok(());
        }
        for (published, words) in &ready.acts {
            record(&self.home, Act::Register, *published, words)?;
        }
        self.write(&ready.text)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let file = self.home.catalog();
        disk::replace(&file, text.as_bytes(), disk::PRIVATE_FILE)
            .map_err(|error| Failure::not_now(format!("{}: {error}; nothing was changed", file.display())))
    }
}

/// A change of the catalogue that passed every check: what is logged, and the text that is written.
struct Ready {
    acts: Vec<(Digest, String)>,
    text: String,
}

/// What was left out of a data set, as a line for people.
fn left(out: &[usize]) -> String {
    if out.is_empty() {
        return String::new();
    }
    let places: Vec<String> = out.iter().map(usize::to_string).collect();
    format!(
        "left out: column {} of the file, without a name, with one that starts with \"__\", or of a type that is not read\n",
        places.join(", ")
    )
}

/// A file's path below the data directory, also where it was given whole, as a shell completes it.
fn below(directory: &Path, file: &str) -> Result<String, Failure> {
    let whole = Path::new(file);
    if whole.is_relative() {
        return Ok(file.to_owned());
    }
    let inside = whole.strip_prefix(directory).ok().and_then(Path::to_str);
    inside.map(str::to_owned).ok_or_else(|| {
        Failure::input(format!(
            "{file} is not in the data directory {}: jobs reach no other file; put it there, or give the directory it is \
             in to `banyan-node init --data`, later as data_dir in config.toml",
            directory.display()
        ))
    })
}

fn publish(set: &DataSet) -> Result<Published, DataError> {
    Catalog::new([set.clone()]).publish()
}

fn format(set: &DataSet) -> &'static str {
    match set.format {
        FileFormat::Csv { .. } => "csv",
        FileFormat::Parquet => "parquet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_below_the_data_directory() {
        let directory = Path::new("/srv/tables");
        assert_eq!(below(directory, "2026/tax.csv"), Ok("2026/tax.csv".to_owned()));
        assert_eq!(below(directory, "/srv/tables/2026/tax.csv"), Ok("2026/tax.csv".to_owned()));
        let outside = below(directory, "/srv/other/tax.csv").unwrap_err().to_string();
        assert!(outside.starts_with("/srv/other/tax.csv is not in the data directory /srv/tables"), "{outside}");
    }

    #[test]
    fn a_level_is_a_column_and_a_number() {
        assert_eq!(level("id=3"), Ok(("id".to_owned(), 3)));
        assert_eq!(level("a=b=4"), Ok(("a=b".to_owned(), 4)));
        for bad in ["id", "id=", "id=0", "id=5", "=3", "id=high"] {
            assert!(level(bad).is_err(), "{bad}");
        }
    }
}
