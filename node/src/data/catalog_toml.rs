//! catalog.toml: reading with words for whoever wrote it, and writing.
//!
//! ```toml
//! [dataset.tax]
//! file = "tax.csv"             # below the data directory
//! format = "csv"               # csv | parquet
//! delimiter = ","              # csv only
//! encoding = "utf-8"           # csv only: utf-8 | gbk | gb18030
//! description = "tax status of residents"
//!
//! [[dataset.tax.column]]
//! name = "id"
//! type = "text"                # text | integer | float | date
//! level = 3                    # 1..4
//! description = "citizen id number"
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use banyan_proto::names::Name;
use toml::{Table, Value};

use super::catalog::{Catalog, Column, DataSet, FileFormat, Kind, RESERVED, check_relative};
use super::encoding::Encoding;
use super::error::{CatalogFault, DataError};

/// Bytes of a column name: as long as any database allows, short enough for a line of an error.
const COLUMN_NAME_MAX: usize = 128;

/// Columns of one data set.
const COLUMNS_MAX: usize = 1024;

/// Parses the text of `file`.
pub(crate) fn parse(text: &str, file: &str, directory: &Path) -> Result<Catalog, DataError> {
    let root: Table = text.parse().map_err(|error: toml::de::Error| DataError::CatalogSyntax {
        file: file.into(),
        line: error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1),
        reason: error.message().replace('\n', " "),
    })?;
    let top = Reader { file, table: String::new(), fields: &root };
    top.only(&["dataset"])?;
    let Some(sets) = root.get("dataset") else { return Ok(Catalog::default()) };
    let Value::Table(sets) = sets else {
        return Err(top.refuse(
            "dataset",
            "not a table",
            "one table [dataset.<id>] for each data set",
            "write [dataset.tax]",
        ));
    };
    sets.iter().map(|(id, value)| data_set(file, directory, id, value)).collect::<Result<Vec<_>, _>>().map(Catalog::new)
}

fn data_set(file: &str, directory: &Path, id: &str, value: &Value) -> Result<DataSet, DataError> {
    let table = format!("dataset.{id}");
    let empty = Table::new();
    let reader = Reader { file, table, fields: value.as_table().unwrap_or(&empty) };
    let id: Name = id.parse().map_err(|reason: &str| reader.refuse("id", "not a name", reason, "rename the table"))?;
    reader.only(&["file", "format", "delimiter", "encoding", "description", "column"])?;
    let path = reader.text("file", "the name of a file in the data directory, such as \"tax.csv\"")?;
    check_relative(path).map_err(|found| {
        reader.refuse(
            "file",
            &found,
            "a path below the data directory without \"..\"",
            "move the file there and give its name",
        )
    })?;
    let format = match reader.text("format", "\"csv\" or \"parquet\"")? {
        "csv" => FileFormat::Csv { delimiter: reader.delimiter()?, encoding: reader.encoding()? },
        "parquet" => {
            if let Some(field) = ["delimiter", "encoding"].into_iter().find(|field| reader.fields.contains_key(*field))
            {
                return Err(reader.refuse(field, "given for parquet", "it for csv only", "remove the line"));
            }
            FileFormat::Parquet
        }
        other => {
            return Err(reader.refuse(
                "format",
                &format!("{other:?}"),
                "\"csv\" or \"parquet\"",
                "export the table as one of them",
            ));
        }
    };
    let columns = match reader.fields.get("column") {
        Some(Value::Array(columns)) if !columns.is_empty() && columns.len() <= COLUMNS_MAX => columns,
        _ => {
            let expected = format!("1 to {COLUMNS_MAX} tables [[{}.column]]", reader.table);
            return Err(reader.refuse(
                "column",
                "missing, empty or too many",
                &expected,
                "let `banyan-node data scan` write them",
            ));
        }
    };
    let columns =
        columns.iter().enumerate().map(|(at, value)| column(&reader, at, value)).collect::<Result<Vec<_>, _>>()?;
    let mut names = BTreeSet::new();
    if let Some(twice) = columns.iter().find(|column| !names.insert(&column.name)) {
        let found = format!("{:?} stands twice", twice.name);
        return Err(reader.refuse("column", &found, "each name once", "remove one of them"));
    }
    let description = reader.description()?;
    Ok(DataSet { id, description, file: path.into(), directory: directory.into(), format, columns })
}

fn column(set: &Reader<'_>, at: usize, value: &Value) -> Result<Column, DataError> {
    let empty = Table::new();
    let table = format!("{}.column {}", set.table, at + 1);
    let reader = Reader { file: set.file, table, fields: value.as_table().unwrap_or(&empty) };
    reader.only(&["name", "type", "level", "description"])?;
    let name = reader.text("name", "the column's name in the file's header")?;
    let fits = !name.is_empty() && name.len() <= COLUMN_NAME_MAX && name.trim() == name;
    if !fits || name.starts_with(RESERVED) || name.chars().any(char::is_control) {
        let expected = format!(
            "1 to {COLUMN_NAME_MAX} bytes, no control characters or spaces around, not starting with {RESERVED:?} (kept for the node)"
        );
        return Err(reader.refuse("name", "not a column name", &expected, "rename the column in the file and here"));
    }
    let kind = reader.text("type", "\"text\", \"integer\", \"float\" or \"date\"")?;
    let kind = kind.parse::<Kind>().map_err(|()| {
        let expected = "\"text\", \"integer\", \"float\" or \"date\"";
        reader.refuse(
            "type",
            &format!("{kind:?}"),
            expected,
            "use \"text\" for identifiers and whatever else is not counted",
        )
    })?;
    let level = match reader.fields.get("level").and_then(Value::as_integer) {
        Some(level @ 1..=4) => level as u8,
        _ => {
            let remedy = "grade the column; 3 and 4 are usable but never visible";
            return Err(reader.refuse("level", "missing or not a level", "1, 2, 3 or 4", remedy));
        }
    };
    Ok(Column { name: name.into(), kind, level, description: reader.description()? })
}

/// One table of the file, with the words to refuse it.
struct Reader<'a> {
    file: &'a str,
    table: String,
    fields: &'a Table,
}

impl<'a> Reader<'a> {
    fn refuse(&self, field: &str, found: &str, expected: &str, remedy: &str) -> DataError {
        CatalogFault {
            file: self.file.into(),
            table: self.table.clone(),
            field: field.into(),
            found: found.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
        .into()
    }

    fn only(&self, known: &[&str]) -> Result<(), DataError> {
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            Some(other) => Err(self.refuse(other, "unknown", &known.join(", "), "remove it, or correct its name")),
            None => Ok(()),
        }
    }

    fn text(&self, field: &str, expected: &str) -> Result<&'a str, DataError> {
        match self.fields.get(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.refuse(field, "not a text in quotes", expected, "put it in quotes")),
            None => Err(self.refuse(field, "missing", expected, &format!("add {field} = \"...\""))),
        }
    }

    fn description(&self) -> Result<String, DataError> {
        if !self.fields.contains_key("description") {
            return Ok(String::new());
        }
        self.text("description", "a text in quotes").map(str::to_owned)
    }

    fn delimiter(&self) -> Result<u8, DataError> {
        if !self.fields.contains_key("delimiter") {
            return Ok(b',');
        }
        let expected =
            "one ASCII character that is no quote, letter, digit or line end, such as \",\", \";\", \"|\" or \"\\t\"";
        match self.text("delimiter", expected)?.as_bytes() {
            [one] if one.is_ascii() && !one.is_ascii_alphanumeric() && !b"\"\r\n\0".contains(one) => Ok(*one),
            _ => Err(self.refuse("delimiter", "not a delimiter", expected, "look at the first line of the file")),
        }
    }

    fn encoding(&self) -> Result<Encoding, DataError> {
        if !self.fields.contains_key("encoding") {
            return Ok(Encoding::Utf8);
        }
        let expected = "\"utf-8\", \"gbk\" or \"gb18030\"";
        let name = self.text("encoding", expected)?;
        let found = Encoding::ALL.into_iter().find(|encoding| encoding.name() == name);
        found.ok_or_else(|| {
            self.refuse("encoding", &format!("{name:?}"), expected, "save the file in one of them, best in utf-8")
        })
    }
}

/// The catalogue as text that [`parse`] reads back.
pub(crate) fn write(catalog: &Catalog) -> String {
    use std::fmt::Write as _;
    let quoted = |text: &str| Value::String(text.into()).to_string();
    let mut out = String::from("# levels: 1 open .. 4 most sensitive; 3 and 4 may be keys, never output columns\n");
    for set in catalog.iter() {
        let _ = write!(out, "\n[dataset.{}]\nfile = {}\n", set.id, quoted(&set.file));
        let _ = match set.format {
            FileFormat::Parquet => writeln!(out, "format = \"parquet\""),
            FileFormat::Csv { delimiter, encoding } => writeln!(
                out,
                "format = \"csv\"\ndelimiter = {}\nencoding = {}",
                quoted(&char::from(delimiter).to_string()),
                quoted(encoding.name())
            ),
        };
        let _ = writeln!(out, "description = {}", quoted(&set.description));
        for column in &set.columns {
            let _ = writeln!(
                out,
                "\n[[dataset.{}.column]]\nname = {}\ntype = {}\nlevel = {}\ndescription = {}",
                set.id,
                quoted(&column.name),
                quoted(column.kind.name()),
                column.level,
                quoted(&column.description)
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[dataset.tax]
file = "tax.csv"
format = "csv"
delimiter = ";"
encoding = "gbk"
description = "税务"
[[dataset.tax.column]]
name = "id"
type = "text"
level = 3
[[dataset.tax.column]]
name = "say \"hi\"; DROP"
type = "integer"
level = 1
description = "a 'quoted' name"
[dataset.bank]
file = "sub/bank.parquet"
format = "parquet"
[[dataset.bank.column]]
name = "d"
type = "date"
level = 2
"#;

    fn refused(text: &str) -> String {
        parse(text, "catalog.toml", Path::new("data")).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_reads_back() {
        let catalog = parse(GOOD, "catalog.toml", Path::new("data")).unwrap();
        let again = parse(&catalog.to_toml().unwrap(), "catalog.toml", Path::new("data")).unwrap();
        assert!(catalog.iter().eq(again.iter()));
        assert_eq!(catalog.get("tax").unwrap().columns[1].name, "say \"hi\"; DROP");
        assert_eq!(parse("", "c", Path::new("d")).unwrap().iter().len(), 0);
    }

    #[test]
    fn errors_name_table_field_expectation_and_remedy() {
        let with = |from: &str, to: &str| refused(&GOOD.replacen(from, to, 1));
        assert_eq!(
            with("file = \"tax.csv\"", "fil = \"tax.csv\""),
            "catalog.toml: [dataset.tax] fil: unknown; expected file, format, delimiter, encoding, description, column; remove it, or correct its name"
        );
        assert_eq!(
            with("\"tax.csv\"", "\"../tax.csv\""),
            "catalog.toml: [dataset.tax] file: \"../tax.csv\" is not a plain path below the data directory; expected a path below the data directory without \"..\"; move the file there and give its name"
        );
        assert_eq!(
            with("level = 3", "level = 7"),
            "catalog.toml: [dataset.tax.column 1] level: missing or not a level; expected 1, 2, 3 or 4; grade the column; 3 and 4 are usable but never visible"
        );
        assert_eq!(
            with("\"integer\"", "\"int\""),
            "catalog.toml: [dataset.tax.column 2] type: \"int\"; expected \"text\", \"integer\", \"float\" or \"date\"; use \"text\" for identifiers and whatever else is not counted"
        );
        assert!(
            with("\"gbk\"", "\"latin1\"")
                .contains("[dataset.tax] encoding: \"latin1\"; expected \"utf-8\", \"gbk\" or \"gb18030\"")
        );
        assert!(with("\";\"", "\"ab\"").contains("[dataset.tax] delimiter: not a delimiter"));
        assert!(with("\"id\"", "\"__position\"").contains("not a column name"));
        assert!(with("name = \"say \\\"hi\\\"; DROP\"", "name = \"id\"").contains("\"id\" stands twice"));
        assert!(with("[dataset.tax]", "[dataset.\"../x\"]").contains("id: not a name"));
        assert!(refused("\n\nx = [").starts_with("catalog.toml line 3: "));
    }
}
