//! Every kind of result over real files, with repeated keys and rows without one, in the file's order.

use datafusion::arrow::datatypes::Int64Type;

use super::*;

/// The result of `kind` where the keys at these positions are common.
async fn written(duplicates: Duplicates, kind: ResultKind, format: Format, positions: Vec<u64>) -> Vec<u8> {
    let home = Home::new();
    let set = home.csv("id,age\nb,1\na,2\n,3\nb,4\nc,5\n a ,6\n\"\",7\n");
    let mut selection = by(&["id"]);
    selection.duplicates = duplicates;
    let snapshot = home.take(&set, &selection).await.unwrap();
    assert_eq!(keys(&snapshot), ["b", "a", "c"], "a key is in the set once");
    let picked = picked(&snapshot, &Rows::new(positions), kind);
    let flags = if kind == ResultKind::Left { vec![Flag::Matched] } else { Vec::new() };
    let wanted = Wanted { flags, ..home.wanted(&["id", "age"], format) };
    let held = write_rows(&set, &snapshot.pinned, picked, &wanted).await.unwrap();
    fs::read(held.release().unwrap().path()).unwrap()
}

#[tokio::test]
async fn each_kind_and_rule_has_its_rows() {
    for (duplicates, kind, rows) in [
        (Duplicates::First, ResultKind::Rows, "id,age\nb,1\nc,5\n"),
        (Duplicates::First, ResultKind::Difference, "id,age\na,2\n,3\n,7\n"),
        (Duplicates::First, ResultKind::Left, "id,age,matched\nb,1,true\na,2,false\n,3,false\nc,5,true\n,7,false\n"),
        (Duplicates::All, ResultKind::Rows, "id,age\nb,1\nb,4\nc,5\n"),
        (Duplicates::All, ResultKind::Difference, "id,age\na,2\n,3\n a ,6\n,7\n"),
        (
            Duplicates::All,
            ResultKind::Left,
            "id,age,matched\nb,1,true\na,2,false\n,3,false\nb,4,true\nc,5,true\n a ,6,false\n,7,false\n",
        ),
    ] {
        let csv = written(duplicates, kind, Format::Csv, vec![0, 2]).await;
        assert_eq!(String::from_utf8(csv).unwrap(), rows, "{duplicates:?} {kind:?}");
    }
    let none = written(Duplicates::All, ResultKind::Rows, Format::Csv, vec![]).await;
    assert_eq!(String::from_utf8(none).unwrap(), "id,age\n");
}

#[tokio::test]
async fn parquet_has_the_flag_as_a_truth_value() {
    let parquet = written(Duplicates::First, ResultKind::Left, Format::Parquet, vec![1]).await;
    let rows =
        datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet));
    let batch = rows.unwrap().build().unwrap().next().unwrap().unwrap();
    let matched: Vec<bool> = batch.column_by_name("matched").unwrap().as_boolean().iter().flatten().collect();
    assert_eq!(matched, [false, true, false, false, false]);
    assert_eq!(batch.column_by_name("age").unwrap().as_primitive::<Int64Type>().values(), &[1, 2, 3, 5, 7]);
}
