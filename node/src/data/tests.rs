//! A job's data path over real files, and every bad input of the house list with its exact message.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use banyan_proto::job::{Band, Duplicates, Format, Limits, Normalise, ResultKind};
use banyan_proto::names::Name;
use banyan_protocols::items::Rows;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StringViewArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::ParquetReadOptions;
use tempfile::TempDir;

use super::*;

mod apart;
mod filters;
mod numbers;
mod results;

const SALT: [u8; 32] = [7; 32];

/// A data directory, a spill directory, and an engine.
struct Home {
    directory: TempDir,
    engine: Engine,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::new(&directory.path().join("spill")).unwrap();
        Self { directory, engine }
    }

    /// Registers `content` as CSV with columns "id:text age:integer".
    fn csv(&self, content: impl AsRef<[u8]>) -> Arc<DataSet> {
        self.set(
            "tax.csv",
            content,
            FileFormat::Csv { delimiter: b',', encoding: Encoding::Utf8 },
            "id:text age:integer",
        )
    }

    fn set(&self, file: &str, content: impl AsRef<[u8]>, format: FileFormat, columns: &str) -> Arc<DataSet> {
        fs::write(self.directory.path().join(file), content).unwrap();
        let column = |text: &str| {
            let (name, kind) = text.split_once(':').unwrap();
            Column { name: name.into(), kind: kind.parse().unwrap(), level: 2, description: String::new() }
        };
        Arc::new(DataSet {
            id: "tax".parse::<Name>().unwrap(),
            description: String::new(),
            file: file.into(),
            directory: self.directory.path().into(),
            format,
            columns: columns.split(' ').map(column).collect(),
        })
    }

    async fn take(&self, set: &Arc<DataSet>, selection: &Selection) -> Result<Snapshot, DataError> {
        Snapshot::take(&self.engine, set, selection, &Limits::default(), &SALT).await
    }

    /// The message of the error of a plain snapshot of `content`.
    async fn refused(&self, content: impl AsRef<[u8]>) -> String {
        self.take(&self.csv(content), &by(&["id"])).await.unwrap_err().to_string()
    }

    fn wanted(&self, columns: &[&str], format: Format) -> Wanted {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Wanted { columns, flags: Vec::new(), format, path: self.directory.path().join("result") }
    }
}

fn by(key: &[&str]) -> Selection {
    Selection {
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        filter: None,
        duplicates: Duplicates::Error,
        normalise: Normalise::CnIdV1,
        rows_at_most: 1 << 40,
    }
}

fn keys(snapshot: &Snapshot) -> Vec<String> {
    snapshot.items.iter().map(|key| String::from_utf8(key.to_vec()).unwrap()).collect()
}

/// The rows of the keys at these positions.
fn rows(snapshot: &Snapshot, positions: &Rows) -> Picked {
    picked(snapshot, positions, ResultKind::Rows)
}

fn picked(snapshot: &Snapshot, positions: &Rows, kind: ResultKind) -> Picked {
    let mut found = Found::default();
    found.note(&snapshot.pinned, None, positions);
    found.pick(std::slice::from_ref(&snapshot.pinned), kind)
}

fn filter(text: &str, set: &DataSet) -> Result<Filter, DataError> {
    let all: Vec<String> = set.columns.iter().map(|column| column.name.clone()).collect();
    Filter::parse(text, set, &all)
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

#[tokio::test]
async fn from_file_to_result_in_file_order() {
    let home = Home::new();
    let set = home.csv("age,id,other\r\n30, 003 ,x\r\n17,１２,\"a\r\nb\"\r\n\r\n40,00x,\r\n,9,\r\n");
    let mut selection = by(&["id"]);
    selection.filter = Some(filter("age >= 18 OR age IS NULL", &set).unwrap());
    let snapshot = home.take(&set, &selection).await.unwrap();
    assert_eq!(keys(&snapshot), ["003", "00x", "9"]);
    let wanted = home.wanted(&["age", "id"], Format::Csv);
    let held = write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![2, 0])), &wanted).await.unwrap();
    let released = held.release().unwrap();
    assert_eq!(fs::read_to_string(released.path()).unwrap(), "age,id\n30, 003 \n,9\n");
}

#[tokio::test]
async fn all_encodings_and_gzip_give_one_snapshot_but_for_the_file() {
    let home = Home::new();
    let text = "id,姓名\n001,张三\n002,李四\n";
    let gb = encoding_rs::GB18030.encode(text).0;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let csv = |encoding| FileFormat::Csv { delimiter: b',', encoding };
    for (file, bytes, format) in [
        ("a.csv", text.as_bytes().to_vec(), csv(Encoding::Utf8)),
        ("b.csv", gb.to_vec(), csv(Encoding::Gbk)),
        ("c.csv", [b"\xEF\xBB\xBF", text.as_bytes()].concat(), csv(Encoding::Utf8)),
        ("d.csv.gz", gzip.finish().unwrap(), csv(Encoding::Utf8)),
    ] {
        let set = home.set(file, bytes, format, "id:text 姓名:text");
        let mut selection = by(&["id", "姓名"]);
        selection.filter = Some(filter("姓名 = '李四'", &set).unwrap());
        let snapshot = home.take(&set, &selection).await.unwrap();
        assert_eq!(
            snapshot.items.get(0),
            [&[0, 0, 0, 3][..], b"002", &[0, 0, 0, 6], "李四".as_bytes()].concat(),
            "{file}"
        );
    }
    let cut = home.set("cut.csv.gz", [0x1F, 0x8B, 8, 0, 0, 0], csv(Encoding::Utf8), "id:text");
    assert_eq!(
        home.take(&cut, &by(&["id"])).await.unwrap_err().to_string(),
        "cut.csv.gz is not readable as gzip: damaged, cut short, or another format; export it again, or correct catalog.toml"
    );
}

#[tokio::test]
async fn ids_stay_text_in_csv_and_parquet_and_come_back_as_plain_utf8() {
    let home = Home::new();
    let session = home.engine.session(&Limits::default()).unwrap();
    let ids = ["00123", "11010519491231002X", "7"];
    let csv = home.csv(format!("id,age\n{},1\n{},2\n{},3\n", ids[0], ids[1], ids[2]));
    session.register(&csv).unwrap();
    let schema = session.context().sql("SELECT id FROM tax").await.unwrap();
    assert_eq!(schema.schema().field(0).data_type(), &DataType::Utf8);

    let views: ArrayRef = Arc::new(StringViewArray::from(ids.to_vec()));
    let file = parquet(vec![("id", views), ("age", Arc::new(Int64Array::from(vec![1, 2, 3])))]);
    let set = home.set("t.parquet", &file, FileFormat::Parquet, "id:text age:integer");
    let snapshot = home.take(&set, &by(&["id"])).await.unwrap();
    assert_eq!(keys(&snapshot), ids);
    // the session's own reader makes no views either, unless a file's metadata asks for them
    let path = home.directory.path().join("plain.parquet");
    let plain: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
    fs::write(&path, parquet(vec![("id", plain)])).unwrap();
    let frame = session.context().read_parquet(path.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    let batches = frame.collect().await.unwrap();
    assert_eq!(batches[0].column(0).data_type(), &DataType::Utf8);
    let literal = session.context().sql("SELECT CAST(1 AS VARCHAR) AS a, 'x' AS b").await.unwrap();
    assert!(literal.schema().fields().iter().all(|field| field.data_type() == &DataType::Utf8));

    let wanted = home.wanted(&["id", "age"], Format::Parquet);
    let held = write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![1])), &wanted).await.unwrap();
    let written =
        home.set("again.parquet", fs::read(held.release().unwrap().path()).unwrap(), FileFormat::Parquet, "id:text");
    assert_eq!(keys(&home.take(&written, &by(&["id"])).await.unwrap()), [ids[1]]);
}

fn spilled_bytes(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0);
    own + plan.children().into_iter().map(spilled_bytes).sum::<usize>()
}

#[tokio::test]
async fn a_sort_under_a_small_pool_spills_and_writes_no_more_than_it_read() {
    let home = Home::new();
    let mut content = String::from("id,age\n");
    for row in 0..200_000_u64 {
        content.push_str(&format!("{:018},{}\n", row.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000_007, row % 90));
    }
    let set = home.csv(&content);
    let session = home.engine.session(&Limits { memory_mb: 64, ..Limits::default() }).unwrap();
    session.register(&set).unwrap();
    let frame = session.context().sql("SELECT id, age FROM tax ORDER BY id, age").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let sorted = collect(Arc::clone(&plan), session.context().task_ctx()).await.unwrap();
    assert_eq!(sorted.iter().map(RecordBatch::num_rows).sum::<usize>(), 200_000);
    // what a row is in memory: 18 bytes of id, 4 of its end, 8 of age
    let (spilled, read) = (spilled_bytes(&plan), 200_000 * (18 + 4 + 8));
    assert!(spilled > 0, "the pool is small enough to spill");
    assert!(spilled as f64 <= 1.2 * f64::from(read), "{spilled} bytes spilled of {read}");
    assert!(sorted.windows(2).all(|pair| {
        let last = pair[0].column(0).as_string::<i32>();
        last.value(last.len() - 1) <= pair[1].column(0).as_string::<i32>().value(0)
    }));
    assert!(sorted.iter().all(|batch| batch.column(0).data_type() == &DataType::Utf8));

    let snapshot = home.take(&set, &by(&["id"])).await.unwrap();
    assert_eq!(snapshot.pinned.len(), 200_000);
    let little = Limits { memory_mb: 4, ..Limits::default() };
    assert_eq!(
        Snapshot::take(&home.engine, &set, &by(&["id"]), &little, &SALT).await.unwrap_err().to_string(),
        "the key column of data set tax needs more than its part of 4 MiB, the smaller of limits.memory_mb in the job and memory_mb in this node's config.toml; raise that one, or narrow the row filter"
    );
    let mut few = by(&["id"]);
    few.rows_at_most = 150_000; // a job for that many is padded to 163 840
    assert_eq!(
        home.take(&set, &few).await.unwrap_err().to_string(),
        "data set `tax`: more than 163840 rows pass the row filter, and rows_at_most = 150000 has room for no more; raise rows_at_most in the job, or narrow the filter"
    );
}

#[tokio::test]
async fn how_many_rows_pass_a_filter_shows_in_bands_only() {
    let home = Home::new();
    let rows: String = (0..20).map(|row| format!("{row},{}\n", row % 2)).collect();
    let set = home.csv(format!("id,age\n{rows}"));
    let mut asked = by(&["id"]);
    for rows_at_most in [17, 19, 20] {
        asked.rows_at_most = rows_at_most;
        home.take(&set, &asked).await.expect("20 rows are in the band of 17 to 20");
    }
    asked.rows_at_most = 16;
    assert_eq!(home.take(&set, &asked).await.unwrap_err().code(), "rows");
    asked.filter = Some(filter("age = 1", &set).unwrap());
    for rows_at_most in [1, 9, 10] {
        asked.rows_at_most = rows_at_most;
        home.take(&set, &asked).await.expect("10 rows are in the first band");
    }
}

#[tokio::test]
async fn wide_rows_make_small_batches() {
    let home = Home::new();
    let cell = "x".repeat(1 << 19);
    let rows: String = (0..40).map(|row| format!("{row},{cell}\n")).collect();
    let csv = FileFormat::Csv { delimiter: b',', encoding: Encoding::Utf8 };
    let set = home.set("wide.csv", format!("id,note\n{rows}"), csv, "id:text note:text");
    let batches = |set: &DataSet| {
        let mut batches = Vec::new();
        source::read(set, &[0, 1], &mut |batch| {
            batches.push(batch.num_rows());
            true
        })
        .unwrap();
        batches
    };
    assert_eq!(batches(&set), [16, 16, 8]);
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|row| row.to_string())));
    let notes: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|row| format!("{row}{cell}"))));
    let file = parquet(vec![("id", ids), ("note", notes)]);
    let set = home.set("wide.parquet", file, FileFormat::Parquet, "id:text note:text");
    assert_eq!(batches(&set), [15, 15, 10]);
}

#[tokio::test]
async fn bad_files_are_named_with_line_and_remedy() {
    let home = Home::new();
    for (content, message) in [
        ("", "tax.csv is empty: expected a header line and at least one row; export it again"),
        ("id,age\n\n", "tax.csv has a header but no rows: expected at least one row; export it again"),
        (
            "id;age\n1;2\n",
            "tax.csv: the header is a single column with \";\" inside, but the delimiter is \",\"; set delimiter = \";\" for this data set in catalog.toml",
        ),
        (
            "id\tage\n1\t2\n",
            "tax.csv: the header is a single column with \"\\t\" inside, but the delimiter is \",\"; set delimiter = \"\\t\" for this data set in catalog.toml",
        ),
        (
            "ID,Age\n1,2\n",
            "tax.csv has no column `id`: near names in its header are `ID`; correct the file's header, or the name in catalog.toml (capitals count)",
        ),
        (
            "110105194912310021,44\n110105194912310022,45\n",
            "tax.csv has no column `id`: none of the 2 names in its header is near; correct the file's header, or the name in catalog.toml (capitals count)",
        ),
        (
            "id,age,id\n1,2,3\n",
            "tax.csv has column `id` twice in its header: which one is meant is unclear; rename one of them",
        ),
        (
            "id,age\n1,2\n\n3\n",
            "tax.csv line 4: 1 fields, but the header has 2; put quotes around fields that hold the delimiter, and correct the row at its source",
        ),
        (
            "id,age\n1,2\n2,2\n 1,3\n2,2\n",
            "tax.csv line 4: the key (`id`) repeats the one of tax.csv line 2; 2 of the selected rows repeat an earlier key; remove them at the source, or set duplicates = \"first\" or \"all\" in the job",
        ),
    ] {
        assert_eq!(home.refused(content).await, message);
    }
    assert_eq!(
        home.refused(["id,age\n张,1\n".as_bytes(), b"\xD5\xC5,2\n"].concat()).await,
        "tax.csv line 3, column 1: not valid utf-8; set encoding = \"gb18030\" in catalog.toml if that is what the file is in; if it mixes encodings, export it again in one"
    );
    let csv = FileFormat::Csv { delimiter: b',', encoding: Encoding::Utf8 };
    let single = home.set("one.csv", "id\n1\n\n2\n", csv, "id:text");
    assert_eq!(
        home.take(&single, &by(&["id"])).await.unwrap_err().to_string(),
        "one.csv line 3: an empty line in a file of one column, which may be a row without a value; fill it at its source, or remove the line"
    );
    let single = home.set("one.csv", "id\n1\n\"\"\n2\n\n", csv, "id:text");
    assert_eq!(home.take(&single, &by(&["id"])).await.unwrap().pinned.keyless(), 1);
    let long = format!("id,age\n{},1\n", "x".repeat(5000));
    assert_eq!(home.refused(long).await, "tax.csv line 2: the key is longer than 4096 bytes; is this the key column?");
}

#[tokio::test]
async fn bad_cells_and_keys_are_placed_and_never_shown() {
    let home = Home::new();
    let set = home.csv("id,age\n1,2\n2,CANARY\n");
    let mut selection = by(&["id"]);
    selection.filter = Some(filter("age > 1", &set).unwrap());
    assert_eq!(
        home.take(&set, &selection).await.unwrap_err().to_string(),
        "tax.csv line 3, column `age`: not a whole number of at most 64 bits; correct it at its source, or set type = \"text\" for the column"
    );
    assert_eq!(
        home.take(&set, &by(&["age"])).await.unwrap_err().to_string(),
        "key column `age` of data set `tax` has type integer: numbers lose leading zeros and digits, so keys are text; set type = \"text\" for it in catalog.toml"
    );
    assert_eq!(
        home.take(&set, &by(&["idd"])).await.unwrap_err().to_string(),
        "data set `tax` has no column `idd`: did you mean `id`? there are `id`, `age`"
    );
    let floats: ArrayRef = Arc::new(datafusion::arrow::array::Float64Array::from(vec![1.5]));
    let stored = home.set("f.parquet", parquet(vec![("id", floats)]), FileFormat::Parquet, "id:text");
    assert_eq!(
        home.take(&stored, &by(&["id"])).await.unwrap_err().to_string(),
        "f.parquet, column `id`: stored as Float64, which does not read as text; set type = \"float\" in catalog.toml; an identifier must be stored as text, since a float has lost digits"
    );
    let none = home.set("n.parquet", "not parquet at all", FileFormat::Parquet, "id:text");
    assert_eq!(
        home.take(&none, &by(&["id"])).await.unwrap_err().to_string(),
        "n.parquet is not readable as parquet: damaged, cut short, or another format; export it again, or correct catalog.toml"
    );
    let keys: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), None, Some("2"), None]));
    let nulls = home.set("k.parquet", parquet(vec![("id", keys)]), FileFormat::Parquet, "id:text");
    let snapshot = home.take(&nulls, &by(&["id"])).await.unwrap();
    assert_eq!((snapshot.items.len(), snapshot.pinned.keyless()), (2, 2));
    let exact = (1_i64 << 53) + 1;
    for (stored, row) in [(vec![1, exact], 2), (vec![i64::MAX], 1)] {
        let whole: ArrayRef = Arc::new(Int64Array::from(stored));
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..whole.len()).map(|row| row.to_string())));
        let columns = vec![("id", ids), ("n", whole)];
        let wide = home.set("w.parquet", parquet(columns), FileFormat::Parquet, "id:text n:float");
        let mut selection = by(&["id"]);
        selection.filter = Some(filter("n > 0", &wide).unwrap());
        assert_eq!(
            home.take(&wide, &selection).await.unwrap_err().to_string(),
            format!(
                "w.parquet row {row}, column `n`: not a whole number that a float has exactly; correct it at its source, or set type = \"integer\" for the column"
            )
        );
    }
}

#[tokio::test]
async fn no_value_of_a_row_is_in_any_error() {
    let home = Home::new();
    const CANARY: &str = "CANARY7";
    let text = "id,age\n";
    let with_filter = |text: &str| Some(text.to_owned());
    for (rows, filtered) in [
        (format!("{CANARY},1\n{CANARY},2\n"), None),
        (format!("1,{CANARY}\n"), with_filter("age > 1")),
        (format!("1,2,{CANARY}\n"), None),
        (format!("{CANARY}\n"), None),
        (format!("\"{CANARY},1\n"), None),
        (format!("{},1\n", CANARY.repeat(1000)), None),
        (format!("\"{}\",1\n", CANARY.repeat(200_000)), None),
        (format!("{CANARY}\r{CANARY}\r"), None),
        (format!("{CANARY}\0,1\n"), None),
    ] {
        let set = home.csv(format!("{text}{rows}"));
        let mut selection = by(&["id"]);
        selection.filter = filtered.map(|text| filter(&text, &set).unwrap());
        let error = home.take(&set, &selection).await.expect_err(&rows[..rows.len().min(40)]);
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    }
    for header in [format!("{CANARY},age\n"), format!("{CANARY}\n"), format!("id,{CANARY}\n")] {
        let error = home.refused(format!("{header}1,2\n")).await;
        assert!(!error.contains(CANARY), "{error}");
    }
    let bytes = [CANARY.as_bytes(), b"\xFF,1\n"].concat();
    let error = home.refused([text.as_bytes(), &bytes].concat()).await;
    assert!(!error.contains(CANARY), "{error}");
}

#[tokio::test]
async fn first_of_repeated_keys_stands_for_all() {
    let home = Home::new();
    let set = home.csv("id,age\nb,1\na,2\nb,3\nc,4\na,5\n");
    let mut selection = by(&["id"]);
    selection.duplicates = Duplicates::First;
    let snapshot = home.take(&set, &selection).await.unwrap();
    assert_eq!((keys(&snapshot), snapshot.pinned.dropped()), (vec!["b".into(), "a".into(), "c".into()], 2));
    let wanted = home.wanted(&["age"], Format::Csv);
    let held = write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![0, 1, 2])), &wanted).await;
    assert_eq!(fs::read_to_string(held.unwrap().release().unwrap().path()).unwrap(), "age\n1\n2\n4\n");
}

#[tokio::test]
async fn the_digest_depends_on_salt_file_and_selection_and_on_nothing_else() {
    let home = Home::new();
    let set = home.csv("id,age\n1,2\n2,3\n");
    let digest = |snapshot: Snapshot| snapshot.pinned.digest();
    let plain = digest(home.take(&set, &by(&["id"])).await.unwrap());
    assert_eq!(digest(home.take(&set, &by(&["id"])).await.unwrap()), plain);
    let salted = Snapshot::take(&home.engine, &set, &by(&["id"]), &Limits::default(), &[8; 32]).await.unwrap();
    assert_ne!(digest(salted), plain);
    let mut other = by(&["id"]);
    other.filter = Some(filter("age = 2", &set).unwrap());
    assert_ne!(digest(home.take(&set, &other).await.unwrap()), plain);
    let changed = home.csv("id,age\n1,2\n2,4\n");
    assert_ne!(digest(home.take(&changed, &by(&["id"])).await.unwrap()), plain);
}

#[tokio::test]
async fn a_file_that_changed_gives_no_result() {
    let home = Home::new();
    let set = home.csv("id,age\n1,2\n2,3\n");
    let snapshot = home.take(&set, &by(&["id"])).await.unwrap();
    let wanted = home.wanted(&["id"], Format::Csv);
    home.csv("id,age\n1,2\n2,3\n");
    write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![0])), &wanted)
        .await
        .expect("written again with the same content");
    let message = "tax.csv changed during the job: what it computed is for the old content; leave the file alone and start the job again";
    for change in ["id,age\n1,2\n2,4\n", "id,age\n1,2\n"] {
        home.csv(change);
        let error =
            write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![0])), &wanted).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    fs::remove_file(home.directory.path().join("tax.csv")).unwrap();
    let error = write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![0])), &wanted).await.unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(!home.directory.path().join("result").exists());
}

/// What nothing but the time of the last change of status tells.
#[test]
fn content_written_anew_under_the_old_time_is_seen() {
    let home = Home::new();
    let set = home.csv("id,age\n1,2\n2,3\n");
    let path = home.directory.path().join("tax.csv");
    let taken = Fingerprint::of(&set).unwrap();
    taken.still(&set, &path).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    // the clock of the file system ticks in steps
    while taken.still(&set, &path).is_ok() {
        fs::write(&path, "id,age\n1,2\n2,9\n").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
}

#[tokio::test]
async fn whole_numbers_wrap_around_and_stop_no_job() {
    let home = Home::new();
    let set = home.csv(format!("id,age\n1,{}\n2,1\n", i64::MAX));
    for (text, kept) in [("age + 1 > 0", vec!["2"]), ("age * 4 > 0", vec!["2"]), ("-age - 2 < 0", vec!["2"])] {
        let mut selection = by(&["id"]);
        selection.filter = Some(filter(text, &set).unwrap());
        assert_eq!(keys(&home.take(&set, &selection).await.unwrap()), kept, "{text}");
    }
}

#[tokio::test]
async fn hidden_columns_are_keys_but_never_output() {
    let home = Home::new();
    let mut set = Arc::unwrap_or_clone(home.csv("id,age\n1,2\n"));
    set.columns[0].level = 3;
    let set = Arc::new(set);
    let snapshot = home.take(&set, &by(&["id"])).await.unwrap();
    let error =
        write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![0])), &home.wanted(&["id"], Format::Csv))
            .await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "column `id` of data set `tax` has level 3: it may be a key and nothing else; leave it out of columns"
    );
    let count = write_number("count", 3, Format::Csv, &home.directory.path().join("count.csv")).unwrap();
    assert_eq!(fs::read_to_string(count.release().unwrap().path()).unwrap(), "count\n3\n");
}

#[tokio::test]
async fn hostile_names_and_filters_splice_nothing() {
    let home = Home::new();
    let csv = FileFormat::Csv { delimiter: b',', encoding: Encoding::Utf8 };
    let mut set =
        Arc::unwrap_or_clone(home.set("h.csv", "\"a\"\"; DROP TABLE tax; --\",b.c\n7,1\n", csv, "b.c:integer"));
    let hostile = "a\"; DROP TABLE tax; --";
    set.columns.push(Column { name: hostile.into(), kind: Kind::Text, level: 1, description: String::new() });
    let set = Arc::new(set);
    let mut selection = by(&[hostile]);
    selection.filter = Some(filter("\"b.c\" = 1 AND \"a\"\"; DROP TABLE tax; --\" <> ''", &set).unwrap());
    let snapshot = home.take(&set, &selection).await.unwrap();
    assert_eq!(keys(&snapshot), ["7"]);
    let wanted = home.wanted(&["b.c", hostile], Format::Csv);
    let held = write_rows(&set, &snapshot.pinned, rows(&snapshot, &Rows::new(vec![0])), &wanted).await.unwrap();
    let written = fs::read_to_string(held.release().unwrap().path()).unwrap();
    assert_eq!(written, "b.c,\"a\"\"; DROP TABLE tax; --\"\n1,7\n");
}

#[test]
fn a_catalogue_publishes_no_paths_and_bands_for_sizes() {
    let home = Home::new();
    home.csv(format!("id,age\n{}", "x,1\n".repeat(33)));
    let found = scan(home.directory.path(), &ScanOptions::default()).unwrap();
    let catalog = Catalog::new(found.into_iter().map(|described| described.set));
    let published = catalog.publish().unwrap();
    assert_eq!(published.datasets[0].band, Band::covering(33));
    assert_eq!(published.datasets[0].columns[1].kind, "integer");
    assert!(!format!("{published:?}").contains(".csv"));
    let file = home.directory.path().join("catalog.toml");
    fs::write(&file, catalog.to_toml().unwrap()).unwrap();
    let again = Catalog::load(&file, home.directory.path()).unwrap();
    assert!(again.iter().eq(catalog.iter()));
}

#[test]
fn parquet_columns_that_are_not_read_are_left_out_and_told() {
    let home = Home::new();
    let flags: ArrayRef = Arc::new(datafusion::arrow::array::BooleanArray::from(vec![true]));
    let texts = || Arc::new(StringArray::from(vec!["1"])) as ArrayRef;
    let columns = vec![("flag", flags), ("name", texts()), ("__index_level_0__", texts())];
    fs::write(home.directory.path().join("p.parquet"), parquet(columns)).unwrap();
    let found = scan(home.directory.path(), &ScanOptions::default()).unwrap();
    assert_eq!(found[0].left_out, [1, 3]);
    assert_eq!(found[0].set.columns[0].name, "name");
}

#[test]
fn debug_forms_hold_no_value() {
    let ids = StringArray::from(vec!["CANARY"]);
    let home = Home::new();
    let set = home.csv("id,age\nCANARY,1\n");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let snapshot = runtime.block_on(home.take(&set, &by(&["id"]))).unwrap();
    assert_eq!(snapshot.items.get(0), ids.value(0).as_bytes());
    assert!(!format!("{snapshot:?}").contains("CANARY"));
}
